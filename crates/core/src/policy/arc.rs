//! ARC: two LRU lists, of entries accessed once and more than once, share the capacity; ids remembered behind
//! each tell which of them should have been longer.
//! Megiddo & Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003, figure 4.

use super::{Policy, Setting};
use crate::access::{Access, Slot};
use crate::ghost::{Ghost, Print, print};
use crate::memory::count_memory;
use crate::segments::Segments;

/// T1 of the paper: accessed once since they came.
const ONCE: usize = 0;
/// T2 of the paper: accessed at least twice.
const OFTEN: usize = 1;

pub struct Arc {
    segments: Segments<2>,
    prints: Vec<Print>,
    /// B1 and B2 of the paper: what left T1 and T2.
    ghosts: [Ghost; 2],
    capacity: u64,
    /// p of the paper: the weight that T1 should have.
    target: f64,
    /// Which list the key on its way in had left, when that is remembered.
    returning: Option<usize>,
}

count_memory!(Arc []: segments, prints, ghosts);

impl Arc {
    pub fn new(setting: &Setting) -> Self {
        Self {
            segments: Segments::default(),
            prints: Vec::new(),
            ghosts: Default::default(),
            capacity: setting.capacity,
            target: 0.0,
            returning: None,
        }
    }

    /// Moves the target by the incoming weight, or more when the other ghost is the larger one.
    fn adapt(&mut self, left: usize, weight: u64) {
        let (own, other) = (self.ghosts[left].weight() as f64, self.ghosts[1 - left].weight() as f64);
        let step = weight as f64 * (other / own).max(1.0);
        self.target =
            if left == ONCE { (self.target + step).min(self.capacity as f64) } else { (self.target - step).max(0.0) };
    }

    /// Case IV of the paper: of T1 and B1 at most the capacity is known, of all four lists twice that.
    fn forget_for(&mut self, weight: u64) {
        let once = self.segments.weight(ONCE) + weight;
        self.ghosts[ONCE].trim(self.capacity.saturating_sub(once));
        let once = (once + self.ghosts[ONCE].weight()).min(self.capacity);
        let resident = once + self.segments.weight(OFTEN);
        self.ghosts[OFTEN].trim(self.capacity.saturating_mul(2).saturating_sub(resident));
    }

    /// REPLACE of the paper: which list gives up its oldest.
    fn loser(&self) -> usize {
        let once = self.segments.weight(ONCE) as f64;
        let over = once > self.target || (once >= self.target && self.returning == Some(OFTEN));
        let often_is_empty = self.segments.oldest(OFTEN).is_none();
        if often_is_empty || (over && once > 0.0) { ONCE } else { OFTEN }
    }
}

impl Policy for Arc {
    fn miss(&mut self, access: &Access) {
        self.returning = [ONCE, OFTEN].into_iter().find(|&left| self.ghosts[left].remembers(access.id));
        match self.returning {
            Some(left) => {
                self.adapt(left, access.weight);
                self.ghosts[left].remove(access.id);
            }
            None => self.forget_for(access.weight),
        }
    }

    fn insert(&mut self, slot: Slot, access: &Access) {
        if slot as usize >= self.prints.len() {
            self.prints.resize(slot as usize + 1, 0);
        }
        self.prints[slot as usize] = print(access.id);
        let list = if self.returning.take().is_some() { OFTEN } else { ONCE };
        self.segments.insert(list, slot, access.weight);
    }

    fn hit(&mut self, slot: Slot, access: &Access) {
        self.segments.reweigh(slot, access.weight);
        self.segments.shift(OFTEN, slot);
    }

    fn evict(&mut self, incoming: &Access) -> Option<Slot> {
        let list = self.loser();
        let slot = self.segments.oldest(list)?;
        // When T1 alone fills the cache there is no room to remember what leaves it.
        let forgotten = self.returning.is_none() && self.segments.weight(ONCE) + incoming.weight > self.capacity;
        if !forgotten {
            self.ghosts[list].insert(self.prints[slot as usize], self.segments.weight_of(slot));
        }
        self.segments.remove(slot);
        Some(slot)
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
    fn a_key_that_left_too_early_comes_back_among_the_often_accessed_and_moves_the_target() {
        let mut policy = Arc::new(&Setting::new(2, 0));
        policy.insert(0, &access(1, 1));
        policy.hit(0, &access(1, 1));
        policy.insert(1, &access(2, 1));
        policy.miss(&access(3, 1));
        assert_eq!(policy.evict(&access(3, 1)), Some(1));
        policy.insert(1, &access(3, 1));
        policy.miss(&access(2, 1));
        assert!((policy.target - 1.0).abs() < f64::EPSILON);
        assert_eq!(policy.evict(&access(2, 1)), Some(0));
        policy.insert(0, &access(2, 1));
        assert_eq!((policy.segments.segment_of(0), policy.ghosts[OFTEN].remembers(1)), (OFTEN, true));
    }
}
