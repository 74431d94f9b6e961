//! What a deployment says about its bucket.

use std::fmt;

use sluice_ports::{PortError, PortKind};

/// S3 takes no smaller part, save the last.
pub const LEAST_PART_BYTES: usize = 5 << 20;

/// Where the bucket is and how it is used.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// The bucket.
    pub bucket: String,
    /// What every key begins with; may be empty, no slash at the ends.
    pub prefix: String,
    /// The store's URL; `None` for AWS's own.
    pub endpoint: Option<String>,
    /// The store's URL as clients reach it, which only links name; `None` if it is the same. The
    /// host is part of a signature, so no proxy can put it in afterwards.
    pub public_endpoint: Option<String>,
    /// The region, which is part of every signature.
    pub region: String,
    /// Whether the bucket is in the path rather than in the host name; most stores but AWS want it.
    pub path_style: bool,
    /// How requests are signed.
    pub credentials: S3Credentials,
    /// The size of a part, and the largest object that is sent in one request.
    pub part_bytes: usize,
    /// Parts of one object sent at a time. A writer holds one part more than that in memory.
    pub parts_in_flight: usize,
    /// How objects are encrypted at rest.
    pub encryption: S3Encryption,
    /// Leaves checksums out wherever S3 does not demand them, for stores such as Ceph 16 that do
    /// not know them.
    pub checksums_when_required: bool,
    /// Whether signatures cover the bodies of objects, which are hashed once more for it. Over TLS nobody can change
    /// them on their way, and a checksum in the signed headers tells of accidents.
    pub sign_payloads: bool,
}

impl S3Options {
    /// A bucket with the usual settings, signed for by the environment.
    pub fn new(bucket: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: String::new(),
            endpoint: None,
            public_endpoint: None,
            region: region.into(),
            path_style: false,
            credentials: S3Credentials::Environment,
            part_bytes: 8 << 20,
            parts_in_flight: 3,
            encryption: S3Encryption::BucketDefault,
            checksums_when_required: false,
            sign_payloads: true,
        }
    }

    pub(crate) fn check(&self) -> Result<(), PortError> {
        let wrong = if self.bucket.is_empty() {
            "the bucket has no name"
        } else if self.region.is_empty() {
            "the region has no name"
        } else if self.prefix.starts_with('/') || self.prefix.ends_with('/') {
            "the prefix begins or ends with a slash"
        } else if self.part_bytes < LEAST_PART_BYTES {
            "the part size is below 5 MiB, the least that S3 takes"
        } else if self.parts_in_flight == 0 {
            "no part may be in flight, so nothing could ever be sent"
        } else {
            return Ok(());
        };
        Err(PortError {
            kind: PortKind::Permanent,
            action: "connecting to object storage".to_owned(),
            cause: Some(wrong.into()),
        })
    }
}

/// How requests are signed.
#[derive(Clone)]
pub enum S3Credentials {
    /// With these keys.
    Static {
        /// The public half.
        access_key_id: String,
        /// The secret half.
        secret_access_key: String,
        /// Goes with keys that are lent for a while.
        session_token: Option<String>,
    },
    /// With what the AWS variables, profile, web identity (IRSA), container or instance provide.
    Environment,
}

/// Says nothing that could be used.
impl fmt::Debug for S3Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Static { .. } => "Static(..)",
            Self::Environment => "Environment",
        })
    }
}

/// How objects are encrypted at rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum S3Encryption {
    /// As the bucket says.
    #[default]
    BucketDefault,
    /// With keys of the store (SSE-S3).
    Sse,
    /// With a key of the key management service (SSE-KMS).
    Kms {
        /// Which; `None` for the account's own.
        key_id: Option<String>,
    },
}
