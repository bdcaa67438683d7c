//! n stores behind n locks, each with the loads in flight for its keys.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::access::{Nanos, Tick};
use crate::error::Error;
use crate::flights::Flights;
use crate::policy::Setting;
use crate::removed::Removals;
use crate::stats::Stats;
use crate::store::{Arrival, Store};
use crate::tags::Tag;

/// A store and its loads in flight. Whatever changes a key cancels the load that began before the change.
pub struct Shard<K, V, F> {
    /// The entries.
    pub store: Store<K, V>,
    /// The loads.
    pub flights: Flights<K, F>,
}

/// What left a shard; to be dropped after its lock is released, since dropping may run foreign code.
pub struct Debris<K, V, F> {
    /// Entries.
    pub entries: Removals<K, V>,
    /// Loads.
    pub flights: Vec<(K, F)>,
}

impl<K, V, F> Default for Debris<K, V, F> {
    fn default() -> Self {
        Self { entries: Removals::default(), flights: Vec::new() }
    }
}

impl<K, V, F> Shard<K, V, F> {
    /// Stores a value.
    pub fn put(
        &mut self,
        arrival: Arrival<K, V>,
        now: Nanos,
        mut same: impl FnMut(&K) -> bool,
        debris: &mut Debris<K, V, F>,
    ) -> bool {
        self.flights.cancel(arrival.id, &mut same, &mut debris.flights);
        self.store.put(arrival, now, same, &mut debris.entries)
    }

    /// Removes a key; true when it was there.
    pub fn remove(
        &mut self,
        id: u64,
        now: Nanos,
        mut same: impl FnMut(&K) -> bool,
        debris: &mut Debris<K, V, F>,
    ) -> bool {
        self.flights.cancel(id, &mut same, &mut debris.flights);
        self.store.remove(id, now, same, &mut debris.entries)
    }

    /// Removes the entries that carry `tag`, and says how many.
    pub fn remove_tag(&mut self, tag: Tag, debris: &mut Debris<K, V, F>) -> usize {
        let (flights, cancelled) = (&mut self.flights, &mut debris.flights);
        flights.cancel_tag(tag, cancelled);
        self.store.remove_tag(tag, |id| flights.cancel_id(id, cancelled), &mut debris.entries)
    }

    /// Removes everything.
    pub fn clear(&mut self, debris: &mut Debris<K, V, F>) {
        self.flights.cancel_all(&mut debris.flights);
        self.store.clear(&mut debris.entries);
    }

    /// Stores the result of the load that `mine` recognises, unless something cancelled that load.
    pub fn land(
        &mut self,
        arrival: Arrival<K, V>,
        now: Nanos,
        mine: impl FnMut(&F) -> bool,
        same: impl FnMut(&K) -> bool,
        debris: &mut Debris<K, V, F>,
    ) -> bool {
        if self.flights.end(arrival.id, mine, &mut debris.flights) {
            return self.store.put(arrival, now, same, &mut debris.entries);
        }
        debris.entries.push(self.store.turn_away(arrival));
        false
    }
}

/// Shards by the middle bits of the id: the tables inside use the lowest for places and the highest for tags.
pub struct Shards<K, V, F>(Box<[Mutex<Shard<K, V, F>>]>);

impl<K, V, F> Shards<K, V, F> {
    /// Divides the capacity among `count` shards, each with a policy called `name` of its own. An oracle tells the
    /// next access of every lookup to come, in order; it needs a single shard.
    ///
    /// # Errors
    /// Unknown policy, a capacity of 0, or more shards than units of capacity.
    pub fn new(count: usize, name: &str, setting: &Setting, oracle: Option<&Arc<[Tick]>>) -> Result<Self, Error> {
        let (capacity, shards) = (setting.capacity, count as u64);
        if shards == 0 || shards > capacity {
            return Err(if capacity == 0 {
                Error::ZeroCapacity
            } else {
                Error::TooManyShards { shards: count, capacity }
            });
        }
        let shard = |at: u64| {
            let share = capacity / shards + u64::from(at < capacity % shards);
            let setting = Setting { capacity: share, seed: setting.seed.wrapping_add(at), ..*setting };
            let store = Store::build(name, &setting, oracle.cloned())?;
            Ok(Mutex::new(Shard { store, flights: Flights::default() }))
        };
        (0..shards).map(shard).collect::<Result<_, _>>().map(Self)
    }

    /// From now on policies learn on a thread of their own, if they learn; for live caches.
    #[must_use]
    pub fn learning_elsewhere(self) -> Self {
        self.iter().for_each(|mut shard| shard.store.learn_elsewhere());
        self
    }

    /// The shard of an id, locked.
    #[inline]
    pub fn of(&self, id: u64) -> MutexGuard<'_, Shard<K, V, F>> {
        let at = (u128::from(id.rotate_left(32)) * self.0.len() as u128) >> 64;
        self.0[at as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All shards, each locked while it is looked at.
    pub fn iter(&self) -> impl Iterator<Item = MutexGuard<'_, Shard<K, V, F>>> {
        self.0.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All shards that nobody holds at this moment, locked.
    pub fn iter_free(&self) -> impl Iterator<Item = MutexGuard<'_, Shard<K, V, F>>> {
        self.0.iter().filter_map(|shard| shard.try_lock().ok())
    }

    /// Counts of all shards together.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.iter().fold(Stats::default(), |sum, shard| sum.plus(shard.store.stats()))
    }
}
