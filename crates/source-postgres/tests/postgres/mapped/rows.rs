//! Times and bodies of rows, whatever is in them.

use sluice_fhir::Level;
use sluice_ports::Source;
use sluice_testkit::exported::{self, resource};

use super::{Row, Site, at, quoted};

/// T-025, T-026: `_since` and `_until` are exclusive, to the millisecond that transactionTime has; what
/// nobody knows the time of always leaves (R-043), and a remark says so.
#[tokio::test]
async fn since_and_until_are_exact_at_their_bounds() {
    for time in ["timestamptz", "timestamp"] {
        let site = Site::new("text", time).await;
        // Whatever the server's and the session's zone are.
        let zone = "ALTER ROLE CURRENT_USER IN DATABASE";
        let name: String = site
            .client
            .query_one("SELECT current_database()", &[])
            .await
            .unwrap()
            .get(0);
        let set = format!("{zone} {name} SET timezone = 'Asia/Tokyo'");
        site.client.batch_execute(&set).await.unwrap();
        for (id, updated) in [
            ("before", Some("2026-01-01T11:59:59.999Z")),
            ("at", Some("2026-01-01T12:00:00Z")),
            ("within", Some("2026-01-01T12:00:00.0004Z")),
            ("after", Some("2026-01-01T12:00:00.001Z")),
            ("unknown", None),
        ] {
            let name = format!("Patient/{id}");
            let row = Row {
                updated,
                ..Row::default()
            };
            site.row(&name, row, &resource(&name, &[])).await;
        }
        let mut scope = site.scope(Level::Patient).await;
        assert_eq!(site.remarks(&scope).await.len(), 1);
        scope.since = Some(at("2026-01-01T12:00:00.000Z"));
        let after = ["Patient/after", "Patient/unknown", "Patient/within"];
        assert_eq!(site.ids(&scope).await, after);
        let told = site.remarks(&scope).await;
        assert!(
            told.iter().any(|text| text.contains("changed: 1;")),
            "{told:?}"
        );
        scope.until = Some(at("2026-01-01T12:00:00.001Z"));
        assert_eq!(
            site.ids(&scope).await,
            ["Patient/unknown", "Patient/within"]
        );
        scope.since = None;
        scope.until = Some(at("2026-01-01T12:00:00.000Z"));
        assert_eq!(
            site.ids(&scope).await,
            ["Patient/before", "Patient/unknown"]
        );
    }
}

/// C21, and decision 3 of the reliability rules: what changes or comes while an export runs is included.
#[tokio::test]
async fn what_comes_meanwhile_is_included() {
    let site = Site::text().await;
    for id in ["b", "c", "d"] {
        site.add(&resource(&format!("Patient/{id}"), &[])).await;
    }
    let scope = site.scope(Level::Patient).await;
    let chunks = exported::plan(&site.source, &scope, 1, 2).await;
    site.client
        .batch_execute(
            "UPDATE site SET changed = now() + interval '1 h', body = body || ' ' WHERE id = 'c'",
        )
        .await
        .unwrap();
    for name in ["Patient/a", "Patient/z", "Practitioner/new"] {
        site.add(&resource(name, &[])).await;
    }
    let mut found = Vec::new();
    for chunk in chunks {
        let blocks = exported::blocks(&site.source, &scope, &chunk.slice).await;
        let lines = exported::lines(&chunk.slice, &blocks.unwrap());
        found.extend(lines.into_iter().map(|(_, line)| line));
    }
    assert!(
        found.iter().any(|line| line.ends_with("} ")),
        "the newer one"
    );
    let mut ids: Vec<String> = found.iter().map(|line| exported::id(line)).collect();
    ids.sort_unstable();
    let expected = ["a", "b", "c", "d", "z"].map(|id| format!("Patient/{id}"));
    assert_eq!(ids[..5], expected);
    assert_eq!(ids[5..], ["Practitioner/new"]);
}

/// T9: a writer that is open while T is fixed holds it back, so that what it commits is in the next
/// export.
#[tokio::test]
async fn an_open_writer_holds_the_time_back() {
    let site = Site::text().await;
    site.client.batch_execute("BEGIN").await.unwrap();
    let row = Row {
        updated: Some("2026-01-01T00:00:00Z"),
        ..Row::default()
    };
    site.row("Patient/late", row, &resource("Patient/late", &[]))
        .await;
    site.client
        .batch_execute("UPDATE site SET changed = now()")
        .await
        .unwrap();
    // So much later that T would be too.
    site.client
        .batch_execute("SELECT pg_sleep(0.05)")
        .await
        .unwrap();
    let first = site.scope(Level::System).await;
    assert!(site.ids(&first).await.is_empty());
    site.client.batch_execute("COMMIT").await.unwrap();
    let mut next = site.scope(Level::System).await;
    assert!(next.snapshot.time > first.snapshot.time);
    next.since = Some(first.snapshot.time);
    assert_eq!(site.ids(&next).await, ["Patient/late"]);
}

/// One line a body, whatever its white space; what has no line break travels as it is.
#[tokio::test]
async fn bodies_with_line_breaks_are_compacted() {
    for body in ["text", "json", "bytea"] {
        let site = Site::new(body, "timestamptz").await;
        let pretty = "{\r\n  \"resourceType\": \"Patient\",\n  \"id\": \"a\",\n  \"x\": \"y  \\\" z\\n\"\n}\n";
        site.row("Patient/a", Row::default(), pretty).await;
        let spaced = "{ \"resourceType\":\t\"Patient\" , \"id\": \"b\" }";
        site.row("Patient/b", Row::default(), spaced).await;
        let scope = site.scope(Level::Patient).await;
        let expected = [
            spaced,
            "{\"resourceType\":\"Patient\",\"id\":\"a\",\"x\":\"y  \\\" z\\n\"}",
        ];
        assert_eq!(site.lines(&scope).await, expected);
    }
}

/// Longer than a piece, with characters of several bytes: once as it is, once with line breaks, also
/// across the pieces.
#[tokio::test]
async fn long_bodies_come_in_pieces_and_whole() {
    for body in ["text", "jsonb", "bytea"] {
        let site = Site::new(body, "timestamptz").await;
        let long = "ä \\\" ".repeat(2 << 20);
        let plain = format!(r#"{{"id": "a", "x": "{long}", "resourceType": "Patient"}}"#);
        let pretty =
            format!("{{\n\"id\": \"b\", \"x\": \"{long}\",\n\"resourceType\": \"Patient\"\n}}");
        site.row("Patient/a", Row::default(), &plain).await;
        site.row("Patient/b", Row::default(), &pretty).await;
        site.row(
            "Patient/c",
            Row::default(),
            r#"{"id": "c", "resourceType": "Patient"}"#,
        )
        .await;
        let scope = site.scope(Level::Patient).await;
        let lines = site.lines(&scope).await;
        let found: Vec<serde_json::Value> = lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(found.len(), 3);
        let long: serde_json::Value = serde_json::from_str(&format!("\"{long}\"")).unwrap();
        let longs = found.iter().filter(|value| value["x"] == long);
        assert_eq!(longs.count(), 2);
        if body != "jsonb" {
            assert!(lines.contains(&plain), "as it is");
        }
    }
}

/// What has no body, no id or a type that FHIR does not know is no resource; odd ids and patients do no
/// harm.
#[tokio::test]
async fn rows_that_are_no_resources_and_odd_names_do_no_harm() {
    let site = Site::text().await;
    site.client
        .batch_execute("INSERT INTO site VALUES ('Patient', NULL, NULL, NULL, '{}', NULL), \
             (NULL, 'x', NULL, NULL, '{}', NULL), ('Nothing', 'x', NULL, NULL, '{}', NULL), \
             ('Patient', 'empty', NULL, NULL, '', NULL), ('Patient', 'none', NULL, NULL, NULL, NULL)")
        .await
        .unwrap();
    let odd = [
        "a'; DROP TABLE site; --",
        "b\\",
        "c\"",
        "d\ne",
        "ü",
        "",
        "'''",
        "$1",
    ];
    for id in odd {
        let body = serde_json::json!({ "resourceType": "Observation", "id": id }).to_string();
        let row = Row {
            patient: Some(id),
            ..Row::default()
        };
        site.row(&format!("Observation/{id}"), row, &body).await;
        let body = body.replace("Observation", "Patient");
        site.row(&format!("Patient/{id}"), Row::default(), &body)
            .await;
        let body = body.replace("Patient", "Location");
        site.row(&format!("Location/{id}"), Row::default(), &body)
            .await;
    }
    for level in [Level::System, Level::Patient] {
        let scope = site.scope(level).await;
        // A slice a resource: each of the ids becomes a bound.
        let ids = exported::plan(&site.source, &scope, 1, 3).await;
        assert!(ids.len() >= odd.len() * 3);
        assert_eq!(site.ids(&scope).await.len(), odd.len() * 3);
        let told = site.remarks(&scope).await.join("\n");
        assert!(told.contains("no body: 2"), "{told}");
    }
    let injected = "x'}'::text[]) OR TRUE --".to_owned();
    let mut scope = site.scope(Level::Patient).await;
    scope.types = exported::types(&["Observation", "Patient"]);
    scope.patients = Some(vec![injected.clone()]);
    assert!(site.ids(&scope).await.is_empty());
    assert!(site.source.check(&scope).await.is_err());
    let scope = site.scope(Level::Group(injected.clone())).await;
    assert!(site.source.check(&scope).await.is_err());
    assert!(site.source.group(&injected).await.unwrap().is_none());
    let count = format!("SELECT count(*) FROM site WHERE id = {}", quoted(odd[0]));
    let row = site.client.query_one(&count, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 3);
}

/// Slices end where the target says, each step goes on where the last one ended, and small types share.
#[tokio::test]
async fn plans_are_cut_by_size() {
    let site = Site::text().await;
    site.client
        .batch_execute("INSERT INTO site SELECT 'Observation', 'o' || n, 'p' || n % 50, NULL, \
             '{\"resourceType\":\"Observation\",\"id\":\"o' || n || '\"}', NULL FROM generate_series(1, 2000) n; \
             INSERT INTO site SELECT 'Patient', 'p' || n, NULL, NULL, \
             '{\"resourceType\":\"Patient\",\"id\":\"p' || n || '\"}', NULL FROM generate_series(0, 49) n; \
             CREATE INDEX ON site (kind, patient COLLATE \"C\", id COLLATE \"C\"); \
             CREATE INDEX ON site (id); ANALYZE site")
        .await
        .unwrap();
    let scope = site.scope(Level::Patient).await;
    for limit in [1, 2, 64] {
        let chunks = exported::plan(&site.source, &scope, 10_000, limit).await;
        let (whole, cut): (Vec<_>, Vec<_>) =
            chunks.iter().partition(|chunk| chunk.slice.types.len() > 1);
        assert_eq!((whole.len(), cut.len()), (1, 9));
        let mut total = 0;
        for chunk in &cut {
            let blocks = exported::blocks(&site.source, &scope, &chunk.slice).await;
            let lines = exported::lines(&chunk.slice, &blocks.unwrap());
            let bytes: u64 = lines.iter().map(|(_, line)| line.len() as u64 + 1).sum();
            assert_eq!(chunk.expected.bytes, bytes);
            assert!(bytes < 10_100);
            total += lines.len();
        }
        assert_eq!(total, 2000);
    }
}
