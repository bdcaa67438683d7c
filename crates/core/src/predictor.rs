//! Oblivious decision trees: every level of a tree asks one question of all rows, so that answers address leaves
//! as bits and sixteen candidates are scored together without a branch.
//! Kohavi & Li, "Oblivious decision trees, graphs, and top-down pruning", IJCAI 1995; in caching as trees since
//! Song et al., "Learning relaxed Belady", NSDI 2020.

use std::sync::{Arc, LazyLock};

use crate::features::{BATCH, Columns, WIDTH};
use crate::lookup::Lookup;
use crate::model_file::decode;
use crate::prior::Prior;

/// A score of one octave of time until the next access.
pub const SCORE_ONE: f32 = 256.0;

/// Added to times, in capacities, before the logarithm: shorter ones are all soon enough.
pub const SOON: f32 = 0.05;

/// The time until the next access, in capacities, that a score of so many octaves stands for.
#[must_use]
pub fn octaves_to_capacities(octaves: f32) -> f32 {
    (octaves.exp2() - SOON).max(0.0)
}

/// The prior that is part of the package, and its metadata; `make prior` writes the file.
static SHIPPED: LazyLock<(Arc<Prior>, String)> = LazyLock::new(|| {
    let (prior, metadata) = decode(include_bytes!("prior.fcm")).expect("the shipped prior is of this version");
    (Arc::new(prior), metadata)
});

/// Most trees of a forest, questions of a tree, and octaves of the constant: scores never overflow.
const LIMITS: (u16, usize, i32) = (4096, 8, 1 << 20);

/// First bytes of a stored forest; the number is that of the format and of the features.
const MAGIC: &[u8; 4] = b"FCF1";

/// One question per level, one value per leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Feature and threshold of each level: is the feature above it?
    pub questions: Vec<(u8, u8)>,
    /// Values, by the answers as bits with the first level lowest.
    pub leaves: Vec<i16>,
}

impl Tree {
    #[inline]
    fn add(&self, columns: &Columns, scores: &mut [i32; BATCH]) {
        let mut leaves = [0u8; BATCH];
        for (level, &(feature, threshold)) in self.questions.iter().enumerate() {
            let bit = 1 << level;
            for (leaf, &value) in leaves.iter_mut().zip(&columns[feature as usize]) {
                *leaf |= if value > threshold { bit } else { 0 };
            }
        }
        for (score, leaf) in scores.iter_mut().zip(leaves) {
            *score += i32::from(self.leaves[leaf as usize]);
        }
    }
}

/// The sum of a constant and of trees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forest {
    /// Score of every row before the trees are asked.
    pub base: i32,
    /// The trees.
    pub trees: Vec<Tree>,
    /// The same, to be asked fast.
    lookup: Lookup,
}

impl Forest {
    /// The sum of these.
    #[must_use]
    pub fn new(base: i32, trees: Vec<Tree>) -> Self {
        Self { base, lookup: Lookup::of(&trees), trees }
    }

    /// Scores of a batch.
    #[inline]
    #[must_use]
    pub fn scores(&self, columns: &Columns) -> [i32; BATCH] {
        let mut scores = [self.base; BATCH];
        if !self.lookup.add(columns, &mut scores) {
            self.trees.iter().for_each(|tree| tree.add(columns, &mut scores));
        }
        scores
    }

    /// The last `trees` of it, and its constant, weakened: each score is the `share` of what it was.
    #[must_use]
    pub fn faded(&self, trees: usize, share: f32) -> Self {
        let weaker = |tree: &Tree| Tree {
            questions: tree.questions.clone(),
            leaves: tree.leaves.iter().map(|&leaf| (f32::from(leaf) * share).round() as i16).collect(),
        };
        let first = self.trees.len().saturating_sub(trees);
        Self::new((self.base as f32 * share) as i32, self.trees[first..].iter().map(weaker).collect())
    }

    /// The sum of two.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.trees.extend(other.trees);
        Self::new(self.base + other.base, self.trees)
    }

    /// The forest as bytes, to be stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.base.to_le_bytes());
        bytes.extend((self.trees.len() as u16).to_le_bytes());
        for tree in &self.trees {
            bytes.push(tree.questions.len() as u8);
            bytes.extend(tree.questions.iter().flat_map(|&(feature, threshold)| [feature, threshold]));
            bytes.extend(tree.leaves.iter().flat_map(|leaf| leaf.to_le_bytes()));
        }
        bytes
    }

    /// The forest that was stored, or `None` when `bytes` are not one of this version.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let mut next = |count: usize| {
            let (head, tail) = rest.split_at_checked(count)?;
            rest = tail;
            Some(head)
        };
        let base = i32::from_le_bytes(next(4)?.try_into().ok()?);
        let count = u16::from_le_bytes(next(2)?.try_into().ok()?);
        if count > LIMITS.0 || !(-LIMITS.2..=LIMITS.2).contains(&base) {
            return None;
        }
        let mut trees = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let depth = Some(next(1)?[0] as usize).filter(|&depth| depth <= LIMITS.1)?;
            let questions: Vec<(u8, u8)> = next(2 * depth)?.chunks(2).map(|pair| (pair[0], pair[1])).collect();
            if questions.iter().any(|&(feature, _)| feature as usize >= WIDTH) {
                return None;
            }
            let leaves = next(2 << depth)?.chunks(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
            trees.push(Tree { questions, leaves });
        }
        rest.is_empty().then(|| Self::new(base, trees))
    }
}

/// What was learned elsewhere, and what was learned here on top of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// Learned from other traffic, once.
    pub prior: Arc<Prior>,
    /// Learned from this traffic, again and again.
    pub residual: Forest,
}

impl Model {
    /// The model that knows only what the package knows.
    ///
    /// # Panics
    ///
    /// Never: a test reads what is shipped.
    #[must_use]
    pub fn shipped() -> Self {
        Self { prior: Arc::clone(&SHIPPED.0), residual: Forest::default() }
    }

    /// What is to be known of the prior that is part of the package: JSON.
    ///
    /// # Panics
    ///
    /// Never: a test reads what is shipped.
    #[must_use]
    pub fn shipped_metadata() -> &'static str {
        &SHIPPED.1
    }

    /// A model that has learned nothing here.
    #[must_use]
    pub fn new(prior: Prior) -> Self {
        Self { prior: Arc::new(prior), residual: Forest::default() }
    }

    /// Scores of a batch: logarithms of the time until the next access.
    #[inline]
    #[must_use]
    pub fn scores(&self, columns: &Columns) -> [i32; BATCH] {
        let mut scores = self.prior.scores(columns);
        for (score, more) in scores.iter_mut().zip(self.residual.scores(columns)) {
            *score += more;
        }
        scores
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::chance::Chance;
    use crate::features::{Row, columns};

    /// Trees of random questions and answers.
    pub(crate) fn forest(chance: &mut Chance) -> Forest {
        deep(chance, 5)
    }

    /// The same, of so many levels at most.
    fn deep(chance: &mut Chance, most: usize) -> Forest {
        let tree = |chance: &mut Chance| {
            let levels = most - chance.below(2).min(most);
            Tree {
                questions: (0..levels).map(|_| (chance.below(WIDTH) as u8, chance.below(256) as u8)).collect(),
                leaves: (0..1 << levels).map(|_| chance.bits() as i16).collect(),
            }
        };
        Forest::new(17, (0..20).map(|_| tree(chance)).collect())
    }

    /// The score of one row, one question after the other.
    fn score(forest: &Forest, row: &Row) -> i32 {
        let leaf = |tree: &Tree| {
            let bit = |(level, &(feature, threshold)): (usize, &(u8, u8))| {
                usize::from(row[feature as usize] > threshold) << level
            };
            i32::from(tree.leaves[tree.questions.iter().enumerate().map(bit).sum::<usize>()])
        };
        forest.base + forest.trees.iter().map(leaf).sum::<i32>()
    }

    #[test]
    fn a_batch_is_scored_as_its_rows_one_by_one() {
        let mut chance = Chance::new(1);
        for round in 0..90 {
            let forest = deep(&mut chance, round % 9);
            let rows: Vec<Row> = (0..BATCH).map(|_| std::array::from_fn(|_| chance.below(256) as u8)).collect();
            let expected: Vec<i32> = rows.iter().map(|row| score(&forest, row)).collect();
            assert_eq!(forest.scores(&columns(&rows)).to_vec(), expected);
        }
    }

    #[test]
    fn a_stored_forest_is_the_same_and_a_damaged_one_is_refused() {
        let forest = forest(&mut Chance::new(2));
        let bytes = forest.to_bytes();
        assert_eq!(Forest::from_bytes(&bytes).as_ref(), Some(&forest));
        assert_eq!(Forest::from_bytes(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Forest::from_bytes(&bytes[1..]), None);
    }

    #[test]
    fn the_shipped_prior_can_be_read() {
        assert_ne!(*Model::shipped().prior, Prior::default());
    }
}
