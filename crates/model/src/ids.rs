//! Identifiers, one type each, so that no two can be swapped by mistake.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::CHUNKS_PER_PAGE;

/// A text that is no such identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}")]
pub struct InvalidId {
    what: &'static str,
    text: String,
}

fn invalid(what: &'static str, text: &str) -> InvalidId {
    InvalidId {
        what,
        text: text.chars().take(80).collect(),
    }
}

macro_rules! text_form {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// A healthcare organization; the first part of every key and URL.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(String);
text_form!(TenantId);

impl TenantId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TenantId {
    type Err = InvalidId;

    /// 1 to 40 of `a-z`, `0-9` and `-`, so that it is safe in keys, URLs and file names.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=40).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(invalid("tenant name (1 to 40 of a-z, 0-9 and -)", text))
        }
    }
}

/// One accepted export: 128 random bits, so that nobody can guess it (T-050).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId([u8; 16]);
text_form!(JobId);

impl JobId {
    /// From random bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for JobId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 16];
        let canonical = !text.bytes().any(|b| b.is_ascii_uppercase());
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) if canonical => Ok(Self(bytes)),
            _ => Err(invalid("job id", text)),
        }
    }
}

/// A job and the tenant it belongs to: what a job is looked up by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobRef {
    /// The tenant.
    pub tenant: TenantId,
    /// The job.
    pub job: JobId,
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.job)
    }
}

/// One chunk of a job's plan: the page and the place on it. Deterministic, so planning twice
/// repeats a chunk and never forks it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkId {
    /// The plan page, from 1.
    pub page: u32,
    /// The place on the page, from 0.
    pub index: u32,
}
text_form!(ChunkId);

impl ChunkId {
    /// Its number in the whole plan, from 0: the bit that stands for it in the index.
    pub fn ordinal(self) -> u32 {
        self.page.saturating_sub(1) * CHUNKS_PER_PAGE + self.index
    }

    /// The chunk with this number.
    pub fn from_ordinal(ordinal: u32) -> Self {
        Self {
            page: ordinal / CHUNKS_PER_PAGE + 1,
            index: ordinal % CHUNKS_PER_PAGE,
        }
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:05}-{:02}", self.page, self.index)
    }
}

impl FromStr for ChunkId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || invalid("chunk id", text);
        let (page, index) = text.split_once('-').ok_or_else(wrong)?;
        let id = Self {
            page: page.parse().map_err(|_| wrong())?,
            index: index.parse().map_err(|_| wrong())?,
        };
        if id.page == 0 || id.index >= CHUNKS_PER_PAGE || id.to_string() != text {
            return Err(wrong());
        }
        Ok(id)
    }
}

/// One try at a chunk; part of its files' keys, so that two tries never write one object.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptId([u8; 8]);
text_form!(AttemptId);

impl AttemptId {
    /// From random bytes.
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for AttemptId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 8];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| invalid("attempt id", text))?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_refuse_paths() {
        let job = JobId::from_bytes([7; 16]);
        assert_eq!(job.to_string().parse(), Ok(job));
        assert!("../../etc/passwd".parse::<JobId>().is_err());
        assert!(
            job.to_string()
                .to_uppercase()
                .replace('0', "A")
                .parse::<JobId>()
                .is_err()
        );
        for text in ["", "A", "a/b", "..", "a b"] {
            assert!(text.parse::<TenantId>().is_err(), "{text}");
        }
    }

    #[test]
    fn chunks_and_their_numbers_are_one_to_one() {
        for ordinal in [0, 1, 63, 64, 65, 100_000] {
            let chunk = ChunkId::from_ordinal(ordinal);
            assert_eq!(chunk.ordinal(), ordinal);
            assert_eq!(chunk.to_string().parse(), Ok(chunk));
        }
        assert!("1-1".parse::<ChunkId>().is_err());
    }
}
