//! Features: what is known of a key and of the traffic, as a row of small integers that a predictor can read.
//! Times are divided by the capacity, so that a model learned at one size is of use at another.
//! After Song et al., "Learning relaxed Belady for content distribution network caching", NSDI 2020.

use crate::context::{Contexts, HINTS, VIEWS};
use crate::echo::{Echo, FORGOTTEN, NOT_AGAIN};
use crate::line::{Line, Time};
use crate::traffic::{Scale, Traffic, byte, float, log};
use crate::wide::widely;

/// Numbers in a row that a prior reads.
pub const FEATURES: usize = 27;

/// Numbers in a row: after those that a prior reads come hints of its context, which only mean something where they
/// were learned.
pub const WIDTH: usize = FEATURES + VIEWS * HINTS;

/// What the numbers that a prior reads are called, in order; a model says by these what it reads.
pub const NAMES: [&str; FEATURES] = [
    "age",
    "last_gap",
    "second_gap",
    "third_gap",
    "accesses",
    "accesses_short",
    "accesses_middle",
    "accesses_long",
    "age_by_last_gap",
    "novelty",
    "due_by_1_before",
    "due_by_8_before",
    "due_by_many_before",
    "hits_since_stored",
    "since_first_access",
    "mean_gap",
    "successor_returned",
    "until_nearest_gap",
    "miss_ratio",
    "misses_known",
    "capacity",
    "weight",
    "usual_gap",
    "evicted_unused",
    "last_gap_by_second",
    "short_by_long",
    "age_by_age_evicted",
];

/// Candidates that are turned into rows, and scored, at once.
pub const BATCH: usize = 16;

/// The features of one key.
pub type Row = [u8; WIDTH];

/// The rows of a batch, turned: `columns[feature][candidate]`.
pub type Columns = [[u8; BATCH]; WIDTH];

/// To be raised when a feature keeps its name but not its meaning.
pub const FEATURES_VERSION: u32 = 1;

/// Values from here on are no numbers, but tell why there is none.
pub const CODES: u8 = 251;

/// The value of a feature that does not apply.
pub const MISSING: u8 = 255;
/// The value of a time that has not come, or of a neighbour that was not accessed since.
const NOT_YET: u8 = 254;
/// The value of a neighbour that was accessed again before the key was.
const BEFORE: u8 = 253;

type Lanes<T> = [T; BATCH];

/// A formula for each candidate; plain enough that the compiler computes four or eight at once.
#[inline(always)]
fn each<T>(formula: impl FnMut(usize) -> T) -> Lanes<T> {
    std::array::from_fn(formula)
}

/// `steps` per octave between two times, around `center`.
#[inline(always)]
fn ratio(center: i32, above: f32, below: f32, steps: i32) -> u8 {
    byte(center + (((log(above) - log(below)) * steps) >> 11))
}

#[inline(always)]
fn if_any(gap: f32, value: u8) -> u8 {
    if gap > 1.0 { value } else { MISSING }
}

/// The times of the candidates, by kind instead of by candidate.
struct Times {
    last: Lanes<Time>,
    age: Lanes<f32>,
    since_first: Lanes<f32>,
    gaps: [Lanes<f32>; 3],
}

impl Times {
    #[inline(always)]
    fn new(lines: &[Line; BATCH], now: Time) -> Self {
        Self {
            last: each(|at| lines[at].last),
            age: each(|at| float(now.wrapping_sub(lines[at].last))),
            since_first: each(|at| float(now.wrapping_sub(lines[at].first))),
            gaps: std::array::from_fn(|gap| each(|at| lines[at].gap(gap))),
        }
    }
}

/// All that a row is made of, except the line.
pub struct View<'a> {
    /// The present.
    pub now: Time,
    /// The capacity.
    pub scale: &'a Scale,
    /// What is usual.
    pub traffic: &'a Traffic,
    /// What followed what.
    pub echo: &'a Echo,
    /// What is known of kinds of keys.
    pub contexts: &'a Contexts,
}

impl View<'_> {
    /// The row of one key.
    #[must_use]
    pub fn row(&self, line: &Line) -> Row {
        row(&self.columns(&[*line; BATCH]), 0)
    }

    /// The rows of a batch.
    #[must_use]
    pub fn columns(&self, lines: &[Line; BATCH]) -> Columns {
        widely(|| self.tell(lines))
    }

    #[inline(always)]
    fn tell(&self, lines: &[Line; BATCH]) -> Columns {
        let times = Times::new(lines, self.now);
        let Times { age, since_first, gaps, .. } = &times;
        let (scale, traffic) = (self.scale, self.traffic);
        let bin = |time: f32| scale.bin(time);
        let counts: [Lanes<i32>; 3] = std::array::from_fn(|which| {
            each(|at| scale.decayed(which, lines[at].counts[which], self.now.wrapping_sub(lines[at].last)))
        });
        let accesses = each(|at| f32::from(lines[at].accesses));
        let mean_gap = |at: usize| (since_first[at] - age[at]) / (accesses[at] - 1.0).max(1.0);
        let [misses, returns, unused] = traffic.shares();
        let known = [
            each(|at| bin(age[at])),
            each(|at| if_any(gaps[0][at], bin(gaps[0][at]))),
            each(|at| if_any(gaps[1][at], bin(gaps[1][at]))),
            each(|at| if_any(gaps[2][at], bin(gaps[2][at]))),
            each(|at| byte((log(accesses[at]) * 8) >> 11)),
            each(|at| byte(120 + (counts[0][at] >> 5))),
            each(|at| byte(120 + (counts[1][at] >> 5))),
            each(|at| byte(120 + (counts[2][at] >> 5))),
            each(|at| if_any(gaps[0][at], ratio(100, age[at], gaps[0][at], 6))),
            each(|at| lines[at].novelty()),
            self.due(&times, 1),
            self.due(&times, 8),
            self.due(&times, scale.far()),
            each(|at| lines[at].usage()),
            each(|at| bin(since_first[at])),
            each(|at| if_any(accesses[at], bin(mean_gap(at)))),
            self.followed(&times),
            each(|at| self.next_gap(&times, at)),
            [misses; BATCH],
            [returns; BATCH],
            [scale.size(); BATCH],
            each(|at| byte(128 + (lines[at].log_weight() - traffic.log_weight()) / 32)),
            [traffic.gap(); BATCH],
            [unused; BATCH],
            each(|at| if_any(gaps[1][at], ratio(125, gaps[0][at], gaps[1][at], 6))),
            each(|at| byte(120 + ((counts[0][at] - counts[2][at]) >> 5))),
            each(|at| byte(125 + i32::from(bin(age[at])) - i32::from(traffic.age()))),
        ];
        let mut columns = [[MISSING; BATCH]; WIDTH];
        columns[..FEATURES].copy_from_slice(&known);
        if self.contexts.are_known() {
            self.hint(lines, &mut columns);
        }
        columns
    }

    /// Adds what the contexts of the keys tell.
    #[inline(never)]
    fn hint(&self, lines: &[Line; BATCH], columns: &mut Columns) {
        let (known, hints) = columns.split_at_mut(FEATURES);
        for (view, hints) in hints.chunks_exact_mut(HINTS).enumerate() {
            for (at, line) in lines.iter().enumerate() {
                let since = |last: Time| self.scale.bin(float(self.now.wrapping_sub(last)));
                let told = self.contexts.hints(view, line.context[view], known[0][at], since);
                hints.iter_mut().zip(told).for_each(|(column, hint)| column[at] = hint);
            }
        }
    }

    /// When the keys are due, by the return of what was accessed `before` accesses earlier.
    #[inline(always)]
    fn due(&self, times: &Times, before: u32) -> Lanes<u8> {
        let next = each(|at| self.echo.after(times.last[at].wrapping_sub(before)));
        each(|at| {
            let wait = next[at].wrapping_add(before).wrapping_sub(self.now) as i32;
            let distance = self.scale.bin(float(wait.unsigned_abs())) / 2;
            let due = if wait >= 0 { 120u8.saturating_sub(distance) } else { 124 + distance };
            let due = if (next[at].wrapping_sub(times.last[at]) as i32) <= 0 { BEFORE } else { due };
            let due = if next[at] == NOT_AGAIN { NOT_YET } else { due };
            if next[at] == FORGOTTEN { MISSING } else { due }
        })
    }

    /// Time since what was accessed just after the keys was accessed again.
    #[inline(always)]
    fn followed(&self, times: &Times) -> Lanes<u8> {
        let next = each(|at| self.echo.after(times.last[at].wrapping_add(1)));
        each(|at| {
            let since = self.scale.bin(float(self.now.wrapping_sub(next[at])));
            let since = if next[at] == NOT_AGAIN { NOT_YET } else { since };
            if next[at] == FORGOTTEN { MISSING } else { since }
        })
    }

    /// Time until the age is the nearest of the past gaps.
    #[inline(always)]
    fn next_gap(&self, times: &Times, at: usize) -> u8 {
        let wait = |gap: usize| {
            let wait = times.gaps[gap][at] - times.age[at];
            if wait > 0.0 { wait } else { f32::MAX }
        };
        let wait = wait(0).min(wait(1)).min(wait(2));
        if wait < f32::MAX { self.scale.bin(wait) } else { MISSING }
    }
}

/// One row of a batch.
#[must_use]
pub fn row(columns: &Columns, at: usize) -> Row {
    std::array::from_fn(|feature| columns[feature][at])
}

/// A batch of up to [`BATCH`] rows.
#[must_use]
pub fn columns(rows: &[Row]) -> Columns {
    let mut columns = [[0; BATCH]; WIDTH];
    for (at, row) in rows.iter().enumerate() {
        for (column, value) in columns.iter_mut().zip(row) {
            column[at] = *value;
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key accessed at 100, 300 and 500 in a cache of `entries`, seen at 600.
    fn seen(entries: usize) -> Row {
        let (scale, traffic) = (Scale::new(entries), Traffic::default());
        let mut line = Line::new(1, 100, 1, &traffic);
        let mut echo = Echo::new(1024);
        for now in 1..=600 {
            echo.access(now, [(300, 100), (500, 300), (580, 499), (590, 501)].iter().find(|x| x.0 == now).map(|x| x.1));
        }
        line.hit(300, &scale, &traffic);
        line.hit(500, &scale, &traffic);
        View { now: 600, scale: &scale, traffic: &traffic, echo: &echo, contexts: &Contexts::default() }.row(&line)
    }

    #[test]
    fn times_are_relative_to_the_capacity() {
        let row = seen(100);
        assert_eq!(row[0], 110, "age is one capacity");
        assert_eq!((row[1], row[2], row[3]), (114, 114, MISSING), "two gaps of just two capacities");
        assert_eq!(row[14], 110 + 11, "five capacities since the first access");
        assert_eq!(row[15], 114, "mean gap");
        assert_eq!(row[17], 110, "a gap of 200 ends in 100 accesses");
    }

    #[test]
    fn neighbours_tell_when_a_key_is_due() {
        let row = seen(100);
        assert_eq!(row[10], 124 + 98 / 2, "its predecessor returned at 580, so it was due at 581");
        assert_eq!(row[11], NOT_YET, "what was eight before did not return");
        assert_eq!(row[16], 93, "its successor returned at 590");
    }

    #[test]
    fn a_batch_has_the_rows_of_its_lines() {
        let (scale, traffic, echo) = (Scale::new(50), Traffic::default(), Echo::new(64));
        let lines: [Line; BATCH] = std::array::from_fn(|at| Line::new(at as u32, at as u32 * 3, 1, &traffic));
        let view = View { now: 60, scale: &scale, traffic: &traffic, echo: &echo, contexts: &Contexts::default() };
        let batch = view.columns(&lines);
        for (at, line) in lines.iter().enumerate() {
            assert_eq!(row(&batch, at), view.row(line));
            assert_eq!(row(&columns(&[view.row(line)]), 0), view.row(line));
        }
    }
}
