//! `sluice clients add`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde_json::json;
use sluice_auth::{ClientId, ClientLimits, LevelName, Registration};
use sluice_ports::Entropy;
use sluice_wiring::SystemEntropy;

use super::SOON;
use super::keys::{KeyArgs, KeyFile, Keys};
use super::list::shown;
use super::reach::{ReachArgs, Registry};
use crate::admin_port::Undone;
use crate::terminal::{print, say};

#[derive(Args)]
pub(crate) struct AddArgs {
    /// The client's id; one is made unless set
    #[arg(long)]
    id: Option<ClientId>,
    /// A name for people
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// The most that it is granted; spaces and repeats
    #[arg(long = "scope", value_name = "SCOPE", default_value = "system/*.rs")]
    scopes: Vec<String>,
    /// A Group that it may export, and then no other; may be repeated
    #[arg(long = "group", value_name = "ID")]
    groups: Vec<String>,
    /// A level that it may export; may be repeated. All unless set, or with --group only group
    #[arg(long = "level", value_name = "LEVEL")]
    levels: Vec<LevelArg>,
    /// Exports that it may have running at once
    #[arg(long, value_name = "N")]
    most_running: Option<u32>,
    /// Exports that it may start in an hour
    #[arg(long, value_name = "N")]
    kickoffs_per_hour: Option<u32>,
    #[command(flatten)]
    keys: KeyArgs,
    /// Say what was registered as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: ReachArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum LevelArg {
    System,
    Patient,
    Group,
}

impl LevelArg {
    fn name(self) -> LevelName {
        match self {
            Self::System => LevelName::System,
            Self::Patient => LevelName::Patient,
            Self::Group => LevelName::Group,
        }
    }
}

pub(crate) async fn run(args: AddArgs) -> anyhow::Result<()> {
    let id = match &args.id {
        Some(id) => id.clone(),
        None => new_id()?,
    };
    let keys = args.keys.keys()?;
    let registration = registration(&args, keys.as_ref())?;
    if let Err(problems) = registration.check(&id) {
        bail!(problems.join("; "));
    }
    let registry = args.reach.open_or_make().await?;
    let file = match &keys {
        Some(Keys::Made(key)) => {
            let path = args.keys.key_out.clone();
            let path = path.unwrap_or_else(|| PathBuf::from(format!("{id}.jwk")));
            Some(KeyFile::write(path, key)?)
        }
        _ => None,
    };
    let added = registry.add(&id, &registration).await;
    if let (Err(Undone::Refused(_)), Some(file)) = (&added, &file) {
        file.discard();
    }
    added?;
    let file = file.map(|file| file.path);
    if args.json {
        let told = json!({
            "tenant": registry.tenant, "id": id, "key_file": file,
            "fhir_base": registry.base, "token_endpoint": token_path(&registry),
            "client": shown(&registry.show(&id).await?)?,
        });
        print(&serde_json::to_string_pretty(&told)?);
    } else {
        let keys = keys.as_ref().map(|_| what(&registration));
        print(&told(&registry, &id, keys.as_deref(), file.as_ref()));
    }
    say(SOON);
    Ok(())
}

fn new_id() -> anyhow::Result<ClientId> {
    let mut random = [0; 8];
    SystemEntropy.fill(&mut random)?;
    Ok(format!("c-{:016x}", u64::from_be_bytes(random)).parse()?)
}

fn registration(args: &AddArgs, keys: Option<&Keys>) -> anyhow::Result<Registration> {
    let scopes = args.scopes.iter().flat_map(|text| text.split_whitespace());
    let levels: BTreeSet<LevelName> = args.levels.iter().map(|level| level.name()).collect();
    let mut registration = Registration {
        name: args.name.clone(),
        jwks: None,
        jwks_url: None,
        scopes: scopes.map(str::to_owned).collect(),
        groups: (!args.groups.is_empty()).then(|| args.groups.clone()),
        levels: (!levels.is_empty()).then_some(levels),
        limits: ClientLimits {
            most_running: args.most_running,
            kickoffs_per_hour: args.kickoffs_per_hour,
        },
        enabled: true,
    };
    match keys {
        Some(Keys::Set(set)) => registration.jwks = Some(set.clone()),
        Some(Keys::Url(url)) => registration.jwks_url = Some(url.clone()),
        Some(Keys::Made(key)) => registration.jwks = Some(key.public_jwks()?),
        None => {}
    }
    Ok(registration)
}

fn token_path(registry: &Registry) -> String {
    format!("/{}/oauth2/token", registry.tenant)
}

/// Of `sluice export`, what asks for something that the client may export.
fn what(client: &Registration) -> String {
    let may = |level| {
        client
            .levels
            .as_ref()
            .is_none_or(|levels| levels.contains(&level))
    };
    match client.groups.as_ref().and_then(|groups| groups.first()) {
        Some(group) => format!(" --group {group}"),
        None if may(LevelName::Patient) => String::new(),
        None if may(LevelName::System) => " --system".to_owned(),
        None => " --group GROUP-ID".to_owned(),
    }
}

/// What the client's side has to know; `what` it exports, if it gets its tokens here.
fn told(registry: &Registry, id: &ClientId, what: Option<&str>, file: Option<&PathBuf>) -> String {
    let tenant = &registry.tenant;
    let base = registry.base.clone();
    let base = base.unwrap_or_else(|| format!("https://YOUR-SERVER/{tenant}/fhir"));
    let text = format!("client id       {id}\nFHIR base       {base}\n");
    let Some(what) = what else {
        return text
            + &format!(
                "tokens          from the OAuth server in tenants.{tenant}.issuers, as no keys are \
                 registered"
            );
    };
    let key = file.map(|file| file.display().to_string());
    let written = key
        .as_ref()
        .map(|key| format!("private key     {key}, readable by you only and known nowhere else\n"));
    format!(
        "{text}{}token endpoint  {}\n\nto export\n  sluice export --server {base} --client-id {id} \
         --key {}{what} --out export",
        written.unwrap_or_default(),
        token_path(registry),
        key.as_deref().unwrap_or("YOUR-PRIVATE-KEY"),
    )
}
