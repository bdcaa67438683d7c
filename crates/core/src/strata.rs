//! Strata: what a sample tells whose keys were looked at with shares that depend on their level of popularity.
//! How many accesses went to each level is known, so only hit ratios are estimated, each by itself: a separate ratio
//! estimator (Cochran, "Sampling Techniques", 1977, section 6.10), in which it does not matter how many of a level's
//! accesses are those of the sample. Its error is that of the residuals, told by random groups of keys (Wolter,
//! "Introduction to Variance Estimation", 2007, chapter 2).

use crate::histogram::Histogram;
use crate::memory::{Memory, count_memory};
use crate::survey::LEVELS;

/// Parts of a sample, by a hash of the key.
pub const GROUPS: usize = 16;

/// Distances of the groups are told apart to within 2^-6: they only tell how much groups differ.
const PRECISION_OF_GROUPS: u32 = 6;

/// What a measured access stands for.
#[derive(Clone, Copy, Default)]
pub struct Share {
    /// Accesses that are measured: one over the probability that its key is in the sample.
    pub count: f64,
    /// The standard deviation of that, for all accesses, measured or not.
    pub spread: f64,
}

impl Share {
    /// Of a key that is in the sample with this probability, of so many of whose accesses one is measured.
    pub fn of(probability: f64, measured: usize) -> Self {
        let count = 1.0 / probability.min(1.0);
        Self { count, spread: (count * (count - 1.0)).sqrt() * measured as f64 }
    }
}

/// Accesses and distances of one level, or of one group.
struct Part {
    distances: Histogram,
    /// Accesses, as often as each counts.
    stood_for: f64,
}

count_memory!(Part []: distances);

/// Accesses and distances of the sample, by level and by group.
pub struct Strata {
    levels: Vec<Part>,
    /// None if all keys are looked at.
    groups: Vec<Group>,
}

/// A group's distances, and its accesses of each level.
struct Group {
    distances: Histogram,
    stood_for: [f64; LEVELS],
}

count_memory!(Group []: distances);

impl Memory for Strata {
    fn memory(&self) -> usize {
        let parts: usize = self.levels.iter().map(Memory::memory).sum();
        parts + self.groups.iter().map(Memory::memory).sum::<usize>()
    }
}

/// Hits at each of some capacities.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Of all keys.
    pub hits: Vec<f64>,
    /// Standard error of each; 0 if all keys are looked at.
    pub errors: Vec<f64>,
}

impl Strata {
    /// Without an access, distances told apart to within 2^-precision.
    pub fn new(precision: u32, is_sample: bool) -> Self {
        let part = || Part { distances: Histogram::new(precision), stood_for: 0.0 };
        let group = || Group { distances: Histogram::new(PRECISION_OF_GROUPS), stood_for: [0.0; LEVELS] };
        Self {
            levels: (0..LEVELS).map(|_| part()).collect(),
            groups: (0..if is_sample { GROUPS } else { 0 }).map(|_| group()).collect(),
        }
    }

    /// Whether not all keys are looked at.
    pub fn is_sample(&self) -> bool {
        !self.groups.is_empty()
    }

    /// An access of the sample; without a distance if it is the first to its key.
    #[inline]
    pub fn count(&mut self, level: usize, group: usize, share: Share, distance: Option<u64>) {
        let part = &mut self.levels[level];
        part.stood_for += share.count;
        if let Some(distance) = distance {
            part.distances.count(distance, share.count);
        }
        if share.spread > 0.0
            && let Some(group) = self.groups.get_mut(group)
        {
            group.stood_for[level] += share.spread;
            if let Some(distance) = distance {
                group.distances.count(distance, share.spread);
            }
        }
    }

    /// Hits at each of these capacities, which grow, when so many accesses went to each level, and their error as far as
    /// it is one of who is in the sample.
    pub fn told(&self, accesses: &[f64; LEVELS], capacities: &[u64]) -> Told {
        let accesses = self.looked_at(accesses);
        let mut hits = vec![0.0; capacities.len()];
        let mut residuals: Vec<_> = self.groups.iter().map(|group| group.distances.up_to(capacities)).collect();
        for (level, part) in self.levels.iter().enumerate().filter(|(_, part)| part.stood_for > 0.0) {
            for (at, found) in part.distances.up_to(capacities).into_iter().enumerate() {
                let ratio = found / part.stood_for;
                hits[at] += found + ratio * (accesses[level] - part.stood_for); // exact if all are looked at
                for (residual, group) in residuals.iter_mut().zip(&self.groups) {
                    residual[at] -= ratio * group.stood_for[level];
                }
            }
        }
        let of_groups = GROUPS as f64 / (GROUPS - 1) as f64;
        let error = |at: usize| (of_groups * residuals.iter().map(|one| one[at].powi(2)).sum::<f64>()).sqrt();
        let errors = (0..capacities.len()).map(error).collect();
        Told { hits, errors }
    }

    /// Accesses to each level, where those of levels that the sample lacks count to the next less popular one that it
    /// has, or else to the least popular.
    fn looked_at(&self, accesses: &[f64; LEVELS]) -> [f64; LEVELS] {
        let (mut known, mut carried, mut last) = ([0.0; LEVELS], 0.0, None);
        for level in (0..LEVELS).rev() {
            carried += accesses[level];
            if self.levels[level].stood_for > 0.0 {
                known[level] = std::mem::take(&mut carried);
                last = Some(level);
            }
        }
        if let Some(last) = last {
            known[last] += carried;
        }
        known
    }
}
