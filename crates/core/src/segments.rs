//! Resident slots divided into queues, each of which knows its weight: what segmented policies are made of.

use crate::access::Slot;
use crate::list::{Links, List};
use crate::memory::count_memory;
use crate::weights::Weights;

/// `N` queues of slots, numbered from 0; a resident slot is on exactly one of them.
pub struct Segments<const N: usize> {
    links: Links,
    weights: Weights,
    segment_of: Vec<u8>,
    queues: [List; N],
    totals: [u64; N],
}

count_memory!(Segments<N> [const N: usize]: links, weights, segment_of);

impl<const N: usize> Default for Segments<N> {
    fn default() -> Self {
        Self {
            links: Links::default(),
            weights: Weights::default(),
            segment_of: Vec::new(),
            queues: std::array::from_fn(|_| List::default()),
            totals: [0; N],
        }
    }
}

impl<const N: usize> Segments<N> {
    /// Total weight of the slots in `segment`.
    pub fn weight(&self, segment: usize) -> u64 {
        self.totals[segment]
    }

    /// The slot that was put into `segment`, or refreshed there, longest ago.
    pub fn oldest(&self, segment: usize) -> Option<Slot> {
        self.queues[segment].back()
    }

    /// Where the resident `slot` is.
    pub fn segment_of(&self, slot: Slot) -> usize {
        usize::from(self.segment_of[slot as usize])
    }

    /// What the resident `slot` weighs.
    pub fn weight_of(&self, slot: Slot) -> u64 {
        self.weights.of(slot)
    }

    /// Puts `slot`, so far not resident, into `segment` as its newest.
    pub fn insert(&mut self, segment: usize, slot: Slot, weight: u64) {
        if slot as usize >= self.segment_of.len() {
            self.segment_of.resize(slot as usize + 1, 0);
        }
        self.weights.set(slot, weight);
        self.push(segment, slot, weight);
    }

    /// Makes the resident `slot` the newest of `segment`, wherever it was.
    pub fn shift(&mut self, segment: usize, slot: Slot) {
        let from = self.segment_of(slot);
        if from == segment {
            self.queues[segment].move_to_front(&mut self.links, slot);
        } else {
            self.remove(slot);
            self.push(segment, slot, self.weight_of(slot));
        }
    }

    /// The resident `slot` weighs `weight` from now on.
    pub fn reweigh(&mut self, slot: Slot, weight: u64) {
        let before = self.weight_of(slot);
        if weight != before {
            let total = &mut self.totals[usize::from(self.segment_of[slot as usize])];
            *total = *total - before + weight;
            self.weights.set(slot, weight);
        }
    }

    /// Takes the resident `slot` away.
    pub fn remove(&mut self, slot: Slot) {
        let segment = self.segment_of(slot);
        self.queues[segment].remove(&mut self.links, slot);
        self.totals[segment] -= self.weight_of(slot);
    }

    fn push(&mut self, segment: usize, slot: Slot, weight: u64) {
        self.segment_of[slot as usize] = segment as u8;
        self.queues[segment].push_front(&mut self.links, slot);
        self.totals[segment] += weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_follow_inserts_shifts_new_weights_and_removals() {
        let mut segments = Segments::<2>::default();
        segments.insert(0, 3, 1);
        segments.insert(0, 1, 10);
        segments.insert(1, 0, 5);
        assert_eq!((segments.weight(0), segments.weight(1)), (11, 5));
        segments.shift(1, 3);
        segments.reweigh(3, 7);
        assert_eq!((segments.weight(0), segments.weight(1)), (10, 12));
        assert_eq!((segments.segment_of(3), segments.oldest(1)), (1, Some(0)));
        segments.shift(1, 0);
        assert_eq!(segments.oldest(1), Some(3));
        segments.remove(3);
        segments.insert(0, 3, 1);
        assert_eq!((segments.weight(0), segments.weight(1)), (11, 5));
    }
}
