//! A page of a search: its resources as they stand in the Bundle, and where it goes on.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_fhir::compact;

use crate::failure::Failure;

/// A page.
pub(crate) struct Page {
    /// Matches in all, if the server says so.
    pub(crate) total: Option<u64>,
    /// Where it goes on, as the server writes it.
    pub(crate) next: Option<String>,
    /// The resources, each on one line.
    pub(crate) entries: Vec<Entry>,
}

/// A resource of a page.
pub(crate) struct Entry {
    pub(crate) line: Bytes,
    /// Whether it is there because it was searched for.
    pub(crate) is_match: bool,
}

#[derive(Deserialize)]
struct RawBundle<'a> {
    #[serde(rename = "resourceType", borrow)]
    kind: Cow<'a, str>,
    #[serde(rename = "type", borrow)]
    of: Option<Cow<'a, str>>,
    total: Option<u64>,
    #[serde(default)]
    link: Vec<RawLink<'a>>,
    #[serde(default, borrow)]
    entry: Vec<RawEntry<'a>>,
}

#[derive(Deserialize)]
struct RawLink<'a> {
    #[serde(borrow)]
    relation: Option<Cow<'a, str>>,
    #[serde(borrow)]
    url: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct RawEntry<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    #[serde(borrow)]
    search: Option<RawSearch<'a>>,
}

#[derive(Deserialize)]
struct RawSearch<'a> {
    #[serde(borrow)]
    mode: Option<Cow<'a, str>>,
}

/// Reads a page. What serde says of a body that is none is left out, for it may quote it.
pub(crate) fn page(body: &Bytes) -> Result<Page, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| Failure::Nonsense("not UTF-8"))?;
    let text = text.trim_start_matches('\u{feff}');
    let raw: RawBundle<'_> =
        serde_json::from_str(text).map_err(|_| Failure::Nonsense("cut off, or no Bundle"))?;
    if raw.kind != "Bundle" || raw.of.as_deref() != Some("searchset") {
        return Err(Failure::Nonsense("no Bundle of the type searchset"));
    }
    let is_next = |link: &&RawLink<'_>| link.relation.as_deref() == Some("next");
    let next = raw.link.iter().find(is_next);
    let entries = raw.entry.iter().filter_map(|entry| {
        let mode = entry
            .search
            .as_ref()
            .and_then(|search| search.mode.as_deref());
        Some(Entry {
            line: on_one_line(body, entry.resource?.get()),
            is_match: mode.is_none_or(|mode| mode == "match"),
        })
    });
    Ok(Page {
        total: raw.total,
        next: next.and_then(|link| link.url.as_deref().map(str::to_owned)),
        entries: entries.collect(),
    })
}

/// A resource that was read alone.
pub(crate) fn resource(body: &Bytes) -> Result<Bytes, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| Failure::Nonsense("not UTF-8"))?;
    let text = text.trim_start_matches('\u{feff}');
    let raw: &RawValue =
        serde_json::from_str(text).map_err(|_| Failure::Nonsense("cut off, or no JSON"))?;
    Ok(on_one_line(body, raw.get()))
}

/// The same JSON on one line; `text` is part of `body`, and stays where it is if nothing is to be
/// taken out.
fn on_one_line(body: &Bytes, text: &str) -> Bytes {
    match compact(text.as_bytes()) {
        Cow::Borrowed(line) => body.slice_ref(line),
        Cow::Owned(line) => line.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_cut_out_as_they_stand_and_put_on_one_line() {
        let body = Bytes::from_static(
            br#"{"resourceType":"Bundle","type":"searchset","total":3,
            "link":[{"relation":"self","url":"x"},{"relation":"next","url":"y\u0026z"}],
            "entry":[{"resource":{"resourceType":"Patient","id":"a","x":1.50}},
              {"resource":{
                "resourceType" : "Patient",  "id":"b c\" \\","n":"\n \" "
              },"search":{"mode":"include"}},{"fullUrl":"none"}]}"#,
        );
        let page = page(&body).unwrap();
        assert_eq!((page.total, page.next.as_deref()), (Some(3), Some("y&z")));
        let lines: Vec<&[u8]> = page.entries.iter().map(|entry| &entry.line[..]).collect();
        let second = br#"{"resourceType":"Patient","id":"b c\" \\","n":"\n \" "}"#;
        let first = br#"{"resourceType":"Patient","id":"a","x":1.50}"#;
        assert_eq!(lines, [&first[..], &second[..]]);
        assert!(page.entries[0].is_match && !page.entries[1].is_match);
        let start = body.as_ptr() as usize;
        let at = page.entries[0].line.as_ptr() as usize;
        assert!(
            (start..start + body.len()).contains(&at),
            "nothing was copied"
        );
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for text in [
            "",
            "[]",
            r#"{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"a":"#,
            r#"{"resourceType":"Bundle","type":"history"}"#,
            r#"{"resourceType":"Bundle"}"#,
            r#"{"resourceType":"OperationOutcome","type":"searchset"}"#,
            r#"{"resourceType":"Bundle","type":"searchset","entry":{}}"#,
            "{\"resourceType\":\"Bundle\",\"type\":\"searchset\",\"entry\":[{\"resource\":{\"a\":\"\n\"}}]}",
        ] {
            assert!(page(&Bytes::from(text)).is_err(), "{text}");
        }
    }
}
