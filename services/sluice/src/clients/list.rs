//! `sluice clients list` and `show`.

use clap::Args;
use serde_json::{Value, json};
use sluice_auth::{LevelName, Registration};
use sluice_engine::ClientView;

use super::keys::kids_of;
use super::reach::ReachArgs;
use crate::terminal::{print, say, table};

const HEAD: [&str; 7] = [
    "ID", "NAME", "ENABLED", "SCOPES", "GROUPS", "LEVELS", "FROM",
];

#[derive(Args)]
pub(crate) struct ListArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: ReachArgs,
}

pub(crate) async fn run(args: ListArgs) -> anyhow::Result<()> {
    let registry = args.reach.open().await?;
    let clients = registry.list().await?;
    if args.json {
        let shown = clients.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
        print(&serde_json::to_string_pretty(&json!({ "clients": shown }))?);
    } else if clients.is_empty() {
        say(&format!("tenant {} has no clients", registry.tenant));
    } else {
        print(&table(HEAD, clients.iter().map(row)));
    }
    Ok(())
}

/// Prints one client.
pub(crate) fn show(view: &ClientView) -> anyhow::Result<()> {
    print(&serde_json::to_string_pretty(&shown(view)?)?);
    Ok(())
}

/// With the names of its keys, which are what one looks for.
pub(crate) fn shown(view: &ClientView) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(view)?;
    if let Some(set) = &view.registration.jwks {
        value["kids"] = kids_of(set).into();
    }
    Ok(value)
}

fn row(view: &ClientView) -> [String; 7] {
    let client = &view.registration;
    let all = || "all".to_owned();
    [
        view.id.to_string(),
        client.name.clone(),
        if client.enabled { "yes" } else { "no" }.to_owned(),
        client.scopes.join(" "),
        client
            .groups
            .as_ref()
            .map_or_else(all, |groups| groups.join(" ")),
        levels(client),
        if view.declared {
            "settings"
        } else {
            "registry"
        }
        .to_owned(),
    ]
}

/// What it may export at, also where that follows from something else.
fn levels(client: &Registration) -> String {
    let name = |level: &LevelName| match level {
        LevelName::System => "system",
        LevelName::Patient => "patient",
        LevelName::Group => "group",
    };
    match (&client.levels, &client.groups) {
        (Some(levels), _) => levels.iter().map(name).collect::<Vec<_>>().join(" "),
        (None, Some(_)) => "group".to_owned(),
        (None, None) => "all".to_owned(),
    }
}
