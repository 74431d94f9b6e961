//! `sluice worker`: lets a worker finish what it has and take no more, or take again.

use clap::{Args, Subcommand};
use reqwest::Method;

use crate::admin_port::AskArgs;

const ABOUT: &str = "--admin names the admin port of that worker; a gateway's knows of none.";

#[derive(Args)]
#[command(after_help = ABOUT)]
pub(crate) struct WorkerArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Take no more chunks and finish those in hand; the worker is not ready meanwhile
    Drain(AskArgs),
    /// Take chunks again
    Undrain(AskArgs),
    /// Show whether it takes chunks, and how many are in hand
    Show(AskArgs),
}

pub(crate) async fn run(args: WorkerArgs) -> anyhow::Result<()> {
    let (method, args) = match args.action {
        Action::Drain(args) => (Method::POST, args),
        Action::Undrain(args) => (Method::DELETE, args),
        Action::Show(args) => (Method::GET, args),
    };
    let port = args.open()?;
    let answer = port.ask(method, (&["drain"], &[]), None).await?;
    args.show(&answer, |answer| {
        let state = answer["state"].as_str().unwrap_or("unknown");
        let in_hand = answer["in_hand"].as_u64().unwrap_or_default();
        format!("{state}, {in_hand} chunks in hand")
    })
}
