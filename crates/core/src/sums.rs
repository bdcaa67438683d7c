//! Weights at positions, and their sum beyond any position: a tree of sums, each of 32 of the level below, so that a
//! question reads a few neighbouring cache lines.

use crate::memory::Memory;

/// Children of a node; two to four cache lines of sums, which are added without a branch.
const FAN: usize = 32;

/// A row of weights that knows its sums.
pub struct Sums {
    /// The weights, then the sums of each `FAN` of the level before.
    levels: Vec<Vec<u64>>,
}

impl Memory for Sums {
    fn memory(&self) -> usize {
        self.levels.iter().map(Memory::memory).sum()
    }
}

impl Sums {
    /// These weights at the first positions, and 0 up to `length`.
    pub fn new(mut weights: Vec<u64>, length: usize) -> Self {
        weights.resize(length.max(weights.len()).next_multiple_of(FAN), 0);
        let mut levels = vec![weights];
        while levels[levels.len() - 1].len() > FAN {
            let below = &levels[levels.len() - 1];
            let mut sums: Vec<u64> = below.chunks(FAN).map(|children| children.iter().sum()).collect();
            sums.resize(sums.len().next_multiple_of(FAN), 0);
            levels.push(sums);
        }
        Self { levels }
    }

    /// Number of positions.
    pub fn len(&self) -> usize {
        self.weights().len()
    }

    /// The weight at every position.
    pub fn weights(&self) -> &[u64] {
        &self.levels[0]
    }

    /// Puts a weight where there is none.
    #[inline]
    pub fn put(&mut self, mut at: usize, weight: u64) {
        for level in &mut self.levels {
            level[at] += weight;
            at /= FAN;
        }
    }

    /// Takes the weight at a position away.
    #[inline]
    pub fn take(&mut self, mut at: usize) -> u64 {
        let weight = self.levels[0][at];
        for level in &mut self.levels {
            level[at] -= weight;
            at /= FAN;
        }
        weight
    }

    /// Sum of the weights beyond a position.
    #[inline]
    pub fn beyond(&self, mut at: usize) -> u64 {
        let mut sum = 0;
        for level in &self.levels {
            let end = (at / FAN + 1) * FAN;
            sum += level[at + 1..end].iter().sum::<u64>();
            at /= FAN;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    #[test]
    fn sums_are_those_of_a_plain_row() {
        let (mut chance, length) = (Chance::new(3), 5000);
        let mut plain = vec![0u64; length];
        let mut sums = Sums::new(Vec::new(), length);
        for round in 0..3000 {
            let at = chance.below(length);
            if plain[at] > 0 {
                assert_eq!(sums.take(at), std::mem::take(&mut plain[at]));
            } else {
                plain[at] = round + 1;
                sums.put(at, round + 1);
            }
            let asked = chance.below(length);
            assert_eq!(sums.beyond(asked), plain[asked + 1..].iter().sum());
        }
        let again = Sums::new(plain.clone(), length);
        assert_eq!(again.beyond(0), sums.beyond(0));
    }
}
