//! Objects in memory: for simulations and tests, where nothing should touch a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use sluice_ports::{BlobInfo, BlobWriter, Blobs, ByteStream, Creation, Link, PortError, PortKind};

use crate::lock;

type Objects = Arc<Mutex<BTreeMap<String, Bytes>>>;

/// Objects in memory.
#[derive(Clone, Default)]
pub struct MemoryBlobs {
    objects: Objects,
}

fn create(objects: &Objects, key: &str, body: Bytes) -> Creation {
    match lock(objects).entry(key.to_owned()) {
        std::collections::btree_map::Entry::Occupied(_) => Creation::Exists,
        std::collections::btree_map::Entry::Vacant(place) => {
            place.insert(body);
            Creation::Created
        }
    }
}

fn size(body: &Bytes) -> u64 {
    u64::try_from(body.len()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Blobs for MemoryBlobs {
    async fn create(&self, key: &str, body: Bytes) -> Result<Creation, PortError> {
        Ok(create(&self.objects, key, body))
    }

    async fn start(&self, key: &str) -> Result<Box<dyn BlobWriter>, PortError> {
        let objects = Arc::clone(&self.objects);
        Ok(Box::new(Upload {
            objects,
            key: key.to_owned(),
            body: BytesMut::new(),
        }))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, PortError> {
        Ok(lock(&self.objects).get(key).cloned())
    }

    async fn head(&self, key: &str) -> Result<Option<BlobInfo>, PortError> {
        let objects = lock(&self.objects);
        Ok(objects.get(key).map(|body| BlobInfo {
            key: key.to_owned(),
            size: size(body),
        }))
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<ByteStream, PortError> {
        let missing = || PortError::new(PortKind::NotFound, "reading an object");
        let body = lock(&self.objects).get(key).cloned().ok_or_else(missing)?;
        let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(body.len());
        let part = body.slice(at(range.start)..at(range.end));
        Ok(futures::stream::iter([Ok(part)]).boxed())
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<BlobInfo>, PortError> {
        let objects = lock(&self.objects);
        let below = objects
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix));
        let later = below.filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
        let infos = later.map(|(key, body)| BlobInfo {
            key: key.clone(),
            size: size(body),
        });
        Ok(infos.take(limit).collect())
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        let objects = lock(&self.objects);
        let rests = objects.keys().filter_map(|key| key.strip_prefix(prefix));
        let names: BTreeSet<_> = rests
            .filter_map(|rest| rest.split_once('/'))
            .map(|(name, _)| name.to_owned())
            .collect();
        Ok(names.into_iter().collect())
    }

    /// Files are fetched through the gateway.
    async fn link(&self, _key: &str, _life: Duration) -> Result<Option<Link>, PortError> {
        Ok(None)
    }

    async fn delete(&self, keys: &[String]) -> Result<(), PortError> {
        let mut objects = lock(&self.objects);
        for key in keys {
            objects.remove(key);
        }
        Ok(())
    }
}

struct Upload {
    objects: Objects,
    key: String,
    body: BytesMut,
}

#[async_trait]
impl BlobWriter for Upload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PortError> {
        self.body.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Creation, PortError> {
        Ok(create(&self.objects, &self.key, self.body.freeze()))
    }

    async fn abort(self: Box<Self>) -> Result<(), PortError> {
        Ok(())
    }
}
