//! Ids of entries that were evicted: what a policy remembers of those it let go.

use hashbrown::HashTable;

use crate::access::Slot;
use crate::list::{Links, List};
use crate::memory::count_memory;

struct Departed {
    id: u64,
    /// Above 2^32 - 1 counts as that: what is remembered of giants need not be exact.
    weight: u32,
    queue: u8,
}

/// `N` queues of ids, in which any can be found and removed in O(1). Their owner bounds them with `trim`.
pub struct Ghost<const N: usize> {
    table: HashTable<Slot>,
    departed: Vec<Departed>,
    vacant: Vec<Slot>,
    links: Links,
    queues: [List; N],
    totals: [u64; N],
}

count_memory!(Ghost<N> [const N: usize]: table, departed, vacant, links);

impl<const N: usize> Default for Ghost<N> {
    fn default() -> Self {
        Self {
            table: HashTable::new(),
            departed: Vec::new(),
            vacant: Vec::new(),
            links: Links::default(),
            queues: std::array::from_fn(|_| List::default()),
            totals: [0; N],
        }
    }
}

impl<const N: usize> Ghost<N> {
    /// Total weight that the entries remembered in `queue` had.
    pub fn weight(&self, queue: usize) -> u64 {
        self.totals[queue]
    }

    /// Where `id` is remembered.
    pub fn find(&self, id: u64) -> Option<usize> {
        let slot = *self.table.find(id, |&slot| self.departed[slot as usize].id == id)?;
        Some(usize::from(self.departed[slot as usize].queue))
    }

    /// Remembers `id` as the newest of `queue`.
    pub fn insert(&mut self, queue: usize, id: u64, weight: u64) {
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let slot = self.place(Departed { id, weight, queue: queue as u8 });
        let departed = &self.departed;
        self.table.insert_unique(id, slot, |&slot| departed[slot as usize].id);
        self.queues[queue].push_front(&mut self.links, slot);
        self.totals[queue] += u64::from(weight);
    }

    /// Forgets `id`; true when it was remembered.
    pub fn remove(&mut self, id: u64) -> bool {
        let Ok(found) = self.table.find_entry(id, |&slot| self.departed[slot as usize].id == id) else { return false };
        let (slot, _) = found.remove();
        self.release(slot);
        true
    }

    /// Forgets the oldest of `queue` until their weight is at most `most`.
    pub fn trim(&mut self, queue: usize, most: u64) {
        while self.totals[queue] > most
            && let Some(slot) = self.queues[queue].back()
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

    /// Takes a slot that is no longer in the table off its queue.
    fn release(&mut self, slot: Slot) {
        let Departed { queue, weight, .. } = self.departed[slot as usize];
        self.queues[usize::from(queue)].remove(&mut self.links, slot);
        self.totals[usize::from(queue)] -= u64::from(weight);
        self.vacant.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest_first_and_any_on_demand() {
        let mut ghost = Ghost::<1>::default();
        for id in 1..=5 {
            ghost.insert(0, id, id);
        }
        assert!(ghost.remove(2) && !ghost.remove(2));
        assert_eq!(ghost.weight(0), 13);
        ghost.trim(0, 12);
        assert_eq!(ghost.weight(0), 12);
        assert!(!ghost.remove(1) && ghost.remove(3));
        ghost.trim(0, 0);
        assert!(!ghost.remove(4) && !ghost.remove(5));
        assert_eq!(ghost.weight(0), 0);
    }

    #[test]
    fn queues_are_found_weighed_and_trimmed_apart() {
        let mut ghost = Ghost::<2>::default();
        ghost.insert(0, 1, 10);
        ghost.insert(1, 2, 20);
        assert_eq!((ghost.find(1), ghost.find(2), ghost.find(3)), (Some(0), Some(1), None));
        ghost.trim(0, 0);
        assert_eq!((ghost.find(1), ghost.weight(0), ghost.weight(1)), (None, 0, 20));
    }

    #[test]
    fn places_are_reused_so_that_memory_is_bounded_by_weight() {
        let mut ghost = Ghost::<1>::default();
        for id in 0..1000 {
            ghost.trim(0, 9);
            ghost.insert(0, id, 1);
            if id % 3 == 0 {
                ghost.remove(id - id % 2);
            }
        }
        assert!(ghost.departed.len() <= 10);
    }

    #[test]
    fn giants_are_remembered_at_the_largest_weight_there_is() {
        let mut ghost = Ghost::<1>::default();
        ghost.insert(0, 1, u64::MAX);
        assert_eq!(ghost.weight(0), u64::from(u32::MAX));
        assert!(ghost.remove(1));
        assert_eq!(ghost.weight(0), 0);
    }
}
