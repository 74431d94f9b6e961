//! The requests of the Bulk Data guide, one method each.

use std::time::Duration;

use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LOCATION, HeaderMap, HeaderName, IF_RANGE,
    RANGE,
};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use url::Url;

use crate::access::Access;
use crate::event::Teller;
use crate::retry_after::retry_after;
use crate::{ExportError, ExportOptions, Manifest, http};

/// The most of an error's body that is read.
const ERROR_BODY: usize = 64 * 1024;

/// Speaks to one server.
#[derive(Clone)]
pub struct BulkClient {
    http: reqwest::Client,
    base: Url,
    headers: HeaderMap,
    access: Access,
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
        Self::telling(options, Teller::default())
    }

    /// One that tells why it waits.
    pub(crate) fn telling(options: &ExportOptions, teller: Teller) -> Result<Self, ExportError> {
        let headers = headers(options)?;
        Ok(Self {
            http: http::client(http::redirects(&options.server, !headers.is_empty()))?,
            base: options.server.clone(),
            access: Access::new(options, &headers, teller)?,
            headers,
        })
    }

    /// The server's own headers and token go to its own origin only.
    async fn send(
        &self,
        action: &str,
        request: RequestBuilder,
        url: &Url,
    ) -> Result<Response, ExportError> {
        let with_token = url.origin() == self.base.origin();
        self.send_with(action, request, url, with_token).await
    }

    /// A token that is refused is renewed, and the request repeated, once.
    async fn send_with(
        &self,
        action: &str,
        request: RequestBuilder,
        url: &Url,
        with_token: bool,
    ) -> Result<Response, ExportError> {
        let request = if url.origin() == self.base.origin() {
            request.headers(self.headers.clone())
        } else {
            request
        };
        let token = if with_token {
            self.access.header().await?
        } else {
            None
        };
        let Some(token) = token else {
            return http::send(action, request).await;
        };
        let again = request.try_clone();
        let request = request.header(AUTHORIZATION, token.clone());
        let response = http::send(action, request).await?;
        // Who a redirect leads to did not see the token, and does not speak of it.
        if !is_refused(&response) || response.url().origin() != url.origin() {
            return Ok(response);
        }
        let (Some(again), Some(token)) = (again, self.access.instead_of(&token).await?) else {
            return Ok(response);
        };
        let response = http::send(action, again.header(AUTHORIZATION, token)).await?;
        if is_refused(&response) && response.url().origin() == url.origin() {
            let why = outcome(response).await.1;
            let text = format!("{action}, the token that it just gave is refused: {why}");
            return Err(ExportError::NoToken { text });
        }
        Ok(response)
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
            .http
            .get(url.clone())
            .header(ACCEPT, "application/fhir+json")
            .header("Prefer", prefer);
        let response = self.send(ACTION, request, &url).await?;
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
        let request = self.http.get(status_url.clone());
        let request = request.header(ACCEPT, "application/json");
        let response = self.send(ACTION, request, status_url).await?;
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
        let request = self.http.delete(status_url.clone());
        let response = self.send(ACTION, request, status_url).await?;
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(()),
            status => {
                let text = outcome(response).await.1;
                Err(ExportError::nonsense(ACTION, format!("{status}: {text}")))
            }
        }
    }

    /// Opens a file. The token goes along only if the manifest asks for it, and never
    /// unprotected if it came protected.
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
        let encoding = if from.gzip { "gzip" } else { "identity" };
        request = request.header(ACCEPT_ENCODING, encoding);
        if from.byte > 0 {
            request = request.header(RANGE, format!("bytes={}-", from.byte));
            if let Some(etag) = &from.etag {
                request = request.header(IF_RANGE, etag);
            }
        }
        let is_safe = url.scheme() == "https" || self.base.scheme() != "https";
        self.send_with("opening a file", request, url, with_token && is_safe)
            .await
    }
}

fn is_refused(response: &Response) -> bool {
    response.status() == StatusCode::UNAUTHORIZED
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
async fn outcome(response: Response) -> (String, String) {
    let (body, _broken_off) = http::body(response, ERROR_BODY).await;
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
