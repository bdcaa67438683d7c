//! What can be wrong with a request to the core.

use std::fmt;

use crate::policy::POLICIES;

/// Every error of the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No policy has this name.
    UnknownPolicy(String),
    /// A capacity of zero holds nothing.
    ZeroCapacity,
    /// Fewer units of capacity than shards.
    TooManyShards {
        /// Shards asked for.
        shards: usize,
        /// Capacity to divide among them.
        capacity: u64,
    },
    /// The policy predicts nothing, so that it can use no model.
    PredictsNothing,
    /// A policy that needs the future was given none.
    OracleMissing,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPolicy(name) => {
                let known: Vec<&str> = POLICIES.iter().map(|known| known.name).collect();
                write!(f, "unknown policy '{name}'; known: {}", known.join(", "))
            }
            Self::ZeroCapacity => write!(f, "capacity is 0; expected at least 1"),
            Self::TooManyShards { shards, capacity } => write!(
                f,
                "{shards} shards cannot divide a capacity of {capacity}; expected between 1 shard and {capacity}"
            ),
            Self::PredictsNothing => {
                write!(f, "the policy predicts nothing, so that it uses no model; expected 'learned'")
            }
            Self::OracleMissing => write!(
                f,
                "policy 'min' needs the next access of every access and works offline only; \
                 use it in simulate(), or choose another policy"
            ),
        }
    }
}

impl std::error::Error for Error {}
