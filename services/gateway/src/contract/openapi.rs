//! `docs/openapi.json` tells the truth: it has the routes that there are, and whatever the tests of this
//! contract are answered is in it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use actix_web::http::Method;
use actix_web::http::header::HeaderName;
use actix_web::test::TestRequest;
use sluice_testkit::openapi::{Answer, OpenApi};

use super::access::Secured;
use super::{Got, Site};
use crate::routes::PLACES;

static DOCUMENT: LazyLock<OpenApi> =
    LazyLock::new(|| OpenApi::read(include_str!("../../../../docs/openapi.json")).unwrap());

/// Where the admin port's own test looks: `tests/admin/`, and the tests of the worker.
const ADMIN: [&str; 9] = [
    "/livez",
    "/readyz",
    "/metrics",
    "/clients/",
    "/jobs",
    "/dispatch",
    "/dead/",
    "/log/",
    "/drain",
];

/// As the document has a route. There, a parameter is one part of a path.
fn documented(route: &str) -> String {
    route.replace("{path:.+}", "data/{part}/{attempt}/{name}")
}

/// Holds an answer against the document; `route` is what the router found, if anything.
pub(super) fn check(method: &Method, route: Option<&str>, got: &Got) {
    let status = got.status.as_u16();
    let path = route.map(documented).unwrap_or_default();
    let method = method.as_str();
    if !DOCUMENT.has(method, &path) {
        let refusals: &[u16] = match route {
            None => &[404, 414, 431],
            // Who may not know of an operation does not hear which methods it has.
            Some(_) => &[401, 404, 405, 414, 431],
        };
        assert!(refusals.contains(&status), "{method} {route:?}: {status}");
        return;
    }
    let headers: Vec<&str> = got.headers.keys().map(HeaderName::as_str).collect();
    // Only on a connection is a HEAD without a body: here that stands for one of the same length.
    let is_plain = method != "HEAD" && !headers.contains(&"content-encoding");
    let answer = Answer {
        status,
        content_type: Some(got.header("content-type")).filter(|media| !media.is_empty()),
        headers: &headers,
        body: Some(&got.body[..]).filter(|_| is_plain),
    };
    if let Err(wrong) = DOCUMENT.check(method, &path, answer) {
        panic!("docs/openapi.json, {method} {path}: {wrong}");
    }
}

/// Routes with their methods, as the document would have them.
fn routed() -> BTreeSet<(String, String)> {
    let places = PLACES.iter().flat_map(|(below, places)| {
        places.iter().flat_map(move |place| {
            let path = documented(&format!("{below}{}", place.path));
            let methods = place.methods.split(", ");
            methods.map(move |method| (method.to_owned(), path.clone()))
        })
    });
    places.collect()
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let is_admins = |path: &str| ADMIN.iter().any(|begins| path.starts_with(begins));
    let mut documented = DOCUMENT.operations();
    documented.retain(|(_, path)| !is_admins(path));
    assert_eq!(documented, routed());
}

#[actix_web::test]
async fn a_route_has_the_methods_that_the_table_says() {
    // Without authorization there is no token endpoint to have methods.
    let (open, secured) = (Site::quiet(), Secured::new());
    let routed = routed();
    for path in routed.iter().map(|(_, path)| path).collect::<BTreeSet<_>>() {
        let is_fhir = path.contains("/fhir/");
        let site = if is_fhir { &open } else { &secured.site };
        for method in [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
            Method::TRACE,
        ] {
            let asked = path.replace("{tenant}", "default").replace(['{', '}'], "");
            let request = TestRequest::default().method(method.clone()).uri(&asked);
            let status = site.send(request).await.status.as_u16();
            let has = routed.contains(&(method.to_string(), path.clone()));
            assert_eq!(status != 405, has, "{method} {path}: {status}");
        }
    }
}
