//! Shadow caches, which hold keys only: those that classical policies run, and one that the predictor runs.

use std::num::NonZeroU64;

use crate::access::{Access, NEVER, mix};
use crate::chance::Chance;
use crate::chooser::Chooser;
use crate::context::NO_CONTEXT;
use crate::history::History;
use crate::line::Line;
use crate::manner::Manner;
use crate::memory::count_memory;
use crate::policy::Setting;
use crate::predictor::Model;
use crate::removed::Removals;
use crate::residents::Residents;
use crate::staleness::Lifetime;
use crate::store::{Accept, Arrival, Store};
use crate::table::{Entry, Table};

/// Hits of a resident that a shadow is told of when it is shown the residents.
const TOLD_HITS: u16 = 2;

/// An access as experts see it: all that lines remember of an id is its print.
pub fn told(print: u32, weight: u64) -> Access {
    Access { id: mix(u64::from(print)), tick: 0, weight, next: NEVER, context: NO_CONTEXT }
}

/// What a classical policy would hold; with each key a value.
pub struct Shadow<V = ()>(Store<(), V>);

count_memory!(Shadow<V> [V]: 0);

impl<V: Clone> Shadow<V> {
    /// An empty one, of a policy that needs no oracle.
    pub fn new(policy: &str, setting: &Setting) -> Self {
        Self(Store::build(policy, setting, None).expect("experts need no oracle"))
    }

    /// Shows it a resident, as often as that was used.
    pub fn fill(&mut self, line: &Line, value: &V, left: &mut Removals<(), V>) {
        let access = told(line.print, line.weight());
        (0..=TOLD_HITS.min(line.accesses - 1)).for_each(|_| _ = self.hits(&access, value, left));
    }

    /// Whether it hits; it holds the key, with the value if that is new, or has turned it away, afterwards.
    pub fn hits(&mut self, access: &Access, value: &V, left: &mut Removals<(), V>) -> bool {
        let hit = self.0.get(access.id, 0, Accept::Fresh, |()| true).is_some();
        if !hit {
            let Access { id, weight, .. } = *access;
            let weight = NonZeroU64::new(weight).unwrap_or(NonZeroU64::MIN);
            let lifetime = Lifetime::IMMORTAL;
            let value = value.clone();
            let arrival = Arrival { id, key: (), value, weight, lifetime, tags: Box::default(), context: NO_CONTEXT };
            self.0.put(arrival, 0, |()| true, left);
        }
        hit
    }

    /// What it holds with the key of a line, if it holds that.
    pub fn holds(&self, line: &Line) -> Option<&V> {
        self.0.peek(told(line.print, 1).id, 0, |()| true).map(|found| found.value)
    }
}

/// The shadow that the predictor runs. Its lines are copies of the cache's, which knows at least as much.
pub struct Mirror {
    table: Table<(), u64>,
    residents: Residents,
    chooser: Chooser,
    chance: Chance,
    used: u64,
    capacity: u64,
}

count_memory!(Mirror []: table, residents);

impl Mirror {
    /// An empty one.
    pub fn new(setting: &Setting, manner: Manner) -> Self {
        Self {
            table: Table::default(),
            residents: Residents::default(),
            chooser: Chooser::new(manner),
            chance: Chance::new(setting.seed ^ 1),
            used: 0,
            capacity: setting.capacity,
        }
    }

    /// How predictions are acted upon here.
    pub fn manner(&self) -> Manner {
        self.chooser.manner()
    }

    /// Shows it a key, which it holds if there is room.
    pub fn fill(&mut self, access: &Access, line: &Line) {
        if self.used + access.weight <= self.capacity {
            self.insert(access, line);
        }
    }

    /// Whether it hits; it holds the key, or has turned it away, afterwards.
    pub fn hits(&mut self, access: &Access, line: &Line, history: &History, model: &Model) -> bool {
        if let Some(slot) = self.table.find(access.id, |()| true) {
            *self.residents.at_mut(slot) = *line;
            return true;
        }
        while access.weight <= self.capacity && self.used + access.weight > self.capacity {
            let spare = self.chooser.spare(&self.residents);
            let Self { residents, chooser, chance, .. } = self;
            let Some(slot) = spare.or_else(|| chooser.choose(residents, line, history, model, chance, |_| true).0)
            else {
                return false;
            };
            self.residents.take(slot);
            self.used -= self.table.take(slot).value;
        }
        self.fill(access, line);
        false
    }

    fn insert(&mut self, access: &Access, line: &Line) {
        self.used += access.weight;
        let slot = self.table.insert(Entry { id: access.id, key: (), value: access.weight });
        self.residents.insert(slot, *line);
        self.chooser.insert(slot);
    }
}
