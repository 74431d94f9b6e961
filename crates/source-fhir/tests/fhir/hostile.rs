//! Servers that are poor, busy, broken or hostile (C16 to C20): what may be exported is exported once, what
//! is missing is told, and nothing runs away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use sluice_fhir::{Level, ResourceType};
use sluice_model::Scope;
use sluice_ports::{PortError, Source};
use sluice_source_fhir::FhirOptions;
use sluice_testkit::exported::{id, plan, scope, types};
use sluice_testkit::small::lines;

use crate::stub::{Asked, Reply, Setup, Stub, connect};

/// What came, how often, and what was told.
struct Export {
    ids: BTreeMap<String, usize>,
    told: Vec<String>,
}

async fn export(source: &dyn Source, scope: &Scope) -> Result<Export, PortError> {
    let (mut ids, mut told) = (BTreeMap::new(), Vec::new());
    for chunk in plan(source, scope, 1 << 30, 3).await {
        let mut blocks = source.read(scope, &chunk.slice).await?;
        let mut open = Vec::new();
        while let Some(block) = blocks.next().await {
            let block = block?;
            open.extend_from_slice(&block.bytes);
            if block.lines == 0 {
                continue;
            }
            let text = String::from_utf8(std::mem::take(&mut open)).unwrap();
            for line in text.lines() {
                if block.kind == ResourceType::OPERATION_OUTCOME {
                    let outcome: Value = serde_json::from_str(line).unwrap();
                    let text = outcome["issue"][0]["diagnostics"].as_str().unwrap();
                    told.push(text.to_owned());
                } else {
                    *ids.entry(id(line)).or_default() += 1;
                }
            }
        }
    }
    Ok(Export { ids, told })
}

async fn observations(options: FhirOptions) -> Result<Export, PortError> {
    let source = connect(options).await;
    let mut scope = scope(&source, Level::Patient).await;
    scope.types = types(&["Observation"]);
    export(&source, &scope).await
}

/// Two patients with some Observations of each.
fn ward() -> Vec<String> {
    let of = |patient: &str, n: usize| {
        json!({
            "resourceType": "Observation", "id": format!("{patient}{n}"),
            "subject": { "reference": format!("Patient/{patient}") },
        })
    };
    let patients = ["a", "b"].map(|id| json!({ "resourceType": "Patient", "id": id }));
    let theirs = (0..7).flat_map(|n| [of("a", n), of("b", n)]);
    patients
        .into_iter()
        .chain(theirs)
        .map(|json| json.to_string())
        .collect()
}

fn whole() -> BTreeMap<String, usize> {
    let all = ward().into_iter().map(|line| (id(&line), 1));
    all.filter(|(name, _)| name.starts_with("Observation"))
        .collect()
}

fn quick(stub: &Stub) -> FhirOptions {
    FhirOptions {
        timeout: Duration::from_millis(400),
        longest_wait: Duration::from_secs(3),
        ..stub.options()
    }
}

/// The first page of Observations, each time.
fn first_page(asked: &Asked) -> bool {
    asked.searches("Observation") && asked.param("_offset").is_none()
}

fn next_of(json: &mut Value) -> Option<&mut Value> {
    let links = json["link"].as_array_mut()?;
    let next = links.iter_mut().find(|link| link["relation"] == "next")?;
    Some(&mut next["url"])
}

#[tokio::test]
async fn c19_repeated_and_unsorted_pages_give_each_resource_once() {
    let setup = Setup {
        sorts: false,
        ..Setup::meddling(|asked, reply| {
            if !asked.searches("Observation") {
                return reply;
            }
            // Every page twice over, and backwards.
            reply.edit(|json| {
                let entries = json["entry"].as_array_mut().unwrap();
                let again = entries.clone();
                entries.extend(again);
                entries.reverse();
            })
        })
    };
    let stub = Stub::start(&ward(), setup).await;
    let export = observations(stub.options()).await.unwrap();
    assert_eq!(export.ids, whole());
    assert!(export.told.is_empty(), "{:?}", export.told);
}

#[tokio::test]
async fn c19_a_loop_of_next_links_ends_and_is_told() {
    let setup = Setup::meddling(|asked, reply| {
        if !asked.searches("Observation") {
            return reply;
        }
        let first = asked.param("_offset").is_none();
        reply.edit(|json| {
            if let Some(next) = next_of(json).filter(|_| !first) {
                *next = next
                    .as_str()
                    .unwrap()
                    .replace("_offset=6", "_offset=3")
                    .into();
            }
        })
    });
    let stub = Stub::start(&ward(), setup).await;
    let export = observations(stub.options()).await.unwrap();
    assert_eq!(export.ids.len(), 6, "what came until then");
    assert!(
        export.told[0].contains("counts 8 more"),
        "{:?}",
        export.told
    );
    assert!(stub.log().len() < 30);
}

#[tokio::test]
async fn c19_links_to_elsewhere_are_refused() {
    for elsewhere in [
        "http://127.0.0.1:1/fhir",
        "https://evil.example/fhir?x=1",
        "//evil.example",
    ] {
        let setup = Setup::meddling(move |asked, reply| {
            if !first_page(asked) {
                return reply;
            }
            reply.edit(|json| {
                if let Some(next) = next_of(json) {
                    *next = elsewhere.into();
                }
            })
        });
        let stub = Stub::start(&ward(), setup).await;
        let refused = observations(stub.options()).await.err().unwrap();
        assert!(!refused.is_transient());
        let chain = refused.chain();
        assert!(
            chain.contains("another server") && !chain.contains("evil"),
            "{chain}"
        );
    }
}

#[tokio::test]
async fn c19_a_page_that_is_skipped_is_read_again_and_then_told() {
    for heals in [true, false] {
        let skipped = Arc::new(AtomicUsize::default());
        let setup = Setup::meddling(move |asked, reply| {
            if !first_page(asked) || (heals && skipped.fetch_add(1, Ordering::SeqCst) > 0) {
                return reply;
            }
            reply.edit(|json| {
                if let Some(next) = next_of(json) {
                    *next = next
                        .as_str()
                        .unwrap()
                        .replace("_offset=3", "_offset=6")
                        .into();
                }
            })
        });
        let stub = Stub::start(&ward(), setup).await;
        let export = observations(stub.options()).await.unwrap();
        assert_eq!(export.ids.len(), if heals { 14 } else { 11 });
        assert_eq!(export.told.is_empty(), heals, "{:?}", export.told);
    }
}

#[tokio::test]
async fn counts_that_lie_are_told_and_change_nothing() {
    for (lie, word) in [(20, "counts 26 more"), (10, "gave 4 more than it counts")] {
        let setup = Setup::meddling(move |asked, reply| {
            if !asked.path.starts_with("Observation") {
                return reply;
            }
            reply.edit(|json| json["total"] = lie.into())
        });
        let stub = Stub::start(&ward(), setup).await;
        let export = observations(stub.options()).await.unwrap();
        assert_eq!(export.ids, whole());
        assert!(
            export.told.iter().any(|text| text.contains(word)),
            "{:?}",
            export.told
        );
    }
}

#[tokio::test]
async fn c20_what_is_not_as_it_should_be_is_dropped_and_told() {
    let deep = format!(
        r#"{{"resourceType":"Observation","id":"deep","x":{}1{}}}"#,
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let setup = Setup::meddling(move |asked, mut reply| {
        if !first_page(asked) || asked.param("subject").is_none() {
            return reply;
        }
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        let odd = [
            r#"{"resourceType":"Observation","id":"z","subject":{"reference":"Patient/zz"}}"#,
            r#"{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/a"}}"#,
            r#"{"resourceType":"Observation","subject":{"reference":"Patient/a"}}"#,
            r#"{"resourceType":"Observation","id":"a b"}"#,
            r#"{"resourceType":"OperationOutcome","issue":[]}"#,
            "[1]",
            deep.as_str(),
        ];
        let odd: Vec<String> = odd
            .iter()
            .map(|one| format!(r#"{{"resource":{one}}}"#))
            .collect();
        let text = text.replacen(
            r#""entry":["#,
            &format!(r#""entry":[{},"#, odd.join(",")),
            1,
        );
        reply.body = text.into();
        reply
    });
    let stub = Stub::start(&ward(), setup).await;
    let export = observations(stub.options()).await.unwrap();
    assert_eq!(export.ids, whole());
    let all = export.told.join("\n");
    for word in [
        "not in the compartment",
        "another type",
        "id is",
        "not valid JSON",
        "not a JSON object",
    ] {
        assert!(all.contains(word), "{word}: {all}");
    }
    assert!(!all.contains("zz"), "{all}");
}

#[tokio::test]
async fn c20_a_break_within_a_text_is_no_json_and_fails_the_chunk() {
    let setup = Setup::meddling(|asked, mut reply| {
        if asked.searches("Observation") {
            let text = String::from_utf8(reply.body.to_vec()).unwrap();
            reply.body = text.replace("Patient/a", "Patient/a\n").into();
        }
        reply
    });
    let stub = Stub::start(&ward(), setup).await;
    let failed = observations(stub.options()).await.err().unwrap();
    assert!(failed.is_transient(), "{}", failed.chain());
    assert!(failed.chain().contains("no Bundle"), "{}", failed.chain());
}

#[tokio::test]
async fn other_bundles_and_truncated_bodies_fail_the_chunk_for_now() {
    let edits: [fn(Reply) -> Reply; 4] = [
        |reply| reply.edit(|json| json["type"] = "history".into()),
        |reply| reply.edit(|json| json["resourceType"] = "Basic".into()),
        |mut reply| {
            reply.body = reply.body.slice(..reply.body.len() / 2);
            reply
        },
        |mut reply| {
            reply.cut = Some(reply.body.len() / 2);
            reply
        },
    ];
    for edit in edits {
        let setup = Setup::meddling(move |asked, reply| {
            if first_page(asked) {
                edit(reply)
            } else {
                reply
            }
        });
        let stub = Stub::start(&ward(), setup).await;
        let options = FhirOptions {
            tries: 2,
            ..quick(&stub)
        };
        let failed = observations(options).await.err().unwrap();
        assert!(failed.is_transient(), "{}", failed.chain());
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off_once_is_asked_for_again() {
    let setup = Setup::meddling(|asked, mut reply| {
        if asked.number % 3 == 1 {
            reply.cut = Some(reply.body.len() / 2);
        }
        reply
    });
    let stub = Stub::start(&ward(), setup).await;
    assert_eq!(observations(quick(&stub)).await.unwrap().ids, whole());
}

#[tokio::test]
async fn c20_a_body_of_200_mb_is_not_read_and_told() {
    let setup = Setup::meddling(|asked, mut reply| {
        if first_page(asked) && asked.param("subject").is_some() {
            reply.body = vec![b' '; 200 << 20].into();
        }
        reply
    });
    let stub = Stub::start(&ward(), setup).await;
    let export = observations(FhirOptions {
        most_bytes: 1 << 20,
        ..stub.options()
    })
    .await
    .unwrap();
    assert!(export.ids.is_empty());
    assert!(
        export.told[0].contains("larger than may be read"),
        "{:?}",
        export.told
    );
}

#[tokio::test]
async fn a_page_that_is_too_large_is_asked_for_in_smaller_ones() {
    let setup = Setup::meddling(|asked, mut reply| {
        let size: usize = asked
            .param("_count")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        if asked.searches("Observation") && size > 2 {
            reply.body = vec![b' '; 2 << 20].into();
        }
        reply
    });
    let stub = Stub::start(&ward(), setup).await;
    let options = FhirOptions {
        page: 50,
        most_bytes: 1 << 20,
        ..stub.options()
    };
    let export = observations(options).await.unwrap();
    assert_eq!((export.ids, export.told.len()), (whole(), 0));
}

#[tokio::test]
async fn c16_busy_servers_are_asked_again_when_they_say() {
    for (status, header) in [
        (429, ("retry-after", "1")),
        (503, ("retry-after", "Tue, 03 Mar 2026 08:15:31 GMT")),
        (503, ("x-nothing", "")),
        (502, ("retry-after", "soon")),
    ] {
        let setup = Setup::meddling(move |asked, reply| {
            if asked.number != 2 && asked.number != 5 {
                return reply;
            }
            let reply = Reply::status(status).with(header.0, header.1);
            reply.with("date", "Tue, 03 Mar 2026 08:15:30 GMT")
        });
        let stub = Stub::start(&ward(), setup).await;
        assert_eq!(observations(quick(&stub)).await.unwrap().ids, whole());
    }
}

#[tokio::test]
async fn c16_a_wait_that_is_too_long_is_left_to_the_chunks_next_try() {
    let setup = Setup::meddling(|asked, reply| {
        if !asked.searches("Observation") {
            return reply;
        }
        Reply::status(429).with("retry-after", "86400")
    });
    let stub = Stub::start(&ward(), setup).await;
    let failed = observations(quick(&stub)).await.err().unwrap();
    assert!(failed.is_transient());
    assert!(failed.chain().contains("429"), "{}", failed.chain());
    let asked = stub
        .log()
        .iter()
        .filter(|asked| asked.searches("Observation"))
        .count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn c16_a_slow_drip_ends_at_the_deadline() {
    let setup = Setup::meddling(|asked, mut reply| {
        if asked.searches("Observation") {
            reply.drip = Some((1, Duration::from_millis(20)));
        }
        reply
    });
    let stub = Stub::start(&ward(), setup).await;
    let options = FhirOptions {
        tries: 2,
        ..quick(&stub)
    };
    let failed = observations(options).await.err().unwrap();
    assert!(failed.is_transient());
    assert!(failed.chain().contains("too long"), "{}", failed.chain());
}

#[tokio::test]
async fn c18_a_patient_that_is_gone_is_told_and_the_others_come() {
    for status in [404, 410] {
        let setup = Setup::meddling(move |asked, reply| {
            let names = asked
                .param("subject")
                .is_some_and(|value| value.contains("Patient/b"));
            if asked.searches("Observation") && names {
                Reply::status(status)
            } else {
                reply
            }
        });
        let stub = Stub::start(&ward(), setup).await;
        let export = observations(stub.options()).await.unwrap();
        assert_eq!(export.ids.len(), 7);
        assert!(
            export.told[0].contains("for 1 patients"),
            "{:?}",
            export.told
        );
    }
}

#[tokio::test]
async fn a_server_that_ignores_what_it_is_asked_gives_nobody_elses() {
    let everything = lines().to_vec();
    // All Observations come for every search; the Group has one patient.
    let all: Vec<Value> = everything
        .iter()
        .filter(|line| id(line).starts_with("Observation"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let setup = Setup::meddling(move |asked, reply| {
        if !asked.path.starts_with("Observation") {
            return reply;
        }
        let entries: Vec<Value> = all.iter().map(|one| json!({ "resource": one })).collect();
        let total = entries.len();
        Reply::json(&json!({
            "resourceType": "Bundle", "type": "searchset", "total": total, "entry": entries,
        }))
    });
    let stub = Stub::start(&everything, setup).await;
    let source = stub.source().await;
    let mut scope = scope(&source, Level::Group("g".to_owned())).await;
    scope.types = types(&["Observation"]);
    let export = export(&source, &scope).await.unwrap();
    assert_eq!(
        export.ids,
        BTreeMap::from([("Observation/ab".to_owned(), 1)])
    );
    assert!(
        export.told[0].contains("not in the compartment"),
        "{:?}",
        export.told
    );
}

#[tokio::test]
async fn patients_whose_pages_repeat_are_enumerated_to_an_end() {
    let setup = Setup {
        page: 1,
        ..Setup::meddling(|asked, reply| {
            if !asked.searches("Patient") || asked.param("_id").is_some() {
                return reply;
            }
            // The second page leads to the first.
            let second = asked.param("_offset") == Some("1");
            let base = "/fhir/Patient?_elements=id&_count=500&_sort=_id";
            reply.edit(|json| {
                if second {
                    json["link"] = json!([{ "relation": "next", "url": base }]);
                }
            })
        })
    };
    let stub = Stub::start(&ward(), setup).await;
    let source = stub.source().await;
    let mut scope = scope(&source, Level::Patient).await;
    scope.types = types(&["Observation"]);
    let mut cursor: Option<String> = None;
    let failed = loop {
        match source.plan(&scope, 1, 1, cursor.as_deref()).await {
            Ok(step) => cursor = Some(step.next.unwrap()),
            Err(error) => break error,
        }
    };
    assert!(
        failed.chain().contains("pages repeat"),
        "{}",
        failed.chain()
    );
}

#[tokio::test]
async fn the_time_is_theirs_unless_it_is_ahead_of_ours() {
    for (date, expected) in [
        ("Sat, 28 Feb 2026 23:59:00 GMT", "2026-02-28T23:58:55.000Z"),
        ("Tue, 03 Mar 2026 08:15:30 GMT", "2026-02-28T23:59:55.000Z"),
        ("yesterday", "2026-02-28T23:59:55.000Z"),
    ] {
        let setup = Setup::meddling(move |_, reply| reply.with("date", date));
        let stub = Stub::start(&ward(), setup).await;
        let options = FhirOptions {
            lag: Duration::from_secs(5),
            ..stub.options()
        };
        let snapshot = connect(options).await.snapshot().await.unwrap();
        assert_eq!(snapshot.time.to_string(), expected, "{date}");
    }
}

#[tokio::test]
async fn since_is_asked_for_a_little_wider_and_looked_at_again() {
    let at = |id: &str, time: &str| {
        json!({ "resourceType": "Observation", "id": id, "meta": { "lastUpdated": time },
            "subject": { "reference": "Patient/a" } })
        .to_string()
    };
    let mut all = ward();
    all.push(at("same", "2026-01-01T00:00:00.500Z"));
    all.push(at("later", "2026-01-01T00:00:00.501Z"));
    let stub = Stub::start(&all, Setup::default()).await;
    let source = stub.source().await;
    let mut scope = scope(&source, Level::Patient).await;
    scope.types = types(&["Observation"]);
    scope.since = Some("2026-01-01T00:00:00.500Z".parse().unwrap());
    let export = export(&source, &scope).await.unwrap();
    assert_eq!(
        export.ids,
        BTreeMap::from([("Observation/later".to_owned(), 1)])
    );
    let asked = stub
        .log()
        .into_iter()
        .find_map(|asked| asked.param("_lastUpdated").map(str::to_owned));
    assert_eq!(asked.unwrap(), "gt2025-12-31T23:59:59.000Z");
}

/// As the run against sekmet-fhir found, whose patients had just been loaded.
#[tokio::test]
async fn patients_who_came_after_the_kick_off_are_read_like_others() {
    let mut all = ward();
    for line in &mut all[..2] {
        let meta = r#"{"meta":{"versionId":"1","lastUpdated":"2026-03-01T00:00:07Z"},"#;
        *line = line.replacen('{', meta, 1);
    }
    for without in [vec![], vec!["Observation.performer"]] {
        let setup = Setup {
            without,
            ..Setup::default()
        };
        let stub = Stub::start(&all, setup).await;
        let export = observations(stub.options()).await.unwrap();
        assert_eq!((export.ids, export.told.len()), (whole(), 0));
    }
}
