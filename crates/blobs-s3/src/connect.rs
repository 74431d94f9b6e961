//! The clients: one for all work, one that only signs links.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, Credentials, IdentityCache, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, SharedCredentialsProvider, SharedHttpClient,
};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use sluice_ports::PortError;
use tokio::sync::OnceCell;

use crate::layout::Layout;
use crate::link::Signer;
use crate::{S3Credentials, S3Options};

const CONNECT: Duration = Duration::from_secs(5);
/// For one try to be answered; a part of 8 MiB must fit in at 1 Mbit/s.
const ATTEMPT: Duration = Duration::from_secs(90);
const ATTEMPTS: u32 = 4;
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
/// Credentials are renewed this long before they end, as the services that lend them advise.
pub(crate) const RENEW_AHEAD: Duration = Duration::from_mins(5);

/// Objects in a bucket. Clones share everything.
#[derive(Clone)]
pub struct S3Blobs {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) signer: Signer,
    pub(crate) options: S3Options,
    mark: String,
    marks: AtomicU64,
    pub(crate) layout: OnceCell<Layout>,
}

impl S3Blobs {
    /// Builds the clients. Nothing is asked of the store yet.
    pub async fn connect(options: S3Options) -> Result<Self, PortError> {
        options.check()?;
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let credentials = credentials(&options, &http).await?;
        let config = config(&options, http, credentials.clone());
        let to = |endpoint: Option<&String>| {
            let mut config = config.clone();
            config.set_endpoint_url(endpoint.map(|endpoint| slashed(endpoint)));
            Client::from_conf(config.build())
        };
        let client = to(options.endpoint.as_ref());
        let public = options.public_endpoint.as_ref();
        let signer = Signer::new(to(public.or(options.endpoint.as_ref())), credentials);
        let shared = Shared {
            client,
            signer,
            options,
            mark: random(),
            marks: AtomicU64::new(0),
            layout: OnceCell::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

impl Shared {
    pub(crate) fn bucket(&self) -> &str {
        &self.options.bucket
    }

    /// The key as the bucket knows it.
    pub(crate) fn full(&self, key: &str) -> String {
        match self.options.prefix.as_str() {
            "" => key.to_owned(),
            prefix => format!("{prefix}/{key}"),
        }
    }

    /// The key as the port knows it; `None` for what lies outside of our prefix.
    pub(crate) fn relative<'a>(&self, full: &'a str) -> Option<&'a str> {
        match self.options.prefix.as_str() {
            "" => Some(full),
            prefix => full.strip_prefix(prefix)?.strip_prefix('/'),
        }
    }

    /// A mark that no other write of any process has.
    pub(crate) fn mark(&self) -> String {
        let number = self.marks.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}", self.mark)
    }
}

/// The SDK joins the bucket to an endpoint's path as it stands.
fn slashed(endpoint: &str) -> String {
    format!("{}/", endpoint.trim_end_matches('/'))
}

/// 128 random bits. The seeds of the hash maps are drawn from the system's chance; a mark keeps no
/// secret, it only has to be one of its kind.
fn random() -> String {
    let bits = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", bits(), bits())
}

async fn credentials(
    options: &S3Options,
    http: &SharedHttpClient,
) -> Result<SharedCredentialsProvider, PortError> {
    match &options.credentials {
        S3Credentials::Static {
            access_key_id,
            secret_access_key,
            session_token,
        } => Ok(SharedCredentialsProvider::new(Credentials::new(
            access_key_id,
            secret_access_key,
            session_token.clone(),
            None,
            "settings",
        ))),
        S3Credentials::Environment => {
            let found = aws_config::defaults(BehaviorVersion::latest())
                .http_client(http.clone())
                .region(Region::new(options.region.clone()))
                .load()
                .await;
            found.credentials_provider().ok_or_else(|| {
                PortError::permanent(
                    "connecting to object storage",
                    "the environment provides no credentials",
                )
            })
        }
    }
}

fn config(
    options: &S3Options,
    http: SharedHttpClient,
    credentials: SharedCredentialsProvider,
) -> Builder {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT);
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_BACKOFF);
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .credentials_provider(credentials)
        .identity_cache(IdentityCache::lazy().buffer_time(RENEW_AHEAD).build())
        .region(Region::new(options.region.clone()))
        .force_path_style(options.path_style)
        .timeout_config(timeouts.build())
        .retry_config(retries);
    if options.checksums_when_required {
        config
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
    } else {
        config
    }
}
