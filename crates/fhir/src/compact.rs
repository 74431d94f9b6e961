//! JSON on one line.

use std::borrow::Cow;

/// JSON without the white space between its parts, so that it fits on a line.
pub fn compact(json: &[u8]) -> Cow<'_, [u8]> {
    let mut seen = Compactor::default();
    let is_compact = json.iter().all(|byte| {
        let is_kept = seen.is_text || !is_blank(*byte);
        seen.step(*byte);
        is_kept
    });
    if is_compact {
        return Cow::Borrowed(json);
    }
    let mut compact = Vec::with_capacity(json.len());
    Compactor::default().push(json, &mut compact);
    Cow::Owned(compact)
}

/// Takes the white space out of JSON that comes in pieces.
#[derive(Debug, Default)]
pub struct Compactor {
    is_text: bool,
    is_escaped: bool,
}

impl Compactor {
    /// Adds what is left of a piece. A line break within a text, which JSON forbids, is escaped.
    pub fn push(&mut self, json: &[u8], to: &mut Vec<u8>) {
        for byte in json {
            let was_text = self.is_text;
            self.step(*byte);
            match byte {
                b'\n' if was_text => to.extend_from_slice(b"\\n"),
                b'\r' if was_text => to.extend_from_slice(b"\\r"),
                byte if !was_text && is_blank(*byte) => {}
                byte => to.push(*byte),
            }
        }
    }

    /// Goes past a piece that stays as it is.
    pub fn pass(&mut self, json: &[u8]) {
        for byte in json {
            self.step(*byte);
        }
    }

    fn step(&mut self, byte: u8) {
        if self.is_text {
            self.is_text = self.is_escaped || byte != b'"';
            self.is_escaped = !self.is_escaped && byte == b'\\';
        } else {
            self.is_text = byte == b'"';
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blanks_between_the_parts_go() {
        let text = br#"{ "a b" : "c\\" ,
            "d":"\" " }"#;
        assert_eq!(&*compact(text), br#"{"a b":"c\\","d":"\" "}"#);
        let is_borrowed = |text: &'static [u8]| matches!(compact(text), Cow::Borrowed(_));
        assert!(is_borrowed(br#"{"a b":"c  d"}"#) && !is_borrowed(br#"{"a": 1}"#));
    }
}
