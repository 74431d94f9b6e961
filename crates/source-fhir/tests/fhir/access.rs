//! How Sluice shows who it is: nothing, a token, a password, SMART Backend Services, a certificate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384,
};
use serde_json::json;
use sluice_ports::{GroupQuery, PortError, PortKind, Source};
use sluice_source_fhir::{FhirAuth, FhirOptions, FhirSource, SmartClient};
use sluice_testkit::small::lines;
use sluice_testkit::{ManualClock, SeededEntropy};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::stub::{Reply, Setup, Stub};

async fn open(options: FhirOptions) -> Result<FhirSource, PortError> {
    let clock = Arc::new(ManualClock::default());
    FhirSource::connect(options, clock, Arc::new(SeededEntropy::new(1))).await
}

/// Connects and reads something.
async fn read(options: FhirOptions) -> Result<usize, PortError> {
    let source = open(options).await?;
    let query = GroupQuery {
        limit: 9,
        ..GroupQuery::default()
    };
    Ok(source.groups(&query).await?.total)
}

/// A server that wants this header on every request.
async fn wanting(header: &'static str) -> Stub {
    let setup = Setup::meddling(move |asked, reply| {
        if asked.authorization.as_deref() == Some(header) {
            reply
        } else {
            Reply::status(401)
        }
    });
    Stub::start(&lines(), setup).await
}

#[tokio::test]
async fn a_name_and_a_password() {
    let stub = wanting("Basic bWU6aHVudGVyMg==").await;
    let auth = |password: &str| FhirAuth::Basic {
        user: "me".to_owned(),
        password: password.to_owned(),
    };
    let options = |password: &str| FhirOptions {
        auth: auth(password),
        ..stub.options()
    };
    assert_eq!(read(options("hunter2")).await.unwrap(), 1);
    let refused = read(options("wrong")).await.unwrap_err();
    assert_eq!(refused.kind, PortKind::Permanent);
    assert!(refused.chain().contains("401") && !refused.chain().contains("wrong"));
}

#[tokio::test]
async fn a_token_from_a_file_is_read_again_when_it_is_refused() {
    let stub = wanting("Bearer second").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "second\n").unwrap();
    let options = FhirOptions {
        auth: FhirAuth::Bearer(file.clone()),
        ..stub.options()
    };
    let source = open(options.clone()).await.unwrap();
    // Refused for good: once more with what the file says now, and then it may pass.
    std::fs::write(&file, "first").unwrap();
    let other = wanting("Bearer third").await;
    let failed = read(FhirOptions {
        base: other.base.clone(),
        ..options
    })
    .await
    .unwrap_err();
    assert!(
        failed.is_transient() && failed.chain().contains("401"),
        "{}",
        failed.chain()
    );
    assert_eq!(other.log().len(), 2);
    drop(source);
    std::fs::remove_file(&file).unwrap();
    let options = FhirOptions {
        auth: FhirAuth::Bearer(file),
        ..stub.options()
    };
    let failed = read(options).await.unwrap_err();
    assert!(
        failed.chain().contains("cannot be read"),
        "{}",
        failed.chain()
    );
}

fn smart(stub: &Stub) -> FhirOptions {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    FhirOptions {
        auth: FhirAuth::Smart(SmartClient {
            client_id: "sluice".to_owned(),
            key_pem: key.serialize_pem().into_bytes(),
            kid: "k1".to_owned(),
            token_url: None,
            scope: "system/*.rs".to_owned(),
        }),
        ..stub.options()
    }
}

/// A server with a token endpoint; each token is good for so many requests.
async fn smart_server(good_for: usize) -> Stub {
    let (given, used) = (AtomicUsize::default(), AtomicUsize::default());
    let setup = Setup::meddling(move |asked, reply| match asked.path.as_str() {
        ".well-known/smart-configuration" => {
            Reply::json(&json!({ "token_endpoint": format!("{}/token", asked.base) }))
        }
        "token" => {
            let assertion = asked.param("client_assertion").unwrap();
            assert_eq!(assertion.split('.').count(), 3);
            assert_eq!(asked.param("grant_type"), Some("client_credentials"));
            assert_eq!(asked.param("scope"), Some("system/*.rs"));
            let number = given.fetch_add(1, Ordering::SeqCst) + 1;
            used.store(0, Ordering::SeqCst);
            Reply::json(
                &json!({ "access_token": format!("t{number}"), "token_type": "bearer", "expires_in": 300 }),
            )
        }
        _ => {
            let token = format!("Bearer t{}", given.load(Ordering::SeqCst));
            let is_good = asked.authorization.as_deref() == Some(&token);
            if is_good && used.fetch_add(1, Ordering::SeqCst) < good_for {
                reply
            } else {
                Reply::status(401)
            }
        }
    });
    Stub::start(&lines(), setup).await
}

#[tokio::test]
async fn smart_backend_services_one_token_for_all_requests() {
    let stub = smart_server(1_000).await;
    assert_eq!(read(smart(&stub)).await.unwrap(), 1);
    let tokens = stub
        .log()
        .iter()
        .filter(|asked| asked.path == "token")
        .count();
    assert_eq!(tokens, 1);
}

#[tokio::test]
async fn c17_a_token_that_is_refused_is_renewed_once() {
    let stub = smart_server(2).await;
    assert_eq!(read(smart(&stub)).await.unwrap(), 1);
    let tokens = stub
        .log()
        .iter()
        .filter(|asked| asked.path == "token")
        .count();
    assert!(tokens >= 2, "{tokens}");
    let stub = smart_server(0).await;
    let failed = read(smart(&stub)).await.unwrap_err();
    assert!(failed.is_transient(), "{}", failed.chain());
    let tokens = stub
        .log()
        .iter()
        .filter(|asked| asked.path == "token")
        .count();
    assert_eq!(tokens, 2);
}

#[tokio::test]
async fn a_token_endpoint_without_encryption_or_sense_is_refused() {
    let stub = smart_server(1_000).await;
    for (url, why) in [
        ("nonsense", "is no URL"),
        ("http://idp.example/token", "not https://"),
    ] {
        let mut options = smart(&stub);
        if let FhirAuth::Smart(client) = &mut options.auth {
            client.token_url = Some(url.to_owned());
        }
        let failed = read(options).await.unwrap_err();
        assert!(failed.chain().contains(why), "{}", failed.chain());
    }
}

struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap(),
            issuer: Issuer::new(params, key),
        }
    }

    fn signed(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Serves TLS, and asks clients for a certificate of this authority's.
    fn acceptor(&self) -> TlsAcceptor {
        let _already_set = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let (certificate, key) = self.signed("localhost");
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
            .build()
            .unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key.into());
        TlsAcceptor::from(Arc::new(config.unwrap()))
    }
}

#[tokio::test]
async fn mutual_tls() {
    let authority = Authority::new();
    let setup = Setup {
        tls: Some(authority.acceptor()),
        ..Setup::default()
    };
    let stub = Stub::start(&lines(), setup).await;
    let identity = |of: &Authority| {
        let (certificate, key) = of.signed("sluice");
        Some((certificate.pem() + &key.serialize_pem()).into_bytes())
    };
    let options = FhirOptions {
        extra_roots_pem: Some(authority.certificate.pem().into_bytes()),
        identity_pem: identity(&authority),
        tries: 1,
        ..stub.options()
    };
    assert_eq!(read(options.clone()).await.unwrap(), 1);
    let stranger = FhirOptions {
        identity_pem: identity(&Authority::new()),
        ..options.clone()
    };
    assert!(read(stranger).await.is_err());
    let nobody = FhirOptions {
        identity_pem: None,
        ..options.clone()
    };
    assert!(read(nobody).await.is_err());
    let untrusted = FhirOptions {
        extra_roots_pem: Some(Authority::new().certificate.pem().into_bytes()),
        ..options
    };
    let refused = read(untrusted).await.unwrap_err();
    assert_eq!(refused.kind, PortKind::Permanent, "{}", refused.chain());
    assert!(
        refused.chain().contains("certificate"),
        "{}",
        refused.chain()
    );
}

#[tokio::test]
async fn addresses_that_would_give_something_away_are_refused() {
    for base in [
        "http://fhir.example/fhir",
        "ftp://fhir.example",
        "https://me:secret@fhir.example/fhir",
        "https://fhir.example/fhir?token=secret",
        "nonsense",
    ] {
        let refused = open(FhirOptions::new(base)).await.err().unwrap();
        assert_eq!(refused.kind, PortKind::Permanent);
        assert!(!refused.chain().contains("secret"), "{}", refused.chain());
    }
}
