//! A batch: samples, and what became of them.

use std::sync::Arc;

use crate::context::Context;
use crate::features::Row;
use crate::predictor::Model;

/// How a sample ended, or stands.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Time from the sample to the next access, or to the present.
    pub time: u32,
    /// Whether there was a next access.
    pub returned: bool,
}

/// A copy of all there is to learn from; whoever holds it may take his time.
pub struct Batch {
    /// Features.
    pub rows: Vec<Row>,
    /// The contexts of their keys.
    pub contexts: Vec<Context>,
    /// What became of them.
    pub outcomes: Vec<Outcome>,
    /// Which of them were in no batch before.
    pub unseen: Vec<u32>,
    /// The capacity in entries.
    pub entries: u32,
    /// The model in use.
    pub model: Arc<Model>,
    /// Seed of the random choices of learning.
    pub seed: u64,
    /// Whether the model is asked about keys that have not returned.
    pub imputes: bool,
}
