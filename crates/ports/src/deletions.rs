//! Makes the lines of `deleted` files: Bundles that name what was deleted.

use bytes::{Bytes, BytesMut};
use sluice_fhir::ResourceType;

use crate::{BLOCK, Block};

/// Entries of a Bundle at most: a client may take each Bundle for one transaction.
const MOST_ENTRIES: usize = 1000;

const HEAD: &[u8] = br#"{"resourceType":"Bundle","type":"transaction","entry":["#;
const ENTRY: &[u8] = br#"{"request":{"method":"DELETE","url":""#;
const ENTRY_END: &[u8] = br#""}}"#;
const END: &[u8] = b"]}\n";

/// Encodes deletions as Bundles of type transaction, one a line, whose entries have only a
/// `request` with the method `DELETE` and the URL `Type/id` (R-159).
///
/// The same deletions in the same order make the same lines, whenever blocks are taken. Whoever
/// takes them after each push never holds much more than one.
#[derive(Debug, Default)]
pub struct DeletedBundles {
    bytes: BytesMut,
    /// Bytes of the lines that have ended.
    whole: usize,
    /// Lines that have ended.
    lines: u64,
    /// Entries of the line that has not.
    entries: usize,
}

impl DeletedBundles {
    /// With nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a deleted resource.
    pub fn push(&mut self, kind: ResourceType, id: &str) {
        let separator = if self.entries == 0 { HEAD } else { b"," };
        for part in [separator, ENTRY, kind.name().as_bytes(), b"/"] {
            self.bytes.extend_from_slice(part);
        }
        for byte in id.bytes() {
            push_byte(&mut self.bytes, byte);
        }
        self.bytes.extend_from_slice(ENTRY_END);
        self.entries += 1;
        if self.entries == MOST_ENTRIES {
            self.end_line();
        }
    }

    /// A block, once there is enough for one.
    pub fn take_block(&mut self) -> Option<Block> {
        (self.whole >= BLOCK).then(|| self.take())
    }

    /// What is left, if anything is.
    pub fn finish(mut self) -> Option<Block> {
        if self.entries > 0 {
            self.end_line();
        }
        (self.whole > 0).then(|| self.take())
    }

    fn end_line(&mut self) {
        self.bytes.extend_from_slice(END);
        self.whole = self.bytes.len();
        self.lines += 1;
        self.entries = 0;
    }

    fn take(&mut self) -> Block {
        let bytes: Bytes = self.bytes.split_to(self.whole).freeze();
        self.whole = 0;
        Block {
            kind: ResourceType::BUNDLE,
            bytes,
            lines: std::mem::take(&mut self.lines),
        }
    }
}

/// Ids should need no encoding; whatever one holds, it becomes part of a URL and of a JSON text.
fn push_byte(bytes: &mut BytesMut, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        bytes.extend_from_slice(&[byte]);
    } else {
        let [high, low] = [byte >> 4, byte & 15].map(|half| HEX[usize::from(half)]);
        bytes.extend_from_slice(&[b'%', high, low]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn encode(ids: &[&str]) -> Option<Block> {
        let mut bundles = DeletedBundles::new();
        for id in ids {
            bundles.push(ResourceType::PATIENT, id);
        }
        bundles.finish()
    }

    fn bundles(block: &Block) -> Vec<Value> {
        assert_eq!(block.kind, ResourceType::BUNDLE);
        let lines = block.bytes.split_inclusive(|byte| *byte == b'\n');
        let bundles: Vec<Value> = lines
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert_eq!(u64::try_from(bundles.len()).unwrap(), block.lines);
        bundles
    }

    #[test]
    fn r_159_a_line_is_a_transaction_of_deletes() {
        let block = encode(&["a", "B-2.c"]).unwrap();
        let delete = |url: &str| json!({ "request": { "method": "DELETE", "url": url } });
        let entries = [delete("Patient/a"), delete("Patient/B-2.c")];
        assert_eq!(
            bundles(&block),
            [json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries })]
        );
        assert!(block.bytes.ends_with(b"\n"));
    }

    #[test]
    fn nothing_deleted_is_no_line() {
        assert_eq!(encode(&[]), None);
    }

    #[test]
    fn an_id_that_is_none_harms_neither_the_url_nor_the_json() {
        let block = encode(&["a\"}\n", "å/b?c", "%41"]).unwrap();
        let urls: Vec<Value> = bundles(&block)[0]["entry"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["request"]["url"].clone())
            .collect();
        let expected = [
            "Patient/a%22%7D%0A",
            "Patient/%C3%A5%2Fb%3Fc",
            "Patient/%2541",
        ];
        assert_eq!(urls, expected);
    }

    #[test]
    fn a_bundle_has_at_most_a_thousand_entries_and_a_block_about_a_mebibyte() {
        let mut bundles = DeletedBundles::new();
        let mut blocks = Vec::new();
        let total = 100_001;
        for number in 0..total {
            bundles.push(ResourceType::PATIENT, &format!("id-{number:060}"));
            blocks.extend(bundles.take_block());
        }
        assert!(blocks.len() > 5);
        for block in &blocks {
            assert!((BLOCK..BLOCK * 5 / 4).contains(&block.bytes.len()));
        }
        blocks.extend(bundles.finish());
        let sizes: Vec<usize> = blocks
            .iter()
            .flat_map(self::bundles)
            .map(|bundle| bundle["entry"].as_array().unwrap().len())
            .collect();
        assert_eq!(sizes.iter().sum::<usize>(), total);
        let (last, whole) = sizes.split_last().unwrap();
        assert!(*last == 1 && whole.iter().all(|size| *size == MOST_ENTRIES));
    }

    #[test]
    fn lines_do_not_depend_on_when_blocks_are_taken() {
        let taken_each = |every: usize| {
            let mut bundles = DeletedBundles::new();
            let mut all = Vec::new();
            for number in 0..50_000 {
                bundles.push(ResourceType::GROUP, &number.to_string());
                if number % every == 0 {
                    all.extend(bundles.take_block());
                }
            }
            all.extend(bundles.finish());
            let parts: Vec<Bytes> = all.into_iter().map(|block| block.bytes).collect();
            parts.concat()
        };
        assert!(taken_each(1) == taken_each(33_333));
    }
}
