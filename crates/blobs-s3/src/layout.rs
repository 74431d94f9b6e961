//! How a store keeps its keys. S3 has a flat list of them and lists it by their bytes. Stores such
//! as `SeaweedFS` keep a tree of folders: `b/1` comes before `b-1`, and folders may outlive the
//! last object in them.

use bytes::Bytes;
use sluice_ports::{BlobInfo, PortError};

use crate::connect::Shared;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A listing can begin anywhere.
    Flat,
    /// A listing has to see everything before it knows what is first.
    Tree,
}

impl Shared {
    /// Tried out on two canaries before the first listing: once that has begun, a page in the wrong
    /// order cannot be told from a right one with nothing in between.
    pub(crate) async fn layout(&self) -> Result<Layout, PortError> {
        let layout = self.layout.get_or_try_init(|| self.try_layout()).await?;
        Ok(*layout)
    }

    async fn try_layout(&self) -> Result<Layout, PortError> {
        let place = format!("probe/{}/", self.mark());
        let keys = ["b-1", "b/1"].map(|name| format!("{place}{name}"));
        let listed = async {
            for key in &keys {
                self.put(key, Bytes::new()).await?;
            }
            self.page(&place, None, keys.len()).await
        };
        let listed = listed.await;
        self.delete(&keys).await?;
        let by_keys = |found: Vec<BlobInfo>| found.iter().map(|info| &info.key).eq(&keys);
        Ok(if by_keys(listed?) {
            Layout::Flat
        } else {
            Layout::Tree
        })
    }
}
