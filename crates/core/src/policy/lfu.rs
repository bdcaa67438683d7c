//! LFU: evicts the entry with the fewest accesses since it was inserted; among equals the one that reached that
//! number first. A tie between a new entry and an old one is thus lost by the old one.
//! Lists of equal frequency make every step O(1): Shah, Mitra & Matani, "An O(1) algorithm for implementing the LFU
//! cache eviction scheme", 2010.

use super::Policy;
use crate::access::{Access, Slot};
use crate::list::{Links, List};
use crate::memory::count_memory;

/// Index of a class.
type Rank = Slot;

/// The entries of one frequency, oldest at the back.
struct Class {
    frequency: u64,
    members: List,
}

#[derive(Default)]
pub struct Lfu {
    links: Links,
    rank_of: Vec<Rank>,
    classes: Vec<Class>,
    /// Classes without members, to be reused.
    vacant: Vec<Rank>,
    /// Classes with members, the least frequent at the back.
    order: List,
    order_links: Links,
}

count_memory!(Lfu []: links, rank_of, classes, vacant, order_links);

impl Lfu {
    /// The class of `frequency`, which is `below`'s neighbour if it exists; the rarest of all when `below` is `None`.
    fn class(&mut self, below: Option<Rank>, frequency: u64) -> Rank {
        let next = match below {
            Some(below) => self.order_links.newer(below),
            None => self.order.back(),
        };
        next.filter(|&rank| self.classes[rank as usize].frequency == frequency)
            .unwrap_or_else(|| self.open(below, frequency))
    }

    fn open(&mut self, below: Option<Rank>, frequency: u64) -> Rank {
        let rank = self.vacant.pop().unwrap_or_else(|| {
            self.classes.push(Class { frequency, members: List::default() });
            self.classes.len() as Rank - 1
        });
        self.classes[rank as usize].frequency = frequency;
        self.order.push_newer_than(&mut self.order_links, below, rank);
        rank
    }

    fn join(&mut self, rank: Rank, slot: Slot) {
        self.rank_of[slot as usize] = rank;
        self.classes[rank as usize].members.push_front(&mut self.links, slot);
    }

    fn leave(&mut self, slot: Slot) {
        let rank = self.rank_of[slot as usize];
        let members = &mut self.classes[rank as usize].members;
        members.remove(&mut self.links, slot);
        if members.len() == 0 {
            self.order.remove(&mut self.order_links, rank);
            self.vacant.push(rank);
        }
    }
}

impl Policy for Lfu {
    fn insert(&mut self, slot: Slot, _access: &Access) {
        if slot as usize >= self.rank_of.len() {
            self.rank_of.resize(slot as usize + 1, 0);
        }
        let rank = self.class(None, 1);
        self.join(rank, slot);
    }

    fn hit(&mut self, slot: Slot, _access: &Access) {
        let rank = self.rank_of[slot as usize];
        let frequency = self.classes[rank as usize].frequency + 1;
        let next = self.class(Some(rank), frequency);
        self.leave(slot);
        self.join(next, slot);
    }

    fn evict(&mut self, _incoming: &Access) -> Option<Slot> {
        let rarest = self.order.back()?;
        let slot = self.classes[rarest as usize].members.back()?;
        self.leave(slot);
        Some(slot)
    }

    fn remove(&mut self, slot: Slot) {
        self.leave(slot);
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
    fn evicts_the_rarest_and_among_equals_the_first_to_get_there() {
        let mut policy = Lfu::default();
        for slot in 0..4 {
            policy.insert(slot, &access(u64::from(slot), 1));
        }
        for slot in [3, 1, 1, 0] {
            policy.hit(slot, &access(u64::from(slot), 1));
        }
        policy.remove(2);
        let order: Vec<_> = std::iter::from_fn(|| policy.evict(&access(9, 1))).collect();
        assert_eq!(order, [3, 0, 1]);
        assert_eq!(policy.order.len(), 0);
    }
}
