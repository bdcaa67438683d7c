//! Counts of what a store did, and the ratios made from them.

/// Why an entry left, or never entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The policy gave it up for another.
    Evicted,
    /// It was too old to serve.
    Expired,
    /// Somebody deleted it, its tag, or everything.
    Invalidated,
    /// A newer value took its place.
    Replaced,
    /// It was not admitted: the policy preferred what it has, or it weighs more than the whole cache.
    Rejected,
}

impl Cause {
    /// All causes, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Evicted, Self::Expired, Self::Invalidated, Self::Replaced, Self::Rejected];

    /// The word users see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Evicted => "evicted",
            Self::Expired => "expired",
            Self::Invalidated => "invalidated",
            Self::Replaced => "replaced",
            Self::Rejected => "rejected",
        }
    }
}

/// What happened since the store was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lookups answered with a fresh value.
    pub hits: u64,
    /// Lookups answered with a stale value.
    pub stale: u64,
    /// Lookups not answered.
    pub misses: u64,
    /// Entries that left or never entered, by [`Cause`].
    pub removed: [u64; 5],
}

impl Stats {
    /// Counts one removal.
    pub fn count(&mut self, cause: Cause) {
        self.removed[cause as usize] += 1;
    }

    /// Sums the counts of two stores.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.hits += other.hits;
        self.stale += other.stale;
        self.misses += other.misses;
        for (mine, others) in self.removed.iter_mut().zip(other.removed) {
            *mine += others;
        }
        self
    }
}
