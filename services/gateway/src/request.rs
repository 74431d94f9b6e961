//! What every request has: an `X-Request-Id` in its answer and what browsers must heed, a span, a
//! time, and one line in the log with route and status, never a value.

use std::time::Instant;

use actix_web::HttpMessage;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, MeterProvider, NoopMeterProvider};
use tracing::{Instrument, Span};

use sluice_engine::{Caller, Origin};
use sluice_fhir::rules::Errors;
use sluice_model::TenantId;

use crate::error::ApiError;
use crate::kickoff::traceparent;
use crate::visit::origin;
use crate::{Gateway, routes};

const NAME: HeaderName = HeaderName::from_static("x-request-id");
/// What Oracle's products call it, too (C-030, C-051).
const ORACLES: HeaderName = HeaderName::from_static("opc-request-id");
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
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let begun = Instant::now();
    let id = given(&request).unwrap_or_else(|| made(&request));
    let method = known(request.method());
    let route = request.match_pattern();
    let route = route.as_deref().unwrap_or("-");
    let span = span(&request, &id, &format!("{method} {route}"));
    let gateway = request.app_data::<web::Data<Gateway>>().cloned();
    request.extensions_mut().insert(RequestId(id.clone()));
    let response = next.call(request).instrument(span.clone()).await?;
    let rules = gateway.as_ref().and_then(|gateway| {
        let tenant = routes::served(response.request(), gateway).ok()?;
        Some(tenant.access.clone())
    });
    let refused = gateway
        .as_ref()
        .and_then(|gateway| refused(gateway, &response));
    let mut response = match rules.as_ref().map(|access| access.rules.errors) {
        Some(errors) if errors != Errors::Sluice => retold(response, errors),
        _ => response.map_into_left_body(),
    };
    if let Ok(value) = HeaderValue::from_str(&id) {
        if rules.is_some_and(|access| access.rules.opc_request_id) {
            response.headers_mut().insert(ORACLES, value.clone());
        }
        response.headers_mut().insert(NAME, value);
    }
    let https = gateway.as_ref().is_some_and(|gateway| gateway.is_https());
    secure(response.headers_mut(), https);
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    span.in_scope(|| tracing::debug!(method, route, status, "answered"));
    if let Some(gateway) = gateway {
        gateway.requests.answered(method, route, status, begun);
        if let Some(refused) = refused {
            audit_refusal(&gateway, refused).instrument(span).await;
        }
    }
    Ok(response)
}

/// A failure in the words of its tenant.
fn retold<B: MessageBody>(
    response: ServiceResponse<B>,
    errors: Errors,
) -> ServiceResponse<EitherBody<B>> {
    let error = response.response().error();
    let told = error.and_then(|error| Some(error.as_error::<ApiError>()?.told(errors)));
    match told {
        Some(told) => response.into_response(told.map_into_right_body()),
        None => response.map_into_left_body(),
    }
}

/// Who was not let at something, and why.
struct Refused {
    tenant: TenantId,
    caller: Option<Caller>,
    origin: Origin,
    reason: &'static str,
}

fn refused(gateway: &Gateway, response: &ServiceResponse<impl MessageBody>) -> Option<Refused> {
    if gateway.bearer.is_off() {
        return None;
    }
    let error = response.response().error()?;
    let reason = error.as_error::<ApiError>()?.refusal()?;
    let request = response.request();
    let tenant = routes::tenant(request, gateway).ok()?;
    let caller = request.extensions().get::<Caller>().cloned();
    Some(Refused {
        tenant,
        caller,
        origin: origin(request),
        reason,
    })
}

/// Tells the audit of who was not let at something. Nothing was given away, so the answer does not hang on
/// it.
async fn audit_refusal(gateway: &Gateway, refused: Refused) {
    let who = (refused.caller.as_ref(), refused.origin);
    let reason = refused.reason.to_owned();
    let told = gateway
        .auditing
        .access_refused(&refused.tenant, who, reason);
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
        request_id = id,
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
