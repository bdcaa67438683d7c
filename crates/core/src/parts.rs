//! The parts of the learned policy that an experiment may leave out, to see what each of them brings.

/// A part that the policy can do without. The prior is none: an empty one takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Learning online: without it, the prior alone predicts.
    Training,
    /// Believing the model about keys that have not returned: without it, they are taken to wait half as long again.
    Imputation,
    /// Remembering keys that were evicted: without it, each returns as an unknown one.
    Ghosts,
    /// Following a classical policy where it does better.
    Guard,
}

/// Every part, by name.
pub const PARTS: [(&str, Part); 4] =
    [("training", Part::Training), ("imputation", Part::Imputation), ("ghosts", Part::Ghosts), ("guard", Part::Guard)];
