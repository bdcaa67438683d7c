//! Which entry leaves when another needs its room: the contract, and the only table of names.

use crate::access::{Access, Slot};
use crate::error::Error;

mod lru;

/// Decides who leaves. Sees slots and accesses: never values, clocks or statistics.
///
/// A slot belongs to the policy from `insert` until `evict` returns it or `remove` takes it away.
pub trait Policy: Send {
    /// The key of `access` is absent and about to be inserted; called once, before the evictions it causes.
    fn miss(&mut self, _access: &Access) {}

    /// `slot` now holds the key of `access`.
    fn insert(&mut self, slot: Slot, access: &Access);

    /// The key in `slot` was accessed; its weight is `access.weight` from now on.
    fn hit(&mut self, slot: Slot, access: &Access);

    /// Gives up one slot to make room for `incoming`, or `None` to keep all and turn `incoming` away.
    /// Called only while some slot is resident.
    fn evict(&mut self, incoming: &Access) -> Option<Slot>;

    /// `slot` was emptied for a reason that is not the policy's: expired, deleted, replaced.
    fn remove(&mut self, slot: Slot);
}

/// What a policy may know when it is built.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Largest total weight of the resident entries, at least 1.
    pub capacity: u64,
    /// Seed of every random choice.
    pub seed: u64,
}

type Build = fn(&Setting) -> Box<dyn Policy>;

/// Name and constructor of every policy; command line, documentation, tests and error messages iterate over it.
pub const POLICIES: &[(&str, Build)] = &[("lru", |_| Box::new(lru::Lru::default()))];

/// Builds the policy called `name`.
///
/// # Errors
/// [`Error::UnknownPolicy`] when no policy has that name.
pub fn build(name: &str, setting: &Setting) -> Result<Box<dyn Policy>, Error> {
    POLICIES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, build)| build(setting))
        .ok_or_else(|| Error::UnknownPolicy(name.to_owned()))
}
