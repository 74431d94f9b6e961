//! Who asks, of which tenant: the first thing that every handler behind authorization looks at.

use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest};
use sluice_engine::{Caller, Origin, Tenant};
use sluice_fhir::rules::{Headers, Rules};
use sluice_model::{JobRef, TenantId};

use crate::error::ApiError;
use crate::request::RequestId;
use crate::{Gateway, accept, routes};

/// A request that was let in.
pub(crate) struct Visit<'g> {
    pub(crate) id: TenantId,
    pub(crate) tenant: &'g Tenant,
    pub(crate) caller: Caller,
}

impl<'g> Visit<'g> {
    /// Lets a request in, or says why not.
    pub(crate) async fn of(gateway: &'g Gateway, request: &HttpRequest) -> Result<Self, ApiError> {
        let id = routes::tenant(request, gateway)?;
        let tenant = gateway.tenants.get(&id).ok_or(ApiError::UnknownTenant)?;
        let origin = origin(request);
        let token = if gateway.bearer.is_off() {
            None
        } else {
            bearer(request)?
        };
        let caller = gateway.bearer.caller(&id, token, origin).await?;
        // For the audit of what comes of it.
        request.extensions_mut().insert(caller.clone());
        Ok(Self { id, tenant, caller })
    }

    /// The house rules of its tenant.
    pub(crate) fn rules(&self) -> &'g Rules {
        &self.tenant.access.rules
    }

    /// Refuses a request without the headers that its tenant demands.
    pub(crate) fn check_headers(&self, request: &HttpRequest) -> Result<(), ApiError> {
        match self.rules().headers {
            Headers::Any => Ok(()),
            Headers::Strict => accept::strict(request),
        }
    }

    /// The job of the path. One that cannot exist is as unknown as one that does not.
    pub(crate) fn job(&self, request: &HttpRequest) -> Result<JobRef, ApiError> {
        let job = routes::part(request, "job");
        let job = job.parse().map_err(|_| ApiError::UnknownJob)?;
        let tenant = self.id.clone();
        Ok(JobRef { tenant, job })
    }
}

/// Where a request came from. Of what proxies say of it nothing is believed.
pub(crate) fn origin(request: &HttpRequest) -> Origin {
    let id = request
        .extensions()
        .get::<RequestId>()
        .map(|id| id.0.clone());
    Origin {
        address: request.peer_addr().map(|peer| peer.ip().to_string()),
        request_id: id,
    }
}

/// What follows `Bearer`; a token anywhere else, such as in the query, is none.
fn bearer(request: &HttpRequest) -> Result<Option<&str>, ApiError> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let (Some(value), None) = (headers.next(), headers.next()) else {
        // None is nobody; two could mean anybody.
        return if request.headers().contains_key(header::AUTHORIZATION) {
            Err(ApiError::Token(sluice_auth::TokenError::Invalid))
        } else {
            Ok(None)
        };
    };
    let value = value.to_str().unwrap_or_default();
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Ok(None),
    }
}
