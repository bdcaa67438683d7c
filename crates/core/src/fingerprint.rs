//! Fingerprints of keys: 64 bits that are the same in every process, and that tell nothing about a key to whoever
//! lacks the secret.
//! Aumasson & Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012; here SipHash-1-3.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// What a key is made of; keys of two kinds are never the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No value at all.
    Nothing,
    /// True or false: one byte.
    Truth,
    /// A whole number: 8 bytes in two's complement, little-endian; beyond them its hexadecimal text.
    Integer,
    /// A floating-point number: its 8 bytes as of IEEE 754, little-endian.
    Float,
    /// Text: its bytes in UTF-8.
    Text,
    /// Bytes as they are.
    Bytes,
    /// Several keys in order: their fingerprints, 8 bytes each, little-endian.
    Tuple,
}

const KINDS: usize = 7;

/// Makes fingerprints under one secret.
///
/// Each kind has a secret of its own: the fingerprints under the secret given of two bytes, the kind's number and
/// then 0 for its lower half, 1 for its upper half.
pub struct Fingerprints([SipHasher13; KINDS]);

impl Fingerprints {
    /// Fingerprints under a secret.
    #[must_use]
    pub fn new(secret: &[u8; 16]) -> Self {
        let root = SipHasher13::new_with_key(secret);
        let half = |kind: usize, half: u8| root.hash(&[kind as u8, half]);
        Self(std::array::from_fn(|kind| SipHasher13::new_with_keys(half(kind, 0), half(kind, 1))))
    }

    /// The fingerprint of a key of one part.
    #[must_use]
    #[inline]
    pub fn of(&self, kind: Kind, content: &[u8]) -> u64 {
        self.0[kind as usize].hash(content)
    }

    /// The fingerprint of a number, which equals that of its negative if both are zero; none if it is no number,
    /// since such a key does not even equal itself.
    #[must_use]
    pub fn float(&self, number: f64) -> Option<u64> {
        let number = if number == 0.0 { 0.0 } else { number };
        (!number.is_nan()).then(|| self.of(Kind::Float, &number.to_le_bytes()))
    }

    /// The fingerprint of several keys in order, given theirs; none if one of them has none.
    pub fn tuple(&self, parts: impl IntoIterator<Item = Option<u64>>) -> Option<u64> {
        let mut hasher = self.0[Kind::Tuple as usize];
        for part in parts {
            hasher.write(&part?.to_le_bytes());
        }
        Some(hasher.finish())
    }
}
