//! SMART Backend Services over HTTP: discovery (E-10), the token endpoint (E-11), and the keys of its
//! tokens. Errors here are OAuth's own (RFC 6749 section 5.2), not `OperationOutcome`s.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use serde_json::{Value, json};
use sluice_auth::{OAuthCode, Refusal};
use sluice_engine::{Authorization, TokenFailure, Tokens};
use sluice_model::TenantId;
use sluice_ports::PortError;

use crate::error::ApiError;
use crate::{Gateway, routes};

/// The largest token request that is read.
const MOST_BYTES: usize = 64 * 1024;
const FORM: &str = "application/x-www-form-urlencoded";
/// Told with 503.
const BUSY_SECONDS: u64 = 5;

/// `[base]/.well-known/smart-configuration`: what want, whatever Accept says.
pub(crate) async fn configuration(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let tenant = routes::tenant(&request, &gateway)?;
    let Authorization::On(_) = &gateway.authorization else {
        return Err(ApiError::NoAuthorization);
    };
    let access = gateway
        .tenants
        .get(&tenant)
        .map(|tenant| tenant.access.clone());
    let access = access.ok_or(ApiError::UnknownTenant)?;
    let mut configuration = json!({
        "token_endpoint": gateway.token_url(&tenant),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "scopes_supported": [
            "system/*.rs", "system/*.read", "system/Patient.rs", "system/Patient.read", "system/Group.rs",
        ],
        "response_types_supported": ["token"],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    });
    if access.own_tokens {
        let url = &gateway.settings.public_url;
        configuration["issuer"] = json!(format!("{url}/{tenant}/oauth2"));
        configuration["jwks_uri"] = json!(format!("{url}/{tenant}/oauth2/jwks"));
    } else if let Some(other) = access
        .issuers
        .iter()
        .find(|issuer| issuer.token_url.is_some())
    {
        configuration["issuer"] = json!(other.tokens.issuer);
        configuration["jwks_uri"] = json!(other.jwks_url);
    }
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .json(configuration))
}

/// `[tenant]/oauth2/jwks`.
pub(crate) async fn jwks(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let (tenant, tokens) = own(&gateway, &request)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "max-age=300"))
        .json(tokens.jwks(&tenant)?))
}

/// The tenant and what issues its tokens, if this server does.
fn own<'g>(
    gateway: &'g Gateway,
    request: &HttpRequest,
) -> Result<(TenantId, &'g Tokens), ApiError> {
    let id = routes::tenant(request, gateway)?;
    let own = gateway
        .tenants
        .get(&id)
        .is_some_and(|tenant| tenant.access.own_tokens);
    match &gateway.authorization {
        Authorization::On(tokens) if own => Ok((id, tokens)),
        _ => Err(ApiError::NothingHere),
    }
}

/// `POST [tenant]/oauth2/token`.
pub(crate) async fn token(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let (tenant, tokens) = own(&gateway, &request)?;
    let answered = answer(&gateway, &request, (&tenant, tokens), body).await;
    gateway.ports.metrics.token_asked(answered.as_ref().err());
    Ok(answered.unwrap_or_else(|failure| refused(&request, &failure)))
}

async fn answer(
    gateway: &Gateway,
    request: &HttpRequest,
    (tenant, tokens): (&TenantId, &Tokens),
    body: web::Payload,
) -> Result<HttpResponse, TokenFailure> {
    let granted = match form(gateway, request, body).await {
        Ok(form) => tokens.grant(tenant, &form).await,
        Err(refusal) => Err(refusal.into()),
    };
    let granted = match granted {
        Ok(granted) => granted,
        Err(failure) => {
            let auditing = &gateway.auditing;
            auditing.token_refused(request, tenant, &failure).await?;
            return Err(failure);
        }
    };
    gateway
        .auditing
        .token_issued(request, tenant, &granted.token)
        .await?;
    let issued = tokens.issue(tenant, &granted)?;
    let body = json!({
        "access_token": issued.token,
        "token_type": "bearer",
        "expires_in": issued.life,
        "scope": granted.token.scopes.to_string(),
    });
    Ok(answered(StatusCode::OK).body(body.to_string()))
}

/// The body of the request, if it is a form. One who shows a secret in a header is told so.
async fn form(
    gateway: &Gateway,
    request: &HttpRequest,
    body: web::Payload,
) -> Result<web::Bytes, Refusal> {
    if request.headers().contains_key(header::AUTHORIZATION) {
        return Err(Refusal::client(
            "clients prove who they are by client_assertion, not by an Authorization header",
        ));
    }
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = kind.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case(FORM) {
        return Err(Refusal::request(
            "the token request must be application/x-www-form-urlencoded",
        ));
    }
    let read = tokio::time::timeout(
        gateway.settings.limits.body_time,
        body.to_bytes_limited(MOST_BYTES),
    );
    match read.await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(_))) => Err(Refusal::request("the body ended early")),
        Ok(Err(_)) => Err(Refusal::request("the token request is larger than 64 KiB")),
        Err(_) => Err(Refusal::request("the body took too long to arrive")),
    }
}

/// Only a POST is a token request.
pub(crate) async fn not_a_post(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    own(&gateway, &request)?;
    let refusal = Refusal::request("a token request is a POST with a form");
    let body = error(refusal.code.name(), refusal.reason);
    let mut response = answered(StatusCode::METHOD_NOT_ALLOWED);
    response.insert_header((header::ALLOW, "POST"));
    Ok(response.body(body.to_string()))
}

fn refused(request: &HttpRequest, failure: &TokenFailure) -> HttpResponse {
    let refusal = match failure {
        TokenFailure::Refused { refusal, .. } => refusal,
        TokenFailure::Port(error) => return unavailable(error),
    };
    let body = error(refusal.code.name(), refusal.reason);
    let by_header = request.headers().contains_key(header::AUTHORIZATION);
    // a client that tried a header hears 401; 400 is what all others must expect.
    if by_header && refusal.code == OAuthCode::InvalidClient {
        let mut response = answered(StatusCode::UNAUTHORIZED);
        let scheme = "Basic realm=\"use private_key_jwt instead\"";
        response.insert_header((header::WWW_AUTHENTICATE, scheme));
        return response.body(body.to_string());
    }
    answered(StatusCode::BAD_REQUEST).body(body.to_string())
}

/// What must be asked for a token cannot be asked: nobody gets one (decision 5).
fn unavailable(error: &PortError) -> HttpResponse {
    tracing::error!(error = error.chain(), "a token request failed");
    let body = self::error(
        "temporarily_unavailable",
        "the server cannot issue tokens just now; try again",
    );
    let mut response = answered(StatusCode::SERVICE_UNAVAILABLE);
    response.insert_header((header::RETRY_AFTER, BUSY_SECONDS.to_string()));
    response.body(body.to_string())
}

fn error(code: &str, reason: &str) -> Value {
    json!({ "error": code, "error_description": reason })
}

/// A builder with what every answer of the endpoint has.
fn answered(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"));
    response
}
