//! Many objects at once: listing and deleting.

use std::collections::BTreeMap;

use aws_sdk_s3::types::{Delete, Error, ObjectIdentifier};
use sluice_ports::{BlobInfo, PortError, PortKind};

use crate::connect::Shared;
use crate::creation::bytes;
use crate::failure::failed;
use crate::layout::Layout;

/// S3 lists and deletes no more in one request.
const PAGE: usize = 1000;

impl Shared {
    /// The first `limit` objects below a prefix behind the key `after`, in the order of their keys.
    pub(crate) async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<BlobInfo>, PortError> {
        if self.layout().await? == Layout::Flat {
            return self.page(prefix, after, limit).await;
        }
        let mut first = BTreeMap::new();
        let mut next: Option<String> = None;
        loop {
            let page = self.page(prefix, next.as_deref(), PAGE).await?;
            next = page.last().map(|info| info.key.clone());
            let wanted = |info: &BlobInfo| after.is_none_or(|after| info.key.as_str() > after);
            for info in page.into_iter().filter(wanted) {
                first.insert(info.key, info.size);
                if first.len() > limit {
                    first.pop_last();
                }
            }
            if next.is_none() {
                let infos = first.into_iter().map(|(key, size)| BlobInfo { key, size });
                return Ok(infos.collect());
            }
        }
    }

    /// The same in the order of the store.
    pub(crate) async fn page(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<BlobInfo>, PortError> {
        let mut found = Vec::new();
        let mut after = after.map(|after| self.full(after));
        while found.len() < limit {
            let want = (limit - found.len()).min(PAGE);
            let list = self.client.list_objects_v2().bucket(self.bucket());
            let list = list.prefix(self.full(prefix));
            let list = list.max_keys(i32::try_from(want).unwrap_or(i32::MAX));
            let page = list.set_start_after(after.take()).send().await;
            let page = page.map_err(|error| failed("listing objects", error))?;
            for object in page.contents() {
                let full = object.key().unwrap_or_default();
                // A key that ends in a slash is a console's idea of a folder.
                let key = self.relative(full).filter(|key| !key.ends_with('/'));
                found.extend(key.map(|key| BlobInfo {
                    key: key.to_owned(),
                    size: bytes(object.size()),
                }));
                after = Some(full.to_owned());
            }
            if page.is_truncated() != Some(true) || after.is_none() {
                break;
            }
        }
        Ok(found)
    }

    pub(crate) async fn folders(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        let full = self.full(prefix);
        let mut names = Vec::new();
        let mut next = None;
        loop {
            let list = self.client.list_objects_v2().bucket(self.bucket());
            let list = list.prefix(&full).delimiter("/");
            let page = list.set_continuation_token(next).send().await;
            let page = page.map_err(|error| failed("listing folders", error))?;
            let below = page.common_prefixes().iter().filter_map(|below| {
                let name = below.prefix()?.strip_prefix(&full)?;
                name.strip_suffix('/').map(str::to_owned)
            });
            names.extend(below);
            next = page.next_continuation_token;
            if next.is_none() {
                break;
            }
        }
        names.sort_unstable();
        names.dedup();
        match self.layout().await? {
            Layout::Flat => Ok(names),
            Layout::Tree => self.with_objects(prefix, names).await,
        }
    }

    async fn with_objects(
        &self,
        prefix: &str,
        names: Vec<String>,
    ) -> Result<Vec<String>, PortError> {
        let mut full = Vec::new();
        for name in names {
            if !self
                .page(&format!("{prefix}{name}/"), None, 1)
                .await?
                .is_empty()
            {
                full.push(name);
            }
        }
        Ok(full)
    }

    pub(crate) async fn delete(&self, keys: &[String]) -> Result<(), PortError> {
        let action = "deleting objects";
        for keys in keys.chunks(PAGE) {
            let named = |key: &String| ObjectIdentifier::builder().key(self.full(key)).build();
            let objects: Result<Vec<_>, _> = keys.iter().map(named).collect();
            let delete = objects.and_then(|objects| {
                let delete = Delete::builder().quiet(true);
                delete.set_objects(Some(objects)).build()
            });
            let delete = delete.map_err(|error| PortError::permanent(action, error))?;
            let request = self.client.delete_objects().bucket(self.bucket());
            let answer = request.delete(delete).send().await;
            let answer = answer.map_err(|error| failed(action, error))?;
            // The whole is answered with success even when some have failed.
            let missing = |error: &Error| matches!(error.code(), Some("NoSuchKey" | "NotFound"));
            if let Some(error) = answer.errors().iter().find(|error| !missing(error)) {
                return Err(refused(action, error));
            }
        }
        Ok(())
    }
}

fn refused(action: &str, error: &Error) -> PortError {
    let code = error.code().unwrap_or("no code");
    let message = error.message().unwrap_or("no message");
    let denied = matches!(
        code,
        "AccessDenied" | "InvalidObjectState" | "NotImplemented"
    );
    PortError {
        kind: if denied {
            PortKind::Permanent
        } else {
            PortKind::Transient
        },
        action: action.to_owned(),
        cause: Some(format!("the store answered {code}: {message}").into()),
    }
}
