//! A setting that must not be shown.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A password, or an address with one in it. `Debug` and `Display` leave the password out.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// With this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// All of it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once("://") {
            Some((scheme, rest)) => {
                let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
                write!(f, "{scheme}://{place}")
            }
            // An address without a host has no password.
            None if self.0.ends_with(':') => f.write_str(&self.0),
            None => f.write_str("***"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_do_not_show() {
        let shown = |text: &str| format!("{:?} {}", Secret::new(text), Secret::new(text));
        let url = "amqp://me:p@ss@host:5672/%2f";
        assert_eq!(shown(url), "amqp://host:5672/%2f amqp://host:5672/%2f");
        assert_eq!(shown("memory:"), "memory: memory:");
        assert_eq!(shown("hunter2"), "*** ***");
    }
}
