//! How much a client may send, and how long it may take.

use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{ResponseError, web};
use sluice_fhir::{Issue, IssueCode};
use sluice_runtime::ServerSection;

use crate::Gateway;
use crate::error::ApiError;

/// What a connection and a request may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest head of a request, in bytes.
    ///
    /// actix looks at a head when it has the whole of it, and stops reading at 128 KiB, 96 headers
    /// or a URI of 64 KiB, with a bare status and no OperationOutcome. This limit is the stricter
    /// one as long as it is below those.
    pub head: usize,
    /// The most parameters of a kick-off.
    pub parameters: usize,
    /// How long a head may take to arrive, and before it a TLS handshake.
    pub head_time: Duration,
    /// How long a body may take to arrive.
    pub body_time: Duration,
    /// How long a connection is kept that asks for nothing.
    pub idle_time: Duration,
    /// Connections at once, for each processor.
    pub connections: usize,
}

impl Limits {
    /// As the settings say.
    pub fn of(server: &ServerSection) -> Self {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let seconds = |number: u32| Duration::from_secs(u64::from(number));
        Self {
            head: count(server.max_header_kib.get()).saturating_mul(1024),
            parameters: count(server.max_parameters.get()),
            head_time: seconds(server.header_seconds.get()),
            body_time: seconds(server.body_seconds.get()),
            idle_time: seconds(server.idle_seconds.get()),
            connections: count(server.max_connections.get()),
        }
    }
}

/// Refuses a request whose head is too large, before anything else looks at it.
pub(crate) async fn wrap(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let gateway = request.app_data::<web::Data<Gateway>>();
    let limit = gateway.map_or(usize::MAX, |gateway| gateway.settings.limits.head);
    if let Err(error) = check_head(&request, limit) {
        let response = request.into_response(error.error_response());
        return Ok(response.map_into_right_body());
    }
    Ok(next.call(request).await?.map_into_left_body())
}

fn check_head(request: &ServiceRequest, limit: usize) -> Result<(), ApiError> {
    let uri = length(request.uri());
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len());
    let whole = request.method().as_str().len() + uri + headers.sum::<usize>();
    if uri > limit {
        Err(ApiError::UriTooLong(limit))
    } else if whole > limit {
        Err(ApiError::HeadTooLarge(limit))
    } else {
        Ok(())
    }
}

/// Scheme and host are there only if the client sent them in the first line.
fn length(uri: &Uri) -> usize {
    let host = uri.authority().map_or(0, |host| host.as_str().len());
    let rest = uri.path_and_query().map_or(0, |rest| rest.as_str().len());
    host + rest
}

/// Refuses a body that would have to be unpacked: a small one may become as large as it likes.
pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    let plain = |value: &header::HeaderValue| {
        let value = value.to_str().unwrap_or("not ASCII");
        let mut codings = value.split(',').map(str::trim);
        codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
    };
    if headers.get_all(header::CONTENT_ENCODING).all(plain) {
        Ok(())
    } else {
        Err(ApiError::WrongBodyEncoding)
    }
}

/// The whole body, if it is of a reasonable size and comes in a reasonable time.
pub(crate) async fn body(
    payload: web::Payload,
    limit: usize,
    time: Duration,
) -> Result<web::Bytes, ApiError> {
    let reading = payload.to_bytes_limited(limit);
    let read = tokio::time::timeout(time, reading).await;
    let read = read.map_err(|_| ApiError::BodyTooSlow(time))?;
    let whole = read.map_err(|_| ApiError::BodyTooLarge(limit))?;
    Ok(whole.map_err(|_| Issue::error(IssueCode::Structure, "the body ended early"))?)
}
