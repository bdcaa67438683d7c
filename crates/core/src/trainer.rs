//! Training on what a cache sees: rows of candidates wait for the next access of their keys, and become targets.
//! Label and samples after Song et al., "Learning relaxed Belady", NSDI 2020; rows whose key has not returned are
//! given what is known and believed of them, after Buckley & James, "Linear regression with censored data", 1979.

use std::sync::Arc;

pub use crate::batch::{Batch, Outcome};
use crate::boost::{Shape, boost};
use crate::chance::Chance;
use crate::context::{Context, Habits};
use crate::descent::{Schedule, descend};
use crate::features::{BATCH, Columns, Row, columns};
use crate::line::{Line, Time};
use crate::memory::count_memory;
use crate::predictor::{Model, SCORE_ONE, SOON};
use crate::prior::Prior;

/// Times until the next access are told apart up to this many capacities.
pub const HORIZON: u32 = 16;
/// How much longer than it has taken already a wait is expected to take, at least.
const PATIENCE: f32 = 1.5;
/// Rows that are kept, 3.3 MB; lines name them by 16 bits.
const ROWS: usize = u16::MAX as usize;
/// Capacities that the kept rows should span, so that there are mature ones among them.
const SPAN: f64 = 10.0;
/// Rows that are learned from at least.
const FEWEST: usize = 300;
/// Rows between two fits: half of all so far, within these limits.
const BETWEEN: (usize, usize) = (400, 16_384);
/// Rows before the first fit of a policy that goes on with what another learned.
const INHERITED: usize = ROWS / 16;
/// Share of candidates that are sampled at most, once [`ROWS`] have been: later fits change less.
const LATER: f64 = 0.25;
/// Trees that are fast to fit and to ask; see docs/decisions/0010-learned-policy.md for this and the numbers above.
const SHAPE: Shape = Shape { trees: 20, depth: 5, rate: 0.2, ridge: 50.0, share: 0.8 };
/// What remains of the trees of the fit before: what two fits agree about is less of chance.
const REMAINS: f32 = 0.5;
/// How a network that came as prior goes on learning.
const DESCENT: Schedule = Schedule { epochs: 1, rate: 2e-3 };

struct Sample {
    row: Row,
    context: Context,
    print: u32,
    taken: Time,
    /// Time until the next access; 0 while it is waited for.
    wait: u32,
}

/// Samples of the recent past.
pub struct Trainer {
    samples: Vec<Sample>,
    /// Samples taken so far.
    total: usize,
    next_fit: usize,
    /// Samples up to here were in a batch already.
    seen: Option<Time>,
    seed: u64,
    imputes: bool,
}

count_memory!(Trainer []: samples);

impl Trainer {
    /// Nothing to learn from yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { samples: Vec::new(), total: 0, next_fit: BETWEEN.0, seen: None, seed, imputes: true }
    }

    /// From now on no model is asked about keys that have not returned.
    pub fn trust_no_model(&mut self) {
        self.imputes = false;
    }

    /// Learns for the first time when there is more to learn from: what is known already was learned from more.
    pub fn postpone(&mut self) {
        self.next_fit = INHERITED;
    }

    /// Which share of the candidates to sample.
    #[must_use]
    pub fn share(&self, entries: u32, miss_ratio: f64) -> f64 {
        let most = if self.total > ROWS { LATER } else { 1.0 };
        (ROWS as f64 / (SPAN * f64::from(entries) * miss_ratio.max(0.001))).min(most)
    }

    /// Waits for the next access of the key in `line`, whose row is now `row`, unless it is waited for already.
    pub fn sample(&mut self, line: &mut Line, row: Row, now: Time) {
        if self.waits_for(line) {
            return;
        }
        let sample = Sample { row, context: line.context, print: line.print, taken: now, wait: 0 };
        let at = self.total % ROWS;
        if at < self.samples.len() {
            self.samples[at] = sample;
        } else {
            self.samples.push(sample);
        }
        line.sample = at as u16 + 1;
        self.total += 1;
    }

    /// The key in `line`, which has a sample, is accessed.
    #[cold]
    pub fn close(&mut self, line: &mut Line, now: Time) {
        if self.waits_for(line) {
            let sample = &mut self.samples[line.sample as usize - 1];
            sample.wait = now.wrapping_sub(sample.taken).max(1);
        }
        line.sample = 0;
    }

    fn waits_for(&self, line: &Line) -> bool {
        let sample = (line.sample as usize).checked_sub(1).and_then(|at| self.samples.get(at));
        sample.is_some_and(|sample| sample.print == line.print && sample.wait == 0)
    }

    /// Whether enough has changed since the last time.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.total >= self.next_fit
    }

    /// Samples taken so far.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.total
    }

    /// What to learn from, when enough has changed since the last time.
    ///
    /// Only samples older than a capacity: among younger ones those that returned would be the ones with short waits.
    pub fn take_batch(&mut self, now: Time, entries: u32, model: &Arc<Model>, habits: &Habits) -> Option<Batch> {
        if !self.is_due() {
            return None;
        }
        let mature = |sample: &&Sample| now.wrapping_sub(sample.taken) >= entries;
        let mut rows: Vec<Row> = self.samples.iter().filter(mature).map(|sample| sample.row).collect();
        let contexts: Vec<Context> = self.samples.iter().filter(mature).map(|sample| sample.context).collect();
        habits.tell_all(&mut rows, &contexts);
        if rows.len() < FEWEST {
            self.next_fit = self.total + FEWEST / 3;
            return None;
        }
        self.next_fit = self.total + (self.total / 2).clamp(BETWEEN.0, BETWEEN.1);
        let outcome = |sample: &Sample| match sample.wait {
            0 => Outcome { time: now.wrapping_sub(sample.taken), returned: false },
            time => Outcome { time, returned: true },
        };
        let outcomes = self.samples.iter().filter(mature).map(outcome).collect();
        let until = self.seen.replace(now.wrapping_sub(entries));
        let is_unseen = |sample: &Sample| until.is_none_or(|until| sample.taken.wrapping_sub(until) as i32 > 0);
        let unseen = self.samples.iter().filter(mature).enumerate().filter(|(_, sample)| is_unseen(sample));
        let unseen = unseen.map(|(at, _)| at as u32).collect();
        let seed = self.seed ^ self.total as u64;
        let (model, imputes) = (Arc::clone(model), self.imputes);
        Some(Batch { rows, contexts, outcomes, unseen, entries, model, seed, imputes })
    }
}

/// The target of a row: the logarithm of the time until the next access, in octaves of a cache of `entries`.
#[must_use]
pub fn target(time: f32, entries: u32) -> f32 {
    ((time / entries as f32).min(HORIZON as f32) + SOON).log2()
}

/// Learns from `batch`: a network goes on learning, and trees learn what the prior does not know. Pure: it may run
/// anywhere, and be installed later.
#[must_use]
pub fn fit(batch: &Batch) -> (Model, Habits) {
    let mut chance = Chance::new(batch.seed);
    let targets = targets(batch);
    let prior = match &*batch.model.prior {
        Prior::Network(network) => Arc::new(descend(network, &batch.rows, &targets, DESCENT, &mut chance).into()),
        Prior::Forest(_) | Prior::Trees(_) => Arc::clone(&batch.model.prior),
    };
    let residuals = unexplained(&batch.rows, &targets, |columns| prior.scores(columns));
    let habits = Habits::learn(&batch.contexts, &targets, &residuals);
    let mut rows = batch.rows.clone();
    habits.tell_all(&mut rows, &batch.contexts);
    let remains = batch.model.residual.faded(SHAPE.trees, REMAINS);
    let residuals = unexplained(&rows, &residuals, |columns| remains.scores(columns));
    (Model { residual: remains.and(boost(&rows, &residuals, &SHAPE, &mut chance)), prior }, habits)
}

/// The target of each row.
fn targets(batch: &Batch) -> Vec<f32> {
    let mut targets = Vec::with_capacity(batch.rows.len());
    for (rows, outcomes) in batch.rows.chunks(BATCH).zip(batch.outcomes.chunks(BATCH)) {
        let believed = batch.model.scores(&columns(rows));
        let believed = believed.map(|score| if batch.imputes { score as f32 / SCORE_ONE } else { f32::MIN });
        let target = |(&outcome, believed)| believe(outcome, believed, batch.entries);
        targets.extend(outcomes.iter().zip(believed).map(target));
    }
    targets
}

/// What a predictor does not explain of the targets.
fn unexplained(rows: &[Row], targets: &[f32], scores: impl Fn(&Columns) -> [i32; BATCH]) -> Vec<f32> {
    let mut unexplained = Vec::with_capacity(rows.len());
    for (rows, targets) in rows.chunks(BATCH).zip(targets.chunks(BATCH)) {
        let explained = scores(&columns(rows)).map(|score| score as f32 / SCORE_ONE);
        unexplained.extend(targets.iter().zip(explained).map(|(target, explained)| target - explained));
    }
    unexplained
}

/// The target of a row, given what the model believes of it.
fn believe(outcome: Outcome, believed: f32, entries: u32) -> f32 {
    let Outcome { time, returned } = outcome;
    if returned || time / HORIZON >= entries {
        return target(time as f32, entries);
    }
    let waited = target(PATIENCE * time as f32, entries);
    waited.max(believed.min(target(f32::MAX, entries)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::NO_CONTEXT;
    use crate::features::WIDTH;
    use crate::traffic::Traffic;

    fn batch(outcome: impl Fn(u32) -> Outcome) -> Batch {
        Batch {
            rows: (0..2000u32).map(|at| [(at % 250) as u8; WIDTH]).collect(),
            contexts: vec![NO_CONTEXT; 2000],
            outcomes: (0..2000u32).map(|at| outcome(at % 250)).collect(),
            unseen: Vec::new(),
            entries: 100,
            model: Arc::default(),
            seed: 1,
            imputes: true,
        }
    }

    fn score(model: &Model, value: u8) -> f32 {
        model.scores(&columns(&[[value; WIDTH]]))[0] as f32 / SCORE_ONE
    }

    #[test]
    fn keys_that_return_late_score_above_those_that_return_soon() {
        let (model, _) = fit(&batch(|value| Outcome { time: if value < 100 { 50 } else { 800 }, returned: true }));
        assert!((score(&model, 20) - target(50.0, 100)).abs() < 0.2);
        assert!((score(&model, 200) - target(800.0, 100)).abs() < 0.2);
    }

    #[test]
    fn keys_that_have_not_returned_are_believed_to_take_longer() {
        let (model, _) = fit(&batch(|value| Outcome { time: 200, returned: value < 100 }));
        assert!(score(&model, 200) > score(&model, 20) + 0.4);
        let believed = |time, believed| believe(Outcome { time, returned: false }, believed, 100).to_bits();
        assert_eq!(believed(200, 3.5), 3.5f32.to_bits());
        assert_eq!(believed(5000, -9.0), target(1600.0, 100).to_bits());
    }

    #[test]
    fn a_sample_is_closed_by_the_next_access_of_its_key() {
        let mut trainer = Trainer::new(1);
        let mut line = Line::new(7, 0, 1, &Traffic::default());
        trainer.sample(&mut line, [0; WIDTH], 10);
        trainer.sample(&mut line, [1; WIDTH], 12);
        trainer.close(&mut line, 25);
        assert_eq!((trainer.total, trainer.samples[0].wait, line.sample), (1, 15, 0));
    }

    #[test]
    fn nothing_is_learned_from_what_is_too_young() {
        let mut trainer = Trainer::new(1);
        for print in 0..1000 {
            let mut line = Line::new(print, 0, 1, &Traffic::default());
            trainer.sample(&mut line, [0; WIDTH], print);
        }
        assert!(trainer.take_batch(1000, 1001, &Arc::default(), &Habits::default()).is_none());
        trainer.total += FEWEST;
        let batch = trainer.take_batch(1900, 1000, &Arc::default(), &Habits::default()).expect("901 are mature");
        assert_eq!((batch.rows.len(), batch.unseen.len()), (901, 901));
        assert!(trainer.take_batch(1900, 1000, &Arc::default(), &Habits::default()).is_none(), "nothing new");
        trainer.total += BETWEEN.1;
        let batch = trainer.take_batch(1920, 1000, &Arc::default(), &Habits::default()).expect("920 are mature");
        assert_eq!((batch.rows.len(), batch.unseen), (921, (901..921).collect()));
    }
}
