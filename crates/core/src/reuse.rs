//! Reuse distances: how much was accessed since the last access to the same key. LRU hits if, and only if, the distance
//! is below its capacity, so that one pass tells the hits at every capacity.
//! Mattson, Gecsei, Slutz & Traiger, "Evaluation techniques for storage hierarchies", IBM Sys. J. 9(2), 1970.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::memory::count_memory;
use crate::sums::Sums;

/// Positions at least; there are twice as many as keys when they are numbered anew.
const FEWEST: usize = 1 << 16;

/// A key, and the position of its last access.
struct Seen {
    id: u64,
    at: u32,
}

/// The keys accessed so far in the order of their last accesses, each with its weight.
pub struct Reuse {
    seen: HashTable<Seen>,
    stack: Sums,
    /// The position of the next access.
    next: usize,
}

count_memory!(Reuse []: seen, stack);

impl Default for Reuse {
    fn default() -> Self {
        Self { seen: HashTable::new(), stack: Sums::new(Vec::new(), FEWEST), next: 0 }
    }
}

impl Reuse {
    /// Number of distinct keys.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether there was no access.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// An access. Tells the weight of the distinct keys accessed since the last access to this one, and the weight that
    /// it had then; LRU hits at every capacity from their sum on. None if there was no access to it.
    #[inline]
    pub fn access(&mut self, id: u64, weight: u64) -> Option<(u64, u64)> {
        let now = self.position();
        let (last, stack) = (self.seen_at(id, now), &mut self.stack);
        let found = last.map(|last| (stack.beyond(last), stack.take(last)));
        stack.put(now, weight);
        found
    }

    /// An access of which nobody asks how far away the last one is.
    #[inline]
    pub fn touch(&mut self, id: u64, weight: u64) {
        let now = self.position();
        if let Some(last) = self.seen_at(id, now) {
            self.stack.take(last);
        }
        self.stack.put(now, weight);
    }

    /// Takes the position of the next access.
    #[inline]
    fn position(&mut self) -> usize {
        if self.next == self.stack.len() {
            self.renumber();
        }
        self.next += 1;
        self.next - 1
    }

    /// Sets where a key was accessed last; tells where that was before.
    #[inline]
    fn seen_at(&mut self, id: u64, now: usize) -> Option<usize> {
        match self.seen.entry(id, |seen| seen.id == id, |seen| seen.id) {
            Entry::Occupied(mut seen) => Some(std::mem::replace(&mut seen.get_mut().at, now as u32) as usize),
            Entry::Vacant(place) => {
                place.insert(Seen { id, at: now as u32 });
                None
            }
        }
    }

    /// Forgets a key.
    pub fn forget(&mut self, id: u64) {
        if let Ok(seen) = self.seen.find_entry(id, |seen| seen.id == id) {
            self.stack.take(seen.remove().0.at as usize);
        }
    }

    /// Gives the keys the first positions in their order, and room for as many accesses again.
    fn renumber(&mut self) {
        let mut moved = vec![0u32; self.stack.len()];
        let mut weights = Vec::with_capacity(self.seen.len());
        for (at, &weight) in self.stack.weights().iter().enumerate().filter(|(_, weight)| **weight > 0) {
            moved[at] = weights.len() as u32;
            weights.push(weight);
        }
        self.seen.iter_mut().for_each(|seen| seen.at = moved[seen.at as usize]);
        self.next = weights.len();
        let length = (2 * weights.len()).max(FEWEST);
        self.stack = Sums::new(weights, length);
        assert!(u32::try_from(self.stack.len()).is_ok(), "fewer than 2^31 keys");
    }
}
