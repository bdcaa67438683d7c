//! The past of a cache: a line for each resident, and for ghosts as far as there is room.

use crate::access::Slot;
use crate::chance::Chance;
use crate::context::{Context, Contexts};
use crate::departed::Departed;
use crate::echo::Echo;
use crate::features::View;
use crate::line::{Line, Time, print};
use crate::memory::count_memory;
use crate::traffic::{Scale, Traffic};

/// Ghosts and remembered accesses per entry of a small cache, and of a large one, where memory decides.
const GHOSTS: Budget = Budget { small: 4.0, fixed: 1 << 18, large: 0.5, least: 1 << 12 };
const ECHO: Budget = Budget { small: 8.0, fixed: 1 << 20, large: 2.0, least: 1 << 13 };

/// So many per entry, or a fixed number where that is less, or so many per entry where that is more.
struct Budget {
    small: f64,
    fixed: usize,
    large: f64,
    least: usize,
}

impl Budget {
    fn of(&self, entries: usize) -> usize {
        let per_entry = |share: f64| (entries as f64 * share) as usize;
        per_entry(self.small).min(self.fixed).max(per_entry(self.large)).max(self.least)
    }
}

/// Lines of resident keys, by slot.
#[derive(Default)]
pub struct Residents {
    lines: Vec<Line>,
    count: usize,
}

count_memory!(Residents []: lines);

impl Residents {
    /// Number of residents.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The line in a slot; vacant when nothing is resident there.
    #[inline]
    pub fn at(&self, slot: Slot) -> &Line {
        &self.lines[slot as usize]
    }

    /// The same, to change.
    #[inline]
    pub fn at_mut(&mut self, slot: Slot) -> &mut Line {
        &mut self.lines[slot as usize]
    }

    /// A key becomes resident.
    pub fn insert(&mut self, slot: Slot, line: Line) {
        if slot as usize >= self.lines.len() {
            self.lines.resize(slot as usize + 1, Line::VACANT);
        }
        self.lines[slot as usize] = line;
        self.count += 1;
    }

    /// A key is no longer resident.
    pub fn take(&mut self, slot: Slot) -> Line {
        self.count -= 1;
        std::mem::replace(&mut self.lines[slot as usize], Line::VACANT)
    }

    /// Some resident, of which there must be one.
    #[inline]
    pub fn draw(&self, chance: &mut Chance) -> Slot {
        let mut slot = chance.below(self.lines.len());
        while self.lines[slot].is_vacant() {
            slot = if slot + 1 == self.lines.len() { 0 } else { slot + 1 };
        }
        slot as Slot
    }

    /// All residents, by their last access.
    pub fn by_age(&self, now: Time, wanted: impl Fn(&Line) -> bool) -> Vec<Slot> {
        let wanted = |(_, line): &(usize, &Line)| !line.is_vacant() && wanted(line);
        let mut slots: Vec<Slot> = self.lines.iter().enumerate().filter(wanted).map(|(slot, _)| slot as Slot).collect();
        slots.sort_by_key(|&slot| std::cmp::Reverse(now.wrapping_sub(self.at(slot).last)));
        slots
    }
}

/// All that is remembered.
pub struct History {
    /// Accesses so far.
    pub now: Time,
    /// The capacity in entries; until the cache is full, the power of two that holds the residents.
    pub scale: Scale,
    /// What is usual.
    pub traffic: Traffic,
    /// The lines of residents.
    pub residents: Residents,
    /// What is known of kinds of keys.
    pub contexts: Contexts,
    /// The line of the key that was missed last.
    pub incoming: Line,
    echo: Echo,
    ghosts: Departed,
    keeps_ghosts: bool,
}

count_memory!(History []: residents, ghosts, echo, contexts);

impl History {
    /// Of a cache that has served nothing yet.
    pub fn new(entries: usize) -> Self {
        Self {
            now: 0,
            scale: Scale::new(entries),
            traffic: Traffic::default(),
            residents: Residents::default(),
            contexts: Contexts::default(),
            incoming: Line::VACANT,
            echo: Echo::new(ECHO.of(entries)),
            ghosts: Departed::new(GHOSTS.of(entries)),
            keeps_ghosts: true,
        }
    }

    /// From now on what leaves is forgotten.
    pub fn forget_ghosts(&mut self) {
        self.keeps_ghosts = false;
    }

    /// The cache turns out to hold this many entries.
    pub fn resize(&mut self, entries: usize) {
        self.scale = Scale::new(entries);
        self.echo.grow(ECHO.of(entries));
        self.ghosts.grow(GHOSTS.of(entries), self.now);
    }

    /// Notes a hit.
    #[inline]
    pub fn hit(&mut self, slot: Slot) -> &mut Line {
        self.now = self.now.wrapping_add(1);
        let line = self.residents.at_mut(slot);
        self.traffic.hit(self.now, line.last, &self.scale);
        self.echo.access(self.now, Some(line.last));
        line.hit(self.now, &self.scale, &self.traffic);
        self.contexts.access(line.context, self.now, true);
        line
    }

    /// Notes a miss; the key's line is `incoming` until it is inserted or rejected.
    pub fn miss(&mut self, id: u64, weight: u64, context: Context) -> &mut Line {
        self.now = self.now.wrapping_add(1);
        let print = print(id);
        let ghost = self.ghosts.find(print).map(|line| std::mem::replace(line, Line::VACANT));
        self.traffic.miss(ghost.is_some(), &self.scale);
        self.echo.access(self.now, ghost.map(|line| line.last));
        self.incoming = match ghost {
            Some(mut line) => {
                line.miss(self.now, weight, &self.scale, &self.traffic);
                line
            }
            None => Line::new(print, self.now, weight, &self.traffic),
        };
        self.incoming.context = context;
        self.contexts.access(context, self.now, false);
        self.traffic.weigh(&self.incoming, &self.scale);
        &mut self.incoming
    }

    /// The incoming becomes resident.
    pub fn insert(&mut self, slot: Slot) {
        self.residents.insert(slot, self.incoming);
    }

    /// A resident becomes a ghost.
    pub fn evict(&mut self, slot: Slot) {
        let line = self.residents.take(slot);
        self.traffic.evict(&line, self.now, &self.scale);
        self.remember(line);
    }

    /// The incoming becomes a ghost.
    pub fn reject(&mut self) {
        self.remember(self.incoming);
    }

    fn remember(&mut self, line: Line) {
        if self.keeps_ghosts {
            self.ghosts.put(line, self.now);
        }
    }

    /// The line of a key, which is in `slot` if it is resident.
    pub fn line(&self, id: u64, slot: Option<Slot>) -> Option<&Line> {
        let print = print(id);
        match slot {
            Some(slot) => Some(self.residents.at(slot)),
            None => self.ghosts.look(print),
        }
    }

    /// A ghost, if chance finds one.
    pub fn draw_ghost(&mut self, chance: &mut Chance) -> Option<Line> {
        self.ghosts.draw(chance)
    }

    /// Writes back the line of a ghost.
    pub fn set_ghost(&mut self, line: Line) {
        if let Some(ghost) = self.ghosts.find(line.print) {
            *ghost = line;
        }
    }

    /// What rows are made of.
    pub fn view(&self) -> View<'_> {
        View { now: self.now, scale: &self.scale, traffic: &self.traffic, echo: &self.echo, contexts: &self.contexts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::mix;
    use crate::context::NO_CONTEXT;

    #[test]
    fn a_key_is_known_after_it_was_evicted_and_after_growing() {
        let mut history = History::new(10);
        for key in 0..20 {
            history.miss(mix(key), 1, NO_CONTEXT);
            history.insert(key as Slot);
        }
        (0..10).for_each(|slot| history.evict(slot));
        history.resize(100_000);
        for key in 0..10 {
            assert_eq!(history.miss(mix(key), 1, NO_CONTEXT).accesses, 2, "{key}");
        }
        assert_eq!(history.miss(mix(77), 1, NO_CONTEXT).accesses, 1);
    }

    #[test]
    fn draws_only_residents() {
        let mut history = History::new(10);
        for key in 0..10 {
            history.miss(mix(key), 1, NO_CONTEXT);
            history.insert(key as Slot);
        }
        (0..9).for_each(|slot| history.evict(slot));
        let mut chance = Chance::new(1);
        assert!((0..100).all(|_| history.residents.draw(&mut chance) == 9));
    }

    #[test]
    fn memory_stays_within_its_budget() {
        let bytes = |entries: usize| 32 * (entries + GHOSTS.of(entries)) + 4 * ECHO.of(entries).next_power_of_two();
        for entries in [10, 1000, 100_000, 1_000_000, 10_000_000] {
            assert!(bytes(entries) <= 96 * entries + (16 << 20), "{entries}: {}", bytes(entries));
        }
    }
}
