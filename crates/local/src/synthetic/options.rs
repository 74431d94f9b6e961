//! What an operator may say about made-up patients, and the `synthetic:` address that says it.

use std::time::Duration;

/// The longest wait that can be asked for: longer than any chunk may take by default.
const LONGEST_WAIT_MS: u64 = 600_000;
/// The shortest line: it must hold all that an Observation has.
pub(super) const FEWEST_BYTES: u64 = 390;
/// Bytes of a block, which is also the longest line of a patient.
pub(super) const BLOCK: u64 = 1 << 20;

/// How many patients, how much of each, and how slowly. Always within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyntheticOptions {
    /// Patients, numbered from 1; as many as eight digits can number.
    pub(super) patients: u32,
    /// Observations of each.
    pub(super) observations: u32,
    /// Bytes of each line of either type, its newline included.
    pub(super) bytes: u64,
    /// The wait before the first block of a slice.
    pub(super) read_wait: Duration,
    /// The wait before each block.
    pub(super) block_wait: Duration,
}

/// An address that says nothing sensible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSynthetic {
    /// There is something before the question mark.
    #[error("{0:?} is no option; write synthetic: or synthetic:?patients=1000")]
    NoOption(String),
    /// A key that means nothing.
    #[error("unknown option {0:?}; there are patients, observations, bytes, read_ms and block_ms")]
    UnknownOption(String),
    /// A value that is no number, or out of bounds.
    #[error("option {0} takes a whole number from {1} to {2}")]
    BadValue(&'static str, u64, u64),
    /// An option that is there twice.
    #[error("option {0} is there twice")]
    Repeated(String),
}

impl Default for SyntheticOptions {
    /// A million patients with four Observations each, 400 bytes a line, and no waiting.
    fn default() -> Self {
        Self {
            patients: 1_000_000,
            observations: 4,
            bytes: 400,
            read_wait: Duration::ZERO,
            block_wait: Duration::ZERO,
        }
    }
}

impl SyntheticOptions {
    /// Reads `?patients=1000000&observations=4&bytes=400&read_ms=0&block_ms=0`, each of which may
    /// be left out; what follows `synthetic:`.
    pub fn from_uri_path(text: &str) -> Result<Self, InvalidSynthetic> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        if !path.is_empty() {
            return Err(InvalidSynthetic::NoOption(path.to_owned()));
        }
        let mut options = Self::default();
        let mut seen = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if seen.contains(&key) {
                return Err(InvalidSynthetic::Repeated(key.to_owned()));
            }
            options.set(key, value)?;
            seen.push(key);
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), InvalidSynthetic> {
        match key {
            "patients" => self.patients = number("patients", value, (1, 99_999_999))?,
            "observations" => self.observations = number("observations", value, (0, 9_999))?,
            "bytes" => self.bytes = number("bytes", value, (FEWEST_BYTES, BLOCK))?,
            "read_ms" => self.read_wait = wait("read_ms", value)?,
            "block_ms" => self.block_wait = wait("block_ms", value)?,
            _ => return Err(InvalidSynthetic::UnknownOption(key.to_owned())),
        }
        Ok(())
    }

    /// Names all that decides about the bytes of an export. How slowly they come does not, so it
    /// may be changed while exports run. The first number goes up when lines are made otherwise.
    pub(super) fn token(&self) -> String {
        format!(
            "synthetic-1?patients={}&observations={}&bytes={}",
            self.patients, self.observations, self.bytes
        )
    }
}

fn number<T: TryFrom<u64>>(
    option: &'static str,
    value: &str,
    (min, max): (u64, u64),
) -> Result<T, InvalidSynthetic> {
    let wrong = InvalidSynthetic::BadValue(option, min, max);
    match value.parse::<u64>() {
        Ok(number) if (min..=max).contains(&number) => T::try_from(number).map_err(|_| wrong),
        _ => Err(wrong),
    }
}

fn wait(option: &'static str, value: &str) -> Result<Duration, InvalidSynthetic> {
    number(option, value, (0, LONGEST_WAIT_MS)).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_can_be_said_or_left_out() {
        let text = "?patients=7&observations=0&bytes=500&read_ms=20&block_ms=3";
        let options = SyntheticOptions::from_uri_path(text).unwrap();
        let expected = SyntheticOptions {
            patients: 7,
            observations: 0,
            bytes: 500,
            read_wait: Duration::from_millis(20),
            block_wait: Duration::from_millis(3),
        };
        assert_eq!(options, expected);
        for text in ["", "?"] {
            let options = SyntheticOptions::from_uri_path(text).unwrap();
            assert_eq!(options, SyntheticOptions::default());
        }
    }

    #[test]
    fn a_refusal_names_the_option_and_what_it_takes() {
        for (text, expected) in [
            ("data", "\"data\" is no option"),
            ("?patient=3", "unknown option \"patient\"; there are pat"),
            (
                "?patients=0",
                "option patients takes a whole number from 1 to",
            ),
            ("?patients=100000000", "to 99999999"),
            ("?patients", "option patients takes"),
            ("?observations=10000", "option observations takes"),
            ("?observations=-1", "from 0 to 9999"),
            (
                "?bytes=389",
                "option bytes takes a whole number from 390 to 1048576",
            ),
            ("?bytes=1048577", "option bytes takes"),
            ("?read_ms=1s", "option read_ms takes"),
            ("?block_ms=600001", "option block_ms takes"),
            ("?bytes=400&bytes=400", "option bytes is there twice"),
        ] {
            let refused = SyntheticOptions::from_uri_path(text).unwrap_err();
            assert!(refused.to_string().contains(expected), "{text}: {refused}");
        }
    }
}
