//! Every setting, its unit and its default. `deploy/sluice.toml` explains each to an operator; a
//! test holds the two together.

mod access;
mod adapters;
mod database;
mod fhir;
mod rules;
mod secret;

pub use access::{
    AuditSection, AuthSection, AuthorizationSetting, FilesSetting, IssuerSection, Issuers,
};
pub use adapters::{
    AdminSection, AmqpSection, EncryptionSetting, RedisSection, S3Section, TelemetrySection,
};
pub use database::{ColumnsSection, PostgresSection};
pub use fhir::{FhirAuthSetting, FhirPostSetting, FhirSection, FhirUnsearchableSetting};
pub use rules::{FilterSection, MethodsSection, PresetSetting, RulesSection};
pub use secret::Secret;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sluice_auth::{ClientId, LevelName, Registration};
use sluice_model::TenantId;

/// All settings of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the process keeps what must survive a restart.
    pub data_dir: PathBuf,
    /// Which adapters stand behind the ports.
    pub ports: PortsSection,
    /// The HTTP side.
    pub server: ServerSection,
    /// Tokens and keys.
    pub auth: AuthSection,
    /// What is written down about who did what.
    pub audit: AuditSection,
    /// Planning and handing out.
    pub coordinator: CoordinatorSection,
    /// Exporting chunks.
    pub worker: WorkerSection,
    /// Redis, if the index is there.
    pub redis: RedisSection,
    /// RabbitMQ, if the queue is there.
    pub amqp: AmqpSection,
    /// S3, if the objects are there.
    pub s3: S3Section,
    /// Health, for operators.
    pub admin: AdminSection,
    /// Logging.
    pub log: LogSection,
    /// Traces.
    pub telemetry: TelemetrySection,
    /// The organizations served, by the first part of their FHIR base URL.
    pub tenants: BTreeMap<TenantId, TenantSection>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("sluice-data"),
            ports: PortsSection::default(),
            server: ServerSection::default(),
            auth: AuthSection::default(),
            audit: AuditSection::default(),
            coordinator: CoordinatorSection::default(),
            worker: WorkerSection::default(),
            redis: RedisSection::default(),
            amqp: AmqpSection::default(),
            s3: S3Section::default(),
            admin: AdminSection::default(),
            log: LogSection::default(),
            telemetry: TelemetrySection::default(),
            tenants: BTreeMap::new(),
        }
    }
}

/// One URI a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PortsSection {
    /// Status and progress: `memory:` or `redis://…`.
    pub index: Secret,
    /// Hints: `memory:` or `amqp://…`.
    pub queue: Secret,
    /// Journal and data: `file:DIR`, without DIR `objects` below the data directory; or
    /// `s3://BUCKET[/PREFIX]`.
    pub blobs: String,
}

impl Default for PortsSection {
    fn default() -> Self {
        Self {
            index: Secret::new("memory:"),
            queue: Secret::new("memory:"),
            blobs: "file:".to_owned(),
        }
    }
}

/// The HTTP side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSection {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whether clients must show who they are.
    pub authorization: AuthorizationSetting,
    /// Where clients reach it; unset means `http://`, or `https://` with a certificate, and the
    /// address listened on.
    pub public_url: Option<String>,
    /// The certificate chain to serve TLS with, PEM; read again when it changes.
    pub tls_certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub tls_key: Option<PathBuf>,
    /// How long a file link works.
    pub link_minutes: NonZeroU32,
    /// The largest kick-off body.
    pub max_body_kib: NonZeroU32,
    /// The largest head of a request, its URL included.
    pub max_header_kib: NonZeroU32,
    /// Parameters of a kick-off, each patient counted.
    pub max_parameters: NonZeroU32,
    /// How long a client may take to send the head of a request.
    pub header_seconds: NonZeroU32,
    /// How long it may take to send a body.
    pub body_seconds: NonZeroU32,
    /// How long a connection is kept that asks for nothing.
    pub idle_seconds: NonZeroU32,
    /// Connections at once, for each processor.
    pub max_connections: NonZeroU32,
    /// The shortest wait that a poll is told.
    pub shortest_poll_seconds: NonZeroU32,
    /// The longest.
    pub longest_poll_seconds: NonZeroU32,
    /// Polls at once, on top of what was told, before 429.
    pub poll_burst: NonZeroU32,
    /// How long open downloads may go on at a stop.
    pub drain_seconds: u32,
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            authorization: AuthorizationSetting::default(),
            public_url: None,
            tls_certificate: None,
            tls_key: None,
            link_minutes: nonzero(60),
            max_body_kib: nonzero(4096),
            max_header_kib: nonzero(32),
            max_parameters: nonzero(25_000),
            header_seconds: nonzero(10),
            body_seconds: nonzero(30),
            idle_seconds: nonzero(30),
            max_connections: nonzero(10_000),
            shortest_poll_seconds: nonzero(1),
            longest_poll_seconds: nonzero(60),
            poll_burst: nonzero(10),
            drain_seconds: 30,
        }
    }
}

/// Planning and handing out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoordinatorSection {
    /// Between two looks at every job.
    pub sweep_seconds: NonZeroU32,
    /// Between two comparisons of the index with the journal.
    pub reconcile_seconds: NonZeroU32,
    /// Chunks handed out at once, divided among the jobs that run.
    pub window: NonZeroU32,
    /// A chunk without a sign of life for this long is handed out again.
    pub stale_seconds: NonZeroU32,
    /// One that nobody has begun is handed out again after this long, while the queue is not empty.
    pub unbegun_minutes: NonZeroU32,
    /// How long the name of a deleted export is kept.
    pub tombstone_minutes: NonZeroU32,
    /// Jobs looked at at once.
    pub width: NonZeroU32,
}

impl Default for CoordinatorSection {
    fn default() -> Self {
        Self {
            sweep_seconds: nonzero(15),
            reconcile_seconds: nonzero(300),
            window: nonzero(16),
            stale_seconds: nonzero(60),
            unbegun_minutes: nonzero(10),
            tombstone_minutes: nonzero(60),
            width: nonzero(4),
        }
    }
}

/// Exporting chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerSection {
    /// Chunks at once; unset means one a processor.
    pub slots: Option<NonZeroU32>,
    /// A chunk that takes longer is tried again.
    pub deadline_minutes: NonZeroU32,
    /// How long a silent worker keeps its chunk.
    pub lease_seconds: NonZeroU32,
    /// Waits between tries; after the last try the chunk is given up.
    pub retry_seconds: Vec<u32>,
    /// How long chunks in hand may take at a stop.
    pub drain_seconds: u32,
}

impl Default for WorkerSection {
    fn default() -> Self {
        Self {
            slots: None,
            deadline_minutes: nonzero(10),
            lease_seconds: nonzero(30),
            retry_seconds: vec![1, 5, 30, 120],
            drain_seconds: 60,
        }
    }
}

/// Logging.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// What to log, as tracing's filters say it.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// One organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantSection {
    /// Where its resources come from: `ndjson:DIR`, `synthetic:`, `postgres://…` or `https://…`. It must be set, by whatever part of the
    /// settings; [`crate::load`] looks at the whole of them.
    #[serde(default)]
    pub source: String,
    /// How the database is reached, if that is the source.
    #[serde(default)]
    pub postgres: PostgresSection,
    /// How the FHIR server is read, if that is the source.
    #[serde(default)]
    pub fhir: FhirSection,
    /// The FHIR base below which attachments lie that resources have as `Binary/id`; unset, addresses stay as
    /// they are.
    #[serde(default)]
    pub attachments: Option<String>,
    /// How long a finished export's files stay.
    #[serde(default = "day")]
    pub retention_hours: NonZeroU32,
    /// What a chunk aims at.
    #[serde(default = "chunk")]
    pub chunk_mib: NonZeroU64,
    /// Where a file ends at the next line.
    #[serde(default = "chunk")]
    pub file_mib: NonZeroU64,
    /// How long an export may run.
    #[serde(default = "day")]
    pub give_up_hours: NonZeroU32,
    /// What happens to a request that is the same as one still running; unset means as the preset of
    /// the rules has it, without one "allow".
    #[serde(default)]
    pub duplicates: Option<DuplicatesSetting>,
    /// Exports that one client may have running at once; 0 for any number, and unset means as the
    /// preset has it.
    #[serde(default)]
    pub most_running: Option<u32>,
    /// Exports that one client may start in an hour; 0 for any number.
    #[serde(default)]
    pub kickoffs_per_hour: u32,
    /// The levels that are on.
    #[serde(default = "all_levels")]
    pub levels: BTreeSet<LevelName>,
    /// How files are fetched; unset means as the preset has it, without one "links".
    #[serde(default)]
    pub files: Option<FilesSetting>,
    /// Whether this server issues access tokens itself.
    #[serde(default = "yes")]
    pub own_tokens: bool,
    /// Other OAuth servers whose access tokens are taken.
    #[serde(default)]
    pub issuers: Issuers,
    /// Clients that cannot be changed at run time, except for being disabled.
    #[serde(default)]
    pub clients: BTreeMap<ClientId, Registration>,
    /// The weight where the dispatch window is divided among exports.
    #[serde(default = "one")]
    pub weight: NonZeroU32,
    /// Whether data files are stored as gzip.
    #[serde(default)]
    pub gzip: bool,
    /// Per cent of chunks that may be missing from an export that still counts as complete.
    #[serde(default)]
    pub failed_percent: u32,
    /// What clients may ask for and how, and in which form they are answered.
    #[serde(default)]
    pub rules: RulesSection,
}

impl TenantSection {
    /// A tenant with this source and the defaults.
    pub fn of(source: String) -> Self {
        Self {
            source,
            postgres: PostgresSection::default(),
            fhir: FhirSection::default(),
            retention_hours: day(),
            chunk_mib: chunk(),
            file_mib: chunk(),
            give_up_hours: day(),
            duplicates: None,
            most_running: None,
            kickoffs_per_hour: 0,
            levels: all_levels(),
            files: None,
            own_tokens: true,
            issuers: Issuers::new(),
            clients: BTreeMap::new(),
            weight: one(),
            gzip: false,
            attachments: None,
            failed_percent: 0,
            rules: RulesSection::default(),
        }
    }

    /// The levels that are on and have a method.
    pub fn levels_on(&self) -> BTreeSet<LevelName> {
        let methods = self.rules.rules().methods;
        let has_method = |level: &LevelName| match level {
            LevelName::System => !methods.system.is_empty(),
            LevelName::Patient => !methods.patient.is_empty(),
            LevelName::Group => !methods.group.is_empty(),
        };
        self.levels.iter().copied().filter(has_method).collect()
    }

    /// What happens to a request that is the same as one still running (C-013).
    pub fn duplicates(&self) -> DuplicatesSetting {
        self.duplicates.unwrap_or(match self.rules.preset {
            PresetSetting::Soarian => DuplicatesSetting::Reject,
            PresetSetting::None | PresetSetting::Millennium => DuplicatesSetting::Allow,
        })
    }

    /// Exports that one client may have running at once; 0 for any number (C-035).
    pub fn most_running(&self) -> u32 {
        self.most_running.unwrap_or(match self.rules.preset {
            PresetSetting::Millennium => 1,
            PresetSetting::None | PresetSetting::Soarian => 0,
        })
    }

    /// How files are fetched (C-022, C-046).
    pub fn files(&self) -> FilesSetting {
        self.files.unwrap_or(match self.rules.preset {
            PresetSetting::None => FilesSetting::Links,
            PresetSetting::Soarian => FilesSetting::Stream,
            PresetSetting::Millennium => FilesSetting::Redirect,
        })
    }
}

/// What happens to a request that is the same as one still running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DuplicatesSetting {
    /// Both run.
    #[default]
    Allow,
    /// The second is answered 409.
    Reject,
    /// The second is answered as the first was.
    Join,
}

fn yes() -> bool {
    true
}

fn all_levels() -> BTreeSet<LevelName> {
    BTreeSet::from(LevelName::ALL)
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn day() -> NonZeroU32 {
    nonzero(24)
}

fn chunk() -> NonZeroU64 {
    NonZeroU64::new(128).unwrap_or(NonZeroU64::MIN)
}

fn nonzero(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}
