//! What every request has: an `X-Request-Id` in its answer and what browsers must heed, a span, a
//! time, and one line in the log with route and status, never a value.

use std::time::Instant;

use actix_web::HttpMessage;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, MeterProvider, NoopMeterProvider};
use tracing::{Instrument, Span};

use sluice_engine::Caller;

use crate::error::ApiError;
use crate::kickoff::traceparent;
use crate::visit::origin;
use crate::{Gateway, routes};

const NAME: HeaderName = HeaderName::from_static("x-request-id");
/// In seconds, as OpenTelemetry's conventions for HTTP have them.
const BOUNDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// The `X-Request-Id` of a request, among its extensions.
pub(crate) struct RequestId(pub(crate) String);

/// Times requests.
pub(crate) struct Requests(Histogram<f64>);

impl Default for Requests {
    /// Times nothing.
    fn default() -> Self {
        Self::new(&NoopMeterProvider::new().meter("sluice"))
    }
}

impl Requests {
    pub(crate) fn new(meter: &Meter) -> Self {
        let histogram = meter.f64_histogram("http.server.request.duration");
        let histogram = histogram.with_unit("s").with_boundaries(BOUNDS.to_vec());
        Self(histogram.build())
    }

    /// The route and not the path: paths are as many as exports.
    fn answered(&self, method: &'static str, route: &str, status: u16, begun: Instant) {
        let labels = [
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ];
        self.0.record(begun.elapsed().as_secs_f64(), &labels);
    }
}

pub(crate) async fn wrap(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let begun = Instant::now();
    let id = given(&request).unwrap_or_else(|| made(&request));
    let method = known(request.method());
    let route = request.match_pattern();
    let route = route.as_deref().unwrap_or("-");
    let span = span(&request, &id, &format!("{method} {route}"));
    let gateway = request.app_data::<web::Data<Gateway>>().cloned();
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.call(request).instrument(span.clone()).await?;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(NAME, value);
    }
    let https = gateway.as_ref().is_some_and(|gateway| gateway.is_https());
    secure(response.headers_mut(), https);
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    span.in_scope(|| tracing::debug!(method, route, status, "answered"));
    if let Some(gateway) = gateway {
        gateway.requests.answered(method, route, status, begun);
        audit_refusal(&gateway, &response).instrument(span).await;
    }
    Ok(response)
}

/// Tells the audit of who was not let at something. Nothing was given away, so the answer does not hang on
/// it.
async fn audit_refusal(gateway: &Gateway, response: &ServiceResponse<impl MessageBody>) {
    if gateway.bearer.is_off() {
        return;
    }
    let error = response.response().error();
    let error = error.and_then(|error| error.as_error::<ApiError>());
    let Some(reason) = error.and_then(ApiError::refusal) else {
        return;
    };
    let request = response.request();
    let Ok(tenant) = routes::tenant(request, gateway) else {
        return;
    };
    let caller = request.extensions().get::<Caller>().cloned();
    let who = (caller.as_ref(), origin(request));
    let told = gateway
        .auditing
        .access_refused(&tenant, who, reason.to_owned());
    if let Err(error) = told.await {
        tracing::error!(error = error.chain(), "a refusal is not written down");
    }
}

/// Only where clients come over TLS may they be told to use nothing else for a year.
fn secure(headers: &mut HeaderMap, https: bool) {
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    if https {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
}

/// Part of the caller's trace, if the caller has one.
fn span(request: &ServiceRequest, id: &str, name: &str) -> Span {
    let span = tracing::info_span!(
        "request",
        id,
        otel.kind = "server",
        otel.name = name,
        http.response.status_code = tracing::field::Empty,
    );
    if let Some(caller) = traceparent(request.headers()) {
        sluice_runtime::follow(&span, &caller);
    }
    span
}

/// A caller may make up any number of methods, and no metric should grow by them.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "_OTHER",
    }
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
