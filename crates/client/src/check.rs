//! Counts and hashes a file while it is written, and holds it against its entry.

use std::path::Path;

use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use crate::Entry;

/// What was seen of a file so far.
#[derive(Clone, Default)]
pub(crate) struct Check {
    hash: Sha256,
    newlines: u64,
    bytes: u64,
    /// The last byte, if it is no newline.
    open_end: Option<u8>,
}

/// What a whole file amounts to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Seen {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl Check {
    /// Sees the next bytes.
    pub(crate) fn see(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        self.hash.update(bytes);
        let newlines = memchr::memchr_iter(b'\n', bytes).count();
        self.newlines += u64::try_from(newlines).unwrap_or(u64::MAX);
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.open_end = (*last != b'\n').then_some(*last);
    }

    /// Sees what an earlier run left of a file.
    pub(crate) async fn of(path: &Path) -> std::io::Result<Self> {
        let mut file = tokio::fs::File::open(path).await?;
        let mut block = vec![0; 1 << 20];
        let mut check = Self::default();
        loop {
            let read = file.read(&mut block).await?;
            if read == 0 {
                return Ok(check);
            }
            check.see(&block[..read]);
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the last line can be whole: it ends, or ends as an object does.
    pub(crate) fn ends_well(&self) -> bool {
        self.open_end.is_none_or(|byte| byte == b'}')
    }

    /// A last line without its newline is a line too.
    pub(crate) fn finish(self) -> Seen {
        Seen {
            count: self.newlines + u64::from(self.open_end.is_some()),
            bytes: self.bytes,
            sha256: hex::encode(self.hash.finalize()),
        }
    }
}

impl Seen {
    /// What differs from the entry, in words.
    pub(crate) fn differs_from(&self, entry: &Entry) -> Option<String> {
        if let Some(bytes) = entry.bytes().filter(|bytes| *bytes != self.bytes) {
            return Some(format!("{} bytes instead of {bytes}", self.bytes));
        }
        if entry
            .sha256()
            .is_some_and(|sha256| !sha256.eq_ignore_ascii_case(&self.sha256))
        {
            return Some("its SHA-256 is another".to_owned());
        }
        let count = entry.count.filter(|count| *count != self.count)?;
        Some(format!("{} lines instead of {count}", self.count))
    }
}
