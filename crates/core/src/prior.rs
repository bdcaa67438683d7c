//! The prior: what was learned beforehand, in one of several forms that are asked alike.

use crate::features::{BATCH, Columns};
use crate::network::Network;
use crate::predictor::Forest;
use crate::trees::Trees;

/// Scores stay within so many octaves of zero, so that sums of them never overflow.
const FARTHEST: f32 = 4096.0;

/// A predictor that does not change.
#[derive(Clone, Debug, PartialEq)]
pub enum Prior {
    /// Oblivious trees: the fastest to ask.
    Forest(Forest),
    /// Binary trees of any shape.
    Trees(Trees),
    /// A multilayer perceptron.
    Network(Network),
}

impl Prior {
    /// Scores of a batch: logarithms of the time until the next access.
    #[inline]
    #[must_use]
    pub fn scores(&self, columns: &Columns) -> [i32; BATCH] {
        match self {
            Self::Forest(forest) => forest.scores(columns),
            Self::Trees(trees) => trees.scores(columns),
            Self::Network(network) => network.scores(columns),
        }
    }

    /// Name of the form.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Forest(_) => "forest",
            Self::Trees(_) => "trees",
            Self::Network(_) => "network",
        }
    }

    /// Number of its trees.
    #[must_use]
    pub fn trees(&self) -> usize {
        match self {
            Self::Forest(forest) => forest.trees.len(),
            Self::Trees(trees) => trees.roots().len(),
            Self::Network(_) => 0,
        }
    }
}

impl Default for Prior {
    fn default() -> Self {
        Self::Forest(Forest::default())
    }
}

impl From<Forest> for Prior {
    fn from(forest: Forest) -> Self {
        Self::Forest(forest)
    }
}

impl From<Network> for Prior {
    fn from(network: Network) -> Self {
        Self::Network(network)
    }
}

/// Scores from octaves.
#[inline]
pub(crate) fn rounded(octaves: [f32; BATCH]) -> [i32; BATCH] {
    octaves.map(|octaves| (octaves.clamp(-FARTHEST, FARTHEST) * crate::predictor::SCORE_ONE).round() as i32)
}
