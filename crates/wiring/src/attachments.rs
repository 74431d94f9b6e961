//! Makes the addresses of attachments absolute: what a resource has as `Binary/id` a client of files could not find
//! (R-199).

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::future::ready;
use futures::stream::once;
use memchr::memmem::Finder;
use sluice_fhir::ResourceType;
use sluice_model::{Scope, Slice, Snapshot};
use sluice_ports::{
    Block, BlockStream, ByteStream, GroupPage, GroupQuery, PlanStep, PopulationError, PortError,
    Source,
};

/// What a relative address begins with, the quote of its string included.
const RELATIVE: &[u8] = b"\"Binary/";

/// So much of a line that goes on is held back: what tells whether something is an address, and no more.
const HELD_BACK: usize = 128;

/// A source whose attachments have absolute addresses.
pub(crate) struct AbsoluteAttachments {
    source: Arc<dyn Source>,
    base: Arc<str>,
}

impl AbsoluteAttachments {
    /// Below this FHIR base, which has no slash at its end.
    pub(crate) fn new(source: Arc<dyn Source>, base: &str) -> Self {
        let base = base.trim_end_matches('/').into();
        Self { source, base }
    }
}

#[async_trait]
impl Source for AbsoluteAttachments {
    async fn snapshot(&self) -> Result<Snapshot, PortError> {
        self.source.snapshot().await
    }

    async fn check(&self, scope: &Scope) -> Result<(), PopulationError> {
        self.source.check(scope).await
    }

    async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, PortError> {
        self.source.groups(query).await
    }

    async fn group(&self, id: &str) -> Result<Option<ByteStream>, PortError> {
        self.source.group(id).await
    }

    async fn plan(
        &self,
        scope: &Scope,
        target: u64,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<PlanStep, PortError> {
        self.source.plan(scope, target, limit, cursor).await
    }

    async fn remarks(&self, scope: &Scope) -> Result<Vec<sluice_fhir::Issue>, PortError> {
        self.source.remarks(scope).await
    }

    async fn read(&self, scope: &Scope, slice: &Slice) -> Result<BlockStream, PortError> {
        let blocks = self.source.read(scope, slice).await?;
        if slice.deleted {
            return Ok(blocks);
        }
        // Behind the last block, what is held back of a line that never ended: whoever counts lines is to see it.
        let blocks = blocks.map(Some).chain(once(ready(None)));
        let mut rewriting = Rewriting::new(&self.base);
        let blocks = blocks.filter_map(move |block| {
            ready(match block {
                Some(block) => block.map(|block| rewriting.block(block)).transpose(),
                None => rewriting.rest().map(Ok),
            })
        });
        Ok(blocks.boxed())
    }
}

/// Rewrites block after block.
struct Rewriting {
    base: Arc<str>,
    relative: Finder<'static>,
    /// The type of what is held back.
    kind: ResourceType,
    /// The end of what is there of a line that goes on.
    held: BytesMut,
}

impl Rewriting {
    fn new(base: &Arc<str>) -> Self {
        Self {
            base: Arc::clone(base),
            relative: Finder::new(RELATIVE),
            kind: ResourceType::BUNDLE,
            held: BytesMut::new(),
        }
    }

    /// `None` if all of a piece is held back.
    fn block(&mut self, block: Block) -> Option<Block> {
        self.kind = block.kind;
        let ends = block.bytes.last() == Some(&b'\n');
        let bytes = if self.held.is_empty() {
            block.bytes
        } else {
            self.held.extend_from_slice(&block.bytes);
            self.held.split().freeze()
        };
        let whole = if ends {
            bytes.len()
        } else {
            bytes.len().saturating_sub(HELD_BACK)
        };
        let (bytes, held) = self.rewritten(&bytes, whole);
        self.held.extend_from_slice(&held);
        (!bytes.is_empty()).then_some(Block { bytes, ..block })
    }

    /// What is there of a line that did not end.
    fn rest(&mut self) -> Option<Block> {
        let bytes = self.held.split().freeze();
        (!bytes.is_empty()).then_some(Block {
            kind: self.kind,
            bytes,
            lines: 0,
        })
    }

    /// Rewrites, and gives back what it left behind an end: what is there of an address, and of what tells that it is
    /// one. Whatever is whole is rewritten while all that is known of it. Where there is nothing to rewrite nothing is
    /// copied.
    fn rewritten(&self, bytes: &Bytes, end: usize) -> (Bytes, Bytes) {
        let mut out = BytesMut::new();
        let mut copied = 0;
        for at in self.relative.find_iter(bytes) {
            if !is_address(&bytes[..at]) {
                continue;
            }
            out.extend_from_slice(&bytes[copied..=at]);
            out.extend_from_slice(self.base.as_bytes());
            out.extend_from_slice(b"/");
            copied = at + 1;
        }
        // What was rewritten is not looked at again.
        let end = end.max(copied);
        let held = bytes.slice(end..);
        if out.is_empty() {
            return (bytes.slice(..end), held);
        }
        out.extend_from_slice(&bytes[copied..end]);
        (out.freeze(), held)
    }
}

/// Whether a string that begins behind this is the value of a member `url`. Within a string no quote stands bare, so
/// nothing that is a text looks like this.
fn is_address(before: &[u8]) -> bool {
    let before = before.trim_ascii_end();
    let Some(before) = before.strip_suffix(b":") else {
        return false;
    };
    let before = before.trim_ascii_end().strip_suffix(b"\"url\"");
    let last = before.and_then(<[u8]>::last);
    last.is_some_and(|last| b"{,".contains(last) || last.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;
    use sluice_fhir::Level;
    use sluice_runtime::TenantSection;

    const BASE: &str = "https://ehr.example.org/fhir";

    fn block(bytes: &[u8]) -> Block {
        Block {
            kind: ResourceType::GROUP,
            bytes: Bytes::copy_from_slice(bytes),
            lines: u64::try_from(memchr::memchr_iter(b'\n', bytes).count()).unwrap(),
        }
    }

    fn through(pieces: &[&[u8]]) -> String {
        let mut rewriting = Rewriting::new(&BASE.into());
        let blocks = pieces
            .iter()
            .filter_map(|piece| rewriting.block(block(piece)));
        let bytes: Vec<Bytes> = blocks.map(|block| block.bytes).collect();
        assert!(rewriting.held.is_empty());
        String::from_utf8(bytes.concat()).unwrap()
    }

    const LINE: &str = concat!(
        r#"{"resourceType":"DocumentReference","id":"d","text":"\"url\":\"Binary/no","x":"Binary/no","#,
        r#""extension":[{"url":"ombCategory"}],"content":[{"attachment":{"url":"Binary/a"}},{"attachment":{"url" : "Binary/b?c"}},"#,
        r#"{"attachment":{"url":"https://elsewhere/Binary/c"}}],"y\"url":"Binary/no"}"#
    );

    fn expected() -> String {
        LINE.replace(r#""url":"Binary/a"#, &format!(r#""url":"{BASE}/Binary/a"#))
            .replace(
                r#""url" : "Binary/b"#,
                &format!(r#""url" : "{BASE}/Binary/b"#),
            )
    }

    #[test]
    fn r_199_relative_addresses_of_attachments_become_absolute_and_nothing_else_changes() {
        let line = format!("{LINE}\n");
        assert_eq!(through(&[line.as_bytes()]), format!("{}\n", expected()));
        let two = format!("{LINE}\n{LINE}\n");
        assert_eq!(
            through(&[two.as_bytes()]),
            format!("{0}\n{0}\n", expected())
        );
    }

    #[test]
    fn a_line_may_come_in_any_pieces() {
        let line = format!("{LINE}{}\n", " ".repeat(300));
        let want = format!("{}{}\n", expected(), " ".repeat(300));
        for cut in 1..line.len() {
            let (first, second) = line.as_bytes().split_at(cut);
            assert_eq!(through(&[first, second]), want, "cut at {cut}");
        }
        let single: Vec<&[u8]> = line.as_bytes().chunks(1).collect();
        assert_eq!(through(&single), want);
    }

    #[test]
    fn a_line_that_never_ends_is_not_lost() {
        let mut rewriting = Rewriting::new(&BASE.into());
        assert_eq!(rewriting.block(block(b"{\"id\":")), None);
        assert_eq!(rewriting.rest().unwrap().bytes, &b"{\"id\":"[..]);
        assert_eq!(rewriting.rest(), None);
    }

    #[test]
    fn what_has_nothing_to_rewrite_is_not_copied() {
        let given = block(b"{\"url\":\"x\"}\n");
        let mut rewriting = Rewriting::new(&BASE.into());
        let left = rewriting.block(given.clone()).unwrap();
        assert_eq!(left, given);
        assert_eq!(left.bytes.as_ptr(), given.bytes.as_ptr());
    }

    /// What a tenant's folder is exported as, where the setting is what it is.
    async fn exported(attachments: Option<&str>) -> String {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("DocumentReference.ndjson");
        std::fs::write(file, format!("{LINE}\n")).unwrap();
        let mut section = TenantSection::of(format!("ndjson:{}", home.path().display()));
        section.attachments = attachments.map(str::to_owned);
        let clock = Arc::new(sluice_local::SystemClock);
        let opened = crate::open::source(&section, home.path(), clock, |_| {});
        let source = opened.await.unwrap().source;
        let scope = Scope {
            level: Level::System,
            types: vec!["DocumentReference".parse().unwrap()],
            since: None,
            until: None,
            patients: None,
            selection: sluice_model::Selection::default(),
            snapshot: source.snapshot().await.unwrap(),
        };
        let step = source.plan(&scope, 1 << 20, 10, None).await.unwrap();
        let blocks = source.read(&scope, &step.chunks[0].slice).await.unwrap();
        let blocks: Vec<Block> = blocks.try_collect().await.unwrap();
        let bytes: Vec<Bytes> = blocks.into_iter().map(|block| block.bytes).collect();
        String::from_utf8(bytes.concat()).unwrap()
    }

    #[tokio::test]
    async fn r_199_a_tenants_setting_says_where_attachments_lie() {
        assert_eq!(exported(None).await, format!("{LINE}\n"));
        let base = format!("{BASE}/");
        assert_eq!(exported(Some(&base)).await, format!("{}\n", expected()));
    }
}
