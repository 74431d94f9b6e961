//! Access tokens of SMART Backend Services: one for all requests, renewed before it runs out and when
//! it is refused.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use sluice_auth::{AssertionClaims, AssertionKey};
use sluice_fhir::Instant;
use sluice_ports::{Clock, Entropy, PortError};
use tokio::sync::Mutex;
use url::{Url, form_urlencoded};

use crate::client::is_loopback;
use crate::failure::Failure;
use crate::http::body;
use crate::login;
use crate::options::SmartClient;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// For an answer of the authorization server, and how much of it is read.
const PATIENCE: Duration = Duration::from_secs(30);
const LONGEST: usize = 256 * 1024;
/// A token is renewed when this is left of it, or a fifth of its life if that is less.
const LEFT: Duration = Duration::from_mins(1);
/// The life of a token that does not say.
const UNSAID: u64 = 60;

/// Tokens for one server.
pub(crate) struct Smart {
    client_id: String,
    key: AssertionKey,
    scope: String,
    /// The configuration, and whether tokens may be asked for without encryption.
    discovery: Url,
    token_url: Option<String>,
    on_this_machine: bool,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    endpoint: Option<String>,
    token: Option<Token>,
}

struct Token {
    header: HeaderValue,
    until: Instant,
}

#[derive(Deserialize)]
struct Configuration {
    token_endpoint: String,
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    expires_in: Option<f64>,
}

#[derive(Default, Deserialize)]
struct Refused {
    #[serde(default)]
    error: String,
}

impl Smart {
    pub(crate) fn new(
        client: &SmartClient,
        base: &Url,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, PortError> {
        let key = AssertionKey::from_pem(&client.key_pem, &client.kid);
        let key = key.map_err(|error| PortError::permanent("reading fhir.key_file", error))?;
        let mut discovery = base.clone();
        if let Ok(mut segments) = discovery.path_segments_mut() {
            segments.extend([".well-known", "smart-configuration"]);
        }
        Ok(Self {
            client_id: client.client_id.clone(),
            key,
            scope: client.scope.clone(),
            discovery,
            token_url: client.token_url.clone(),
            on_this_machine: base.scheme() == "http" && is_loopback(base),
            clock,
            entropy,
            held: Mutex::default(),
        })
    }

    /// The header to send; one caller asks for a token, the others wait for it.
    pub(crate) async fn header(&self, http: &Client) -> Result<HeaderValue, Failure> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        if let Some(token) = held.token.as_ref().filter(|token| now < token.until) {
            return Ok(token.header.clone());
        }
        let endpoint = match held.endpoint.take().or_else(|| self.token_url.clone()) {
            Some(endpoint) => endpoint,
            None => self.discover(http).await?,
        };
        let token = self.ask(http, &endpoint).await?;
        held.endpoint = Some(endpoint);
        Ok(held.token.insert(token).header.clone())
    }

    pub(crate) async fn refused(&self, header: Option<&HeaderValue>) {
        let mut held = self.held.lock().await;
        if held.token.as_ref().map(|token| &token.header) == header {
            held.token = None;
        }
    }

    async fn discover(&self, http: &Client) -> Result<String, Failure> {
        let request = http.get(self.discovery.clone());
        let body = answer(request, "its SMART configuration").await?;
        let known: Configuration = serde_json::from_slice(&body).map_err(|_| {
            Failure::Login(
                "its SMART configuration names no token_endpoint; set fhir.token_url".to_owned(),
            )
        })?;
        Ok(known.token_endpoint)
    }

    async fn ask(&self, http: &Client, endpoint: &str) -> Result<Token, Failure> {
        let wrong = |text: &str| Failure::Login(format!("the token endpoint {text}"));
        let url = Url::parse(endpoint).map_err(|_| wrong("is no URL"))?;
        let stays = self.on_this_machine && is_loopback(&url);
        if url.scheme() != "https" && !(url.scheme() == "http" && stays) {
            return Err(wrong("is not https://"));
        }
        let asked = self.clock.now();
        let mut jti = [0; 16];
        self.entropy.fill(&mut jti)?;
        let claims = AssertionClaims {
            client: &self.client_id,
            audience: endpoint,
            now: asked.millis().div_euclid(1000),
            jti: &hex::encode(jti),
        };
        let assertion = self.key.sign(claims);
        let assertion = assertion.map_err(|_| wrong("gets no assertion: signing failed"))?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("scope", &self.scope)
            .append_pair("client_assertion_type", ASSERTION_TYPE)
            .append_pair("client_assertion", &assertion)
            .finish();
        let request = http.post(url).body(form);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let body = answer(request, "a token").await?;
        let given: Given =
            serde_json::from_slice(&body).map_err(|_| wrong("answers without an access_token"))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a token that lives longer than that, or less than nothing, is asked for anew"
        )]
        let life = given.expires_in.map_or(UNSAID, |life| life as u64);
        let life = Duration::from_secs(life);
        Ok(Token {
            header: login::header(&format!("Bearer {}", given.access_token))?,
            until: asked.plus(life.saturating_sub(LEFT.min(life / 5))),
        })
    }
}

/// The answer to a request for one thing, or why there is none: of what the server says only a code,
/// since its words might quote the assertion.
async fn answer(request: reqwest::RequestBuilder, what: &str) -> Result<Vec<u8>, Failure> {
    let request = request.header(ACCEPT, "application/json").timeout(PATIENCE);
    let sent = request.send().await;
    let response = sent.map_err(|error| Failure::Network(error.without_url().into()))?;
    let status = response.status().as_u16();
    let body = body(response, LONGEST).await?;
    match status {
        200 => Ok(body.to_vec()),
        429 | 500..=599 => Err(Failure::Busy(status)),
        _ => {
            let said: Refused = serde_json::from_slice(&body).unwrap_or_default();
            let code = said
                .error
                .bytes()
                .all(|byte| byte == b'_' || byte.is_ascii_lowercase());
            let code = if code && said.error.len() < 40 {
                said.error.as_str()
            } else {
                ""
            };
            Err(Failure::Login(format!(
                "asking for {what} is answered with status {status} {code}; check fhir.client_id, \
                 fhir.key_id, fhir.scope and the clocks"
            )))
        }
    }
}
