//! Polling and deleting an export (E-04 to E-06).

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use sluice_engine::{Answer, Progress, Standing, Withdrawal};
use sluice_fhir::rules::ProgressForm;
use sluice_fhir::{Guide, Issue};
use sluice_model::{JobRef, Manifest};

use crate::error::{ApiError, outcome, whole_seconds};
use crate::visit::Visit;
use crate::{Gateway, accept, manifest, urls};

pub(crate) async fn poll(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let visit = Visit::of(&gateway, &request).await?;
    let job = visit.job(&request)?;
    visit.check_headers(&request)?;
    accept::json(&request)?;
    let asked = page(&request);
    let standing = match asked {
        Some(page) => gateway.serve.page(&visit.caller, &job, page).await?,
        None => gateway.serve.status(&visit.caller, &job).await?,
    };
    let Standing {
        answer,
        form,
        offered,
        next,
    } = standing;
    let told = Told {
        gateway: &gateway,
        visit: &visit,
        job: &job,
        guide: form.guide,
        next,
    };
    let response = match answer {
        Answer::NotYours => return Err(ApiError::NotYours),
        Answer::Forbidden => return Err(ApiError::ScopeTooNarrow),
        Answer::Unknown => return Err(ApiError::UnknownJob),
        Answer::Gone => return Err(ApiError::JobGone),
        Answer::TooFast(wait) => return Err(ApiError::TooFast(wait)),
        Answer::Running(progress) => match offered {
            None => running(&progress, visit.rules().progress).finish(),
            Some(found) => {
                let mut response = running(&progress, visit.rules().progress);
                // A page that was asked for is whole, and its link says that more follows (E-06).
                if asked.is_some() && !form.separate_status {
                    response = HttpResponse::Ok();
                    response.insert_header((header::CACHE_CONTROL, "no-store"));
                }
                response.insert_header((header::CONTENT_TYPE, "application/json"));
                response.body(told.body(&found).await?)
            }
        },
        Answer::Complete(found) => complete(&told, &found).await?,
        Answer::Failed(issue) if form.separate_status => {
            ApiError::JobFailed(issue).told(visit.rules().errors)
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
fn running(progress: &Progress, form: ProgressForm) -> HttpResponseBuilder {
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
    let mut response = HttpResponse::Accepted();
    response
        .insert_header(("X-Progress", text))
        .insert_header((header::RETRY_AFTER, whole_seconds(*retry_after).to_string()))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    response
}

/// What is told to whom, and the page that follows it.
struct Told<'a> {
    gateway: &'a Gateway,
    visit: &'a Visit<'a>,
    job: &'a JobRef,
    guide: Guide,
    next: Option<u32>,
}

impl Told<'_> {
    /// A manifest, which is written down as served.
    async fn body(&self, found: &Manifest) -> Result<Vec<u8>, ApiError> {
        let Self {
            gateway,
            visit,
            job,
            ..
        } = self;
        gateway
            .auditing
            .manifest_served(&visit.caller, job, found)
            .await?;
        let next = self.next.map(|page| {
            let base = gateway.base(&job.tenant);
            let status = urls::status(&base, visit.rules().paths, job);
            format!("{status}?page={page}")
        });
        Ok(manifest::render(gateway, visit, (job, self.guide), found, next).await?)
    }
}

/// The page that is asked for; 0, which is none, for what is no number.
fn page(request: &HttpRequest) -> Option<u32> {
    let mut pairs = request.query_string().split('&');
    let number = pairs.find_map(|pair| pair.strip_prefix("page="))?;
    Some(number.parse().unwrap_or(0))
}

async fn complete(told: &Told<'_>, found: &Manifest) -> Result<HttpResponse, ApiError> {
    let body = told.body(found).await?;
    let expires = std::time::UNIX_EPOCH
        + std::time::Duration::from_millis(u64::try_from(found.expires_at.millis()).unwrap_or(0));
    let mut response = HttpResponse::Ok();
    if told.visit.rules().progress == ProgressForm::Word {
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
