//! Whether the store can do what correctness rests on; asked at boot, before the first export.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::AggregatedBytes;
use aws_sdk_s3::types::BucketVersioningStatus;
use bytes::Bytes;
use futures::TryStreamExt;
use sluice_fhir::Instant;
use sluice_ports::{Blobs, Creation, PortError};

use crate::S3Blobs;
use crate::canary::{AsLink, Secret, StoreClock};
use crate::failure::{failed, status};
use crate::layout::Layout;
use sluice_ports::Finding;

const BODY: &[u8] = b"sluice canary";
/// `Date` counts whole seconds.
const DATE_STEP: Duration = Duration::from_millis(500);
const WARN_SKEW: Duration = Duration::from_secs(2);
const REFUSE_SKEW: Duration = Duration::from_mins(1);
const LINK_LIFE: Duration = Duration::from_mins(1);

impl S3Blobs {
    /// Tries on a canary what correctness rests on, and takes the canary away again. `now` is what
    /// our clock shows. Fails only when trying again may help; all else is a finding, and none
    /// means that the store is good.
    pub async fn probe(&self, now: SystemTime) -> Result<Vec<Finding>, PortError> {
        let canary = Canary {
            store: self,
            single: format!("probe/{}/single.ndjson", self.shared.mark()),
            parts: format!("probe/{}/parts.ndjson", self.shared.mark()),
        };
        let mut findings = Vec::new();
        let checked = canary.check(now, &mut findings).await;
        let cleared = self.delete(&[canary.single, canary.parts]).await;
        // What stopped the check most likely stops the clearing, too.
        match checked.and(cleared) {
            Err(error) if error.is_transient() => Err(error),
            Err(error) => {
                findings.push(Finding::refuse(error.chain()));
                Ok(findings)
            }
            Ok(()) => Ok(findings),
        }
    }
}

impl S3Blobs {
    /// What the store's clock shows, to half a second; nothing when it does not say.
    pub async fn time(&self) -> Result<Option<Instant>, PortError> {
        let clock = StoreClock::default();
        let ask = self
            .shared
            .client
            .head_bucket()
            .bucket(self.shared.bucket());
        let answer = ask.customize().interceptor(clock.clone()).send().await;
        let Some(seen) = clock.seen() else {
            return answer
                .map(|_| None)
                .map_err(|error| failed("asking the store for the time", error));
        };
        let since = (seen + DATE_STEP).duration_since(SystemTime::UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        Ok(Some(Instant::from_millis(
            i64::try_from(millis).unwrap_or(i64::MAX),
        )))
    }
}

struct Canary<'a> {
    store: &'a S3Blobs,
    single: String,
    parts: String,
}

impl Canary<'_> {
    async fn check(&self, now: SystemTime, found: &mut Vec<Finding>) -> Result<(), PortError> {
        found.extend(self.bucket(now).await?);
        if self.store.create(&self.single, BODY.into()).await? != Creation::Created {
            found.push(Finding::refuse(
                "this store says that a new key exists; do not use it",
            ));
            return Ok(());
        }
        found.extend(self.single_is_created_once().await?);
        found.extend(self.parts_are_created_once().await?);
        found.extend(self.reads_back().await?);
        found.extend(self.link_works().await?);
        found.extend(self.lists_in_order().await?);
        Ok(())
    }

    /// The clock of the store, and whether it keeps what is deleted.
    async fn bucket(&self, now: SystemTime) -> Result<Vec<Finding>, PortError> {
        let (shared, clock, begun) = (
            &self.store.shared,
            StoreClock::default(),
            tokio::time::Instant::now(),
        );
        let ask = shared
            .client
            .get_bucket_versioning()
            .bucket(shared.bucket());
        let answer = ask.customize().interceptor(clock.clone()).send().await;
        let now = now + begun.elapsed();
        let mut findings = Vec::new();
        findings.extend(
            clock
                .seen()
                .and_then(|theirs| skewed(theirs + DATE_STEP, now)),
        );
        match answer {
            Ok(answer) if answer.status() == Some(&BucketVersioningStatus::Enabled) => {
                findings.push(Finding::warning(
                    "versioning is enabled on this bucket, so deleted exports stay as noncurrent \
                     versions; disable it, or add a lifecycle rule that expires noncurrent \
                     versions and delete markers",
                ));
            }
            Ok(_) => {}
            // Stores without versions do not know the question.
            Err(error) if matches!(status(&error), Some(405 | 501)) => {}
            // Some stores make a bucket out of a misspelled name as soon as something is put there.
            Err(error) if error.code() == Some("NoSuchBucket") => {
                return Err(failed("looking for the bucket", error));
            }
            Err(error) => {
                let error = failed("asking whether the bucket keeps versions", error);
                if error.is_transient() {
                    return Err(error);
                }
                findings.push(Finding::warning(error.chain()));
            }
        }
        Ok(findings)
    }

    async fn single_is_created_once(&self) -> Result<Option<Finding>, PortError> {
        let again = self
            .store
            .create(&self.single, Bytes::from_static(b"usurper"));
        Ok((again.await? != Creation::Exists).then(|| {
            Finding::refuse(
                "this store ignores If-None-Match on PutObject, so two writers of one key would \
                 both win; use a store with conditional writes",
            )
        }))
    }

    /// One part will do: the last may be small.
    async fn parts_are_created_once(&self) -> Result<Option<Finding>, PortError> {
        let store = &self.store.shared;
        let mut ended = Vec::new();
        for body in [BODY, b"usurper"] {
            let upload = store.begin(&self.parts).await?;
            let written = async {
                let part = store.part(&upload, 1, Bytes::from_static(body)).await?;
                store.complete(&upload, vec![part], body.len() as u64).await
            };
            match written.await {
                Ok(Creation::Created) => ended.push(Creation::Created),
                other => {
                    store.abort(&upload).await?;
                    ended.push(other?);
                }
            }
        }
        Ok((ended != [Creation::Created, Creation::Exists]).then(|| {
            Finding::refuse(
                "this store ignores If-None-Match on CompleteMultipartUpload, so a large file \
                 could be replaced after it was published; use a store with conditional writes",
            )
        }))
    }

    async fn reads_back(&self) -> Result<Option<Finding>, PortError> {
        let (store, key) = (self.store, &self.single);
        let size = BODY.len() as u64;
        let whole = store.get(key).await?;
        let head = store.head(key).await?.map(|info| info.size);
        let part: Vec<Bytes> = store.read(key, 7..size).await?.try_collect().await?;
        let folder = key.strip_suffix("single.ndjson").unwrap_or(key);
        let listed = store.list(folder, None, 2).await?;
        let wrong = if whole.as_deref() != Some(BODY) || head != Some(size) {
            "what this store gives back is not what was written; do not use it"
        } else if part.concat() != BODY[7..] {
            "this store ignores ranges, so downloads could not be resumed; use one that has them"
        } else if listed.iter().map(|info| &info.key).ne([key]) {
            "this store does not list what was just written, so exports could be missed; use one \
             with consistent listings"
        } else {
            return Ok(None);
        };
        Ok(Some(Finding::refuse(wrong)))
    }

    async fn lists_in_order(&self) -> Result<Option<Finding>, PortError> {
        Ok(match self.store.shared.layout().await? {
            Layout::Flat => None,
            Layout::Tree => Some(Finding::warning(
                "this store does not list objects in the order of their keys, so each listing \
                 reads everything below its prefix; do not keep millions of objects there",
            )),
        })
    }

    async fn link_works(&self) -> Result<Option<Finding>, PortError> {
        let store = &self.store.shared;
        let url = Secret(store.sign(&self.single, LINK_LIFE).await?.url);
        let get = store.signer.client.get_object().bucket(store.bucket());
        let get = get.key(store.full(&self.single)).customize();
        let fetched = match get.interceptor(AsLink(url)).send().await {
            Ok(fetched) => fetched,
            Err(error) => {
                let error = failed("fetching a signed link at the public endpoint", error);
                let text = error.chain();
                // Inside of a cluster, the public name need not be reachable.
                return Ok(Some(if error.is_transient() {
                    Finding::warning(format!("{text}; see that clients can reach it"))
                } else {
                    Finding::refuse(format!("{text}; correct the public endpoint"))
                }));
            }
        };
        let body = fetched
            .body
            .collect()
            .await
            .map(AggregatedBytes::into_bytes);
        Ok((body.ok().as_deref() != Some(BODY)).then(|| {
            Finding::refuse("a signed link at the public endpoint leads elsewhere; correct it")
        }))
    }
}

fn skewed(theirs: SystemTime, ours: SystemTime) -> Option<Finding> {
    let (skew, direction) = match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let seconds = skew.as_secs();
    let text = format!("our clock is {seconds} s {direction} the store's; set both by NTP");
    if skew > REFUSE_SKEW {
        Some(Finding::refuse(text))
    } else if skew > WARN_SKEW + DATE_STEP {
        Some(Finding::warning(text))
    } else {
        None
    }
}
