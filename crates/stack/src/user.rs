//! The user that PostgreSQL and `PgBouncer` run as: they refuse to be root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

/// Made by the Debian package.
const NAME: &str = "postgres";

/// Whose processes and files a server's are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum User {
    /// Whoever runs this.
    Present,
    /// Another one, as root may.
    Other {
        /// Number of the user.
        uid: u32,
        /// Number of its group.
        gid: u32,
    },
}

impl User {
    /// The present user, but `postgres` instead of root.
    pub(crate) fn unprivileged() -> anyhow::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Present);
        }
        let users = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
        let found = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let is_it = fields.next()? == NAME;
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            is_it.then_some(Self::Other { uid, gid })
        });
        found.with_context(|| format!("there is no user {NAME}"))
    }

    /// Gives a folder to the user, if every folder above it lets it through.
    pub(crate) fn give(self, folder: &Path) -> anyhow::Result<()> {
        let Self::Other { uid, gid } = self else {
            return Ok(());
        };
        for above in folder.ancestors().skip(1) {
            let about = above.metadata();
            let about = about.with_context(|| format!("looking at {}", above.display()))?;
            let bit = match about {
                ref own if own.uid() == uid => 0o100,
                ref own if own.gid() == gid => 0o010,
                _ => 0o001,
            };
            if about.permissions().mode() & bit == 0 {
                bail!(
                    "PostgreSQL does not run as root, and its user {NAME} may not enter {}: work as \
                     another user, or elsewhere",
                    above.display()
                );
            }
        }
        chown(folder, Some(uid), Some(gid))
            .with_context(|| format!("giving {} to {NAME}", folder.display()))
    }

    /// Runs a program as the user.
    pub(crate) fn run(self, command: &mut Command) {
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
    }
}
