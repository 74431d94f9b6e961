//! `/drain` on the admin port: the worker takes no more chunks, finishes those in hand, and takes again when
//! told. A restart takes again by itself.

use std::future::ready;
use std::sync::Arc;

use serde_json::json;
use sluice_engine::{Audit, AuditAction, AuditEntry, Gate};
use sluice_runtime::{AdminAnswer, AdminApi, AdminRequest, Check};

/// When to come back after a change could not be written down, in seconds.
const COME_BACK: u32 = 5;

/// `GET`, `POST` and `DELETE /drain`.
pub(crate) fn drain_api(gate: Gate, audit: Audit) -> AdminApi {
    AdminApi::new("/drain", move |request| {
        let (gate, audit) = (gate.clone(), audit.clone());
        Box::pin(async move { answer(&gate, &audit, &request).await })
    })
}

/// Says that a worker that takes nothing is not ready.
pub(crate) fn not_drained(gate: Gate) -> Check {
    Arc::new(move || {
        let said = match state(&gate) {
            "taking" => Vec::new(),
            state => vec![format!("worker: {state}, as an operator wants it")],
        };
        Box::pin(ready(said))
    })
}

async fn answer(gate: &Gate, audit: &Audit, request: &AdminRequest) -> AdminAnswer {
    if request.path != "/drain" {
        return refusal(404, "there is /drain and nothing else");
    }
    let (action, open) = match request.method.as_str() {
        "GET" => return shown(gate),
        "POST" => (AuditAction::WorkerDrained, false),
        "DELETE" => (AuditAction::WorkerUndrained, true),
        _ => {
            return AdminAnswer {
                allow: Some("GET, POST, DELETE"),
                ..refusal(405, "this path takes GET, POST, DELETE")
            };
        }
    };
    let entry = AuditEntry::by_administrator(None, action);
    if let Err(error) = audit.record(&entry).await {
        tracing::warn!(error = error.chain(), "a change cannot be written down now");
        let text = format!("nothing was changed, as it could not be written down: {error}");
        return AdminAnswer {
            retry_after: Some(COME_BACK),
            ..refusal(503, &text)
        };
    }
    if gate.set(open) {
        tracing::warn!(
            takes = open,
            in_hand = gate.in_hand(),
            "an operator changed what this worker takes"
        );
    }
    shown(gate)
}

fn state(gate: &Gate) -> &'static str {
    match (gate.is_open(), gate.in_hand()) {
        (true, _) => "taking",
        (false, 0) => "drained",
        (false, _) => "draining",
    }
}

fn shown(gate: &Gate) -> AdminAnswer {
    let body = json!({ "state": state(gate), "in_hand": gate.in_hand() });
    AdminAnswer::new(200, body.to_string())
}

fn refusal(status: u16, text: &str) -> AdminAnswer {
    AdminAnswer::new(status, json!({ "error": text }).to_string())
}
