//! What is counted of access: token requests, assertions used twice, key sets fetched.

use opentelemetry::metrics::{Counter, Meter};
use sluice_auth::{OAuthCode, Refusal};

use super::label;
use crate::TokenFailure;

const REPLAYED: &str = "replayed";
/// Why there is no token, beside the codes of OAuth.
const OTHER_REASONS: [&str; 2] = [REPLAYED, "unavailable"];
const FETCHES: [&str; 2] = ["fetched", "failed"];

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
        self.request(true, "none", 0);
        let codes = OAuthCode::ALL.map(OAuthCode::name);
        for reason in codes.into_iter().chain(OTHER_REASONS) {
            self.request(false, reason, 0);
        }
        self.replays.add(0, &[]);
        for outcome in FETCHES {
            self.fetches.add(0, &[label("outcome", outcome)]);
        }
    }

    fn request(&self, is_issued: bool, reason: &'static str, times: u64) {
        let outcome = match (is_issued, reason) {
            (true, _) => "issued",
            (false, "unavailable") => "failed",
            (false, _) => "refused",
        };
        let labels = [label("outcome", outcome), label("reason", reason)];
        self.requests.add(times, &labels);
    }

    pub(super) fn asked(&self, failure: Option<&TokenFailure>) {
        let reason = match failure {
            None => return self.request(true, "none", 1),
            Some(TokenFailure::Refused { refusal, .. }) if *refusal == Refusal::REPLAYED => {
                self.replays.add(1, &[]);
                REPLAYED
            }
            Some(TokenFailure::Refused { refusal, .. }) => refusal.code.name(),
            Some(TokenFailure::Port(_)) => "unavailable",
        };
        self.request(false, reason, 1);
    }

    pub(super) fn fetched(&self, well: bool) {
        let outcome = FETCHES[usize::from(!well)];
        self.fetches.add(1, &[label("outcome", outcome)]);
    }
}
