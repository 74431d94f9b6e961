//! Which path goes to which handler. Whatever is not here answers with an OperationOutcome too.

use actix_web::guard::{Any, Get, Post};
use actix_web::{HttpRequest, Resource, web};
use sluice_engine::Tenant;
use sluice_fhir::is_id;
use sluice_model::TenantId;

use crate::error::ApiError;
use crate::{Gateway, discovery, download, groups, kickoff, oauth, status};

/// A path, the methods that it has as `Allow` tells them, and what answers these.
pub(crate) struct Place {
    pub(crate) path: &'static str,
    pub(crate) methods: &'static str,
    answered: fn(Resource) -> Resource,
}

/// All that is there, by what it lies below. `docs/openapi.json` has the same.
pub(crate) const PLACES: [(&str, &[Place]); 2] =
    [("/{tenant}/fhir", &FHIR), ("/{tenant}/oauth2", &OAUTH)];

// Patterns are tried in this order, so what is asked most comes first.
const FHIR: [Place; 16] = [
    statuses("/bulk-export/jobs/{job}"),
    statuses("/bulk-api/request/{job}"),
    kickoffs("/$export", |at| by_both(at, web::to(kickoff::system))),
    kickoffs("/Patient/$export", |at| {
        by_both(at, web::to(kickoff::patient))
    }),
    kickoffs("/Group/{group}/$export", |at| {
        by_both(at, web::to(kickoff::group))
    }),
    ballot("/$export-v4", |at| at.route(web::to(kickoff::system))),
    ballot("/Patient/$export-v4", |at| {
        at.route(web::to(kickoff::patient))
    }),
    ballot("/Group/{group}/$export-v4", |at| {
        at.route(web::to(kickoff::group))
    }),
    reads("/bulk-export/files/{job}/{path:.+}", |at| {
        read(at, download::file)
    }),
    reads("/bulk-export/files/{file}", |at| read(at, download::file)),
    reads("/bulk-api/download/{job}/{file}", |at| {
        read(at, download::file)
    }),
    reads("/metadata", |at| read(at, discovery::metadata)),
    reads("/.well-known/smart-configuration", |at| {
        read(at, oauth::configuration)
    }),
    reads("/OperationDefinition/{id}", |at| {
        read(at, discovery::operation_definition)
    }),
    reads("/Group", |at| read(at, groups::search)),
    reads("/Group/{group}", |at| read(at, groups::read)),
];

const OAUTH: [Place; 2] = [
    Place {
        path: "/token",
        methods: "POST",
        answered: |at| {
            at.route(web::post().to(oauth::token))
                .default_service(web::to(oauth::not_a_post))
        },
    },
    reads("/jwks", |at| read(at, oauth::jwks)),
];

pub(crate) fn configure(app: &mut web::ServiceConfig) {
    for (below, places) in PLACES {
        let mut scope = web::scope(below);
        for place in places {
            let at = web::resource(place.path).default_service(wrong_method(place.methods));
            scope = scope.service((place.answered)(at));
        }
        app.service(scope.default_service(web::to(nothing_here)));
    }
    app.default_service(web::to(nothing_here));
}

const fn kickoffs(path: &'static str, answered: fn(Resource) -> Resource) -> Place {
    Place {
        path,
        methods: "GET, POST",
        answered,
    }
}

fn by_both(at: Resource, handler: actix_web::Route) -> Resource {
    at.route(handler.guard(Any(Get()).or(Post())))
}

/// Its handlers refuse other methods themselves: they know whether the tenant has the operation at all.
const fn ballot(path: &'static str, answered: fn(Resource) -> Resource) -> Place {
    Place {
        path,
        methods: "POST",
        answered,
    }
}

const fn statuses(path: &'static str) -> Place {
    Place {
        path,
        methods: "GET, DELETE",
        answered: |at| {
            at.route(web::get().to(status::poll))
                .route(web::delete().to(status::delete))
        },
    }
}

const fn reads(path: &'static str, answered: fn(Resource) -> Resource) -> Place {
    Place {
        path,
        methods: "GET, HEAD",
        answered,
    }
}

fn read<F, Args>(at: Resource, handler: F) -> Resource
where
    F: actix_web::Handler<Args> + Clone,
    Args: actix_web::FromRequest + 'static,
    F::Output: actix_web::Responder + 'static,
{
    at.route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
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
