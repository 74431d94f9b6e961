//! Exports by hand, over any source, that check what holds for every export.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "what surprises a test should end it"
)]

use futures::StreamExt;
use sluice_fhir::{Level, ResourceType};
use sluice_model::{PlannedChunk, Scope, Slice};
pub use sluice_ports::conformance::Promise;
use sluice_ports::{Block, PortError, Source};

/// Everything a level can hold, as of now.
pub async fn scope(source: &dyn Source, level: Level) -> Scope {
    Scope {
        selection: sluice_model::Selection::default(),
        level,
        types: ResourceType::all()
            .filter(|kind| kind.is_exportable())
            .collect(),
        since: None,
        until: None,
        patients: None,
        snapshot: source.snapshot().await.unwrap(),
    }
}

/// Types by name.
pub fn types(names: &[&str]) -> Vec<ResourceType> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// All chunks of a plan, asked for some at a time.
pub async fn plan(
    source: &dyn Source,
    scope: &Scope,
    target: u64,
    limit: usize,
) -> Vec<PlannedChunk> {
    let (mut chunks, mut cursor) = (Vec::new(), None);
    loop {
        let step = source.plan(scope, target, limit, cursor.as_deref());
        let step = step.await.unwrap();
        assert!(step.next.is_none() || step.chunks.len() == limit);
        chunks.extend(step.chunks);
        cursor = step.next;
        if cursor.is_none() {
            return chunks;
        }
    }
}

/// The blocks of a slice.
pub async fn blocks(
    source: &dyn Source,
    scope: &Scope,
    slice: &Slice,
) -> Result<Vec<Block>, PortError> {
    let stream = source.read(scope, slice).await?;
    let blocks: Vec<_> = stream.collect().await;
    blocks.into_iter().collect()
}

/// Checks the blocks of a slice and joins them into lines.
pub fn lines(slice: &Slice, blocks: &[Block]) -> Vec<(ResourceType, String)> {
    let (mut lines, mut open) = (Vec::new(), Vec::new());
    let mut order = slice.types.iter().peekable();
    for block in blocks {
        while order.next_if(|kind| **kind != block.kind).is_some() {}
        assert!(order.peek().is_some(), "types out of order");
        assert!(!block.bytes.is_empty() && block.bytes.len() <= 1 << 20);
        let ends = memchr::memchr_iter(b'\n', &block.bytes).count();
        assert_eq!(u64::try_from(ends).unwrap(), block.lines);
        assert!(block.lines == 0 || block.bytes.ends_with(b"\n"));
        assert!(
            open.is_empty() || block.lines <= 1,
            "a giant shares no block"
        );
        open.extend_from_slice(&block.bytes);
        if block.lines > 0 {
            let text = String::from_utf8(std::mem::take(&mut open)).unwrap();
            lines.extend(text.lines().map(|line| (block.kind, line.to_owned())));
        }
    }
    assert!(open.is_empty());
    lines
}

/// Exports a scope twice and returns its lines, sorted.
pub async fn export(
    source: &dyn Source,
    scope: &Scope,
    target: u64,
    promise: Promise,
) -> Vec<String> {
    let chunks = plan(source, scope, target, 3).await;
    assert_eq!(chunks, plan(source, scope, target, 64).await);
    let mut all = Vec::new();
    for chunk in chunks {
        let first = blocks(source, scope, &chunk.slice).await.unwrap();
        assert_eq!(first, blocks(source, scope, &chunk.slice).await.unwrap());
        let lines = lines(&chunk.slice, &first);
        let bytes: usize = lines.iter().map(|(_, line)| line.len() + 1).sum();
        if promise == Promise::Exact {
            let resources = u64::try_from(lines.len()).unwrap();
            assert_eq!(chunk.expected.bytes, u64::try_from(bytes).unwrap());
            assert_eq!(chunk.expected.resources, resources);
            assert!(chunk.expected.bytes <= target || lines.len() == 1);
        }
        for (kind, line) in lines {
            assert!(line.contains(&format!(r#""resourceType":"{kind}""#)));
            all.push(line);
        }
    }
    all.sort_unstable();
    all
}

/// `Type/id` of all that an export holds, sorted.
pub async fn ids(source: &dyn Source, scope: &Scope, promise: Promise) -> Vec<String> {
    let lines = export(source, scope, 300, promise).await;
    let mut ids: Vec<String> = lines.iter().map(|line| id(line)).collect();
    ids.sort_unstable();
    ids
}

/// `Type/id` of a line.
pub fn id(line: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(line).unwrap();
    format!(
        "{}/{}",
        json["resourceType"].as_str().unwrap(),
        json["id"].as_str().unwrap()
    )
}

/// A resource with references under elements: `("subject", "Patient/p")`.
pub fn resource(name: &str, references: &[(&str, &str)]) -> String {
    let (kind, id) = name.split_once('/').unwrap();
    let mut json = serde_json::json!({ "resourceType": kind, "id": id });
    for (element, target) in references {
        json[*element] = serde_json::json!({ "reference": target });
    }
    json.to_string()
}

/// A Group with raw JSON members.
pub fn group(id: &str, members: &[&str]) -> String {
    let members = members.join(",");
    format!(r#"{{"resourceType":"Group","id":"{id}","member":[{members}]}}"#)
}
