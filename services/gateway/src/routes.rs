//! Which path goes to which handler. Whatever is not here answers with an OperationOutcome too.

use actix_web::{HttpRequest, web};
use sluice_engine::Tenant;
use sluice_fhir::is_id;
use sluice_model::TenantId;

use crate::error::ApiError;
use crate::{Gateway, discovery, download, groups, kickoff, oauth, status};

pub(crate) fn configure(app: &mut web::ServiceConfig) {
    let base = web::scope("/{tenant}/fhir")
        .service(kickoffs("/$export", web::to(kickoff::system)))
        .service(kickoffs("/Patient/$export", web::to(kickoff::patient)))
        .service(kickoffs("/Group/{group}/$export", web::to(kickoff::group)))
        .service(web::resource("/$export-v4").route(web::to(kickoff::system)))
        .service(web::resource("/Patient/$export-v4").route(web::to(kickoff::patient)))
        .service(web::resource("/Group/{group}/$export-v4").route(web::to(kickoff::group)))
        .service(statuses("/bulk-export/jobs/{job}"))
        .service(statuses("/bulk-api/request/{job}"))
        .service(reads("/bulk-export/files/{job}/{path:.+}", download::file))
        .service(reads("/bulk-export/files/{file}", download::file))
        .service(reads("/bulk-api/download/{job}/{file}", download::file))
        .service(reads("/metadata", discovery::metadata))
        .service(reads(
            "/.well-known/smart-configuration",
            oauth::configuration,
        ))
        .service(reads(
            "/OperationDefinition/{id}",
            discovery::operation_definition,
        ))
        .service(reads("/Group", groups::search))
        .service(reads("/Group/{group}", groups::read))
        .default_service(web::to(nothing_here));
    let oauth = web::scope("/{tenant}/oauth2")
        .service(
            web::resource("/token")
                .route(web::post().to(oauth::token))
                .default_service(web::to(oauth::not_a_post)),
        )
        .service(reads("/jwks", oauth::jwks))
        .default_service(web::to(nothing_here));
    app.service(base)
        .service(oauth)
        .default_service(web::to(nothing_here));
}

fn kickoffs(path: &str, handler: actix_web::Route) -> actix_web::Resource {
    let methods = actix_web::guard::Any(actix_web::guard::Get()).or(actix_web::guard::Post());
    web::resource(path)
        .route(handler.guard(methods))
        .default_service(wrong_method("GET, POST"))
}

fn statuses(path: &str) -> actix_web::Resource {
    web::resource(path)
        .route(web::get().to(status::poll))
        .route(web::delete().to(status::delete))
        .default_service(wrong_method("GET, DELETE"))
}

fn reads<F, Args>(path: &str, handler: F) -> actix_web::Resource
where
    F: actix_web::Handler<Args> + Clone,
    Args: actix_web::FromRequest + 'static,
    F::Output: actix_web::Responder + 'static,
{
    web::resource(path)
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
        .default_service(wrong_method("GET, HEAD"))
}

/// Says which methods would do.
fn wrong_method(allowed: &'static str) -> actix_web::Route {
    web::to(move || async move { Err::<String, _>(ApiError::WrongMethod(allowed)) })
}

async fn nothing_here() -> Result<String, ApiError> {
    Err(ApiError::NothingHere)
}

/// A part of the path, decoded.
pub(crate) fn part<'r>(request: &'r HttpRequest, name: &str) -> &'r str {
    request.match_info().get(name).unwrap_or_default()
}

/// What is known of the tenant of the path.
pub(crate) fn served<'g>(
    request: &HttpRequest,
    gateway: &'g Gateway,
) -> Result<&'g Tenant, ApiError> {
    let tenant = tenant(request, gateway)?;
    gateway.tenants.get(&tenant).ok_or(ApiError::UnknownTenant)
}

/// The tenant of the path, if it is served.
pub(crate) fn tenant(request: &HttpRequest, gateway: &Gateway) -> Result<TenantId, ApiError> {
    let tenant: TenantId = part(request, "tenant")
        .parse()
        .map_err(|_| ApiError::UnknownTenant)?;
    match gateway.tenants.get(&tenant) {
        Some(_) => Ok(tenant),
        None => Err(ApiError::UnknownTenant),
    }
}

/// The Group of the path.
pub(crate) fn group(request: &HttpRequest) -> Result<&str, ApiError> {
    let id = part(request, "group");
    if is_id(id) {
        Ok(id)
    } else {
        Err(ApiError::UnknownGroup)
    }
}
