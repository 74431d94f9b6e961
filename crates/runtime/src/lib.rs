//! What every process shares at its edge: settings, logging, shutdown, the admin port.

mod admin;
mod boot;
mod load;
mod logging;
mod settings;
mod shutdown;

pub use admin::{Readiness, start_admin};
pub use boot::{block_on, boot};
pub use load::{SettingsError, environment, load};
pub use logging::start as start_logging;
pub use settings::{
    AdminSection, AmqpSection, CoordinatorSection, DuplicatesSetting, EncryptionSetting, LogFormat,
    LogSection, PortsSection, RedisSection, S3Section, Secret, ServerSection, Settings,
    TenantSection, WorkerSection,
};
pub use shutdown::on_signal;
