//! TLS at the gateway's own door: versions 1.2 and 1.3, with a certificate that may be replaced on
//! disk while connections are open.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Where certificate and key are.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate chain, PEM, the server's own first.
    pub certificate: PathBuf,
    /// Its private key, PEM and not encrypted.
    pub key: PathBuf,
    /// How often both are looked at for a change.
    pub look_every: Duration,
}

impl TlsFiles {
    /// These two, looked at as often as is usual.
    pub fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self {
            certificate,
            key,
            look_every: LOOK_EVERY,
        }
    }
}

/// Why TLS cannot be served from two files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("{} cannot be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is not whole PEM", path.display())]
    NotPem { path: PathBuf, source: pem::Error },
    #[error("there is no certificate in {}", path.display())]
    NoCertificate { path: PathBuf },
    #[error("there is no private key in {}, or it is encrypted", path.display())]
    NoKey { path: PathBuf },
    #[error("the private key in {} cannot be used", path.display())]
    BadKey {
        path: PathBuf,
        source: rustls::Error,
    },
    #[error("the certificate in {} cannot be used", path.display())]
    BadCertificate {
        path: PathBuf,
        source: rustls::Error,
    },
    #[error("the private key in {} does not fit the certificate in {}", key.display(), certificate.display())]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("TLS 1.2 and 1.3 cannot be served")]
    Versions(#[source] rustls::Error),
}

/// What was seen at a look: a digest of both files, or why they could not be read. The digest, so
/// that the key is not in memory once more.
type Seen = Result<[u8; 32], String>;

/// A certificate with its key, as good as the files were when last they fitted together.
pub(crate) struct Tls {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: watch::Sender<Arc<CertifiedKey>>,
    seen: Seen,
}

impl Tls {
    /// Reads both files; they must be good now.
    pub(crate) async fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let pair = Pair::read(&files).await?;
        let key = pair.certified(&files, &provider)?;
        Ok(Self {
            files,
            provider,
            current: watch::Sender::new(Arc::new(key)),
            seen: Ok(pair.digest()),
        })
    }

    /// For `HttpServer`, which names the protocols (ALPN) itself: HTTP/1.1, and HTTP/2 were actix
    /// built with it.
    pub(crate) fn config(&self) -> Result<ServerConfig, TlsError> {
        // The provider is given here and not installed: a process has only one default, and it is
        // not ours to choose.
        let builder = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(TlsError::Versions)?;
        let current = Current(self.current.subscribe());
        Ok(builder
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(current)))
    }

    /// Takes what is put in the files, until told to stop.
    pub(crate) async fn watch(mut self, stop: CancellationToken) {
        let period = self.files.look_every;
        while stop
            .run_until_cancelled(tokio::time::sleep(period))
            .await
            .is_some()
        {
            self.look().await;
        }
    }

    /// The content decides and not times or names: Kubernetes swaps a symlink above both files.
    async fn look(&mut self) {
        let pair = Pair::read(&self.files).await;
        let seen = match &pair {
            Ok(pair) => Ok(pair.digest()),
            Err(error) => Err(error.to_string()),
        };
        if seen == self.seen {
            return;
        }
        self.seen = seen;
        let certificate = self.files.certificate.display().to_string();
        match pair.and_then(|pair| pair.certified(&self.files, &self.provider)) {
            Ok(key) => {
                self.current.send_replace(Arc::new(key));
                tracing::info!(certificate, "a new certificate is served");
            }
            Err(error) => {
                let error = format!("{:#}", anyhow::Error::from(error));
                tracing::warn!(
                    error,
                    "the new certificate is not taken, the old one goes on"
                );
            }
        }
    }
}

/// Hands every handshake the certificate of the moment. Open connections have no more need of it.
#[derive(Debug)]
struct Current(watch::Receiver<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.borrow().clone())
    }
}

/// The bytes of both files.
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Pair {
    async fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: bytes(&files.certificate).await?,
            key: bytes(&files.key).await?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let parts = [&self.certificate, &self.key].map(Sha256::digest);
        Sha256::digest(parts.concat()).into()
    }

    /// Both as one, if they are whole and fit together.
    fn certified(
        &self,
        files: &TlsFiles,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, TlsError> {
        let chain = chain(&self.certificate, &files.certificate)?;
        let key = key(&self.key, &files.key)?;
        let path = files.key.clone();
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(|source| TlsError::BadKey { path, source })?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => Ok(certified),
            Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::Mismatch {
                certificate: files.certificate.clone(),
                key: files.key.clone(),
            }),
            Err(source) => Err(TlsError::BadCertificate {
                path: files.certificate.clone(),
                source,
            }),
        }
    }
}

async fn bytes(path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = tokio::fs::read(path).await;
    read.map_err(|source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn chain(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let path = path.to_owned();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(TlsError::NoCertificate { path }),
        Ok(chain) => Ok(chain),
        Err(source) => Err(TlsError::NotPem { path, source }),
    }
}

fn key(pem: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let path = path.to_owned();
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { path },
        source => TlsError::NotPem { path, source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Issuer;

    async fn opened(files: &TlsFiles) -> Result<(), TlsError> {
        Tls::open(files.clone()).await.map(drop)
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_pair_is_named() {
        let issuer = Issuer::new();
        let dir = tempfile::tempdir().unwrap();
        let files = TlsFiles::new(dir.path().join("tls.crt"), dir.path().join("tls.key"));
        let put = |certificate: &str, key: &str| {
            std::fs::write(&files.certificate, certificate).unwrap();
            std::fs::write(&files.key, key).unwrap();
        };
        let missing = opened(&files).await.unwrap_err();
        assert!(matches!(missing, TlsError::Unreadable { .. }));
        assert!(missing.to_string().contains("tls.crt"));
        let (one, other) = (issuer.issue(), issuer.issue());
        put("nothing", &one.key);
        let none = opened(&files).await.unwrap_err();
        assert!(matches!(none, TlsError::NoCertificate { .. }));
        put(&one.certificate, &one.certificate);
        let none = opened(&files).await.unwrap_err();
        assert!(matches!(none, TlsError::NoKey { .. }));
        assert!(none.to_string().contains("tls.key"));
        put(&one.certificate, &one.key[..one.key.len() / 2]);
        let half = opened(&files).await.unwrap_err();
        assert!(matches!(half, TlsError::NotPem { .. }));
        put(&one.certificate, &other.key);
        let mismatch = opened(&files).await.unwrap_err();
        assert!(matches!(mismatch, TlsError::Mismatch { .. }));
        let of_nothing = |label| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        put(&of_nothing("CERTIFICATE"), &one.key);
        let bad = opened(&files).await.unwrap_err();
        assert!(matches!(bad, TlsError::BadCertificate { .. }));
        put(&one.certificate, &of_nothing("PRIVATE KEY"));
        let bad = opened(&files).await.unwrap_err();
        assert!(matches!(bad, TlsError::BadKey { .. }));
        put(&one.certificate, &one.key);
        opened(&files).await.unwrap();
    }

    /// Each content is taken or refused once, and what was refused may be put right.
    #[tokio::test]
    async fn only_a_pair_that_fits_is_taken() {
        let issuer = Issuer::new();
        let dir = tempfile::tempdir().unwrap();
        let files = TlsFiles::new(dir.path().join("tls.crt"), dir.path().join("tls.key"));
        let (old, new) = (issuer.issue(), issuer.issue());
        std::fs::write(&files.certificate, &old.certificate).unwrap();
        std::fs::write(&files.key, &old.key).unwrap();
        let mut tls = Tls::open(files.clone()).await.unwrap();
        let mut current = tls.current.subscribe();
        tls.look().await;
        assert!(!current.has_changed().unwrap(), "nothing is new");
        std::fs::write(&files.certificate, &new.certificate).unwrap();
        tls.look().await;
        assert!(!current.has_changed().unwrap(), "the key is still the old");
        std::fs::remove_file(&files.key).unwrap();
        tls.look().await;
        let unread = tls.seen.clone();
        assert!(unread.is_err());
        tls.look().await;
        assert_eq!(tls.seen, unread, "the same is not told twice");
        std::fs::write(&files.key, &new.key).unwrap();
        tls.look().await;
        assert!(current.has_changed().unwrap());
        let served = current.borrow_and_update().cert[0].clone();
        assert_eq!(served, new.der);
        tls.look().await;
        assert!(!current.has_changed().unwrap());
    }
}
