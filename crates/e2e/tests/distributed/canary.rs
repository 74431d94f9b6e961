//! G11: what resources, tokens and requests say is in the exported files, and in nothing else that
//! the services leave behind: no log, trace, figure, index, queue, journal, audit or answer.

mod evidence;
mod planted;
mod requests;
mod visitor;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use sluice_client::{Credentials, ExportOptions, Level, PrivateKey, export};
use sluice_testkit::{show, stack};
use tokio_util::sync::CancellationToken;

use self::evidence::Evidence;
use self::planted::{Canaries, write_broken, write_good};
use self::visitor::Visitor;
use crate::clients::{ADMIN_SECRET, AUTH_SECRET, Registered, authorize};
use crate::collector::Collector;
use crate::data::sample;
use crate::moments::{Moment, eventually, reached};
use crate::site::{Service, Site};

const EVERYTHING: &[&str] = &["system/*.rs"];

/// A deployment whose data and requests are full of canaries.
struct Case {
    home: tempfile::TempDir,
    canaries: Canaries,
    planted: Vec<String>,
    site: Site,
    collector: Collector,
    etl: Registered,
    narrow: Registered,
    sdk: PrivateKey,
}

impl Case {
    async fn started() -> Self {
        let home = tempfile::tempdir().unwrap();
        let folders = ["one", "two"].map(|name| home.path().join(name));
        let [one, two] = &folders;
        let mut site = Site::new("canary", &[("one", one), ("two", two)]);
        let canaries = Canaries::of(&site);
        sample(120, 5, one);
        fs::create_dir(two).unwrap();
        let planted = write_good(&canaries, one);
        write_good(&canaries, two);
        write_broken(&canaries, one);
        let lenient = format!("ndjson:{}?lenient=true", one.display());
        site.set("SLUICE_TENANTS__ONE__SOURCE", &lenient);
        site.set("SLUICE_TENANTS__TWO__FILES", "stream");
        let (etl, narrow) = (Registered::new("etl"), Registered::new("narrow"));
        let sdk = PrivateKey::generate().unwrap();
        let mut bounded = narrow.registration(&["system/Observation.rs"]);
        bounded["groups"] = json!(["another"]);
        let keys = sdk.public_jwks().unwrap();
        let clients = [
            ("etl", etl.registration(EVERYTHING)),
            ("narrow", bounded),
            ("sdk", json!({ "scopes": EVERYTHING, "jwks": keys })),
        ];
        authorize(&mut site, "one", &clients);
        authorize(&mut site, "two", &clients);
        let collector = Collector::start().await;
        site.set("SLUICE_TELEMETRY__OTLP_ENDPOINT", &collector.endpoint);
        let key = format!("x-key={}", canaries.at("collectorkey"));
        site.set("SLUICE_TELEMETRY__OTLP_HEADERS", &key);
        // All that is said, by libraries too.
        site.set("SLUICE_LOG__FILTER", "trace");
        site.start_all(1, 2, 2);
        Self {
            home,
            canaries,
            planted,
            site,
            collector,
            etl,
            narrow,
            sdk,
        }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    async fn export(&self, tenant: &str, level: Level, out: &str) {
        let base = self.site.base(tenant).parse().unwrap();
        let options = ExportOptions {
            credentials: Some(Credentials {
                client_id: "sdk".to_owned(),
                key: self.sdk.clone(),
                scopes: Vec::new(),
            }),
            ..ExportOptions::new(base, level, self.folder(out))
        };
        let done = export(&options, &(), CancellationToken::new()).await;
        done.unwrap();
    }

    /// All levels, and a worker that dies over the first.
    async fn exports(&self, evidence: &Evidence<'_>) {
        let dying = async {
            reached(&self.site, Moment::Exporting).await;
            self.site.kill((Service::Worker, 0));
            evidence.keep_redis("while-exporting");
            evidence.keep_broker("while-exporting");
            self.site.start((Service::Worker, 2));
        };
        tokio::join!(self.export("one", Level::System, "out-system"), dying);
        let group = Level::Group(self.canaries.at("groupid"));
        tokio::join!(
            self.export("one", Level::Patient, "out-patient"),
            self.export("one", group, "out-group"),
            self.export("two", Level::System, "out-stream"),
        );
    }

    /// A chunk that the queue gives up, and one whose data change under it.
    async fn failures(&self, visitor: &Visitor<'_>) {
        for name in self.site.names() {
            if name.0 == Service::Worker {
                assert!(self.site.stop(name));
            }
        }
        let url = "{base}/$export?_type=Practitioner";
        let buried = visitor.kick_off(&["-H", "{all}", url]);
        let mut hint = None;
        eventually(|| {
            hint = self.site.take_message("chunks");
            hint.is_some()
        })
        .await;
        self.site.put_message("dead", &hint.unwrap());
        assert_eq!(visitor.poll(&buried).await.status, 500);
        let changed = visitor.kick_off(&["-H", "{all}", url]);
        eventually(|| self.site.holds_a_message("chunks")).await;
        let line = r#"{"resourceType":"Practitioner","id":"@newid@","name":[{"text":"@new@"}]}"#;
        append(
            &self.folder("one").join("planted.ndjson"),
            &self.canaries.fill(line),
        );
        self.site.start((Service::Worker, 3));
        self.site.start((Service::Worker, 4));
        assert_eq!(visitor.poll(&changed).await.status, 500);
    }

    /// Data that cannot be served, found at a start and while serving; and a message that nobody can
    /// read.
    async fn breaks(&self, visitor: &Visitor<'_>) {
        let strict = format!("ndjson:{}", self.folder("one").display());
        let (name, source) = ((Service::Worker, 9), "SLUICE_TENANTS__ONE__SOURCE");
        self.site.start_with(name, &[(source, &strict)]);
        eventually(|| self.site.log(name).contains("broken.ndjson, line")).await;
        self.site.kill(name);
        let line = r#"{"resourceType":"Patient","id":"y","name":@brokenlater@}"#;
        append(
            &self.folder("two").join("planted.ndjson"),
            &self.canaries.fill(line),
        );
        let gateway = (Service::Gateway, 0);
        let cannot = "the data folder cannot be loaded";
        eventually(|| {
            visitor.ask(&[
                "-H",
                "{two}",
                "{origin}/two/fhir/$export?_type=Practitioner",
            ]);
            self.site.log(gateway).contains(cannot)
        })
        .await;
        self.site.put_message(
            "jobs",
            &self.canaries.fill("{\"v\":1,\"hint\":\"@message@\"}"),
        );
        let thrown = "an unreadable message is thrown away";
        let coordinators = [0, 1].map(|number| (Service::Coordinator, number));
        eventually(|| {
            coordinators
                .iter()
                .any(|name| self.site.log(*name).contains(thrown))
        })
        .await;
    }

    /// Nothing is proven by a search that finds nothing anywhere.
    fn assert_that_searching_finds(&self, evidence: &Evidence<'_>) {
        for (out, at_least) in [
            ("out-system", self.planted.len()),
            ("out-stream", 0),
            ("out-group", 20),
        ] {
            let found = evidence.search_in(&self.canaries, &self.folder(out));
            let missing = self
                .planted
                .iter()
                .filter(|name| !found.contains_key(*name));
            let missing: Vec<&String> = missing.collect();
            assert!(found.len() >= at_least, "{out}: only {found:?}");
            assert!(
                out == "out-group" || missing.is_empty(),
                "{out}: {missing:?}"
            );
            let encoded = self.canaries.in_base64();
            assert!(encoded.iter().any(|text| found.contains_key(text)), "{out}");
        }
        let logs: String = self
            .site
            .names()
            .iter()
            .map(|name| self.site.log(*name))
            .collect();
        for word in ["DEBUG", "job accepted", "a chunk failed", "answered"] {
            assert!(logs.contains(word), "no log has {word:?}");
        }
    }
}

fn append(path: &Path, line: &str) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, format!("{text}{line}\n")).unwrap();
}

/// What is where it belongs: what the journal must know to go on, and what the audit is for.
fn is_meant(what: &str, place: &str) -> bool {
    let said_in_urls = ["lenientname", "lenientvalue", "groupid"];
    let ignored = ["lenientname", "bodyname"];
    if place.starts_with("objects/_audit/") {
        // Which group was exported, and who somebody said to be whose assertion proved nothing.
        return ["groupid", "claimediss", "goodid"].contains(&what);
    }
    if place.starts_with("objects/") && place.ends_with("/job.json") {
        // The patients asked for, what was passed over, and the URL.
        return what == "patientid" || ignored.contains(&what) || said_in_urls.contains(&what);
    }
    if place.starts_with("objects/") && place.ends_with("/manifest.json") {
        return said_in_urls.contains(&what);
    }
    if place.starts_with("objects/") && place.contains("/OperationOutcome.") {
        // An error file of the export, for the client who said it.
        return ignored.contains(&what);
    }
    CONTROLS
        .iter()
        .any(|(name, part)| what == *name && place.contains(part))
}

/// What must be found where it is looked for: a good `X-Request-Id` is told by intention, and a message
/// the test itself put into the broker.
const CONTROLS: &[(&str, &str)] = &[
    ("goodid", "processes/Gateway-0"),
    ("goodid", "spans"),
    ("goodid", "objects/_audit/"),
    ("message", "rabbitmq/disk"),
];

#[tokio::test(flavor = "multi_thread")]
async fn g11_what_is_exported_is_nowhere_but_in_the_files() {
    let case = Case::started().await;
    let mut evidence = Evidence::of(&case.site);
    Box::pin(case.exports(&evidence)).await;
    let visitor = Visitor::of(&case);
    visitor.is_refused();
    visitor.is_let_in().await;
    case.failures(&visitor).await;
    case.breaks(&visitor).await;
    for secret in [
        AUTH_SECRET,
        ADMIN_SECRET,
        &stack("SLUICE_S3__SECRET_ACCESS_KEY"),
    ] {
        evidence.hide(secret);
    }
    visitor
        .secrets()
        .iter()
        .for_each(|secret| evidence.hide(secret));
    evidence.keep_metrics("at-the-end");
    evidence.keep_redis("at-the-end");
    evidence.keep_broker("at-the-end");
    case.assert_that_searching_finds(&evidence);
    evidence.assert_that_secrets_are_found(&case.canaries);
    for name in case.site.names() {
        assert!(case.site.stop(name), "{name:?} did not end well");
    }
    assert!(
        case.collector
            .spans()
            .iter()
            .any(|span| span.name == "export chunk")
    );
    evidence.keep("spans", case.collector.bytes());
    evidence.keep_objects().await;
    let found = evidence.search(&case.canaries);
    let leaks: Vec<_> = found
        .iter()
        .flat_map(|(what, places)| places.iter().map(move |place| (what, place)))
        .filter(|(what, place)| !is_meant(what, place))
        .collect();
    for (what, part) in CONTROLS {
        let places = found.get(*what).into_iter().flatten();
        let mut there = places.filter(|place| place.contains(part));
        assert!(there.next().is_some(), "{what} is not found in {part}");
    }
    let told = visitor.told();
    show(&format!(
        "canary: {} answers, {} places as meant",
        visitor.answers(),
        found.len()
    ));
    assert!(leaks.is_empty(), "found: {leaks:#?}");
    assert!(told.is_empty(), "clients were told: {told:#?}");
}
