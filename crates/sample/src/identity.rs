//! Ids shaped like UUIDs that follow from the seed, and references made of them.

use std::fmt;

use crate::dice::{STEP, mix};
use crate::kind::Kind;

/// The id of a resource: 122 bits that follow from what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    high: u64,
    low: u64,
}

impl Id {
    /// The id of the given number of a type, of one owner.
    pub(crate) const fn of(seed: u64, kind: Kind, owner: u64, number: u64) -> Self {
        let kind = mix(seed ^ mix((kind as u64 + 1).wrapping_mul(STEP)));
        let owner = mix(kind.wrapping_add(mix(owner.wrapping_add(STEP))));
        let high = mix(owner.wrapping_add(mix(number.wrapping_mul(STEP).wrapping_add(1))));
        Self {
            high,
            low: mix(high ^ owner.rotate_left(32)),
        }
    }

    /// Some bits of it, for choices that should stay with the resource.
    pub(crate) const fn bits(self) -> u64 {
        self.low >> 8
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        // Version 4, variant 1: the shape that other systems expect of a UUID.
        let high = (self.high & !0xf000) | 0x4000;
        let low = (self.low & !(0b11 << 62)) | (0b10 << 62);
        let mut bits = (u128::from(high) << 64) | u128::from(low);
        let mut text = [b'-'; 36];
        for (at, byte) in text.iter_mut().enumerate().rev() {
            if !matches!(at, 8 | 13 | 18 | 23) {
                *byte = DIGITS[(bits & 15) as usize];
                bits >>= 4;
            }
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// A reference to a resource of the sample, written `Type/id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ref {
    /// Its type.
    pub(crate) kind: Kind,
    /// Its id.
    pub(crate) id: Id,
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.name(), self.id)
    }
}

/// The reference to the n-th patient.
pub(crate) const fn patient_ref(seed: u64, n: u32) -> Ref {
    Ref {
        kind: Kind::Patient,
        id: Id::of(seed, Kind::Patient, n as u64, 0),
    }
}

/// The id of the n-th patient, counted from 0.
pub fn patient_id(seed: u64, n: u32) -> String {
    patient_ref(seed, n).id.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_like_uuids_and_differ() {
        let id = patient_id(1, 0);
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        assert_ne!(id, patient_id(1, 1));
        assert_ne!(id, patient_id(2, 0));
        assert_eq!(id, patient_id(1, 0));
    }
}
