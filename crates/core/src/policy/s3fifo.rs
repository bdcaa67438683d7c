//! S3-FIFO: a small FIFO queue lets through to the main one only what was accessed again; what it evicts is
//! remembered for a while and enters the main queue directly when it comes back.
//! Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023, algorithm 1.

use super::{Policy, Setting};
use crate::access::{Access, Slot};
use crate::ghost::{Ghost, Print, print};
use crate::memory::count_memory;
use crate::segments::Segments;

const SMALL: usize = 0;
const MAIN: usize = 1;

/// One part in ten of the capacity is the small queue's; the rest is the main queue's, and the weight of what is
/// remembered besides. Section 4.2 of the paper.
const SMALL_SHARE: u64 = 10;
/// Hits in the small queue that carry an entry to the main one: "accessed more than once".
const PROMOTION: u8 = 2;
/// Hits that are counted; section 4.1: two bits per entry.
const MOST_HITS: u8 = 3;

pub struct S3Fifo {
    segments: Segments<2>,
    prints: Vec<Print>,
    hits: Vec<u8>,
    ghost: Ghost,
    small_capacity: u64,
    main_capacity: u64,
    ghost_capacity: u64,
    /// Whether the key on its way in was remembered.
    returning: bool,
    /// Whether it is new and heavier than the small queue, so that it would be the first to leave.
    oversized: bool,
    /// Before the first eviction the main queue takes what the small one has no room for.
    filling: bool,
}

count_memory!(S3Fifo []: segments, prints, hits, ghost);

impl S3Fifo {
    pub fn new(setting: &Setting) -> Self {
        let small_capacity = (setting.capacity / SMALL_SHARE).max(1);
        Self {
            segments: Segments::default(),
            prints: Vec::new(),
            hits: Vec::new(),
            ghost: Ghost::default(),
            small_capacity,
            main_capacity: setting.capacity - small_capacity,
            ghost_capacity: setting.capacity - setting.capacity.div_ceil(SMALL_SHARE),
            returning: false,
            oversized: false,
            filling: true,
        }
    }

    fn evict_small(&mut self) -> Option<Slot> {
        while let Some(slot) = self.segments.oldest(SMALL) {
            if self.hits[slot as usize] < PROMOTION {
                self.remember(self.prints[slot as usize], self.segments.weight_of(slot));
                self.segments.remove(slot);
                return Some(slot);
            }
            self.hits[slot as usize] = 0;
            self.segments.shift(MAIN, slot);
        }
        None
    }

    fn evict_main(&mut self) -> Option<Slot> {
        while let Some(slot) = self.segments.oldest(MAIN) {
            if self.hits[slot as usize] == 0 {
                self.segments.remove(slot);
                return Some(slot);
            }
            self.hits[slot as usize] -= 1;
            self.segments.shift(MAIN, slot);
        }
        None
    }

    fn remember(&mut self, print: Print, weight: u64) {
        if weight <= self.ghost_capacity {
            self.ghost.trim(self.ghost_capacity - weight);
            self.ghost.insert(print, weight);
        }
    }

    fn entry_segment(&self, weight: u64) -> usize {
        let full = self.segments.weight(SMALL) + weight > self.small_capacity;
        if self.returning || (self.filling && full) { MAIN } else { SMALL }
    }
}

impl Policy for S3Fifo {
    fn miss(&mut self, access: &Access) {
        self.returning = self.ghost.remove(access.id);
        self.oversized = !self.returning && access.weight > self.small_capacity;
    }

    fn insert(&mut self, slot: Slot, access: &Access) {
        if slot as usize >= self.prints.len() {
            self.prints.resize(slot as usize + 1, 0);
            self.hits.resize(slot as usize + 1, 0);
        }
        self.prints[slot as usize] = print(access.id);
        self.hits[slot as usize] = 0;
        self.segments.insert(self.entry_segment(access.weight), slot, access.weight);
        self.oversized = false;
    }

    fn hit(&mut self, slot: Slot, access: &Access) {
        let hits = &mut self.hits[slot as usize];
        if *hits < MOST_HITS {
            *hits += 1; // most hits find it at its limit, and leave the cache line clean
        }
        self.segments.reweigh(slot, access.weight);
    }

    fn evict(&mut self, incoming: &Access) -> Option<Slot> {
        self.filling = false;
        if std::mem::take(&mut self.oversized) {
            self.remember(print(incoming.id), incoming.weight);
            return None;
        }
        if self.segments.weight(MAIN) > self.main_capacity {
            self.evict_main()
        } else {
            self.evict_small().or_else(|| self.evict_main())
        }
    }

    fn remove(&mut self, slot: Slot) {
        self.segments.remove(slot);
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
    fn a_key_heavier_than_the_small_queue_is_let_in_when_it_comes_back() {
        let mut policy = S3Fifo::new(&Setting::new(100, 0));
        policy.insert(0, &access(1, 100));
        let heavy = access(2, 50);
        policy.miss(&heavy);
        assert_eq!(policy.evict(&heavy), None);
        policy.miss(&heavy);
        assert_eq!(policy.evict(&heavy), Some(0));
        policy.insert(0, &heavy);
        assert_eq!((policy.segments.weight(SMALL), policy.segments.weight(MAIN)), (0, 50));
    }

    #[test]
    fn two_hits_in_the_small_queue_lead_to_the_main_one_and_none_to_the_ghost() {
        let mut policy = S3Fifo::new(&Setting::new(20, 0));
        policy.insert(0, &access(10, 1));
        policy.insert(1, &access(11, 1));
        policy.hit(0, &access(10, 1));
        policy.hit(0, &access(10, 1));
        assert_eq!(policy.evict(&access(12, 1)), Some(1));
        assert_eq!((policy.segments.segment_of(0), policy.ghost.remembers(11)), (MAIN, true));
    }
}
