//! Gives every answer an `X-Request-Id` and logs one line a request: route, status, never a value.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web;
use tracing::Instrument;

use crate::Gateway;

const NAME: HeaderName = HeaderName::from_static("x-request-id");

pub(crate) async fn wrap(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let id = given(&request).unwrap_or_else(|| made(&request));
    let method = request.method().clone();
    let span = tracing::info_span!("request", id);
    let mut response = next.call(request).instrument(span.clone()).await?;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(NAME, value);
    }
    let route = response.request().match_pattern();
    let status = response.status().as_u16();
    span.in_scope(|| {
        tracing::debug!(%method, route = route.as_deref().unwrap_or("-"), status, "answered");
    });
    Ok(response)
}

/// A caller's own id, if it is one that is safe to log and to repeat.
fn given(request: &ServiceRequest) -> Option<String> {
    let id = request.headers().get(NAME)?.to_str().ok()?;
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    ((1..=64).contains(&id.len()) && id.bytes().all(safe)).then(|| id.to_owned())
}

fn made(request: &ServiceRequest) -> String {
    let mut bytes = [0; 8];
    if let Some(gateway) = request.app_data::<web::Data<Gateway>>() {
        let _an_id_of_zeros_is_still_an_answer = gateway.ports.entropy.fill(&mut bytes);
    }
    hex::encode(bytes)
}
