//! The four requests of a multipart upload.

use std::time::Duration;

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use sluice_ports::{Creation, PortError};

use crate::connect::Shared;
use crate::creation::patiently;
use crate::failure::{failed, is_gone};

/// S3 needs minutes to put a large object together.
const COMPLETE: Duration = Duration::from_mins(5);

/// An upload that has begun.
#[derive(Clone)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) id: String,
    mark: String,
}

impl Upload {
    /// One that someone else began, to be aborted.
    pub(crate) fn named(key: &str, id: &str) -> Self {
        Self {
            key: key.to_owned(),
            id: id.to_owned(),
            mark: String::new(),
        }
    }
}

impl Shared {
    /// Some stores want the checksum of parts named from the start, or refuse to complete.
    fn checksum(&self) -> Option<ChecksumAlgorithm> {
        (!self.options.checksums_when_required).then_some(ChecksumAlgorithm::Crc32)
    }

    pub(crate) async fn begin(&self, key: &str) -> Result<Upload, PortError> {
        let action = "starting an upload";
        let label = self.label(key);
        let start = self.client.create_multipart_upload().bucket(self.bucket());
        let start = start.key(self.full(key));
        let start = label
            .on_start(start)
            .set_checksum_algorithm(self.checksum());
        let started = start.send().await.map_err(|error| failed(action, error))?;
        let id = started.upload_id.ok_or_else(|| {
            PortError::transient(action, "the store answered without an upload id")
        })?;
        Ok(Upload {
            key: key.to_owned(),
            id,
            mark: label.mark,
        })
    }

    pub(crate) async fn part(
        &self,
        upload: &Upload,
        number: i32,
        body: Bytes,
    ) -> Result<CompletedPart, PortError> {
        let part = self.client.upload_part().bucket(self.bucket());
        let part = part.key(self.full(&upload.key)).upload_id(&upload.id);
        let part = part.part_number(number);
        let part = part.set_checksum_algorithm(self.checksum());
        // From memory: a streamed body would carry its checksum behind it, which old stores refuse.
        let part = part.body(ByteStream::from(body)).customize();
        let sent = if self.options.sign_payloads {
            part.send().await
        } else {
            part.disable_payload_signing().send().await
        };
        let sent = sent.map_err(|error| failed("uploading a part", error))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .set_checksum_crc32(sent.checksum_crc32)
            .build())
    }

    /// Makes the object visible. An error inside of an answer with status 200 is an error to the
    /// SDK, too, and it tries again.
    pub(crate) async fn complete(
        &self,
        upload: &Upload,
        parts: Vec<CompletedPart>,
        size: u64,
    ) -> Result<Creation, PortError> {
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(parts))
            .build();
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(COMPLETE);
        let patience = Builder::new().timeout_config(timeouts.build());
        let complete = || {
            let complete = self.client.complete_multipart_upload();
            let complete = complete.bucket(self.bucket()).key(self.full(&upload.key));
            let complete = complete.upload_id(&upload.id).if_none_match("*");
            let complete = complete.multipart_upload(parts.clone());
            complete
                .customize()
                .config_override(patience.clone())
                .send()
        };
        match patiently(complete).await {
            Ok(_) => Ok(Creation::Created),
            Err(error) => {
                let action = "completing an upload";
                let written = (upload.mark.as_str(), size);
                self.settle(&upload.key, written, (action, error)).await
            }
        }
    }

    pub(crate) async fn abort(&self, upload: &Upload) -> Result<(), PortError> {
        let abort = self.client.abort_multipart_upload().bucket(self.bucket());
        let abort = abort.key(self.full(&upload.key)).upload_id(&upload.id);
        match abort.send().await {
            Err(error) if !is_gone(&error) => Err(failed("aborting an upload", error)),
            _ => Ok(()),
        }
    }
}
