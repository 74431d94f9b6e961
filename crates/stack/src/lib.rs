//! Private servers, on free loopback ports and in folders of their own: RabbitMQ, Redis and
//! SeaweedFS. `cargo xtask stack` starts ones that outlive it, tests start ones that they may hurt.

mod ports;
mod private;
mod process;
mod rabbitmq;
mod redis;
mod seaweedfs;
mod server;

pub use ports::free_ports;
pub use private::Private;
pub use process::{is_alive, stop};
pub use rabbitmq::{Rabbitmq, RabbitmqOptions};
pub use redis::{Redis, RedisOptions};
pub use seaweedfs::{SeaweedFs, SeaweedFsOptions};
pub use server::{Process, Server};
