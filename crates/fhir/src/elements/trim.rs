//! Trims a resource to some of its root elements, in one pass over its raw JSON.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::search::{Matcher, Scratch, Text, member};

/// What says of a resource that it is not whole (R-061).
const TAG: &str =
    r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}"#;
const CODE: &str = r#""SUBSETTED""#;

/// Trims resources of one type.
#[derive(Clone, Debug)]
pub struct Trim {
    /// Members that stay; one that begins with `_` stays with the element that it is about.
    names: Vec<String>,
}

/// Members of a line, and what queries ask for in them; kept from line to line so that it need not grow again.
#[derive(Debug, Default)]
pub struct TrimScratch {
    kept: Vec<Member>,
    asked: Scratch,
}

#[derive(Debug)]
struct Member {
    /// Which of the names that stay.
    name: usize,
    /// Whether it is about the primitive element of that name.
    is_about: bool,
    value: Range<usize>,
}

impl Trim {
    pub(super) fn to(names: Vec<String>) -> Self {
        Self { names }
    }

    /// Appends what is left of a resource, a whole JSON object, if it meets the queries; whether it did. One walk
    /// over the line serves both.
    pub fn line(
        &self,
        line: &str,
        queries: Option<&Matcher>,
        scratch: &mut TrimScratch,
        out: &mut Vec<u8>,
    ) -> Result<bool, serde_json::Error> {
        scratch.kept.clear();
        scratch.asked.clear();
        let mut json = serde_json::Deserializer::from_str(line);
        let members = Members {
            trim: self,
            queries,
            line,
            scratch: &mut *scratch,
        };
        let is_whole = (&mut json).deserialize_map(members)?;
        json.end()?;
        if queries.is_some_and(|queries| !queries.is_met(line, &scratch.asked)) {
            return Ok(false);
        }
        self.write(line, &scratch.kept, is_whole, out);
        Ok(true)
    }

    fn write(&self, line: &str, kept: &[Member], is_whole: bool, out: &mut Vec<u8>) {
        out.push(b'{');
        let (start, mut is_tagged) = (out.len(), is_whole);
        for member in kept {
            let name = &self.names[member.name];
            let value = &line[member.value.clone()];
            if !is_tagged && name == "meta" && !member.is_about && value == "null" {
                continue;
            }
            begin(out, start, name, member.is_about);
            if is_tagged || name != "meta" || member.is_about || !value.starts_with('{') {
                out.extend_from_slice(value.as_bytes());
            } else {
                tag(value, out);
                is_tagged = true;
            }
        }
        if !is_tagged {
            begin(out, start, "meta", false);
            tag("{}", out);
        }
        out.push(b'}');
    }
}

fn begin(out: &mut Vec<u8>, start: usize, name: &str, is_about: bool) {
    if out.len() > start {
        out.push(b',');
    }
    out.extend_from_slice(if is_about { b"\"_" } else { b"\"" });
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends a `meta` with the tag in it.
fn tag(meta: &str, out: &mut Vec<u8>) {
    let (inner, tags) = (meta.trim_end_matches('}'), member(meta, "tag"));
    let mut put = |texts: &[&str]| {
        for text in texts {
            out.extend_from_slice(text.as_bytes());
        }
    };
    match tags {
        Some(tags) if tags.contains(CODE) => put(&[meta]),
        Some(tags) if tags.starts_with('[') => {
            let end = tags.as_ptr().addr() - meta.as_ptr().addr() + tags.len() - 1;
            let is_first = tags[1..tags.len() - 1].trim().is_empty();
            let comma = if is_first { "" } else { "," };
            put(&[&meta[..end], comma, TAG, &meta[end..]]);
        }
        // No list is no place for it; this is not FHIR, and stays as it is.
        Some(_) => put(&[meta]),
        None => {
            let end = meta.len() - 1;
            let comma = if inner.trim() == "{" { "" } else { "," };
            put(&[&meta[..end], comma, "\"tag\":[", TAG, "]}"]);
        }
    }
}

/// Walks the members of a resource; the answer is whether all of them stay.
struct Members<'t, 's, 'de> {
    trim: &'t Trim,
    queries: Option<&'t Matcher>,
    line: &'de str,
    scratch: &'s mut TrimScratch,
}

impl<'de> Visitor<'de> for Members<'_, '_, 'de> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a resource")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut is_whole = true;
        while let Some(key) = map.next_key::<Text<'de>>()? {
            let asked = self.queries.and_then(|queries| queries.root(&key.0));
            let (name, is_about) = match key.0.strip_prefix('_') {
                Some(name) => (name, true),
                None => (&*key.0, false),
            };
            let stays = self.trim.names.iter().position(|own| own == name);
            is_whole &= stays.is_some();
            if asked.is_none() && stays.is_none() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value::<&'de RawValue>()?;
            if let Some(asked) = asked {
                let taken = asked.take(self.line, value, &mut self.scratch.asked);
                taken.map_err(A::Error::custom)?;
            }
            if let Some(name) = stays {
                let value = range(self.line, value.get());
                let value = value.ok_or_else(|| A::Error::custom("a value outside its line"))?;
                self.scratch.kept.push(Member {
                    name,
                    is_about,
                    value,
                });
            }
        }
        Ok(is_whole)
    }
}

/// Where a value stands in its line.
fn range(line: &str, value: &str) -> Option<Range<usize>> {
    let start = value.as_ptr().addr().checked_sub(line.as_ptr().addr())?;
    Some(start..start + value.len())
}
