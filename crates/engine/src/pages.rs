//! Manifests and their pages as gateways read them. They never change, so they are kept at hand.

use std::hash::Hash;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sluice_model::{JobRef, Manifest, ManifestFile, ManifestPage};
use sluice_ports::PortError;

use crate::Journal;

/// Bytes of each kind that are kept at hand, about: those who were asked for least go first.
const KEPT_BYTES: u64 = 64 << 20;
/// What a file takes: its key, its hash, and what is known of it.
const FILE: u64 = 512;
/// How many of a kind there are as a rule: so few that all of them share the bytes.
const USUAL: usize = 32;

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
            manifests: Kept::new(),
            early: Kept::new(),
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

/// What is kept at hand, by name. Nothing of it grows old, for nothing of it changes.
struct Kept<K, V>(Arc<Cache<K, Arc<V>, Weight>>);

/// What names files.
trait Names {
    fn names(&self) -> usize;
}

impl Names for Manifest {
    fn names(&self) -> usize {
        self.files().count()
    }
}

impl Names for ManifestPage {
    fn names(&self) -> usize {
        self.files().count()
    }
}

/// About how many bytes something takes.
#[derive(Clone)]
struct Weight;

impl<K, V: Names> Weighter<K, Arc<V>> for Weight {
    fn weight(&self, _name: &K, value: &Arc<V>) -> u64 {
        let files = u64::try_from(value.names()).unwrap_or(u64::MAX);
        // A giant is kept alone rather than read again for each of its files.
        (files.saturating_mul(FILE) + (1 << 10)).min(KEPT_BYTES / 2)
    }
}

impl<K, V> Clone for Kept<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Eq + Hash, V: Names> Kept<K, V> {
    fn new() -> Self {
        Self(Arc::new(Cache::with_weighter(USUAL, KEPT_BYTES, Weight)))
    }

    fn get(&self, name: &K) -> Option<Arc<V>> {
        self.0.get(name)
    }

    fn keep(&self, name: K, value: V) -> Arc<V> {
        let value = Arc::new(value);
        self.0.insert(name, Arc::clone(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files(usize);

    impl Names for Files {
        fn names(&self) -> usize {
            self.0
        }
    }

    #[test]
    fn what_is_kept_is_bounded_by_its_size() {
        let kept = Kept::new();
        for number in 0..1_000 {
            kept.keep(number, Files(10_000));
        }
        let bytes: u64 = (0..1_000)
            .filter_map(|number| Some(Weight.weight(&number, &kept.get(&number)?)))
            .sum();
        assert!(bytes > KEPT_BYTES / 2 && bytes <= KEPT_BYTES, "{bytes}");
    }

    #[test]
    fn a_giant_is_kept_in_place_of_others() {
        let kept = Kept::new();
        for number in 0..100 {
            kept.keep(number, Files(10_000));
        }
        kept.keep(100, Files(1_000_000));
        assert!(kept.get(&100).is_some());
    }
}
