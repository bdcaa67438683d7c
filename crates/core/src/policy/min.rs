//! MIN: evicts the entry whose next access is farthest away. No policy that admits every key and weighs all alike
//! hits more often; it needs the future, so it is the yardstick of simulations.
//! Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Sys. J. 5(2), 1966.

use super::Policy;
use crate::access::{Access, Slot};
use crate::heap::SlotHeap;
use crate::memory::count_memory;

#[derive(Default)]
pub struct Min {
    /// Smallest key first, so the key is the complement of the next access.
    farthest: SlotHeap,
}

count_memory!(Min []: farthest);

impl Policy for Min {
    fn insert(&mut self, slot: Slot, access: &Access) {
        self.farthest.set(slot, !access.next);
    }

    fn hit(&mut self, slot: Slot, access: &Access) {
        self.farthest.set(slot, !access.next);
    }

    fn evict(&mut self, _incoming: &Access) -> Option<Slot> {
        self.farthest.pop()
    }

    fn remove(&mut self, slot: Slot) {
        self.farthest.remove(slot);
    }
}
