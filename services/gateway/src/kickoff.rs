//! `$export` at its three levels (E-01 to E-03).

use std::collections::BTreeSet;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use sluice_engine::KickoffRequest;
use sluice_fhir::parameters::{self, RawParameter};
use sluice_fhir::rules::{KickoffMethod, Rules};
use sluice_fhir::{Guide, Issue, IssueCode, Level, Prefer};

use crate::error::{ApiError, outcome};
use crate::visit::Visit;
use crate::{Gateway, GatewaySettings, accept, limits, routes, urls};

type Answer = Result<HttpResponse, ApiError>;

pub(crate) async fn system(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
    body: web::Payload,
) -> Answer {
    let visit = Visit::of(&gateway, &request).await?;
    kick_off(&gateway, &request, body, (visit, Level::System)).await
}

pub(crate) async fn patient(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
    body: web::Payload,
) -> Answer {
    let visit = Visit::of(&gateway, &request).await?;
    kick_off(&gateway, &request, body, (visit, Level::Patient)).await
}

pub(crate) async fn group(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
    body: web::Payload,
) -> Answer {
    // Whoever may not ask at all does not learn which ids could be.
    let visit = Visit::of(&gateway, &request).await?;
    let level = Level::Group(routes::group(&request)?.to_owned());
    kick_off(&gateway, &request, body, (visit, level)).await
}

async fn kick_off(
    gateway: &Gateway,
    request: &HttpRequest,
    body: web::Payload,
    (visit, level): (Visit<'_>, Level),
) -> Answer {
    let (rules, guide) = (visit.rules(), guide(request));
    match guide {
        Guide::Third => check_method(request, rules.methods.of(&level))?,
        Guide::Ballot => check_ballot(request, rules, &level)?,
    }
    visit.check_headers(request)?;
    accept::json(request)?;
    limits::check_encoding(request.headers())?;
    let base = gateway.base(&visit.id);
    let mut raw = parameters::from_query(request.query_string())?;
    if request.method() == Method::POST {
        raw.extend(from_body(request, body, &gateway.settings).await?);
    }
    let most = gateway.settings.limits.parameters;
    if raw.len() > most {
        return Err(ApiError::TooManyParameters(most));
    }
    if guide == Guide::Ballot {
        parameters::check_repeats(&raw).map_err(ApiError::Invalid)?;
    }
    let prefer = prefer(request);
    let lenient = prefer.lenient && rules.lenient;
    let held = rules.hold(raw, (&level, lenient));
    let held = held.map_err(ApiError::HouseRule)?;
    let context = parameters::Context {
        level: &level,
        lenient,
        base: &base,
    };
    let mut asked = parameters::check(&held.raw, &context).map_err(ApiError::Invalid)?;
    asked.ignored.extend(held.ignored);
    let accepted = gateway.kickoff.accept(KickoffRequest {
        url: url(gateway, request),
        tenant: visit.id,
        level,
        asked,
        separate_status: prefer.separate_export_status,
        guide,
        caller: visit.caller,
        idempotency_key: idempotency_key(request)?,
        traceparent: trace(request),
    });
    let job = accepted.await?;
    let status_url = urls::status(&base, rules.paths, &job);
    let text = "the export is accepted; poll the URL in Content-Location";
    let mut response = HttpResponse::Accepted();
    response.insert_header((header::CONTENT_LOCATION, status_url));
    if prefer.separate_export_status {
        let applied = "respond-async, separate-export-status";
        response.insert_header(("Preference-Applied", applied));
    }
    let accepted = std::iter::once(Issue::information(text));
    Ok(outcome(&mut response, accepted.chain(held.notes).collect()))
}

/// The version of the guide whose operation is called.
fn guide(request: &HttpRequest) -> Guide {
    let route = request.match_pattern().unwrap_or_default();
    if route.ends_with(Guide::Ballot.suffix()) {
        Guide::Ballot
    } else {
        Guide::Third
    }
}

/// by POST only.
fn check_ballot(request: &HttpRequest, rules: &Rules, level: &Level) -> Result<(), ApiError> {
    if !rules.has_ballot(level) {
        Err(ApiError::NothingHere)
    } else if request.method() == Method::POST {
        Ok(())
    } else {
        Err(ApiError::WrongMethod(KickoffMethod::Post.name()))
    }
}

/// Refuses a method that the level does not have here. One that has none is off, which is told otherwise.
fn check_method(request: &HttpRequest, allowed: &BTreeSet<KickoffMethod>) -> Result<(), ApiError> {
    let is = |method: &KickoffMethod| method.name() == request.method().as_str();
    if allowed.is_empty() || allowed.iter().any(is) {
        return Ok(());
    }
    Err(ApiError::WrongMethod(
        if allowed.contains(&KickoffMethod::Get) {
            KickoffMethod::Get.name()
        } else {
            KickoffMethod::Post.name()
        },
    ))
}

/// The longest `Idempotency-Key` that is taken.
const LONGEST_KEY: usize = 255;

fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, ApiError> {
    let Some(key) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let key = key.to_str().unwrap_or_default().trim().trim_matches('"');
    if (1..=LONGEST_KEY).contains(&key.len()) {
        return Ok(Some(key.to_owned()));
    }
    let text = format!("the Idempotency-Key must have 1 to {LONGEST_KEY} ASCII characters");
    Err(Issue::error(IssueCode::Invalid, text).into())
}

/// The trace that chunks will be linked to: this request's, or where nobody traces the caller's.
fn trace(request: &HttpRequest) -> Option<String> {
    sluice_runtime::traceparent(&tracing::Span::current())
        .or_else(|| traceparent(request.headers()))
}

/// A caller's trace, if it has the shape that W3C gives it.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let lengths = parts.iter().map(|part| part.len());
    (lengths.eq([2, 32, 16, 2]) && parts.iter().all(|part| hex(part))).then(|| text.to_owned())
}

/// The URL called, on the public base: for POST without the body's parameters.
fn url(gateway: &Gateway, request: &HttpRequest) -> String {
    let target = request.uri().path_and_query();
    let target = target.map_or("", actix_web::http::uri::PathAndQuery::as_str);
    format!("{}{target}", gateway.settings.public_url)
}

fn prefer(request: &HttpRequest) -> Prefer {
    let headers = request.headers().get_all("prefer");
    Prefer::parse(headers.filter_map(|value| value.to_str().ok()))
}

async fn from_body(
    request: &HttpRequest,
    body: web::Payload,
    settings: &GatewaySettings,
) -> Result<Vec<RawParameter>, ApiError> {
    let body = limits::body(body, settings.max_body, settings.limits.body_time).await?;
    if body.is_empty() {
        return Ok(Vec::new());
    }
    if !is_json(request) {
        return Err(ApiError::WrongBodyType);
    }
    Ok(parameters::from_body(&body)?)
}

fn is_json(request: &HttpRequest) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let media = kind
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    ["application/fhir+json", "application/json"]
        .iter()
        .any(|known| media.eq_ignore_ascii_case(known))
}
