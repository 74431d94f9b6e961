//! Uploads that nobody will finish.

use std::time::{Duration, SystemTime};

use sluice_ports::PortError;

use crate::S3Blobs;
use crate::failure::failed;
use crate::multipart::Upload;

impl S3Blobs {
    /// Aborts the uploads below our prefix that were begun more than `older_than` ago, and says how
    /// many. Crashed writers leave them; they are invisible and are paid for.
    pub async fn sweep_uploads(
        &self,
        older_than: Duration,
        now: SystemTime,
    ) -> Result<usize, PortError> {
        let store = &self.shared;
        let oldest = now.checked_sub(older_than);
        let (mut key, mut id) = (None, None);
        let mut swept = 0;
        loop {
            let list = store.client.list_multipart_uploads();
            let list = list.bucket(store.bucket()).prefix(store.full(""));
            let list = list.set_key_marker(key).set_upload_id_marker(id);
            let page = list.send().await;
            let page = page.map_err(|error| failed("listing uploads", error))?;
            for upload in page.uploads() {
                let (Some(full), Some(id)) = (upload.key(), upload.upload_id()) else {
                    continue;
                };
                let begun = upload.initiated().copied();
                let begun = begun.and_then(|begun| SystemTime::try_from(begun).ok());
                let old = begun
                    .zip(oldest)
                    .is_some_and(|(begun, oldest)| begun <= oldest);
                if let Some(key) = store.relative(full).filter(|_| old) {
                    store.abort(&Upload::named(key, id)).await?;
                    swept += 1;
                }
            }
            if page.is_truncated() != Some(true) {
                return Ok(swept);
            }
            (key, id) = (page.next_key_marker, page.next_upload_id_marker);
        }
    }
}
