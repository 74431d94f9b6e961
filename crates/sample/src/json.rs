//! A writer of JSON into one buffer that is used again for every line.
//!
//! Resources are written as they are made rather than built as trees: the order of the keys is
//! then ours (`resourceType` first), and a line costs no allocation.

use std::fmt::{self, Display, Write};

/// A JSON object being written.
#[derive(Debug, Default)]
pub(crate) struct Json {
    buffer: String,
    /// Whether nothing stands yet in the innermost object or list.
    empty: bool,
}

impl Json {
    /// Throws away what was written, and writes one object.
    pub(crate) fn restart(&mut self, body: impl FnOnce(&mut Self)) {
        self.buffer.clear();
        self.empty = true;
        self.nest(['{', '}'], body);
    }

    /// What was written since the restart.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.buffer.as_bytes()
    }

    /// Makes room for so many bytes.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.buffer.reserve(bytes);
    }

    /// What was written since the restart, for keeping.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.buffer.into_bytes()
    }

    /// A member that is an object.
    pub(crate) fn object(&mut self, key: &str, body: impl FnOnce(&mut Self)) {
        self.key(key);
        self.nest(['{', '}'], body);
    }

    /// A member that is a list.
    pub(crate) fn list(&mut self, key: &str, body: impl FnOnce(&mut Self)) {
        self.key(key);
        self.nest(['[', ']'], body);
    }

    /// An object in a list.
    pub(crate) fn item(&mut self, body: impl FnOnce(&mut Self)) {
        self.separate();
        self.nest(['{', '}'], body);
    }

    /// A member that is a list of one object, which FHIR has many of.
    pub(crate) fn single(&mut self, key: &str, body: impl FnOnce(&mut Self)) {
        self.list(key, |json| json.item(body));
    }

    /// A member that is a string.
    pub(crate) fn text<T: Display + ?Sized>(&mut self, key: &str, value: &T) {
        self.key(key);
        self.quoted(value);
    }

    /// A string in a list.
    pub(crate) fn text_item<T: Display + ?Sized>(&mut self, value: &T) {
        self.separate();
        self.quoted(value);
    }

    /// A member that is a list of one string.
    pub(crate) fn text_list<T: Display + ?Sized>(&mut self, key: &str, value: &T) {
        self.list(key, |json| json.text_item(value));
    }

    /// A member that is a number or a truth value: written as it is.
    pub(crate) fn bare<T: Display + ?Sized>(&mut self, key: &str, value: &T) {
        self.key(key);
        // Writing to a string cannot fail.
        let _ = write!(self.buffer, "{value}");
    }

    /// A number in a list.
    pub(crate) fn bare_item<T: Display + ?Sized>(&mut self, value: &T) {
        self.separate();
        let _ = write!(self.buffer, "{value}");
    }

    fn key(&mut self, key: &str) {
        self.separate();
        self.buffer.push('"');
        self.buffer.push_str(key);
        self.buffer.push_str("\":");
    }

    fn separate(&mut self) {
        if !self.empty {
            self.buffer.push(',');
        }
        self.empty = false;
    }

    fn nest(&mut self, [open, close]: [char; 2], body: impl FnOnce(&mut Self)) {
        self.buffer.push(open);
        self.empty = true;
        body(self);
        self.buffer.push(close);
        self.empty = false;
    }

    fn quoted<T: Display + ?Sized>(&mut self, value: &T) {
        self.buffer.push('"');
        let _ = write!(Escaped(&mut self.buffer), "{value}");
        self.buffer.push('"');
    }
}

/// Escapes what JSON wants escaped in a string.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest
            .bytes()
            .position(|b| b < 0x20 || b == b'"' || b == b'\\')
        {
            let (plain, special) = rest.split_at(at);
            let (special, after) = special.split_at(1);
            self.0.push_str(plain);
            match special {
                "\"" => self.0.push_str("\\\""),
                "\\" => self.0.push_str("\\\\"),
                "\n" => self.0.push_str("\\n"),
                other => {
                    for byte in other.bytes() {
                        write!(self.0, "\\u{byte:04x}")?;
                    }
                }
            }
            rest = after;
        }
        self.0.push_str(rest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_and_escapes_are_valid_json() {
        let mut json = Json::default();
        for _ in 0..2 {
            json.restart(|json| {
                json.text("a", "say \"hi\"\\\n\té");
                json.list("b", |_| {});
                json.list("c", |json| {
                    json.item(|json| json.bare("n", &-1));
                    json.item(|json| json.text_list("x", "y"));
                });
                json.object("d", |_| {});
                json.bare("e", &true);
            });
        }
        let value: serde_json::Value = serde_json::from_slice(json.as_bytes()).unwrap();
        let wanted = serde_json::json!({
            "a": "say \"hi\"\\\n\té", "b": [], "c": [{"n": -1}, {"x": ["y"]}], "d": {}, "e": true
        });
        assert_eq!(value, wanted);
    }
}
