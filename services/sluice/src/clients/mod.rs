//! `sluice clients`: who may export, as an administrator registers them.

mod add;
mod keys;
mod list;
mod reach;
mod remote;
mod rotate;

use clap::{Args, Subcommand};
use sluice_auth::ClientId;

use crate::terminal::{print, say};
use reach::{ReachArgs, Registry};

const ABOUT: &str = "\
Works on the store that the settings name, also beside a running `sluice serve` and as the same \
user, or with --admin on a running server from afar. Every gateway knows of a change within 10 \
seconds.";

/// Said after every change.
const SOON: &str = "every gateway knows of it within 10 seconds";

#[derive(Args)]
#[command(after_help = ABOUT)]
pub(crate) struct ClientsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Register a client
    Add(add::AddArgs),
    /// Show all clients of a tenant
    List(list::ListArgs),
    /// Show one client, with its public keys, as JSON
    Show(OneArgs),
    /// Stop a client, until it is enabled again
    Disable(OneArgs),
    /// Let a client that was disabled work again
    Enable(OneArgs),
    /// Give a client new keys, beside the old ones or instead of them
    Rotate(rotate::RotateArgs),
    /// Remove a client for good; its id can never be used again
    Remove(OneArgs),
}

#[derive(Args)]
struct OneArgs {
    /// The client's id
    id: ClientId,
    #[command(flatten)]
    reach: ReachArgs,
}

pub(crate) async fn run(args: ClientsArgs) -> anyhow::Result<()> {
    match args.action {
        Action::Add(args) => add::run(args).await,
        Action::List(args) => list::run(args).await,
        Action::Show(args) => {
            let view = args.reach.open().await?.show(&args.id).await?;
            list::show(&view)
        }
        Action::Disable(args) => switch(&args, false).await,
        Action::Enable(args) => switch(&args, true).await,
        Action::Rotate(args) => rotate::run(args).await,
        Action::Remove(args) => remove(&args).await,
    }
}

async fn switch(args: &OneArgs, enabled: bool) -> anyhow::Result<()> {
    let registry = args.reach.open().await?;
    registry.set_enabled(&args.id, enabled).await?;
    let id = &args.id;
    if !enabled {
        print(&format!("{id} is disabled"));
    } else if registry.show(id).await?.registration.enabled {
        print(&format!("{id} is enabled"));
    } else {
        print(&format!("{id} stays disabled, as the settings say so"));
    }
    say(SOON);
    Ok(())
}

async fn remove(args: &OneArgs) -> anyhow::Result<()> {
    let registry: Registry = args.reach.open().await?;
    registry.remove(&args.id).await?;
    print(&format!(
        "{} is removed; this id can never be used again, so that nobody inherits its exports",
        args.id
    ));
    say(SOON);
    Ok(())
}
