//! The window: recent accesses of a live cache to a spatial sample of its keys, from which it can be told what the cache
//! would hit at other sizes and under other policies. A window is recorded, kept, and after a pause recorded anew, so
//! that most accesses cost one multiplication.

use crate::memory::count_memory;

/// Entries of the cache that the sample holds at least; while it holds more, the sample shrinks and the window grows.
const ENTRIES: f64 = 1024.0;
/// Spreads ids, which are mixed already, anew: the sample is independent of shards and of places in tables.
const SPREAD: u64 = 0xd6e8_feb8_6659_fd93;
/// Length of the pause after a window, in windows: recording, which costs some five nanoseconds, is then rare.
const PAUSE: u64 = 15;

/// What an access did; the weight of a miss is told once it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The highest bits of the hash of the key: enough for so few keys.
    pub id: u32,
    /// Weight of the entry, at most 2^32 − 2; 0 where it is not known, [`REMOVED`] where the key was removed.
    pub weight: u32,
    /// The lowest bits of the tick.
    pub tick: u32,
}

/// In place of a weight.
pub const REMOVED: u32 = u32::MAX;

/// Rows of one stretch of time.
#[derive(Clone, Debug, Default)]
pub struct Stretch {
    /// Accesses and removals, in order.
    pub rows: Vec<Row>,
    /// Share of the keys that is kept.
    pub rate: f64,
    /// Whether there were accesses before the first row, or after the last.
    pub is_part: bool,
}

/// The stretch that is being recorded, and the last one that is complete.
pub struct Window {
    rows: Vec<Row>,
    most: usize,
    /// Hashes below this are kept; 0 during a pause.
    limit: u64,
    began: u64,
    resume: u64,
    is_part: bool,
    last: Option<Stretch>,
}

count_memory!(Window []: rows, last);
count_memory!(Stretch []: rows);

/// The hash by which a key is kept, if it is below the limit of the window.
#[inline(always)]
pub const fn place(id: u64) -> u64 {
    id.wrapping_mul(SPREAD)
}

impl Window {
    /// An empty one of at most so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let most = (bytes / size_of::<Row>() / 2).max(1);
        Self { rows: Vec::new(), most, limit: u64::MAX, began: 0, resume: u64::MAX, is_part: false, last: None }
    }

    /// Keys below it are to be noted.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Notes what was done with a key that is kept, by a cache that holds so many entries.
    pub fn note(&mut self, id: u64, weight: u64, tick: u64, entries: usize) {
        let weight = weight.min(u64::from(REMOVED - 1)) as u32;
        self.push(id, weight, tick, entries);
    }

    /// Notes that a key that is kept was removed.
    pub fn note_removal(&mut self, id: u64, tick: u64) {
        self.push(id, REMOVED, tick, 0);
    }

    /// Tells the weight of what was missed last.
    pub fn weigh(&mut self, id: u64, weight: u64) {
        if let Some(row) = self.rows.last_mut().filter(|row| row.id == short(id) && row.weight == 0) {
            row.weight = weight.min(u64::from(REMOVED - 1)) as u32;
        }
    }

    /// Ends a pause that has been long enough.
    pub fn wake(&mut self, tick: u64) {
        if tick >= self.resume {
            (self.limit, self.began, self.resume, self.is_part) = (u64::MAX, tick, u64::MAX, true);
        }
    }

    /// Begins anew, as after everything was removed.
    pub fn clear(&mut self, tick: u64) {
        *self = Self { began: tick, ..Self::new(self.most * size_of::<Row>() * 2) };
    }

    /// The last complete stretch, or the one that is being recorded while there is no other.
    #[must_use]
    pub fn view(&self) -> Stretch {
        self.last.clone().unwrap_or_else(|| self.current())
    }

    fn current(&self) -> Stretch {
        Stretch { rows: self.rows.clone(), rate: self.limit as f64 / 2f64.powi(64), is_part: self.is_part }
    }

    fn push(&mut self, id: u64, weight: u32, tick: u64, entries: usize) {
        if self.rows.len() == self.most {
            if self.limit as f64 / 2f64.powi(65) * (entries as f64) < ENTRIES {
                self.pause(tick);
                return;
            }
            self.thin_out();
        }
        self.rows.push(Row { id: short(id), weight, tick: tick as u32 });
    }

    /// Keeps the stretch, which is complete, and records nothing for a while.
    fn pause(&mut self, tick: u64) {
        self.last = Some(Stretch { is_part: true, ..self.current() });
        self.rows.clear();
        self.resume = tick + PAUSE * (tick - self.began);
        self.limit = 0;
    }

    /// Keeps every second key, by a hash of what is known of it.
    fn thin_out(&mut self) {
        self.limit /= 2;
        let limit = self.limit;
        self.rows.retain(|row| place_of(row.id) < limit);
    }
}

const fn short(id: u64) -> u32 {
    (place(id) >> 32) as u32
}

/// The place of a key as far as its row knows it.
fn place_of(short: u32) -> u64 {
    u64::from(short) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::mix;

    const ROOM: usize = 1000;

    fn filled(accesses: u64, entries: usize) -> Window {
        let mut window = Window::new(2 * ROOM * size_of::<Row>());
        for tick in 0..accesses {
            let id = mix(tick % 5_000);
            if place(id) < window.limit() {
                window.note(id, 1, tick, entries);
            } else {
                window.wake(tick);
            }
        }
        window
    }

    fn ticks(window: &Window) -> Vec<u64> {
        window.view().rows.iter().map(|row| u64::from(row.tick)).collect()
    }

    #[test]
    fn it_records_a_stretch_pauses_and_records_the_next() {
        assert_eq!(ticks(&filled(500, 10)), (0..500).collect::<Vec<_>>());
        let first = filled(3_000, 10);
        assert_eq!(ticks(&first), (0..1_000).collect::<Vec<_>>());
        assert!(first.limit() == 0 && first.view().is_part && !filled(500, 10).view().is_part);
        let later = filled(20_000, 10);
        assert!(ticks(&later)[0] >= 16_000 && later.view().is_part);
        assert_eq!(ticks(&later).len(), ROOM);
    }

    #[test]
    fn with_many_entries_it_keeps_fewer_keys_and_sees_further_back() {
        let view = filled(10_000, 100_000).view();
        assert!((0.05..0.13).contains(&view.rate), "{}", view.rate);
        assert!(view.rows.is_sorted_by_key(|row| row.tick));
        let expected = (10_000.0 * view.rate) as usize;
        assert!(view.rows.len().abs_diff(expected) < 200, "{} of {expected}", view.rows.len());
    }

    #[test]
    fn a_weight_that_is_told_later_is_that_of_the_last_miss() {
        let mut window = Window::new(1000);
        for (tick, id) in [(0, 5), (1, 6), (2, 7)] {
            window.note(id, 0, tick, 0);
            window.weigh(id, 40 + id);
            window.weigh(99, 1);
        }
        window.note_removal(7, 3);
        let weights: Vec<u32> = window.view().rows.iter().map(|row| row.weight).collect();
        assert_eq!(weights, [45, 46, 47, REMOVED]);
        window.clear(4);
        assert!(window.view().rows.is_empty());
    }
}
