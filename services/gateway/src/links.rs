//! Capability links: whoever holds one may read one file until a fixed time, and nothing else
//! . The signature covers tenant, job, file and time.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sluice_fhir::Instant;
use sluice_model::JobRef;

use crate::error::ApiError;

/// The secret that all gateways of a deployment share.
#[derive(Clone)]
pub struct LinkKey(pub [u8; 32]);

/// Makes and checks links.
#[derive(Clone)]
pub struct Links {
    key: LinkKey,
}

impl Links {
    /// Links signed with this key.
    pub fn new(key: LinkKey) -> Self {
        Self { key }
    }

    /// The query string that opens a file until a time, to the second.
    pub fn sign(&self, job: &JobRef, path: &str, until: Instant) -> String {
        let expires = until.millis().div_euclid(1000);
        let signature = self.mac(job, path, expires);
        let signature = signature.map(|mac| hex::encode(mac.finalize().into_bytes()));
        format!(
            "expires={expires}&signature={}",
            signature.unwrap_or_default()
        )
    }

    /// Checks a link's query string.
    pub(crate) fn check(
        &self,
        job: &JobRef,
        path: &str,
        query: &str,
        now: Instant,
    ) -> Result<(), ApiError> {
        let value = |name: &str| {
            query.split('&').find_map(|pair| {
                let (found, value) = pair.split_once('=')?;
                (found == name).then_some(value)
            })
        };
        let expires = value("expires").and_then(|text| text.parse::<i64>().ok());
        let signature = value("signature").and_then(|text| hex::decode(text).ok());
        let (Some(expires), Some(signature)) = (expires, signature) else {
            return Err(ApiError::BadLink);
        };
        let mac = self.mac(job, path, expires).ok_or(ApiError::BadLink)?;
        // Constant time, and before the time is looked at: an unsigned time says nothing.
        mac.verify_slice(&signature)
            .map_err(|_| ApiError::BadLink)?;
        if now >= Instant::from_millis(expires.saturating_mul(1000)) {
            return Err(ApiError::LinkExpired);
        }
        Ok(())
    }

    fn mac(&self, job: &JobRef, path: &str, expires: i64) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key.0).ok()?;
        mac.update(format!("sluice file link 1\n{job}\n{path}\n{expires}").as_bytes());
        Some(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(tenant: &str) -> JobRef {
        JobRef {
            tenant: tenant.parse().unwrap(),
            job: sluice_model::JobId::from_bytes([7; 16]),
        }
    }

    #[test]
    fn a_link_opens_one_file_of_one_job_until_its_time() {
        let links = Links::new(LinkKey([1; 32]));
        let until = Instant::from_millis(10_000);
        let query = links.sign(&job("a"), "data/x", until);
        let at = |millis| Instant::from_millis(millis);
        assert!(links.check(&job("a"), "data/x", &query, at(9_999)).is_ok());
        let check = |tenant: &str, path: &str, query: &str, millis| {
            links.check(&job(tenant), path, query, at(millis))
        };
        assert!(matches!(
            check("a", "data/x", &query, 10_000),
            Err(ApiError::LinkExpired)
        ));
        assert!(matches!(
            check("a", "data/y", &query, 0),
            Err(ApiError::BadLink)
        ));
        assert!(matches!(
            check("b", "data/x", &query, 0),
            Err(ApiError::BadLink)
        ));
        let later = query.replace("expires=10", "expires=99");
        assert!(matches!(
            check("a", "data/x", &later, 0),
            Err(ApiError::BadLink)
        ));
        assert!(matches!(
            check("a", "data/x", "", 0),
            Err(ApiError::BadLink)
        ));
        let other = Links::new(LinkKey([2; 32]));
        assert!(other.check(&job("a"), "data/x", &query, at(0)).is_err());
    }
}
