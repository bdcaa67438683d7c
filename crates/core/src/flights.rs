//! Loads in flight: at most one per key, and one that was overtaken by an invalidation lands nowhere.

use hashbrown::HashTable;

use crate::tags::Tag;

struct Flight<K, F> {
    id: u64,
    key: K,
    ticket: F,
    tags: Box<[Tag]>,
}

/// The loads that are running, by key. `F` is what those who join a load are given.
pub struct Flights<K, F>(HashTable<Flight<K, F>>);

impl<K, F> Default for Flights<K, F> {
    fn default() -> Self {
        Self(HashTable::new())
    }
}

impl<K, F> Flights<K, F> {
    /// The load in flight for a key.
    pub fn find(&self, id: u64, mut same: impl FnMut(&K) -> bool) -> Option<&F> {
        self.0.find(id, |flight| flight.id == id && same(&flight.key)).map(|flight| &flight.ticket)
    }

    /// Begins a load for a key that has none in flight.
    pub fn begin(&mut self, id: u64, key: K, ticket: F, tags: Box<[Tag]>) {
        self.0.insert_unique(id, Flight { id, key, ticket, tags }, |flight| flight.id);
    }

    /// Ends the load that `mine` recognises; false when it was cancelled, and its result must not be stored.
    pub fn end(&mut self, id: u64, mut mine: impl FnMut(&F) -> bool, dropped: &mut Vec<(K, F)>) -> bool {
        self.take(id, |flight| mine(&flight.ticket), dropped)
    }

    /// Cancels the load of a key, if there is one.
    pub fn cancel(&mut self, id: u64, mut same: impl FnMut(&K) -> bool, dropped: &mut Vec<(K, F)>) {
        if !self.0.is_empty() {
            self.take(id, |flight| same(&flight.key), dropped);
        }
    }

    /// Cancels all loads of an id.
    pub fn cancel_id(&mut self, id: u64, dropped: &mut Vec<(K, F)>) {
        while self.take(id, |_| true, dropped) {}
    }

    /// Cancels the loads that carry a tag.
    pub fn cancel_tag(&mut self, tag: Tag, dropped: &mut Vec<(K, F)>) {
        let cancelled = self.0.extract_if(|flight| flight.tags.contains(&tag));
        dropped.extend(cancelled.map(|flight| (flight.key, flight.ticket)));
    }

    /// Cancels all loads.
    pub fn cancel_all(&mut self, dropped: &mut Vec<(K, F)>) {
        dropped.extend(self.0.drain().map(|flight| (flight.key, flight.ticket)));
    }

    /// All keys and tickets.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &F)> {
        self.0.iter().map(|flight| (&flight.key, &flight.ticket))
    }

    fn take(&mut self, id: u64, mut wanted: impl FnMut(&Flight<K, F>) -> bool, dropped: &mut Vec<(K, F)>) -> bool {
        let Ok(found) = self.0.find_entry(id, |flight| flight.id == id && wanted(flight)) else { return false };
        let (flight, _) = found.remove();
        dropped.push((flight.key, flight.ticket));
        true
    }
}
