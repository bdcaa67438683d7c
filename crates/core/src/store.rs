//! A table of entries within a budget, and the only eviction loop: live caches and the simulator both run it.

use std::num::NonZeroU64;
use std::sync::Arc;

use hashbrown::HashTable;

use crate::access::{Access, NEVER, Nanos, Slot, Tick};
use crate::heap::SlotHeap;
use crate::policy::Policy;
use crate::staleness::{FOREVER, Freshness, Lifetime, judge};
use crate::stats::{Cause, Stats};

/// Expired entries that one write removes at most, beyond those whose room it needs.
const SWEEP: usize = 2;

struct Entry<K, V> {
    id: u64,
    weight: NonZeroU64,
    key: K,
    value: V,
}

/// An entry that left the store, or never entered it.
pub struct Removed<K, V> {
    /// Its key.
    pub key: K,
    /// Its value.
    pub value: V,
    /// Why.
    pub cause: Cause,
}

/// What a lookup may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Only values that are fresh.
    Fresh,
    /// Stale values too; fresh ones may ask for an early refresh.
    Stale,
}

/// An entry without its key and value, as `peek` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its weight.
    pub weight: u64,
    /// When it was stored and how it ages; immortal entries do not record when.
    pub lifetime: Lifetime,
}

/// A value on its way in.
pub struct Arrival<K, V> {
    /// Hash of the key (see [`Access::id`]).
    pub id: u64,
    /// The key, owned.
    pub key: K,
    /// The value.
    pub value: V,
    /// Its weight; 0 counts as 1.
    pub weight: u64,
    /// How it ages.
    pub lifetime: Lifetime,
}

/// Keys to values, never above `capacity` in total weight.
pub struct Store<K, V> {
    table: HashTable<Slot>,
    entries: Vec<Option<Entry<K, V>>>,
    vacant: Vec<Slot>,
    /// Parallel to `entries`, but only as long as the highest slot that was ever given a lifetime.
    lifetimes: Vec<Lifetime>,
    deadlines: SlotHeap,
    policy: Box<dyn Policy>,
    oracle: Option<Arc<[Tick]>>,
    capacity: u64,
    used: u64,
    tick: Tick,
    last_miss: Option<u64>,
    stats: Stats,
    chance: u64,
}

impl<K, V> Store<K, V> {
    /// An empty store of `capacity` ≥ 1.
    #[must_use]
    pub fn new(capacity: u64, seed: u64, policy: Box<dyn Policy>) -> Self {
        Self {
            table: HashTable::new(),
            entries: Vec::new(),
            vacant: Vec::new(),
            lifetimes: Vec::new(),
            deadlines: SlotHeap::default(),
            policy,
            oracle: None,
            capacity,
            used: 0,
            tick: 0,
            last_miss: None,
            stats: Stats::default(),
            chance: seed | 1,
        }
    }

    /// Tells the next access of every lookup to come, for policies that need the future.
    #[must_use]
    pub fn with_oracle(mut self, oracle: Arc<[Tick]>) -> Self {
        self.oracle = Some(oracle);
        self
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether it has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Total weight of the entries; never above the capacity.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Largest total weight.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Counts since the store was made.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Whether any entry ages, so that callers need to read the clock.
    #[must_use]
    pub fn has_lifetimes(&self) -> bool {
        !self.deadlines.is_empty()
    }

    /// Looks a key up: counts, and tells the policy.
    #[inline]
    pub fn get(
        &mut self,
        id: u64,
        now: Nanos,
        accept: Accept,
        same: impl FnMut(&K) -> bool,
    ) -> Option<(&V, Freshness)> {
        let access = self.access(id, 1, self.tick);
        self.tick += 1;
        let Some((slot, freshness)) =
            self.find(id, same).map(|slot| (slot, self.freshness(slot, now, accept))).filter(|(_, freshness)| {
                match freshness {
                    Freshness::Fresh | Freshness::Early => true,
                    Freshness::Stale => accept == Accept::Stale,
                    Freshness::Expired => false,
                }
            })
        else {
            self.stats.misses += 1;
            self.last_miss = Some(id);
            return None;
        };
        if freshness == Freshness::Stale {
            self.stats.stale += 1;
        } else {
            self.stats.hits += 1;
        }
        let entry = self.entries[slot as usize].as_ref().expect("the table names resident slots");
        self.policy.hit(slot, &Access { weight: entry.weight.get(), ..access });
        Some((&entry.value, freshness))
    }

    /// Looks a key up without a trace: no count, no recency. Expired entries are not shown.
    pub fn peek(&self, id: u64, now: Nanos, same: impl FnMut(&K) -> bool) -> Option<(&K, &V, Facts)> {
        let slot = self.find(id, same)?;
        let lifetime = self.lifetime(slot);
        if now >= lifetime.expires_at {
            return None;
        }
        let entry = self.entry(slot);
        Some((&entry.key, &entry.value, Facts { weight: entry.weight.get(), lifetime }))
    }

    /// Stores a value, making room for it first; true when it stayed. What left is appended to `removed`.
    pub fn put(
        &mut self,
        arrival: Arrival<K, V>,
        now: Nanos,
        same: impl FnMut(&K) -> bool,
        removed: &mut Vec<Removed<K, V>>,
    ) -> bool {
        let Arrival { id, key, value, weight, lifetime } = arrival;
        let weight = weight.max(1);
        if self.last_miss.take() != Some(id) {
            self.tick += 1; // nobody looked for it first, so storing it is the access
        }
        let access = self.access(id, weight, self.tick - 1);
        self.sweep(now, SWEEP, removed);
        match self.find(id, same) {
            Some(slot) if weight > self.capacity => {
                self.policy.remove(slot);
                self.take(slot, Cause::Replaced, removed);
            }
            Some(slot) => return self.replace(slot, &access, (key, value), lifetime, now, removed),
            None => {}
        }
        if weight > self.capacity || !self.admit(&access, now, removed) {
            self.stats.count(Cause::Rejected);
            removed.push(Removed { key, value, cause: Cause::Rejected });
            return false;
        }
        self.insert(Entry { id, weight: NonZeroU64::new(weight).expect("at least 1"), key, value }, &access, lifetime);
        true
    }

    /// Removes a key; true when it was there and not expired.
    pub fn remove(
        &mut self,
        id: u64,
        now: Nanos,
        same: impl FnMut(&K) -> bool,
        removed: &mut Vec<Removed<K, V>>,
    ) -> bool {
        self.find(id, same).is_some_and(|slot| {
            let expired = now >= self.lifetime(slot).expires_at;
            self.policy.remove(slot);
            self.take(slot, if expired { Cause::Expired } else { Cause::Invalidated }, removed);
            !expired
        })
    }

    /// Removes at most `most` expired entries, the longest expired first.
    pub fn sweep(&mut self, now: Nanos, most: usize, removed: &mut Vec<Removed<K, V>>) {
        for _ in 0..most {
            let Some(slot) = self.expired(now) else { return };
            self.policy.remove(slot);
            self.take(slot, Cause::Expired, removed);
        }
    }

    /// The entries that are not expired at `now`, in no particular order.
    pub fn iter(&self, now: Nanos) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().enumerate().filter_map(move |(slot, entry)| {
            let entry = entry.as_ref()?;
            (now < self.lifetime(slot as Slot).expires_at).then_some((&entry.key, &entry.value))
        })
    }

    fn access(&self, id: u64, weight: u64, tick: Tick) -> Access {
        let next = match &self.oracle {
            Some(oracle) => oracle.get(tick as usize).copied().unwrap_or(NEVER),
            None => NEVER,
        };
        Access { id, tick, weight, next }
    }

    #[inline]
    fn find(&self, id: u64, mut same: impl FnMut(&K) -> bool) -> Option<Slot> {
        self.table
            .find(id, |&slot| {
                let entry = self.entry(slot);
                entry.id == id && same(&entry.key)
            })
            .copied()
    }

    #[inline]
    fn entry(&self, slot: Slot) -> &Entry<K, V> {
        self.entries[slot as usize].as_ref().expect("the table names resident slots")
    }

    fn lifetime(&self, slot: Slot) -> Lifetime {
        self.lifetimes.get(slot as usize).copied().unwrap_or(Lifetime::IMMORTAL)
    }

    #[inline]
    fn freshness(&mut self, slot: Slot, now: Nanos, accept: Accept) -> Freshness {
        let Some(lifetime) = self.lifetimes.get(slot as usize) else { return Freshness::Fresh };
        let chance = &mut self.chance;
        judge(lifetime, now, || if accept == Accept::Stale { uniform(chance) } else { 1.0 })
    }

    fn expired(&self, now: Nanos) -> Option<Slot> {
        self.deadlines.peek().filter(|&(expires_at, _)| expires_at <= now).map(|(_, slot)| slot)
    }

    /// Makes room for an absent key; false when the policy turns it away.
    fn admit(&mut self, access: &Access, now: Nanos, removed: &mut Vec<Removed<K, V>>) -> bool {
        self.policy.miss(access);
        while self.used + access.weight > self.capacity {
            if !self.evict(access, now, removed) {
                return false;
            }
        }
        true
    }

    /// The eviction: expired entries leave first, then the policy's choice.
    fn evict(&mut self, incoming: &Access, now: Nanos, removed: &mut Vec<Removed<K, V>>) -> bool {
        if let Some(slot) = self.expired(now) {
            self.policy.remove(slot);
            self.take(slot, Cause::Expired, removed);
            return true;
        }
        self.policy.evict(incoming).is_some_and(|slot| {
            self.take(slot, Cause::Evicted, removed);
            true
        })
    }

    fn insert(&mut self, entry: Entry<K, V>, access: &Access, lifetime: Lifetime) {
        self.used += access.weight;
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.entries.push(None);
            Slot::try_from(self.entries.len() - 1).expect("fewer than 2^32 entries")
        });
        self.entries[slot as usize] = Some(entry);
        let entries = &self.entries;
        self.table.insert_unique(access.id, slot, |&slot| {
            entries[slot as usize].as_ref().expect("the table names resident slots").id
        });
        self.set_lifetime(slot, lifetime);
        self.policy.insert(slot, access);
    }

    fn replace(
        &mut self,
        slot: Slot,
        access: &Access,
        (key, value): (K, V),
        lifetime: Lifetime,
        now: Nanos,
        removed: &mut Vec<Removed<K, V>>,
    ) -> bool {
        let was = self.lifetime(slot);
        let entry = self.entries[slot as usize].as_mut().expect("found in the table");
        self.used = self.used - entry.weight.get() + access.weight;
        entry.weight = NonZeroU64::new(access.weight).expect("at least 1");
        let old = std::mem::replace(&mut entry.value, value);
        let cause = if now >= was.expires_at { Cause::Expired } else { Cause::Replaced };
        self.stats.count(cause);
        removed.push(Removed { key, value: old, cause });
        self.set_lifetime(slot, lifetime);
        self.policy.hit(slot, access);
        while self.used > self.capacity {
            if !self.evict(access, now, removed) {
                self.policy.remove(slot);
                self.take(slot, Cause::Evicted, removed);
            }
        }
        self.entries[slot as usize].as_ref().is_some_and(|entry| entry.id == access.id)
    }

    fn set_lifetime(&mut self, slot: Slot, lifetime: Lifetime) {
        let index = slot as usize;
        if lifetime.expires_at == FOREVER && lifetime.fresh_until == FOREVER {
            self.forget_lifetime(slot);
            return;
        }
        if index >= self.lifetimes.len() {
            self.lifetimes.resize(index + 1, Lifetime::IMMORTAL);
        }
        self.lifetimes[index] = lifetime;
        self.deadlines.set(slot, lifetime.expires_at);
    }

    fn forget_lifetime(&mut self, slot: Slot) {
        if let Some(lifetime) = self.lifetimes.get_mut(slot as usize) {
            *lifetime = Lifetime::IMMORTAL;
            self.deadlines.remove(slot);
        }
    }

    /// Empties a slot that the policy has already let go.
    fn take(&mut self, slot: Slot, cause: Cause, removed: &mut Vec<Removed<K, V>>) {
        let entry = self.entries[slot as usize].take().expect("only resident slots are taken");
        self.table.find_entry(entry.id, |&other| other == slot).expect("resident").remove();
        self.used -= entry.weight.get();
        self.vacant.push(slot);
        self.forget_lifetime(slot);
        self.stats.count(cause);
        removed.push(Removed { key: entry.key, value: entry.value, cause });
    }
}

/// Uniform in (0, 1]: xorshift64* (Vigna, ACM TOMS 42(4), 2016).
fn uniform(state: &mut u64) -> f64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    let bits = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
    (bits + 1) as f64 / (1u64 << 53) as f64
}
