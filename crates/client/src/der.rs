//! As much of DER as private keys are wrapped in: sequences of integers, and PKCS#8 around them.

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// What a PKCS#8 `PrivateKeyInfo` says and holds.
pub(crate) struct Wrapped<'d> {
    /// The kind of key, an object identifier's bytes.
    pub(crate) kind: &'d [u8],
    /// The key in the form of its kind.
    pub(crate) key: &'d [u8],
}

/// A sequence of positive integers, which are big-endian.
pub(crate) fn sequence_of(integers: &[&[u8]]) -> Vec<u8> {
    let mut content = Vec::new();
    for integer in integers {
        let digits = without_zeros(integer);
        // A first bit that is set, or no bit at all, would be read as another number.
        let padded = digits.first().is_none_or(|first| *first >= 0x80);
        let padding: &[u8] = if padded { &[0] } else { &[] };
        put(&mut content, INTEGER, &[padding, digits].concat());
    }
    let mut whole = Vec::new();
    put(&mut whole, SEQUENCE, &content);
    whole
}

/// The integers of a sequence of nothing else, without zeros before them.
pub(crate) fn integers(der: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut content, _) = take(der, SEQUENCE)?;
    let mut integers = Vec::new();
    while !content.is_empty() {
        let (integer, rest) = take(content, INTEGER)?;
        integers.push(without_zeros(integer));
        content = rest;
    }
    Some(integers)
}

/// Opens PKCS#8.
pub(crate) fn unwrap(der: &[u8]) -> Option<Wrapped<'_>> {
    let (content, _) = take(der, SEQUENCE)?;
    let (_version, rest) = take(content, INTEGER)?;
    let (algorithm, rest) = take(rest, SEQUENCE)?;
    let (kind, _parameters) = take(algorithm, OBJECT)?;
    let (key, _attributes) = take(rest, OCTETS)?;
    Some(Wrapped { kind, key })
}

fn without_zeros(integer: &[u8]) -> &[u8] {
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    &integer[zeros..]
}

fn put(to: &mut Vec<u8>, tag: u8, content: &[u8]) {
    to.push(tag);
    let length = content.len().to_be_bytes();
    let length = without_zeros(&length);
    match *length {
        [] => to.push(0),
        [short] if short < 0x80 => to.push(short),
        // A length has at most eight bytes.
        _ => to.push(0x80 | u8::try_from(length.len()).unwrap_or_default()),
    }
    if content.len() >= 0x80 {
        to.extend(length);
    }
    to.extend(content);
}

/// The content of a value with this tag, and what follows it.
fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (length, rest) = rest.split_at_checked(usize::from(*first & 0x7f))?;
        let folded = length.iter().try_fold(0usize, |sum, byte| {
            sum.checked_mul(256)?.checked_add(usize::from(*byte))
        });
        (folded?, rest)
    };
    (*found == tag).then(|| rest.split_at_checked(length))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_length_are_read_as_they_were_written() {
        for length in [1, 0x7b, 0x7c, 0x7d, 0x7f, 0x80, 0xff, 0x100, 70_000] {
            let low = vec![0x7f; length];
            let high = vec![0x80; length];
            let written = sequence_of(&[&[], &low, &high, &[0, 0, 1]]);
            let read = integers(&written).unwrap();
            assert_eq!(read, [&[][..], &low, &high, &[1]]);
        }
        assert_eq!(
            sequence_of(&[&[0], &[0x80]]),
            [0x30, 7, 2, 1, 0, 2, 2, 0, 0x80]
        );
    }

    #[test]
    fn what_is_cut_off_is_not_read() {
        let whole = sequence_of(&[&[5; 200], &[6; 3]]);
        for end in 0..whole.len() {
            assert!(integers(&whole[..end]).is_none(), "{end}");
        }
        assert!(integers(&[0x30, 0xff]).is_none());
        assert!(unwrap(&whole).is_none());
    }
}
