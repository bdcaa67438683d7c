//! The expert that is followed: a classical policy with the entries of the whole cache, and what it has let go, which
//! leaves the cache next. Chance would hardly ever find it: all but a few residents are those that the expert holds.

use std::cell::Cell;
use std::collections::HashSet;

use crate::access::Slot;
use crate::history::History;
use crate::line::Line;
use crate::memory::count_memory;
use crate::policy::Setting;
use crate::removed::Removals;
use crate::residents::Residents;
use crate::shadow::{Shadow, told};

/// Of a key that is not resident here, though the expert would hold it.
const NOWHERE: Slot = Slot::MAX;

/// What the expert would hold, and where that is.
pub struct Expert {
    shadow: Shadow<Cell<Slot>>,
    /// Where that was which it has let go, the last at the end; places come twice if what was there left otherwise.
    dropped: Vec<Slot>,
    /// Of them, before they are told once each.
    most: usize,
    left: Removals<(), Cell<Slot>>,
}

count_memory!(Expert []: shadow, dropped);

impl Expert {
    /// One that has the residents, shown in the order of their last access.
    pub fn new(policy: &str, setting: &Setting, history: &History) -> Self {
        let mut expert = Self {
            shadow: Shadow::new(policy, setting),
            dropped: Vec::new(),
            most: 2 * history.residents.len(),
            left: Removals::default(),
        };
        for slot in history.residents.by_age(history.now, |_| true) {
            expert.shadow.fill(history.residents.at(slot), &Cell::new(slot), &mut expert.left);
            expert.note_left();
        }
        expert
    }

    /// Shows it an access.
    pub fn note(&mut self, print: u32, weight: u64) {
        self.shadow.hits(&told(print, weight), &Cell::new(NOWHERE), &mut self.left);
        self.note_left();
    }

    fn note_left(&mut self) {
        self.dropped.extend(self.left.iter().map(|removed| removed.value.get()).filter(|&slot| slot != NOWHERE));
        self.left.clear();
        if self.dropped.len() > self.most {
            let mut known = HashSet::new();
            self.dropped.reverse();
            self.dropped.retain(|&slot| known.insert(slot));
            self.dropped.reverse();
            self.most = 2 * self.dropped.len().max(self.most / 2);
        }
    }

    /// Tells it where a key was placed.
    pub fn place(&mut self, line: &Line, slot: Slot) {
        if let Some(place) = self.shadow.holds(line) {
            place.set(slot);
        }
    }

    /// Whether it would hold the key of a line.
    pub fn holds(&self, line: &Line) -> bool {
        self.shadow.holds(line).is_some()
    }

    /// A resident that it has let go, the last one first.
    pub fn dropped(&mut self, residents: &Residents) -> Option<Slot> {
        let shadow = &self.shadow;
        let is_free = |slot: &Slot| {
            let line = residents.at(*slot);
            !line.is_vacant() && shadow.holds(line).is_none()
        };
        std::iter::from_fn(|| self.dropped.pop()).find(is_free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::mix;
    use crate::context::NO_CONTEXT;
    use crate::line::print;
    use crate::manner::Objective;

    const KEYS: u64 = 8;

    /// A full history, with key `n` in slot `n`, and an expert that was shown it.
    fn begin(policy: &str) -> (History, Expert) {
        let mut history = History::new(KEYS as usize);
        for key in 0..KEYS {
            history.miss(mix(key), 1, NO_CONTEXT);
            history.insert(key as Slot);
        }
        let setting = Setting { capacity: KEYS, seed: 0, objective: Objective::Objects };
        let expert = Expert::new(policy, &setting, &history);
        (history, expert)
    }

    /// A key that is not there is asked for, and takes the place of what the expert lets go; which that is.
    fn ask(history: &mut History, expert: &mut Expert, key: u64) -> Option<Slot> {
        history.miss(mix(key), 1, NO_CONTEXT);
        expert.note(print(mix(key)), 1);
        let slot = expert.dropped(&history.residents)?;
        history.evict(slot);
        history.miss(mix(key), 1, NO_CONTEXT);
        history.insert(slot);
        expert.place(history.residents.at(slot), slot);
        Some(slot)
    }

    #[test]
    fn whatever_it_lets_go_leaves() {
        let (mut history, mut expert) = begin("lru");
        expert.note(print(mix(0)), 1);
        let left: Vec<_> = (100..100 + KEYS).map(|key| ask(&mut history, &mut expert, key)).collect();
        let expected: Vec<_> = (1..KEYS as Slot).chain([0]).map(Some).collect();
        assert_eq!(left, expected);
        assert!((0..KEYS as Slot).all(|slot| expert.holds(history.residents.at(slot))));
    }

    #[test]
    fn what_came_back_or_left_otherwise_is_not_told() {
        let (mut history, mut expert) = begin("lru");
        expert.note(print(mix(100)), 1);
        expert.note(print(mix(101)), 1);
        expert.note(print(mix(0)), 1); // not at home there any more, but resident: it is held again
        history.evict(1);
        assert_eq!(expert.dropped(&history.residents), Some(2), "0 is held, 1 has left");
        assert_eq!(expert.dropped(&history.residents), None);
    }

    #[test]
    fn what_is_deleted_before_anything_is_evicted_takes_no_memory() {
        let (mut history, mut expert) = begin("lru");
        for key in 100..1000 {
            history.evict(0);
            history.miss(mix(key), 1, NO_CONTEXT);
            history.insert(0);
            expert.note(print(mix(key)), 1);
            expert.place(history.residents.at(0), 0);
        }
        assert!(expert.dropped.len() <= 2 * KEYS as usize);
        assert_eq!(ask(&mut history, &mut expert, 1000), Some(7), "let go before those that were deleted");
    }

    #[test]
    fn a_keeper_lets_newcomers_pass() {
        let (mut history, mut expert) = begin("lirs");
        let left: Vec<_> = (100..140).map(|key| ask(&mut history, &mut expert, key)).collect();
        assert!(left.windows(2).all(|pair| pair[0] == pair[1]), "the place of newcomers: {left:?}");
    }
}
