//! Contexts: what kind of thing a key names, as far as whoever asks for it can tell: a table or a function, a prefix or
//! an argument. How soon keys of each kind come back is learned from the samples of each fit.
//! Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes", SIGKDD Explorations 3(1), 2001.

use crate::features::{FEATURES, Row};
use crate::line::Time;
use crate::memory::Memory;
use crate::predictor::SOON;
use crate::traffic::{TIME_STEPS, UNITY, byte};

/// Views of one key, a coarse and a finer one.
pub const VIEWS: usize = 2;

/// The kind of a key in each view; 0 where nothing is known, else a hash from 1 to 255.
pub type Context = [u8; VIEWS];

/// The context of a key of which nothing is known.
pub const NO_CONTEXT: Context = [0; VIEWS];

/// Numbers that each view adds to a row: those that are learned, and those that change with every access.
pub const HINTS: usize = LEARNED + 2;
const LEARNED: usize = 3;

/// What the hints are called.
pub const HINT_NAMES: [&str; VIEWS * HINTS] = [
    "context_wait",
    "context_surprise",
    "age_by_context_wait",
    "since_context",
    "context_hits",
    "second_context_wait",
    "second_context_surprise",
    "age_by_second_context_wait",
    "since_second_context",
    "second_context_hits",
];

/// Rows' worth of what is usual in every mean, against kinds that were seen by chance.
const USUAL: f32 = 20.0;
/// Steps per octave of what a context adds to what the prior expects, and the middle of bins that may be below it.
const SURPRISE_STEPS: f32 = 32.0;
const MIDDLE: i32 = 125;
/// Accesses over which the share of hits is taken, as a power of two.
const HITS_SHIFT: u32 = 6;
/// Hint of a context of which nothing is known.
const UNKNOWN: u8 = 255;

type Table<T> = [[T; 256]; VIEWS];

/// The kind, from 1 to 255, that `bytes` are the name of.
#[must_use]
pub fn kind(bytes: &[u8]) -> u8 {
    // FNV-1a: Fowler, Noll & Vo.
    let hash = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    let hash = bytes.iter().fold(0x811c_9dc5, hash);
    1 + ((u64::from(hash ^ hash >> 15) * 255) >> 32) as u8
}

/// What was learned of each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Habits {
    /// Bin of the usual time until the next access.
    wait: Table<u8>,
    /// By how much that is more than a predictor expects who knows nothing of contexts.
    surprise: Table<u8>,
}

impl Default for Habits {
    fn default() -> Self {
        Self { wait: [[UNKNOWN; 256]; VIEWS], surprise: [[UNKNOWN; 256]; VIEWS] }
    }
}

impl Habits {
    /// Learns from samples: their contexts, the logarithms of the times until the next access in octaves, and how much
    /// of them a predictor did not explain.
    #[must_use]
    pub fn learn(contexts: &[Context], octaves: &[f32], unexplained: &[f32]) -> Self {
        if contexts.iter().all(|&context| context == NO_CONTEXT) {
            return Self::default();
        }
        let wait = |octaves: f32| {
            let capacities = (octaves.exp2() - SOON).max(f32::MIN_POSITIVE);
            byte(UNITY + (capacities.log2() * TIME_STEPS as f32).round() as i32)
        };
        let surprise = |octaves: f32| byte(MIDDLE + (octaves * SURPRISE_STEPS).round() as i32);
        Self { wait: means(contexts, octaves, wait), surprise: means(contexts, unexplained, surprise) }
    }

    #[inline]
    fn of(&self, view: usize, kind: u8, age: u8) -> [u8; LEARNED] {
        let wait = self.wait[view][kind as usize];
        if wait == UNKNOWN {
            return [UNKNOWN; LEARNED];
        }
        [wait, self.surprise[view][kind as usize], byte(MIDDLE + i32::from(age) - i32::from(wait))]
    }

    /// All that was learned, as text; empty when nothing was.
    #[must_use]
    pub fn to_text(&self) -> String {
        if *self == Self::default() {
            return String::new();
        }
        let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
        let values = [&self.wait, &self.surprise].into_iter().flatten().flatten();
        values.flat_map(|value| [digit(value >> 4), digit(value & 15)]).collect()
    }

    /// What was learned, from text; `None` when the text is not of that form.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut habits = Self::default();
        if text.is_empty() {
            return Some(habits);
        }
        if text.len() != 4 * VIEWS * 256 {
            return None;
        }
        let values = [&mut habits.wait, &mut habits.surprise].into_iter().flatten().flatten();
        for (value, digits) in values.zip(text.as_bytes().chunks(2)) {
            *value = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(habits)
    }

    /// Writes these habits into rows that were taken when others were known.
    pub fn tell_all(&self, rows: &mut [Row], contexts: &[Context]) {
        for (row, &context) in rows.iter_mut().zip(contexts).filter(|(_, context)| **context != NO_CONTEXT) {
            let (known, hints) = row.split_at_mut(FEATURES);
            self.tell(context, known[0], hints);
        }
    }

    fn tell(&self, context: Context, age: u8, hints: &mut [u8]) {
        for (view, hints) in hints.chunks_exact_mut(HINTS).enumerate() {
            if context[view] != 0 {
                hints[..LEARNED].copy_from_slice(&self.of(view, context[view], age));
            }
        }
    }
}

/// The mean of each kind, as a small integer.
fn means(contexts: &[Context], values: &[f32], told: impl Fn(f32) -> u8) -> Table<u8> {
    let usual = values.iter().sum::<f32>() / values.len().max(1) as f32;
    std::array::from_fn(|view| {
        let mut sums = [(0.0, 0.0f32); 256];
        for (context, value) in contexts.iter().zip(values) {
            let (count, sum) = &mut sums[context[view] as usize];
            *count += 1.0;
            *sum += value - usual;
        }
        sums.map(|(count, sum)| told(usual + sum / (count + USUAL)))
    })
}

/// What lately happened to one kind.
#[derive(Clone, Copy, Default)]
struct Trail {
    last: Time,
    /// Share of hits, of 2^16.
    hits: u16,
}

/// What is known of all kinds.
#[derive(Default)]
pub struct Contexts {
    /// Nothing, until there is one.
    trails: Option<Box<Table<Trail>>>,
    habits: Habits,
}

impl Memory for Contexts {
    fn memory(&self) -> usize {
        self.trails.as_ref().map_or(0, |trails| size_of_val(&**trails))
    }
}

impl Contexts {
    /// Whether there are any.
    #[inline]
    #[must_use]
    pub fn are_known(&self) -> bool {
        self.trails.is_some()
    }

    /// Notes an access.
    #[inline]
    pub fn access(&mut self, context: Context, now: Time, hit: bool) {
        if context != NO_CONTEXT {
            self.note(context, now, hit);
        }
    }

    #[inline(never)]
    fn note(&mut self, context: Context, now: Time, hit: bool) {
        let trails = self.trails.get_or_insert_with(|| Box::new([[Trail::default(); 256]; VIEWS]));
        for (trails, kind) in trails.iter_mut().zip(context) {
            let Trail { last, hits } = &mut trails[kind as usize];
            let target = if hit { i32::from(u16::MAX) } else { 0 };
            *hits = (i32::from(*hits) + ((target - i32::from(*hits)) >> HITS_SHIFT)) as u16;
            *last = now;
        }
    }

    /// What was learned of them.
    pub fn habits(&self) -> &Habits {
        &self.habits
    }

    /// Takes over what was learned.
    pub fn install(&mut self, habits: Habits) {
        self.habits = habits;
    }

    /// The hints of a key of some age: its kind's usual wait, the surprise of it, the age by the usual wait, what
    /// `bin` makes of the last access to the kind, and the share of hits.
    #[inline]
    pub(crate) fn hints(&self, view: usize, kind: u8, age: u8, bin: impl Fn(Time) -> u8) -> [u8; HINTS] {
        let Some(trails) = self.trails.as_ref().filter(|_| kind != 0) else { return [UNKNOWN; HINTS] };
        let [wait, surprise, early] = self.habits.of(view, kind, age);
        let Trail { last, hits } = trails[view][kind as usize];
        [wait, surprise, early, bin(last), (hits >> 8) as u8]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples of two kinds, one of which waits four octaves longer.
    fn learned() -> Habits {
        let contexts: Vec<Context> = (0..4000).map(|at| [1 + at as u8 % 2, 0]).collect();
        let octaves: Vec<f32> = (0..4000u16).map(|at| f32::from(at % 2) * 4.0).collect();
        Habits::learn(&contexts, &octaves, &octaves)
    }

    #[test]
    fn kinds_are_told_apart_by_how_long_they_wait() {
        let habits = learned();
        let [[short, ..], [long, ..]] = [1, 2].map(|kind| habits.of(0, kind, 110));
        assert_eq!(i32::from(long) - i32::from(short), 4 * TIME_STEPS);
        assert_eq!(habits.of(0, 2, long)[2], MIDDLE as u8, "as old as is usual");
        assert_eq!(Habits::learn(&[NO_CONTEXT; 9], &[1.0; 9], &[1.0; 9]), Habits::default());
    }

    #[test]
    fn habits_are_kept_as_text() {
        let text = learned().to_text();
        assert_eq!(Habits::from_text(&text), Some(learned()));
        assert_eq!(Habits::from_text(&Habits::default().to_text()), Some(Habits::default()));
        let damaged = format!("zz{}", &text[2..]);
        assert!([&text[1..], "zz", &damaged].iter().all(|text| Habits::from_text(text).is_none()));
    }

    #[test]
    fn one_sample_proves_little() {
        let [rare, usual] = [[7, 0], [9, 0]];
        let contexts: Vec<Context> = (0..1000).map(|at| if at == 0 { rare } else { usual }).collect();
        let octaves: Vec<f32> = (0..1000).map(|at| if at == 0 { 4.0 } else { 0.0 }).collect();
        let habits = Habits::learn(&contexts, &octaves, &octaves);
        assert!(habits.of(0, 7, 110)[0] - habits.of(0, 9, 110)[0] <= 1);
    }

    #[test]
    fn a_row_is_told_the_habits_that_count_now() {
        let mut hints = [UNKNOWN; VIEWS * HINTS];
        learned().tell([2, 0], 110, &mut hints);
        assert_eq!(hints[..LEARNED], learned().of(0, 2, 110));
        assert_eq!(hints[LEARNED..], [UNKNOWN; VIEWS * HINTS - LEARNED]);
    }

    #[test]
    fn trails_tell_the_last_access_and_the_share_of_hits() {
        let mut contexts = Contexts::default();
        contexts.access(NO_CONTEXT, 1, true);
        assert!(!contexts.are_known());
        for now in 0..1000 {
            contexts.access([3, 4], now, now % 4 == 0);
        }
        let [.., last, hits] = contexts.hints(1, 4, 110, |last| (last % 256) as u8);
        assert_eq!(last, (999 % 256) as u8);
        assert!((55..=75).contains(&hits), "{hits} of 256");
        assert_eq!(contexts.hints(0, 0, 110, |_| 0), [UNKNOWN; HINTS]);
    }

    #[test]
    fn kinds_are_never_none_and_seldom_the_same() {
        let mut kinds: Vec<u8> = (0..64u32).map(|at| kind(format!("table{at}").as_bytes())).collect();
        assert!(kinds.iter().all(|&kind| kind != 0));
        kinds.sort_unstable();
        kinds.dedup();
        assert!(kinds.len() > 50, "{}", kinds.len());
    }
}
