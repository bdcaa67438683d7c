//! Learned: evicts the candidate predicted to be needed last, by trees that learn while the cache serves; where a
//! classical policy does better, follows that one for as long as it does.
//! After Song et al., "Learning relaxed Belady for content distribution network caching", NSDI 2020, and
//! Zhou et al., "3L-Cache: low overhead and precise learning-based eviction policy for caches", FAST 2025.

use std::sync::Arc;

use super::{Policy, Setting};
use crate::access::{Access, Slot};
use crate::backlog::{Backlog, Hit};
use crate::chance::Chance;
use crate::chooser::{Candidates, Chooser};
use crate::context::Habits;
use crate::diary::{Diary, Noted, Student};
use crate::expert::Expert;
use crate::features::{BATCH, Row, row};
use crate::guard::Guard;
use crate::history::History;
use crate::learner::Learner;
use crate::line::{Line, Time, print};
use crate::memory::count_memory;
use crate::predictor::Model;
use crate::quality::{Quality, judge};
use crate::school::School;
use crate::trainer::{Batch, Trainer, fit};

mod insight;
mod student;

/// Share of samples after which a ghost is sampled too: what returns after eviction must have been seen as such.
const GHOST_SAMPLES: f64 = 0.1;
/// Capacities up to this are first taken to be so many entries of weight 1.
const PREPARED: u64 = 1 << 17;
/// Larger caches are first taken to hold so many entries; doubled until they are full.
const FIRST_SIZE: usize = 1024;
/// How far the number of residents may be from what it was, as one part in so many, before all is rescaled.
const TOLERANCE: usize = 4;
/// And at least by so many.
const TOLERATED: usize = 64;

/// What comes of a batch.
struct Fitted {
    model: Model,
    habits: Habits,
    quality: Quality,
}

impl Fitted {
    fn to(batch: &Batch) -> Self {
        let (model, habits) = fit(batch);
        Self { model, habits, quality: judge(batch) }
    }
}

pub struct Learned {
    setting: Setting,
    /// Hits that all else does not know of yet.
    backlog: Backlog,
    history: History,
    trainer: Trainer,
    school: School<Fitted>,
    model: Arc<Model>,
    /// Of the model before.
    quality: Quality,
    fits: u64,
    chooser: Chooser,
    chance: Chance,
    /// From the start, or in large caches from the first eviction on.
    guard: Option<Guard>,
    is_guarded: bool,
    /// What the expert that is followed would hold.
    expert: Option<Expert>,
    diary: Option<Diary>,
}

count_memory!(Learned []: history, trainer, school, guard, expert);

impl Learned {
    pub fn new(setting: &Setting, model: Model) -> Self {
        let is_prepared = setting.capacity <= PREPARED;
        let history = History::new(if is_prepared { setting.capacity as usize } else { FIRST_SIZE });
        Self {
            setting: *setting,
            backlog: Backlog::default(),
            guard: is_prepared.then(|| Guard::new(setting, &history)),
            is_guarded: true,
            history,
            trainer: Trainer::new(setting.seed),
            school: School::default(),
            model: Arc::new(model),
            quality: Quality::default(),
            fits: 0,
            chooser: Chooser::new(setting.objective.manner()),
            chance: Chance::new(setting.seed),
            expert: None,
            diary: None,
        }
    }

    /// Takes note of the hits so far, which whatever reads the history has to know of.
    #[inline]
    fn catch_up(&mut self) {
        if !self.backlog.is_empty() {
            self.note_hits();
        }
    }

    #[inline(never)]
    fn note_hits(&mut self) {
        for at in 0..self.backlog.len() {
            let Hit { slot, weight } = self.backlog.at(at);
            let line = self.history.hit(slot);
            let print = line.print;
            if line.sample != 0 {
                self.trainer.close(line, line.last);
            }
            if let Some(expert) = &mut self.expert {
                expert.note(print, weight);
            }
            if let Some(guard) = &mut self.guard {
                guard.note(print, weight, Some(slot));
            }
        }
        self.backlog.clear();
    }

    /// Shows a miss to the guard, and follows its advice.
    fn observe(&mut self, print: u32, weight: u64) {
        let Some(guard) = &mut self.guard else { return };
        guard.note(print, weight, None);
        let before = guard.leader();
        guard.judge(&self.history, &self.model);
        self.chooser.set_manner(guard.manner());
        if guard.leader() != before {
            self.expert = guard.leader().map(|name| Expert::new(name, &self.setting, &self.history));
        }
    }

    /// Adapts to the number of residents when the cache is full.
    fn settle(&mut self) {
        let (now, before) = (self.history.residents.len(), self.history.scale.entries as usize);
        if self.guard.is_none() || now.abs_diff(before) > (before / TOLERANCE).max(TOLERATED) {
            self.history.resize(now);
            if self.guard.as_ref().is_none_or(|guard| !guard.suits(now)) {
                self.set_guard();
                self.expert = None;
            }
        }
    }

    fn set_guard(&mut self) {
        let mut guard = Guard::new(&self.setting, &self.history);
        if !self.is_guarded {
            guard.look_away();
        }
        self.guard = Some(guard);
    }

    /// The predictor's choice, of what the expert would not hold if there is one; a sample is taken.
    fn choose(&mut self) -> Option<Slot> {
        let History { residents, incoming, .. } = &self.history;
        let expert = self.expert.as_ref();
        let wanted = |line: &Line| expert.is_some_and(|expert| expert.holds(line));
        let (victim, candidates) =
            self.chooser.choose(residents, incoming, &self.history, &self.model, &mut self.chance, wanted);
        let share = self.trainer.share(self.history.scale.entries, self.history.traffic.miss_ratio());
        if self.chance.draw() < share {
            self.sample(&candidates);
        }
        self.chooser.look_ahead(&self.history, &self.chance);
        victim
    }

    fn note(&mut self, row: Row, last: Time) {
        if let Some(diary) = &mut self.diary {
            diary.note(Noted { row, now: self.history.now, last, entries: self.history.scale.entries });
        }
    }

    fn sample(&mut self, candidates: &Candidates) {
        let now = self.history.now;
        let at = self.chance.below(BATCH);
        let line = match candidates.slots.get(at) {
            Some(&slot) => self.history.residents.at_mut(slot),
            None => &mut self.history.incoming,
        };
        let last = line.last;
        let row = row(&candidates.columns, at);
        self.trainer.sample(line, row, now);
        self.note(row, last);
        if self.chance.draw() < GHOST_SAMPLES
            && let Some(mut ghost) = self.history.draw_ghost(&mut self.chance)
        {
            let row = self.history.view().row(&ghost);
            self.trainer.sample(&mut ghost, row, now);
            self.history.set_ghost(ghost);
            self.note(row, ghost.last);
        }
        self.learn();
    }

    /// Takes over what was learned, and has more learned when it is time.
    fn learn(&mut self) {
        if let Some(fitted) = self.school.turn() {
            self.install(fitted);
        } else if self.trainer.is_due() && self.school.is_free() {
            let History { now, scale, contexts, .. } = &self.history;
            let batch = self.trainer.take_batch(*now, scale.entries, &self.model, contexts.habits());
            if let Some(fitted) = batch.and_then(|batch| self.school.teach(move || Fitted::to(&batch))) {
                self.install(fitted);
            }
        }
    }

    fn install(&mut self, fitted: Fitted) {
        self.model = Arc::new(fitted.model);
        self.history.contexts.install(fitted.habits);
        self.quality = fitted.quality;
        self.fits += 1;
    }
}

impl Policy for Learned {
    fn miss(&mut self, access: &Access) {
        self.catch_up();
        let line = self.history.miss(access.id, access.weight, access.context);
        let Line { print, sample, .. } = *line;
        if sample != 0 {
            self.trainer.close(&mut self.history.incoming, self.history.now);
        }
        self.observe(print, access.weight);
        if let Some(expert) = &mut self.expert {
            expert.note(print, access.weight);
        }
    }

    fn insert(&mut self, slot: Slot, _access: &Access) {
        self.history.insert(slot);
        self.chooser.insert(slot);
        if let Some(expert) = &mut self.expert {
            expert.place(self.history.residents.at(slot), slot);
        }
        if self.guard.is_none() && self.history.residents.len() > self.history.scale.entries as usize {
            self.history.widen(2 * self.history.residents.len());
        }
    }

    #[inline(always)]
    fn hit(&mut self, slot: Slot, access: &Access) {
        self.history.residents.expect(slot);
        if self.backlog.add(Hit { slot, weight: access.weight }) {
            self.note_hits();
        }
    }

    fn evict(&mut self, incoming: &Access) -> Option<Slot> {
        self.catch_up();
        self.settle();
        let dropped = self.expert.as_mut().and_then(|expert| expert.dropped(&self.history.residents));
        let spare = self.chooser.spare(&self.history.residents);
        if spare.is_some() {
            self.chooser.look_further_ahead(&self.history);
        }
        let chosen = spare.or_else(|| self.choose());
        let victim = dropped.or(chosen);
        if victim.is_none() && self.history.incoming.print == print(incoming.id) {
            self.history.reject();
            self.history.incoming = Line::VACANT; // it is refused once: asked again, a resident leaves
            return None;
        }
        // A resident that has grown is not incoming, so the policy has no opinion of it: another one leaves.
        let victim = victim.unwrap_or_else(|| self.history.residents.draw(&mut self.chance));
        self.history.evict(victim);
        Some(victim)
    }

    fn remove(&mut self, slot: Slot) {
        self.catch_up();
        self.history.evict(slot);
    }

    fn learn_elsewhere(&mut self) {
        self.school = School::elsewhere();
    }

    fn learner(&mut self) -> Option<&dyn Learner> {
        self.catch_up();
        Some(self)
    }

    fn student(&mut self) -> Option<&mut dyn Student> {
        self.catch_up();
        Some(self)
    }
}
