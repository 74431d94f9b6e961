//! Settings of the servers behind the ports.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Secret, nonzero};

/// Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisSection {
    /// What every key begins with.
    pub prefix: String,
    /// How long an answer may take.
    pub response_milliseconds: NonZeroU32,
}

impl Default for RedisSection {
    fn default() -> Self {
        Self {
            prefix: "sluice".to_owned(),
            response_milliseconds: nonzero(2000),
        }
    }
}

/// RabbitMQ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AmqpSection {
    /// What every queue's name begins with.
    pub prefix: String,
    /// How long the broker may take to confirm a message.
    pub confirm_seconds: NonZeroU32,
    /// The broker's delivery acknowledgement timeout, as it is configured there.
    pub consumer_timeout_minutes: NonZeroU32,
}

impl Default for AmqpSection {
    fn default() -> Self {
        Self {
            prefix: "sluice".to_owned(),
            confirm_seconds: nonzero(10),
            consumer_timeout_minutes: nonzero(30),
        }
    }
}

/// How objects are encrypted at rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EncryptionSetting {
    /// As the bucket says.
    #[default]
    Bucket,
    /// With keys of the store.
    SseS3,
    /// With a key of the key management service.
    SseKms,
}

/// S3-compatible storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3Section {
    /// The store's URL; unset means AWS's own.
    pub endpoint: Option<String>,
    /// The store's URL as clients reach it; unset means the same.
    pub public_endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// Whether the bucket is in the path rather than in the host name.
    pub path_style: bool,
    /// The public half of the keys; unset means what the environment provides (IRSA and others).
    pub access_key_id: Option<String>,
    /// The secret half.
    pub secret_access_key: Secret,
    /// The size of a part.
    pub part_mib: NonZeroU32,
    /// Parts of one file sent at a time.
    pub parts_in_flight: NonZeroU32,
    /// How objects are encrypted at rest.
    pub encryption: EncryptionSetting,
    /// The key for `sse-kms`; unset means the account's own.
    pub kms_key_id: Option<String>,
    /// Leave checksums out where S3 does not demand them, for old stores.
    pub checksums_when_required: bool,
    /// Hash each body once more for its signature; unset means only where the endpoint is not `https:`.
    pub sign_payloads: Option<bool>,
}

impl S3Section {
    /// Whether signatures cover bodies: nothing else keeps them as they are where there is no TLS, or where their
    /// checksums are left out.
    pub fn signs_payloads(&self) -> bool {
        let is_plain = |endpoint: &String| !endpoint.starts_with("https:");
        let by_itself =
            self.checksums_when_required || self.endpoint.as_ref().is_some_and(is_plain);
        self.sign_payloads.unwrap_or(by_itself)
    }
}

impl Default for S3Section {
    fn default() -> Self {
        Self {
            endpoint: None,
            public_endpoint: None,
            region: "us-east-1".to_owned(),
            path_style: false,
            access_key_id: None,
            secret_access_key: Secret::default(),
            part_mib: nonzero(8),
            parts_in_flight: nonzero(3),
            encryption: EncryptionSetting::Bucket,
            kms_key_id: None,
            checksums_when_required: false,
            sign_payloads: None,
        }
    }
}

/// Traces, sent to an OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySection {
    /// The collector's OTLP/HTTP address; unset means that nothing is traced.
    pub otlp_endpoint: Option<String>,
    /// Headers for the collector, such as a key: `NAME=VALUE`, with commas between several.
    pub otlp_headers: Secret,
    /// Traces that are sent, of a hundred.
    pub sample_percent: u32,
}

impl Default for TelemetrySection {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            otlp_headers: Secret::default(),
            sample_percent: 100,
        }
    }
}

/// Health, metrics and clients, for operators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminSection {
    /// Where to listen; unset means not at all.
    pub listen: Option<SocketAddr>,
    /// What opens the part that manages clients, at least 32 bytes; without it there is no such part.
    pub secret: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_signed_where_nothing_else_keeps_them() {
        let over = |endpoint: Option<&str>| S3Section {
            endpoint: endpoint.map(str::to_owned),
            ..S3Section::default()
        };
        assert!(!over(None).signs_payloads(), "AWS's own is https");
        assert!(!over(Some("https://s3.example.org")).signs_payloads());
        assert!(over(Some("http://127.0.0.1:8333")).signs_payloads());
        let mut told = over(Some("https://s3.example.org"));
        told.checksums_when_required = true;
        assert!(told.signs_payloads());
        told.sign_payloads = Some(false);
        assert!(!told.signs_payloads());
    }
}
