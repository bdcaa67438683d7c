//! Which entry leaves when another needs its room: the contract, and the only table of names.

use crate::access::{Access, Slot};
use crate::diary::Student;
use crate::error::Error;
use crate::learner::Learner;
pub use crate::manner::Objective;
use crate::memory::Memory;
use crate::predictor::Model;

mod arc;
mod fifo;
mod learned;
mod lfu;
mod lirs;
mod lru;
mod min;
mod s3fifo;
mod sieve;
mod tinylfu;

use learned::Learned;

/// Decides who leaves. Sees slots and accesses: never values, clocks or statistics.
///
/// A slot belongs to the policy from `insert` until `evict` returns it or `remove` takes it away.
pub trait Policy: Memory + Send {
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

    /// From now on it learns, if it does, on a thread of its own, and no call waits for that.
    fn learn_elsewhere(&mut self) {}

    /// The same policy as one that learns, if it is, with all that it has put off done.
    fn learner(&mut self) -> Option<&dyn Learner> {
        None
    }

    /// The same policy as one that predicts, if it does.
    fn student(&mut self) -> Option<&mut dyn Student> {
        None
    }
}

/// What a policy may know when it is built.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Largest total weight of the resident entries, at least 1.
    pub capacity: u64,
    /// Seed of every random choice.
    pub seed: u64,
    /// What a policy that learns should make large; the others know only one way.
    pub objective: Objective,
}

impl Setting {
    /// The setting of a policy that is to make the number of hits large.
    #[must_use]
    pub const fn new(capacity: u64, seed: u64) -> Self {
        Self { capacity, seed, objective: Objective::Objects }
    }
}

type Build = fn(&Setting) -> Box<dyn Policy>;

/// A policy by name.
pub struct Known {
    /// What users call it.
    pub name: &'static str,
    /// Whether it reads [`Access::next`], and so works only where an oracle fills it in.
    pub needs_oracle: bool,
    /// Makes one.
    pub build: Build,
}

const fn online(name: &'static str, build: Build) -> Known {
    Known { name, needs_oracle: false, build }
}

const fn offline(name: &'static str, build: Build) -> Known {
    Known { name, needs_oracle: true, build }
}

/// Every policy; command line, documentation, tests and error messages iterate over it.
pub const POLICIES: &[Known] = &[
    online("fifo", |_| Box::new(fifo::Fifo::default())),
    online("lru", |_| Box::new(lru::Lru::default())),
    online("lfu", |_| Box::new(lfu::Lfu::default())),
    online("sieve", |_| Box::new(sieve::Sieve::default())),
    online("s3fifo", |setting| Box::new(s3fifo::S3Fifo::new(setting))),
    online("arc", |setting| Box::new(arc::Arc::new(setting))),
    online("lirs", |setting| Box::new(lirs::Lirs::new(setting))),
    online("tinylfu", |setting| Box::new(tinylfu::TinyLfu::new(setting))),
    online("learned", |setting| Box::new(Learned::new(setting, Model::shipped()))),
    offline("min", |_| Box::new(min::Min::default())),
];

/// The policy called `name`.
///
/// # Errors
/// [`Error::UnknownPolicy`] when no policy has that name.
pub fn known(name: &str) -> Result<&'static Known, Error> {
    POLICIES.iter().find(|known| known.name == name).ok_or_else(|| Error::UnknownPolicy(name.to_owned()))
}
