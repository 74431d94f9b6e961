//! What is counted of access: token requests, assertions used twice, key sets fetched.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use sluice_auth::{OAuthCode, Refusal};

use super::label;
use crate::TokenFailure;

/// How a token request ends, and why.
type End = (&'static str, &'static str);

const ISSUED: End = ("issued", "none");
const FAILED: End = ("failed", "unavailable");
/// A reason beside the codes of OAuth.
const REPLAYED: &str = "replayed";
const FETCHES: [&str; 2] = ["fetched", "failed"];

fn refused(reason: &'static str) -> End {
    ("refused", reason)
}

fn labels((outcome, reason): End) -> [KeyValue; 2] {
    [label("outcome", outcome), label("reason", reason)]
}

/// Its instruments.
pub(super) struct AccessInstruments {
    requests: Counter<u64>,
    replays: Counter<u64>,
    fetches: Counter<u64>,
}

impl AccessInstruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let counter = |name: &'static str| meter.u64_counter(name).build();
        Self {
            requests: counter("auth.token.requests"),
            replays: counter("auth.jti.replay"),
            fetches: counter("auth.jwks.fetch"),
        }
    }

    pub(super) fn begin_at_zero(&self) {
        let codes = OAuthCode::ALL.map(|code| refused(code.name()));
        for end in codes.into_iter().chain([ISSUED, refused(REPLAYED), FAILED]) {
            self.requests.add(0, &labels(end));
        }
        self.replays.add(0, &[]);
        for outcome in FETCHES {
            self.fetches.add(0, &[label("outcome", outcome)]);
        }
    }

    pub(super) fn asked(&self, failure: Option<&TokenFailure>) {
        let end = match failure {
            None => ISSUED,
            Some(TokenFailure::Refused { refusal, .. }) if *refusal == Refusal::REPLAYED => {
                self.replays.add(1, &[]);
                refused(REPLAYED)
            }
            Some(TokenFailure::Refused { refusal, .. }) => refused(refusal.code.name()),
            Some(TokenFailure::Port(_)) => FAILED,
        };
        self.requests.add(1, &labels(end));
    }

    pub(super) fn fetched(&self, well: bool) {
        let outcome = FETCHES[usize::from(!well)];
        self.fetches.add(1, &[label("outcome", outcome)]);
    }
}
