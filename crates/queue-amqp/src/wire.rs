//! How a hint looks on the wire: a small JSON body with a version, and the trace as a header.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use serde::{Deserialize, Serialize};
use sluice_model::Hint;
use sluice_ports::{Entropy, PortError};

const VERSION: u32 = 1;
const PERSISTENT: u8 = 2;
const TRACEPARENT: &str = "traceparent";

#[derive(Serialize)]
struct BodyOut<'a> {
    v: u32,
    hint: &'a Hint,
    attempt: u32,
}

#[derive(Deserialize)]
struct BodyIn {
    hint: Hint,
    attempt: u32,
}

#[derive(Deserialize)]
struct AnyVersion {
    v: u32,
}

/// What a body says.
pub(crate) enum Reading {
    /// A hint and how often it was retried.
    Hint(Hint, u32),
    /// A later version of this program wrote it, and will read it once it is rolled out (H3).
    Newer(u32),
    /// Nobody can read it.
    Unreadable,
}

/// Reads a body. Why it cannot be read is not told: serde's message would repeat a part of it.
pub(crate) fn read(body: &[u8]) -> Reading {
    match serde_json::from_slice(body) {
        Ok(AnyVersion { v: VERSION }) => serde_json::from_slice(body)
            .map_or(Reading::Unreadable, |BodyIn { hint, attempt }| {
                Reading::Hint(hint, attempt)
            }),
        Ok(AnyVersion { v }) if v > VERSION => Reading::Newer(v),
        _ => Reading::Unreadable,
    }
}

/// The trace that a message belongs to.
pub(crate) fn traceparent(properties: &BasicProperties) -> Option<String> {
    let headers = properties.headers().as_ref()?;
    match headers.inner().get(TRACEPARENT)? {
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

/// A message ready to be published, as often as need be.
pub(crate) struct Parcel {
    id: ShortString,
    pub(crate) body: Vec<u8>,
    traceparent: Option<String>,
}

impl Parcel {
    /// Packs a hint.
    pub(crate) fn pack(
        hint: &Hint,
        attempt: u32,
        traceparent: Option<String>,
        entropy: &dyn Entropy,
    ) -> Result<Self, PortError> {
        let v = VERSION;
        let body = serde_json::to_vec(&BodyOut { v, hint, attempt })
            .map_err(|error| PortError::permanent("writing a hint", error))?;
        Self::sealed(body, traceparent, entropy)
    }

    /// Passes on a body as it came.
    pub(crate) fn sealed(
        body: Vec<u8>,
        traceparent: Option<String>,
        entropy: &dyn Entropy,
    ) -> Result<Self, PortError> {
        let mut id = [0; 16];
        entropy.fill(&mut id)?;
        Ok(Self {
            id: format!("{:032x}", u128::from_be_bytes(id)).into(),
            body,
            traceparent,
        })
    }

    pub(crate) fn properties(&self) -> BasicProperties {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(self.id.clone());
        let Some(traceparent) = &self.traceparent else {
            return properties;
        };
        let mut headers = FieldTable::default();
        let traceparent = LongString::from(traceparent.as_str());
        headers.insert(TRACEPARENT.into(), AMQPValue::LongString(traceparent));
        properties.with_headers(headers)
    }
}

#[cfg(test)]
mod tests {
    use sluice_model::{ChunkId, JobId, JobRef};
    use sluice_testkit::SeededEntropy;

    use super::*;

    fn pack(attempt: u32) -> (Hint, Parcel) {
        let job = JobRef {
            tenant: "t".repeat(40).parse().unwrap(),
            job: JobId::from_bytes([0xFF; 16]),
        };
        let hint = Hint::ExportChunk(job, ChunkId::from_ordinal(u32::MAX));
        let trace = Some("00-1-2-01".to_owned());
        let parcel = Parcel::pack(&hint, attempt, trace, &SeededEntropy::new(1)).unwrap();
        (hint, parcel)
    }

    #[test]
    fn what_is_packed_is_read_and_small() {
        let (hint, parcel) = pack(u32::MAX);
        assert!(parcel.body.len() <= 1024);
        let Reading::Hint(read, attempt) = read(&parcel.body) else {
            panic!("unreadable");
        };
        assert_eq!((read, attempt), (hint, u32::MAX));
        let trace = traceparent(&parcel.properties());
        assert_eq!(trace.as_deref(), Some("00-1-2-01"));
    }

    #[test]
    fn a_newer_body_is_told_from_an_unreadable_one() {
        let newer = br#"{"v":2,"hint":{"something-new":[]}}"#;
        assert!(matches!(read(newer), Reading::Newer(2)));
        let unreadable: [&[u8]; 5] = [b"", b"{}", b"\xFF", br#"{"v":0}"#, br#"{"v":1,"hint":1}"#];
        for body in unreadable {
            assert!(matches!(read(body), Reading::Unreadable));
        }
    }

    #[test]
    fn every_parcel_has_its_own_name() {
        let entropy = SeededEntropy::new(1);
        let id = || Parcel::sealed(Vec::new(), None, &entropy).unwrap().id;
        assert_ne!(id(), id());
    }
}
