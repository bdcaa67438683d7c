//! FIFO: evicts the entry that was inserted longest ago.
//! Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Sys. J. 5(2), 1966.

use super::Policy;
use crate::access::{Access, Slot};
use crate::list::{Links, List};
use crate::memory::count_memory;

#[derive(Default)]
pub struct Fifo {
    links: Links,
    queue: List,
}

count_memory!(Fifo []: links);

impl Policy for Fifo {
    fn insert(&mut self, slot: Slot, _access: &Access) {
        self.queue.push_front(&mut self.links, slot);
    }

    fn hit(&mut self, _slot: Slot, _access: &Access) {}

    fn evict(&mut self, _incoming: &Access) -> Option<Slot> {
        self.queue.pop_back(&mut self.links)
    }

    fn remove(&mut self, slot: Slot) {
        self.queue.remove(&mut self.links, slot);
    }
}
