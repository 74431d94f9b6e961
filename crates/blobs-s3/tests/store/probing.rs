//! The self-test at boot.

use std::time::Duration;

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use sluice_blobs_s3::{Finding, S3Options, Severity};
use sluice_ports::Blobs;

use crate::proxy::{Fault, proxy};
use crate::scratch::{Scratch, endpoint, now, options, raw};

/// What is found, save that the store of the tests lists folder by folder.
fn but_order(findings: Vec<Finding>) -> Vec<Finding> {
    let order = |found: &Finding| found.text.contains("the order of their keys");
    findings.into_iter().filter(|found| !order(found)).collect()
}

async fn refusals(options: S3Options) -> String {
    let scratch = Scratch::with(options).await;
    let findings = scratch.store.probe(now()).await.unwrap();
    let refused = |found: &Finding| found.severity == Severity::Refuse;
    let texts = findings.into_iter().filter(refused).map(|found| found.text);
    texts.collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn a_good_store_gives_nothing_to_say() {
    let scratch = Scratch::new("good").await;
    let findings = scratch.store.probe(now()).await.unwrap();
    assert_eq!(but_order(findings), []);
    assert_eq!(scratch.store.list("", None, 9).await.unwrap(), []);
    assert_eq!(scratch.uploads().await, 0);
    scratch.clear().await;
}

#[tokio::test]
async fn a_wrong_clock_is_found() {
    let scratch = Scratch::new("clock").await;
    for (skew, severity) in [(10, Severity::Warning), (600, Severity::Refuse)] {
        let skewed = now() + Duration::from_secs(skew);
        let findings = but_order(scratch.store.probe(skewed).await.unwrap());
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].severity, severity);
        assert!(findings[0].text.contains("ahead of"), "{findings:?}");
    }
    scratch.clear().await;
}

#[tokio::test]
async fn f7_a_store_without_conditions_is_refused() {
    // It does not see the condition, so it says yes to everything.
    let mut single = options("f7");
    let yes = |line: &str| {
        if line.starts_with("PUT ") && line.contains("single") {
            Fault::AnswerAfter(200, "")
        } else {
            Fault::None
        }
    };
    single.endpoint = Some(proxy(&endpoint(), yes).await);
    single.public_endpoint = Some(endpoint());
    let text = refusals(single).await;
    assert!(text.contains("If-None-Match on PutObject"), "{text}");

    let mut parts = options("f7-parts");
    let done = "<CompleteMultipartUploadResult><Key>k</Key></CompleteMultipartUploadResult>";
    let yes = move |line: &str| {
        if line.starts_with("POST ") && line.contains("uploadId=") {
            Fault::AnswerAfter(200, done)
        } else {
            Fault::None
        }
    };
    parts.endpoint = Some(proxy(&endpoint(), yes).await);
    let text = refusals(parts).await;
    assert!(
        text.contains("If-None-Match on CompleteMultipartUpload"),
        "{text}"
    );
}

#[tokio::test]
async fn a_missing_bucket_and_a_wrong_public_endpoint_are_refused() {
    let missing = S3Options {
        bucket: "sluice-is-not-here".to_owned(),
        ..options("probe-bucket")
    };
    let text = refusals(missing).await;
    assert!(text.contains("create the bucket"), "{text}");

    // A proxy that answers under another name: the signature does not hold.
    let elsewhere = |line: &str| {
        if line.starts_with("GET ") {
            Fault::Answer(403, "<Error><Code>SignatureDoesNotMatch</Code></Error>")
        } else {
            Fault::None
        }
    };
    let wrong = S3Options {
        public_endpoint: Some(proxy(&endpoint(), elsewhere).await),
        ..options("probe-public")
    };
    let text = refusals(wrong).await;
    assert!(text.contains("correct the public endpoint"), "{text}");

    let away = S3Options {
        public_endpoint: Some("http://127.0.0.1:9".to_owned()),
        ..options("probe-away")
    };
    let scratch = Scratch::with(away).await;
    let findings = but_order(scratch.store.probe(now()).await.unwrap());
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].severity, Severity::Warning);
    scratch.clear().await;
}

#[tokio::test]
async fn f17_a_bucket_that_keeps_versions_is_found() {
    let bucket = format!("{}-bucket", options("versions").prefix);
    let client = raw();
    client.create_bucket().bucket(&bucket).send().await.unwrap();
    let enabled = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    let versioned = client.put_bucket_versioning().bucket(&bucket);
    versioned
        .versioning_configuration(enabled)
        .send()
        .await
        .unwrap();
    let versioned = S3Options {
        bucket: bucket.clone(),
        ..options("versions")
    };
    let scratch = Scratch::with(versioned).await;
    let findings = but_order(scratch.store.probe(now()).await.unwrap());
    let found = client
        .list_object_versions()
        .bucket(&bucket)
        .send()
        .await
        .unwrap();
    let named = found
        .versions()
        .iter()
        .map(|kept| (kept.key(), kept.version_id()));
    let marks = found
        .delete_markers()
        .iter()
        .map(|mark| (mark.key(), mark.version_id()));
    for (key, version) in named.chain(marks) {
        let delete = client.delete_object().bucket(&bucket);
        let delete = delete.set_key(key.map(str::to_owned));
        let delete = delete.set_version_id(version.map(str::to_owned));
        delete.send().await.unwrap();
    }
    client.delete_bucket().bucket(&bucket).send().await.unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].severity, Severity::Warning);
    assert!(findings[0].text.contains("versioning"), "{findings:?}");
}
