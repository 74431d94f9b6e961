//! Searches of URIs and canonicals.

use serde::{Deserialize, Serialize};

use super::leaf::{self, Text};
use super::place::Datatype;

/// How a URI is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum How {
    /// It is what is asked.
    Is,
    /// It is what is asked, or lies below that.
    Below,
    /// It is what is asked, or above that.
    Above,
}

/// What a URI should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UriTest {
    pub(super) how: How,
    pub(super) wanted: String,
}

impl UriTest {
    /// Whether a value is what is wanted. A canonical is so in any version, if none is asked for.
    pub(super) fn matches(&self, datatype: Datatype, json: &str) -> bool {
        let Some(Text(found)) = leaf::read::<Text<'_>>(json) else {
            return false;
        };
        if self.fits(&found) {
            return true;
        }
        let versioned = found
            .split_once('|')
            .filter(|_| datatype == Datatype::Canonical);
        versioned.is_some_and(|(url, _)| self.fits(url))
    }

    fn fits(&self, found: &str) -> bool {
        found == self.wanted
            || match self.how {
                How::Is => false,
                How::Below => is_below(found, &self.wanted),
                How::Above => is_below(&self.wanted, found),
            }
    }
}

fn is_below(inner: &str, outer: &str) -> bool {
    let rest = inner.strip_prefix(outer);
    rest.is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(how: How, wanted: &str, datatype: Datatype, json: &str) -> bool {
        let wanted = wanted.to_owned();
        UriTest { how, wanted }.matches(datatype, json)
    }

    #[test]
    fn uris_are_whole_and_canonicals_have_versions() {
        let uri = |how, wanted| matches(how, wanted, Datatype::Uri, r#""http://h/a""#);
        assert!(uri(How::Is, "http://h/a") && !uri(How::Is, "http://h/A"));
        assert!(uri(How::Below, "http://h") && !uri(How::Below, "http://h/a/b"));
        assert!(uri(How::Above, "http://h/a/b") && !uri(How::Above, "http://h/ab"));
        let canonical = |wanted| matches(How::Is, wanted, Datatype::Canonical, r#""http://h/a|2""#);
        assert!(canonical("http://h/a") && canonical("http://h/a|2"));
        assert!(!canonical("http://h/a|1"));
        assert!(!matches(
            How::Is,
            "http://h/a",
            Datatype::Uri,
            r#""http://h/a|2""#
        ));
    }
}
