//! A server of a test: one answer to whoever connects, over TLS or without, and a memory of both.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion, version};

/// An authority of its own.
pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn pem(&self) -> Vec<u8> {
        self.certificate.pem().into_bytes()
    }

    /// Serves TLS with a certificate for these hosts.
    pub(crate) fn acceptor(
        &self,
        hosts: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> TlsAcceptor {
        // Another test may have set it already.
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(hosts).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder_with_protocol_versions(versions)
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What is sent after a request came.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These bytes, and then the end of the connection.
    Whole(Vec<u8>),
    /// These bytes, and then nothing more, ever.
    Stalled(Vec<u8>),
    /// These bytes, and then 1 KiB pieces of a chunked body for as long as anyone listens.
    Endless(Vec<u8>),
}

impl Answer {
    /// The same without the end of the connection.
    pub(crate) fn kept_open(self) -> Self {
        match self {
            Self::Whole(bytes) => Self::Stalled(bytes),
            other => other,
        }
    }
}

/// An answer with status 200, these header lines, and a body.
pub(crate) fn ok(headers: &str, body: &[u8]) -> Answer {
    let mut bytes = format!("HTTP/1.1 200 OK\r\n{headers}").into_bytes();
    bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
    bytes.extend(body);
    Answer::Whole(bytes)
}

/// An answer with another status and no body.
pub(crate) fn status(code: u16, headers: &str) -> Answer {
    let text = format!("HTTP/1.1 {code} X\r\n{headers}Content-Length: 0\r\n\r\n");
    Answer::Whole(text.into_bytes())
}

/// A server on a port of its own.
#[derive(Clone)]
pub(crate) struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// TLS for `localhost`, signed by this authority.
    pub(crate) async fn start(authority: &Authority, answer: Answer) -> Self {
        let versions = [&version::TLS13, &version::TLS12];
        let acceptor = authority.acceptor(&["localhost", "127.0.0.1"], &versions);
        Self::serve(Some(acceptor), answer).await
    }

    /// As the acceptor says; without one there is no TLS.
    pub(crate) async fn serve(acceptor: Option<TlsAcceptor>, answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serving.connections.fetch_add(1, Ordering::SeqCst);
                let (serving, answer) = (serving.clone(), answer.clone());
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    match acceptor {
                        // A client that trusts us not ends the handshake.
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serving.answer(stream, answer).await;
                            }
                        }
                        None => serving.answer(stream, answer).await,
                    }
                });
            }
        });
        server
    }

    pub(crate) fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/tenant/jwks?token=hush", self.port)
    }

    /// How many connections came.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The requests, line by line as they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    async fn answer(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: Answer) {
        let mut request = Vec::new();
        // What begins as TLS does is no request: without TLS it is answered at once, as servers do.
        while !request.ends_with(b"\r\n\r\n") && !request.starts_with(b"\x16") {
            match stream.read_u8().await {
                Ok(byte) => request.push(byte),
                Err(_) => break,
            }
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        self.requests.lock().unwrap().push(request);
        let (Answer::Whole(start) | Answer::Stalled(start) | Answer::Endless(start)) = &answer;
        // A client that heard enough may be gone before the end.
        let mut sent = stream.write_all(start).await;
        sent = sent.and(stream.flush().await);
        match answer {
            Answer::Whole(_) => {
                let _gone = stream.shutdown().await;
            }
            Answer::Stalled(_) => std::future::pending().await,
            Answer::Endless(_) => {
                let piece = [b"400\r\n".as_slice(), &[b' '; 1024], b"\r\n"].concat();
                while sent.is_ok() {
                    sent = stream.write_all(&piece).await;
                }
            }
        }
    }
}
