//! Spatial samples: which keys are kept, decided by a hash of the key, so that a kept key has its complete history and
//! the smaller of two samples is part of the larger.
//! Waldspurger et al., "Efficient MRC Construction with SHARDS", FAST 2015, section 3.

use crate::access::mix;

/// Keeps the keys whose hash is small.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    salt: u64,
    /// Hashes up to this are kept.
    limit: u64,
}

impl Sampling {
    /// Keeps a share in (0, 1] of the keys; samples of other seeds are independent.
    #[must_use]
    pub fn new(rate: f64, seed: u64) -> Self {
        let limit = if rate >= 1.0 { u64::MAX } else { (rate.max(0.0) * 2f64.powi(64)) as u64 };
        Self { salt: mix(seed), limit }
    }

    /// Share of the keys that are kept.
    #[must_use]
    pub fn rate(&self) -> f64 {
        (self.limit as f64 + 1.0) / 2f64.powi(64)
    }

    /// The hash of a key: half of the work of [`mix`], which is most of that of a sample, and as good for it.
    #[inline(always)]
    #[must_use]
    pub fn hash(&self, key: u64) -> u64 {
        let key = (key ^ self.salt).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (key ^ (key >> 32)).wrapping_mul(0x94d0_49bb_1331_11eb)
    }

    /// Largest hash of what is kept.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Keeps only keys of smaller hashes from now on.
    pub fn lower_to(&mut self, limit: u64) {
        self.limit = self.limit.min(limit);
    }

    /// Positions of the accesses to kept keys.
    #[must_use]
    pub fn positions(&self, keys: &[u64]) -> Vec<u64> {
        let kept = keys.iter().enumerate().filter(|(_, key)| self.hash(**key) <= self.limit);
        kept.map(|(at, _)| at as u64).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_keys_is_kept_and_smaller_samples_are_parts_of_larger_ones() {
        let keys: Vec<u64> = (0..100_000).collect();
        let (few, some) = (Sampling::new(0.01, 7), Sampling::new(0.1, 7));
        let (few, mut some) = (few.positions(&keys), some.positions(&keys));
        assert!((900..1100).contains(&few.len()) && (9_600..10_400).contains(&some.len()));
        some.retain(|at| few.contains(at));
        assert_eq!(some, few);
        assert_eq!(Sampling::new(1.0, 7).positions(&keys).len(), keys.len());
        assert!((Sampling::new(0.25, 1).rate() - 0.25).abs() < 1e-9);
    }
}
