//! The window: recent accesses of a live cache, from which it can be told what the cache would hit at other sizes and under
//! other policies. It holds as long a stretch as its room allows of as many keys as it can: those of a spatial sample once
//! the cache has many entries. A stretch is recorded and kept during a pause; the next one takes its place row by row,
//! so that there is always a full one, and most accesses cost one multiplication.

use crate::memory::count_memory;
use crate::ring::Ring;

/// Rows to each sampled entry of the cache at least: with fewer, policies that adapt are still doing so when they are
/// judged. While there are more, no more keys are left out than were.
const ROWS: f64 = 100.0;
/// Spreads ids, which are mixed already, anew: the sample is independent of shards and of places in tables.
const SPREAD: u64 = 0xd6e8_feb8_6659_fd93;
/// Stretches of time in which nothing is recorded, to each in which everything is: recording, which costs some five
/// nanoseconds, is then rare.
const PAUSE: f64 = 15.0;
/// Share of a stretch that warms a replayed cache up, where there were accesses before it.
const WARM_UP: f64 = 0.4;
/// Places at which it is known how many accesses of all keys were before.
const MARKS: usize = 64;
/// Bytes of them, at most.
const OVERHEAD: usize = 2 * MARKS * size_of::<Mark>();

/// Set in the row of a removal.
pub const REMOVED: u32 = 1 << 31;

/// A place, and the accesses of all keys that were recorded or left out before it, without those in pauses.
#[derive(Clone, Copy)]
struct Mark {
    row: u64,
    accesses: u64,
}

/// Rows of one stretch of time.
#[derive(Clone, Debug, Default)]
pub struct Stretch {
    /// Accesses and removals, in order: bits of the hash of a key, and whether it was removed.
    pub rows: Vec<u32>,
    /// Weights of entries, 0 where one is not known; empty if each is 1.
    pub weights: Vec<u32>,
    /// Share of the keys that is kept.
    pub rate: f64,
    /// Whether there were accesses before the first row.
    pub is_part: bool,
    /// Rows that warm a cache up.
    pub warm_up: usize,
    /// Accesses of all keys after those.
    pub accesses: u64,
    /// Accesses of all keys since the last row, in a pause.
    pub age: u64,
}

/// Where the stretch is recorded, and when.
pub struct Window {
    ring: Ring,
    bytes: usize,
    /// Rows since the last pause, and since the first of all.
    turn: usize,
    count: u64,
    marks: Vec<Mark>,
    /// Hashes below this are kept; 0 during a pause.
    limit: u64,
    /// The limit after the pause.
    next_limit: u64,
    /// When recording began or will, and accesses before that.
    began: u64,
    before: u64,
    /// When the last pause began.
    ended: u64,
    is_part: bool,
}

count_memory!(Window []: ring);
count_memory!(Stretch []: rows, weights);

/// The hash by which a key is kept, if it is below the limit of the window.
#[inline(always)]
pub const fn place(id: u64) -> u64 {
    id.wrapping_mul(SPREAD)
}

impl Window {
    /// An empty one of at most so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            ring: Ring::new(bytes.saturating_sub(OVERHEAD)),
            bytes,
            turn: 0,
            count: 0,
            marks: Vec::new(),
            limit: u64::MAX,
            next_limit: u64::MAX,
            began: 0,
            before: 0,
            ended: 0,
            is_part: false,
        }
    }

    /// Keys below it are to be noted.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Notes what was done with a key that is kept, by a cache that holds so many entries, in the access that makes so many.
    pub fn note(&mut self, id: u64, weight: u64, tick: u64, entries: usize) {
        self.push(short(id), weight, tick - 1, entries);
    }

    /// Notes that a key that is kept was removed.
    pub fn note_removal(&mut self, id: u64, tick: u64, entries: usize) {
        self.push(short(id) | REMOVED, 1, tick, entries);
    }

    /// Tells the weight of what was missed last.
    pub fn weigh(&mut self, id: u64, weight: u64) {
        if self.limit > 0 && self.ring.newest() == Some(short(id)) {
            self.is_part |= self.ring.weigh(weight);
        }
    }

    /// Ends a pause that has been long enough, with the access that just was counted.
    pub fn wake(&mut self, tick: u64) {
        if self.limit == 0 && tick > self.began {
            self.began = tick - 1;
            self.limit = self.next_limit;
        }
    }

    /// Begins anew, as after everything was removed.
    pub fn clear(&mut self, tick: u64) {
        *self = Self { began: tick, ..Self::new(self.bytes) };
    }

    /// What is recorded, after so many accesses.
    #[must_use]
    pub fn view(&self, tick: u64) -> Stretch {
        let (rows, weights) = self.ring.columns();
        let first = self.first();
        let warm_up = if self.is_part { (WARM_UP * rows.len() as f64) as u64 } else { 0 };
        let mark = self.marks.iter().find(|mark| mark.row >= first + warm_up).or(self.marks.last());
        let (row, before) = mark.map_or((first, 0), |mark| (mark.row, mark.accesses));
        Stretch {
            rows,
            weights,
            rate: self.next_limit as f64 / 2f64.powi(64),
            is_part: self.is_part,
            warm_up: (row - first) as usize,
            accesses: self.accesses(tick) - before,
            age: if self.limit > 0 { 0 } else { tick - self.ended },
        }
    }

    /// Accesses of all keys until now, without those in pauses.
    fn accesses(&self, tick: u64) -> u64 {
        self.before + if self.limit > 0 { tick - self.began } else { 0 }
    }

    /// The number of the oldest row.
    fn first(&self) -> u64 {
        self.count - self.ring.len() as u64
    }

    /// Adds a row, with so many accesses before it.
    fn push(&mut self, row: u32, weight: u64, tick: u64, entries: usize) {
        if self.turn >= self.ring.most() {
            self.turn_round(tick, entries);
            if self.limit == 0 {
                return;
            }
        }
        if self.count.is_multiple_of((self.ring.most() / MARKS).max(1) as u64) {
            let (row, accesses, first) = (self.count, self.accesses(tick), self.first());
            self.marks.retain(|mark| mark.row >= first);
            self.marks.push(Mark { row, accesses });
        }
        self.is_part |= self.ring.push(row, weight);
        self.turn += 1;
        self.count += 1;
    }

    /// After a whole turn: leaves out every second key if many entries are sampled, or records nothing for a while.
    fn turn_round(&mut self, tick: u64, entries: usize) {
        let rate = self.limit as f64 / 2f64.powi(64);
        if ROWS * entries as f64 * rate / 2.0 >= self.ring.most() as f64 {
            return self.thin_out();
        }
        self.turn = 0;
        let pauses = ((PAUSE + 1.0) * (2.0 * rate).min(1.0) - 1.0).max(0.0);
        if pauses > 0.0 {
            let span = tick - self.began;
            self.before += span;
            self.ended = tick;
            self.began = tick + (pauses * span as f64) as u64;
            self.limit = 0;
            self.is_part = true;
        }
    }

    /// Keeps every second key, by its hash.
    fn thin_out(&mut self) {
        self.limit /= 2;
        self.next_limit = self.limit;
        let (first, limit) = (self.first(), self.limit);
        let before = self.ring.retain(|row| u64::from(row & !REMOVED) << 33 < limit);
        for mark in &mut self.marks {
            mark.row = first + before[mark.row.saturating_sub(first) as usize];
        }
        self.turn = self.ring.len();
        self.count = first + self.turn as u64;
    }
}

/// Of the hash of a key, all but the lowest bits: enough for so few keys.
const fn short(id: u64) -> u32 {
    (place(id) >> 33) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::mix;

    const ROOM: usize = 1000;

    fn empty() -> Window {
        Window::new(ROOM * size_of::<u32>() + OVERHEAD)
    }

    /// After so many accesses, each to the next of 5,000 keys in turn, by a cache that holds so many entries.
    fn filled(accesses: u64, entries: usize) -> Stretch {
        let mut window = empty();
        for tick in 0..accesses {
            let id = mix(tick % 5_000);
            if place(id) >= window.limit() {
                window.wake(tick + 1);
            }
            if place(id) < window.limit() {
                window.note(id, 1, tick + 1, entries);
            }
        }
        window.view(accesses)
    }

    fn rows(keys: std::ops::Range<u64>) -> Vec<u32> {
        keys.map(|key| short(mix(key % 5_000))).collect()
    }

    #[test]
    fn it_records_a_stretch_pauses_and_puts_the_next_in_its_place() {
        let begun = filled(500, 10);
        assert_eq!(begun.rows, rows(0..500));
        assert_eq!((begun.is_part, begun.warm_up, begun.accesses, begun.rate), (false, 0, 500, 1.0));
        let paused = filled(3_000, 10);
        assert_eq!(paused.rows, rows(0..1_000));
        assert!(paused.is_part && paused.warm_up.abs_diff(400) < 20);
        assert_eq!((paused.accesses + paused.warm_up as u64, paused.age), (1_000, 2_000));
        let later = filled(16_300, 10);
        assert_eq!(later.rows, [rows(300..1_000), rows(16_000..16_300)].concat());
        assert_eq!(later.accesses + later.warm_up as u64, 1_000);
        assert_eq!(filled(20_000, 10).rows, rows(16_000..17_000));
    }

    #[test]
    fn with_many_entries_it_keeps_fewer_keys_and_sees_further_back() {
        let whole = filled(10_000, 200);
        assert!(!whole.is_part && (0.05..0.13).contains(&whole.rate), "{}", whole.rate);
        assert_eq!((whole.accesses, whole.warm_up), (10_000, 0));
        let long = filled(400_000, 600);
        assert!(long.is_part && long.rate < 0.04, "{}", long.rate);
        assert_eq!(long.rows.len(), ROOM);
        let expected = (ROOM - long.warm_up) as f64 / long.rate;
        assert!((long.accesses as f64 / expected - 1.0).abs() < 0.2, "{} of {expected}", long.accesses);
    }

    #[test]
    fn a_weight_that_is_told_later_is_that_of_the_last_miss() {
        let mut window = empty();
        for (tick, id) in [(0, 5), (1, 6), (2, 7)] {
            window.note(id, 0, tick + 1, 0);
            window.weigh(id, 40 + id);
            window.weigh(99, 1);
        }
        window.note_removal(7, 3, 0);
        let view = window.view(3);
        assert_eq!(view.weights, [45, 46, 47, 1]);
        assert_eq!(view.rows[3], short(7) | REMOVED);
        assert_eq!(view.accesses, 3);
        window.clear(4);
        assert!(window.view(4).rows.is_empty());
    }
}
