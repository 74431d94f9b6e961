//! `sluice dispatch`: stops handing out chunks, of a tenant or of all, and lets it go on.

use clap::{Args, Subcommand};
use reqwest::Method;
use sluice_engine::DispatchView;
use sluice_fhir::Instant;
use sluice_model::TenantId;

use crate::admin_port::{AdminPort, AskArgs};
use crate::terminal::table;

#[derive(Args)]
pub(crate) struct DispatchArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show what is paused, and how much waits in the queue
    Show(AskArgs),
    /// Hand out no chunk more, until it is resumed; exports are still accepted
    Pause(ChangeArgs),
    /// Hand out chunks again
    Resume(ChangeArgs),
}

#[derive(Args)]
struct ChangeArgs {
    /// Of this tenant only
    #[arg(long, value_name = "NAME")]
    tenant: Option<TenantId>,
    #[command(flatten)]
    ask: AskArgs,
}

pub(crate) async fn run(args: DispatchArgs) -> anyhow::Result<()> {
    match args.action {
        Action::Show(args) => show(&args.open()?, &args).await,
        Action::Pause(args) => change(&args, "pause").await,
        Action::Resume(args) => change(&args, "resume").await,
    }
}

async fn change(args: &ChangeArgs, what: &str) -> anyhow::Result<()> {
    let port = args.ask.open()?;
    let tenant = args.tenant.iter().map(TenantId::as_str);
    let path: Vec<&str> = ["dispatch"]
        .into_iter()
        .chain(tenant)
        .chain([what])
        .collect();
    port.ask(Method::POST, (&path, &[]), None).await?;
    show(&port, &args.ask).await
}

async fn show(port: &AdminPort, args: &AskArgs) -> anyhow::Result<()> {
    let shown: DispatchView = port.get(&["dispatch"], &[]).await?;
    args.show(&shown, in_words)
}

fn in_words(shown: &DispatchView) -> String {
    let all = ["everything".to_owned(), state(shown.paused, shown.since)];
    let tenants = shown.tenants.iter();
    let tenants = tenants.map(|one| [one.tenant.to_string(), state(one.paused, one.since)]);
    let states = table(["DISPATCH", "STATE"], std::iter::once(all).chain(tenants));
    let waiting = shown.waiting;
    format!(
        "{states}\nwaiting in the queue: {} chunks, {} looks at jobs, {} dead",
        waiting.chunks, waiting.jobs, waiting.dead
    )
}

fn state(paused: bool, since: Option<Instant>) -> String {
    match (paused, since) {
        (true, Some(since)) => format!("paused since {since}"),
        (true, None) => "paused".to_owned(),
        (false, _) => "goes on".to_owned(),
    }
}
