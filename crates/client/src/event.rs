//! What happens during an export, for whoever wants to show or log it. Never a resource's content.

use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The server accepted the export.
    KickedOff {
        /// Where to poll.
        status_url: String,
    },
    /// An export of an earlier run is gone on with.
    Resumed {
        /// Where to poll.
        status_url: String,
    },
    /// The server says how far it is.
    Progress {
        /// In its own words.
        text: String,
        /// The number with which the words begin.
        percent: Option<u8>,
    },
    /// Waits as told, or before another try.
    Waiting {
        /// How long.
        seconds: u64,
        /// What for.
        reason: String,
    },
    /// The manifest is there.
    Manifest {
        /// Files, those of outcomes and of deletions included.
        files: usize,
        /// Resources in the others, as far as the manifest says.
        resources: u64,
        /// Bytes in them, if the manifest says.
        bytes: Option<u64>,
    },
    /// A download begins or goes on.
    FileStarted {
        /// Its name in the folder.
        name: String,
        /// Bytes there already.
        from: u64,
        /// Bytes in all, if known.
        bytes: Option<u64>,
    },
    /// A download is this far.
    FileProgress {
        /// Its name in the folder.
        name: String,
        /// Bytes written.
        bytes: u64,
    },
    /// A file is whole and verified.
    FileDone {
        /// Its name in the folder.
        name: String,
        /// Lines.
        count: u64,
        /// Bytes.
        bytes: u64,
    },
    /// The export is deleted on the server.
    Deleted,
    /// Everything is there.
    Done {
        /// Files.
        files: usize,
        /// Resources.
        resources: u64,
        /// Bytes.
        bytes: u64,
    },
}

/// Hears events, from several downloads at once.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event);
}

/// Tells of events from where no observer is at hand.
#[derive(Clone, Default)]
pub(crate) struct Teller(Option<UnboundedSender<Event>>);

impl Teller {
    /// With the other end, for whoever has an observer.
    pub(crate) fn new() -> (Self, UnboundedReceiver<Event>) {
        let (sender, receiver) = unbounded_channel();
        (Self(Some(sender)), receiver)
    }

    /// Something happened.
    pub(crate) fn tell(&self, event: Event) {
        if let Some(sender) = &self.0 {
            let _nobody_listens = sender.send(event);
        }
    }
}

impl Observer for () {
    fn event(&self, _event: &Event) {}
}
