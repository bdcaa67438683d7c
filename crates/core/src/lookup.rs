//! Oblivious trees as processors with wide registers ask them fastest: the leaves of a tree fit into registers, where one
//! instruction looks sixteen candidates up. Scores are those of [`Forest::scores`](crate::predictor::Forest::scores), bit by bit.
#![allow(unsafe_code)] // each block says why it is sound
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // nothing is wide there

use crate::features::{BATCH, Columns, WIDTH};
use crate::predictor::Tree;
use crate::wide::is_wide;

/// Questions of a tree at most, and of one that needs half as many registers.
const LEVELS: (usize, usize) = (6, 5);
/// Leaves that one register holds.
const LEAVES: usize = 16;

/// The same tree, with its leaves taken apart; four cache lines.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
struct Flat {
    /// For sixteen leaves each their lower bytes, then their upper ones; where no feature is above its threshold comes last.
    leaves: [[u8; 2 * LEAVES]; (1 << LEVELS.0) / LEAVES],
    /// Of each level, for every candidate; nothing is above the threshold of a level that there is not.
    thresholds: [[u8; BATCH]; LEVELS.0],
    features: [u8; LEVELS.0],
    is_deep: bool,
}

impl Flat {
    fn of(tree: &Tree) -> Option<Self> {
        let is_deep = tree.questions.len() > LEVELS.1;
        let levels = if is_deep { LEVELS.0 } else { LEVELS.1 };
        let mut questions = [(0, u8::MAX); LEVELS.0];
        questions.get_mut(..tree.questions.len())?.copy_from_slice(&tree.questions);
        let mut leaves = [[0; 2 * LEAVES]; (1 << LEVELS.0) / LEAVES];
        for place in 0..1usize << levels {
            let answers = (!place << (usize::BITS as usize - levels)).reverse_bits();
            let leaf = tree.leaves.get(answers).copied().unwrap_or_default();
            let register = &mut leaves[place / LEAVES];
            [register[place % LEAVES], register[LEAVES + place % LEAVES]] = leaf.to_le_bytes();
        }
        let known = questions.iter().all(|&(feature, _)| (feature as usize) < WIDTH);
        known.then_some(Self {
            is_deep,
            features: questions.map(|(feature, _)| feature),
            thresholds: questions.map(|(_, threshold)| [threshold; BATCH]),
            leaves,
        })
    }
}

/// All trees of a forest, if this processor can ask them in this way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookup(Option<Vec<Flat>>);

impl Lookup {
    /// The same trees.
    pub fn of(trees: &[Tree]) -> Self {
        Self(if is_wide() { trees.iter().map(Flat::of).collect() } else { None })
    }

    /// Adds what the trees say of a batch; false when they have to be asked in another way.
    #[inline]
    pub fn add(&self, columns: &Columns, scores: &mut [i32; BATCH]) -> bool {
        #[cfg(target_arch = "x86_64")]
        if let Some(trees) = &self.0 {
            // SAFETY: there are trees only where the processor was found to have these instructions.
            unsafe { avx2::add(trees, columns, scores) };
            return true;
        }
        false
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_add_epi8, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_setzero_si128, _mm_sub_epi8,
        _mm_unpackhi_epi8, _mm_unpacklo_epi8, _mm256_add_epi32, _mm256_adds_epu8, _mm256_broadcastsi128_si256,
        _mm256_castsi256_si128, _mm256_cvtepi16_epi32, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_or_si256,
        _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_storeu_si256, _mm256_xor_si256,
    };

    use super::{BATCH, Columns, Flat, LEAVES, LEVELS};

    /// Adds what the trees say of a batch to its scores.
    #[target_feature(enable = "avx2")]
    pub fn add(trees: &[Flat], columns: &Columns, scores: &mut [i32; BATCH]) {
        #[allow(clippy::cast_ptr_alignment)] // they are loaded and stored unaligned
        let halves = scores.as_mut_ptr().cast::<__m256i>();
        // SAFETY: these are the sixteen scores, and any address will do.
        let mut sums = unsafe { [_mm256_loadu_si256(halves), _mm256_loadu_si256(halves.add(1))] };
        for tree in trees {
            let leaves = if tree.is_deep {
                ask::<{ LEVELS.0 }, { (1 << LEVELS.0) / LEAVES }>(tree, columns)
            } else {
                ask::<{ LEVELS.1 }, { (1 << LEVELS.1) / LEAVES }>(tree, columns)
            };
            for (sum, leaves) in sums.iter_mut().zip(leaves) {
                *sum = _mm256_add_epi32(*sum, _mm256_cvtepi16_epi32(leaves));
            }
        }
        // SAFETY: as above.
        unsafe {
            _mm256_storeu_si256(halves, sums[0]);
            _mm256_storeu_si256(halves.add(1), sums[1]);
        }
    }

    /// The values of the leaves that sixteen candidates come to, eight and eight.
    #[target_feature(enable = "avx2")]
    fn ask<const QUESTIONS: usize, const REGISTERS: usize>(tree: &Flat, columns: &Columns) -> [__m128i; 2] {
        let mut places = _mm_setzero_si128();
        for (&feature, threshold) in tree.features[..QUESTIONS].iter().zip(&tree.thresholds) {
            let values = &columns[feature as usize];
            // SAFETY: both are of sixteen bytes, and any address will do.
            let [values, threshold] = [values, threshold].map(|it| unsafe { _mm_loadu_si128(it.as_ptr().cast()) });
            let least = _mm_min_epu8(values, threshold);
            let is_not_above = _mm_cmpeq_epi8(values, least); // -1 where that is so
            places = _mm_sub_epi8(_mm_add_epi8(places, places), is_not_above);
        }
        let places = _mm256_broadcastsi128_si256(places);
        let mut found = _mm256_setzero_si256();
        for (at, register) in tree.leaves[..REGISTERS].iter().enumerate() {
            // Places in this register keep their highest bit clear; what is looked up for others is 0.
            let here = _mm256_xor_si256(places, _mm256_set1_epi8((at * LEAVES) as i8));
            let here = _mm256_adds_epu8(here, _mm256_set1_epi8(0x70));
            // SAFETY: a register of leaves has 32 bytes, and any address will do.
            let leaves = unsafe { _mm256_loadu_si256(register.as_ptr().cast()) };
            found = _mm256_or_si256(found, _mm256_shuffle_epi8(leaves, here));
        }
        let (low, high) = (_mm256_castsi256_si128(found), _mm256_extracti128_si256::<1>(found));
        [_mm_unpacklo_epi8(low, high), _mm_unpackhi_epi8(low, high)]
    }
}
