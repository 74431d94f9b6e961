//! Create-only writes, and whose object it is when the answer leaves that open.

use std::error::Error;
use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use sluice_ports::{Creation, PortError, PortKind};

use crate::connect::Shared;
use crate::failure::{failed, is_contended, is_gone, is_missing, is_taken};
use crate::label::{Label, MARK};

/// Waits before a write that met another undecided one is tried again.
const CONTENDED: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// Who wrote the object at a key.
enum Owner {
    Nobody,
    Us,
    Another,
    /// The store did not keep the mark.
    Unmarked {
        size: u64,
    },
}

impl Shared {
    pub(crate) fn label(&self, key: &str) -> Label {
        Label::new(key, self.mark(), &self.options.encryption)
    }

    /// Writes an object in one request.
    pub(crate) async fn put(&self, key: &str, body: Bytes) -> Result<Creation, PortError> {
        let label = self.label(key);
        let size = body.len() as u64;
        let put = || {
            let put = self.client.put_object().bucket(self.bucket());
            let put = put.key(self.full(key)).if_none_match("*");
            let body = ByteStream::from(body.clone());
            let put = label.on_put(put).body(body).customize();
            if self.options.sign_payloads {
                put.send()
            } else {
                put.disable_payload_signing().send()
            }
        };
        let action = "writing an object";
        match patiently(put).await {
            Ok(_) => Ok(Creation::Created),
            Err(error) => self.settle(key, (&label.mark, size), (action, error)).await,
        }
    }

    /// Decides how a create-only write ended that was not plainly answered with success. The SDK
    /// may have tried it several times, and any of these tries may have been the one that counted.
    pub(crate) async fn settle<E>(
        &self,
        key: &str,
        (mark, size): (&str, u64),
        (action, error): (&str, SdkError<E>),
    ) -> Result<Creation, PortError>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let taken = is_taken(&error);
        let open = taken || is_gone(&error);
        let error = failed(action, error);
        if !open && !error.is_transient() {
            return Err(error);
        }
        let owner = match self.owner(key, mark).await {
            Ok(owner) => owner,
            // Then the first error tells more; but a refusal must not pass for a failed write.
            Err(look) if taken => return Err(look),
            Err(_) => return Err(error),
        };
        match owner {
            Owner::Us => Ok(Creation::Created),
            Owner::Unmarked { size: found } if found == size && !taken => Ok(Creation::Created),
            Owner::Another | Owner::Unmarked { .. } => Ok(Creation::Exists),
            // What refused us has been deleted since.
            Owner::Nobody if taken => Ok(Creation::Exists),
            Owner::Nobody => Err(PortError {
                kind: PortKind::Transient,
                ..error
            }),
        }
    }

    async fn owner(&self, key: &str, mark: &str) -> Result<Owner, PortError> {
        let head = self.client.head_object().bucket(self.bucket());
        match head.key(self.full(key)).send().await {
            Ok(found) => Ok(match found.metadata().and_then(|data| data.get(MARK)) {
                Some(found) if found == mark => Owner::Us,
                Some(_) => Owner::Another,
                None => Owner::Unmarked {
                    size: bytes(found.content_length()),
                },
            }),
            Err(error) if is_missing(&error) => Ok(Owner::Nobody),
            Err(error) => Err(failed("looking who wrote an object", error)),
        }
    }
}

/// Tries a conditional write again while another one is being decided.
pub(crate) async fn patiently<T, E, F>(write: impl Fn() -> F) -> Result<T, SdkError<E>>
where
    E: ProvideErrorMetadata,
    F: Future<Output = Result<T, SdkError<E>>>,
{
    for wait in CONTENDED {
        match write().await {
            Err(error) if is_contended(&error) => tokio::time::sleep(wait).await,
            ended => return ended,
        }
    }
    write().await
}

/// A size as the SDK gives it.
pub(crate) fn bytes(length: Option<i64>) -> u64 {
    length
        .and_then(|length| length.try_into().ok())
        .unwrap_or(0)
}
