//! Reads the settings: defaults, then one TOML file, then `SLUICE_*` variables. Whatever is
//! unknown or wrong is refused together with the place where it stands.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

mod access;
mod rules;
mod source;

use crate::Settings;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings file {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// The file says something that is not a setting; the text has line and column.
    #[error("{}: {}", .0.display(), .1.to_string().trim_end())]
    File(PathBuf, toml::de::Error),
    /// A variable says something that is not a setting.
    #[error("environment variable {0}: {1}")]
    Variable(String, String),
    /// Two settings do not go together.
    #[error("{0}")]
    Conflict(String),
}

const PREFIX: &str = "SLUICE_";
/// Chunks that one process exports at once, at most: each holds threads and memory.
const MOST_SLOTS: u32 = 64;

/// A variable that ends so names a file that holds the value, as orchestrators hand out secrets.
const FROM_FILE: &str = "_FILE";

fn secret(name: &str, path: &str) -> Result<String, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        SettingsError::Variable(format!("{name}{FROM_FILE}"), format!("{path}: {error}"))
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// The `SLUICE_*` variables of this process.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub fn environment() -> Vec<(String, String)> {
    std::env::vars()
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect()
}

/// Reads the file, if one is named, and lays the variables over it. `SLUICE_SERVER__LISTEN` is
/// `listen` in `[server]`.
pub fn load(
    file: Option<&Path>,
    variables: &[(String, String)],
) -> Result<Settings, SettingsError> {
    let mut table = match file {
        Some(path) => read(path)?,
        None => Table::new(),
    };
    for (name, value) in variables {
        table = match name.strip_suffix(FROM_FILE) {
            Some(name) => overlay(&table, name, &secret(name, value)?)?,
            None => overlay(&table, name, value)?,
        };
    }
    let settings = Settings::deserialize_table(table)
        .map_err(|error| SettingsError::Conflict(error.to_string()))?;
    check(&settings)?;
    Ok(settings)
}

impl Settings {
    fn deserialize_table(table: Table) -> Result<Self, toml::de::Error> {
        Value::Table(table).try_into()
    }
}

fn read(path: &Path) -> Result<Table, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| SettingsError::Read(path.to_owned(), error))?;
    let wrong = |error| SettingsError::File(path.to_owned(), error);
    // As settings first: only then does an error know its line.
    toml::from_str::<Settings>(&text).map_err(wrong)?;
    toml::from_str(&text).map_err(wrong)
}

/// Tries the value as TOML and as text, so that neither numbers nor words need quotes.
fn overlay(table: &Table, name: &str, text: &str) -> Result<Table, SettingsError> {
    let path = name
        .strip_prefix(PREFIX)
        .unwrap_or(name)
        .to_ascii_lowercase();
    let keys: Vec<&str> = path.split("__").collect();
    let parsed = toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"));
    let mut problem = None;
    for value in parsed.into_iter().chain([Value::String(text.to_owned())]) {
        let mut trial = table.clone();
        insert(&mut trial, &keys, value)
            .ok_or_else(|| SettingsError::Variable(name.to_owned(), "no such setting".into()))?;
        match Settings::deserialize_table(trial.clone()) {
            Ok(_) => return Ok(trial),
            Err(error) => problem = problem.or(Some(error)),
        }
    }
    let problem = problem.map(|error| error.message().to_owned());
    Err(SettingsError::Variable(
        name.to_owned(),
        problem.unwrap_or_default(),
    ))
}

fn insert(table: &mut Table, keys: &[&str], value: Value) -> Option<()> {
    let (last, sections) = keys.split_last()?;
    let mut place = table;
    for section in sections {
        place = place
            .entry(*section)
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()?;
    }
    place.insert((*last).to_owned(), value);
    Some(())
}

fn conflict(text: String) -> Result<(), SettingsError> {
    Err(SettingsError::Conflict(text))
}

fn check(settings: &Settings) -> Result<(), SettingsError> {
    access::check(settings)?;
    let server = &settings.server;
    if server.shortest_poll_seconds > server.longest_poll_seconds {
        return conflict(
            "server.shortest_poll_seconds is larger than server.longest_poll_seconds".to_owned(),
        );
    }
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&settings.log.filter) {
        return conflict(format!("log.filter: {error}"));
    }
    check_telemetry(settings)?;
    check_work(settings)?;
    for (name, tenant) in &settings.tenants {
        if tenant.source.is_empty() {
            return conflict(format!(
                "tenants.{name}.source is not set: it says where the resources come from, such as \
                 ndjson:DIR"
            ));
        }
        access::check_tenant(name, tenant)?;
        source::check(name, tenant)?;
        rules::check(name, tenant)?;
        if let Some(base) = &tenant.attachments
            && !is_base(base)
        {
            return conflict(format!(
                "tenants.{name}.attachments is {base:?}: it must be the https:// or http:// base below which \
                 Binary/id is found, without query or fragment"
            ));
        }
        if tenant.failed_percent > 100 {
            return conflict(format!(
                "tenants.{name}.failed_percent is {}: it must be 0 to 100",
                tenant.failed_percent
            ));
        }
    }
    Ok(())
}

/// Whether something is an address below which others lie, and may stand in JSON as it is.
fn is_base(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let may = |byte: u8| byte.is_ascii_graphic() && !b"\"\\?#<>@".contains(&byte);
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(may))
}

fn check_telemetry(settings: &Settings) -> Result<(), SettingsError> {
    let telemetry = &settings.telemetry;
    if telemetry.sample_percent > 100 {
        return conflict(format!(
            "telemetry.sample_percent is {}: it must be 0 to 100",
            telemetry.sample_percent
        ));
    }
    match &telemetry.otlp_endpoint {
        Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
            conflict(format!(
                "telemetry.otlp_endpoint is {url:?}: it must be the http:// or https:// address of \
                 a collector, such as http://127.0.0.1:4318"
            ))
        }
        _ => Ok(()),
    }
}

fn check_work(settings: &Settings) -> Result<(), SettingsError> {
    if settings
        .worker
        .slots
        .is_some_and(|slots| slots.get() > MOST_SLOTS)
    {
        return conflict(format!(
            "worker.slots is more than {MOST_SLOTS}; run more workers instead"
        ));
    }
    let (deadline, broker) = (settings.worker.deadline_minutes, &settings.amqp);
    if deadline.get().saturating_mul(2) > broker.consumer_timeout_minutes.get() {
        return conflict(format!(
            "worker.deadline_minutes is {deadline}: it must be at most half of \
             amqp.consumer_timeout_minutes, or the broker takes chunks away that are being exported"
        ));
    }
    let tombstone = u64::from(settings.coordinator.tombstone_minutes.get());
    if tombstone <= u64::from(settings.worker.deadline_minutes.get()) {
        return conflict(
            "coordinator.tombstone_minutes must be larger than worker.deadline_minutes, so that no \
             worker still writes for an export whose name is forgotten"
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sluice.toml");
        std::fs::write(&path, text).unwrap();
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        load(Some(&path), &variables)
    }

    #[test]
    fn nothing_said_means_the_defaults() {
        assert_eq!(from("", &[]).unwrap(), Settings::default());
    }

    #[test]
    fn variables_lie_over_the_file() {
        let settings = from(
            "[server]\nlisten = \"127.0.0.1:1\"\nlink_minutes = 5",
            &[
                ("SLUICE_SERVER__LISTEN", "127.0.0.1:2"),
                ("SLUICE_WORKER__RETRY_SECONDS", "[7]"),
                // In either order: a part of a section may come before what it needs.
                ("SLUICE_TENANTS__DEFAULT__CHUNK_MIB", "1"),
                ("SLUICE_TENANTS__DEFAULT__SOURCE", "ndjson:x"),
                ("SLUICE_DATA_DIR", "elsewhere"),
            ],
        )
        .unwrap();
        assert_eq!(settings.server.listen.port(), 2);
        assert_eq!(settings.server.link_minutes.get(), 5);
        assert_eq!(settings.worker.retry_seconds, [7]);
        assert_eq!(settings.tenants.len(), 1);
        assert_eq!(settings.data_dir, Path::new("elsewhere"));
    }

    #[test]
    fn secrets_may_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue");
        std::fs::write(&path, "amqp://me:secret@h/\n").unwrap();
        let name = "SLUICE_PORTS__QUEUE_FILE";
        let settings = from("", &[(name, path.to_str().unwrap())]).unwrap();
        assert_eq!(settings.ports.queue.reveal(), "amqp://me:secret@h/");
        let missing = from("", &[(name, "/no/such")]).unwrap_err().to_string();
        assert!(missing.contains(name), "{missing}");
    }

    #[test]
    fn unknown_and_wrong_settings_are_refused_with_their_place() {
        let text = |error: SettingsError| error.to_string();
        let wrong = text(from("[server]\nlissten = 1", &[]).unwrap_err());
        assert!(
            wrong.contains("line 2") && wrong.contains("lissten"),
            "{wrong}"
        );
        let wrong = text(from("\n[worker]\nslots = 0", &[]).unwrap_err());
        assert!(wrong.contains("line 3"), "{wrong}");
        let wrong = text(from("", &[("SLUICE_SERVER__LISSTEN", "1")]).unwrap_err());
        assert!(wrong.contains("SLUICE_SERVER__LISSTEN"), "{wrong}");
        let wrong = text(from("", &[("SLUICE_SERVER__LINK_MINUTES", "x")]).unwrap_err());
        assert!(wrong.contains("SLUICE_SERVER__LINK_MINUTES"), "{wrong}");
        assert!(from("[tenants.\"No Such\"]\nsource = \"ndjson:x\"", &[]).is_err());
    }

    #[test]
    fn settings_that_do_not_go_together_are_refused() {
        for text in [
            "[server]\nlisten = \"0.0.0.0:80\"",
            "[server]\nlisten = \"0.0.0.0:80\"\npublic_url = \"http://h\"",
            "[server]\npublic_url = \"http://bulk.example.org\"",
            "[server]\npublic_url = \"https://bulk.example.org\"\nauthorization = \"off\"",
            "[server]\npublic_url = \"https://127.0.0.1.example.org\"\nauthorization = \"off\"",
            "[server]\npublic_url = \"http://127.0.0.1@example.org\"",
            "[server]\npublic_url = \"https://\"",
            "[server]\nlisten = \"0.0.0.0:80\"\npublic_url = \"https://h\"\nauthorization = \"off\"",
            "[server]\ntls_key = \"key.pem\"",
            "[auth]\ntoken_seconds = 301",
            "[auth]\nsecret = \"short\"",
            "[auth]\nprevious_secret = \"a secret that is long enough for it\"",
            "[admin]\nsecret = \"short\"",
            "[audit]\nsink = \"elsewhere\"",
            "[tenants.default]\nsource = \"ndjson:x\"\nlevels = []",
            "[tenants.default]\nsource = \"ndjson:x\"\nown_tokens = false",
            "[tenants.default]\nsource = \"ndjson:x\"\n[tenants.default.clients.x]\nscopes = [\"a\"]",
            "[tenants.default]\nsource = \"ndjson:x\"\n[tenants.default.issuers.x]\nissuer = \"i\"\n\
             audience = \"a\"\njwks_url = \"http://h\"",
            "[server]\npublic_url = \"https://h/\"",
            "[server]\npublic_url = \"https://h?x\"",
            "[log]\nfilter = \"foo=bar=baz\"",
            "[server]\nshortest_poll_seconds = 99",
            "[coordinator]\ntombstone_minutes = 5",
            "[worker]\ndeadline_minutes = 20",
            "[telemetry]\nsample_percent = 101",
            "[telemetry]\notlp_endpoint = \"localhost:4317\"",
            "[tenants.default]\nchunk_mib = 5",
        ] {
            assert!(
                matches!(from(text, &[]), Err(SettingsError::Conflict(_))),
                "{text}"
            );
        }
    }

    /// The sample file shows every setting, each at its default, with the tenant as an example.
    #[test]
    fn the_sample_file_is_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/sluice.toml");
        let sample = load(Some(&path), &[]).unwrap();
        let mut expected = Settings::default();
        let name = "default".parse().unwrap();
        let mut tenant = crate::TenantSection::of("ndjson:data".to_owned());
        // Of a source that this tenant does not have.
        tenant.postgres = crate::PostgresSection::default();
        tenant.fhir = crate::FhirSection::default();
        // What they are without a preset.
        tenant.duplicates = Some(tenant.duplicates());
        tenant.most_running = Some(tenant.most_running());
        tenant.files = Some(tenant.files());
        expected.tenants.insert(name, tenant);
        // Shown in the file although their default is to be found out at the start.
        expected.server.public_url = Some("http://127.0.0.1:8080".to_owned());
        expected.s3.endpoint = Some("https://s3.example.org".to_owned());
        expected.s3.public_endpoint = Some("https://files.example.org".to_owned());
        expected.s3.access_key_id = Some("AKIAEXAMPLE".to_owned());
        expected.s3.kms_key_id = Some("alias/sluice".to_owned());
        expected.server.tls_certificate = Some("tls.crt".into());
        expected.server.tls_key = Some("tls.key".into());
        expected.auth.jwks_ca_file = Some("ca.pem".into());
        expected.admin.listen = Some("127.0.0.1:9090".parse().unwrap());
        expected.telemetry.otlp_endpoint = Some("http://127.0.0.1:4318".to_owned());
        expected.worker.slots = std::num::NonZeroU32::new(2);
        assert_eq!(sample, expected);
        let text = std::fs::read_to_string(&path).unwrap();
        let shown: Table = toml::from_str(&text).unwrap();
        let all = Table::try_from(&expected).unwrap();
        assert_same_keys(&shown, &all, "");
    }

    fn assert_same_keys(shown: &Table, all: &Table, place: &str) {
        for (key, value) in all {
            let found = shown.get(key);
            assert!(
                found.is_some(),
                "deploy/sluice.toml does not show {place}{key}"
            );
            if let (Value::Table(all), Some(Value::Table(shown))) = (value, found) {
                assert_same_keys(shown, all, &format!("{place}{key}."));
            }
        }
    }

    #[test]
    fn r_199_attachments_lie_below_a_base_that_can_stand_in_json() {
        let with = |base: &str| {
            from(
                &format!("[tenants.default]\nsource = \"ndjson:x\"\nattachments = '{base}'"),
                &[],
            )
        };
        for fine in ["https://ehr.example.org/fhir", "http://127.0.0.1:8080"] {
            assert!(with(fine).is_ok(), "{fine}");
        }
        for wrong in [
            "",
            "ehr/fhir",
            "https://",
            "https:///x",
            "https://h/\"",
            "https://h?x",
            "https://u@h",
        ] {
            let error = with(wrong).unwrap_err().to_string();
            assert!(error.contains("tenants.default.attachments"), "{error}");
        }
    }
}
