//! Polling and deleting an export (E-04, E-05).

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use sluice_engine::{Answer, Progress, Withdrawal};
use sluice_fhir::Issue;
use sluice_model::{JobRef, Manifest};

use crate::error::{ApiError, outcome, whole_seconds};
use crate::visit::Visit;
use crate::{Gateway, accept, manifest};

pub(crate) async fn poll(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let visit = Visit::of(&gateway, &request).await?;
    let job = visit.job(&request)?;
    accept::json(&request)?;
    match gateway.serve.status(&visit.caller, &job).await? {
        Answer::NotYours => Err(ApiError::NotYours),
        Answer::Forbidden => Err(ApiError::ScopeTooNarrow),
        Answer::Unknown => Err(ApiError::UnknownJob),
        Answer::Gone => Err(ApiError::JobGone),
        Answer::TooFast(wait) => Err(ApiError::TooFast(wait)),
        Answer::Running(progress) => Ok(running(&progress)),
        Answer::Complete(found) => complete(&gateway, &visit, &job, &found).await,
        Answer::Failed(issue) => Err(ApiError::JobFailed(issue)),
    }
}

/// The percentage stands first: the best-known client reads it with `parseInt` (T-035).
fn running(progress: &Progress) -> HttpResponse {
    let Progress {
        percent,
        resources,
        per_second,
        retry_after,
    } = progress;
    let text = format!("{percent}% complete, {resources} resources, {per_second} per second");
    HttpResponse::Accepted()
        .insert_header(("X-Progress", text))
        .insert_header((header::RETRY_AFTER, whole_seconds(*retry_after).to_string()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

async fn complete(
    gateway: &Gateway,
    visit: &Visit<'_>,
    job: &JobRef,
    found: &Manifest,
) -> Result<HttpResponse, ApiError> {
    gateway
        .auditing
        .manifest_served(&visit.caller, job, found)
        .await?;
    let body = manifest::render(gateway, visit, job, found).await?;
    let expires = std::time::UNIX_EPOCH
        + std::time::Duration::from_millis(u64::try_from(found.expires_at.millis()).unwrap_or(0));
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header(header::Expires(expires.into()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(body))
}

pub(crate) async fn delete(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let visit = Visit::of(&gateway, &request).await?;
    let job = visit.job(&request)?;
    match gateway.cancel.delete(&visit.caller, &job).await? {
        Withdrawal::NotYours => Err(ApiError::NotYours),
        Withdrawal::Unknown => Err(ApiError::UnknownJob),
        Withdrawal::Withdrawn => {
            let text = format!("export {} is deleted; its files are being removed", job.job);
            let mut response = HttpResponse::Accepted();
            Ok(outcome(&mut response, vec![Issue::information(text)]))
        }
    }
}
