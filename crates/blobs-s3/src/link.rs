//! Signed links, that say truly how long they work.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, Credentials, ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_s3::presigning::PresigningConfig;
use sluice_ports::{Link, PortError};
use tokio::sync::Mutex;

use crate::connect::{RENEW_AHEAD, Shared};
use crate::failure::failed;

/// S3 takes no longer life.
const LONGEST: Duration = Duration::from_hours(7 * 24);
/// Clocks differ, and a link that is said to work has to.
const MARGIN: Duration = Duration::from_mins(1);
const ACTION: &str = "signing a link";

/// Signs links for the public endpoint. It keeps its credentials itself, because a link dies with
/// those that signed it, and the client does not tell which it took.
pub(crate) struct Signer {
    pub(crate) client: Client,
    provider: SharedCredentialsProvider,
    lent: Mutex<Option<Credentials>>,
}

impl Signer {
    pub(crate) fn new(client: Client, provider: SharedCredentialsProvider) -> Self {
        Self {
            client,
            provider,
            lent: Mutex::new(None),
        }
    }

    /// Credentials with some life in them, if that can be had.
    async fn credentials(&self, now: SystemTime) -> Result<Credentials, PortError> {
        let mut lent = self.lent.lock().await;
        match lent.as_ref() {
            Some(good) if left(good, now) > RENEW_AHEAD => return Ok(good.clone()),
            _ => {}
        }
        match self.provider.provide_credentials().await {
            Ok(fresh) => Ok(lent.insert(fresh).clone()),
            Err(error) => match lent.as_ref() {
                Some(old) if left(old, now) > MARGIN => Ok(old.clone()),
                _ => Err(PortError::transient(ACTION, error)),
            },
        }
    }
}

fn left(credentials: &Credentials, now: SystemTime) -> Duration {
    match credentials.expiry() {
        Some(end) => end.duration_since(now).unwrap_or_default(),
        None => Duration::MAX,
    }
}

impl Shared {
    pub(crate) async fn sign(&self, key: &str, life: Duration) -> Result<Link, PortError> {
        let config = |life| {
            PresigningConfig::expires_in(life).map_err(|error| PortError::permanent(ACTION, error))
        };
        // The SDK signs at the time that its own clock shows, so that is the time that counts.
        let now = config(LONGEST)?.start_time();
        let credentials = self.signer.credentials(now).await?;
        let longest = LONGEST.min(left(&credentials, now).saturating_sub(MARGIN));
        let life = Duration::from_secs(life.min(longest).as_secs());
        if life.is_zero() {
            return Err(PortError::transient(
                ACTION,
                "the link or the credentials would end at once",
            ));
        }
        let get = self.signer.client.get_object().bucket(self.bucket());
        let get = get.key(self.full(key)).customize();
        let with = Builder::new().credentials_provider(credentials);
        let signed = get.config_override(with).presigned(config(life)?).await;
        let signed = signed.map_err(|error| failed(ACTION, error))?;
        Ok(Link {
            url: signed.uri().to_owned(),
            life,
        })
    }
}
