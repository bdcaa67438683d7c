//! The guard of the learned policy: shadow caches see a sample of the keys, some run by classical policies and one
//! by the predictor. While a classical policy is ahead by more than chance, the cache follows it.
//! Sampled shadows after Waldspurger et al., "Cache modeling and optimization using miniature simulations", ATC 2017.

use std::num::NonZeroU64;

use crate::access::{Access, NEVER, Slot, mix};
use crate::chance::Chance;
use crate::chooser::{Chooser, Objective};
use crate::history::{History, Residents};
use crate::line::Line;
use crate::policy::{self, Policy, Setting};
use crate::predictor::Model;
use crate::removed::Removals;
use crate::staleness::Lifetime;
use crate::store::{Accept, Arrival, Store};
use crate::table::{Entry, Table};

/// Who may be followed.
const EXPERTS: [&str; 5] = ["arc", "s3fifo", "tinylfu", "lirs", "lru"];
/// Share of the keys that shadows see, where they are neither too large nor too small.
const SHARE: f64 = 0.25;
/// Entries that a shadow has at most, unless it would have fewer than the second number.
const SHADOW: (f64, f64) = (2048.0, 64.0);
/// Sampled accesses over which leads are summed, in shadow capacities and at least.
const WINDOW: (f32, f32) = (8.0, 2000.0);
/// Sampled accesses before the first decision, in shadow capacities.
const FIRST_DECISION: f32 = 2.0;
/// A lead is real above this share of the window and this many standard deviations of a fair game.
const MARGIN: f32 = 0.01;
const DEVIATIONS: f32 = 3.0;
/// Sampled hits that wait for the next miss at most; more are not shown to the shadows.
const WAITING: usize = 256;
/// Hits of a resident that an expert is told of when it takes over.
const TOLD_HITS: u16 = 2;

/// What an expert has won over the predictor: sums that fade.
#[derive(Clone, Copy, Default)]
struct Lead {
    /// Hits more, or weight of hits.
    hits: f32,
    /// Accesses that only one of them hit.
    disagreements: f32,
}

impl Lead {
    fn note(&mut self, expert: bool, learned: bool, worth: f32, keep: f32) {
        let difference = worth * f32::from(i8::from(expert) - i8::from(learned));
        self.hits = self.hits * keep + difference;
        self.disagreements = self.disagreements * keep + difference * difference;
    }

    fn deviation(&self) -> f32 {
        self.disagreements.sqrt()
    }
}

struct Noted {
    access: Access,
    slot: Option<Slot>,
}

/// Evidence for and against the predictor, and the decision.
pub struct Guard {
    sampled: u32,
    waiting: Vec<Noted>,
    shadows: Vec<Store<(), ()>>,
    mirror: Mirror,
    leads: [Lead; EXPERTS.len()],
    leader: Option<usize>,
    objective: Objective,
    /// Share of a sum that remains after a sampled access.
    keep: f32,
    /// Sampled accesses, all and faded.
    seen: f32,
    window: f32,
    first_decision: f32,
}

/// An access as experts see it: all that lines remember of an id is its print.
pub fn told(print: u32, weight: u64) -> Access {
    Access { id: mix(u64::from(print)), tick: 0, weight, next: NEVER }
}

impl Guard {
    /// Shadows of a cache of the history's scale, holding its residents.
    pub fn new(setting: &Setting, objective: Objective, history: &History) -> Self {
        let entries = f64::from(history.scale.entries);
        let share = SHARE.min(SHADOW.0 / entries).max(SHADOW.1 / entries).min(1.0);
        let capacity = ((setting.capacity as f64 * share).round() as u64).max(1);
        let shadow = Setting { capacity, seed: setting.seed };
        let build = |name: &&str| Store::build(name, &shadow, None).expect("experts need no oracle");
        let shadow_entries = (entries * share) as f32;
        let mut guard = Self {
            sampled: (share * f64::from(u32::MAX)) as u32,
            waiting: Vec::with_capacity(WAITING),
            shadows: EXPERTS.iter().map(build).collect(),
            mirror: Mirror::new(&shadow, objective),
            leads: Default::default(),
            leader: None,
            objective,
            keep: 1.0 - 1.0 / (WINDOW.0 * shadow_entries).max(WINDOW.1),
            seen: 0.0,
            window: 0.0,
            first_decision: FIRST_DECISION * shadow_entries,
        };
        guard.fill(history);
        guard
    }

    /// Shows all shadows the sampled residents, in the order of their last access.
    fn fill(&mut self, history: &History) {
        for slot in history.residents.by_age(history.now, |line| self.samples(line.print)) {
            let line = history.residents.at(slot);
            let access = told(line.print, line.weight());
            self.mirror.fill(&access, line);
            for shadow in &mut self.shadows {
                (0..=TOLD_HITS.min(line.accesses - 1)).for_each(|_| _ = hits(shadow, &access));
            }
        }
    }

    fn samples(&self, print: u32) -> bool {
        print.wrapping_mul(0x9e37_79b1) <= self.sampled
    }

    /// Which expert to follow, if any.
    pub fn leader(&self) -> Option<usize> {
        self.leader
    }

    /// Notes an access, if its key is a sampled one; little work, so that hits stay cheap.
    #[inline]
    pub fn note(&mut self, print: u32, weight: u64, slot: Option<Slot>) {
        if self.samples(print) && (self.waiting.len() < WAITING || slot.is_none()) {
            self.waiting.push(Noted { access: told(print, weight), slot });
        }
    }

    /// Shows the shadows what was noted, and decides.
    pub fn judge(&mut self, history: &History, model: &Model) {
        let mut waiting = std::mem::take(&mut self.waiting);
        for Noted { access, slot } in waiting.drain(..) {
            let line = slot.map_or(&history.incoming, |slot| history.residents.at(slot));
            if line.is_vacant() || told(line.print, access.weight) != access {
                continue; // it has left since
            }
            let learned = self.mirror.hits(&access, line, history, model);
            let worth = match self.objective {
                Objective::Objects => 1.0,
                Objective::Bytes => access.weight as f32 / self.mirror.mean_weight(),
            };
            for (shadow, lead) in self.shadows.iter_mut().zip(&mut self.leads) {
                lead.note(hits(shadow, &access), learned, worth, self.keep);
            }
            self.seen += 1.0;
            self.window = self.window * self.keep + 1.0;
        }
        self.waiting = waiting;
        if self.seen > self.first_decision {
            self.decide();
        }
    }

    /// Follows the best once its lead over whoever decides now is real; returns when the leader is behind.
    fn decide(&mut self) {
        let by_hits = |&a: &usize, &b: &usize| self.leads[a].hits.total_cmp(&self.leads[b].hits);
        let best = (0..EXPERTS.len()).max_by(by_hits).expect("there are experts");
        let current = self.leader.map_or(Lead::default(), |leader| self.leads[leader]);
        let real = MARGIN * self.window + DEVIATIONS * self.leads[best].deviation();
        if self.leads[best].hits - current.hits > real {
            self.leader = Some(best);
        } else if current.hits < 0.0 {
            self.leader = None;
        }
    }

    /// The expert to follow, told of the residents in the order of their last access.
    pub fn hire(expert: usize, setting: &Setting, history: &History) -> Box<dyn Policy> {
        let mut hired = (policy::known(EXPERTS[expert]).expect("experts are known").build)(setting);
        for slot in history.residents.by_age(history.now, |_| true) {
            let line = history.residents.at(slot);
            let access = told(line.print, line.weight());
            hired.miss(&access);
            hired.insert(slot, &access);
            (0..TOLD_HITS.min(line.accesses - 1)).for_each(|_| hired.hit(slot, &access));
        }
        hired
    }
}

/// Whether a shadow hits; it holds the key, or has turned it away, afterwards.
fn hits(shadow: &mut Store<(), ()>, access: &Access) -> bool {
    let hit = shadow.get(access.id, 0, Accept::Fresh, |()| true).is_some();
    if !hit {
        let Access { id, weight, .. } = *access;
        let weight = NonZeroU64::new(weight).unwrap_or(NonZeroU64::MIN);
        let lifetime = Lifetime::IMMORTAL;
        let arrival = Arrival { id, key: (), value: (), weight, lifetime, tags: Box::default() };
        shadow.put(arrival, 0, |()| true, &mut Removals::default());
    }
    hit
}

/// The shadow that the predictor runs. Its lines are copies of the cache's, which knows at least as much.
struct Mirror {
    table: Table<(), u64>,
    residents: Residents,
    chooser: Chooser,
    chance: Chance,
    used: u64,
    capacity: u64,
}

impl Mirror {
    fn new(setting: &Setting, objective: Objective) -> Self {
        Self {
            table: Table::default(),
            residents: Residents::default(),
            chooser: Chooser::new(objective),
            chance: Chance::new(setting.seed ^ 1),
            used: 0,
            capacity: setting.capacity,
        }
    }

    fn mean_weight(&self) -> f32 {
        self.used as f32 / self.residents.len().max(1) as f32
    }

    fn fill(&mut self, access: &Access, line: &Line) {
        if self.used + access.weight <= self.capacity {
            self.insert(access, line);
        }
    }

    fn hits(&mut self, access: &Access, line: &Line, history: &History, model: &Model) -> bool {
        if let Some(slot) = self.table.find(access.id, |()| true) {
            *self.residents.at_mut(slot) = *line;
            return true;
        }
        while access.weight <= self.capacity && self.used + access.weight > self.capacity {
            let spare = self.chooser.spare(&self.residents);
            let Self { residents, chooser, chance, .. } = self;
            let Some(slot) = spare.or_else(|| chooser.choose(residents, line, history, model, chance).0) else {
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
