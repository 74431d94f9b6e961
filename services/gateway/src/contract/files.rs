//! Files in every form, by links that are good for one file.

use super::EXPORT;
use super::Site;
use super::local;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::test::TestRequest;
use serde_json::Value;
use sluice_engine::Policy;
use std::time::Duration;

#[actix_web::test]
async fn e_07_files_whole_in_part_compressed_and_unchanged() {
    use sha2::{Digest, Sha256};
    let site = Site::quiet();
    site.work();
    let (_, manifest) = site.export(EXPORT).await;
    let lines = every_form_of_every_file_is_right(&site, &manifest["output"]).await;
    assert_eq!(lines, site.source.lines());
    for entry in manifest["output"].as_array().unwrap() {
        let url = entry["url"].as_str().unwrap();
        let whole = site.get(url).await;
        assert_eq!(whole.status, StatusCode::OK);
        assert_eq!(whole.header("content-type"), "application/fhir+ndjson");
        assert_eq!(whole.header("vary"), "Accept-Encoding");
        let size = entry["extension"]["urn:sluice:bytes"].as_u64().unwrap();
        assert_eq!(u64::try_from(whole.body.len()).unwrap(), size);
        let hash = hex::encode(Sha256::digest(&whole.body));
        assert_eq!(entry["extension"]["urn:sluice:sha256"], hash);
        assert_eq!(whole.header("etag"), format!("\"{hash}\""));
        let with = |name: header::HeaderName, value: &str| {
            TestRequest::get()
                .uri(local(url))
                .insert_header((name, value.to_owned()))
        };
        let zipped = site.send(with(header::ACCEPT_ENCODING, "gzip")).await;
        assert_ne!(zipped.header("etag"), whole.header("etag"));
        let part = site.send(with(header::RANGE, "bytes=5-9")).await;
        assert_eq!(part.header("content-range"), format!("bytes 5-9/{size}"));
        let range = with(header::RANGE, "bytes=5-9");
        let stale = range.insert_header((header::IF_RANGE, "\"other\""));
        assert_eq!(site.send(stale).await.status, StatusCode::OK);
        let outside = site.send(with(header::RANGE, "bytes=9999999-")).await;
        assert_eq!(outside.status, StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(outside.header("content-range"), format!("bytes */{size}"));
        let same = site.send(with(header::IF_NONE_MATCH, whole.header("etag")));
        assert_eq!(same.await.status, StatusCode::NOT_MODIFIED);
    }
}

pub(super) async fn every_form_of_every_file_is_right(site: &Site, entries: &Value) -> Vec<String> {
    use std::io::Read;
    let mut lines = Vec::new();
    for entry in entries.as_array().unwrap() {
        let url = entry["url"].as_str().unwrap();
        let whole = site.get(url).await;
        let length = entry["extension"]["urn:sluice:bytes"].as_u64().unwrap();
        assert_eq!(u64::try_from(whole.body.len()).unwrap(), length);
        let with = |name: header::HeaderName, value: &str| {
            let request = TestRequest::get().uri(local(url));
            request.insert_header((name, value.to_owned()))
        };
        let zipped = site.send(with(header::ACCEPT_ENCODING, "gzip")).await;
        assert_eq!(zipped.header("content-encoding"), "gzip");
        let mut text = Vec::new();
        let mut unzipped = flate2::read::GzDecoder::new(&zipped.body[..]);
        unzipped.read_to_end(&mut text).unwrap();
        assert_eq!(text, whole.body);
        for (range, from, to) in [("5-9", 5, 10), ("0-0", 0, 1), ("7-", 7, whole.body.len())] {
            let part = site
                .send(with(header::RANGE, &format!("bytes={range}")))
                .await;
            assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
            assert_eq!(part.body, whole.body[from..to]);
        }
        let text = String::from_utf8(whole.body.to_vec()).unwrap();
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.sort_unstable();
    lines
}

#[actix_web::test]
async fn files_that_are_stored_as_gzip_are_served_in_every_form() {
    let site = Site::wanting(Policy {
        gzip: true,
        ..Policy::default()
    });
    site.work();
    let (_, manifest) = site.export(EXPORT).await;
    let url = manifest["output"][0]["url"].as_str().unwrap();
    assert!(url.contains(".ndjson.gz?"), "{url}");
    let lines = every_form_of_every_file_is_right(&site, &manifest["output"]).await;
    assert_eq!(lines, site.source.lines());
}

#[actix_web::test]
async fn r_180_links_work_alone_for_a_time_and_for_one_file() {
    let site = Site::quiet();
    site.work();
    let (status, manifest) = site.export(EXPORT).await;
    let url =
        |manifest: &Value, n: usize| manifest["output"][n]["url"].as_str().unwrap().to_owned();
    let (one, two) = (url(&manifest, 0), url(&manifest, 1));
    let query = one.split_once('?').unwrap().1;
    let crossed = format!("{}?{query}", two.split_once('?').unwrap().0);
    for bad in [crossed, one.split_once('?').unwrap().0.to_owned()] {
        let got = site.get(&bad).await;
        assert_eq!(
            (got.status, got.issue().as_str()),
            (StatusCode::FORBIDDEN, "forbidden")
        );
    }
    site.clock.pass(Duration::from_mins(11));
    let late = site.get(&one).await;
    assert_eq!(
        (late.status, late.issue().as_str()),
        (StatusCode::FORBIDDEN, "expired")
    );
    let fresh = site.finish(&status).await;
    assert_eq!(
        site.get(&url(&fresh, 0)).await.status,
        StatusCode::OK,
        "R-177"
    );
}
