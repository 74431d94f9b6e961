//! What a client accepts, read leniently: kits and clients in the field disagree (T-003).

use actix_web::HttpRequest;
use actix_web::http::header;
use sluice_fhir::Prefer;

use crate::error::ApiError;

/// Refuses only a header in which nothing fits any JSON.
pub(crate) fn json(request: &HttpRequest) -> Result<(), ApiError> {
    let mut headers = request
        .headers()
        .get_all(header::ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .peekable();
    if headers.peek().is_none() || headers.any(|value| value.split(',').any(fits)) {
        Ok(())
    } else {
        Err(ApiError::NotAcceptable)
    }
}

/// C-012: what some sites demand of every kick-off, poll and deletion.
pub(crate) fn strict(request: &HttpRequest) -> Result<(), ApiError> {
    let all = |name: header::HeaderName| request.headers().get_all(name);
    let mut accepted = all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    let names = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        media.eq_ignore_ascii_case("application/fhir+json") && !parts.any(is_refusal)
    };
    let preferred = all(header::HeaderName::from_static("prefer"));
    let prefer = Prefer::parse(preferred.filter_map(|value| value.to_str().ok()));
    if accepted.any(|value| value.split(',').any(names)) && prefer.respond_async {
        Ok(())
    } else {
        Err(ApiError::HeadersMissing)
    }
}

fn fits(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    let refused = parts.any(is_refusal);
    let known = matches!(
        media.as_str(),
        "" | "*/*"
            | "application/*"
            | "application/json"
            | "application/fhir+json"
            | "application/fhir+ndjson"
            | "application/ndjson"
    );
    known && !refused
}

/// `q=0`, however it is spelled.
fn is_refusal(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    name.trim().eq_ignore_ascii_case("q")
        && value
            .trim()
            .parse::<f32>()
            .is_ok_and(|quality| quality <= 0.0)
}

/// Whether gzip is welcome.
pub(crate) fn gzip(request: &HttpRequest) -> bool {
    let headers = request.headers().get_all(header::ACCEPT_ENCODING);
    let mut ranges = headers
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        coding.eq_ignore_ascii_case("gzip") && !parts.any(is_refusal)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn t_003_only_a_header_in_which_nothing_fits_is_refused() {
        let with = |value: &str| {
            json(
                &TestRequest::default()
                    .insert_header((header::ACCEPT, value.to_owned()))
                    .to_http_request(),
            )
        };
        for value in [
            "application/fhir+json",
            "application/json;q=0.5",
            "text/html, */*",
            "application/fhir+json; fhirVersion=4.0",
        ] {
            assert!(with(value).is_ok(), "{value}");
        }
        for value in ["text/csv", "application/json;q=0"] {
            assert!(with(value).is_err(), "{value}");
        }
        assert!(json(&TestRequest::default().to_http_request()).is_ok());
    }

    #[test]
    fn gzip_must_be_named() {
        let with = |value: &str| {
            gzip(
                &TestRequest::default()
                    .insert_header((header::ACCEPT_ENCODING, value.to_owned()))
                    .to_http_request(),
            )
        };
        assert!(with("br, gzip;q=0.8"));
        assert!(!with("gzip;q=0"));
        assert!(!with("identity"));
    }
}
