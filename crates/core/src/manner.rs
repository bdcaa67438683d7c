//! `Manner`: how predictions are acted upon, and `Objective`: to what end.

use crate::line::Line;

/// What is to be as large as possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// The number of hits: an entry costs its weight for as long as it waits.
    Objects,
    /// The weight of hits: what an entry costs and what it brings grow alike.
    Bytes,
}

/// How much of a weight's logarithm counts, of 256. Not all: waits differ more than predictions of them do, which
/// keep to the middle where they cannot tell, while weights are known.
const PRICE: i32 = 128;
/// The same where hits are to weigh much; see [`Objective::other_manner`].
const DOUBTED: i32 = 100;

/// How predictions are acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// What weighing more adds to a score: so much of the weight's logarithm, of 256.
    pub price: i32,
    /// Whether the runner-up leaves unasked only if it was expected after the newcomer of its batch, or hardly before.
    pub is_strict: bool,
}

impl Manner {
    /// What is added for the weight of an entry.
    #[inline]
    pub fn cost(self, line: &Line) -> i32 {
        line.log_weight() * self.price / 256
    }
}

impl Objective {
    /// The manner to begin with. Where hits are to weigh much, a newcomer may cost many residents, so it is strict.
    pub fn manner(self) -> Manner {
        match self {
            Self::Objects => Manner { price: PRICE, is_strict: false },
            Self::Bytes => Manner { price: DOUBTED, is_strict: true },
        }
    }

    /// The manner to try beside it. A hit of weight is worth its weight, so that none should count; but where
    /// predictions are poor, light entries bring more than heavy ones all the same, which only a trial can tell.
    /// Where all hits are worth the same, it is being strict.
    pub fn other_manner(self) -> Manner {
        match self {
            Self::Objects => Manner { is_strict: true, ..self.manner() },
            Self::Bytes => Manner { price: 0, ..self.manner() },
        }
    }
}
