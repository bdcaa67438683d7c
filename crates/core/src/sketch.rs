//! How often ids were seen lately: a count-min sketch of 4-bit counters that are halved from time to time.
//! Cormode & Muthukrishnan, J. Algorithms 55(1), 2005; aging and sizes after Einziger, Friedman & Manes, "TinyLFU",
//! ACM TOS 13(4), 2017; the four counters of an id share a cache line, as in Caffeine, and only the smallest of
//! them count, as in the conservative update of Estan & Varghese, SIGCOMM 2002.

use crate::memory::count_memory;

/// Counters that an id owns, one in each quarter of its block.
const DEPTH: u32 = 4;
/// Largest value of a counter.
const FULL: u64 = 15;
/// The lowest bit of each of the 16 counters in a word, and all their bits but the highest.
const ODD: u64 = 0x1111_1111_1111_1111;
const HALF: u64 = 0x7777_7777_7777_7777;
/// Additions per entry after which all counters are halved.
const SAMPLE_PER_ENTRY: u64 = 16;
/// Counters per entry, at least.
const COUNTERS_PER_ENTRY: u64 = 32;

/// 128 counters in one cache line.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Block([u64; Self::WORDS]);

impl Block {
    const WORDS: usize = 8;
    const COUNTERS: u64 = 16 * Self::WORDS as u64;
}

/// What stands for an id in the sketch: 32 of its bits, neither the highest nor the lowest,
/// since others divide ids by those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(u32);

impl Fingerprint {
    /// The fingerprint of an id.
    pub fn of(id: u64) -> Self {
        Self((id >> 16) as u32)
    }

    /// Word and shift of each of its counters within its block.
    fn counters(self) -> impl Iterator<Item = (usize, u32)> {
        let bits = self.0.wrapping_mul(0x3184_8bab);
        let bits = bits ^ (bits >> 14);
        (0..DEPTH).map(move |row| {
            let bits = bits >> (8 * row);
            ((2 * row + (bits & 1)) as usize, (bits >> 1 & 15) * 4)
        })
    }
}

/// The smallest counter of an id, which is the least disturbed by other ids.
fn least(words: &[u64; Block::WORDS], fingerprint: Fingerprint) -> u64 {
    fingerprint.counters().map(|(word, shift)| words[word] >> shift & FULL).min().unwrap_or(0)
}

/// Frequencies of ids, never underestimated between two halvings, at most 15.
pub struct Sketch {
    /// Their number is a power of two.
    blocks: Vec<Block>,
    entries: u64,
    additions: u64,
}

count_memory!(Sketch []: blocks);

impl Default for Sketch {
    fn default() -> Self {
        Self { blocks: vec![Block::default()], entries: 1, additions: 0 }
    }
}

impl Sketch {
    /// Makes the sketch large enough for a cache of `entries`. What was counted stays: a block is split in two
    /// equal ones, each for half of its ids.
    pub fn grow(&mut self, entries: u64) {
        self.entries = self.entries.max(entries);
        while (self.blocks.len() as u64 * Block::COUNTERS) < entries * COUNTERS_PER_ENTRY {
            self.blocks.extend_from_within(..);
        }
    }

    /// How often the id was counted lately.
    pub fn estimate(&self, fingerprint: Fingerprint) -> u64 {
        least(&self.blocks[self.block(fingerprint)].0, fingerprint)
    }

    /// Counts one access.
    pub fn count(&mut self, fingerprint: Fingerprint) {
        let block = self.block(fingerprint);
        let words = &mut self.blocks[block].0;
        let least = least(words, fingerprint);
        if least < FULL {
            for (word, shift) in fingerprint.counters() {
                words[word] += u64::from(words[word] >> shift & FULL == least) << shift;
            }
            self.additions += 1;
        }
        if self.additions >= self.entries * SAMPLE_PER_ENTRY {
            self.halve();
        }
    }

    fn block(&self, fingerprint: Fingerprint) -> usize {
        fingerprint.0 as usize & (self.blocks.len() - 1)
    }

    /// The reset operation of `TinyLFU`: halves the counters, and what the odd ones lose is lost to the sum.
    fn halve(&mut self) {
        let mut odd = 0;
        for word in self.blocks.iter_mut().flat_map(|block| &mut block.0) {
            odd += u64::from((*word & ODD).count_ones());
            *word = *word >> 1 & HALF;
        }
        self.additions = self.additions.saturating_sub(odd / u64::from(DEPTH)) / 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::mix;

    fn fingerprint(key: u64) -> Fingerprint {
        Fingerprint::of(mix(key))
    }

    #[test]
    fn never_underestimates_before_the_first_halving() {
        let mut sketch = Sketch::default();
        sketch.grow(64);
        for key in 0..30 {
            (0..key % 16).for_each(|_| sketch.count(fingerprint(key)));
        }
        assert!((0..30).all(|key| sketch.estimate(fingerprint(key)) >= key % 16));
    }

    #[test]
    fn counters_stop_at_fifteen_and_are_halved_after_sixteen_additions_per_entry() {
        let mut sketch = Sketch::default();
        sketch.grow(4);
        (0..100).for_each(|_| sketch.count(fingerprint(1)));
        assert_eq!(sketch.estimate(fingerprint(1)), 15);
        (2..6).for_each(|key| (0..15).for_each(|_| sketch.count(fingerprint(key))));
        assert!(sketch.estimate(fingerprint(1)) < 15);
    }

    #[test]
    fn growth_keeps_what_was_counted() {
        let mut sketch = Sketch::default();
        (0..9).for_each(|key| sketch.count(fingerprint(key % 3)));
        let before: Vec<u64> = (0..3).map(|key| sketch.estimate(fingerprint(key))).collect();
        sketch.grow(1000);
        assert!(sketch.blocks.len() * Block::WORDS >= 1000 && sketch.blocks.len().is_power_of_two());
        assert_eq!((0..3).map(|key| sketch.estimate(fingerprint(key))).collect::<Vec<_>>(), before);
    }
}
