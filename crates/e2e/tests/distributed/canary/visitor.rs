//! A client that says canaries wherever it can, and looks for others' in what it hears.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::Case;
use super::requests::{
    ADMIN, ASSERTIONS, BODIES, FORMS, HEADERS, PARAMETERS, PLACES, POST, TOKENS,
};
use crate::clients::{ADMIN_SECRET, Answer, Registered, ask, ask_token, bearer, now};
use crate::site::Service;

const PROOF: &str =
    "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
const LENIENT: &str = "Prefer: respond-async, handling=lenient";

/// The client, what it knows, and what it heard that it had not said.
pub(super) struct Visitor<'c> {
    case: &'c Case,
    known: Mutex<BTreeMap<&'static str, String>>,
    secrets: Mutex<BTreeSet<String>>,
    told: Mutex<BTreeSet<String>>,
    answers: AtomicU32,
}

/// An export that was accepted, and what was said for it.
pub(super) struct Job {
    url: String,
    header: &'static str,
    said: String,
}

impl<'c> Visitor<'c> {
    pub(super) fn of(case: &'c Case) -> Self {
        let visitor = Self {
            case,
            known: Mutex::default(),
            secrets: Mutex::default(),
            told: Mutex::default(),
            answers: AtomicU32::new(0),
        };
        let base = case.site.base("one");
        let origin = base.strip_suffix("/one/fhir").unwrap();
        visitor.knows("origin", origin);
        visitor.knows("token", &format!("{origin}/one/oauth2/token"));
        visitor.knows("admin", &case.site.admin((Service::Gateway, 0), ""));
        visitor.knows("secret", &bearer(ADMIN_SECRET));
        visitor.knows("long", &"x".repeat(300));
        visitor.knows("huge", &"x".repeat(40_000));
        visitor.knows("proof", PROOF);
        visitor.knows("all", &bearer(&visitor.token(&case.etl, "one")));
        visitor.knows("narrow", &bearer(&visitor.token(&case.narrow, "one")));
        visitor.knows("two", &bearer(&visitor.token(&case.etl, "two")));
        visitor.knows("forged", &visitor.forged(&base));
        visitor.knows("base", &base);
        visitor
    }

    fn knows(&self, name: &'static str, what: &str) {
        self.known.lock().unwrap().insert(name, what.to_owned());
    }

    /// Tokens and assertions by their signatures, without which they are worth nothing.
    fn keeps_secret(&self, jwt: &str) {
        let (_, signature) = jwt.rsplit_once('.').unwrap();
        self.secrets.lock().unwrap().insert(signature.to_owned());
    }

    pub(super) fn secrets(&self) -> BTreeSet<String> {
        self.secrets.lock().unwrap().clone()
    }

    pub(super) fn told(&self) -> BTreeSet<String> {
        self.told.lock().unwrap().clone()
    }

    pub(super) fn answers(&self) -> u32 {
        self.answers.load(Ordering::SeqCst)
    }

    /// A text with everything that it stands for.
    fn fill(&self, text: &str) -> String {
        let mut text = self.case.canaries.fill(text);
        for (name, what) in self.known.lock().unwrap().iter() {
            text = text.replace(&format!("{{{name}}}"), what);
        }
        text
    }

    /// Asks; whatever is in the answer was said in the request.
    pub(super) fn ask(&self, words: &[&str]) -> Answer {
        let words: Vec<String> = words.iter().map(|word| self.fill(word)).collect();
        let mut all: Vec<&str> = vec!["--max-time", "30"];
        all.extend(words.iter().map(String::as_str));
        let answer = ask(&all);
        assert_ne!(answer.status, 0, "no answer to {words:?}");
        self.listen(&words.join("\n"), &answer);
        answer
    }

    fn listen(&self, said: &str, answer: &Answer) {
        self.answers.fetch_add(1, Ordering::SeqCst);
        let ours = self.case.canaries.within(said);
        for name in self.case.canaries.within(&answer.whole()) {
            // An echo may be cut short.
            if !ours.iter().any(|said| said.starts_with(&name)) {
                let text = format!("{name} in the answer {} to {said}", answer.status);
                self.told.lock().unwrap().insert(text);
            }
        }
    }

    fn assertion(&self, client: &Registered, tenant: &str) -> String {
        let url = self.fill(&format!("{{origin}}/{tenant}/oauth2/token"));
        let assertion = client.assertion(&url);
        self.keeps_secret(&assertion);
        assertion
    }

    fn token(&self, client: &Registered, tenant: &str) -> String {
        let url = self.fill(&format!("{{origin}}/{tenant}/oauth2/token"));
        let answer = ask_token(&url, &self.assertion(client, tenant));
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        self.keeps_secret(&token);
        token
    }

    /// An access token by a key that is not the server's.
    fn forged(&self, base: &str) -> String {
        let at = |place: &str| self.case.canaries.at(place);
        let header = json!({ "alg": "ES384", "typ": "at+jwt", "kid": at("forgedkid") });
        let issuer = base.replace("/fhir", "/oauth2");
        let claims = json!({
            "iss": issuer, "sub": at("forgedsub"), "client_id": at("forgedclient"), "aud": base,
            "exp": now() + 200, "jti": at("forgedjti"), "scope": at("forgedscope"),
        });
        let token = self.case.etl.sign(&header, &claims);
        self.keeps_secret(&token);
        token
    }

    /// Everything that is refused.
    pub(super) fn is_refused(&self) {
        let refused = |words: &[&str]| {
            let answer = self.ask(words);
            let harmless = |word: &&&str| word.contains("@nosuch") || word.contains("@hostonly@");
            let is_harmless = words.iter().any(|word| harmless(&word));
            assert!(answer.status >= 400 || is_harmless, "{words:?}: {answer:?}");
        };
        for request in [TOKENS, PARAMETERS, PLACES, ADMIN].concat() {
            refused(request);
        }
        for body in BODIES {
            for url in ["{base}/Patient/$export", "{base}/Group/@groupid@/$export"] {
                refused(&[POST, &[*body, url]].concat());
            }
        }
        refused(&[HEADERS, &["{base}/$export"]].concat());
        refused(&["-H", "X-Request-Id: @goodid@", "{base}/$export"]);
        refused(&[HEADERS, &["-H", "{all}", "{base}/$export?_type=Nothing"]].concat());
        for form in FORMS {
            self.knows("assertion", &self.assertion(&self.case.etl, "one"));
            refused(&["-d", *form, "{token}"]);
        }
        refused(&[
            "-u",
            "@tokenuser@:@tokenpassword@",
            "-d",
            FORMS[2],
            "{token}",
        ]);
        for (member, text) in ASSERTIONS {
            self.knows("assertion", &self.odd_assertion(member, text));
            refused(&[
                "-d",
                "{proof}&grant_type=client_credentials&scope=system%2F*.rs\
                &client_assertion={assertion}",
                "{token}",
            ]);
        }
    }

    /// An assertion of which one member is not as it should be.
    fn odd_assertion(&self, member: &str, text: &str) -> String {
        let url = self.fill("{token}");
        let mut header = json!({ "alg": "ES384", "typ": "JWT", "kid": "etl" });
        let mut claims = json!({
            "iss": "etl", "sub": "etl", "aud": url, "exp": now() + 240, "jti": "odd",
        });
        let value = Value::from(self.fill(text));
        if ["kid", "jku", "typ", "crit"].contains(&member) {
            header[member] = value;
        } else {
            claims[member] = value;
        }
        claims["sub"] = claims["iss"].clone();
        let assertion = self.case.etl.sign(&header, &claims);
        self.keeps_secret(&assertion);
        assertion
    }

    /// Kicks off; that must be accepted.
    pub(super) fn kick_off(&self, words: &[&str]) -> Job {
        let answer = self.ask(words);
        let url = answer.header("content-location");
        let said: Vec<String> = words.iter().map(|word| self.fill(word)).collect();
        Job {
            url: url
                .unwrap_or_else(|| panic!("{said:?}: {answer:?}"))
                .to_owned(),
            header: if words.contains(&"{two}") {
                "{two}"
            } else {
                "{all}"
            },
            said: said.join("\n"),
        }
    }

    /// Asks until an export is over; the manifest says again what its kick-off said.
    pub(super) async fn poll(&self, job: &Job) -> Answer {
        for _ in 0..200 {
            let answer = ask(&["-H", &self.fill(job.header), &job.url]);
            self.listen(&job.said, &answer);
            if ![202, 429].contains(&answer.status) {
                for link in answer.body.split("X-Amz-Signature=").skip(1) {
                    let signature: String = link.chars().take(64).collect();
                    self.secrets.lock().unwrap().insert(signature);
                }
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        panic!("{} does not end", job.url);
    }

    /// Canaries in requests that are good, and in what follows from them.
    pub(super) async fn is_let_in(&self) {
        let url = self.fill("{token}");
        let named = self
            .case
            .etl
            .assertion_named(&url, &self.case.canaries.at("jti"));
        self.keeps_secret(&named);
        let first = ask_token(&url, &named);
        assert_eq!((first.status, ask_token(&url, &named).status), (200, 400));
        self.keeps_secret(first.json()["access_token"].as_str().unwrap());
        let key = ["-H", "{all}", "-H", "Idempotency-Key: @key@"];
        let keyed = [HEADERS, &key, &["{base}/$export?_type=Patient"]].concat();
        let (one, same) = (self.kick_off(&keyed), self.kick_off(&keyed));
        assert_eq!(one.url, same.url);
        let reused = self.ask(&[&key[..], &["{base}/$export?_type=Group"]].concat());
        assert_eq!(reused.status, 422);
        let lenient = self.kick_off(&[
            "-H",
            "{all}",
            "-H",
            LENIENT,
            "{base}/Patient/$export?_type=Patient&@lenientname@=@lenientvalue@",
        ]);
        let body = r#"{"resourceType":"Parameters","parameter":[
            {"name":"patient","valueReference":{"reference":"Patient/@patientid@"}},
            {"name":"@bodyname@","valueString":"@bodyvalue@"}]}"#;
        let url = "{base}/Group/@groupid@/$export";
        let posted = self.kick_off(&[POST, &[body, "-H", LENIENT, url]].concat());
        let streamed = self.kick_off(&["-H", "{two}", "{origin}/two/fhir/$export?_type=Group"]);
        for job in [&one, &lenient, &posted] {
            assert_eq!(self.poll(job).await.status, 200);
        }
        let manifest = self.poll(&streamed).await.json();
        let file = manifest["output"][0]["url"].as_str().unwrap();
        let stranger = self.ask(&["-H", "Authorization: Bearer @filebearer@", file]);
        let foreign = self.ask(&["-H", "{all}", file]);
        assert_eq!((stranger.status, foreign.status), (401, 401));
        let whole = ask(&["-H", &self.fill("{two}"), file]);
        assert_eq!(whole.status, 200, "{whole:?}");
        for header in ["Range: bytes=@badrange@", "If-None-Match: \"@filetag@\""] {
            ask(&["-H", &self.fill("{two}"), "-H", &self.fill(header), file]);
        }
        let deleted = self.ask(&["-H", "{all}", "-X", "DELETE", &one.url]);
        assert_eq!(deleted.status, 202);
        assert!(self.ask(&["-H", "{all}", &one.url]).status >= 404);
    }
}
