//! A binary heap of slots, smallest key first, in which any slot can change its key or leave in O(log n).

use crate::access::Slot;
use crate::memory::count_memory;

const ABSENT: u32 = u32::MAX;

/// Slots ordered by a 64-bit key; equal keys by slot, so that the order never depends on history.
#[derive(Default)]
pub struct SlotHeap {
    heap: Vec<(u64, Slot)>,
    position: Vec<u32>,
}

count_memory!(SlotHeap []: heap, position);

impl SlotHeap {
    /// The smallest key and its slot.
    pub fn peek(&self) -> Option<(u64, Slot)> {
        self.heap.first().copied()
    }

    /// Adds `slot`, or moves it, to `key`.
    pub fn set(&mut self, slot: Slot, key: u64) {
        let index = slot as usize;
        if index >= self.position.len() {
            self.position.resize(index + 1, ABSENT);
        }
        if self.position[index] == ABSENT {
            self.position[index] = self.heap.len() as u32;
            self.heap.push((key, slot));
        }
        let at = self.position[index] as usize;
        self.heap[at].0 = key;
        let at = self.rise(at);
        self.sink(at);
    }

    /// Takes `slot` off the heap; false when it was not on it.
    pub fn remove(&mut self, slot: Slot) -> bool {
        let at = self.position.get(slot as usize).copied().unwrap_or(ABSENT);
        if at == ABSENT {
            return false;
        }
        self.position[slot as usize] = ABSENT;
        self.heap.swap_remove(at as usize);
        if let Some(&(_, moved)) = self.heap.get(at as usize) {
            self.position[moved as usize] = at;
            let at = self.rise(at as usize);
            self.sink(at);
        }
        true
    }

    /// Takes the slot with the smallest key off the heap.
    pub fn pop(&mut self) -> Option<Slot> {
        let (_, slot) = self.peek()?;
        self.remove(slot);
        Some(slot)
    }

    fn place(&mut self, at: usize, item: (u64, Slot)) {
        self.heap[at] = item;
        self.position[item.1 as usize] = at as u32;
    }

    fn rise(&mut self, mut at: usize) -> usize {
        let item = self.heap[at];
        while at > 0 && item < self.heap[(at - 1) / 2] {
            self.place(at, self.heap[(at - 1) / 2]);
            at = (at - 1) / 2;
        }
        self.place(at, item);
        at
    }

    fn sink(&mut self, mut at: usize) {
        let item = self.heap[at];
        loop {
            let mut child = 2 * at + 1;
            if child + 1 < self.heap.len() && self.heap[child + 1] < self.heap[child] {
                child += 1;
            }
            if child >= self.heap.len() || item <= self.heap[child] {
                break;
            }
            self.place(at, self.heap[child]);
            at = child;
        }
        self.place(at, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pops_in_order_of_key_whatever_was_moved_or_removed() {
        let mut heap = SlotHeap::default();
        for slot in 0..200 {
            heap.set(slot, crate::access::mix(u64::from(slot)) % 50);
        }
        for slot in (0..200).step_by(3) {
            heap.set(slot, crate::access::mix(u64::from(slot) + 1000) % 50);
        }
        for slot in (0..200).step_by(7) {
            assert!(heap.remove(slot));
            assert!(!heap.remove(slot));
        }
        let mut last = (0, 0);
        let mut popped = 0;
        while let Some(top) = heap.peek() {
            assert!(top >= last, "{top:?} after {last:?}");
            last = top;
            heap.pop();
            popped += 1;
        }
        assert_eq!(popped, 200 - 200usize.div_ceil(7));
    }
}
