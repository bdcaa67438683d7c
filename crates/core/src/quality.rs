//! How good predictions were: judged on samples that the model in use was not fitted to.
//! Order by Harrell et al., "Evaluating the yield of medical tests", JAMA 247(18), 1982, which keys that have not
//! returned yet take part in as well.

use crate::chance::Chance;
use crate::features::{BATCH, columns};
use crate::predictor::{SCORE_ONE, octaves_to_capacities};
use crate::trainer::{Batch, Outcome};

/// Pairs that are compared.
const PAIRS: usize = 8192;
/// Groups of equal size, from those predicted to return soonest to those predicted to return last.
const GROUPS: usize = 10;

/// One group of samples with similar predictions; times are in capacities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// Median of the predicted times.
    pub predicted: f32,
    /// Median of the true times, or `None` while more than half of the keys have not returned.
    pub observed: Option<f32>,
}

/// What is known of a model's predictions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quality {
    /// Samples it is judged on.
    pub samples: usize,
    /// Share of pairs of keys whose order of return was foreseen: 1 is perfect, ½ is chance.
    pub concordance: Option<f64>,
    /// Predicted against true times, soonest first.
    pub groups: Vec<Group>,
}

struct Judged {
    score: i32,
    outcome: Outcome,
}

/// Judges the model of a batch by the rows it has not seen.
#[must_use]
pub fn judge(batch: &Batch) -> Quality {
    let mut judged = scored(batch);
    let concordance = concordance(&judged, &mut Chance::new(batch.seed));
    judged.sort_by_key(|row| row.score);
    let size = judged.len().div_ceil(GROUPS).max(1);
    let groups = judged.chunks(size).map(|rows| group(rows, batch.entries)).collect();
    Quality { samples: judged.len(), concordance, groups }
}

fn scored(batch: &Batch) -> Vec<Judged> {
    let mut judged = Vec::with_capacity(batch.unseen.len());
    for unseen in batch.unseen.chunks(BATCH) {
        let rows: Vec<_> = unseen.iter().map(|&at| batch.rows[at as usize]).collect();
        let scores = batch.model.scores(&columns(&rows));
        judged.extend(
            unseen.iter().zip(scores).map(|(&at, score)| Judged { score, outcome: batch.outcomes[at as usize] }),
        );
    }
    judged
}

/// Of randomly chosen pairs whose order is known, the share whose scores are in that order.
fn concordance(judged: &[Judged], chance: &mut Chance) -> Option<f64> {
    let (mut right, mut known) = (0.0, 0);
    for _ in 0..PAIRS.min(judged.len() * judged.len()) {
        let [one, other] = [0; 2].map(|_| &judged[chance.below(judged.len())]);
        let (sooner, later) = if one.outcome.time < other.outcome.time { (one, other) } else { (other, one) };
        if !sooner.outcome.returned || sooner.outcome.time == later.outcome.time {
            continue;
        }
        known += 1;
        right += match sooner.score.cmp(&later.score) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Greater => 0.0,
        };
    }
    (known > 0).then(|| right / f64::from(known))
}

fn group(rows: &[Judged], entries: u32) -> Group {
    let predicted = octaves_to_capacities(rows[rows.len() / 2].score as f32 / SCORE_ONE);
    let time = |row: &Judged| if row.outcome.returned { row.outcome.time } else { u32::MAX };
    let mut times: Vec<u32> = rows.iter().map(time).collect();
    let (_, &mut median, _) = times.select_nth_unstable(rows.len() / 2);
    Group { predicted, observed: (median < u32::MAX).then(|| median as f32 / entries as f32) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::context::NO_CONTEXT;
    use crate::features::{Row, WIDTH};
    use crate::predictor::{Forest, Model, Tree};

    /// Rows of ages below and above a threshold, and a model that tells them apart.
    fn batch(rows: Vec<Row>, outcomes: Vec<Outcome>) -> Batch {
        let tree = Tree { questions: vec![(0, 100)], leaves: vec![-256, 512] };
        let prior = Forest::new(0, vec![tree]).into();
        let unseen = (0..rows.len() as u32).collect();
        let model = Arc::new(Model::new(prior));
        let contexts = vec![NO_CONTEXT; rows.len()];
        Batch { rows, contexts, outcomes, unseen, entries: 100, model, seed: 1, imputes: true }
    }

    fn halves(outcome: impl Fn(usize) -> Outcome) -> Batch {
        let row = |at| [if at < 500 { 50 } else { 150 }; WIDTH];
        batch((0..1000).map(row).collect(), (0..1000).map(outcome).collect())
    }

    #[test]
    fn a_right_order_is_perfect_and_a_wrong_one_is_the_contrary() {
        let soon = |is_soon: bool| Outcome { time: if is_soon { 50 } else { 400 }, returned: is_soon };
        assert_eq!(judge(&halves(|at| soon(at < 500))).concordance, Some(1.0));
        assert_eq!(judge(&halves(|at| soon(at >= 500))).concordance, Some(0.0));
        let even = judge(&halves(|at| soon(at % 2 == 0))).concordance.expect("there are pairs");
        assert!((even - 0.5).abs() < 0.05, "{even}");
    }

    #[test]
    fn groups_tell_what_was_predicted_and_what_came() {
        let found = judge(&halves(|at| Outcome { time: 45, returned: at < 500 }));
        assert_eq!((found.samples, found.groups.len()), (1000, GROUPS));
        assert!((found.groups[0].predicted - 0.45).abs() < 1e-6 && (found.groups[9].predicted - 3.95).abs() < 1e-6);
        assert_eq!((found.groups[0].observed, found.groups[9].observed), (Some(0.45), None));
    }

    #[test]
    fn nothing_is_known_of_nothing() {
        assert_eq!(judge(&batch(Vec::new(), Vec::new())), Quality::default());
        let open = Outcome { time: 5, returned: false };
        assert_eq!(judge(&halves(|_| open)).concordance, None);
    }
}
