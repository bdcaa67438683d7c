//! Curves are those of simulations: LRU hits if, and only if, the reuse distance is below its capacity.

use std::sync::Arc;

use forecache_core::access::mix;
use forecache_core::chance::Chance;
use forecache_core::curve::Curve;
use forecache_core::policy::Setting;
use forecache_core::reuse::Reuse;
use forecache_core::sampling::Sampling;
use forecache_core::simulate::{Accesses, Simulation, Weights};
use proptest::prelude::*;

fn exact() -> Curve {
    Curve::new(Sampling::new(1.0, 0), None, 1.0)
}

fn simulated(keys: &[u64], sizes: Option<Vec<u64>>, capacity: u64) -> u64 {
    let weights = if sizes.is_some() { Weights::Size } else { Weights::Unit };
    let accesses = Arc::new(Accesses::new(keys.to_vec(), sizes));
    let simulation = Simulation::new(accesses, "lru", &Setting::new(capacity, 0), weights);
    simulation.expect("a known policy").run(keys.len()).hits
}

/// Keys of which some are asked for far more often than others.
fn skewed(accesses: usize, keys: f64) -> Vec<u64> {
    let mut chance = Chance::new(5);
    (0..accesses).map(|_| (chance.draw().powi(2) * keys) as u64).collect()
}

proptest! {
    #[test]
    fn lru_hits_iff_the_reuse_distance_is_below_its_capacity(keys in prop::collection::vec(0..40u64, 1..400)) {
        let mut curve = exact();
        curve.feed(&keys, None);
        let capacities: Vec<u64> = (1..45).collect();
        for (capacity, hits) in capacities.iter().zip(curve.hits(&capacities).hits) {
            prop_assert_eq!(hits as u64, simulated(&keys, None, *capacity));
        }
    }

    #[test]
    fn so_it_does_by_weight_where_every_key_has_one_and_fits(keys in prop::collection::vec(0..40u64, 1..400)) {
        let sizes: Vec<u64> = keys.iter().map(|key| mix(*key) % 9 + 1).collect();
        let mut curve = exact();
        curve.feed(&keys, Some(&sizes));
        let capacities: Vec<u64> = (9..220).step_by(7).collect();
        for (capacity, hits) in capacities.iter().zip(curve.hits(&capacities).hits) {
            prop_assert_eq!(hits as u64, simulated(&keys, Some(sizes.clone()), *capacity));
        }
    }

    #[test]
    fn forgotten_keys_are_as_new_and_stand_between_nobody(
        keys in prop::collection::vec(0..9u64, 1..60), forgotten in 0..9u64
    ) {
        let (mut all, mut others) = (Reuse::default(), Reuse::default());
        for &key in &keys {
            all.access(key, 1);
            if key != forgotten {
                others.access(key, 1);
            }
        }
        all.forget(forgotten);
        for key in 0..9 {
            prop_assert_eq!(all.access(key, 1), others.access(key, 1));
        }
    }
}

#[test]
fn numbering_anew_changes_no_distance() {
    let keys = skewed(60_000, 3_000.0);
    let mut curve = exact();
    curve.feed(&keys, None);
    let capacities = [1, 30, 300, 1_000, 3_000];
    for (capacity, hits) in capacities.iter().zip(curve.hits(&capacities).hits) {
        assert_eq!(hits as u64, simulated(&keys, None, *capacity));
    }
}

#[test]
fn a_sample_comes_within_its_own_error() {
    let (keys, capacities) = (skewed(400_000, 60_000.0), [600, 2_000, 6_000, 20_000]);
    let mut curve = exact();
    curve.feed(&keys, None);
    let truth = curve.hits(&capacities).hits;
    for (rate, most) in [(0.1, None), (1.0, Some(6_000))] {
        let mut sample = Curve::new(Sampling::new(rate, 3), most, 1.0);
        sample.survey(&keys, keys.len() as u64);
        sample.feed(&keys, None);
        assert!(sample.keys() <= 15_000 && (0.03..0.13).contains(&sample.rate()));
        let told = sample.hits(&capacities);
        for (at, truth) in truth.iter().enumerate() {
            let error = told.errors[at] / keys.len() as f64;
            let off = (told.hits[at] - truth).abs() / keys.len() as f64;
            assert!(off < 4.0 * error && error < 0.03, "{off} at {at}, standard error {error}");
        }
    }
}

#[test]
fn parts_of_the_keys_make_up_the_whole() {
    let (keys, parts, capacities) = (skewed(300_000, 40_000.0), 4, [400, 4_000, 20_000]);
    let mut curve = exact();
    curve.feed(&keys, None);
    let mut sum = [0.0; 3];
    for part in 0..parts {
        let some: Vec<u64> = keys.iter().copied().filter(|key| mix(*key) % parts == part).collect();
        let mut curve = Curve::new(Sampling::new(1.0, 0), None, 1.0 / parts as f64);
        curve.feed(&some, None);
        sum.iter_mut().zip(curve.hits(&capacities).hits).for_each(|(sum, hits)| *sum += hits);
    }
    for (sum, truth) in sum.iter().zip(curve.hits(&capacities).hits) {
        assert!((sum - truth).abs() < 0.005 * keys.len() as f64, "{sum} for {truth}");
    }
}
