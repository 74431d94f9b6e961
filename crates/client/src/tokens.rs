//! Access tokens of SMART Backend Services: one for all requests, renewed before it runs out and
//! when it is refused.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;
use url::{Url, form_urlencoded};

use crate::event::Teller;
use crate::retry_after::{retry_after, untold};
use crate::smart::{Configuration, Endpoint, configuration_url};
use crate::{Credentials, Event, ExportError, ExportOptions, http};

const DISCOVERING: &str = "reading the server's SMART configuration";
const ASKING: &str = "getting an access token";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Tries at a request whose failure may pass.
const TRIES: u32 = 5;
/// Seconds that an assertion is good for; servers refuse more than 300.
const ASSERTION: u64 = 240;
/// A token is renewed when this is left of it, or a fifth of its life if that is less.
const LEFT: Duration = Duration::from_mins(1);
/// The life of a token that does not say.
const UNSAID: Duration = Duration::from_mins(1);
/// The most of an answer that is read.
const LONGEST: usize = 256 * 1024;
/// The longest word, and the most words, that are shown of what a server says.
const WORD: usize = 100;
const WORDS: usize = 60;

/// Tokens from one server for one client.
pub(crate) struct Tokens {
    /// For what may lead elsewhere, and for what must not: an assertion is for one place.
    discovering: Client,
    asking: Client,
    base: Url,
    /// What the user wants to be sent to the base's origin.
    headers: HeaderMap,
    credentials: Credentials,
    types: Vec<String>,
    teller: Teller,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    place: Option<Place>,
    token: Option<Token>,
}

/// Where to ask, and for what.
struct Place {
    endpoint: Endpoint,
    scope: String,
}

struct Token {
    header: HeaderValue,
    asked: Instant,
    life: Duration,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: String,
}

/// The answer of a token endpoint. Its errors are not shown: they could quote the token.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Refusal {
    error: Option<String>,
    error_description: Option<String>,
}

impl Tokens {
    /// Asks nobody yet.
    pub(crate) fn new(
        options: &ExportOptions,
        credentials: &Credentials,
        headers: HeaderMap,
        teller: Teller,
    ) -> Result<Self, ExportError> {
        let redirects = http::redirects(&options.server, !headers.is_empty());
        Ok(Self {
            discovering: http::client(redirects)?,
            asking: http::client(Policy::none())?,
            base: options.server.clone(),
            headers,
            credentials: credentials.clone(),
            types: options.types.clone(),
            teller,
            held: Mutex::default(),
        })
    }

    /// The value of `Authorization`, another one than was `refused`. While one request asks for a
    /// token, the others wait for it.
    pub(crate) async fn header(
        &self,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, ExportError> {
        let mut held = self.held.lock().await;
        if let Some(token) = &held.token
            && token.is_fresh(token.asked.elapsed())
            && Some(&token.header) != refused
        {
            return Ok(token.header.clone());
        }
        let place = match held.place.take() {
            Some(place) => place,
            None => self.discover().await?,
        };
        let token = self.ask(held.place.insert(place)).await?;
        Ok(held.token.insert(token).header.clone())
    }

    async fn discover(&self) -> Result<Place, ExportError> {
        let url = configuration_url(&self.base)?;
        let request = || {
            let request = self.discovering.get(url.clone());
            Ok(self.at_home(&url, request))
        };
        let (status, body) = self.insist(DISCOVERING, request).await?;
        if status != StatusCode::OK {
            let text = format!(
                "{url} answers {status}; it may be no SMART server: --bearer-token-file is for tokens \
                 that come from elsewhere"
            );
            return Err(ExportError::NoToken { text });
        }
        let known: Configuration = serde_json::from_slice(&body)
            .map_err(|error| ExportError::nonsense(DISCOVERING, error.to_string()))?;
        known.check(&self.credentials.key)?;
        let wanted = &self.credentials.scopes;
        let mut scope: Vec<&str> = wanted.iter().flat_map(|text| text.split(' ')).collect();
        scope.retain(|text| !text.is_empty());
        Ok(Place {
            endpoint: known.endpoint(&self.base)?,
            scope: if scope.is_empty() {
                known.scope(&self.types)
            } else {
                scope.join(" ")
            },
        })
    }

    async fn ask(&self, place: &Place) -> Result<Token, ExportError> {
        let url = &place.endpoint.url;
        // A server takes an assertion once, so each try has its own.
        let request = || {
            let form = form_urlencoded::Serializer::new(String::new())
                .append_pair("grant_type", "client_credentials")
                .append_pair("scope", &place.scope)
                .append_pair("client_assertion_type", ASSERTION_TYPE)
                .append_pair("client_assertion", &self.assertion(&place.endpoint)?)
                .finish();
            let request = self.asking.post(url.clone()).body(form);
            let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            Ok(self.at_home(url, request))
        };
        let asked = Instant::now();
        let (status, body) = self.insist(ASKING, request).await?;
        if status != StatusCode::OK {
            return Err(self.refusal(status, &body));
        }
        Token::new(&body, asked)
    }

    fn at_home(&self, url: &Url, request: RequestBuilder) -> RequestBuilder {
        let request = request.header(ACCEPT, "application/json");
        if url.origin() == self.base.origin() {
            request.headers(self.headers.clone())
        } else {
            request
        }
    }

    /// Sends until the answer is more than a trouble that may pass.
    async fn insist(
        &self,
        action: &str,
        request: impl Fn() -> Result<RequestBuilder, ExportError> + Send + Sync,
    ) -> Result<(StatusCode, Vec<u8>), ExportError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (error, told) = match attempt(action, request()?).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            if tries == TRIES {
                return Err(error);
            }
            let wait = told.unwrap_or_else(|| untold(tries));
            self.teller.tell(Event::Waiting {
                seconds: wait.as_secs(),
                reason: error.to_string(),
            });
            tokio::time::sleep(wait).await;
        }
    }

    fn assertion(&self, endpoint: &Endpoint) -> Result<String, ExportError> {
        let failed = || ExportError::BadOption("nothing can be signed with the key".to_owned());
        let mut jti = [0; 16];
        aws_lc_rs::rand::fill(&mut jti).map_err(|_| failed())?;
        let (client, now) = (&self.credentials.client_id, now());
        let claims = Claims {
            iss: client,
            sub: client,
            aud: &endpoint.audience,
            iat: now,
            exp: now + ASSERTION,
            jti: hex::encode(jti),
        };
        self.credentials.key.sign(&claims).map_err(|_| failed())
    }

    /// What the server says, and what to look at.
    fn refusal(&self, status: StatusCode, body: &[u8]) -> ExportError {
        let said: Refusal = serde_json::from_slice(body).unwrap_or_default();
        let code = said.error.as_deref().map(shown).unwrap_or_default();
        let hint = match code.as_str() {
            "invalid_client" | "invalid_grant" | "invalid_request" => format!(
                "check --client-id, that the server knows the public half of --key by the kid \
                 {:?}, and the clock of this machine",
                self.credentials.key.kid()
            ),
            "invalid_scope" => "check --scope, and what the client is registered for".to_owned(),
            "unauthorized_client" | "unsupported_grant_type" => {
                "check that the client is registered for SMART Backend Services".to_owned()
            }
            _ => "check --client-id, --key and --scope".to_owned(),
        };
        let reason = said
            .error_description
            .as_deref()
            .map(shown)
            .unwrap_or_default();
        let parts = [status.to_string(), code, reason];
        let said: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let said = said.join(", ");
        ExportError::NoToken {
            text: format!("its token endpoint answers {said}; {hint}"),
        }
    }
}

impl Token {
    fn new(body: &[u8], asked: Instant) -> Result<Self, ExportError> {
        let wrong = |reason: &str| ExportError::nonsense(ASKING, reason);
        let given: Given =
            serde_json::from_slice(body).map_err(|_| wrong("the answer holds no access_token"))?;
        let kind = given.token_type.as_deref().unwrap_or("bearer");
        if !kind.eq_ignore_ascii_case("bearer") {
            return Err(wrong("the token is not of the type bearer"));
        }
        let header = HeaderValue::from_str(&format!("Bearer {}", given.access_token));
        let mut header = header.map_err(|_| wrong("the token cannot be sent in a header"))?;
        header.set_sensitive(true);
        Ok(Self {
            header,
            asked,
            life: given
                .expires_in
                .as_ref()
                .and_then(seconds)
                .unwrap_or(UNSAID),
        })
    }

    fn is_fresh(&self, age: Duration) -> bool {
        let left = self.life.saturating_sub(age);
        left > LEFT.min(self.life / 5)
    }
}

/// An answer, or a trouble that may pass and how long to wait, if told.
async fn attempt(
    action: &str,
    request: RequestBuilder,
) -> Result<(StatusCode, Vec<u8>), (ExportError, Option<Duration>)> {
    let sent = http::send(action, request).await;
    let response = sent.map_err(|error| (error, None))?;
    let status = response.status();
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        let error = ExportError::broken_off(action, status.to_string());
        return Err((error, retry_after(response.headers())));
    }
    match http::body(response, LONGEST).await {
        (_, Some(error)) => Err((ExportError::network(action, &error), None)),
        (body, None) => Ok((status, body)),
    }
}

/// Some servers write a number as text.
fn seconds(value: &Value) -> Option<Duration> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok()?,
        other => other.as_f64()?,
    };
    Duration::try_from_secs_f64(number).ok()
}

/// A server's words for a terminal. One as long as an assertion or a token is left out.
fn shown(text: &str) -> String {
    let words = text.split_whitespace().take(WORDS).map(|word| {
        if word.len() > WORD {
            "...".to_owned()
        } else {
            word.chars().filter(|letter| !letter.is_control()).collect()
        }
    });
    words.collect::<Vec<String>>().join(" ")
}

fn now() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "an assertion is for the server's clock, so it needs the real time"
    )]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(json: &Value) -> Result<Token, ExportError> {
        Token::new(json.to_string().as_bytes(), Instant::now())
    }

    #[test]
    fn a_token_is_renewed_when_little_is_left_of_it() {
        for (life, fresh) in [(300, 239), (3600, 3539), (50, 39), (10, 7)] {
            let token = token(&json!({ "access_token": "a", "expires_in": life })).unwrap();
            assert!(token.is_fresh(Duration::from_secs(fresh)), "{life}");
            assert!(!token.is_fresh(Duration::from_secs(fresh + 1)), "{life}");
        }
    }

    #[test]
    fn the_life_of_a_token_is_said_in_several_ways() {
        let life = |json: &Value| token(json).unwrap().life.as_secs();
        assert_eq!(
            life(&json!({ "access_token": "a", "token_type": "BEARER" })),
            60
        );
        assert_eq!(
            life(&json!({ "access_token": "a", "expires_in": "90" })),
            90
        );
        assert_eq!(
            life(&json!({ "access_token": "a", "expires_in": 90.5 })),
            90
        );
        assert_eq!(
            life(&json!({ "access_token": "a", "expires_in": null })),
            60
        );
        assert_eq!(life(&json!({ "access_token": "a", "expires_in": -1 })), 60);
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_shown() {
        for json in [
            json!("secret"),
            json!({ "access_token": ["secret"] }),
            json!({ "access_token": "secret\n" }),
            json!({ "access_token": "secret", "token_type": "mac" }),
        ] {
            let refused = token(&json).err().unwrap();
            assert_eq!(refused.exit_code(), 6);
            assert!(!refused.to_string().contains("secret"), "{refused}");
        }
    }

    #[test]
    fn long_words_and_control_characters_are_not_shown() {
        let said = format!("no  such\n{} \u{1b}[31mclient", "x".repeat(WORD + 1));
        assert_eq!(shown(&said), "no such ... [31mclient");
        assert!(shown(&"word ".repeat(WORDS + 1)).len() < 5 * WORDS);
    }
}
