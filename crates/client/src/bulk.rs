//! The requests of the Bulk Data guide, one method each.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LOCATION, HeaderMap, HeaderName, HeaderValue,
    IF_RANGE, RANGE,
};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use url::Url;

use crate::retry_after::retry_after;
use crate::{ExportError, ExportOptions, Manifest};

/// How long a connection may take to come about, and an answer to begin.
const CONNECT: Duration = Duration::from_secs(15);
const SILENCE: Duration = Duration::from_mins(2);
/// The most of an error's body that is read.
const ERROR_BODY: usize = 64 * 1024;

/// Speaks to one server.
#[derive(Clone)]
pub struct BulkClient {
    http: reqwest::Client,
    base: Url,
    headers: HeaderMap,
    token_file: Option<PathBuf>,
}

/// What a poll hears.
#[derive(Debug)]
pub enum Poll {
    /// Still running.
    Running {
        /// `X-Progress`.
        progress: Option<String>,
        /// How long to wait, if told.
        wait: Option<Duration>,
    },
    /// Asked too often, or the server has trouble that may pass.
    Busy {
        /// How long to wait, if told.
        wait: Option<Duration>,
        /// What the server says.
        text: String,
    },
    /// Finished.
    Done(Manifest),
    /// The server does not know it.
    Gone(String),
    /// Failed for good.
    Failed {
        /// The HTTP status.
        status: u16,
        /// What the server says.
        text: String,
    },
}

/// Where a download begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct From {
    pub(crate) byte: u64,
    pub(crate) etag: Option<String>,
    pub(crate) gzip: bool,
}

impl BulkClient {
    /// A client as the options describe it.
    pub fn new(options: &ExportOptions) -> Result<Self, ExportError> {
        // TLS needs a provider of cryptography; that another is set already is fine.
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(redirects(&options.server, !options.headers.is_empty()))
            .no_gzip()
            .build()
            .map_err(|error| ExportError::network("setting up HTTP", &error))?;
        Ok(Self {
            http,
            base: options.server.clone(),
            headers: headers(options)?,
            token_file: options.bearer_token_file.clone(),
        })
    }

    /// The server's own headers and token go to its own origin only.
    fn authorized(
        &self,
        request: RequestBuilder,
        url: &Url,
    ) -> Result<RequestBuilder, ExportError> {
        if url.origin() != self.base.origin() {
            return Ok(request);
        }
        self.with_token(request.headers(self.headers.clone()))
    }

    /// Read anew each time: tokens live for minutes, exports for hours.
    fn with_token(&self, request: RequestBuilder) -> Result<RequestBuilder, ExportError> {
        Ok(match &self.token_file {
            Some(path) => request.header(AUTHORIZATION, token(path)?),
            None => request,
        })
    }

    /// Starts an export; `Ok(Err(wait))` when the server says to come back later.
    pub async fn kick_off(
        &self,
        options: &ExportOptions,
    ) -> Result<Result<Url, Option<Duration>>, ExportError> {
        const ACTION: &str = "starting the export";
        let url = options.kickoff_url()?;
        let prefer = if options.lenient {
            "respond-async, handling=lenient"
        } else {
            "respond-async"
        };
        let request = self
            .authorized(self.http.get(url.clone()), &url)?
            .header(ACCEPT, "application/fhir+json")
            .header("Prefer", prefer);
        let response = send(ACTION, request).await?;
        let status = response.status();
        // Not 502 and 504: a proxy may say so of a request that came through.
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            return Ok(Err(retry_after(response.headers())));
        }
        if status != StatusCode::ACCEPTED {
            let status = status.as_u16();
            let text = outcome(response).await.1;
            return Err(ExportError::Refused { status, text });
        }
        let location = response
            .headers()
            .get(CONTENT_LOCATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| url.join(value).ok());
        location
            .map(Ok)
            .ok_or_else(|| ExportError::nonsense(ACTION, "the answer has no Content-Location"))
    }

    /// Asks once where an export stands.
    pub async fn poll(&self, status_url: &Url) -> Result<Poll, ExportError> {
        const ACTION: &str = "asking how far the export is";
        let request = self
            .authorized(self.http.get(status_url.clone()), status_url)?
            .header(ACCEPT, "application/json");
        let response = send(ACTION, request).await?;
        let (status, wait) = (response.status(), retry_after(response.headers()));
        if status == StatusCode::ACCEPTED {
            let progress = response.headers().get("X-Progress");
            let progress = progress.and_then(|value| value.to_str().ok());
            return Ok(Poll::Running {
                progress: progress.map(str::to_owned),
                wait,
            });
        }
        if status == StatusCode::OK {
            const READING: &str = "reading the manifest";
            let body = response.bytes().await;
            let body = body.map_err(|error| ExportError::network(READING, &error))?;
            let manifest = serde_json::from_slice(&body);
            return manifest
                .map(Poll::Done)
                .map_err(|error| ExportError::nonsense(READING, error.to_string()));
        }
        let (code, text) = outcome(response).await;
        Ok(match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => Poll::Gone(text),
            _ if may_pass(status) || invites_a_retry(status, &code) => Poll::Busy { wait, text },
            _ => Poll::Failed {
                status: status.as_u16(),
                text,
            },
        })
    }

    /// Deletes an export; one that is gone already is fine.
    pub async fn delete(&self, status_url: &Url) -> Result<(), ExportError> {
        const ACTION: &str = "deleting the export on the server";
        let request = self.authorized(self.http.delete(status_url.clone()), status_url)?;
        let response = send(ACTION, request).await?;
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(()),
            status => {
                let text = outcome(response).await.1;
                Err(ExportError::nonsense(ACTION, format!("{status}: {text}")))
            }
        }
    }

    /// Opens a file. The token goes along only if the manifest asks for it.
    pub(crate) async fn file(
        &self,
        url: &Url,
        with_token: bool,
        from: &From,
    ) -> Result<Response, ExportError> {
        let mut request = self
            .http
            .get(url.clone())
            .header(ACCEPT, "application/fhir+ndjson");
        if with_token {
            request = self.with_token(request)?;
        }
        if url.origin() == self.base.origin() {
            request = request.headers(self.headers.clone());
        }
        let encoding = if from.gzip { "gzip" } else { "identity" };
        request = request.header(ACCEPT_ENCODING, encoding);
        if from.byte > 0 {
            request = request.header(RANGE, format!("bytes={}-", from.byte));
            if let Some(etag) = &from.etag {
                request = request.header(IF_RANGE, etag);
            }
        }
        send("opening a file", request).await
    }
}

/// A few; and none to elsewhere while headers of the user's go along, since only known secrets are
/// taken off on the way.
fn redirects(server: &Url, with_headers: bool) -> reqwest::redirect::Policy {
    let home = server.origin();
    reqwest::redirect::Policy::custom(move |attempt| {
        if attempt.previous().len() > 5 {
            attempt.error("too many redirects")
        } else if with_headers && attempt.url().origin() != home {
            attempt.stop()
        } else {
            attempt.follow()
        }
    })
}

async fn send(action: &str, request: RequestBuilder) -> Result<Response, ExportError> {
    let sent = request.send().await;
    sent.map_err(|error| ExportError::network(action, &error))
}

fn may_pass(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::BAD_GATEWAY
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// polling failed, the export did not.
fn invites_a_retry(status: StatusCode, code: &str) -> bool {
    let transient = [
        "transient",
        "lock-error",
        "no-store",
        "timeout",
        "throttled",
    ];
    status.is_server_error() && transient.contains(&code)
}

/// The first issue's code, and what all of them say.
async fn outcome(mut response: Response) -> (String, String) {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > ERROR_BODY {
            break;
        }
    }
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let issues = json.get("issue").and_then(Value::as_array);
    let issues = issues.map(Vec::as_slice).unwrap_or_default();
    let text = |issue: &Value| {
        let details = issue.pointer("/details/text").or(issue.get("diagnostics"));
        details.and_then(Value::as_str).map(str::to_owned)
    };
    let code = issues.first().and_then(|issue| issue.get("code"));
    let code = code.and_then(Value::as_str).unwrap_or_default().to_owned();
    let texts: Vec<String> = issues.iter().filter_map(text).collect();
    if texts.is_empty() {
        return (code, "the server gives no reason".to_owned());
    }
    (code, texts.join("; "))
}

fn headers(options: &ExportOptions) -> Result<HeaderMap, ExportError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &options.headers {
        let wrong = || ExportError::BadOption(format!("{name:?} cannot be sent as a header"));
        let name: HeaderName = name.parse().map_err(|_| wrong())?;
        headers.append(name, value.parse().map_err(|_| wrong())?);
    }
    Ok(headers)
}

fn token(path: &Path) -> Result<HeaderValue, ExportError> {
    let text = std::fs::read_to_string(path)
        .map_err(ExportError::local(format!("reading {}", path.display())))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
        .map_err(|_| ExportError::BadOption("the token file holds no token".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
