//! The blocks that a small source yields.

use bytes::BytesMut;
use sluice_fhir::ResourceType;
use sluice_ports::{BLOCK, Block, DeletedBundles};

/// What was deleted of these types; nothing if nothing was.
pub(super) fn bundles(deleted: &[(ResourceType, String)], types: &[ResourceType]) -> Option<Block> {
    let mut bundles = DeletedBundles::new();
    for (kind, id) in deleted.iter().filter(|(kind, _)| types.contains(kind)) {
        bundles.push(*kind, id);
    }
    bundles.finish()
}

/// One, if no line is longer than a block; else one for each line, or each piece of it.
pub(super) fn blocks(lines: &[(ResourceType, String)]) -> Vec<Block> {
    if lines.iter().all(|(_, line)| line.len() < BLOCK) {
        return vec![block(lines)];
    }
    let mut blocks = Vec::new();
    for line in lines {
        let mut rest = block(std::slice::from_ref(line));
        while rest.bytes.len() > BLOCK {
            let bytes = rest.bytes.split_to(BLOCK);
            blocks.push(Block {
                kind: rest.kind,
                bytes,
                lines: 0,
            });
        }
        blocks.push(rest);
    }
    blocks
}

pub(super) fn block(lines: &[(ResourceType, String)]) -> Block {
    let mut bytes = BytesMut::new();
    for (_, line) in lines {
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\n");
    }
    Block {
        kind: lines
            .first()
            .map_or(ResourceType::PATIENT, |(kind, _)| *kind),
        bytes: bytes.freeze(),
        lines: u64::try_from(lines.len()).unwrap_or(u64::MAX),
    }
}
