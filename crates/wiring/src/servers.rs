//! Adapters whose other side is a server: Redis, RabbitMQ, S3.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sluice_blobs_s3::{S3Blobs, S3Credentials, S3Encryption, S3Options};
use sluice_fhir::Instant;
use sluice_index_redis::{RedisIndex, RedisOptions};
use sluice_model::Lane;
use sluice_ports::{Blobs, Clock, Entropy, Index, PortError, Queue, Severity};
use sluice_queue_amqp::{AmqpOptions, AmqpQueue};
use sluice_runtime::{EncryptionSetting, S3Section, Settings};

use crate::Finding;

/// The servers that a process uses, for what their ports do not say.
#[derive(Clone, Default)]
pub struct Servers {
    redis: Option<Arc<RedisIndex>>,
    amqp: Option<Arc<AmqpQueue>>,
    s3: Option<Arc<S3Blobs>>,
}

/// What an error says, with all its causes, and on what.
fn told(what: &str) -> impl Fn(PortError) -> anyhow::Error + '_ {
    move |error| anyhow::anyhow!("{what}: {}", error.chain())
}

impl Servers {
    /// The index at `ports.index`.
    pub(crate) async fn index(&mut self, settings: &Settings) -> anyhow::Result<Arc<dyn Index>> {
        let address = &settings.ports.index;
        let wait = u64::from(settings.redis.response_milliseconds.get());
        let options = RedisOptions {
            prefix: settings.redis.prefix.clone(),
            response_timeout: Duration::from_millis(wait),
            ..RedisOptions::new(address.reveal())
        };
        let redis = RedisIndex::connect(options).await;
        let redis = Arc::new(redis.map_err(told(&format!("ports.index {address}")))?);
        self.redis = Some(Arc::clone(&redis));
        Ok(redis)
    }

    /// The queue at `ports.queue`, for a process that exports so many chunks at once.
    pub(crate) async fn queue(
        &mut self,
        settings: &Settings,
        slots: usize,
        entropy: Arc<dyn Entropy>,
    ) -> anyhow::Result<Arc<dyn Queue>> {
        let address = &settings.ports.queue;
        let confirm = u64::from(settings.amqp.confirm_seconds.get());
        let options = AmqpOptions {
            prefix: settings.amqp.prefix.clone(),
            prefetch: u16::try_from(slots).unwrap_or(u16::MAX),
            confirm_timeout: Duration::from_secs(confirm),
            ..AmqpOptions::new(address.reveal())
        };
        let amqp = AmqpQueue::connect(options, entropy).await;
        let amqp = Arc::new(amqp.map_err(told(&format!("ports.queue {address}")))?);
        self.amqp = Some(Arc::clone(&amqp));
        Ok(amqp)
    }

    /// The objects at `ports.blobs`; `place` is what follows `s3://`.
    pub(crate) async fn blobs(
        &mut self,
        place: &str,
        settings: &Settings,
    ) -> anyhow::Result<Arc<dyn Blobs>> {
        let store = S3Blobs::connect(s3_options(place, &settings.s3)).await;
        let store = Arc::new(store.map_err(told(&format!("ports.blobs s3://{place}")))?);
        self.s3 = Some(Arc::clone(&store));
        Ok(store)
    }

    /// The objects that the audit goes into; `place` is what follows `s3://`. They are not tried: who
    /// may only write there cannot do what is tried elsewhere.
    pub(crate) async fn audit_blobs(
        &mut self,
        place: &str,
        settings: &Settings,
    ) -> anyhow::Result<Arc<dyn Blobs>> {
        let store = S3Blobs::connect(s3_options(place, &settings.s3)).await;
        let store = store.map_err(told(&format!("audit.sink s3://{place}")))?;
        Ok(Arc::new(store))
    }

    /// Tries every server. An error is trouble that may pass. The queue's own check is connecting
    /// to it: queues with other arguments are refused there.
    pub async fn probe(&self, clock: &dyn Clock) -> anyhow::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        if let Some(s3) = &self.s3 {
            let since = u64::try_from(clock.now().millis()).unwrap_or(0);
            let now = SystemTime::UNIX_EPOCH + Duration::from_millis(since);
            for found in s3.probe(now).await.map_err(told("objects"))? {
                findings.push(Finding {
                    what: "objects",
                    refuse: found.severity == Severity::Refuse,
                    text: found.text,
                });
            }
        }
        if let Some(redis) = &self.redis {
            for found in redis.probe(clock.now()).await.map_err(told("index"))? {
                findings.push(Finding {
                    what: "index",
                    refuse: found.severity == Severity::Refuse,
                    text: found.text,
                });
            }
        }
        Ok(findings)
    }

    /// Whether the connections to the queue stand.
    pub(crate) fn check_queue(&self) -> Result<(), PortError> {
        self.amqp.as_ref().map_or(Ok(()), |amqp| amqp.check())
    }

    /// The lanes that this process reads, and whether it is given their messages now.
    pub(crate) fn consuming(&self) -> Vec<(Lane, bool)> {
        self.amqp
            .as_ref()
            .map_or(Vec::new(), |amqp| amqp.consuming())
    }

    /// A lane that this process will never read again unless it is restarted.
    pub(crate) fn dead_lane(&self) -> Option<Lane> {
        self.amqp.as_ref().and_then(|amqp| amqp.dead_lane())
    }

    /// What our clock and theirs showed, of the servers that can be reached.
    pub(crate) async fn times(&self, clock: &dyn Clock) -> Vec<(&'static str, Instant, Instant)> {
        let mut times = Vec::new();
        if let Some(s3) = &self.s3
            && let Ok(Some(theirs)) = s3.time().await
        {
            times.push(("objects", clock.now(), theirs));
        }
        if let Some(redis) = &self.redis
            && let Ok(theirs) = redis.time().await
        {
            times.push(("index", clock.now(), theirs));
        }
        times
    }

    /// Gives back what is held.
    pub(crate) async fn close(&self) {
        if let Some(amqp) = &self.amqp {
            amqp.close().await;
        }
    }
}

fn s3_options(place: &str, section: &S3Section) -> S3Options {
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let credentials = match &section.access_key_id {
        Some(id) => S3Credentials::Static {
            access_key_id: id.clone(),
            secret_access_key: section.secret_access_key.reveal().to_owned(),
            session_token: None,
        },
        None => S3Credentials::Environment,
    };
    S3Options {
        prefix: prefix.to_owned(),
        endpoint: section.endpoint.clone(),
        public_endpoint: section.public_endpoint.clone(),
        path_style: section.path_style,
        credentials,
        part_bytes: size(section.part_mib.get()).saturating_mul(1 << 20),
        parts_in_flight: size(section.parts_in_flight.get()),
        encryption: match section.encryption {
            EncryptionSetting::Bucket => S3Encryption::BucketDefault,
            EncryptionSetting::SseS3 => S3Encryption::Sse,
            EncryptionSetting::SseKms => S3Encryption::Kms {
                key_id: section.kms_key_id.clone(),
            },
        },
        checksums_when_required: section.checksums_when_required,
        sign_payloads: section.signs_payloads(),
        ..S3Options::new(bucket, &section.region)
    }
}
