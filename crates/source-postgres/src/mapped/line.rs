//! From a body to a line: as it is, unless it has line breaks; then without the white space between its
//! parts.

use sluice_fhir::Compactor;
use sluice_ports::{Outlet, Unheard};

/// What has come of a body.
#[derive(Debug, Default)]
pub(super) struct Line {
    compactor: Compactor,
    is_begun: bool,
}

impl Line {
    /// Takes the next piece, the last or not. A body in one piece is compacted if it has a line break
    /// anywhere; of a longer one, so are the pieces that have.
    pub(super) async fn piece(
        &mut self,
        piece: &[u8],
        is_last: bool,
        outlet: &mut Outlet,
    ) -> Result<(), Unheard> {
        let mut compact = Vec::new();
        let has_break = piece.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
        let is_alone = is_last && !self.is_begun;
        let piece = if has_break {
            self.compactor.push(piece, &mut compact);
            &compact
        } else {
            if !is_alone {
                self.compactor.pass(piece);
            }
            piece
        };
        self.is_begun = !is_last;
        if is_last {
            self.compactor = Compactor::default();
        }
        if is_alone {
            if !piece.is_empty() {
                outlet.line(piece).await?;
            }
            return Ok(());
        }
        outlet.piece(piece).await?;
        if is_last {
            outlet.end().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sluice_fhir::ResourceType;
    use tokio::sync::mpsc;

    use super::*;

    async fn lines(bodies: &[&[&str]]) -> String {
        let (sender, mut blocks) = mpsc::channel(64);
        let mut outlet = Outlet::new(sender, ResourceType::PATIENT);
        let mut line = Line::default();
        for pieces in bodies {
            for (at, piece) in pieces.iter().enumerate() {
                let is_last = at + 1 == pieces.len();
                let piece = piece.as_bytes();
                line.piece(piece, is_last, &mut outlet).await.unwrap();
            }
        }
        outlet.flush().await.unwrap();
        drop(outlet);
        let mut text = Vec::new();
        while let Some(block) = blocks.recv().await {
            text.extend_from_slice(&block.bytes);
        }
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn bodies_travel_as_they_are_unless_they_have_line_breaks() {
        let found = lines(&[
            &["{\"a\": 1}"],
            &["{\r\n \"a b\": \"c  d\\\" \"\n}\n"],
            &["\n"],
            &["{\"a\" : \"x ", "y\" ,\n\"b\": \"", " \", \"c\": 1 }"],
            &["{ }"],
        ])
        .await;
        let expected = [
            "{\"a\": 1}",
            "{\"a b\":\"c  d\\\" \"}",
            "{\"a\" : \"x y\",\"b\":\" \", \"c\": 1 }",
            "{ }",
        ];
        assert_eq!(found.lines().collect::<Vec<_>>(), expected);
    }

    /// No JSON, but one line all the same: what follows it must not suffer.
    #[tokio::test]
    async fn a_line_break_within_a_text_is_escaped() {
        let found = lines(&[&["{\"a\":\"b\nc\r\"}"], &["{}"]]).await;
        assert_eq!(found, "{\"a\":\"b\\nc\\r\"}\n{}\n");
    }
}
