//! `_minimumFileSize` and `_maximumFileSize`.

use super::RawParameter;
use super::check::Checker;
use crate::IssueCode;

const MINIMUM: &str = "_minimumFileSize";
const MAXIMUM: &str = "_maximumFileSize";
/// The smallest maximum: an export of many tiny files helps nobody (T-076).
const SMALLEST: u64 = 1 << 20;

impl Checker<'_> {
    pub(super) fn file_sizes(&mut self, raw: &[RawParameter]) {
        let (minimum, maximum) = (self.bytes(raw, MINIMUM), self.bytes(raw, MAXIMUM));
        if let Some(maximum) = maximum
            && maximum < SMALLEST
        {
            let text = format!("{MAXIMUM} must be {SMALLEST} bytes or more");
            self.refuse(IssueCode::NotSupported, MAXIMUM, text);
        } else if minimum >= maximum && minimum.is_some() && maximum.is_some() {
            let text = format!("{MAXIMUM} must be more than {MINIMUM}");
            self.refuse(IssueCode::Invalid, MAXIMUM, text);
        }
        self.kickoff.minimum_file = minimum;
        self.kickoff.maximum_file = maximum;
    }

    fn bytes(&mut self, raw: &[RawParameter], name: &str) -> Option<u64> {
        let value = self.single(raw, name)?;
        let bytes = value.parse().ok().filter(|bytes| *bytes > 0);
        if bytes.is_none() {
            let text = format!("{name} must be a whole number of bytes, 1 or more");
            self.refuse(IssueCode::Invalid, name, text);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kickoff;
    use crate::Issue;

    fn ask(query: &str) -> Result<Kickoff, Vec<Issue>> {
        super::super::tests::ask(query, true)
    }

    #[test]
    fn r_095_sizes_are_positive_and_the_maximum_is_more() {
        let asked = ask("_minimumFileSize=1&_maximumFileSize=2000000").unwrap();
        assert_eq!(
            (asked.minimum_file, asked.maximum_file),
            (Some(1), Some(2_000_000))
        );
        for query in [
            "_minimumFileSize=0",
            "_maximumFileSize=-1",
            "_maximumFileSize=1.5",
            "_maximumFileSize=1000",
            "_minimumFileSize=2000000&_maximumFileSize=2000000",
            "_minimumFileSize=1&_minimumFileSize=2",
        ] {
            assert!(ask(query).is_err(), "{query}");
        }
    }
}
