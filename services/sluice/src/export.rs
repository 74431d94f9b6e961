//! `sluice export`: the client on the command line.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgGroup, Args};
use sluice_client::{
    Credentials, Event, ExportError, ExportOptions, Level, Observer, PrivateKey, Summary, Url,
};
use tokio_util::sync::CancellationToken;

use crate::bars::Bars;
use crate::terminal::{bytes, count, print, say};

const EXIT_CODES: &str = "\
Exit codes:
    0  every file is there and verified
    2  the server refused the export or does not let the client in, or the command line is wrong
    3  the export failed on the server
    4  the server does not have the export any more
    5  a file is not what the manifest says
    6  the server could not be reached, or its answer makes no sense
    7  the folder or an option cannot be used
  130  interrupted; the same command goes on";

#[derive(Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
#[command(after_help = EXIT_CODES)]
#[command(group(ArgGroup::new("level").args(["group", "patient_level", "system"])))]
pub(crate) struct ExportArgs {
    /// The FHIR base URL; a Sluice's ends in /TENANT/fhir
    #[arg(long, value_name = "URL")]
    server: Url,
    /// Export the members of this Group
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    /// Export all patients (the default)
    #[arg(long)]
    patient_level: bool,
    /// Export everything
    #[arg(long)]
    system: bool,
    /// Only these resource types; commas and repeats
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// Only what changed later than this instant
    #[arg(long, value_name = "INSTANT")]
    since: Option<String>,
    /// Only what changed earlier than this instant
    #[arg(long, value_name = "INSTANT")]
    until: Option<String>,
    /// Of a type, only what meets this search, such as "Observation?category=laboratory"; repeats
    #[arg(long = "type-filter", value_name = "TYPE?SEARCH")]
    filters: Vec<String>,
    /// Only these root elements, as Type.element or element; commas and repeats
    #[arg(long, value_name = "ELEMENT", value_delimiter = ',')]
    elements: Vec<String>,
    /// Add Provenance: `LatestProvenanceResources` or `RelevantProvenanceResources` of what is exported
    #[arg(
        long = "include-associated-data",
        value_name = "CODE",
        value_delimiter = ','
    )]
    associated: Vec<String>,
    /// Files with a block for each of these resources and what belongs to it, instead of a type each: Patient
    #[arg(long, value_name = "TYPE")]
    organize_by: Option<String>,
    /// The folder to write; run again with the same one to go on
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Downloads at once
    #[arg(long, default_value_t = 4, value_name = "N")]
    parallel: usize,
    /// Delete the export on the server once every file is verified
    #[arg(long)]
    delete: bool,
    /// Say what happens as JSON lines on standard output, and show no bars
    #[arg(long)]
    json: bool,
    /// Forget what the folder knows of an earlier export
    #[arg(long)]
    restart: bool,
    /// Go on with this export instead of starting one
    #[arg(long, value_name = "URL")]
    status_url: Option<Url>,
    /// Ask the server to ignore parameters that it does not support
    #[arg(long)]
    lenient: bool,
    /// Send this header to the server too; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The file that holds the access token; it is read anew for every request
    #[arg(long, value_name = "FILE")]
    bearer_token_file: Option<PathBuf>,
    /// Get access tokens from the server, as SMART Backend Services says, for this client
    #[arg(
        long,
        value_name = "ID",
        requires = "key",
        conflicts_with = "bearer_token_file"
    )]
    client_id: Option<String>,
    /// The client's private key: a JWK, a JWK Set, or PEM; RSA, or EC on P-384
    #[arg(long, value_name = "FILE", requires = "client_id")]
    key: Option<PathBuf>,
    /// The key's name on the server, and the one to take of a set [default: its own, or its
    /// thumbprint]
    #[arg(long, value_name = "KID", requires = "client_id")]
    key_id: Option<String>,
    /// Ask for these scopes; spaces and repeats [default: to read the types that are exported]
    #[arg(
        long = "scope",
        value_name = "SCOPE",
        value_delimiter = ' ',
        requires = "client_id"
    )]
    scopes: Vec<String>,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("write a header as NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

impl ExportArgs {
    fn options(&self) -> Result<ExportOptions, ExportError> {
        let level = match &self.group {
            Some(group) => Level::Group(group.clone()),
            None if self.system => Level::System,
            None => Level::Patient,
        };
        Ok(ExportOptions {
            types: self.types.clone(),
            since: self.since.clone(),
            until: self.until.clone(),
            filters: self.filters.clone(),
            elements: self.elements.clone(),
            associated: self.associated.clone(),
            organize_by: self.organize_by.clone(),
            lenient: self.lenient,
            headers: self.headers.clone(),
            bearer_token_file: self.bearer_token_file.clone(),
            credentials: self.credentials()?,
            parallel: self.parallel,
            delete: self.delete,
            restart: self.restart,
            status_url: self.status_url.clone(),
            ..ExportOptions::new(self.server.clone(), level, &self.out)
        })
    }

    fn credentials(&self) -> Result<Option<Credentials>, ExportError> {
        let (Some(client_id), Some(file)) = (&self.client_id, &self.key) else {
            return Ok(None);
        };
        if PrivateKey::file_is_open_to_others(file) {
            let name = file.display();
            say(&format!(
                "sluice: others may read {name}; `chmod 600` keeps the key secret"
            ));
        }
        Ok(Some(Credentials {
            client_id: client_id.clone(),
            key: PrivateKey::read(file, self.key_id.as_deref())?,
            scopes: self.scopes.clone(),
        }))
    }
}

pub(crate) async fn run(args: ExportArgs) -> ExitCode {
    let ended = export(&args).await;
    tell(&args, ended)
}

async fn export(args: &ExportArgs) -> Result<Summary, ExportError> {
    let stop = CancellationToken::new();
    if let Err(error) = sluice_runtime::on_signal(&stop) {
        say(&format!("sluice: cannot hear Ctrl-C: {error}"));
    }
    let options = args.options()?;
    if args.json {
        sluice_client::export(&options, &JsonLines, stop).await
    } else if std::io::stderr().is_terminal() {
        let bars = Bars::default();
        let ended = sluice_client::export(&options, &bars, stop).await;
        bars.clear();
        ended
    } else {
        sluice_client::export(&options, &(), stop).await
    }
}

fn tell(args: &ExportArgs, ended: Result<Summary, ExportError>) -> ExitCode {
    match ended {
        Ok(summary) => {
            if !args.json {
                print(&describe(&summary, &args.out.display().to_string()));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            if args.json {
                let line = serde_json::json!({
                    "event": "failed", "code": error.exit_code(), "text": error.to_string(),
                });
                print(&line.to_string());
            }
            say(&format!("sluice: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

/// What was exported, in a few lines.
pub(crate) fn describe(summary: &Summary, out: &str) -> String {
    let also = |number: u64, what: &str| match number {
        0 => String::new(),
        number => format!("{number} {what}\n"),
    };
    let also = also(summary.outcomes, "messages of the server in error/")
        + &also(summary.deletions, "bundles of deletions in deleted/");
    let checked = match summary.unchecked {
        0 => "all verified".to_owned(),
        number => format!(
            "{number} of them with nothing in the manifest to verify them by, the others verified"
        ),
    };
    let before = if summary.is_new {
        ""
    } else {
        "complete since an earlier run; use --restart or another --out for a new export\n"
    };
    format!(
        "{before}{} resources in {} files, {}, {checked}, in {out}\n{also}for what changes from now \
         on: --since {}",
        count(summary.resources),
        summary.files,
        bytes(summary.bytes),
        summary.transaction_time
    )
}

struct JsonLines;

impl Observer for JsonLines {
    fn event(&self, event: &Event) {
        if let Ok(line) = serde_json::to_string(event) {
            print(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletions_are_told_of_beside_the_resources() {
        let mut summary = Summary {
            files: 3,
            resources: 7,
            bytes: 900,
            per_type: [("Patient".to_owned(), 7)].into(),
            outcomes: 0,
            deletions: 2,
            unchecked: 0,
            is_new: true,
            transaction_time: "2026-03-01T00:00:00.000Z".to_owned(),
            status_url: String::new(),
            deleted: false,
        };
        let text = describe(&summary, "out");
        assert!(text.starts_with("7 resources in 3 files"), "{text}");
        assert!(
            text.contains("\n2 bundles of deletions in deleted/\n"),
            "{text}"
        );
        summary.deletions = 0;
        assert!(!describe(&summary, "out").contains("deletions"));
    }
}
