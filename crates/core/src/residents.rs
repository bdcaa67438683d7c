//! The lines of resident keys, by slot.

use crate::access::Slot;
use crate::chance::Chance;
use crate::line::{Line, Time};
use crate::memory::count_memory;
use crate::prefetch::prefetch;

/// Lines that are added when there is no room for another: one for so many, and at least.
const GROWTH: (usize, usize) = (16, 64);

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

    /// The line in a slot will be read soon.
    #[inline]
    pub fn expect(&self, slot: Slot) {
        prefetch(self.at(slot));
    }

    /// A key becomes resident.
    pub fn insert(&mut self, slot: Slot, line: Line) {
        if slot as usize >= self.lines.len() {
            self.reach(slot as usize + 1);
        }
        self.lines[slot as usize] = line;
        self.count += 1;
    }

    fn reach(&mut self, slots: usize) {
        if slots > self.lines.capacity() {
            let more = (slots / GROWTH.0).max(GROWTH.1);
            self.lines.reserve_exact(slots + more - self.lines.len());
        }
        self.lines.resize(slots, Line::VACANT);
    }

    /// A key is no longer resident.
    pub fn take(&mut self, slot: Slot) -> Line {
        self.count -= 1;
        std::mem::replace(&mut self.lines[slot as usize], Line::VACANT)
    }

    /// Some resident, of which there must be one.
    #[inline]
    pub fn draw(&self, chance: &mut Chance) -> Slot {
        let mut slot = self.draw_any(chance);
        while self.lines[slot].is_vacant() {
            slot = if slot + 1 == self.lines.len() { 0 } else { slot + 1 };
        }
        slot as Slot
    }

    /// Where [`Self::draw`] begins to look.
    #[inline]
    pub fn draw_any(&self, chance: &mut Chance) -> usize {
        chance.below(self.lines.len())
    }

    /// All residents, by their last access.
    pub fn by_age(&self, now: Time, wanted: impl Fn(&Line) -> bool) -> Vec<Slot> {
        let wanted = |(_, line): &(usize, &Line)| !line.is_vacant() && wanted(line);
        let mut slots: Vec<Slot> = self.lines.iter().enumerate().filter(wanted).map(|(slot, _)| slot as Slot).collect();
        slots.sort_by_key(|&slot| std::cmp::Reverse(now.wrapping_sub(self.at(slot).last)));
        slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use crate::traffic::Traffic;

    fn residents(count: u32) -> Residents {
        let mut residents = Residents::default();
        (0..count).for_each(|slot| residents.insert(slot, Line::new(slot, slot, 1, &Traffic::default())));
        residents
    }

    #[test]
    fn draws_only_residents() {
        let mut residents = residents(10);
        (0..9).for_each(|slot| _ = residents.take(slot));
        let mut chance = Chance::new(1);
        assert!((0..100).all(|_| residents.draw(&mut chance) == 9));
    }

    #[test]
    fn takes_little_more_memory_than_lines_do() {
        for count in [1000, 33_333, 300_000] {
            let bytes = residents(count).memory() as f64 / f64::from(count);
            assert!(bytes < 32.0 * 1.08, "{count}: {bytes}");
        }
    }
}
