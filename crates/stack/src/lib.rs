//! Private servers, on free loopback ports and in folders of their own: RabbitMQ, Redis,
//! PostgreSQL and SeaweedFS. `cargo xtask stack` starts ones that outlive it, tests start ones that they may hurt.

mod pgbouncer;
mod ports;
mod postgres;
mod private;
mod process;
mod rabbitmq;
mod redis;
mod seaweedfs;
mod server;
mod user;

pub use pgbouncer::{Pgbouncer, PgbouncerOptions};
pub use ports::free_ports;
pub use postgres::{Postgres, PostgresOptions};
pub use private::Private;
pub use process::{is_alive, stop};
pub use rabbitmq::{Rabbitmq, RabbitmqOptions};
pub use redis::{Redis, RedisOptions};
pub use seaweedfs::{SeaweedFs, SeaweedFsOptions};
pub use server::{Process, Server};
