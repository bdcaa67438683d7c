//! What slots weigh; holds nothing while all weigh 1, as they do in caches that count entries.

use crate::access::Slot;
use crate::memory::count_memory;

/// The weight of every slot; 1 unless told otherwise.
#[derive(Default)]
pub struct Weights(Vec<u64>);

count_memory!(Weights []: 0);

impl Weights {
    /// The weight of a slot.
    #[inline]
    pub fn of(&self, slot: Slot) -> u64 {
        self.0.get(slot as usize).copied().unwrap_or(1)
    }

    /// Gives `slot` its weight.
    pub fn set(&mut self, slot: Slot, weight: u64) {
        if weight != self.of(slot) {
            self.0.resize(self.0.len().max(slot as usize + 1), 1);
            self.0[slot as usize] = weight;
        }
    }
}
