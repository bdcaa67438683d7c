//! The words of every other file: who was accessed, when, and where it lives.

use crate::context::Context;

/// Index of a resident entry; dense, and reused after the entry has left.
pub type Slot = u32;

/// Position in the sequence of accesses a store has served; the only clock that policies see.
pub type Tick = u64;

/// Nanoseconds on a monotonic clock; the shells read it, the core is told.
pub type Nanos = u64;

/// The next access of a key that is not accessed again, or of which nobody knows.
pub const NEVER: Tick = Tick::MAX;

/// One access to one key, as policies see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Hash of the key with all 64 bits well mixed: an address, not an identity.
    pub id: u64,
    /// When it happened.
    pub tick: Tick,
    /// Weight of the entry, in the unit of the capacity; at least 1.
    pub weight: u64,
    /// Tick of the key's next access when an oracle tells it, else [`NEVER`].
    pub next: Tick,
    /// What kind of key it is; told with the access that stores it.
    pub context: Context,
}

/// Mixes all bits of `key` into all bits of the result; a bijection, so that distinct keys keep distinct ids.
/// Stafford's variant 13 of the MurmurHash3 finalizer, as in SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
#[must_use]
pub const fn mix(key: u64) -> u64 {
    let key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ (key >> 31)
}

/// Spreads a hash over all 64 bits at the price of one multiplication: the live path's cheaper sister of [`mix`],
/// not a bijection, which keys that are compared in full do not need.
#[must_use]
#[inline]
pub const fn spread(hash: u64) -> u64 {
    let product = hash as u128 * 0x9e37_79b9_7f4a_7c15;
    product as u64 ^ (product >> 64) as u64
}
