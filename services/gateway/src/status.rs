//! Polling and deleting an export (E-04, E-05).

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use sluice_engine::{Answer, Progress, Standing, Withdrawal};
use sluice_fhir::rules::ProgressForm;
use sluice_fhir::{Guide, Issue};
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
    visit.check_headers(&request)?;
    accept::json(&request)?;
    let Standing { answer, form } = gateway.serve.status(&visit.caller, &job).await?;
    let response = match answer {
        Answer::NotYours => return Err(ApiError::NotYours),
        Answer::Forbidden => return Err(ApiError::ScopeTooNarrow),
        Answer::Unknown => return Err(ApiError::UnknownJob),
        Answer::Gone => return Err(ApiError::JobGone),
        Answer::TooFast(wait) => return Err(ApiError::TooFast(wait)),
        Answer::Running(progress) => running(&progress, visit.rules().progress),
        Answer::Complete(found) => complete(&gateway, &visit, (&job, form.guide), &found).await?,
        Answer::Failed(issue) if form.separate_status => {
            ApiError::JobFailed(issue).error_response()
        }
        Answer::Failed(issue) => return Err(ApiError::JobFailed(issue)),
    };
    Ok(if form.separate_status {
        separate(response)
    } else {
        response
    })
}

/// The status of the answer tells of the poll, which went well; that of the job has a header of its own
///
fn separate(mut response: HttpResponse) -> HttpResponse {
    let of_job = response.status().to_string();
    if let Ok(of_job) = HeaderValue::from_str(&of_job) {
        let name = HeaderName::from_static("x-export-status");
        response.headers_mut().insert(name, of_job);
    }
    *response.status_mut() = StatusCode::OK;
    response
}

/// The percentage stands first: the best-known client reads it with `parseInt` (T-035).
fn running(progress: &Progress, form: ProgressForm) -> HttpResponse {
    let Progress {
        percent,
        resources,
        per_second,
        retry_after,
    } = progress;
    let text = match form {
        ProgressForm::Numbers => {
            format!("{percent}% complete, {resources} resources, {per_second} per second")
        }
        ProgressForm::Percent => format!("{percent}.0% complete"),
        ProgressForm::Word => "in-progress".to_owned(),
    };
    HttpResponse::Accepted()
        .insert_header(("X-Progress", text))
        .insert_header((header::RETRY_AFTER, whole_seconds(*retry_after).to_string()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

async fn complete(
    gateway: &Gateway,
    visit: &Visit<'_>,
    (job, guide): (&JobRef, Guide),
    found: &Manifest,
) -> Result<HttpResponse, ApiError> {
    gateway
        .auditing
        .manifest_served(&visit.caller, job, found)
        .await?;
    let body = manifest::render(gateway, visit, (job, guide), found).await?;
    let expires = std::time::UNIX_EPOCH
        + std::time::Duration::from_millis(u64::try_from(found.expires_at.millis()).unwrap_or(0));
    let mut response = HttpResponse::Ok();
    if visit.rules().progress == ProgressForm::Word {
        response.insert_header(("X-Progress", "completed"));
    }
    Ok(response
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
    visit.check_headers(&request)?;
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
