//! What is written beside an object's bytes.

use aws_sdk_s3::operation::create_multipart_upload::builders::CreateMultipartUploadFluentBuilder;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::types::ServerSideEncryption;

use crate::S3Encryption;

/// The metadata entry that says which write made an object.
pub(crate) const MARK: &str = "sluice-write";

pub(crate) struct Label {
    pub(crate) mark: String,
    content_type: &'static str,
    content_encoding: Option<&'static str>,
    content_disposition: String,
    encryption: Option<ServerSideEncryption>,
    kms_key_id: Option<String>,
}

impl Label {
    pub(crate) fn new(key: &str, mark: String, encryption: &S3Encryption) -> Self {
        let plain = key.strip_suffix(".gz").filter(|_| is_ndjson_gz(key));
        let content_type = if plain.unwrap_or(key).ends_with(".ndjson") {
            "application/fhir+ndjson"
        } else {
            "application/json"
        };
        // Clients undo the encoding on their way in, so the file they keep is the plain one.
        let name = plain.unwrap_or(key).rsplit('/').next().unwrap_or_default();
        let safe = |sign: char| sign.is_ascii_alphanumeric() || "._-".contains(sign);
        let name: String = name
            .chars()
            .map(|sign| if safe(sign) { sign } else { '_' })
            .collect();
        let (encryption, kms_key_id) = match encryption {
            S3Encryption::BucketDefault => (None, None),
            S3Encryption::Sse => (Some(ServerSideEncryption::Aes256), None),
            S3Encryption::Kms { key_id } => (Some(ServerSideEncryption::AwsKms), key_id.clone()),
        };
        Self {
            mark,
            content_type,
            content_encoding: plain.map(|_| "gzip"),
            content_disposition: format!("attachment; filename=\"{name}\""),
            encryption,
            kms_key_id,
        }
    }

    pub(crate) fn on_put(&self, put: PutObjectFluentBuilder) -> PutObjectFluentBuilder {
        put.content_type(self.content_type)
            .set_content_encoding(self.content_encoding.map(str::to_owned))
            .content_disposition(&self.content_disposition)
            .metadata(MARK, &self.mark)
            .set_server_side_encryption(self.encryption.clone())
            .set_ssekms_key_id(self.kms_key_id.clone())
    }

    pub(crate) fn on_start(
        &self,
        start: CreateMultipartUploadFluentBuilder,
    ) -> CreateMultipartUploadFluentBuilder {
        start
            .content_type(self.content_type)
            .set_content_encoding(self.content_encoding.map(str::to_owned))
            .content_disposition(&self.content_disposition)
            .metadata(MARK, &self.mark)
            .set_server_side_encryption(self.encryption.clone())
            .set_ssekms_key_id(self.kms_key_id.clone())
    }
}

fn is_ndjson_gz(key: &str) -> bool {
    key.ends_with(".ndjson.gz")
}
