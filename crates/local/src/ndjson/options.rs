//! What an operator may say about the folder, and the `ndjson:` address that says it.

use std::path::PathBuf;

/// What counts as the last change of a resource without `meta.lastUpdated`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Undated {
    /// It is not known, so `_since` and `_until` let the resource pass.
    #[default]
    Include,
    /// The time at which its file was last written.
    FileTime,
}

/// How to read a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NdjsonOptions {
    /// The folder; what lies in its subfolders counts too, but not below a name with a dot first.
    pub dir: PathBuf,
    /// Where the index and unpacked files are kept; `.sluice` in the folder unless said otherwise.
    pub index_dir: Option<PathBuf>,
    /// Skip broken lines, empty files and duplicates, and tell, instead of refusing the folder.
    pub lenient: bool,
    /// What to do about resources without a time.
    pub undated: Undated,
}

/// An address that names no folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// Nothing before the question mark.
    #[error("the address names no folder; write ndjson:DIR")]
    NoFolder,
    /// A key that means nothing.
    #[error("unknown option {0:?}; there are lenient, undated and index")]
    UnknownOption(String),
    /// A value that means nothing.
    #[error("option {0} takes {1}")]
    BadValue(&'static str, &'static str),
}

impl NdjsonOptions {
    /// A folder with every option at its default.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            index_dir: None,
            lenient: false,
            undated: Undated::Include,
        }
    }

    /// Reads `DIR?lenient=true&undated=file-time&index=PATH`; what follows `ndjson:`. Nothing is
    /// percent-decoded: a folder with a question mark in its name cannot be written so.
    pub fn from_uri_path(text: &str) -> Result<Self, InvalidAddress> {
        let (dir, query) = text.split_once('?').unwrap_or((text, ""));
        if dir.is_empty() {
            return Err(InvalidAddress::NoFolder);
        }
        let mut options = Self::new(dir);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            options.set(key, value)?;
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), InvalidAddress> {
        match (key, value) {
            ("lenient", "true") => self.lenient = true,
            ("lenient", "false") => self.lenient = false,
            ("lenient", _) => return Err(InvalidAddress::BadValue("lenient", "true or false")),
            ("undated", "include") => self.undated = Undated::Include,
            ("undated", "file-time") => self.undated = Undated::FileTime,
            ("undated", _) => {
                return Err(InvalidAddress::BadValue("undated", "include or file-time"));
            }
            ("index", "") => return Err(InvalidAddress::BadValue("index", "a folder")),
            ("index", path) => self.index_dir = Some(path.into()),
            _ => return Err(InvalidAddress::UnknownOption(key.to_owned())),
        }
        Ok(())
    }

    /// Where the index is kept.
    pub(super) fn index_dir(&self) -> PathBuf {
        match &self.index_dir {
            Some(dir) => dir.clone(),
            None => self.dir.join(".sluice"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_can_be_said() {
        let options =
            NdjsonOptions::from_uri_path("/d?lenient=true&undated=file-time&index=/i").unwrap();
        assert!(options.lenient);
        assert_eq!(options.undated, Undated::FileTime);
        assert_eq!(options.index_dir(), PathBuf::from("/i"));
        let plain = NdjsonOptions::from_uri_path("data/x").unwrap();
        assert_eq!(plain, NdjsonOptions::new("data/x"));
        assert_eq!(plain.index_dir(), PathBuf::from("data/x/.sluice"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "?lenient=true",
            "d?x=1",
            "d?lenient=yes",
            "d?undated=",
            "d?index=",
        ] {
            assert!(NdjsonOptions::from_uri_path(text).is_err(), "{text}");
        }
    }
}
