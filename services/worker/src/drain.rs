//! `/drain` on the admin port: the worker takes no more chunks, finishes those in hand, and takes again when
//! told. A restart takes again by itself.

use std::future::ready;
use std::sync::Arc;

use serde_json::json;
use sluice_engine::{Audit, AuditAction, AuditEntry, Gate, Origin};
use sluice_runtime::{AdminAnswer, AdminApi, AdminRequest, Check};

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
        return AdminAnswer::refused(404, "there is /drain and nothing else");
    }
    let (action, open) = match request.method.as_str() {
        "GET" => return shown(gate),
        "POST" => (AuditAction::WorkerDrained, false),
        "DELETE" => (AuditAction::WorkerUndrained, true),
        _ => return AdminAnswer::not_allowed("GET, POST, DELETE"),
    };
    let entry = AuditEntry::by_administrator(&Origin::at(request.address), None, action);
    if let Err(error) = audit.record(&entry).await {
        tracing::warn!(error = error.chain(), "a change cannot be written down now");
        return AdminAnswer::unrecorded(error);
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

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::time::Duration;

    use sluice_engine::{Metrics, Pace, Ports, drive};
    use sluice_local::{MemoryBlobs, MemoryIndex, MemoryQueue};
    use sluice_model::{ChunkId, Hint, JobId, JobRef, Lane};
    use sluice_ports::{Entropy, PortError, PortKind, Settle};
    use sluice_testkit::openapi::{Answer, OpenApi};
    use sluice_testkit::{ManualClock, SeededEntropy};
    use tokio::sync::Semaphore;
    use tokio_util::sync::CancellationToken;

    use super::*;

    static DOCUMENT: LazyLock<OpenApi> =
        LazyLock::new(|| OpenApi::read(include_str!("../../../docs/openapi.json")).unwrap());

    /// Without chance no event has an id, so that none is written down.
    struct NoChance;

    impl Entropy for NoChance {
        fn fill(&self, _: &mut [u8]) -> Result<(), PortError> {
            Err(PortError::new(PortKind::Transient, "asking for chance"))
        }
    }

    fn ports() -> Ports {
        let clock = Arc::new(ManualClock::default());
        Ports {
            blobs: Arc::new(MemoryBlobs::default()),
            index: Arc::new(MemoryIndex::new(clock.clone())),
            queue: Arc::new(MemoryQueue::default()),
            clock,
            entropy: Arc::new(SeededEntropy::new(1)),
            metrics: Metrics::default(),
        }
    }

    /// Asks, and holds the answer against the document.
    async fn ask(gate: &Gate, audit: &Audit, method: &str) -> (u16, String) {
        let request = AdminRequest {
            method: method.to_owned(),
            path: "/drain".to_owned(),
            query: String::new(),
            body: Vec::new(),
            address: [127, 0, 0, 1].into(),
        };
        let answer = answer(gate, audit, &request).await;
        if DOCUMENT.has(method, "/drain") {
            let seen = Answer {
                status: answer.status,
                content_type: Some("application/json"),
                headers: &["retry-after"],
                body: Some(answer.body.as_bytes()),
            };
            assert_eq!(DOCUMENT.check(method, "/drain", seen), Ok(()));
        }
        (answer.status, answer.body)
    }

    fn told(state: &str, in_hand: u32) -> (u16, String) {
        let body = json!({ "state": state, "in_hand": in_hand });
        (200, body.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn a_drained_worker_finishes_what_it_has_and_takes_nothing() {
        let (ports, gate) = (ports(), Gate::default());
        let (audit, stop) = (Audit::new(&ports, 10), CancellationToken::new());
        let ready = not_drained(gate.clone());
        let work = Arc::new(Semaphore::new(0));
        let send = async |ordinal| {
            let job = JobRef {
                tenant: "one".parse().unwrap(),
                job: JobId::from_bytes([1; 16]),
            };
            let hint = Hint::ExportChunk(job, ChunkId::from_ordinal(ordinal));
            ports.queue.send(hint.into()).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        let pace = Pace {
            width: 2,
            grace: Duration::from_secs(1),
        };
        let until = (gate.clone(), stop.clone());
        let slow = Arc::clone(&work);
        let driving = drive(ports.clone(), Lane::Chunks, pace, until, move |_| {
            let slow = Arc::clone(&slow);
            async move {
                slow.acquire().await.unwrap().forget();
                Settle::Ack
            }
        });
        let driving = tokio::spawn(driving);
        send(0).await;
        assert_eq!(ask(&gate, &audit, "GET").await, told("taking", 1));
        assert!(ready().await.is_empty());
        assert_eq!(ask(&gate, &audit, "POST").await, told("draining", 1));
        send(1).await;
        assert_eq!(ask(&gate, &audit, "GET").await, told("draining", 1));
        assert_eq!(ready().await.len(), 1);
        work.add_permits(1);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(ask(&gate, &audit, "POST").await, told("drained", 0));
        assert_eq!(ports.queue.waiting(Lane::Chunks).await.unwrap(), 1);
        assert_eq!(ask(&gate, &audit, "DELETE").await, told("taking", 0));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(ask(&gate, &audit, "GET").await, told("taking", 1));
        assert!(ready().await.is_empty());
        work.add_permits(1);
        // Also one that takes nothing ends when it is told to.
        ask(&gate, &audit, "POST").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
        driving.await.unwrap();
        let events = ports.blobs.list("_audit/outbox/", None, 9).await.unwrap();
        assert_eq!(events.len(), 4, "each change is written down");
    }

    #[tokio::test]
    async fn what_cannot_be_written_down_is_not_done() {
        let gate = Gate::default();
        let deaf = Ports {
            entropy: Arc::new(NoChance),
            ..ports()
        };
        let (status, _) = ask(&gate, &Audit::new(&deaf, 10), "POST").await;
        assert_eq!((status, gate.is_open()), (503, true));
        let (status, _) = ask(&gate, &Audit::new(&ports(), 10), "PUT").await;
        assert_eq!(status, 405);
    }
}
