//! Base64 with padding, which is how FHIR carries attachments.

use std::fmt;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes that are written as base64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base64<'a>(pub(crate) &'a [u8]);

/// The four digits of up to three bytes.
pub(crate) fn group(bytes: &[u8]) -> [u8; 4] {
    let at = |index: usize| bytes.get(index).copied().map_or(0, u32::from);
    let bits = (at(0) << 16) | (at(1) << 8) | at(2);
    let digit = |shift: u32| DIGITS[((bits >> shift) & 63) as usize];
    let mut digits = [digit(18), digit(12), digit(6), digit(0)];
    for missing in digits.iter_mut().skip(bytes.len() + 1) {
        *missing = b'=';
    }
    digits
}

impl fmt::Display for Base64<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.chunks(48) {
            let mut digits = [0; 64];
            let mut used = 0;
            for (four, three) in digits.chunks_mut(4).zip(part.chunks(3)) {
                four.copy_from_slice(&group(three));
                used += 4;
            }
            f.write_str(std::str::from_utf8(&digits[..used]).unwrap_or_default())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_4648_hold() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(Base64(plain.as_bytes()).to_string(), coded);
        }
        assert_eq!(Base64(&[0; 100]).to_string().len(), 136);
    }
}
