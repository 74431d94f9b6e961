//! What a deployment says about a FHIR server that is read, with the defaults.

use std::path::PathBuf;
use std::time::Duration;

/// How to read a FHIR server.
#[derive(Clone)]
pub struct FhirOptions {
    /// Its base URL: `https://`, or `http://` on this machine, or anywhere with `allow_http`.
    pub base: String,
    /// Whether what is read and the credentials may travel unencrypted.
    pub allow_http: bool,
    /// How Sluice shows who it is.
    pub auth: FhirAuth,
    /// A certificate chain and its private key for mutual TLS; PEM, one after the other.
    pub identity_pem: Option<Vec<u8>>,
    /// Certificates of authorities that are trusted beside those of the system; PEM.
    pub extra_roots_pem: Option<Vec<u8>>,
    /// Resources asked for in a page.
    pub page: usize,
    /// Ids in one search.
    pub ids_per_search: usize,
    /// The most patients of one chunk; ids of 3 KiB are the most in any case.
    pub patients_per_chunk: usize,
    /// Which searches are sent by POST.
    pub post: PostSearch,
    /// What becomes of types that the server cannot search by patient.
    pub unsearchable: Unsearchable,
    /// Requests at once.
    pub concurrency: usize,
    /// Requests in a second; 0 for any number.
    pub per_second: u32,
    /// The largest answer that is read, after decompression.
    pub most_bytes: usize,
    /// For a connection with its TLS handshake.
    pub connect_timeout: Duration,
    /// For one request to the last byte of its answer.
    pub timeout: Duration,
    /// Tries at a request whose failure may pass.
    pub tries: u32,
    /// The longest wait between two tries, whatever the server asks for; when it asks for more, the
    /// chunk fails and is tried again later.
    pub longest_wait: Duration,
    /// How long the server may take to show in a search what it has accepted; the time of an export
    /// is put back by it.
    pub lag: Duration,
}

/// How Sluice shows who it is.
#[derive(Clone, Default)]
pub enum FhirAuth {
    /// Not at all, or by a certificate alone.
    #[default]
    None,
    /// With a token from a file, which is read again when the token is refused.
    Bearer(PathBuf),
    /// With a name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// As a client of SMART Backend Services.
    Smart(SmartClient),
}

/// A registration with the server's authorization server.
#[derive(Clone)]
pub struct SmartClient {
    /// The name it is known by there.
    pub client_id: String,
    /// The private key, RSA or EC on P-384; PEM.
    pub key_pem: Vec<u8>,
    /// What its public half is called there.
    pub kid: String,
    /// The token endpoint; otherwise it is taken from `.well-known/smart-configuration`.
    pub token_url: Option<String>,
    /// What to ask for, such as `system/*.rs`.
    pub scope: String,
}

/// Which searches are sent by POST to `_search`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PostSearch {
    /// Those whose URL would be long, unless the server refuses that.
    #[default]
    Long,
    /// All, so that no ids of patients stand in the server's access log.
    Always,
    /// None.
    Never,
}

/// What becomes of a type that the server cannot search by each element that makes it a patient's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsearchable {
    /// All of it is read, and what is not asked for is dropped here.
    #[default]
    Scan,
    /// It is searched by what there is, if there is any; what this misses is missing, and told.
    LeaveOut,
}

impl FhirOptions {
    /// A server with every option at its default.
    pub fn new(base: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            allow_http: false,
            auth: FhirAuth::None,
            identity_pem: None,
            extra_roots_pem: None,
            page: 100,
            ids_per_search: 50,
            patients_per_chunk: 50,
            post: PostSearch::Long,
            unsearchable: Unsearchable::Scan,
            concurrency: 4,
            per_second: 0,
            most_bytes: 64 << 20,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_mins(2),
            tries: 4,
            longest_wait: Duration::from_mins(2),
            lag: Duration::from_secs(5),
        }
    }
}
