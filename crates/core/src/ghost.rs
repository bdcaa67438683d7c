//! Ids of entries that were evicted, oldest first to be forgotten: what a policy remembers of those it let go.

use hashbrown::HashTable;

use crate::access::Slot;
use crate::list::{Links, List};

struct Departed {
    id: u64,
    /// Above 2^32 - 1 counts as that: what is remembered of giants need not be exact.
    weight: u32,
}

/// A queue of ids in which any can be found and removed in O(1). Its owner bounds its weight with `trim`.
#[derive(Default)]
pub struct Ghost {
    table: HashTable<Slot>,
    departed: Vec<Departed>,
    vacant: Vec<Slot>,
    links: Links,
    queue: List,
    weight: u64,
}

impl Ghost {
    /// Total weight that the remembered entries had.
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// Remembers `id` as the newest.
    pub fn insert(&mut self, id: u64, weight: u64) {
        let departed = Departed { id, weight: u32::try_from(weight).unwrap_or(u32::MAX) };
        self.weight += u64::from(departed.weight);
        let slot = self.place(departed);
        let ids = &self.departed;
        self.table.insert_unique(id, slot, |&slot| ids[slot as usize].id);
        self.queue.push_front(&mut self.links, slot);
    }

    /// Whether `id` is remembered.
    pub fn contains(&self, id: u64) -> bool {
        self.table.find(id, |&slot| self.departed[slot as usize].id == id).is_some()
    }

    /// Forgets `id`; true when it was remembered.
    pub fn remove(&mut self, id: u64) -> bool {
        let Ok(found) = self.table.find_entry(id, |&slot| self.departed[slot as usize].id == id) else { return false };
        let (slot, _) = found.remove();
        self.queue.remove(&mut self.links, slot);
        self.release(slot);
        true
    }

    /// Forgets the oldest until the weight is at most `most`.
    pub fn trim(&mut self, most: u64) {
        while self.weight > most
            && let Some(slot) = self.queue.pop_back(&mut self.links)
        {
            let id = self.departed[slot as usize].id;
            self.table.find_entry(id, |&other| other == slot).expect("every queued id is in the table").remove();
            self.release(slot);
        }
    }

    fn place(&mut self, departed: Departed) -> Slot {
        if let Some(slot) = self.vacant.pop() {
            self.departed[slot as usize] = departed;
            return slot;
        }
        self.departed.push(departed);
        Slot::try_from(self.departed.len() - 1).expect("fewer than 2^32 ghosts")
    }

    fn release(&mut self, slot: Slot) {
        self.weight -= u64::from(self.departed[slot as usize].weight);
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
            ghost.insert(id, id);
        }
        assert!(ghost.remove(2) && !ghost.remove(2));
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
            ghost.insert(id, 1);
            if id % 3 == 0 {
                ghost.remove(id - id % 2);
            }
        }
        assert!(ghost.departed.len() <= 10);
    }

    #[test]
    fn giants_are_remembered_at_the_largest_weight_there_is() {
        let mut ghost = Ghost::default();
        ghost.insert(1, u64::MAX);
        assert_eq!(ghost.weight(), u64::from(u32::MAX));
        assert!(ghost.remove(1));
        assert_eq!(ghost.weight(), 0);
    }
}
