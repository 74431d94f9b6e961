//! Files (E-07), by capability link or with the access token: whole or in part, plain or compressed,
//! or by a redirect to the store.

use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use futures::StreamExt;
use sluice_engine::{Caller, FileAnswer, Files};
use sluice_model::{JobRef, ManifestFile};
use sluice_ports::{PortError, PortKind};

use crate::error::ApiError;
use crate::range::{Wanted, wanted};
use crate::visit::{Visit, origin};
use crate::{Gateway, accept, compress, decompress, routes, urls};

/// How long the link works that a token is answered with: the client follows it at once.
const REDIRECT: Duration = Duration::from_mins(1);

/// How a file is sent.
struct Form {
    gzip: bool,
    tag: String,
}

pub(crate) async fn file(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let files = routes::served(&request, &gateway)?.access.files;
    let (caller, job, found) = match files {
        Files::Links => by_link(&gateway, &request).await?,
        Files::Redirect | Files::Stream => with_token(&gateway, &request).await?,
    };
    let form = form(&request, &found);
    if text(&request, header::IF_NONE_MATCH).is_some_and(|tags| matches_any(tags, &form.tag)) {
        return Ok(start(StatusCode::NOT_MODIFIED, &form).finish());
    }
    if request.method() != Method::HEAD {
        gateway.auditing.file_served(&caller, &job, &found).await?;
    }
    if files == Files::Redirect
        && let Some(link) = gateway.ports.blobs.link(&found.key, REDIRECT).await?
    {
        return Ok(HttpResponse::TemporaryRedirect()
            .insert_header((header::LOCATION, link.url))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .finish());
    }
    if form.gzip {
        compressed(&gateway, &found, &form).await
    } else {
        plain(&gateway, &request, &found, &form).await
    }
}

/// Who reads which file of which job.
type Reading = (Caller, JobRef, ManifestFile);

/// Whoever holds the link may read; a token beside it is not looked at.
async fn by_link(gateway: &Gateway, request: &HttpRequest) -> Result<Reading, ApiError> {
    let tenant = routes::tenant(request, gateway)?;
    let (job, path) = urls::asked(request).ok_or(ApiError::UnknownFile)?;
    let job = JobRef { tenant, job };
    let now = gateway.ports.clock.now();
    gateway
        .links
        .check(&job, &path, request.query_string(), now)?;
    let found = found(gateway.serve.file(&job, &path).await?)?;
    Ok((Caller::anyone(origin(request)), job, found))
}

/// The token's client must be the job's, and its scopes must cover the type (C-022).
async fn with_token(gateway: &Gateway, request: &HttpRequest) -> Result<Reading, ApiError> {
    let visit = Visit::of(gateway, request).await?;
    let (job, path) = urls::asked(request).ok_or(ApiError::UnknownFile)?;
    let tenant = visit.id.clone();
    let job = JobRef { tenant, job };
    let found = found(gateway.serve.own_file(&visit.caller, &job, &path).await?)?;
    Ok((visit.caller, job, found))
}

fn found(answer: FileAnswer) -> Result<ManifestFile, ApiError> {
    match answer {
        FileAnswer::Unknown => Err(ApiError::UnknownFile),
        FileAnswer::NotYours => Err(ApiError::NotYourFile),
        FileAnswer::Forbidden => Err(ApiError::ScopeTooNarrow),
        FileAnswer::Found(file) => Ok(file),
    }
}

/// Parts are parts of the plain form: a compressed one has no fixed bytes to count in.
fn form(request: &HttpRequest, file: &ManifestFile) -> Form {
    let gzip = accept::gzip(request) && !request.headers().contains_key(header::RANGE);
    let suffix = if gzip { "-gzip" } else { "" };
    Form {
        gzip,
        tag: format!("\"{}{suffix}\"", file.sha256),
    }
}

/// As it is stored, if that is gzip; else packed on the way.
async fn compressed(
    gateway: &Gateway,
    file: &ManifestFile,
    form: &Form,
) -> Result<HttpResponse, ApiError> {
    let mut response = start(StatusCode::OK, form);
    response
        .insert_header((header::CONTENT_TYPE, NDJSON))
        .insert_header((header::CONTENT_ENCODING, "gzip"));
    if let Some(packed) = &file.gzip {
        let body = open(gateway, file, 0..packed.bytes).await?;
        return Ok(response.body(SizedStream::new(packed.bytes, body)));
    }
    let body = open(gateway, file, 0..file.bytes).await?;
    Ok(response.streaming(compress::gzip(body)))
}

async fn plain(
    gateway: &Gateway,
    request: &HttpRequest,
    file: &ManifestFile,
    form: &Form,
) -> Result<HttpResponse, ApiError> {
    // A part of another version would not fit what the client has.
    let same = text(request, header::IF_RANGE).is_none_or(|tag| tag.trim() == form.tag);
    let range = text(request, header::RANGE).filter(|_| same);
    let (status, range) = match wanted(range, file.bytes) {
        Wanted::Outside => return Err(ApiError::RangeOutside(file.bytes)),
        Wanted::Whole => (StatusCode::OK, 0..file.bytes),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
    };
    let mut response = start(status, form);
    response
        .insert_header((header::CONTENT_TYPE, NDJSON))
        .insert_header((header::ACCEPT_RANGES, "bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        let part = format!("bytes {}-{}/{}", range.start, range.end - 1, file.bytes);
        response.insert_header((header::CONTENT_RANGE, part));
    }
    let length = range.end - range.start;
    if let Some(packed) = &file.gzip {
        let body = open(gateway, file, 0..packed.bytes).await?;
        let plain = decompress::gunzip(body, range);
        return Ok(response.body(SizedStream::new(length, plain.boxed_local())));
    }
    let body = open(gateway, file, range).await?;
    Ok(response.body(SizedStream::new(length, body)))
}

const NDJSON: &str = "application/fhir+ndjson";

/// Files never change, so they may be kept, but only by the client itself.
fn start(status: StatusCode, form: &Form) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::ETAG, form.tag.clone()))
        .insert_header((header::VARY, "Accept-Encoding"))
        .insert_header((header::CACHE_CONTROL, "private, no-transform"));
    response
}

async fn open(
    gateway: &Gateway,
    file: &ManifestFile,
    range: std::ops::Range<u64>,
) -> Result<sluice_ports::ByteStream, ApiError> {
    let opened: Result<_, PortError> = gateway.ports.blobs.read(&file.key, range).await;
    opened.map_err(|error| match error.kind {
        PortKind::NotFound => ApiError::UnknownFile,
        _ => ApiError::Port(error),
    })
}

fn text(request: &HttpRequest, name: header::HeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok()
}

fn matches_any(tags: &str, tag: &str) -> bool {
    tags.split(',')
        .map(|one| one.trim().trim_start_matches("W/"))
        .any(|one| one == "*" || one == tag)
}
