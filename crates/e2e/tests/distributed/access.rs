//! Who gets in where several gateways answer: one assertion is one token, whoever is registered at
//! one gateway is known to all, and while that cannot be told nobody gets anything.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_client::{Credentials, ExportOptions, Level, PrivateKey, export};
use sluice_stack::{Private, Redis, RedisOptions};
use sluice_testkit::stack;
use tokio_util::sync::CancellationToken;

use crate::clients::{
    ADMIN_SECRET, Answer, Registered, ask, ask_token, ask_with, authorize, bearer, form,
};
use crate::data::{assert_same, expected, lines, sample};
use crate::flow::{kick_off_with, manifest_as};
use crate::servers::{aside, told};
use crate::site::{Service, Site, curl, free_port, status};
use crate::telemetry::{scrape, sum};

const EVERYTHING: &[&str] = &["system/*.rs"];
/// Times that an assertion is sent to each gateway.
const TIMES: usize = 100;
/// Only so that a failing test ends: longer than what is known of clients is believed.
const PATIENCE: Duration = Duration::from_mins(1);

/// Two gateways that are one server to their clients.
struct Pair {
    home: tempfile::TempDir,
    folder: PathBuf,
    site: Site,
    etl: Registered,
    other: Registered,
    sdk: PrivateKey,
    /// Where each can be reached by itself.
    origins: [String; 2],
}

impl Pair {
    fn prepared(name: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("data");
        sample(40, 9, &folder);
        let mut site = Site::new(name, &[("one", &folder)]);
        let (etl, other) = (Registered::new("etl"), Registered::new("other"));
        let sdk = PrivateKey::generate().unwrap();
        let clients = [
            ("etl", etl.registration(EVERYTHING)),
            ("other", other.registration(EVERYTHING)),
            (
                "sdk",
                json!({ "scopes": EVERYTHING, "jwks": sdk.public_jwks().unwrap() }),
            ),
        ];
        authorize(&mut site, "one", &clients);
        let first = site.base("one");
        let first = first.strip_suffix("/one/fhir").unwrap().to_owned();
        site.set("SLUICE_SERVER__PUBLIC_URL", &first);
        let origins = [first, format!("http://127.0.0.1:{}", free_port())];
        Self {
            home,
            folder,
            site,
            etl,
            other,
            sdk,
            origins,
        }
    }

    fn start(&self, coordinators: usize, workers: usize) {
        self.site.start_all(1, coordinators, workers);
        let address = self.origins[1].strip_prefix("http://").unwrap();
        let listen = [("SLUICE_SERVER__LISTEN", address)];
        self.site.start_with((Service::Gateway, 1), &listen);
        self.site.wait_for(&format!("{}/metadata", self.bases()[1]));
    }

    fn started(name: &str) -> Self {
        let pair = Self::prepared(name);
        pair.start(1, 2);
        pair
    }

    fn bases(&self) -> [String; 2] {
        self.origins.each_ref().map(|one| format!("{one}/one/fhir"))
    }

    /// The token endpoints by the way that leads to each gateway.
    fn endpoints(&self) -> [String; 2] {
        self.origins
            .each_ref()
            .map(|one| format!("{one}/one/oauth2/token"))
    }

    /// What assertions are for: the public URL, whichever gateway they are sent to.
    fn audience(&self) -> String {
        self.endpoints()[0].clone()
    }

    fn ask_token(&self, gateway: usize, client: &Registered) -> Answer {
        ask_token(
            &self.endpoints()[gateway],
            &client.assertion(&self.audience()),
        )
    }

    fn token(&self, gateway: usize, client: &Registered) -> String {
        token(&self.ask_token(gateway, client)).unwrap()
    }

    /// Exports everything as a client that is told nothing but its name, its key and the base.
    async fn exports(&self) {
        let out = self.home.path().join("out");
        let base = self.bases()[0].parse().unwrap();
        let options = ExportOptions {
            credentials: Some(Credentials {
                client_id: "sdk".to_owned(),
                key: self.sdk.clone(),
                scopes: Vec::new(),
            }),
            ..ExportOptions::new(base, Level::System, &out)
        };
        export(&options, &(), CancellationToken::new())
            .await
            .unwrap();
        let expected = expected(&self.folder, &Level::System).await;
        assert_same(&lines(&out), &expected, &self.site.name);
    }
}

/// The token of an answer that has one.
fn token(answer: &Answer) -> Option<String> {
    answer.json()["access_token"].as_str().map(str::to_owned)
}

/// Waits until something holds, with pauses, as each look is a request.
async fn soon(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "what is waited for does not come");
}

/// One token was issued, and every other request was a replay.
fn check_counters(pair: &Pair) {
    let told = [0, 1].map(|gateway| scrape(&pair.site, (Service::Gateway, gateway)));
    let replays = f64::from(u32::try_from(2 * TIMES - 1).unwrap());
    for (metric, labels, expected) in [
        ("auth_jti_replay_total", &[][..], replays),
        ("auth_token_requests_total", &["issued"], 1.0),
        (
            "auth_token_requests_total",
            &["refused", "replayed"],
            replays,
        ),
        ("auth_token_requests_total", &["refused"], replays),
    ] {
        let found = sum(&told, metric, labels);
        assert!(
            (found - expected).abs() < 0.5,
            "{metric} {labels:?}: {found}"
        );
    }
}

/// G3: sent 200 times at once, to both gateways, an assertion is good for one token.
#[tokio::test(flavor = "multi_thread")]
async fn g3_an_assertion_is_one_token_wherever_it_is_sent() {
    let pair = Pair::started("g3");
    let assertion = pair.etl.assertion(&pair.audience());
    let bodies = pair.home.path().join("bodies");
    fs::create_dir(&bodies).unwrap();
    // What is behind a # is not sent; it has curl send the same many times.
    let urls = pair.endpoints().map(|url| format!("{url}#[1-{TIMES}]"));
    let files = ["first", "second"].map(|name| format!("{}/{name}-#1", bodies.display()));
    let told = curl(&[
        "-s",
        "--parallel",
        "--parallel-immediate",
        "--parallel-max",
        "200",
        "-w",
        "%{http_code}\n",
        "-d",
        &form(&assertion),
        &urls[0],
        "-o",
        &files[0],
        &urls[1],
        "-o",
        &files[1],
    ]);
    let count = |status: &str| told.lines().filter(|line| *line == status).count();
    assert_eq!((count("200"), count("400")), (1, 2 * TIMES - 1), "{told}");
    let read = fs::read_dir(&bodies).unwrap().flatten();
    let answers: Vec<Value> = read
        .map(|entry| serde_json::from_slice(&fs::read(entry.path()).unwrap()).unwrap())
        .collect();
    let tokens: Vec<&str> = answers
        .iter()
        .filter_map(|answer| answer["access_token"].as_str())
        .collect();
    let refused = answers
        .iter()
        .filter(|answer| answer["error"] == "invalid_client");
    assert_eq!((tokens.len(), refused.count()), (1, 2 * TIMES - 1));
    check_counters(&pair);
    for base in pair.bases() {
        let groups = format!("{base}/Group");
        assert_eq!(ask_with(tokens[0], &[&groups]).status, 200);
        assert_eq!(status(&groups), "401");
    }
    for (gateway, other) in [(0, 1), (1, 0)] {
        let token = pair.token(gateway, &pair.etl);
        let groups = format!("{}/Group", pair.bases()[other]);
        assert_eq!(ask_with(&token, &[&groups]).status, 200);
    }
    pair.exports().await;
}

/// Files that take the token: nobody gets one without it, and nobody another's.
#[tokio::test(flavor = "multi_thread")]
async fn files_by_redirect_want_the_token_of_their_own_client() {
    let mut pair = Pair::prepared("redirect");
    pair.site.set("SLUICE_TENANTS__ONE__FILES", "redirect");
    pair.start(1, 2);
    let [base, second] = pair.bases();
    let own = pair.token(0, &pair.etl);
    let job = kick_off_with(
        &bearer(&own),
        &format!("{base}/Patient/$export?_type=Patient"),
    );
    let manifest = manifest_as(&bearer(&own), &job).await;
    assert_eq!(manifest["requiresAccessToken"], true);
    let file = manifest["output"][0]["url"].as_str().unwrap();
    let foreign = pair.token(1, &pair.other);
    let store = stack("SLUICE_S3__ENDPOINT");
    for url in [file.to_owned(), file.replace(&base, &second)] {
        assert_eq!(ask(&[&url]).status, 401);
        assert_eq!(ask_with("forged", &[&url]).status, 401);
        assert_eq!(ask_with(&foreign, &[&url]).status, 404);
        let redirected = ask_with(&own, &[&url]);
        let link = redirected.header("location").unwrap();
        assert_eq!(redirected.status, 307);
        assert_eq!(redirected.header("cache-control"), Some("no-store"));
        assert!(link.starts_with(&store) && link.contains("X-Amz-Expires=60"));
        assert_eq!(status(link), "200");
    }
    assert!(!manifest.to_string().contains("X-Amz-Signature"));
    assert_eq!(ask_with(&foreign, &[&job]).status, 404);
    pair.exports().await;
}

/// An administrator talks to one gateway, and all of them know.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_registered_at_one_gateway_is_known_to_all() {
    let pair = Pair::prepared("registered");
    pair.start(0, 0);
    let late = Registered::new("late");
    assert_eq!(pair.ask_token(1, &late).status, 400);
    let admin = |words: &[&str], path: &str| {
        let url = pair.site.admin((Service::Gateway, 0), path);
        let mut all = words.to_vec();
        all.push(&url);
        ask_with(ADMIN_SECRET, &all)
    };
    let mut registration = late.registration(EVERYTHING);
    registration["id"] = json!("late");
    let registered = admin(&["-d", &registration.to_string()], "/clients/one");
    assert_eq!(registered.status, 201, "{registered:?}");
    let mut tokens = Vec::new();
    for gateway in [0, 1] {
        soon(|| {
            let token = token(&pair.ask_token(gateway, &late));
            tokens.extend(token.clone());
            token.is_some()
        })
        .await;
    }
    let is_let_in = |base: &String, token: &String| {
        let answer = ask_with(token, &[&format!("{base}/Group")]);
        assert!([200, 401].contains(&answer.status), "{answer:?}");
        answer.status == 200
    };
    for base in pair.bases() {
        soon(|| tokens.iter().all(|token| is_let_in(&base, token))).await;
    }
    let disabled = admin(&["-X", "POST"], "/clients/one/late/disable");
    assert_eq!(disabled.status, 200, "{disabled:?}");
    for (gateway, base) in pair.bases().iter().enumerate() {
        soon(|| pair.ask_token(gateway, &late).status == 400).await;
        soon(|| !tokens.iter().any(|token| is_let_in(base, token))).await;
    }
    // And of the others nobody has lost anything.
    assert_eq!(pair.ask_token(1, &pair.etl).status, 200);
}

/// Where it cannot be told whether an assertion was used, it is not taken.
#[tokio::test(flavor = "multi_thread")]
async fn without_redis_nobody_gets_a_token() {
    let redis = aside(|| Private::<Redis>::start(&RedisOptions::default())).await;
    let mut pair = Pair::prepared("closed");
    pair.site.set("SLUICE_PORTS__INDEX", &redis.url());
    pair.start(0, 0);
    let used = pair.etl.assertion(&pair.audience());
    assert_eq!(ask_token(&pair.endpoints()[0], &used).status, 200);
    let redis = told(redis, Private::stop).await;
    let unused = pair.etl.assertion(&pair.audience());
    for url in pair.endpoints() {
        for assertion in [&unused, &used, &unused] {
            let answer = ask_token(&url, assertion);
            assert_eq!(answer.status, 503, "{answer:?}");
            assert_eq!(answer.json()["error"], "temporarily_unavailable");
            assert!(answer.header("retry-after").is_some());
            assert_eq!(token(&answer), None);
        }
    }
    let _runs_on = told(redis, Private::start_again).await;
    for gateway in [0, 1] {
        soon(|| pair.ask_token(gateway, &pair.etl).status == 200).await;
    }
    for url in pair.endpoints() {
        assert_eq!(ask_token(&url, &used).status, 400, "used is used");
    }
}
