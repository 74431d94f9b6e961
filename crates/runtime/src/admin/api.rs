//! The part of the admin port that changes things: JSON, for whoever shows the secret.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Request, Response, StatusCode};
use opentelemetry::metrics::{Counter, Meter};
use serde_json::json;
use subtle::ConstantTimeEq;

use crate::Secret;

/// The largest body that is taken.
const MOST_BODY: usize = 128 * 1024;
/// Of a body that is too large, so much is read nevertheless: one who still sends does not hear.
const MOST_DRAINED: usize = 1024 * 1024;
/// When to come back after a server did not do its part, in seconds.
const COME_BACK: u32 = 5;
/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);

/// What is asked by somebody who has shown the secret.
#[derive(Clone, Debug)]
pub struct AdminRequest {
    /// `GET` and so on.
    pub method: String,
    /// The path, as it was sent, without a query.
    pub path: String,
    /// The query, as it was sent, without its question mark.
    pub query: String,
    /// What was sent along, at most 128 KiB.
    pub body: Vec<u8>,
    /// Where it came from.
    pub address: IpAddr,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct AdminAnswer {
    /// The HTTP status.
    pub status: u16,
    /// JSON, or nothing.
    pub body: String,
    /// The methods that there are, after one that there is not.
    pub allow: Option<&'static str>,
    /// When to try again, in seconds.
    pub retry_after: Option<u32>,
}

impl AdminAnswer {
    /// A status and JSON.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            body: body.into(),
            allow: None,
            retry_after: None,
        }
    }
}

impl AdminRequest {
    /// The parameters of the query, and nothing else than these, each at most once; or what is wrong with
    /// it. An empty one is as good as none.
    pub fn parameters<const N: usize>(
        &self,
        known: [&'static str; N],
    ) -> Result<[Option<String>; N], String> {
        let mut found = [const { None }; N];
        for (name, value) in form_urlencoded::parse(self.query.as_bytes()) {
            let Some(place) = known.iter().position(|one| *one == name) else {
                let known = known.join(", ");
                return Err(format!("the query has a parameter that is none of {known}"));
            };
            if found[place].replace(value.into_owned()).is_some() {
                return Err(format!("the query has {} twice", known[place]));
            }
        }
        Ok(found.map(|value| value.filter(|value| !value.is_empty())))
    }
}

impl AdminAnswer {
    /// Why something is not done.
    pub fn refused(status: u16, text: &str) -> Self {
        Self::new(status, json!({ "error": text }).to_string())
    }

    /// The path takes these methods only.
    pub fn not_allowed(allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::refused(405, &format!("this path takes {allow}"))
        }
    }

    /// A server did not do its part; trying again may help.
    pub fn come_back(text: &str) -> Self {
        Self {
            retry_after: Some(COME_BACK),
            ..Self::refused(503, text)
        }
    }

    /// A change that could not be written down was not made.
    pub fn unrecorded(why: impl Display) -> Self {
        let text = format!("nothing was changed, as it could not be written down: {why}");
        Self::come_back(&text)
    }
}

type Handler = Arc<dyn Fn(AdminRequest) -> BoxFuture<'static, AdminAnswer> + Send + Sync>;

/// What answers below a path of the admin port.
#[derive(Clone)]
pub struct AdminApi {
    path: &'static str,
    handler: Handler,
}

impl AdminApi {
    /// Answers what is asked at `path`, such as `/clients`, and below it.
    pub fn new(
        path: &'static str,
        handler: impl Fn(AdminRequest) -> BoxFuture<'static, AdminAnswer> + Send + Sync + 'static,
    ) -> Self {
        Self {
            path,
            handler: Arc::new(handler),
        }
    }
}

/// Told from where somebody without the secret tried which API. It must not wait.
pub type OnRefusal = Arc<dyn Fn(IpAddr, &'static str) + Send + Sync>;

/// What a process lets operators do.
pub struct AdminApis {
    /// Each at its own path.
    pub apis: Vec<AdminApi>,
    /// What happens when somebody may not.
    pub on_refusal: OnRefusal,
}

/// APIs and what opens them.
#[derive(Clone)]
pub(super) struct Guarded {
    apis: Arc<[AdminApi]>,
    on_refusal: OnRefusal,
    refused: Counter<u64>,
    secret: Secret,
}

impl Guarded {
    pub(super) fn new(apis: AdminApis, secret: Secret, meter: &Meter) -> Self {
        let refused = meter.u64_counter("admin.requests.refused").build();
        refused.add(0, &[]);
        Self {
            apis: apis.apis.into(),
            on_refusal: apis.on_refusal,
            refused,
            secret,
        }
    }

    /// The API that answers at a path.
    pub(super) fn at(&self, path: &str) -> Option<&AdminApi> {
        self.apis.iter().find(|api| {
            let below = path.strip_prefix(api.path);
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Where they are.
    pub(super) fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.apis.iter().map(|api| api.path)
    }

    pub(super) async fn answer(
        &self,
        api: &AdminApi,
        (request, from): (Request<Incoming>, IpAddr),
    ) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let allowed = self.opens(&head.headers);
        // A stranger's body is read too, as otherwise the answer may be lost on the way, and forgotten.
        let most = if allowed { MOST_BODY } else { 0 };
        let body = match tokio::time::timeout(BODY_TIME, read(body, most)).await {
            Ok(body) => body,
            Err(_) => Err(Unread::Late),
        };
        if self.secret.reveal().is_empty() {
            return failure(
                StatusCode::NOT_FOUND,
                "admin.secret is not set, so nothing can be changed here; set it, or let \
                 SLUICE_ADMIN__SECRET_FILE name a file that holds it",
            );
        }
        if !allowed {
            self.refused.add(1, &[]);
            (self.on_refusal)(from, api.path);
            let text = "send the secret of admin.secret as Authorization: Bearer";
            let mut answer = failure(StatusCode::UNAUTHORIZED, text);
            let how = HeaderValue::from_static("Bearer");
            answer.headers_mut().insert(WWW_AUTHENTICATE, how);
            return answer;
        }
        match body {
            Ok(body) => rendered(
                (api.handler)(AdminRequest {
                    method: head.method.as_str().to_owned(),
                    path: head.uri.path().to_owned(),
                    query: head.uri.query().unwrap_or_default().to_owned(),
                    body,
                    address: from,
                })
                .await,
            ),
            Err(Unread::TooLarge) => failure(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is larger than 128 KiB",
            ),
            Err(Unread::Late) => failure(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not come within 10 seconds",
            ),
            Err(Unread::Broken) => failure(StatusCode::BAD_REQUEST, "the body broke off"),
        }
    }

    /// Takes as long for a secret that is nearly right as for any other.
    fn opens(&self, headers: &HeaderMap) -> bool {
        let mut shown = headers.get_all(AUTHORIZATION).iter();
        let (Some(shown), None) = (shown.next(), shown.next()) else {
            return false;
        };
        let Some((scheme, token)) = shown.to_str().ok().and_then(|text| text.split_once(' '))
        else {
            return false;
        };
        let secret = self.secret.reveal().as_bytes();
        let same = bool::from(token.trim().as_bytes().ct_eq(secret));
        same && !secret.is_empty() && scheme.eq_ignore_ascii_case("bearer")
    }
}

enum Unread {
    TooLarge,
    Late,
    Broken,
}

async fn read(mut body: Incoming, most: usize) -> Result<Vec<u8>, Unread> {
    let (mut kept, mut length) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread::Broken)?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        length = length.saturating_add(data.len());
        if length > MOST_DRAINED {
            break;
        }
        if length <= most {
            kept.extend_from_slice(data);
        }
    }
    if length > most {
        return Err(Unread::TooLarge);
    }
    Ok(kept)
}

fn failure(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    rendered(AdminAnswer::refused(status.as_u16(), text))
}

fn rendered(answer: AdminAnswer) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(answer.status);
    let mut headers = HeaderMap::new();
    let fixed = |headers: &mut HeaderMap, name: HeaderName, value| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    fixed(&mut headers, CACHE_CONTROL, "no-store");
    if !answer.body.is_empty() {
        fixed(&mut headers, CONTENT_TYPE, "application/json");
    }
    if let Some(methods) = answer.allow {
        fixed(&mut headers, ALLOW, methods);
    }
    if let Some(seconds) = answer.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    let mut response = Response::new(Full::from(answer.body));
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}
