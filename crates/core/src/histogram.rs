//! A histogram of distances: exact up to 2^precision, and beyond that with as many parts to each octave.

use crate::memory::count_memory;

/// Weighted counts of distances.
#[derive(Clone)]
pub struct Histogram {
    precision: u32,
    counts: Vec<f64>,
}

count_memory!(Histogram []: counts);

impl Histogram {
    /// An empty one.
    pub fn new(precision: u32) -> Self {
        Self { precision, counts: Vec::new() }
    }

    /// Counts a distance as often as `weight` says.
    #[inline]
    pub fn count(&mut self, distance: u64, weight: f64) {
        let part = self.part_of(distance);
        if part >= self.counts.len() {
            self.counts.resize(part + 1, 0.0);
        }
        self.counts[part] += weight;
    }

    /// How many distances are at most each of these limits, which grow; within a part they are taken to be even.
    pub fn up_to(&self, limits: &[u64]) -> Vec<f64> {
        let (mut part, mut sum) = (0, 0.0);
        let mut told = Vec::with_capacity(limits.len());
        for &limit in limits {
            while part < self.counts.len() && self.start_of(part + 1) <= limit.saturating_add(1) {
                sum += self.counts[part];
                part += 1;
            }
            let partly = self.counts.get(part).map_or(0.0, |count| {
                let (start, end) = (self.start_of(part), self.start_of(part + 1));
                let inside = limit.saturating_add(1).saturating_sub(start);
                count * inside as f64 / (end - start) as f64
            });
            told.push(sum + partly);
        }
        told
    }

    #[inline]
    fn part_of(&self, distance: u64) -> usize {
        let shift = (distance >> self.precision).checked_ilog2().unwrap_or(0);
        ((u64::from(shift) << self.precision) + (distance >> shift)) as usize
    }

    fn start_of(&self, part: usize) -> u64 {
        let shift = (part >> self.precision).saturating_sub(1) as u32;
        let mantissa = part as u64 - (u64::from(shift) << self.precision);
        mantissa.checked_shl(shift).filter(|start| start >> shift == mantissa).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_and_hold_their_distances() {
        let histogram = Histogram::new(4);
        for part in 0..700 {
            assert!(histogram.start_of(part) < histogram.start_of(part + 1));
            assert_eq!(histogram.part_of(histogram.start_of(part)), part);
            assert_eq!(histogram.part_of(histogram.start_of(part + 1) - 1), part);
        }
        assert_eq!(histogram.part_of(u64::MAX), histogram.part_of(u64::MAX - 1));
    }

    #[test]
    fn counts_up_to_a_limit_are_exact_where_parts_are_single_and_even_beyond() {
        let mut histogram = Histogram::new(4);
        for distance in [0, 3, 3, 15, 64, 67] {
            histogram.count(distance, 1.0);
        }
        assert_eq!(histogram.up_to(&[0, 2, 3, 14, 15, 63, 67, u64::MAX]), [1.0, 1.0, 3.0, 3.0, 4.0, 4.0, 6.0, 6.0]);
        assert_eq!(histogram.up_to(&[65]), [5.0]);
    }
}
