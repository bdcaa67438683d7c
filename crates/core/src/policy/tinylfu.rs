//! W-TinyLFU: new entries pass through a window; what leaves the window stays only if it was accessed more often,
//! lately, than the entry that would have to go for it. The window's share is climbed towards more hits.
//! Einziger, Friedman & Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM TOS 13(4), 2017;
//! Einziger, Eytan, Friedman & Manes, "Adaptive Software Cache Management", Middleware 2018.

use super::{Policy, Setting};
use crate::access::{Access, Slot};
use crate::chance::Chance;
use crate::climber::Climber;
use crate::memory::count_memory;
use crate::segments::Segments;
use crate::sketch::{Fingerprint, Sketch};

const WINDOW: usize = 0;
const PROBATION: usize = 1;
const PROTECTED: usize = 2;

/// Share of the capacity that the window has at first.
const WINDOW_SHARE: f64 = 0.15;
/// One part in five of the capacity is where entries of the main space wait to be accessed there; what it and the
/// window leave protects those that were.
const PROBATION_SHARE: u64 = 5;
/// Accesses per entry between two steps of the climber.
const SAMPLE_PER_ENTRY: u64 = 5;
/// A cache that holds so few entries when it is first full widens its window first, a larger one narrows it.
const FEW: u64 = 2000;
/// An entry at least this frequent is now and then admitted without being more frequent than the victim, lest keys
/// that collide with hot ones be kept out for ever; the chance is [`LUCK`]. Both as in Caffeine.
const WARM: u64 = 6;
const LUCK: f64 = 1.0 / 128.0;

pub struct TinyLfu {
    segments: Segments<3>,
    fingerprints: Vec<Fingerprint>,
    entries: u64,
    sketch: Sketch,
    climber: Climber,
    capacity: u64,
    window_capacity: u64,
    protected_capacity: u64,
    chance: Chance,
    /// Whether room was ever short; the climber learns nothing before.
    full: bool,
    /// Whether the key on its way in is too heavy for the window, and has not yet won against a victim.
    contested: bool,
}

count_memory!(TinyLfu []: segments, fingerprints, sketch);

impl TinyLfu {
    pub fn new(setting: &Setting) -> Self {
        let mut policy = Self {
            segments: Segments::default(),
            fingerprints: Vec::new(),
            entries: 0,
            sketch: Sketch::default(),
            climber: Climber::new(WINDOW_SHARE, 1.0 - 1.0 / PROBATION_SHARE as f64),
            capacity: setting.capacity,
            window_capacity: 0,
            protected_capacity: 0,
            chance: Chance::new(setting.seed),
            full: false,
            contested: false,
        };
        policy.divide();
        policy
    }

    /// Divides the capacity as the climber says.
    #[expect(clippy::cast_sign_loss, reason = "neither a capacity nor a position is negative")]
    fn divide(&mut self) {
        self.window_capacity = ((self.capacity as f64 * self.climber.position()) as u64).max(1);
        let main = self.capacity.saturating_sub(self.window_capacity);
        self.protected_capacity = main.saturating_sub(self.capacity / PROBATION_SHARE);
    }

    fn count(&mut self, fingerprint: Fingerprint, hit: bool) {
        self.sketch.count(fingerprint);
        if self.full && self.climber.observe(hit, SAMPLE_PER_ENTRY * self.entries) {
            self.divide();
        }
    }

    /// Room is short: from the first time on, the climber learns.
    fn fill(&mut self) {
        if !self.full && self.entries <= FEW {
            self.climber.turn();
        }
        self.full = true;
    }

    /// Moves what the window has no room for to probation; returns the first that moved.
    fn shed(&mut self, weight: u64) -> Option<Slot> {
        let most = self.window_capacity.saturating_sub(weight);
        let candidate = self.segments.oldest(WINDOW)?;
        let over = self.segments.weight(WINDOW) > most;
        while self.segments.weight(WINDOW) > most
            && let Some(slot) = self.segments.oldest(WINDOW)
        {
            self.segments.shift(PROBATION, slot);
        }
        over.then_some(candidate)
    }

    fn victim(&self) -> Option<Slot> {
        [PROBATION, PROTECTED, WINDOW].into_iter().find_map(|segment| self.segments.oldest(segment))
    }

    fn prefers(&mut self, candidate: Fingerprint, victim: Slot) -> bool {
        let candidate = self.sketch.estimate(candidate);
        let victim = self.sketch.estimate(self.fingerprints[victim as usize]);
        candidate > victim || (candidate >= WARM && self.chance.draw() <= LUCK)
    }
}

impl Policy for TinyLfu {
    fn miss(&mut self, access: &Access) {
        self.count(Fingerprint::of(access.id), false);
        self.contested = access.weight > self.window_capacity;
    }

    fn insert(&mut self, slot: Slot, access: &Access) {
        self.entries += 1;
        self.sketch.grow(self.entries);
        self.fingerprints.resize(self.fingerprints.len().max(slot as usize + 1), Fingerprint::default());
        self.fingerprints[slot as usize] = Fingerprint::of(access.id);
        let segment = if access.weight > self.window_capacity { PROBATION } else { WINDOW };
        self.segments.insert(segment, slot, access.weight);
        self.contested = false;
    }

    fn hit(&mut self, slot: Slot, access: &Access) {
        self.count(Fingerprint::of(access.id), true);
        self.segments.reweigh(slot, access.weight);
        match self.segments.segment_of(slot) {
            WINDOW => self.segments.shift(WINDOW, slot),
            _ => self.segments.shift(PROTECTED, slot),
        }
        while self.segments.weight(PROTECTED) > self.protected_capacity
            && let Some(oldest) = self.segments.oldest(PROTECTED)
        {
            self.segments.shift(PROBATION, oldest);
        }
    }

    fn evict(&mut self, incoming: &Access) -> Option<Slot> {
        self.fill();
        let candidate = self.shed(if self.contested { 0 } else { incoming.weight });
        let victim = self.victim()?;
        if std::mem::take(&mut self.contested) && !self.prefers(Fingerprint::of(incoming.id), victim) {
            return None;
        }
        let loser = match candidate {
            Some(candidate) if !self.prefers(self.fingerprints[candidate as usize], victim) => candidate,
            _ => victim,
        };
        self.remove(loser);
        Some(loser)
    }

    fn remove(&mut self, slot: Slot) {
        self.entries -= 1;
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

    fn full(weight: u64) -> TinyLfu {
        let mut policy = TinyLfu::new(&Setting::new(100, 0));
        policy.miss(&access(1 << 20, weight));
        policy.insert(0, &access(1 << 20, weight));
        policy
    }

    #[test]
    fn a_key_too_heavy_for_the_window_must_be_more_frequent_than_the_victim() {
        let mut policy = full(100);
        let heavy = access(2 << 20, 50);
        policy.miss(&heavy);
        assert_eq!(policy.evict(&heavy), None);
        policy.miss(&heavy);
        assert_eq!(policy.evict(&heavy), Some(0));
        policy.insert(0, &heavy);
        assert_eq!((policy.segments.segment_of(0), policy.entries), (PROBATION, 1));
    }

    #[test]
    fn the_window_always_has_room_for_a_light_key() {
        let mut policy = full(1);
        for id in 2..300 {
            let light = access(id << 20, 1);
            policy.miss(&light);
            assert!(policy.entries < 100 || policy.evict(&light).is_some());
            policy.insert(id as Slot, &light);
            assert_eq!(policy.segments.segment_of(id as Slot), WINDOW);
        }
    }
}
