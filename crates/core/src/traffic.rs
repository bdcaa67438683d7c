//! What is known of a cache as a whole: its scale in time, and running means of what happens to it.

use crate::line::{Line, Time};

/// Bins per factor of two of times.
pub const TIME_STEPS: i32 = 5;
/// The bin of a time of exactly one capacity.
pub const UNITY: i32 = 110;
/// The last bin; the values above it say why there is no time.
const LAST: i32 = 250;
/// Half-lives of the three access counters, in halves of the capacity.
const HALF_LIVES: [u32; 3] = [1, 8, 64];
/// Logarithms of counters lie between -16 and 16 octaves, here in 1/256.
const LOG_LIMIT: i32 = 16 * 256;
/// Accesses over which means are taken at least.
const SHORTEST: u32 = 256;
/// Accesses over which novelty is taken, as a power of two: a scan is recognised within some twenty accesses.
const NOVELTY_SHIFT: u32 = 4;

/// `value` clamped to the values that bins may have.
#[inline(always)]
pub(crate) fn byte(value: i32) -> u8 {
    value.clamp(0, LAST) as u8
}

/// Logarithm of `value` + ½ ≥ 0 in 1/2048 octaves, linear between powers of two: the bits of a floating number.
#[inline(always)]
pub(crate) fn log(value: f32) -> i32 {
    ((value + 0.5).to_bits() >> 12) as i32 - (127 << 11)
}

/// As a floating number; below 2^31, because that converts in one instruction.
#[inline(always)]
pub(crate) fn float(value: u32) -> f32 {
    (value & 0x7fff_ffff) as i32 as f32
}

/// Constants that follow from the capacity, by which all times are divided.
#[derive(Clone)]
pub struct Scale {
    /// Capacity in entries.
    pub entries: u32,
    /// Its [`log`].
    unit: i32,
    /// By how many 1/256 octaves each counter decays per access.
    decays: [f32; 3],
    /// log2(2^x + 1) for x from -16 octaves in steps of 1/16.
    plus_one: Box<[i16; 512]>,
    shift: u32,
}

impl Scale {
    /// The scale of a cache of `entries`.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        let entries = entries.clamp(1, 1 << 30) as u32;
        let plus_one = |at: usize| (((at as f64 - 255.5) / 16.0).exp2() + 1.0).log2() * 256.0;
        Self {
            entries,
            unit: log(float(entries)),
            decays: HALF_LIVES.map(|halves| 512.0 / (float(entries) * float(halves))),
            plus_one: Box::new(std::array::from_fn(|at| plus_one(at).round() as i16)),
            shift: entries.max(SHORTEST).ilog2(),
        }
    }

    /// The bin of a time.
    #[inline(always)]
    pub(crate) fn bin(&self, time: f32) -> u8 {
        byte(UNITY + (((log(time) - self.unit) * TIME_STEPS) >> 11))
    }

    /// How many accesses earlier the farthest neighbour is that a row tells of.
    #[inline]
    pub(crate) fn far(&self) -> u32 {
        (self.entries / 4).max(16)
    }

    /// The bin of the capacity itself, in halves of an octave.
    pub(crate) fn size(&self) -> u8 {
        byte(self.unit >> 10)
    }

    /// What remains, after `gap`, of a counter whose logarithm was `count`.
    #[inline(always)]
    pub(crate) fn decayed(&self, which: usize, count: i16, gap: u32) -> i32 {
        let decay = float(gap) * self.decays[which];
        let decay = if decay < (4 * LOG_LIMIT) as f32 { decay } else { (4 * LOG_LIMIT) as f32 };
        // Adding 2^23 leaves the integer in the low bits of the mantissa.
        i32::from(count) - ((decay + 8_388_608.0).to_bits() & 0x007f_ffff) as i32
    }

    /// The logarithm of one more than what `log` is the logarithm of.
    #[inline]
    pub(crate) fn plus_one(&self, log: i32) -> i16 {
        self.plus_one[((log.clamp(-LOG_LIMIT, LOG_LIMIT - 1) + LOG_LIMIT) >> 4) as usize]
    }
}

/// Running means, each of numbers up to [`ONE`].
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    misses: u32,
    returns: u32,
    novelty: u32,
    unused: u32,
    gap: u32,
    age: u32,
    weight: u32,
}

const ONE: u32 = 1 << 24;

fn approach(mean: &mut u32, target: u32, shift: u32) {
    *mean = mean.wrapping_add_signed((target as i32 - *mean as i32) >> shift);
}

fn all(happened: bool) -> u32 {
    if happened { ONE } else { 0 }
}

impl Traffic {
    /// Notes a hit of a key last accessed at `last`.
    #[inline]
    pub fn hit(&mut self, now: Time, last: Time, scale: &Scale) {
        let gap = scale.bin(float(now.wrapping_sub(last)));
        approach(&mut self.misses, 0, scale.shift);
        approach(&mut self.novelty, 0, NOVELTY_SHIFT);
        approach(&mut self.gap, u32::from(gap) << 16, scale.shift);
    }

    /// Notes a miss, of a key that is remembered or not.
    pub fn miss(&mut self, known: bool, scale: &Scale) {
        approach(&mut self.misses, ONE, scale.shift);
        approach(&mut self.returns, all(known), scale.shift);
        approach(&mut self.novelty, all(!known), NOVELTY_SHIFT);
    }

    /// Notes what a newcomer weighs.
    pub fn weigh(&mut self, line: &Line, scale: &Scale) {
        approach(&mut self.weight, (line.log_weight() as u32) << 8, scale.shift);
    }

    /// Notes that an entry is evicted.
    pub fn evict(&mut self, line: &Line, now: Time, scale: &Scale) {
        let age = scale.bin(float(now.wrapping_sub(line.last)));
        approach(&mut self.unused, all(line.is_unused()), scale.shift);
        approach(&mut self.age, u32::from(age) << 16, scale.shift);
    }

    /// Share of misses among all accesses.
    #[must_use]
    pub fn miss_ratio(&self) -> f64 {
        f64::from(self.misses) / f64::from(ONE)
    }

    /// Share of unknown keys among the last accesses, of 31.
    pub(crate) fn novelty(&self) -> u8 {
        (self.novelty >> 19).min(31) as u8
    }

    /// Share of misses, of misses of remembered keys, and of evictions without a hit: each of 64.
    pub(crate) fn shares(&self) -> [u8; 3] {
        [self.misses, self.returns, self.unused].map(|share| (share >> 18) as u8)
    }

    /// Mean bin of the gaps of hits.
    pub(crate) fn gap(&self) -> u8 {
        (self.gap >> 16) as u8
    }

    /// Mean bin of the ages of evicted entries.
    pub(crate) fn age(&self) -> u8 {
        (self.age >> 16) as u8
    }

    /// Mean logarithm of the weights of newcomers, in 1/256 octaves.
    pub(crate) fn log_weight(&self) -> i32 {
        (self.weight >> 8) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_binned_by_their_ratio_to_the_capacity() {
        for entries in [100, 10_000, 1_000_000] {
            let scale = Scale::new(entries);
            assert_eq!(i32::from(scale.bin(entries as f32)), UNITY);
            assert_eq!(i32::from(scale.bin(8.1 * entries as f32)), UNITY + 3 * TIME_STEPS);
        }
    }

    #[test]
    fn a_counter_halves_over_its_half_life_and_grows_by_one() {
        let scale = Scale::new(1000);
        assert_eq!(scale.decayed(1, 512, 4000), 256);
        let three = i32::from(scale.plus_one(256));
        assert!((three - 406).abs() <= 10, "log2(3) in 1/256 is 406, not {three}");
        assert_eq!(scale.plus_one(-LOG_LIMIT), 0);
    }

    #[test]
    fn means_approach_what_happens() {
        let (scale, mut traffic) = (Scale::new(100), Traffic::default());
        for at in 0..10_000 {
            if at % 4 == 0 {
                traffic.miss(at % 8 == 0, &scale);
            } else {
                traffic.hit(200, 100, &scale);
            }
        }
        let [misses, returns, _] = traffic.shares();
        assert!((15..=17).contains(&misses) && (30..=34).contains(&returns), "{misses} {returns}");
        assert_eq!(i32::from(traffic.gap()), UNITY - 1);
    }
}
