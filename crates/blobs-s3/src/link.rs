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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{S3Blobs, S3Credentials, S3Options};
    use std::sync::Arc;

    fn now() -> SystemTime {
        PresigningConfig::expires_in(LONGEST).unwrap().start_time()
    }

    /// A store whose links are signed with credentials that end in `life`.
    async fn lent_for(life: Duration) -> Shared {
        let options = S3Options {
            endpoint: Some("http://inside:1234".to_owned()),
            public_endpoint: Some("https://outside.example/objects".to_owned()),
            path_style: true,
            credentials: S3Credentials::Static {
                access_key_id: "id".to_owned(),
                secret_access_key: "secret".to_owned(),
                session_token: None,
            },
            ..S3Options::new("bucket", "eu-central-1")
        };
        let store = S3Blobs::connect(options).await.unwrap();
        let mut shared = Arc::into_inner(store.shared).unwrap();
        let token = Some("token".to_owned());
        let lent = Credentials::new("lent", "secret", token, Some(now() + life), "test");
        shared.signer.provider = SharedCredentialsProvider::new(lent);
        shared
    }

    #[tokio::test]
    async fn a_link_ends_before_its_credentials() {
        let store = lent_for(Duration::from_mins(20)).await;
        let link = store
            .sign("a/b.ndjson", Duration::from_hours(1))
            .await
            .unwrap();
        let life = link.life.as_secs();
        assert!((1135..=1140).contains(&life), "{life}");
        assert!(link.url.contains(&format!("X-Amz-Expires={life}&")));
        assert!(link.url.contains("X-Amz-Credential=lent"));
        let outside = "https://outside.example/objects/bucket/a/b.ndjson?";
        assert!(link.url.starts_with(outside), "{}", link.url);
        let short = store.sign("a", Duration::from_mins(5)).await.unwrap();
        assert_eq!(short.life, Duration::from_mins(5));
    }

    #[tokio::test]
    async fn credentials_about_to_end_sign_nothing() {
        let store = lent_for(Duration::from_secs(50)).await;
        let refused = store.sign("a", Duration::from_hours(1)).await.unwrap_err();
        assert!(refused.is_transient());
    }
}
