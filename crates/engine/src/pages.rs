//! Manifests and their pages as gateways read them. They never change, so they are kept at hand.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use sluice_model::{JobRef, Manifest, ManifestFile, ManifestPage};
use sluice_ports::PortError;

use crate::Journal;

/// How many of each are kept at hand: only memory bounds them.
const KEPT: usize = 32;

/// Reads manifests and pages.
#[derive(Clone)]
pub(crate) struct Pages {
    journal: Journal,
    manifests: Kept<JobRef, Manifest>,
    early: Kept<(JobRef, u32), ManifestPage>,
}

impl Pages {
    pub(crate) fn new(journal: &Journal) -> Self {
        Self {
            journal: journal.clone(),
            manifests: Kept::default(),
            early: Kept::default(),
        }
    }

    /// The manifest of a job that has ended: the last page, where there are any.
    pub(crate) async fn manifest(&self, job: &JobRef) -> Result<Option<Arc<Manifest>>, PortError> {
        if let Some(kept) = self.manifests.get(job) {
            return Ok(Some(kept));
        }
        let read = self.journal.manifest(job).await?;
        Ok(read.map(|read| self.manifests.keep(job.clone(), read)))
    }

    /// A page that was offered while the job ran.
    pub(crate) async fn page(
        &self,
        job: &JobRef,
        page: u32,
    ) -> Result<Option<Arc<ManifestPage>>, PortError> {
        let name = (job.clone(), page);
        if let Some(kept) = self.early.get(&name) {
            return Ok(Some(kept));
        }
        let read = self.journal.manifest_page(job, page).await?;
        let read = read.filter(|read| !read.is_end);
        Ok(read.map(|read| self.early.keep(name, read)))
    }

    /// A file that one of the pages so far names.
    pub(crate) async fn file(
        &self,
        job: &JobRef,
        key: &str,
    ) -> Result<Option<ManifestFile>, PortError> {
        let mut number = 1;
        while let Some(page) = self.page(job, number).await? {
            let mut files = page.files();
            if let Some(found) = files.find(|file| file.key == key) {
                return Ok(Some(found.clone()));
            }
            number += 1;
        }
        Ok(None)
    }
}

/// What is kept at hand, by name.
struct Kept<K, V>(Arc<Mutex<HashMap<K, Arc<V>>>>);

impl<K, V> Clone for Kept<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash, V> Kept<K, V> {
    fn get(&self, name: &K) -> Option<Arc<V>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(name).map(Arc::clone)
    }

    fn keep(&self, name: K, value: V) -> Arc<V> {
        let value = Arc::new(value);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(name, Arc::clone(&value));
        value
    }
}
