//! All that is remembered of one key, in 32 bytes: half a cache line of the processor per tracked key.

use crate::context::{Context, NO_CONTEXT};
use crate::traffic::{Scale, Traffic};

/// Position in the accesses a history has seen; wraps, only differences count.
pub type Time = u32;

/// Steps per factor of two in which weights are remembered.
const WEIGHT_STEPS: f64 = 5.0;
/// Hits since it became resident that are counted.
const MOST_HITS: u8 = 3;
/// Bit of the use of a key that was known when it became resident.
const RETURNED: u8 = 4;
/// Bits of a state below the novelty.
const USE_BITS: u32 = 3;
/// Exponent of 1 in the standard floating representation, above 11 bits of mantissa.
const EXPONENT_OF_ONE: u32 = 127 << 11;

/// What a line remembers of an id.
#[inline]
#[must_use]
pub fn print(id: u64) -> u32 {
    (id >> 32) as u32
}

/// The past of one key; never in two cache lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(32))]
pub struct Line {
    /// 32 bits of its id.
    pub print: u32,
    /// Last access.
    pub last: Time,
    /// First access since it is tracked.
    pub first: Time,
    /// One more than the index of its open training sample, or 0.
    pub sample: u16,
    /// What kind of key it is.
    pub context: Context,
    /// The last three gaps between accesses, newest first, as small floating numbers; 0 where there was none.
    gaps: [u16; 3],
    /// Exponentially decayed counts of accesses, as of the last: logarithms in 1/256 octaves.
    pub counts: [i16; 3],
    /// Accesses since it is tracked; 0 in the line of no key.
    pub accesses: u16,
    /// Use since it became resident, and above it how usual unknown keys were at the last access.
    state: u8,
    weight: u8,
}

impl Line {
    /// The line of no key.
    pub const VACANT: Self = Self {
        print: 0,
        last: 0,
        first: 0,
        sample: 0,
        context: NO_CONTEXT,
        gaps: [0; 3],
        counts: [0; 3],
        accesses: 0,
        state: 0,
        weight: 0,
    };

    /// The line of a key first accessed at `now`.
    #[must_use]
    pub fn new(print: u32, now: Time, weight: u64, traffic: &Traffic) -> Self {
        let mut line = Self { print, last: now, first: now, accesses: 1, ..Self::VACANT };
        line.state = traffic.novelty() << USE_BITS;
        line.set_weight(weight);
        line
    }

    /// Whether this is the line of no key.
    #[inline]
    #[must_use]
    pub fn is_vacant(&self) -> bool {
        self.accesses == 0
    }

    /// Notes a hit.
    #[inline]
    pub fn hit(&mut self, now: Time, scale: &Scale, traffic: &Traffic) {
        self.access(now, scale);
        let hits = u8::from(self.state & MOST_HITS < MOST_HITS);
        self.state = ((self.state & (RETURNED | MOST_HITS)) + hits) | (traffic.novelty() << USE_BITS);
    }

    /// Notes a miss of the key, which is still known.
    pub fn miss(&mut self, now: Time, weight: u64, scale: &Scale, traffic: &Traffic) {
        self.access(now, scale);
        self.state = RETURNED | (traffic.novelty() << USE_BITS);
        self.set_weight(weight);
    }

    #[inline]
    fn access(&mut self, now: Time, scale: &Scale) {
        let gap = now.wrapping_sub(self.last).max(1);
        self.gaps = [small(gap), self.gaps[0], self.gaps[1]];
        for (which, count) in self.counts.iter_mut().enumerate() {
            *count = scale.plus_one(scale.decayed(which, *count, gap));
        }
        self.accesses = self.accesses.saturating_add(1);
        self.last = now;
    }

    fn set_weight(&mut self, weight: u64) {
        if weight > 1 {
            self.weight = ((weight as f64).log2() * WEIGHT_STEPS).round().min(255.0) as u8;
        }
    }

    /// The last gaps, newest first; 1 where there was none.
    #[inline]
    pub(crate) fn gap(&self, which: usize) -> f32 {
        f32::from_bits((u32::from(self.gaps[which]) + EXPONENT_OF_ONE) << 12)
    }

    /// Hits since it became resident, and whether it was known before.
    #[inline]
    pub(crate) fn usage(&self) -> u8 {
        self.state & (RETURNED | MOST_HITS)
    }

    /// Whether it was not hit since it became resident.
    #[inline]
    pub(crate) fn is_unused(&self) -> bool {
        self.state & MOST_HITS == 0
    }

    /// How usual unknown keys were at its last access.
    #[inline]
    pub(crate) fn novelty(&self) -> u8 {
        self.state >> USE_BITS
    }

    /// Its weight, within a tenth.
    pub(crate) fn weight(&self) -> u64 {
        (f64::from(self.weight) / WEIGHT_STEPS).exp2().round() as u64
    }

    /// Logarithm of its weight in 1/256 octaves.
    #[inline]
    pub(crate) fn log_weight(&self) -> i32 {
        i32::from(self.weight) * 256 / WEIGHT_STEPS as i32
    }
}

/// `gap` with 5 bits of exponent and 11 of mantissa; a gap of 1 is a little more, because 0 means that there is none.
#[inline]
fn small(gap: u32) -> u16 {
    (((gap as f32).to_bits() >> 12) - EXPONENT_OF_ONE).max(1) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_half_a_cache_line() {
        assert_eq!(size_of::<Line>(), 32);
    }

    #[test]
    fn gaps_are_remembered_within_a_two_thousandth() {
        let (scale, traffic) = (Scale::new(100), Traffic::default());
        for gap in [1u32, 2, 3, 10, 1000, 123_456, 4_000_000_000] {
            let mut line = Line::new(1, 0, 1, &traffic);
            line.hit(gap, &scale, &traffic);
            assert!((f64::from(line.gap(0)) / f64::from(gap) - 1.0).abs() < 1.0 / 2000.0, "{gap}");
            assert!(line.gap(0) > 1.0 && line.gap(1) <= 1.0);
        }
    }

    #[test]
    fn use_is_counted_from_becoming_resident() {
        let (scale, traffic) = (Scale::new(100), Traffic::default());
        let mut line = Line::new(1, 0, 1, &traffic);
        assert!(line.is_unused());
        for now in 1..10 {
            line.hit(now, &scale, &traffic);
        }
        assert_eq!((line.usage(), line.accesses), (MOST_HITS, 10));
        line.miss(10, 1, &scale, &traffic);
        assert!(line.is_unused());
        assert_eq!(line.usage(), RETURNED);
    }

    #[test]
    fn weights_are_remembered_within_a_tenth() {
        for weight in [1u64, 2, 100, 4096, 1 << 40] {
            let line = Line::new(1, 0, weight, &Traffic::default());
            let ratio = line.weight() as f64 / weight as f64;
            assert!((0.9..1.1).contains(&ratio), "{weight}: {ratio}");
        }
    }
}
