//! What every process shares at its edge: settings, logging, shutdown.

mod load;
mod logging;
mod settings;
mod shutdown;

pub use load::{SettingsError, environment, load};
pub use logging::start as start_logging;
pub use settings::{
    CoordinatorSection, DuplicatesSetting, LogFormat, LogSection, PortsSection, ServerSection,
    Settings, TenantSection, WorkerSection,
};
pub use shutdown::on_signal;
