//! What the server says about itself (E-09, E-13).

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;
use sluice_auth::LevelName;
use sluice_fhir::Instant;
use sluice_fhir::capability::{self, Levels, Server};
use sluice_fhir::rules::Rules;

use crate::error::{ApiError, FHIR_JSON};
use crate::{Gateway, accept, routes};

/// When what is served here last changed: 2026-11-26.
const CHANGED: Instant = Instant::from_millis(1_795_651_200_000);

pub(crate) async fn metadata(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let about = About::of(&gateway, &request)?;
    Ok(json(&capability::capability_statement(&about.server())))
}

pub(crate) async fn operation_definition(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let about = About::of(&gateway, &request)?;
    let id = routes::part(&request, "id");
    let found = capability::operation_definition(&about.server(), id);
    found.map(|found| json(&found)).ok_or(ApiError::NothingHere)
}

/// What is told about one tenant.
struct About<'g> {
    rules: &'g Rules,
    base: String,
    levels: Levels,
    token_url: Option<String>,
}

impl<'g> About<'g> {
    fn of(gateway: &'g Gateway, request: &HttpRequest) -> Result<Self, ApiError> {
        accept::json(request)?;
        let tenant = routes::tenant(request, gateway)?;
        let access = &routes::served(request, gateway)?.access;
        let on = &access.levels;
        Ok(Self {
            rules: &access.rules,
            base: gateway.base(&tenant),
            levels: Levels {
                system: on.contains(&LevelName::System),
                patient: on.contains(&LevelName::Patient),
                group: on.contains(&LevelName::Group),
            },
            token_url: (!gateway.bearer.is_off()).then(|| gateway.token_url(&tenant)),
        })
    }

    fn server(&self) -> Server<'_> {
        Server {
            base: &self.base,
            version: env!("CARGO_PKG_VERSION"),
            date: CHANGED,
            levels: self.levels,
            token_url: self.token_url.as_deref(),
            rules: self.rules,
        }
    }
}

fn json(resource: &Value) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, FHIR_JSON))
        .body(resource.to_string())
}
