//! The miss ratio curve of LRU, from the reuse distances of all keys or of a spatial sample.
//! Waldspurger et al., "Efficient MRC Construction with SHARDS", FAST 2015: fixed rate and fixed size. After a survey,
//! more of the popular keys are looked at, each of which stands for fewer others.

use std::collections::BinaryHeap;

use crate::access::mix;
use crate::chance::Chance;
use crate::memory::count_memory;
use crate::reuse::Reuse;
use crate::sampling::Sampling;
use crate::strata::{GROUPS, Share, Strata, Told};
use crate::survey::{LEVELS, Survey};

/// Distances up to 2^16 are told apart exactly, larger ones to within 2^-16.
const PRECISION: u32 = 16;
/// Those of samples to within 2^-6: chance makes more of them.
const PRECISION_OF_SAMPLES: u32 = 6;
/// What a key weighs that stands for as many as a key can; others less, in whole numbers.
const UNIT: f64 = 65_536.0;
/// Factor to each side over which the slope of the curve is taken.
const AROUND: f64 = 1.2;
/// Accesses among which those to kept keys are found at once.
const BLOCK: usize = 1024;
/// Rate for which a survey says who is looked at more, where the rate falls: the first part of the accesses is all kept.
const SUPPOSED_RATE: f64 = 0.01;
/// Of how many accesses one is counted to its level.
const COUNTED: usize = 16;
/// Of how many accesses to popular keys of a sample one is measured, at most,
const MEASURED: usize = 8;
/// and for how many accesses in all each: where there are fewer, chance of which are measured would matter.
const ACCESSES: u64 = 1 << 19;

/// How accesses to the keys of a level are looked at.
#[derive(Clone, Copy, Default)]
struct Look {
    share: Share,
    /// What a unit of weight counts for others that it lies between, and one over that.
    weight: u64,
    part: f64,
    /// Whether there are enough accesses to measure only some.
    is_popular: bool,
}

/// What LRU would hit at every capacity.
pub struct Curve {
    sampling: Sampling,
    survey: Survey,
    looks: [Look; LEVELS],
    /// Hashes up to this are kept, of each level.
    limits: [u64; LEVELS],
    /// By which sums of weights become distances of a cache for all keys.
    factor: f64,
    /// Share of all keys that is fed.
    share: f64,
    /// Most keys that are kept, and their places with them, the largest on top.
    most: Option<(usize, BinaryHeap<(u64, u64)>)>,
    reuse: Reuse,
    strata: Strata,
    /// Keys that those kept stand for, and the variance of that.
    stood_for: f64,
    spread: f64,
    accesses: u64,
    /// Of each level, of those that were counted to one.
    counted: [u64; LEVELS],
    kept: u64,
    chance: Chance,
    /// Of how many accesses to popular keys one is measured; such accesses, from somewhere on.
    measured: usize,
    turn: usize,
}

count_memory!(Curve []: survey, reuse, strata);

impl Curve {
    /// Without an access so far. With `most`, the rate falls whenever more keys than that are kept. What will be fed may
    /// itself be a sample, of a `share` in (0, 1] of the keys: capacities are those of a cache for all keys.
    #[must_use]
    pub fn new(sampling: Sampling, most: Option<usize>, share: f64) -> Self {
        let is_sample = sampling.rate() < 1.0 || most.is_some();
        let precision = if is_sample { PRECISION_OF_SAMPLES } else { PRECISION };
        let mut curve = Self {
            sampling,
            survey: Survey::default(),
            looks: [Look::default(); LEVELS],
            limits: [0; LEVELS],
            factor: 1.0,
            share,
            most: most.map(|most| (most.max(1), BinaryHeap::new())),
            reuse: Reuse::default(),
            strata: Strata::new(precision, is_sample),
            stood_for: 0.0,
            spread: 0.0,
            accesses: 0,
            counted: [0; LEVELS],
            kept: 0,
            chance: Chance::new(0),
            measured: 1,
            turn: 0,
        };
        curve.look();
        curve
    }

    /// Looks at some of the accesses that will be fed, and at how many these will be: which keys are asked for often.
    pub fn survey(&mut self, some: &[u64], accesses: u64) {
        if self.strata.is_sample() {
            let rate = if self.most.is_some() { SUPPOSED_RATE } else { self.sampling.rate() };
            self.measured = ((accesses / ACCESSES) as usize).clamp(1, MEASURED);
            self.survey = Survey::of(some, accesses, rate, |key| self.sampling.hash(key));
            self.look();
        }
    }

    /// Accesses in order, with their weights; without, every key weighs 1.
    ///
    /// # Panics
    /// When the two columns differ in length.
    pub fn feed(&mut self, keys: &[u64], weights: Option<&[u64]>) {
        assert!(weights.is_none_or(|weights| weights.len() == keys.len()), "columns of one length");
        for (number, block) in keys.chunks(BLOCK).enumerate() {
            let mut kept = [0; BLOCK];
            let count = self.choose(block, &mut kept);
            self.count(block);
            self.turn = self.chance.below(self.measured);
            self.accesses += block.len() as u64;
            for at in kept[..count].iter().map(|&at| usize::from(at)) {
                let weight = weights.map_or(1, |weights| weights[number * BLOCK + at].max(1));
                self.access(block[at], weight);
            }
        }
    }

    /// Accesses fed.
    pub fn accesses(&self) -> u64 {
        self.accesses
    }

    /// Those among them that were to kept keys.
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// Distinct keys that are kept.
    pub fn keys(&self) -> usize {
        self.reuse.len()
    }

    /// Share of the keys that is kept by now, not counting what is kept of popular ones besides.
    pub fn rate(&self) -> f64 {
        self.sampling.rate()
    }

    /// Hits at each of these capacities, which grow, and their errors.
    ///
    /// A sample has too many keys or too few, and makes distances longer or shorter by as much: the error of that is the
    /// slope of the curve, over the logarithm of the capacity, times the relative error of the number of keys.
    #[must_use]
    pub fn hits(&self, capacities: &[u64]) -> Told {
        let (all, counted) = (self.accesses as f64, self.counted.iter().sum::<u64>().max(1) as f64);
        let accesses = self.counted.map(|count| count as f64 * all / counted);
        let told = |factor: f64| {
            let capacities: Vec<u64> = capacities.iter().map(|capacity| (*capacity as f64 * factor) as u64).collect();
            self.strata.told(&accesses, &capacities)
        };
        let mut found = self.strata.told(&accesses, capacities);
        if self.strata.is_sample() {
            let doubt = self.spread.sqrt() / self.stood_for.max(1.0);
            let slopes = told(AROUND).hits.into_iter().zip(told(1.0 / AROUND).hits);
            for (error, (more, less)) in found.errors.iter_mut().zip(slopes) {
                *error = error.hypot(doubt * (more - less) / (2.0 * AROUND.ln()));
            }
        }
        found
    }

    /// Puts the positions of a block's accesses to kept keys first; tells how many there are. Without a branch: which
    /// keys are kept cannot be foreseen.
    #[inline]
    fn choose(&self, block: &[u64], kept: &mut [u16; BLOCK]) -> usize {
        let mut count = 0;
        for (at, &key) in block.iter().enumerate() {
            let hash = self.sampling.hash(key);
            kept[count % BLOCK] = at as u16;
            count += usize::from(hash <= self.limits[self.survey.level(hash)]);
        }
        count
    }

    /// Counts some of a block's accesses to their levels, which is enough to know the shares of these.
    fn count(&mut self, block: &[u64]) {
        let first = self.chance.below(COUNTED.min(block.len()));
        for &key in block.iter().skip(first).step_by(COUNTED) {
            self.counted[self.survey.level(self.sampling.hash(key))] += 1;
        }
    }

    fn access(&mut self, key: u64, weight: u64) {
        let (id, hash) = (mix(key), self.sampling.hash(key));
        let level = self.survey.level(hash);
        if hash > self.limits[level] {
            return; // it was kept when the block began
        }
        let look = self.looks[level];
        self.kept += 1;
        let keys = self.reuse.len();
        self.turn += usize::from(look.is_popular);
        if look.is_popular && !self.turn.is_multiple_of(self.measured) {
            self.reuse.touch(id, weight * look.weight);
        } else {
            let found = self.reuse.access(id, weight * look.weight);
            let distance = found.map(|(others, own)| {
                ((others as f64 * self.factor) as u64).saturating_add((own as f64 * look.part + 0.5) as u64)
            });
            self.strata.count(level, group_of(hash), look.share, distance);
        }
        if self.reuse.len() > keys {
            self.stood_for += look.share.count;
            self.spread += look.share.count * (look.share.count - 1.0);
            self.bound(hash, level, id);
        }
    }

    /// Notes a new key, and lowers the rate until there are few enough.
    fn bound(&mut self, hash: u64, level: usize, id: u64) {
        let favour = self.survey.favour(level);
        let Some((most, places)) = &mut self.most else { return };
        places.push(((hash as f64 / favour) as u64, id));
        let mut is_lower = false;
        while places.len() > *most
            && let Some((largest, id)) = places.pop()
        {
            self.sampling.lower_to(largest.saturating_sub(1));
            self.reuse.forget(id);
            is_lower = true;
        }
        if is_lower {
            self.look();
        }
    }

    /// Sets how each level is looked at, as the rate and the survey say.
    fn look(&mut self) {
        let (rate, is_sample) = (self.sampling.rate(), self.strata.is_sample());
        let unit = if is_sample { UNIT } else { 1.0 };
        for (level, look) in self.looks.iter_mut().enumerate() {
            let favour = self.survey.favour(level);
            let is_popular = is_sample && favour > 1.0;
            let share = Share::of(rate * favour, if is_popular { self.measured } else { 1 });
            let weight = (unit * rate * share.count).round().max(1.0);
            *look = Look { share, weight: weight as u64, part: 1.0 / weight, is_popular };
            self.limits[level] = (self.sampling.limit() as f64 * favour) as u64;
        }
        self.factor = 1.0 / (rate * self.share * unit);
    }
}

/// Bits of the hash that neither decide who is kept nor which level a key is of.
fn group_of(hash: u64) -> usize {
    (hash >> 20) as usize % GROUPS
}
