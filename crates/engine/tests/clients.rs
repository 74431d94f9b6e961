//! Clients in the store: who sees a change and when, and what races, faults and damage do.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use sluice_auth::{ClientId, Registration};
use sluice_engine::{ClientError, Clients, DeclaredClients, Metrics, Ports};
use sluice_local::{DirectoryBlobs, MemoryBlobs, MemoryIndex, MemoryQueue};
use sluice_model::TenantId;
use sluice_ports::Blobs;
use sluice_testkit::{Faults, Faulty, ManualClock, SeededEntropy, When};

/// A look is this old at most.
const FRESH: Duration = Duration::from_secs(10);
/// And asked after no sooner.
const QUIET: Duration = Duration::from_millis(4_999);
const ALMOST: Duration = Duration::from_millis(9_999);
const REST: Duration = Duration::from_millis(1);

/// A store, and what several processes see of it.
struct Store {
    blobs: Arc<dyn Blobs>,
    clock: Arc<ManualClock>,
    processes: AtomicU64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            blobs: Arc::new(MemoryBlobs::default()),
            clock: Arc::default(),
            processes: AtomicU64::new(0),
        }
    }
}

impl Store {
    fn seen(&self, faults: &Faults) -> Clients {
        let ports = Ports {
            blobs: Arc::new(Faulty::new(self.blobs.clone(), faults)),
            index: Arc::new(MemoryIndex::new(self.clock.clone())),
            queue: Arc::new(MemoryQueue::default()),
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(
                self.processes.fetch_add(1, Ordering::SeqCst),
            )),
            metrics: Metrics::default(),
        };
        let declared = json!({
            "default": {
                "fixed": { "name": "fixed", "scopes": ["system/*.rs"] },
                "off": { "name": "off", "scopes": ["system/*.rs"], "enabled": false },
            },
            "other": {},
        });
        let declared: DeclaredClients = serde_json::from_value(declared).unwrap();
        Clients::of(&ports, declared)
    }

    /// One process more.
    fn process(&self) -> Clients {
        self.seen(&Faults::default())
    }

    async fn put(&self, key: &str, body: &Value) {
        let body = body.to_string().into();
        self.blobs.create(key, body).await.unwrap();
    }
}

fn here() -> TenantId {
    "default".parse().unwrap()
}

fn id(text: &str) -> ClientId {
    text.parse().unwrap()
}

fn named(name: &str) -> Registration {
    serde_json::from_value(json!({ "name": name, "scopes": ["system/*.rs"] })).unwrap()
}

/// The name of a client that may do something.
async fn found(clients: &Clients, client: &str) -> Option<String> {
    let found = clients.find(&here(), &id(client)).await.unwrap();
    found.map(|client| client.name.clone())
}

/// Whoever changes something says what they saw, and undoes nothing unawares.
#[tokio::test]
async fn a_change_of_what_is_not_so_any_more_is_refused() {
    let clients = Store::default().process();
    let (here, etl) = (here(), id("etl"));
    clients.add(&here, &etl, named("first")).await.unwrap();
    let seen = clients.show(&here, &etl).await.unwrap().version;
    clients.set_enabled(&here, &etl, false).await.unwrap();
    let late = clients
        .replace(&here, &etl, (named("second"), Some(seen)))
        .await;
    assert!(matches!(late, Err(ClientError::Conflict)));
    let seen = clients.show(&here, &etl).await.unwrap().version;
    clients
        .replace(&here, &etl, (named("second"), Some(seen)))
        .await
        .unwrap();
    let view = clients.show(&here, &etl).await.unwrap();
    assert_eq!(view.registration.name, "second");
    assert!(!view.registration.enabled, "it stays disabled");
}

#[tokio::test]
async fn a_change_is_everywhere_within_ten_seconds_and_looked_for_no_more_often() {
    let store = Store::default();
    let (here, etl) = (here(), id("etl"));
    let faults = Faults::default();
    let (one, other) = (store.process(), store.seen(&faults));
    assert_eq!(found(&other, "etl").await, None);
    let looks = faults.calls();
    one.add(&here, &etl, named("first")).await.unwrap();
    assert_eq!(
        found(&one, "etl").await.unwrap(),
        "first",
        "at once where it was made"
    );
    store.clock.pass(QUIET);
    assert_eq!(found(&other, "etl").await, None);
    assert_eq!(faults.calls(), looks, "the store is not asked again");
    store.clock.pass(FRESH);
    assert_eq!(found(&other, "etl").await.unwrap(), "first");

    one.replace(&here, &etl, (named("second"), None))
        .await
        .unwrap();
    assert_eq!(found(&other, "etl").await.unwrap(), "first");
    store.clock.pass(FRESH);
    assert_eq!(found(&other, "etl").await.unwrap(), "second");
    one.set_enabled(&here, &etl, false).await.unwrap();
    assert_eq!(found(&one, "etl").await, None);
    store.clock.pass(FRESH);
    assert_eq!(found(&other, "etl").await, None, "disabled");
    assert!(!other.show(&here, &etl).await.unwrap().registration.enabled);
    // Either may change it back.
    other.set_enabled(&here, &etl, true).await.unwrap();
    store.clock.pass(FRESH);
    assert_eq!(found(&one, "etl").await.unwrap(), "second");
    one.remove(&here, &etl).await.unwrap();
    // Whoever lists looks at once.
    let listed = other.list(&here).await.unwrap();
    let ids: Vec<&str> = listed.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["fixed", "off"]);
    assert_eq!(found(&other, "etl").await, None);
}

#[tokio::test]
async fn halfway_the_store_is_asked_and_nobody_waits_for_it() {
    let store = Store::default();
    let faults = Faults::default();
    let (one, other) = (store.process(), store.seen(&faults));
    assert_eq!(found(&other, "etl").await, None);
    one.add(&here(), &id("etl"), named("first")).await.unwrap();
    store.clock.pass(QUIET + REST);
    let looks = faults.calls();
    assert_eq!(found(&other, "etl").await, None, "what was known is told");
    assert_eq!(faults.calls(), looks, "by who does not ask the store");
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(faults.calls() > looks, "which another does");
    let looks = faults.calls();
    assert_eq!(found(&other, "etl").await.unwrap(), "first");
    assert_eq!(faults.calls(), looks);
}

#[tokio::test]
async fn an_id_is_never_used_twice() {
    let store = Store::default();
    let (here, etl, clients) = (here(), id("etl"), store.process());
    clients.add(&here, &etl, named("first")).await.unwrap();
    let again = clients.add(&here, &etl, named("second")).await;
    assert!(matches!(again, Err(ClientError::Taken)));
    clients.remove(&here, &etl).await.unwrap();
    for clients in [clients, store.process()] {
        let again = clients.add(&here, &etl, named("second")).await;
        assert!(matches!(again, Err(ClientError::Taken)));
        for gone in [
            clients.remove(&here, &etl).await,
            clients.replace(&here, &etl, (named("second"), None)).await,
            clients.set_enabled(&here, &etl, true).await,
            clients.show(&here, &etl).await.map(drop),
        ] {
            assert!(matches!(gone, Err(ClientError::Unknown)));
        }
        assert_eq!(found(&clients, "etl").await, None);
    }
}

#[tokio::test]
async fn tenants_do_not_see_each_others_clients() {
    let store = Store::default();
    let clients = store.process();
    let (other, nobody): (TenantId, TenantId) = ("other".parse().unwrap(), "x".parse().unwrap());
    clients
        .add(&other, &id("etl"), named("other's"))
        .await
        .unwrap();
    assert_eq!(found(&clients, "etl").await, None);
    clients
        .add(&here(), &id("etl"), named("ours"))
        .await
        .unwrap();
    assert_eq!(found(&clients, "etl").await.unwrap(), "ours");
    let theirs = clients.show(&other, &id("etl")).await.unwrap();
    assert_eq!(theirs.registration.name, "other's");
    assert!(clients.find(&nobody, &id("etl")).await.unwrap().is_none());
    let added = clients.add(&nobody, &id("etl"), named("x")).await;
    assert!(matches!(added, Err(ClientError::UnknownTenant)));
    let listed = clients.list(&nobody).await;
    assert!(matches!(listed, Err(ClientError::UnknownTenant)));
}

/// Files are read and written on other threads, so all look before any writes.
#[tokio::test]
async fn of_those_who_race_one_wins_and_the_others_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store {
        blobs: Arc::new(DirectoryBlobs::open(folder.path()).unwrap()),
        ..Store::default()
    };
    let (here, etl) = (&here(), &id("etl"));
    let names: Vec<String> = (0..8).map(|number| format!("racer {number}")).collect();
    let racers: Vec<Clients> = names.iter().map(|_| store.process()).collect();
    let adds = racers.iter().zip(&names);
    let added = join_all(adds.map(|(clients, name)| clients.add(here, etl, named(name)))).await;
    let winners: Vec<usize> = (0..8).filter(|at| added[*at].is_ok()).collect();
    assert_eq!(winners.len(), 1);
    let winner = winners[0];
    for lost in added.iter().filter_map(|added| added.as_ref().err()) {
        assert!(matches!(lost, ClientError::Taken), "{lost}");
    }
    for clients in &racers {
        assert_eq!(found(clients, "etl").await.unwrap(), names[winner]);
    }

    let changes = racers
        .iter()
        .map(|clients| clients.set_enabled(here, etl, false));
    let ended = join_all(changes).await;
    assert!(ended.iter().any(Result::is_ok));
    for lost in ended.iter().filter_map(|changed| changed.as_ref().err()) {
        assert!(matches!(lost, ClientError::Conflict), "{lost}");
    }
    store.clock.pass(FRESH);
    for clients in &racers {
        assert_eq!(found(clients, "etl").await, None);
    }
}

#[tokio::test]
async fn declared_clients_can_be_disabled_and_nothing_else() {
    let store = Store::default();
    let (here, fixed, clients) = (here(), id("fixed"), store.process());
    assert_eq!(found(&clients, "fixed").await.unwrap(), "fixed");
    for refused in [
        clients.replace(&here, &fixed, (named("x"), None)).await,
        clients.remove(&here, &fixed).await,
    ] {
        assert!(matches!(refused, Err(ClientError::Declared)));
    }
    let added = clients.add(&here, &fixed, named("x")).await;
    assert!(matches!(added, Err(ClientError::Taken)));
    for enabled in [false, true, false] {
        clients.set_enabled(&here, &fixed, enabled).await.unwrap();
        for clients in [&clients, &store.process()] {
            assert_eq!(found(clients, "fixed").await.is_some(), enabled);
            let view = clients.show(&here, &fixed).await.unwrap();
            assert_eq!((view.declared, view.registration.enabled), (true, enabled));
            assert!(view.changed.is_some());
        }
    }
    // The settings have the last word.
    clients.set_enabled(&here, &id("off"), true).await.unwrap();
    assert_eq!(found(&clients, "off").await, None);
    let view = clients.show(&here, &id("off")).await.unwrap();
    assert!(!view.registration.enabled);
}

#[tokio::test(start_paused = true)]
async fn when_the_store_cannot_be_asked_nobody_is_found_from_old_knowledge() {
    let store = Store::default();
    let added = store.process();
    added.add(&here(), &id("etl"), named("n")).await.unwrap();
    let counted = Faults::default();
    found(&store.seen(&counted), "etl").await.unwrap();
    for when in [When::Before, When::After] {
        let faults = Faults::nth(counted.calls(), when);
        let clients = store.seen(&faults);
        assert_eq!(found(&clients, "etl").await.unwrap(), "n");
        store.clock.pass(ALMOST);
        assert_eq!(found(&clients, "etl").await.unwrap(), "n");
        store.clock.pass(REST);
        for client in ["etl", "fixed", "nobody"] {
            // The first of them asks in vain, and the others do not ask again at once.
            let asked = clients.find(&here(), &id(client)).await;
            assert!(asked.is_err(), "{client}");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(found(&clients, "etl").await.unwrap(), "n");
    }
    // And if it was never asked at all.
    let clients = store.seen(&Faults::nth(0, When::Before));
    assert!(clients.find(&here(), &id("etl")).await.is_err());
    let clients = store.seen(&Faults::nth(0, When::Before));
    assert!(matches!(
        clients.list(&here()).await,
        Err(ClientError::Port(_))
    ));
}

/// Tries until it is done. What was done although it was said to have failed shows when it is tried
/// again.
async fn surely<W>(change: impl Fn() -> W)
where
    W: Future<Output = Result<(), ClientError>>,
{
    if let Err(error) = change().await {
        assert!(matches!(error, ClientError::Port(_)), "{error}");
        change().await.unwrap();
    }
}

#[tokio::test]
async fn no_fault_loses_or_doubles_a_change() {
    let (here, etl, fixed) = (&here(), &id("etl"), &id("fixed"));
    for when in [When::Before, When::After] {
        let mut call = 0;
        loop {
            let store = Store::default();
            let faults = Faults::nth(call, when);
            let clients = &store.seen(&faults);
            surely(|| clients.add(here, etl, named("first"))).await;
            surely(|| clients.replace(here, etl, (named("second"), None))).await;
            surely(|| clients.set_enabled(here, etl, false)).await;
            surely(|| clients.set_enabled(here, fixed, false)).await;
            let view = store.process().show(here, etl).await.unwrap();
            let said = (view.registration.name.as_str(), view.registration.enabled);
            assert_eq!(said, ("second", false), "call {call} {when:?}");
            let stored = store.blobs.list("_clients/", None, 100).await.unwrap();
            assert_eq!(
                stored.len(),
                4,
                "call {call} {when:?}: one version a change"
            );
            if faults.calls() <= call {
                break;
            }
            call += 1;
        }
        assert!(call >= 10, "there was something to go wrong: {call}");
    }
}

#[tokio::test]
async fn a_client_that_cannot_be_read_can_do_nothing_and_holds_up_nobody() {
    let store = Store::default();
    let clients = store.process();
    clients.add(&here(), &id("a"), named("a")).await.unwrap();
    clients.add(&here(), &id("b"), named("b")).await.unwrap();
    // Of a newer Sluice, as during an upgrade; and damaged.
    let newer = json!({
        "v": 1, "at": "2026-03-01T00:00:00Z",
        "change": { "registered": { "scopes": ["system/*.rs"], "new": true } },
    });
    store.put("_clients/default/a/00000002.json", &newer).await;
    store
        .put("_clients/default/fixed/00000001.json", &json!([]))
        .await;
    // And what is none of ours.
    store.put("_clients/default/a/note.txt", &json!(1)).await;
    for clients in [store.process(), clients] {
        store.clock.pass(FRESH);
        assert_eq!(found(&clients, "a").await, None);
        assert_eq!(found(&clients, "fixed").await, None);
        assert_eq!(found(&clients, "b").await.unwrap(), "b");
        let changed = clients.replace(&here(), &id("a"), (named("x"), None)).await;
        assert!(
            matches!(changed, Err(ClientError::Port(_))),
            "nothing is written over it"
        );
    }
}
