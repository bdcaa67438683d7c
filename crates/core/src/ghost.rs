//! What a policy remembers of the entries it evicted: 32 bits of each id. Ids that share them are taken for one, which
//! happens once in four thousand lookups when a million are remembered.

use hashbrown::HashTable;

use crate::access::Slot;
use crate::list::{Links, List};
use crate::memory::count_memory;
use crate::weights::Weights;

/// What is remembered of an id.
pub type Print = u32;

/// What is remembered of `id`.
pub fn print(id: u64) -> Print {
    id as Print
}

/// Where a print is in the table, which uses the highest bits and the lowest.
fn hash(print: Print) -> u64 {
    u64::from(print) << 32 | u64::from(print)
}

/// A queue of ids, in which any can be found and removed in O(1). Its owner bounds it with `trim`.
#[derive(Default)]
pub struct Ghost {
    table: HashTable<Slot>,
    prints: Vec<Print>,
    weights: Weights,
    vacant: Vec<Slot>,
    links: Links,
    queue: List,
    total: u64,
}

count_memory!(Ghost []: table, prints, weights, vacant, links);

impl Ghost {
    /// Total weight that the entries remembered had.
    pub fn weight(&self) -> u64 {
        self.total
    }

    /// Whether `id` is remembered.
    pub fn remembers(&self, id: u64) -> bool {
        let print = print(id);
        self.table.find(hash(print), |&slot| self.prints[slot as usize] == print).is_some()
    }

    /// Remembers an id as the newest.
    pub fn insert(&mut self, print: Print, weight: u64) {
        let slot = self.place(print);
        self.weights.set(slot, weight);
        self.table.insert_unique(hash(print), slot, |&slot| hash(self.prints[slot as usize]));
        self.queue.push_front(&mut self.links, slot);
        self.total += weight;
    }

    /// Forgets `id`; true when it was remembered.
    pub fn remove(&mut self, id: u64) -> bool {
        let print = print(id);
        let Ok(found) = self.table.find_entry(hash(print), |&slot| self.prints[slot as usize] == print) else {
            return false;
        };
        let (slot, _) = found.remove();
        self.release(slot);
        true
    }

    /// Forgets the oldest until their weight is at most `most`.
    pub fn trim(&mut self, most: u64) {
        while self.total > most
            && let Some(slot) = self.queue.back()
        {
            let hash = hash(self.prints[slot as usize]);
            self.table.find_entry(hash, |&other| other == slot).expect("what is queued is in the table").remove();
            self.release(slot);
        }
    }

    fn place(&mut self, print: Print) -> Slot {
        if let Some(slot) = self.vacant.pop() {
            self.prints[slot as usize] = print;
            return slot;
        }
        self.prints.push(print);
        Slot::try_from(self.prints.len() - 1).expect("fewer than 2^32 ghosts")
    }

    /// Takes a slot that is no longer in the table off the queue.
    fn release(&mut self, slot: Slot) {
        self.queue.remove(&mut self.links, slot);
        self.total -= self.weights.of(slot);
        self.vacant.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest_first_and_any_on_demand() {
        let mut ghost = Ghost::default();
        for id in 1..=5 {
            ghost.insert(print(id), id);
        }
        assert!(ghost.remembers(2) && ghost.remove(2) && !ghost.remove(2) && !ghost.remembers(2));
        assert_eq!(ghost.weight(), 13);
        ghost.trim(12);
        assert_eq!(ghost.weight(), 12);
        assert!(!ghost.remove(1) && ghost.remove(3));
        ghost.trim(0);
        assert!(!ghost.remove(4) && !ghost.remove(5));
        assert_eq!(ghost.weight(), 0);
    }

    #[test]
    fn places_are_reused_so_that_memory_is_bounded_by_weight() {
        let mut ghost = Ghost::default();
        for id in 0..1000 {
            ghost.trim(9);
            ghost.insert(print(id), 1);
            if id % 3 == 0 {
                ghost.remove(id - id % 2);
            }
        }
        assert!(ghost.prints.len() <= 10);
    }
}
