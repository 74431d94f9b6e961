//! `sluice jobs`: the exports of a running server, as an operator sees and cancels them.

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::json;
use sluice_engine::{ChunkPage, ChunkState, ChunkView, JobDetails, JobList, JobView};
use sluice_model::{JobRef, TenantId};

use crate::admin_port::{AdminPort, AskArgs};
use crate::terminal::{bytes, count, say, table, time};

const JOB_HEAD: [&str; 8] = [
    "JOB", "STATE", "AGE", "CHUNKS", "FAILED", "WRITTEN", "LEVEL", "CLIENT",
];
const CHUNK_HEAD: [&str; 6] = ["CHUNK", "STATE", "SINCE", "WRITTEN", "TYPES", "WHY"];

#[derive(Args)]
pub(crate) struct JobsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List exports, the newest first
    List(ListArgs),
    /// Show one export
    Show(OneArgs),
    /// Show the chunks of an export
    Chunks(ChunksArgs),
    /// Cancel an export: its client then hears that there is none, and its files go
    Cancel(OneArgs),
    /// Have chunks tried again that no worker could handle and that wait; pause the dispatch first
    RequeueDead(AskArgs),
}

#[derive(Args)]
struct ListArgs {
    /// Of this tenant only
    #[arg(long, value_name = "NAME")]
    tenant: Option<TenantId>,
    /// In this state only
    #[arg(long)]
    state: Option<StateArg>,
    /// No more than so many
    #[arg(long, value_name = "N", default_value = "100")]
    limit: u16,
    /// After the export that a list before ended with, as it told
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum StateArg {
    /// Accepted or exporting
    Running,
    Accepted,
    Exporting,
    Complete,
    Failed,
    Cancelled,
}

#[derive(Args)]
struct OneArgs {
    /// The export: TENANT/JOB, or JOB of the tenant `default`
    #[arg(value_name = "JOB")]
    job: String,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Args)]
struct ChunksArgs {
    /// In this state only
    #[arg(long)]
    state: Option<ChunkStateArg>,
    #[command(flatten)]
    one: OneArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum ChunkStateArg {
    Waiting,
    HandedOut,
    Done,
    Failed,
}

impl ChunkStateArg {
    fn state(self) -> ChunkState {
        match self {
            Self::Waiting => ChunkState::Waiting,
            Self::HandedOut => ChunkState::HandedOut,
            Self::Done => ChunkState::Done,
            Self::Failed => ChunkState::Failed,
        }
    }
}

pub(crate) async fn run(args: JobsArgs) -> anyhow::Result<()> {
    match args.action {
        Action::List(args) => list(&args).await,
        Action::Show(args) => show(&args).await,
        Action::Chunks(args) => chunks(&args).await,
        Action::Cancel(args) => cancel(&args).await,
        Action::RequeueDead(args) => requeue_dead(&args).await,
    }
}

async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(
        args.tenant
            .iter()
            .map(|tenant| ("tenant", tenant.to_string())),
    );
    query.extend(args.after.iter().map(|after| ("after", after.clone())));
    let state = args.state.and_then(|state| state.to_possible_value());
    query.extend(state.map(|state| ("state", state.get_name().to_owned())));
    let port = args.ask.open()?;
    let listed: JobList = port.get(&["jobs"], &query).await?;
    if listed.jobs.is_empty() && !args.ask.json {
        say("there are no such exports");
    } else {
        let rows = |listed: &JobList| table(JOB_HEAD, listed.jobs.iter().map(row));
        args.ask.show(&listed, rows)?;
    }
    if let (Some(next), false) = (&listed.next, args.ask.json) {
        say(&format!("there are more: --after {next}"));
    }
    Ok(())
}

fn row(job: &JobView) -> [String; 8] {
    let unknown = || "-".to_owned();
    let level = match &job.group {
        Some(group) => format!("group {group}"),
        None => job.level.clone(),
    };
    [
        format!("{}/{}", job.tenant, job.job),
        word(&job.state),
        time(job.age_seconds),
        job.chunks.map_or_else(unknown, |chunks| {
            let open = if chunks.sealed { "" } else { "+" };
            format!("{}/{}{open}", chunks.done, chunks.planned)
        }),
        job.chunks
            .map_or_else(unknown, |chunks| chunks.failed.to_string()),
        written(job.written),
        level,
        job.client.clone().unwrap_or_else(unknown),
    ]
}

fn written(tally: sluice_model::Tally) -> String {
    if tally.resources == 0 {
        return "-".to_owned();
    }
    format!("{} ({})", count(tally.resources), bytes(tally.bytes))
}

/// Its word in JSON.
fn word(state: &impl serde::Serialize) -> String {
    let word = serde_json::to_value(state).unwrap_or_default();
    word.as_str().unwrap_or("-").to_owned()
}

impl OneArgs {
    fn open(&self) -> anyhow::Result<(AdminPort, JobRef)> {
        let (tenant, job) = self.job.split_once('/').unwrap_or(("default", &self.job));
        match (tenant.parse(), job.parse()) {
            (Ok(tenant), Ok(job)) => Ok((self.ask.open()?, JobRef { tenant, job })),
            _ => bail!(
                "{}: it must be TENANT/JOB, as `sluice jobs list` has it",
                self.job
            ),
        }
    }
}

async fn show(args: &OneArgs) -> anyhow::Result<()> {
    let (port, job) = args.open()?;
    let path = ["jobs", job.tenant.as_str(), &job.job.to_string()];
    let shown: JobDetails = port.get(&path, &[]).await?;
    args.ask.show(&shown, in_words)
}

fn in_words(shown: &JobDetails) -> String {
    let types: Vec<&str> = shown.types.iter().map(|kind| kind.name()).collect();
    let named = |name: &str, value: Option<String>| {
        value.map_or(String::new(), |value| format!("\n{name:17}{value}"))
    };
    let told = [
        named("accepted", Some(shown.job.accepted_at.to_string())),
        named("ended", shown.job.ended_at.map(|at| at.to_string())),
        named("transaction time", Some(shown.transaction_time.to_string())),
        named("since", shown.since.map(|at| at.to_string())),
        named("until", shown.until.map(|at| at.to_string())),
        named(
            "patients",
            shown.patients.map(|number| format!("{number} named")),
        ),
        named("types", Some(types.join(" "))),
        named("expected", Some(written(shown.job.expected))),
        named("paused", shown.paused.then(|| "yes".to_owned())),
        named("files go", shown.expires_at.map(|at| at.to_string())),
        named("failed", shown.failure.as_ref().map(|why| why.text.clone())),
        named("withdrawn", shown.withdrawn.map(|why| word(&why))),
    ];
    let summary = table(JOB_HEAD, [row(&shown.job)].into_iter());
    format!("{summary}\n{}", told.concat().trim_start())
}

/// Asks page by page, as the port tells no more at once.
async fn chunks(args: &ChunksArgs) -> anyhow::Result<()> {
    let (port, job) = args.one.open()?;
    let path = ["jobs", job.tenant.as_str(), &job.job.to_string(), "chunks"];
    let wanted = args.state.map(ChunkStateArg::state);
    let (mut all, mut query) = (Vec::new(), Vec::new());
    loop {
        let page: ChunkPage = port.get(&path, &query).await?;
        let is_wanted = |chunk: &ChunkView| wanted.is_none_or(|state| state == chunk.state);
        all.extend(page.chunks.into_iter().filter(is_wanted));
        let Some(next) = page.next else {
            break;
        };
        query = vec![("after", next.to_string())];
    }
    if all.is_empty() && !args.one.ask.json {
        say("there are no such chunks");
        return Ok(());
    }
    args.one.ask.show(&json!({ "chunks": all }), |_| {
        table(CHUNK_HEAD, all.iter().map(chunk_row))
    })
}

fn chunk_row(chunk: &ChunkView) -> [String; 6] {
    let types: Vec<&str> = chunk.types.iter().map(|kind| kind.name()).collect();
    let begun = if chunk.begun { ", begun" } else { "" };
    let since = chunk.since.map(|since| format!("{since}{begun}"));
    let why = chunk.failure.as_ref().map(|why| why.text.clone());
    [
        chunk.chunk.to_string(),
        word(&chunk.state),
        since.unwrap_or_else(|| "-".to_owned()),
        chunk.written.map_or_else(|| "-".to_owned(), written),
        types.join(" "),
        why.unwrap_or_default(),
    ]
}

async fn cancel(args: &OneArgs) -> anyhow::Result<()> {
    let (port, job) = args.open()?;
    let path = ["jobs", job.tenant.as_str(), &job.job.to_string()];
    port.ask(Method::DELETE, (&path, &[]), None).await?;
    args.ask
        .show(&json!({ "cancelled": job.to_string() }), |_| {
            format!("{job} is cancelled; its files go")
        })
}

async fn requeue_dead(args: &AskArgs) -> anyhow::Result<()> {
    let port = args.open()?;
    let path = ["dead", "requeue"];
    let answer = port.ask(Method::POST, (&path, &[]), None).await?;
    args.show(&answer, |answer| {
        let moved = answer["requeued"].as_u64().unwrap_or_default();
        format!("{moved} are tried again")
    })
}
