//! `sluice log-filter`: what a running process logs, changed for a while.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

use crate::admin_port::AskArgs;
use crate::terminal::time;

const PATH: [&str; 2] = ["log", "filter"];

#[derive(Args)]
pub(crate) struct LogFilterArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show what is logged
    Get(AskArgs),
    /// Log by another filter, such as `info,sluice_engine=debug`, for a while
    Set(SetArgs),
    /// Log as the settings say
    Reset(AskArgs),
}

#[derive(Args)]
struct SetArgs {
    /// The filter
    filter: String,
    /// For so long
    #[arg(long, value_name = "N", default_value = "15")]
    minutes: u64,
    #[command(flatten)]
    ask: AskArgs,
}

pub(crate) async fn run(args: LogFilterArgs) -> anyhow::Result<()> {
    let (method, body, args) = match args.action {
        Action::Get(args) => (Method::GET, None, args),
        Action::Reset(args) => (Method::DELETE, None, args),
        Action::Set(args) => {
            let body = json!({ "filter": args.filter, "minutes": args.minutes });
            (Method::PUT, Some(body), args.ask)
        }
    };
    let port = args.open()?;
    let answer = port.ask(method, (&PATH, &[]), body.as_ref()).await?;
    args.show(&answer, |answer| {
        let text = |name: &str| answer[name].as_str().unwrap_or("-");
        match answer["seconds_left"].as_u64() {
            Some(left) => format!(
                "{}\nfor {} more, then {}",
                text("filter"),
                time(left),
                text("configured")
            ),
            None => text("filter").to_owned(),
        }
    })
}
