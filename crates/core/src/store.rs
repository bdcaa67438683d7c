//! A table of entries within a budget, and the only eviction loop: live caches and the simulator both run it.

use std::num::NonZeroU64;
use std::sync::Arc;

use crate::access::{Access, NEVER, Nanos, Slot, Tick};
use crate::chance::Chance;
use crate::context::{Context, NO_CONTEXT};
use crate::diary::Student;
use crate::error::Error;
use crate::learner::{Explanation, Learner};
use crate::memory::count_memory;
use crate::policy::{self, Policy, Setting};
use crate::removed::{Removals, Removed};
use crate::staleness::{Freshness, Lifetime, Lifetimes, judge};
use crate::stats::{Cause, Stats};
pub use crate::table::Entry;
use crate::table::Table;
pub use crate::tags::Tag;
use crate::tags::Tags;
use crate::weights::Weights;
use crate::window::{Stretch, Window, place};

/// Expired entries that one write removes at most, beyond those whose room it needs.
const SWEEP: usize = 2;

/// A value on its way in.
pub struct Arrival<K, V> {
    /// Hash of the key (see [`Access::id`]).
    pub id: u64,
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
    /// Its weight.
    pub weight: NonZeroU64,
    /// How it ages.
    pub lifetime: Lifetime,
    /// Its tags.
    pub tags: Box<[Tag]>,
    /// What kind of key it is.
    pub context: Context,
}

/// What a lookup may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Only values that are fresh.
    Fresh,
    /// Stale values too; fresh ones may ask for an early refresh.
    Stale,
}

/// What a store knows about a key.
pub struct Glimpse<'a, V> {
    /// Its value.
    pub value: &'a V,
    /// Its weight.
    pub weight: u64,
    /// How it ages.
    pub lifetime: Lifetime,
}

/// Keys to values, never above `capacity` in total weight.
pub struct Store<K, V> {
    table: Table<K, V>,
    weights: Weights,
    lifetimes: Lifetimes,
    tags: Tags,
    policy: Box<dyn Policy>,
    oracle: Option<Arc<[Tick]>>,
    capacity: u64,
    used: u64,
    tick: Tick,
    last_miss: Option<u64>,
    stats: Stats,
    chance: Chance,
    window: Option<Box<Window>>,
    /// Keys below it are noted in the window; 0 without one, and while it pauses.
    noted: u64,
}

count_memory!(Store<K, V> [K, V]: table, weights, lifetimes, policy, window);

impl<K, V> Store<K, V> {
    /// An empty store with the policy called `name`. An oracle tells the next access of every lookup to come.
    ///
    /// # Errors
    /// Unknown policy, a capacity of 0, or a policy that needs an oracle and has none.
    pub fn build(name: &str, setting: &Setting, oracle: Option<Arc<[Tick]>>) -> Result<Self, Error> {
        let known = policy::known(name)?;
        if setting.capacity == 0 {
            return Err(Error::ZeroCapacity);
        }
        if known.needs_oracle && oracle.is_none() {
            return Err(Error::OracleMissing);
        }
        Ok(Self {
            table: Table::default(),
            weights: Weights::default(),
            lifetimes: Lifetimes::default(),
            tags: Tags::default(),
            policy: (known.build)(setting),
            oracle,
            capacity: setting.capacity,
            used: 0,
            tick: 0,
            last_miss: None,
            stats: Stats::default(),
            chance: Chance::new(setting.seed),
            window: None,
            noted: 0,
        })
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether it has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Total weight of the entries; never above the capacity.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Counts since the store was made.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// From now on the policy learns on a thread of its own, if it learns: nobody waits, and when a model comes into
    /// use is left to that thread.
    pub fn learn_elsewhere(&mut self) {
        self.policy.learn_elsewhere();
    }

    /// From now on recent accesses are kept, in at most so many bytes.
    pub fn watch(&mut self, bytes: usize) {
        self.window = Some(Box::new(Window::new(bytes)));
        self.noted = u64::MAX;
    }

    /// Recent accesses, if they are kept.
    pub fn recent(&self) -> Option<Stretch> {
        Some(self.window.as_ref()?.view(self.tick))
    }

    /// The policy as one that learns, if it does.
    pub fn learner(&mut self) -> Option<&dyn Learner> {
        self.policy.learner()
    }

    /// The policy as one that predicts.
    ///
    /// # Errors
    /// It predicts nothing.
    pub fn student(&mut self) -> Result<&mut dyn Student, Error> {
        self.policy.student().ok_or(Error::PredictsNothing)
    }

    /// What a policy that learns believes of a key; without a trace, as all looking.
    pub fn explain(&mut self, id: u64, now: Nanos, same: impl FnMut(&K) -> bool) -> Option<Explanation> {
        let slot = self.table.find(id, same).filter(|&slot| !self.lifetimes.is_expired(slot, now));
        self.policy.learner()?.explain(id, slot)
    }

    /// Predicted time until the next access of a key, in capacities; infinite where nothing is predicted.
    pub fn foresee(&mut self, id: u64, now: Nanos, same: impl FnMut(&K) -> bool) -> f32 {
        self.explain(id, now, same).map_or(f32::INFINITY, |explanation| explanation.reuse)
    }

    /// The store's seeded source of chance.
    pub fn chance(&mut self) -> &mut Chance {
        &mut self.chance
    }

    /// Looks a key up: counts, and tells the policy.
    #[inline(always)]
    pub fn get(
        &mut self,
        id: u64,
        now: Nanos,
        accept: Accept,
        same: impl FnMut(&K) -> bool,
    ) -> Option<(&V, Freshness)> {
        self.get_weighed(id, now, accept, same).map(|(value, freshness, _)| (value, freshness))
    }

    /// The same, and tells the weight.
    #[inline(always)]
    pub fn get_weighed(
        &mut self,
        id: u64,
        now: Nanos,
        accept: Accept,
        same: impl FnMut(&K) -> bool,
    ) -> Option<(&V, Freshness, u64)> {
        let mut access = self.access(id, NonZeroU64::MIN, self.tick);
        self.tick += 1;
        let Some((slot, freshness)) = self.servable(id, now, accept, same) else {
            self.stats.misses += 1;
            self.last_miss = Some(id);
            self.wake();
            self.see(id, 0);
            return None;
        };
        match freshness {
            Freshness::Stale => self.stats.stale += 1,
            _ => self.stats.hits += 1,
        }
        access.weight = self.weights.of(slot);
        self.policy.hit(slot, &access);
        self.see(id, access.weight);
        Some((&self.table.at(slot).value, freshness, access.weight))
    }

    /// Looks a key up without a trace: no count, no recency. Expired entries are not shown.
    pub fn peek(&self, id: u64, now: Nanos, same: impl FnMut(&K) -> bool) -> Option<Glimpse<'_, V>> {
        let slot = self.table.find(id, same).filter(|&slot| !self.lifetimes.is_expired(slot, now))?;
        Some(Glimpse {
            value: &self.table.at(slot).value,
            weight: self.weights.of(slot),
            lifetime: self.lifetimes.get(slot).copied().unwrap_or(Lifetime::IMMORTAL),
        })
    }

    /// Stores a value, making room for it first; true when it stayed. What left is appended to `removed`.
    pub fn put(
        &mut self,
        arrival: Arrival<K, V>,
        now: Nanos,
        same: impl FnMut(&K) -> bool,
        removed: &mut Removals<K, V>,
    ) -> bool {
        if self.last_miss.take() != Some(arrival.id) {
            self.tick += 1; // nobody looked for it first, so storing it is the access
            self.wake();
            self.see(arrival.id, arrival.weight.get());
        } else if let Some(window) = &mut self.window {
            window.weigh(arrival.id, arrival.weight.get());
        }
        let access = Access { context: arrival.context, ..self.access(arrival.id, arrival.weight, self.tick - 1) };
        self.sweep(now, SWEEP, removed);
        let resident = self.table.find(arrival.id, same);
        if access.weight > self.capacity {
            if let Some(slot) = resident {
                self.drop_slot(slot, Cause::Replaced, removed);
            }
        } else if let Some(slot) = resident {
            return self.replace(slot, arrival, &access, now, removed);
        } else if self.admit(&access, now, removed) {
            self.insert(arrival, &access);
            return true;
        }
        removed.push(self.turn_away(arrival));
        false
    }

    /// Counts a value that is not stored, and gives it back.
    pub fn turn_away(&mut self, arrival: Arrival<K, V>) -> Removed<K, V> {
        self.stats.count(Cause::Rejected);
        Removed { key: arrival.key, value: arrival.value, cause: Cause::Rejected }
    }

    /// Removes a key; true when it was there and not expired.
    pub fn remove(&mut self, id: u64, now: Nanos, same: impl FnMut(&K) -> bool, removed: &mut Removals<K, V>) -> bool {
        self.see_removal(id);
        let Some(slot) = self.table.find(id, same) else { return false };
        let expired = self.lifetimes.is_expired(slot, now);
        self.drop_slot(slot, if expired { Cause::Expired } else { Cause::Invalidated }, removed);
        !expired
    }

    /// Removes the entries that carry `tag`, tells the id of each, and says how many.
    pub fn remove_tag(&mut self, tag: Tag, mut told: impl FnMut(u64), removed: &mut Removals<K, V>) -> usize {
        let before = self.len();
        while let Some(slot) = self.tags.any(tag) {
            let id = self.table.at(slot).id;
            told(id);
            self.see_removal(id);
            self.drop_slot(slot, Cause::Invalidated, removed);
        }
        before - self.len()
    }

    /// Removes all entries.
    pub fn clear(&mut self, removed: &mut Removals<K, V>) {
        if let Some(window) = &mut self.window {
            window.clear(self.tick);
            self.noted = window.limit();
        }
        let slots: Vec<Slot> = self.table.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.drop_slot(slot, Cause::Invalidated, removed);
        }
    }

    /// Removes at most `most` expired entries, the longest expired first.
    pub fn sweep(&mut self, now: Nanos, most: usize, removed: &mut Removals<K, V>) {
        for _ in 0..most {
            let Some(slot) = self.lifetimes.first_expired(now) else { return };
            self.drop_slot(slot, Cause::Expired, removed);
        }
    }

    /// The entries that are fresh at `now`, in no particular order.
    pub fn iter(&self, now: Nanos) -> impl Iterator<Item = &Entry<K, V>> {
        self.table.iter().filter(move |(slot, _)| self.lifetimes.is_fresh(*slot, now)).map(|(_, entry)| entry)
    }

    #[inline]
    fn access(&self, id: u64, weight: NonZeroU64, tick: Tick) -> Access {
        let next = match &self.oracle {
            Some(oracle) => oracle.get(tick as usize).copied().unwrap_or(NEVER),
            None => NEVER,
        };
        Access { id, tick, weight: weight.get(), next, context: NO_CONTEXT }
    }

    /// Notes an access in the window, if the key is in its sample.
    #[inline(always)]
    fn see(&mut self, id: u64, weight: u64) {
        if place(id) < self.noted {
            self.note(id, weight);
        }
    }

    #[inline(never)]
    fn note(&mut self, id: u64, weight: u64) {
        let Some(window) = &mut self.window else { return };
        window.note(id, weight, self.tick, self.table.len());
        self.noted = window.limit();
    }

    fn see_removal(&mut self, id: u64) {
        if place(id) < self.noted
            && let Some(window) = &mut self.window
        {
            window.note_removal(id, self.tick, self.table.len());
            self.noted = window.limit();
        }
    }

    /// Lets the window begin anew, if it has paused long enough.
    fn wake(&mut self) {
        if let Some(window) = &mut self.window {
            window.wake(self.tick);
            self.noted = window.limit();
        }
    }

    /// The slot of a key and its freshness, if that may be served.
    #[inline(always)]
    fn servable(
        &mut self,
        id: u64,
        now: Nanos,
        accept: Accept,
        same: impl FnMut(&K) -> bool,
    ) -> Option<(Slot, Freshness)> {
        let slot = self.table.find(id, same)?;
        let Some(lifetime) = self.lifetimes.get(slot) else { return Some((slot, Freshness::Fresh)) };
        let chance = &mut self.chance;
        let freshness = judge(lifetime, now, || if accept == Accept::Stale { chance.draw() } else { 1.0 });
        match freshness {
            Freshness::Fresh | Freshness::Early => Some((slot, freshness)),
            Freshness::Stale => (accept == Accept::Stale).then_some((slot, freshness)),
            Freshness::Expired => None,
        }
    }

    /// Makes room for an absent key; false when the policy turns it away.
    fn admit(&mut self, access: &Access, now: Nanos, removed: &mut Removals<K, V>) -> bool {
        self.policy.miss(access);
        while self.capacity - self.used < access.weight {
            if !self.evict(access, now, removed) {
                return false;
            }
        }
        true
    }

    /// The eviction: expired entries leave first, then the policy's choice.
    fn evict(&mut self, incoming: &Access, now: Nanos, removed: &mut Removals<K, V>) -> bool {
        if let Some(slot) = self.lifetimes.first_expired(now) {
            self.drop_slot(slot, Cause::Expired, removed);
            return true;
        }
        let victim = self.policy.evict(incoming);
        if let Some(slot) = victim {
            self.take(slot, Cause::Evicted, removed);
        }
        victim.is_some()
    }

    fn insert(&mut self, arrival: Arrival<K, V>, access: &Access) {
        let Arrival { id, key, value, lifetime, tags, .. } = arrival;
        self.used += access.weight;
        let slot = self.table.insert(Entry { id, key, value });
        self.weights.set(slot, access.weight);
        self.lifetimes.set(slot, lifetime);
        self.tags.attach(slot, &tags);
        self.policy.insert(slot, access);
    }

    /// A new value for a resident key; true when it stayed, which a heavier one may not.
    fn replace(
        &mut self,
        slot: Slot,
        arrival: Arrival<K, V>,
        access: &Access,
        now: Nanos,
        removed: &mut Removals<K, V>,
    ) -> bool {
        let cause = if self.lifetimes.is_expired(slot, now) { Cause::Expired } else { Cause::Replaced };
        let value = std::mem::replace(&mut self.table.at_mut(slot).value, arrival.value);
        removed.push(Removed { key: arrival.key, value, cause });
        self.stats.count(cause);
        self.lifetimes.set(slot, arrival.lifetime);
        self.tags.detach(slot);
        self.tags.attach(slot, &arrival.tags);
        self.used = self.used - self.weights.of(slot) + access.weight;
        self.weights.set(slot, access.weight);
        self.policy.hit(slot, access);
        let evicted = removed.len();
        while self.used > self.capacity {
            if !self.evict(access, now, removed) {
                self.drop_slot(slot, Cause::Evicted, removed);
            }
        }
        removed.len() == evicted || self.table.holds(slot, access.id)
    }

    /// Empties a slot for a reason that is not the policy's.
    fn drop_slot(&mut self, slot: Slot, cause: Cause, removed: &mut Removals<K, V>) {
        self.policy.remove(slot);
        self.take(slot, cause, removed);
    }

    /// Empties a slot that the policy has already let go.
    fn take(&mut self, slot: Slot, cause: Cause, removed: &mut Removals<K, V>) {
        let Entry { key, value, .. } = self.table.take(slot);
        self.used -= self.weights.of(slot);
        self.lifetimes.forget(slot);
        self.tags.detach(slot);
        self.stats.count(cause);
        removed.push(Removed { key, value, cause });
    }
}
