//! A FHIR server of a test. It holds real lines and searches them honestly, in small pages; a test may
//! change each of its answers before it goes out.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sluice_fhir::compartment::patient_paths;
use sluice_fhir::{Instant, ResourceType};
use sluice_source_fhir::{FhirOptions, FhirSource};
use sluice_testkit::{ManualClock, SeededEntropy};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Below the base, without a slash first.
    pub(crate) path: String,
    /// The query, or the form of a search.
    pub(crate) params: Vec<(String, String)>,
    pub(crate) authorization: Option<String>,
    /// How many came before it.
    pub(crate) number: usize,
    /// The base that was asked.
    pub(crate) base: String,
}

impl Asked {
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        let mut found = self.params.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// Whether it is a search of this type, and not only for its count.
    pub(crate) fn searches(&self, kind: &str) -> bool {
        let path = self.path.strip_suffix("/_search").unwrap_or(&self.path);
        path == kind && self.param("_summary").is_none()
    }
}

/// An answer before it goes out.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// Sent in pieces of so many bytes, with this much time between them.
    pub(crate) drip: Option<(usize, Duration)>,
    /// Ends after so many bytes, whatever it said of its length.
    pub(crate) cut: Option<usize>,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            drip: None,
            cut: None,
        }
    }

    pub(crate) fn json(value: &Value) -> Self {
        Self {
            body: value.to_string().into(),
            ..Self::status(200)
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Changes the JSON of the body.
    pub(crate) fn edit(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let mut json: Value = serde_json::from_slice(&self.body).unwrap();
        change(&mut json);
        self.body = json.to_string().into();
        self
    }
}

type Meddle = dyn Fn(&Asked, Reply) -> Reply + Send + Sync;

struct Held {
    kind: ResourceType,
    id: String,
    line: String,
    json: Value,
}

/// The server.
pub(crate) struct Stub {
    pub(crate) base: String,
    shared: Arc<Shared>,
}

struct Shared {
    held: Vec<Held>,
    setup: Setup,
    log: Mutex<Vec<Asked>>,
}

/// How it is set up.
pub(crate) struct Setup {
    /// The most resources of a page.
    pub(crate) page: usize,
    /// Search parameters that it does not know: `Type.name`.
    pub(crate) without: Vec<&'static str>,
    /// Whether pages say how many match.
    pub(crate) totals: bool,
    /// Whether it sorts when asked to.
    pub(crate) sorts: bool,
    /// Whether it writes JSON over several lines.
    pub(crate) pretty: bool,
    pub(crate) meddle: Box<Meddle>,
    pub(crate) tls: Option<TlsAcceptor>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            page: 3,
            without: Vec::new(),
            totals: true,
            sorts: true,
            pretty: false,
            meddle: Box::new(|_, reply| reply),
            tls: None,
        }
    }
}

impl Setup {
    pub(crate) fn meddling(
        meddle: impl Fn(&Asked, Reply) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self {
            meddle: Box::new(meddle),
            ..Self::default()
        }
    }
}

impl Stub {
    pub(crate) async fn start(lines: &[String], setup: Setup) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let site = if setup.tls.is_some() {
            "https://localhost"
        } else {
            "http://127.0.0.1"
        };
        let held = lines.iter().map(|line| {
            let json: Value = serde_json::from_str(line).unwrap();
            Held {
                kind: json["resourceType"].as_str().unwrap().parse().unwrap(),
                id: json["id"].as_str().unwrap().to_owned(),
                line: line.clone(),
                json,
            }
        });
        let tls = setup.tls.clone();
        let shared = Arc::new(Shared {
            held: held.collect(),
            setup,
            log: Mutex::default(),
        });
        let stub = Self {
            base: format!("{site}:{port}/fhir"),
            shared: Arc::clone(&shared),
        };
        let base = stub.base.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // Head and body go out apart; waiting for one to be acknowledged takes 40 ms.
                stream.set_nodelay(true).unwrap();
                let (shared, base, tls) = (Arc::clone(&shared), base.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(shared, base, stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(shared, base, stream).await;
                            }
                        }
                    }
                });
            }
        });
        stub
    }

    /// The requests so far.
    pub(crate) fn log(&self) -> Vec<Asked> {
        self.shared.log.lock().unwrap().clone()
    }

    pub(crate) fn options(&self) -> FhirOptions {
        FhirOptions {
            page: 3,
            ids_per_search: 4,
            lag: Duration::ZERO,
            ..FhirOptions::new(&self.base)
        }
    }

    pub(crate) async fn source(&self) -> FhirSource {
        connect(self.options()).await
    }
}

pub(crate) async fn connect(options: FhirOptions) -> FhirSource {
    let entropy = Arc::new(SeededEntropy::new(7));
    let clock = Arc::new(ManualClock::default());
    FhirSource::connect(options, clock, entropy).await.unwrap()
}

async fn serve(
    shared: Arc<Shared>,
    base: String,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let (shared, base) = (Arc::clone(&shared), base.clone());
        async move { answer(&shared, &base, request).await }
    });
    let _gone = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

type Pieces = StreamBody<futures::stream::BoxStream<'static, Result<Frame<Bytes>, std::io::Error>>>;

async fn answer(
    shared: &Shared,
    base: &str,
    request: Request<Incoming>,
) -> Result<Response<Pieces>, Infallible> {
    let header = request.headers().get("authorization");
    let authorization = header.map(|value| value.to_str().unwrap().to_owned());
    let method = request.method().to_string();
    let path = request
        .uri()
        .path()
        .trim_start_matches("/fhir")
        .trim_matches('/')
        .to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let form = if method == "POST" {
        String::from_utf8(body.to_vec()).unwrap()
    } else {
        query
    };
    let params = url::form_urlencoded::parse(form.as_bytes())
        .into_owned()
        .collect();
    let asked = {
        let mut log = shared.log.lock().unwrap();
        let asked = Asked {
            method,
            path,
            params,
            authorization,
            number: log.len(),
            base: base.to_owned(),
        };
        log.push(asked.clone());
        asked
    };
    let reply = (shared.setup.meddle)(&asked, shared.honest(base, &asked));
    Ok(sent(reply))
}

/// Pieces of a body; cut off by an error, so that the connection breaks.
fn sent(reply: Reply) -> Response<Pieces> {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    if reply.drip.is_none() {
        response = response.header("content-length", reply.body.len());
    }
    let whole = match reply.cut {
        Some(bytes) => reply.body.slice(..bytes),
        None => reply.body,
    };
    let (size, wait) = reply.drip.unwrap_or((1 << 16, Duration::ZERO));
    let pieces: Vec<Bytes> = whole.chunks(size).map(Bytes::copy_from_slice).collect();
    let pieces = futures::stream::iter(pieces).then(move |piece| async move {
        tokio::time::sleep(wait).await;
        Ok(Frame::data(piece))
    });
    let end = reply.cut.map(|_| Err(std::io::Error::other("cut")));
    let body = StreamBody::new(pieces.chain(futures::stream::iter(end)).boxed());
    response.body(body).unwrap()
}

impl Shared {
    fn honest(&self, base: &str, asked: &Asked) -> Reply {
        let path = asked.path.strip_suffix("/_search").unwrap_or(&asked.path);
        if path == "metadata" {
            return Reply::json(&self.capabilities());
        }
        match path.split_once('/') {
            Some((kind, id)) => self.read(kind, id),
            None => self.search(base, path, asked),
        }
    }

    fn knows(&self, kind: ResourceType, param: &str) -> bool {
        !self
            .setup
            .without
            .contains(&format!("{kind}.{param}").as_str())
    }

    fn capabilities(&self) -> Value {
        let kinds = ResourceType::all().filter(|kind| self.knows(*kind, ""));
        let resources = kinds.map(|kind| {
            let names = params_of(kind).into_keys();
            let known = names.filter(|name| self.knows(kind, name));
            let params: Vec<Value> = known
                .chain(["_id"])
                .map(|name| json!({ "name": name }))
                .collect();
            json!({
                "type": kind, "searchParam": params,
                "interaction": [{ "code": "read" }, { "code": "search-type" }],
            })
        });
        json!({
            "resourceType": "CapabilityStatement", "fhirVersion": "4.0.1",
            "rest": [{ "mode": "server", "resource": resources.collect::<Vec<Value>>() }],
        })
    }

    fn read(&self, kind: &str, id: &str) -> Reply {
        let mut held = self.held.iter();
        match held.find(|one| one.kind.name() == kind && one.id == id) {
            Some(one) => Reply {
                body: one.line.clone().into(),
                ..Reply::status(200)
            },
            None => Reply::status(404),
        }
    }

    fn search(&self, base: &str, kind: &str, asked: &Asked) -> Reply {
        let Ok(kind) = kind.parse::<ResourceType>() else {
            return Reply::status(404);
        };
        let mut found: Vec<&Held> = self.held.iter().filter(|one| one.kind == kind).collect();
        for (name, value) in &asked.params {
            found.retain(|one| one.matches(name, value));
        }
        if asked.param("_sort") == Some("_id") && self.setup.sorts {
            found.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        }
        let total = found.len();
        let number = |name: &str, default: usize| {
            asked
                .param(name)
                .map_or(default, |text| text.parse().unwrap())
        };
        let size = number("_count", 10).min(self.setup.page);
        let from = number("_offset", 0);
        let mut bundle = json!({ "resourceType": "Bundle", "type": "searchset" });
        if asked.param("_summary") == Some("count") {
            bundle["total"] = total.into();
            return Reply::json(&bundle);
        }
        if self.setup.totals {
            bundle["total"] = total.into();
        }
        let page = found.iter().skip(from).take(size);
        let entries =
            page.map(|one| json!({ "resource": one.json, "search": { "mode": "match" } }));
        bundle["entry"] = entries.collect::<Vec<Value>>().into();
        let mut links = vec![json!({ "relation": "self", "url": "x" })];
        if from + size < total {
            let others = asked.params.iter().filter(|(name, _)| name != "_offset");
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query
                .extend_pairs(others)
                .append_pair("_offset", &(from + size).to_string());
            let url = format!("{base}/{kind}?{}", query.finish());
            links.push(json!({ "relation": "next", "url": url }));
        }
        bundle["link"] = links.into();
        let body = if self.setup.pretty {
            serde_json::to_string_pretty(&bundle).unwrap()
        } else {
            bundle.to_string()
        };
        Reply {
            body: body.into(),
            ..Reply::status(200)
        }
    }
}

impl Held {
    fn matches(&self, name: &str, value: &str) -> bool {
        match name {
            "_id" => value.split(',').any(|id| id == self.id),
            "_lastUpdated" => {
                let since: Instant = value.strip_prefix("gt").unwrap().parse().unwrap();
                let updated = self.json["meta"]["lastUpdated"].as_str();
                updated.is_some_and(|text| text.parse::<Instant>().unwrap() > since)
            }
            name if name.starts_with('_') => true,
            name => {
                let paths = params_of(self.kind);
                let path = paths.get(name).copied().unwrap_or_default();
                let mut found = Vec::new();
                references(&self.json, path, &mut found);
                let wanted: Vec<&str> = value.split(',').collect();
                found.iter().any(|reference| {
                    let urn = reference.strip_prefix("urn:uuid:");
                    let name = urn.map_or_else(|| reference.clone(), |id| format!("Patient/{id}"));
                    wanted.contains(&name.as_str())
                })
            }
        }
    }
}

fn references(json: &Value, path: &str, found: &mut Vec<String>) {
    match json {
        Value::Array(all) => all.iter().for_each(|one| references(one, path, found)),
        json if path.is_empty() => found.extend(json["reference"].as_str().map(str::to_owned)),
        json => {
            let (first, rest) = path.split_once('.').unwrap_or((path, ""));
            if let Some(json) = json.get(first) {
                references(json, rest, found);
            }
        }
    }
}

/// Search parameters of R4 that may name a patient, and where they look.
fn params_of(kind: ResourceType) -> BTreeMap<&'static str, &'static str> {
    let named = patient_paths(kind).iter().map(|path| {
        let name = match *path {
            "candidate" | "for" => "patient",
            "deliverTo" => "subject",
            "participant.actor" => "actor",
            "agent.who" => "agent",
            "entity.what" => "entity",
            "performer.actor" | "activity.detail.performer" => "performer",
            "participant.member" | "action.participant" => "participant",
            "payee.party" => "payee",
            "attester.party" => "attester",
            "policyHolder" => "policy-holder",
            "link.target" => "link",
            "member.entity" => "member",
            path => path,
        };
        (name, *path)
    });
    named.collect()
}
