//! Turns resources into lines, counts them and hands them on.

use std::fmt::Display;

use crate::error::SampleError;
use crate::identity::Ref;
use crate::json::Json;
use crate::kind::Kind;
use crate::moment::Moment;
use crate::summary::{SampleProgress, SampleSummary};

/// Where the lines go.
pub(crate) trait Output {
    /// Takes one line, without its end.
    fn line(&mut self, kind: Kind, line: &[u8]) -> Result<(), SampleError>;

    /// Hears that a further patient is complete.
    fn progress(&mut self, so_far: SampleProgress);
}

/// What every resource has in front of what is its own.
pub(crate) struct Head<'a> {
    /// Its type and id.
    pub(crate) what: Ref,
    /// The profile it follows, by its whole URL.
    pub(crate) profile: &'static str,
    /// When it was last changed.
    pub(crate) updated: Moment,
    /// Its narrative in a few words, free of markup; the many small ones go without.
    pub(crate) narrative: Option<&'a dyn Display>,
}

/// Writes resources, one after the other, with one buffer.
pub(crate) struct Scribe<'a> {
    output: &'a mut dyn Output,
    json: Json,
    summary: SampleSummary,
}

impl<'a> Scribe<'a> {
    /// A scribe for the output.
    pub(crate) fn new(output: &'a mut dyn Output) -> Self {
        Self {
            output,
            json: Json::default(),
            summary: SampleSummary::default(),
        }
    }

    /// Writes a resource: its head, then what the body adds.
    pub(crate) fn resource(
        &mut self,
        head: &Head<'_>,
        body: impl FnOnce(&mut Json),
    ) -> Result<(), SampleError> {
        self.line(head.what.kind, &head.what.id, |json| {
            json.object("meta", |json| {
                let bits = head.what.id.bits();
                json.text("versionId", &(1 + bits % 3));
                // Real servers hold resources that never got a time; so does one in fifty here.
                if !bits.is_multiple_of(50) {
                    let updated = head.updated.not_after_today();
                    json.text("lastUpdated", &updated.utc(bits % 1000));
                }
                json.text_list("profile", head.profile);
            });
            if let Some(words) = head.narrative {
                narrative(json, words);
            }
            body(json);
        })
    }

    /// Writes a line with a type, an id and what the body adds.
    pub(crate) fn line(
        &mut self,
        kind: Kind,
        id: &dyn Display,
        body: impl FnOnce(&mut Json),
    ) -> Result<(), SampleError> {
        self.json.restart(|json| {
            json.text("resourceType", kind.name());
            json.text("id", id);
            body(json);
        });
        self.summary.count(kind.name(), self.json.as_bytes());
        self.output.line(kind, self.json.as_bytes())
    }

    /// Tells the output that so many patients are complete.
    pub(crate) fn patients_done(&mut self, patients: u32) {
        self.output.progress(SampleProgress {
            patients,
            bytes: self.summary.bytes,
        });
    }

    /// What was written.
    pub(crate) fn finish(self) -> SampleSummary {
        self.summary
    }
}

/// A generated narrative.
pub(crate) fn narrative(json: &mut Json, words: &dyn Display) {
    json.object("text", |json| {
        json.text("status", "generated");
        let div = format_args!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>{words}</p></div>");
        json.text("div", &div);
    });
}
