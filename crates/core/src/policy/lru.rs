//! LRU: evicts the entry that was accessed longest ago.
//! Sleator & Tarjan, "Amortized efficiency of list update and paging rules", CACM 28(2), 1985.

use super::Policy;
use crate::access::{Access, Slot};
use crate::list::{Links, List};
use crate::memory::count_memory;

#[derive(Default)]
pub struct Lru {
    links: Links,
    queue: List,
}

count_memory!(Lru []: links);

impl Policy for Lru {
    fn insert(&mut self, slot: Slot, _access: &Access) {
        self.queue.push_front(&mut self.links, slot);
    }

    fn hit(&mut self, slot: Slot, _access: &Access) {
        self.queue.move_to_front(&mut self.links, slot);
    }

    fn evict(&mut self, _incoming: &Access) -> Option<Slot> {
        self.queue.pop_back(&mut self.links)
    }

    fn remove(&mut self, slot: Slot) {
        self.queue.remove(&mut self.links, slot);
    }
}
