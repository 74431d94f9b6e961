//! What the server says about itself (E-09, E-13).

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;
use sluice_fhir::Instant;
use sluice_fhir::capability::{self, Server};

use crate::error::{ApiError, FHIR_JSON};
use crate::{Gateway, accept, routes};

/// When what is served here last changed: 2026-11-24.
const CHANGED: Instant = Instant::from_millis(1_795_478_400_000);

pub(crate) async fn metadata(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let base = base(&gateway, &request)?;
    Ok(json(&capability::capability_statement(&server(&base))))
}

pub(crate) async fn operation_definition(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let base = base(&gateway, &request)?;
    let id = routes::part(&request, "id");
    let found = capability::operation_definition(&server(&base), id);
    found.map(|found| json(&found)).ok_or(ApiError::NothingHere)
}

fn base(gateway: &Gateway, request: &HttpRequest) -> Result<String, ApiError> {
    accept::json(request)?;
    Ok(gateway.base(&routes::tenant(request, gateway)?))
}

fn server(base: &str) -> Server<'_> {
    Server {
        base,
        version: env!("CARGO_PKG_VERSION"),
        date: CHANGED,
    }
}

fn json(resource: &Value) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, FHIR_JSON))
        .body(resource.to_string())
}
