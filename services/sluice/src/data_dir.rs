//! The folder in which a process keeps what must survive it, for one process at a time.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sluice_gateway::LinkKey;
use sluice_ports::Entropy;

/// A data directory, held until dropped.
pub(crate) struct DataDir {
    root: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes it if need be, and takes it.
    pub(crate) fn open(root: &Path) -> anyhow::Result<Self> {
        let opened = Self::open_unless_held(root)?;
        opened.with_context(|| {
            format!(
                "the data directory {} is in use by another process; stop it or set data_dir",
                root.display()
            )
        })
    }

    /// The same; nothing while another process has it.
    pub(crate) fn open_unless_held(root: &Path) -> anyhow::Result<Option<Self>> {
        let failed = || format!("opening the data directory {}", root.display());
        // Whole exports lie in it: for this user only.
        let mut make = fs::DirBuilder::new();
        make.recursive(true)
            .mode(0o700)
            .create(root)
            .with_context(failed)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(root.join("lock"))
            .with_context(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self {
                root: root.to_owned(),
                _lock: lock,
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).with_context(failed),
        }
    }

    /// The key that signs file links, made once, so that links outlive a restart.
    pub(crate) fn link_key(&self, entropy: &dyn Entropy) -> anyhow::Result<LinkKey> {
        self.secret("link-key", entropy).map(LinkKey)
    }

    /// What the keys that sign access tokens are made from, unless the settings have it.
    pub(crate) fn auth_secret(&self, entropy: &dyn Entropy) -> anyhow::Result<[u8; 32]> {
        self.secret("auth-secret", entropy)
    }

    fn secret(&self, name: &str, entropy: &dyn Entropy) -> anyhow::Result<[u8; 32]> {
        let path = self.root.join(name);
        let failed = || format!("reading {}", path.display());
        match fs::read(&path) {
            Ok(bytes) => match <[u8; 32]>::try_from(bytes) {
                Ok(key) => Ok(key),
                Err(_) => bail!(
                    "{} does not hold 32 bytes; delete it, and what was signed with it becomes invalid",
                    path.display()
                ),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut key = [0; 32];
                entropy.fill(&mut key)?;
                self.keep_secret(name, &key)?;
                Ok(key)
            }
            Err(error) => Err(error).with_context(failed),
        }
    }

    /// Written whole or not at all, readable by this user only.
    fn keep_secret(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let (path, draft) = (self.root.join(name), self.root.join("draft"));
        let write = || -> std::io::Result<()> {
            let mut file = File::options()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&draft)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(&self.root)?.sync_all()
        };
        write().with_context(|| format!("writing {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = DataDir::open(folder.path()).unwrap();
        let refused = DataDir::open(folder.path()).err().unwrap().to_string();
        assert!(refused.contains("in use"), "{refused}");
        drop(held);
        DataDir::open(folder.path()).unwrap();
    }

    #[test]
    fn the_link_key_stays_and_is_not_for_others() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        let entropy = sluice_wiring::SystemEntropy;
        let first = data.link_key(&entropy).unwrap();
        assert_eq!(data.link_key(&entropy).unwrap().0, first.0);
        let mode = fs::metadata(folder.path().join("link-key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(folder.path().join("link-key"), b"short").unwrap();
        assert!(data.link_key(&entropy).is_err());
    }
}
