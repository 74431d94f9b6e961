//! Requests to the server: within the budget, bounded in time and size, tried again where that may
//! help, and never led elsewhere.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue};
use reqwest::{Client, Response, StatusCode};
use sluice_fhir::Instant;
use sluice_ports::{Clock, Entropy, PortError};
use url::Url;

use crate::answers::Answers;
use crate::budget::Budget;
use crate::failure::Failure;
use crate::login::Login;
use crate::options::FhirOptions;
use crate::{client, retry_after};

const FHIR_JSON: &str = "application/fhir+json";
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// A request that changes nothing.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// By GET.
    Get(Url),
    /// A search by POST, with a form.
    Post(Url, String),
}

/// A FHIR server.
pub(crate) struct Http {
    client: Client,
    login: Login,
    budget: Budget,
    base: Url,
    pub(crate) options: FhirOptions,
    pub(crate) clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    pub(crate) answers: Answers,
    /// Their clock, in milliseconds, as their last answer showed it.
    theirs: AtomicI64,
}

impl Http {
    pub(crate) fn new(
        options: FhirOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, PortError> {
        let base = client::base(&options)?;
        let client = client::client(&options)?;
        let login = Login::new(&options, &base, clock.clone(), entropy.clone())?;
        Ok(Self {
            budget: Budget::new(options.concurrency, options.per_second),
            client,
            login,
            base,
            options,
            clock,
            entropy,
            answers: Answers::default(),
            theirs: AtomicI64::new(i64::MIN),
        })
    }

    /// Where something is: `metadata`, `Patient`, `Patient/_search`, `Group/g`.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.split('/'));
        }
        url
    }

    /// Where a link of the server leads, if that is the server: elsewhere the credentials must not go
    /// (I6, C19).
    pub(crate) fn follow(&self, link: &str) -> Result<Url, Failure> {
        let url = self.url("").join(link);
        let url = url.map_err(|_| Failure::Nonsense("a page whose next link is no URL"))?;
        if url.origin() != self.base.origin() || !url.username().is_empty() {
            return Err(Failure::Refused(
                "its next links lead to another server; check fhir.source, and the base URL that the \
                 server was given for itself",
            ));
        }
        Ok(url)
    }

    /// Their clock, as far as they showed it.
    pub(crate) fn their_time(&self) -> Option<Instant> {
        let millis = self.theirs.load(Ordering::Relaxed);
        (millis != i64::MIN).then(|| Instant::from_millis(millis))
    }

    /// The server's host, for errors.
    pub(crate) fn host(&self) -> &str {
        self.base.host_str().unwrap_or("no host")
    }

    /// Asks until there is an answer that will not change by asking again.
    pub(crate) async fn ask(&self, ask: &Ask) -> Result<Bytes, Failure> {
        let (mut tried, mut renewed) = (0, false);
        loop {
            tried += 1;
            let slot = self.budget.slot().await;
            let mut header = None;
            let once = self.once(ask, &mut header);
            let once = tokio::time::timeout(self.options.timeout, once).await;
            drop(slot);
            self.answers.count(match &once {
                Ok(Ok(_)) => Some(200),
                Ok(Err((Failure::Busy(code) | Failure::Status(code), _))) => Some(*code),
                Ok(Err(_)) | Err(_) => None,
            });
            let (failure, told) = match once.unwrap_or(Err((Failure::TimedOut, None))) {
                Ok(body) => {
                    self.budget.worked();
                    return Ok(body);
                }
                Err(failed) => failed,
            };
            match failure {
                Failure::Status(401) if !renewed && self.login.can_renew() => {
                    // Once: what refuses a fresh token will not take another (C17).
                    renewed = true;
                    tried -= 1;
                    self.login.refused(header.as_ref()).await;
                    continue;
                }
                Failure::Status(401) if renewed => return Err(Failure::Busy(401)),
                Failure::Busy(_) | Failure::Network(_) | Failure::TimedOut => {}
                failure => return Err(failure),
            }
            let wait = told.unwrap_or_else(|| retry_after::untold(tried, self.chance()));
            if matches!(failure, Failure::Busy(_)) {
                self.budget.throttled(wait.min(self.options.longest_wait));
            }
            if tried >= self.options.tries || wait > self.options.longest_wait {
                return Err(failure);
            }
            tracing::debug!(tried, error = %failure, "a request to the FHIR server is tried again");
            tokio::time::sleep(wait).await;
        }
    }

    fn chance(&self) -> u8 {
        let mut byte = [0];
        let _no_chance_then = self.entropy.fill(&mut byte);
        byte[0]
    }

    async fn once(
        &self,
        ask: &Ask,
        login: &mut Option<HeaderValue>,
    ) -> Result<Bytes, (Failure, Option<Duration>)> {
        let header = self.login.header(&self.client).await;
        *login = header.map_err(|failure| (failure, None))?;
        let request = match ask {
            Ask::Get(url) => self.client.get(url.clone()),
            Ask::Post(url, form) => {
                let request = self.client.post(url.clone()).body(form.clone());
                request.header(CONTENT_TYPE, FORM)
            }
        };
        let mut request = request.header(ACCEPT, FHIR_JSON);
        if let Some(login) = login {
            request = request.header(AUTHORIZATION, login.clone());
        }
        let network = |error: reqwest::Error| (network(error), None);
        let response = request.send().await.map_err(network)?;
        self.note_time(&response);
        let status = response.status();
        if status == StatusCode::OK {
            let body = body(response, self.options.most_bytes).await;
            return body.map_err(|failure| (failure, None));
        }
        let told = retry_after::told(response.headers());
        let code = status.as_u16();
        let failure = match code {
            408 | 425 | 429 | 500 | 502..=599 => Failure::Busy(code),
            300..=399 => {
                Failure::Refused("it redirects, which is not followed; give the URL itself")
            }
            code => Failure::Status(code),
        };
        Err((failure, told))
    }

    fn note_time(&self, response: &Response) {
        let date = response
            .headers()
            .get(DATE)
            .and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let since = date.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok());
        if let Some(millis) = since.and_then(|since| i64::try_from(since.as_millis()).ok()) {
            self.theirs.store(millis, Ordering::Relaxed);
        }
    }
}

fn network(error: reqwest::Error) -> Failure {
    // It would show the URL's query otherwise.
    let error = error.without_url();
    if is_untrusted(&error) {
        return Failure::Login(format!(
            "the server's certificate, or ours, is refused: {}",
            chain(&error)
        ));
    }
    Failure::Network(error.into())
}

/// The innermost cause says what is wrong with a certificate.
fn chain(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

fn is_untrusted(error: &(dyn Error + 'static)) -> bool {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return matches!(
                error,
                rustls::Error::InvalidCertificate(_)
                    | rustls::Error::AlertReceived(_)
                    | rustls::Error::NoCertificatesPresented
                    | rustls::Error::PeerIncompatible(_)
            );
        }
        current = match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|held| held as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    false
}

/// The body, given up as soon as it is too large, which its header may already say.
pub(crate) async fn body(mut response: Response, most: usize) -> Result<Bytes, Failure> {
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).unwrap_or(usize::MAX) > most {
        return Err(Failure::TooLarge);
    }
    let mut body = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0));
    while let Some(piece) = response.chunk().await.map_err(network)? {
        if body.len() + piece.len() > most {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}
