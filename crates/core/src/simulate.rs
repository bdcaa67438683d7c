//! Replays a trace through a [`Store`]: the code that runs live, without values.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;

use crate::access::{NEVER, Tick, mix};
use crate::context::{Context, NO_CONTEXT};
use crate::diary::Student;
use crate::error::Error;
use crate::policy::Setting;
use crate::removed::Removals;
use crate::staleness::Lifetime;
use crate::store::{Accept, Arrival, Store};

/// Ids are mixed already; hashing them again would be work for nothing.
#[derive(Default)]
pub struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only ids are hashed");
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

/// A map from ids.
pub type IdMap<V> = HashMap<u64, V, BuildHasherDefault<Identity>>;

/// Accesses in order: the columns of a trace that decide hits.
pub struct Accesses {
    ids: Vec<u64>,
    sizes: Option<Vec<u64>>,
    contexts: Option<Vec<Context>>,
    next: Arc<[Tick]>,
    unique: usize,
    unique_bytes: u64,
}

impl Accesses {
    /// Takes the keys of a trace, and the size in bytes of each access where it is known.
    ///
    /// # Panics
    /// When the two columns differ in length.
    #[must_use]
    pub fn new(mut keys: Vec<u64>, sizes: Option<Vec<u64>>) -> Self {
        assert!(sizes.as_ref().is_none_or(|sizes| sizes.len() == keys.len()), "columns of one length");
        for key in &mut keys {
            *key = mix(*key);
        }
        let mut next = vec![NEVER; keys.len()];
        let mut later: IdMap<usize> = IdMap::default();
        for (at, id) in keys.iter().enumerate().rev() {
            if let Some(access) = later.insert(*id, at) {
                next[at] = access as Tick;
            }
        }
        let size = |at: usize| sizes.as_ref().map_or(1, |sizes| sizes[at]);
        let unique_bytes = later.values().map(|&first| size(first)).sum();
        Self { unique: later.len(), unique_bytes, ids: keys, sizes, contexts: None, next: next.into() }
    }

    /// The same, knowing the context of each access.
    ///
    /// # Panics
    /// When there is not one for each access.
    #[must_use]
    pub fn with_contexts(self, contexts: Vec<Context>) -> Self {
        assert!(contexts.len() == self.len(), "columns of one length");
        Self { contexts: Some(contexts), ..self }
    }

    /// Number of accesses.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Number of distinct keys.
    #[must_use]
    pub fn unique(&self) -> usize {
        self.unique
    }

    /// Bytes of the distinct keys, each at its first size.
    #[must_use]
    pub fn unique_bytes(&self) -> u64 {
        self.unique_bytes
    }

    /// For each access the position of the next one to the same key, or [`NEVER`].
    #[must_use]
    pub fn next(&self) -> &[Tick] {
        &self.next
    }

    fn context(&self, at: usize) -> Context {
        self.contexts.as_ref().map_or(NO_CONTEXT, |contexts| contexts[at])
    }

    pub(crate) fn size(&self, at: usize) -> u64 {
        self.sizes.as_ref().map_or(1, |sizes| sizes[at])
    }
}

/// What an entry weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Every entry 1.
    Unit,
    /// Its size in bytes.
    Size,
}

/// What a replay counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accesses replayed.
    pub accesses: u64,
    /// Those that hit.
    pub hits: u64,
    /// Bytes asked for.
    pub bytes: u64,
    /// Bytes of the hits.
    pub hit_bytes: u64,
}

/// One policy at one capacity over one trace; it can be run in steps.
pub struct Simulation {
    store: Store<(), ()>,
    accesses: Arc<Accesses>,
    weights: Weights,
    counts: Counts,
    removed: Removals<(), ()>,
}

impl Simulation {
    /// An empty cache at the start of the trace.
    ///
    /// # Errors
    /// Unknown policy, or a capacity of 0.
    pub fn new(accesses: Arc<Accesses>, name: &str, setting: &Setting, weights: Weights) -> Result<Self, Error> {
        let store = Store::build(name, setting, Some(Arc::clone(&accesses.next)))?;
        Ok(Self { store, accesses, weights, counts: Counts::default(), removed: Removals::default() })
    }

    /// The policy as one that predicts.
    ///
    /// # Errors
    /// It predicts nothing.
    pub fn student(&mut self) -> Result<&mut dyn Student, Error> {
        self.store.student()
    }

    /// Replays the next `steps` accesses, or those that are left, and returns the counts so far.
    pub fn run(&mut self, steps: usize) -> Counts {
        self.replay(steps, |_| ())
    }

    /// The same, and tells for each access whether it hit.
    pub fn hits(&mut self, steps: usize) -> Vec<bool> {
        let mut hits = Vec::with_capacity(steps.min(self.accesses.len()));
        self.replay(steps, |hit| hits.push(hit));
        hits
    }

    fn replay(&mut self, steps: usize, mut told: impl FnMut(bool)) -> Counts {
        let start = self.counts.accesses as usize;
        let range: Range<usize> = start..start.saturating_add(steps).min(self.accesses.len());
        let accesses = Arc::clone(&self.accesses);
        for at in range.clone() {
            let (id, size, context) = (accesses.ids[at], accesses.size(at), accesses.context(at));
            let hit = self.store.get(id, 0, Accept::Fresh, |()| true).is_some();
            if hit {
                self.counts.hits += 1;
                self.counts.hit_bytes += size;
            } else {
                self.store.put(self.arrival(id, size, context), 0, |()| true, &mut self.removed);
                self.removed.clear();
            }
            self.counts.bytes += size;
            told(hit);
        }
        self.counts.accesses += range.len() as u64;
        self.counts
    }

    fn arrival(&self, id: u64, size: u64, context: Context) -> Arrival<(), ()> {
        let weight = match self.weights {
            Weights::Unit => NonZeroU64::MIN,
            Weights::Size => NonZeroU64::new(size).unwrap_or(NonZeroU64::MIN),
        };
        Arrival { id, key: (), value: (), weight, lifetime: Lifetime::IMMORTAL, tags: Box::default(), context }
    }
}
