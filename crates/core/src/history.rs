//! The past of a cache: a line for each resident, and for ghosts as far as there is room.

use crate::access::Slot;
use crate::chance::Chance;
use crate::context::{Context, Contexts};
use crate::departed::Departed;
use crate::echo::Echo;
use crate::features::View;
use crate::line::{Line, Time, print};
use crate::memory::count_memory;
use crate::residents::Residents;
use crate::traffic::{Scale, Traffic};

/// Ghosts and remembered accesses per entry of a small cache, and of a large one, where memory decides.
const GHOSTS: Budget = Budget { small: 4.0, fixed: 1 << 18, large: 0.5, least: 1 << 12 };
const ECHO: Budget = Budget { small: 8.0, fixed: 1 << 20, large: 1.0, least: 1 << 13 }; // and less than twice as many
/// Entries that a cache is always prepared for when it is larger than it was thought to be.
const A_FEW: usize = 1 << 17;

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
        self.make_room_for(entries);
    }

    /// The cache is not full yet, and may turn out to hold this many entries; room is made for as many as it holds already,
    /// or a few.
    pub fn widen(&mut self, entries: usize) {
        self.scale = Scale::new(entries);
        self.make_room_for(entries.min(self.residents.len().max(A_FEW)));
    }

    fn make_room_for(&mut self, entries: usize) {
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

    /// The row of a resident will be made soon.
    #[inline]
    pub fn expect(&self, slot: Slot) {
        let last = self.residents.at(slot).last;
        for before in [1, 8, self.scale.far()] {
            self.echo.expect(last.wrapping_sub(before));
        }
    }

    /// A resident will become a ghost soon.
    #[inline]
    pub fn expect_ghost(&self, slot: Slot) {
        self.ghosts.expect(self.residents.at(slot).print);
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
    use crate::memory::Memory;

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
    fn memory_stays_within_its_budget() {
        for entries in [10, 1000, 100_000, 300_000, 1_000_000] {
            let mut history = History::new(entries);
            for key in 0..entries as u64 {
                history.miss(mix(key), 1, NO_CONTEXT);
                history.insert(key as Slot);
            }
            let bytes = history.memory();
            assert!(bytes <= 60 * entries + (12 << 20), "{entries}: {bytes}");
        }
    }
}
