//! SIEVE: a hand sweeps a FIFO queue from old to new and evicts the first entry not visited
//! since the hand last passed it.
//! Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024, algorithm 1.

use super::Policy;
use crate::access::{Access, Slot};
use crate::list::{Links, List};
use crate::memory::count_memory;

#[derive(Default)]
pub struct Sieve {
    links: Links,
    queue: List,
    visited: Vec<bool>,
    /// Where the next sweep starts; the oldest entry when `None`.
    hand: Option<Slot>,
}

count_memory!(Sieve []: links, visited);

impl Policy for Sieve {
    fn insert(&mut self, slot: Slot, _access: &Access) {
        if slot as usize >= self.visited.len() {
            self.visited.resize(slot as usize + 1, false);
        }
        self.visited[slot as usize] = false;
        self.queue.push_front(&mut self.links, slot);
    }

    fn hit(&mut self, slot: Slot, _access: &Access) {
        if !self.visited[slot as usize] {
            self.visited[slot as usize] = true; // most hits find it set, and leave the cache line clean
        }
    }

    fn evict(&mut self, _incoming: &Access) -> Option<Slot> {
        let mut hand = self.hand.or(self.queue.back())?;
        while self.visited[hand as usize] {
            self.visited[hand as usize] = false;
            hand = self.links.newer(hand).or(self.queue.back())?;
        }
        self.hand = Some(hand);
        self.remove(hand);
        Some(hand)
    }

    fn remove(&mut self, slot: Slot) {
        if self.hand == Some(slot) {
            self.hand = self.links.newer(slot);
        }
        self.queue.remove(&mut self.links, slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::NEVER;
    use crate::context::NO_CONTEXT;

    fn access(id: u64, weight: u64) -> Access {
        Access { id, tick: 0, weight, next: NEVER, context: NO_CONTEXT }
    }

    #[test]
    fn the_hand_moves_on_when_its_entry_is_removed() {
        let mut policy = Sieve::default();
        for slot in 0..4 {
            policy.insert(slot, &access(u64::from(slot), 1));
        }
        policy.hit(0, &access(0, 1));
        assert_eq!(policy.evict(&access(9, 1)), Some(1)); // the hand now points to 2
        policy.remove(2);
        assert_eq!(policy.evict(&access(9, 1)), Some(3));
        assert_eq!((policy.evict(&access(9, 1)), policy.evict(&access(9, 1))), (Some(0), None));
    }
}
