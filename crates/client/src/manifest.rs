//! A server's manifest, and the names its files get here.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::ExportError;

/// What the names of files of blocks have behind the type that blocks are about.
const BLOCKS: &str = "-blocks";

/// A manifest, as any version of the guide writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// T.
    pub transaction_time: String,
    /// Whether files need the access token.
    #[serde(default)]
    pub requires_access_token: bool,
    /// By the resources of which type the data is organized: its files then have no type, and a block that goes on
    /// in another file is of no concern here, for that file is listed too.
    #[serde(default)]
    pub output_organized_by: Option<String>,
    /// The data.
    #[serde(default, deserialize_with = "or_none")]
    pub output: Vec<Entry>,
    /// Messages.
    #[serde(default, deserialize_with = "or_none")]
    pub error: Vec<Entry>,
    /// What version 4 calls them.
    #[serde(default, deserialize_with = "or_none")]
    pub outcome: Vec<Entry>,
    /// What was deleted.
    #[serde(default, deserialize_with = "or_none")]
    pub deleted: Vec<Entry>,
    /// Where it goes on.
    #[serde(default, deserialize_with = "or_none")]
    pub link: Vec<PageLink>,
}

/// A link to another page.
#[derive(Clone, Debug, Deserialize)]
pub struct PageLink {
    /// `next`.
    pub relation: String,
    /// Where it is.
    pub url: String,
}

/// `null` is what some servers write for an empty list.
fn or_none<'de, D, T>(json: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<Vec<T>>::deserialize(json).map(Option::unwrap_or_default)
}

/// One file of a manifest.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// The type of its lines.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Where it is.
    pub url: String,
    /// Lines in it.
    pub count: Option<u64>,
    #[serde(default)]
    extension: Value,
}

impl Entry {
    /// Its bytes before any encoding, if the server is a Sluice.
    pub fn bytes(&self) -> Option<u64> {
        self.extension.get("urn:sluice:bytes")?.as_u64()
    }

    fn is_same_file(&self, other: &Self) -> bool {
        let path = |url: &str| url.split('?').next().map(str::to_owned);
        path(&self.url) == path(&other.url)
    }

    /// Whether anything tells a right file from a wrong one.
    pub(crate) fn can_be_checked(&self) -> bool {
        self.count.is_some() || self.bytes().is_some() || self.sha256().is_some()
    }

    /// Their SHA-256, if the server is a Sluice.
    pub fn sha256(&self) -> Option<&str> {
        self.extension.get("urn:sluice:sha256")?.as_str()
    }
}

/// A file to fetch: where it goes, and its entry.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) entry: Entry,
}

impl Wanted {
    /// Whether it holds what was asked for, not messages or deletions.
    pub(crate) fn is_data(&self) -> bool {
        !self.name.contains('/')
    }
}

impl Manifest {
    fn messages(&self) -> Vec<Entry> {
        self.error.iter().chain(&self.outcome).cloned().collect()
    }

    /// The next page, if there is one.
    pub(crate) fn next(&self) -> Option<&str> {
        let next = self.link.iter().find(|link| link.relation == "next");
        next.map(|link| link.url.as_str())
    }

    /// Adds what another page lists. Messages are repeated on every page of version 3, and the last may have
    /// more; the links to the same file may differ in their queries.
    pub(crate) fn add_page(&mut self, page: Self) {
        for entry in page.error {
            if !self.error.iter().any(|known| known.is_same_file(&entry)) {
                self.error.push(entry);
            }
        }
        self.output.extend(page.output);
        self.deleted.extend(page.deleted);
        self.outcome.extend(page.outcome);
        self.link = page.link;
    }

    /// Every file with its name here: by type, numbered in the order of the manifest, which never
    /// changes, so that a later run finds them again.
    pub(crate) fn wanted(&self) -> Result<Vec<Wanted>, ExportError> {
        let by = self.output_organized_by.as_deref();
        let (default, suffix) = by.map_or(("Resource", ""), |kind| (kind, BLOCKS));
        let lists = [
            ("", default, suffix, &self.output),
            ("error/", "OperationOutcome", "", &self.messages()),
            ("deleted/", "Bundle", "", &self.deleted),
        ];
        let mut wanted = Vec::new();
        for (folder, default, suffix, entries) in lists {
            let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
            for entry in entries {
                let kind = entry.kind.as_deref().unwrap_or(default);
                // It becomes a file name.
                if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                    return Err(ExportError::nonsense(
                        "reading the manifest",
                        "a file's type is not the name of a resource type",
                    ));
                }
                let number = numbers.entry(kind).or_default();
                *number += 1;
                wanted.push(Wanted {
                    name: format!("{folder}{kind}{suffix}.{number}.ndjson"),
                    entry: entry.clone(),
                });
            }
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(kind: &str) -> Manifest {
        let file = serde_json::json!({ "type": kind, "url": "http://h/f" });
        serde_json::from_value(serde_json::json!({
            "transactionTime": "2026-03-01T00:00:00Z",
            "request": "http://h/$export",
            "requiresAccessToken": false,
            "output": [file, file],
            "error": [],
            "deleted": [{ "type": "Bundle", "url": "http://h/d" }],
        }))
        .unwrap()
    }

    #[test]
    fn names_are_numbered_by_type() {
        let wanted = manifest("Patient").wanted().unwrap();
        assert_eq!(wanted[1].name, "Patient.2.ndjson");
        assert_eq!(wanted[2].name, "deleted/Bundle.1.ndjson");
        assert!(wanted[1].is_data() && !wanted[2].is_data());
    }

    #[test]
    fn r_144_files_of_blocks_are_named_by_what_blocks_are_about() {
        let manifest = |by: &str| -> Manifest {
            serde_json::from_value(serde_json::json!({
                "transactionTime": "2026-03-01T00:00:00Z",
                "outputOrganizedBy": by,
                "output": [{ "url": "http://h/1", "continuesInFile": "http://h/2" }, { "url": "http://h/2" }],
                "deleted": [{ "type": "Bundle", "url": "http://h/d" }],
            }))
            .unwrap()
        };
        let wanted = manifest("Patient").wanted().unwrap();
        let names: Vec<&str> = wanted.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "Patient-blocks.1.ndjson",
                "Patient-blocks.2.ndjson",
                "deleted/Bundle.1.ndjson"
            ]
        );
        assert!(wanted[1].is_data());
        assert!(manifest("../x").wanted().is_err());
    }

    #[test]
    fn r_170_messages_that_pages_repeat_are_one_and_no_other_is_lost() {
        let page = |files: &[&str]| -> Manifest {
            let entry = |file: &&str| serde_json::json!({ "url": file });
            let files: Vec<_> = files.iter().map(entry).collect();
            let page =
                serde_json::json!({ "transactionTime": "", "output": [files[0]], "error": files });
            serde_json::from_value(page).unwrap()
        };
        let mut whole = page(&["http://h/a?expires=1"]);
        whole.add_page(page(&["http://h/a?expires=2"]));
        whole.add_page(page(&["http://h/a?expires=3", "http://h/b?expires=3"]));
        let names = whole.wanted().unwrap().into_iter().map(|file| file.name);
        let errors = names.filter(|name| name.starts_with("error/")).count();
        assert_eq!((whole.output.len(), errors), (3, 2));
    }

    #[test]
    fn a_type_cannot_lead_out_of_the_folder() {
        for kind in ["../x", "a/b", "", "C:\\x", "."] {
            assert!(manifest(kind).wanted().is_err(), "{kind}");
        }
    }
}
