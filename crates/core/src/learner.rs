//! What a policy that learns tells of itself to whoever looks; looking changes nothing.

use std::time::Duration;

use crate::access::Slot;
use crate::features::Row;
use crate::quality::Quality;
use crate::school::Lesson;

/// What is believed of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Whether it is in the cache, or only remembered.
    pub resident: bool,
    /// Accesses to other keys since its last.
    pub age: u32,
    /// Predicted time from now until its next access, in capacities.
    pub reuse: f32,
    /// The capacity in entries, which turns capacities into accesses.
    pub entries: u32,
    /// What candidates are compared by, in octaves: the highest leaves.
    pub score: f32,
    /// What the prediction is made of.
    pub row: Row,
}

/// Hits of a shadow cache that runs one policy on a sample of the keys; sums that fade.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Name of the policy.
    pub name: &'static str,
    /// Its hits, or weight of hits, per access or weight; `None` before the first.
    pub hit_ratio: Option<f32>,
}

/// The state of learning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learning {
    /// The policy that is followed; `None` while the predictor decides.
    pub leader: Option<&'static str>,
    /// Every policy that may be followed and, first, the predictor.
    pub trials: Vec<Trial>,
    /// Samples taken.
    pub samples: usize,
    /// Models learned, other than the first.
    pub fits: u64,
    /// Times nothing came of it.
    pub failures: u64,
    /// Time spent on learning them.
    pub worked: Duration,
    /// Trees that the package brought, and trees learned here.
    pub trees: (usize, usize),
    /// Bytes kept for learning.
    pub memory: usize,
    /// How good the last model but one was.
    pub quality: Quality,
}

/// A policy that learns, for whoever wants to know what.
pub trait Learner {
    /// What is believed of the key of `id`, which is in `slot` if it is resident; `None` of unknown keys.
    fn explain(&self, id: u64, slot: Option<Slot>) -> Option<Explanation>;

    /// When it learned so far, other than on the spot.
    fn timetable(&self) -> &[Lesson];

    /// How far learning has come.
    fn learning(&self) -> Learning;

    /// What was learned here, as a model file that names the prior it corrects; `None` while that is nothing, and
    /// where the prior itself goes on learning.
    fn lore(&self) -> Option<Vec<u8>>;
}
