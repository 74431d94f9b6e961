//! The URLs of an export's status and files. They have several shapes: each is answered always, and a
//! tenant's rules say which one its clients are told (C-016).

use actix_web::HttpRequest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sluice_fhir::rules::Paths;
use sluice_model::{JobId, JobRef, ManifestFile, layout};

use crate::routes;

/// Where the status of a job is, below a FHIR base.
pub(crate) fn status(base: &str, paths: Paths, job: &JobRef) -> String {
    let job = job.job;
    match paths {
        Paths::Sluice | Paths::Millennium => format!("{base}/bulk-export/jobs/{job}"),
        Paths::Soarian => format!("{base}/bulk-api/request/{job}"),
    }
}

/// The part of a file's key below its job's: what names it among the job's files.
pub(crate) fn path<'f>(job: &JobRef, file: &'f ManifestFile) -> &'f str {
    let below = file.key.strip_prefix(&layout::job(job));
    below.unwrap_or(&file.key)
}

/// Where a file of a job is, below a FHIR base. Where a file is one part of the URL, that part is its path,
/// written so that it holds no slash.
pub(crate) fn file(base: &str, paths: Paths, (job, file): (&JobRef, &ManifestFile)) -> String {
    let (path, job) = (path(job, file), job.job);
    match paths {
        Paths::Sluice => format!("{base}/bulk-export/files/{job}/{path}"),
        Paths::Soarian => {
            let (id, kind) = (BASE64.encode(path), file.kind);
            format!("{base}/bulk-api/download/{job}/{id}_{kind}.ndjson")
        }
        Paths::Millennium => {
            let id = BASE64.encode(path);
            format!("{base}/bulk-export/files/{job}.{id}")
        }
    }
}

/// The file that a request names, in whichever shape: the job, and the file's path below it. `None` for what
/// no URL told here looks like.
pub(crate) fn asked(request: &HttpRequest) -> Option<(JobId, String)> {
    let (path, part) = (routes::part(request, "path"), routes::part(request, "file"));
    if part.is_empty() {
        let job = routes::part(request, "job").parse().ok()?;
        return Some((job, path.to_owned()));
    }
    let job = routes::part(request, "job");
    let (job, id) = if job.is_empty() {
        part.split_once('.')?
    } else {
        // A type has no underscore, and an id may.
        (job, part.strip_suffix(".ndjson")?.rsplit_once('_')?.0)
    };
    let path = String::from_utf8(BASE64.decode(id).ok()?).ok()?;
    Some((job.parse().ok()?, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use sluice_fhir::ResourceType;

    #[test]
    fn c_016_every_shape_of_a_files_url_leads_to_the_file() {
        let job = JobRef {
            tenant: "a".parse().unwrap(),
            job: JobId::from_bytes([7; 16]),
        };
        let path = "data/00001-00/00ff00ff00ff00ff/Patient.1.ndjson.gz";
        let found = ManifestFile {
            kind: ResourceType::PATIENT,
            key: format!("{job}/{path}"),
            count: 1,
            bytes: 1,
            sha256: String::new(),
            gzip: None,
            severities: Vec::new(),
            continues_in: None,
        };
        let url = |paths| file("", paths, (&job, &found));
        let read = |request: TestRequest| asked(&request.to_http_request());
        let want = Some((job.job, path.to_owned()));
        let request = || TestRequest::default().param("job", job.job.to_string());

        assert!(url(Paths::Sluice).ends_with(path));
        assert_eq!(read(request().param("path", path)), want);

        let soarian = url(Paths::Soarian);
        let name = soarian.rsplit('/').next().unwrap().to_owned();
        assert!(name.ends_with("_Patient.ndjson"), "{name}");
        assert_eq!(read(request().param("file", name)), want);

        let millennium = url(Paths::Millennium);
        let name = millennium.rsplit('/').next().unwrap().to_owned();
        assert_eq!(read(TestRequest::default().param("file", name)), want);
        assert_eq!(read(TestRequest::default().param("file", "x.y")), None);
        assert_eq!(read(request().param("file", "no-type.ndjson")), None);
    }
}
