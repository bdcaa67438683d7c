//! The guard of the learned policy: shadow caches see a sample of the keys, some run by classical policies and one
//! by the predictor. While a classical policy is ahead by more than chance, the cache follows it. Where hits are worth
//! their weight, a few decide who is ahead, so that nobody is followed or watched. The predictor itself is tried in two
//! manners.
//! Sampled shadows after Waldspurger et al., "Cache modeling and optimization using miniature simulations", ATC 2017.

use crate::access::{Access, Slot};
use crate::following::{EXPERTS, Following};
use crate::history::History;
use crate::lead::Lead;
use crate::learner::Trial;
use crate::manner::{Manner, Objective};
use crate::memory::Memory;
use crate::policy::Setting;
use crate::predictor::Model;
use crate::removed::Removals;
use crate::shadow::{Mirror, Shadow, told};

/// Share of the keys that shadows see, where they are neither too large nor too small.
const SHARE: f64 = 0.25;
/// Entries of a cache that follows somebody, at most: beyond, an expert of its size would take too much time and memory.
const FOLLOWING: u32 = 1 << 20;
/// Entries that a shadow has at most, unless it would have fewer than the second number.
const SHADOW: (f64, f64) = (2048.0, 64.0);
/// Sampled accesses over which leads are summed, in shadow capacities and at least.
const WINDOW: (f32, f32) = (8.0, 2000.0);
/// Sampled accesses before the first decision, in shadow capacities.
const FIRST_DECISION: f32 = 2.0;
/// Sampled hits that wait for the next miss at most; more are not shown to the shadows.
const WAITING: usize = 256;
fn experts(objective: Objective) -> &'static [&'static str] {
    if objective == Objective::Objects { &EXPERTS } else { &[] }
}

struct Noted {
    access: Access,
    slot: Option<Slot>,
}

/// Evidence for and against the predictor, and the decision.
pub struct Guard {
    /// Prints below this, mixed, are those of sampled keys.
    sampled: u64,
    /// Entries of the cache that it was made for.
    entries: u32,
    waiting: Vec<Noted>,
    shadows: Vec<Shadow>,
    mirror: Mirror,
    /// The predictor acted upon in another manner, and what it has won over the predictor.
    rival: (Mirror, Lead),
    following: Following,
    objective: Objective,
    /// Share of a sum that remains after a sampled access.
    keep: f32,
    /// Sampled accesses, all and faded.
    seen: f32,
    window: f32,
    /// Weights asked for, faded; counted where hits are worth their weight.
    weights: f32,
    /// Hits of the predictor's shadow, and what all hits would be, in worth; faded.
    foreseen: f32,
    asked: f32,
    first_decision: f32,
}

impl Memory for Guard {
    fn memory(&self) -> usize {
        self.waiting.memory()
            + self.mirror.memory()
            + self.rival.0.memory()
            + self.shadows.iter().map(Memory::memory).sum::<usize>()
    }
}

impl Guard {
    /// Shadows of a cache of the history's scale, holding its residents.
    pub fn new(setting: &Setting, history: &History) -> Self {
        let entries = f64::from(history.scale.entries);
        let share = SHARE.min(SHADOW.0 / entries).max(SHADOW.1 / entries).min(1.0);
        let capacity = ((setting.capacity as f64 * share).round() as u64).max(1);
        let shadow = Setting { capacity, ..*setting };
        let shadow_entries = (entries * share) as f32;
        let mut guard = Self {
            entries: history.scale.entries,
            sampled: (share * (1u64 << 32) as f64) as u64,
            waiting: Vec::with_capacity(WAITING),
            shadows: experts(setting.objective).iter().map(|name| Shadow::new(name, &shadow)).collect(),
            mirror: Mirror::new(&shadow, setting.objective.manner()),
            rival: (Mirror::new(&shadow, setting.objective.other_manner()), Lead::default()),
            following: Following::default(),
            objective: setting.objective,
            keep: 1.0 - 1.0 / (WINDOW.0 * shadow_entries).max(WINDOW.1),
            seen: 0.0,
            window: 0.0,
            weights: 0.0,
            foreseen: 0.0,
            asked: 0.0,
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
            self.rival.0.fill(&access, line);
            self.shadows.iter_mut().for_each(|shadow| shadow.fill(line, &(), &mut Removals::default()));
        }
    }

    /// Whether it will do for a cache of so many entries: its shadows are of the same weight, and remember.
    pub fn suits(&self, entries: usize) -> bool {
        let made_for = self.entries as usize;
        entries <= 2 * made_for && made_for <= 2 * entries
    }

    fn samples(&self, print: u32) -> bool {
        u64::from(print.wrapping_mul(0x9e37_79b1)) < self.sampled
    }

    /// From now on it sees no access, and so follows nobody.
    pub fn look_away(&mut self) {
        self.sampled = 0;
    }

    /// How to act upon predictions.
    pub fn manner(&self) -> Manner {
        self.mirror.manner()
    }

    /// Which expert to follow, if any.
    pub fn leader(&self) -> Option<&'static str> {
        self.following.leader()
    }

    /// How the predictor, and then each expert that may be followed, does.
    pub fn trials(&self) -> Vec<Trial> {
        let ratio = |hits: f32| (self.asked > 0.0).then(|| (hits / self.asked).clamp(0.0, 1.0));
        let learned = Trial { name: "learned", hit_ratio: ratio(self.foreseen) };
        let expert = |(&name, lead): (_, &Lead)| Trial { name, hit_ratio: ratio(self.foreseen + lead.hits) };
        [learned].into_iter().chain(experts(self.objective).iter().zip(&self.following.leads).map(expert)).collect()
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
            let worth = self.worth(access.weight);
            for (shadow, lead) in self.shadows.iter_mut().zip(&mut self.following.leads) {
                lead.note(shadow.hits(&access, &(), &mut Removals::default()), learned, worth, self.keep);
            }
            let (rival, lead) = &mut self.rival;
            lead.note(rival.hits(&access, line, history, model), learned, worth, self.keep);
            self.following.note(slot.is_some(), learned, worth, self.keep);
            self.foreseen = self.foreseen * self.keep + if learned { worth } else { 0.0 };
            self.asked = self.asked * self.keep + worth;
            self.seen += 1.0;
            self.window = self.window * self.keep + 1.0;
        }
        self.waiting = waiting;
        if self.seen > self.first_decision {
            self.set_manner();
            if self.entries <= FOLLOWING && self.objective == Objective::Objects {
                self.following.decide(self.window);
            }
        }
    }

    /// What a hit of this weight, which is asked for now, is worth: 1 in the mean.
    fn worth(&mut self, weight: u64) -> f32 {
        if self.objective == Objective::Objects {
            return 1.0;
        }
        self.weights = self.weights * self.keep + weight as f32;
        weight as f32 * (self.window * self.keep + 1.0) / self.weights
    }

    /// The predictor changes places with its rival once that is ahead; an error costs little, as both predict.
    fn set_manner(&mut self) {
        let (rival, lead) = &mut self.rival;
        if lead.hits > lead.deviation() {
            std::mem::swap(&mut self.mirror, rival);
            self.following.leads.iter_mut().for_each(|other| other.hits -= lead.hits);
            self.foreseen += lead.hits;
            lead.hits = -lead.hits;
        }
    }
}
