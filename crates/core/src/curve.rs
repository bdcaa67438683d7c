//! The miss ratio curve of LRU, from the reuse distances of all keys or of a spatial sample.
//! Waldspurger et al., "Efficient MRC Construction with SHARDS", FAST 2015: fixed rate, fixed size, and SHARDS-adj.
//! The error is estimated by random groups (Wolter, "Introduction to Variance Estimation", chapter 2): every sampled
//! key belongs to one of some groups, each of which has a curve of its own.

use std::collections::BinaryHeap;

use crate::access::mix;
use crate::histogram::Histogram;
use crate::memory::count_memory;
use crate::reuse::Reuse;
use crate::sampling::Sampling;

/// Parts of a sample that have a curve of their own.
pub const GROUPS: usize = 16;

/// Distances up to 2^16 are told apart exactly, larger ones to within 2^-16.
const PRECISION: u32 = 16;
/// Those of groups to within 2^-8: they tell how much curves differ.
const PRECISION_OF_GROUPS: u32 = 8;

/// Distances of a sample, scaled up to those of the whole.
struct Scaled {
    reuse: Reuse,
    distances: Histogram,
}

count_memory!(Scaled []: reuse, distances);

impl Scaled {
    fn new(precision: u32) -> Self {
        Self { reuse: Reuse::default(), distances: Histogram::new(precision) }
    }

    /// An access, one of `count`, to a key, one of `scale`.
    #[inline]
    fn access(&mut self, id: u64, weight: u64, count: f64, scale: f64) {
        if let Some((others, own)) = self.reuse.access(id, weight) {
            let distance = if scale > 1.0 { (others as f64 * scale) as u64 } else { others };
            self.distances.count(distance.saturating_add(own), count);
        }
    }
}

/// What LRU would hit at every capacity.
pub struct Curve {
    sampling: Sampling,
    /// Keys that each key which is fed stands for.
    scale: f64,
    /// Most keys that are kept, and their hashes with them, the largest on top.
    most: Option<(usize, BinaryHeap<(u64, u64)>)>,
    whole: Scaled,
    groups: Vec<Scaled>,
    accesses: u64,
    kept: u64,
    /// Accesses that those kept stand for; near `accesses`, unless few keys make many of them.
    stood_for: f64,
    stood_for_by: [f64; GROUPS],
}

/// Hits at each of some capacities.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Of all keys that are kept.
    pub hits: Vec<f64>,
    /// Of each group by itself, scaled up to the whole; none without a sample.
    pub groups: Vec<Vec<f64>>,
}

impl Curve {
    /// Without an access so far. With `most`, the rate falls whenever more keys than that are kept. What will be fed may
    /// itself be a sample, of a `share` in (0, 1] of the keys: capacities are those of a cache for all keys.
    #[must_use]
    pub fn new(sampling: Sampling, most: Option<usize>, share: f64) -> Self {
        let exact = sampling.rate() >= 1.0 && most.is_none();
        let groups = if exact { 0 } else { GROUPS };
        Self {
            sampling,
            scale: 1.0 / share,
            most: most.map(|most| (most.max(1), BinaryHeap::new())),
            whole: Scaled::new(PRECISION),
            groups: (0..groups).map(|_| Scaled::new(PRECISION_OF_GROUPS)).collect(),
            accesses: 0,
            kept: 0,
            stood_for: 0.0,
            stood_for_by: [0.0; GROUPS],
        }
    }

    /// Accesses in order, with their weights; without, every key weighs 1.
    ///
    /// # Panics
    /// When the two columns differ in length.
    pub fn feed(&mut self, keys: &[u64], weights: Option<&[u64]>) {
        assert!(weights.is_none_or(|weights| weights.len() == keys.len()), "columns of one length");
        self.accesses += keys.len() as u64;
        for (at, &key) in keys.iter().enumerate() {
            if let Some(hash) = self.sampling.keeps(key) {
                self.access(mix(key), hash, weights.map_or(1, |weights| weights[at].max(1)));
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
        self.whole.reuse.len()
    }

    /// Share of the keys that is kept by now.
    pub fn rate(&self) -> f64 {
        self.sampling.rate()
    }

    /// Hits at each of these capacities, which grow.
    ///
    /// What a sample misses or has too much, it does in keys that are accessed all the time, at small distances: the
    /// difference to the accesses that there were is added to the hits of every capacity (SHARDS-adj).
    #[must_use]
    pub fn hits(&self, capacities: &[u64]) -> Told {
        let adjusted = |scaled: &Scaled, stood_for: f64| {
            let (all, adjustment) = (self.accesses as f64, self.accesses as f64 - stood_for);
            let hits = scaled.distances.up_to(capacities);
            hits.iter().map(|hits| (hits + adjustment).clamp(0.0, all)).collect()
        };
        Told {
            hits: adjusted(&self.whole, self.stood_for),
            groups: self.groups.iter().zip(self.stood_for_by).map(|(group, by)| adjusted(group, by)).collect(),
        }
    }

    fn access(&mut self, id: u64, hash: u64, weight: u64) {
        let count = 1.0 / self.sampling.rate();
        self.kept += 1;
        self.stood_for += count;
        let keys = self.whole.reuse.len();
        self.whole.access(id, weight, count, count * self.scale);
        if !self.groups.is_empty() {
            let (group, count) = (group_of(hash), count * GROUPS as f64);
            self.stood_for_by[group] += count;
            self.groups[group].access(id, weight, count, count * self.scale);
        }
        if self.whole.reuse.len() > keys {
            self.bound(hash, id);
        }
    }

    /// Notes a new key, and lowers the rate until there are few enough.
    fn bound(&mut self, hash: u64, id: u64) {
        let Some((most, hashes)) = &mut self.most else { return };
        hashes.push((hash, id));
        while hashes.len() > *most
            && let Some((largest, id)) = hashes.pop()
        {
            self.sampling.lower_to(largest.saturating_sub(1));
            self.whole.reuse.forget(id);
            self.groups[group_of(largest)].reuse.forget(id);
        }
    }
}

/// The lowest bits of the hash of a kept key are uniform, whatever the rate.
fn group_of(hash: u64) -> usize {
    hash as usize % GROUPS
}
