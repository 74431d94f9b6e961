//! What every process shares at its edge: settings, logging, shutdown, the admin port.

mod admin;
mod boot;
mod load;
mod settings;
mod shutdown;
mod telemetry;

pub use admin::{
    AdminAnswer, AdminApi, AdminApis, AdminPort, AdminRequest, Check, OnRefusal, Probes, Recorder,
    log_filter_api, start_admin,
};
pub use boot::{Process, block_on, boot};
pub use load::{SettingsError, environment, load};
pub use settings::{
    AdminSection, AmqpSection, AuditSection, AuthSection, AuthorizationSetting, ColumnsSection,
    CoordinatorSection, DuplicatesSetting, EncryptionSetting, FhirAuthSetting, FhirPostSetting,
    FhirSection, FhirUnsearchableSetting, FilesSetting, FilterSection, IssuerSection, Issuers,
    LogFormat, LogSection, MethodsSection, PortsSection, PostgresSection, PresetSetting,
    RedisSection, RulesSection, S3Section, Secret, ServerSection, Settings, TelemetrySection,
    TenantSection, WorkerSection,
};
pub use shutdown::on_signal;
pub use telemetry::{FilterState, LogFilter, Telemetry, follow, link, traceparent};
