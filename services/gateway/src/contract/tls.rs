//! TLS, as a client with an authority of its own sees it.

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName};
use sluice_runtime::Settings;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use super::Site;
use super::live::{ASK, Live, ask, rest, soon};
use crate::{GatewaySettings, TlsFiles};

/// An authority.
pub(crate) struct Issuer(CertifiedIssuer<'static, KeyPair>);

/// What it made for `localhost`.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) der: CertificateDer<'static>,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(crate) fn issue(&self) -> Issued {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
        }
    }

    /// A client that trusts this authority alone and speaks one version.
    fn client(&self, version: &'static SupportedProtocolVersion) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let mut config = builder
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        // A session that is taken up again shows no certificate.
        config.resumption = Resumption::disabled();
        TlsConnector::from(Arc::new(config))
    }
}

/// A server whose files lie as Kubernetes lays a secret: both names lead through `..data`, a link
/// that is swapped.
struct Secret {
    issuer: Issuer,
    dir: TempDir,
    live: Live,
}

impl Secret {
    fn serve(first: &Issued, issuer: Issuer, change: impl FnOnce(&mut GatewaySettings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(name), dir.path().join(name)).unwrap();
        }
        put(dir.path(), &first.certificate, &first.key);
        let mut files = TlsFiles::new(dir.path().join("tls.crt"), dir.path().join("tls.key"));
        files.look_every = Duration::from_millis(20);
        let live = Live::start(|settings| {
            settings.tls = Some(files);
            change(settings);
        });
        Self { issuer, dir, live }
    }

    async fn connect(&self, version: &'static SupportedProtocolVersion) -> TlsStream<TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = self.live.connect().await;
        let connecting = self.issuer.client(version).connect(name, stream);
        soon(connecting).await.unwrap()
    }

    /// The certificate that a new connection sees.
    async fn seen(&self) -> CertificateDer<'static> {
        certificate(&self.connect(&TLS13).await)
    }

    /// Waits until new connections see it.
    async fn sees(&self, want: &Issued) {
        let seeing = async {
            while self.seen().await != want.der {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        soon(seeing).await;
    }
}

fn put(dir: &Path, certificate: &str, key: &str) {
    let version = tempfile::tempdir_in(dir).unwrap().keep();
    std::fs::write(version.join("tls.crt"), certificate).unwrap();
    std::fs::write(version.join("tls.key"), key).unwrap();
    let link = dir.join("..data_tmp");
    symlink(&version, &link).unwrap();
    std::fs::rename(&link, dir.join("..data")).unwrap();
}

fn certificate(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let certificates = stream.get_ref().1.peer_certificates().unwrap();
    certificates[0].clone().into_owned()
}

fn served() -> (Secret, Issued) {
    serve(|_| ())
}

fn serve(change: impl FnOnce(&mut GatewaySettings)) -> (Secret, Issued) {
    let issuer = Issuer::new();
    let first = issuer.issue();
    (Secret::serve(&first, issuer, change), first)
}

#[actix_web::test]
async fn r_001_tls_1_2_and_1_3_are_spoken() {
    let (secret, first) = served();
    for (version, name) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let mut stream = secret.connect(version).await;
        assert_eq!(stream.get_ref().1.protocol_version(), Some(name));
        assert_eq!(certificate(&stream), first.der);
        let got = ask(&mut stream).await;
        assert!(got.starts_with("HTTP/1.1 200"), "{got}");
        assert!(got.contains("strict-transport-security: max-age=31536000"));
    }
}

/// The first message of a client that knows TLS 1.1 and nothing later, with suites of its time.
fn hello_of_tls_1_1(extensions: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.push(0);
    hello.extend([0, 4, 0xc0, 0x14, 0x00, 0x35]);
    hello.extend([1, 0]);
    if !extensions.is_empty() {
        hello.extend(length(extensions));
        hello.extend(extensions);
    }
    let mut message = vec![1, 0];
    message.extend(length(&hello));
    message.extend(hello);
    let mut record = vec![22, 3, 1];
    record.extend(length(&message));
    record.extend(message);
    record
}

#[actix_web::test]
async fn r_001_tls_1_1_is_refused() {
    const PROTOCOL_VERSION: u8 = 70;
    const HANDSHAKE_FAILURE: u8 = 40;
    // RFC 5246's signature_algorithms with ECDSA, P-256 and SHA-256. rustls misses them, before it
    // looks at the version, in a client that is really as old as it says.
    let algorithms = [0, 13, 0, 4, 0, 2, 4, 3];
    let (secret, _) = served();
    for (extensions, why) in [
        (&algorithms[..], PROTOCOL_VERSION),
        (&[], HANDSHAKE_FAILURE),
    ] {
        let mut stream = secret.live.connect().await;
        let hello = hello_of_tls_1_1(extensions);
        stream.write_all(&hello).await.unwrap();
        let mut alert = [0; 7];
        soon(stream.read_exact(&mut alert)).await.unwrap();
        let [kind, _, _, _, _, level, description] = alert;
        assert_eq!((kind, level, description), (21, 2, why), "a fatal alert");
        assert_eq!(rest(&mut stream).await, b"");
    }
}

#[actix_web::test]
async fn plain_http_gets_no_answer_where_tls_is_served() {
    let (secret, _) = served();
    let mut stream = secret.live.connect().await;
    stream.write_all(ASK.as_bytes()).await.unwrap();
    let got = rest(&mut stream).await;
    let got = String::from_utf8_lossy(&got).into_owned();
    assert!(!got.contains("HTTP") && !got.contains("fhir"), "{got}");
}

#[actix_web::test]
async fn a_connection_that_stalls_is_closed_under_tls_too() {
    let (secret, _) = serve(|settings| {
        settings.limits.head_time = Duration::from_secs(1);
        settings.limits.idle_time = Duration::from_secs(1);
    });
    // Nothing of a handshake, and a head that begins after one that was whole.
    let mut silent = secret.live.connect().await;
    let mut slow = secret.connect(&TLS13).await;
    assert!(ask(&mut slow).await.starts_with("HTTP/1.1 200"));
    slow.write_all(&ASK.as_bytes()[..20]).await.unwrap();
    assert_eq!(rest(&mut slow).await, b"");
    assert_eq!(rest(&mut silent).await, b"");
}

#[actix_web::test]
async fn a_new_certificate_is_served_without_a_restart() {
    let (secret, first) = served();
    let mut open = secret.connect(&TLS13).await;
    assert!(ask(&mut open).await.starts_with("HTTP/1.1 200"));
    let second = secret.issuer.issue();
    put(secret.dir.path(), &second.certificate, &second.key);
    secret.sees(&second).await;
    assert!(ask(&mut open).await.starts_with("HTTP/1.1 200"));
    assert_eq!(certificate(&open), first.der);
}

#[actix_web::test]
async fn a_pair_that_is_broken_changes_nothing() {
    let (secret, first) = served();
    let (second, third) = (secret.issuer.issue(), secret.issuer.issue());
    secret.sees(&first).await;
    for (certificate, key) in [
        (&second.certificate[..], &second.key[..50]),
        (&second.certificate, &third.key),
        ("", &second.key),
    ] {
        put(secret.dir.path(), certificate, key);
        for _ in 0..10 {
            assert_eq!(secret.seen().await, first.der);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    put(secret.dir.path(), &second.certificate, &second.key);
    secret.sees(&second).await;
}

#[actix_web::test]
async fn a_pair_that_is_broken_at_the_start_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = Site::quiet().another(|settings| {
        settings.tls = Some(TlsFiles::new(
            "/nowhere/tls.crt".into(),
            "/nowhere/tls.key".into(),
        ));
    });
    let ended = crate::run(gateway, listener, CancellationToken::new()).await;
    let told = ended.unwrap_err().to_string();
    assert!(told.contains("/nowhere/tls.crt"), "{told}");
}

#[test]
fn with_a_certificate_links_are_https() {
    let address = "127.0.0.1:8443".parse().unwrap();
    let mut settings = Settings::default();
    let plain = GatewaySettings::of(&settings, address);
    assert_eq!(plain.public_url, "http://127.0.0.1:8443");
    assert!(plain.tls.is_none());
    settings.server.tls_certificate = Some("a.pem".into());
    settings.server.tls_key = Some("b.pem".into());
    let tls = GatewaySettings::of(&settings, address);
    assert_eq!(tls.public_url, "https://127.0.0.1:8443");
    let files = tls.tls.unwrap();
    assert_eq!(files.certificate, Path::new("a.pem"));
    assert_eq!(files.key, Path::new("b.pem"));
    settings.server.public_url = Some("https://h".to_owned());
    let named = GatewaySettings::of(&settings, address);
    assert_eq!(named.public_url, "https://h");
}
