//! A trace as a dataset: the samples that the learned policy takes while it serves the trace, each with what became
//! of it, which the policy itself learns only much later, and of some never.

use std::sync::Arc;

use crate::access::{NEVER, Tick};
use crate::diary::Noted;
use crate::error::Error;
use crate::features::Row;
use crate::policy::Setting;
use crate::prior::Prior;
use crate::simulate::{Accesses, Simulation, Weights};

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// The features, as the policy saw them.
    pub row: Row,
    /// The access during which it was taken, as a position in the trace.
    pub position: Tick,
    /// Accesses until the next one to its key; [`NEVER`] when the trace ends before.
    pub wait: Tick,
    /// Capacity, in entries, by which the features were divided.
    pub entries: u32,
}

/// The samples of a replay of `accesses` under the policy called `name`, in order; at most so many.
///
/// # Errors
/// The policy is unknown or does not learn, or the capacity is 0.
pub fn examples(
    accesses: &Arc<Accesses>,
    name: &str,
    setting: &Setting,
    weights: Weights,
    prior: Option<Prior>,
    most: usize,
) -> Result<Vec<Example>, Error> {
    let mut simulation = Simulation::new(Arc::clone(accesses), name, setting, weights)?;
    if let Some(prior) = prior {
        simulation.student()?.begin_with(prior);
    }
    simulation.student()?.keep_diary(most);
    let hits = simulation.hits(accesses.len());
    let noted = simulation.student()?.take_diary();
    // The policy counts the accesses it is told of: all but those of keys that are too heavy to be stored.
    let told = |at: &usize| hits[*at] || weights == Weights::Unit || accesses.size(*at) <= setting.capacity;
    let positions: Vec<usize> = (0..accesses.len()).filter(told).collect();
    let example = |noted: &Noted| {
        let (now, last) = (positions[noted.now as usize - 1], positions[noted.last as usize - 1]);
        let next = accesses.next()[last];
        let wait = if next == NEVER { NEVER } else { next - now as Tick };
        Example { row: noted.row, position: now as Tick, wait, entries: noted.entries }
    };
    Ok(noted.iter().map(example).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::mix;

    fn accesses(count: u64) -> Arc<Accesses> {
        let key = |at: u64| if at.is_multiple_of(3) { at } else { mix(at) % (1 + mix(at + 7) % 500) };
        let sizes = (0..count).map(|at| 1 + mix(key(at)) % 40).collect();
        Arc::new(Accesses::new((0..count).map(key).collect(), Some(sizes)))
    }

    fn replay(accesses: &Arc<Accesses>, weights: Weights) -> Vec<Example> {
        let capacity = if weights == Weights::Unit { 100 } else { 35 };
        examples(accesses, "learned", &Setting::new(capacity, 1), weights, None, usize::MAX).expect("it learns")
    }

    #[test]
    fn a_wait_ends_with_the_next_access_of_the_same_key() {
        for weights in [Weights::Unit, Weights::Size] {
            let accesses = accesses(20_000);
            let found = replay(&accesses, weights);
            assert!(found.len() > 1000);
            assert!(found.iter().all(|example| example.wait >= 1));
            let ends = |example: &Example| example.wait != NEVER && example.position + example.wait < 20_000;
            assert!(found.iter().all(|example| example.wait == NEVER || ends(example)));
        }
    }

    #[test]
    fn what_is_seen_does_not_depend_on_what_comes_later() {
        for weights in [Weights::Unit, Weights::Size] {
            let (part, all) = (replay(&accesses(10_000), weights), replay(&accesses(20_000), weights));
            for (part, all) in part.iter().zip(&all) {
                assert_eq!((part.row, part.position), (all.row, all.position));
                let returned = all.position + all.wait.min(NEVER / 2) < 10_000;
                assert_eq!(part.wait, if returned { all.wait } else { NEVER });
            }
        }
    }

    #[test]
    fn policies_that_do_not_learn_have_no_examples() {
        let setting = Setting::new(10, 0);
        let failed = examples(&accesses(100), "lru", &setting, Weights::Unit, None, 10);
        assert_eq!(failed, Err(Error::PredictsNothing));
    }
}
