//! Live caches learn while they serve, and whoever looks at what they learned changes nothing.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use forecache_core::access::mix;
use forecache_core::chance::Chance;
use forecache_core::context::NO_CONTEXT;
use forecache_core::learner::Learning;
use forecache_core::model_file::encode;
use forecache_core::policy::Setting;
use forecache_core::prior::Prior;
use forecache_core::removed::Removals;
use forecache_core::shards::{Debris, Shards};
use forecache_core::staleness::Lifetime;
use forecache_core::store::{Accept, Arrival, Store};

const CAPACITY: u64 = 200;

fn arrival(key: u64) -> Arrival<u64, ()> {
    let lifetime = Lifetime::IMMORTAL;
    Arrival {
        id: mix(key),
        key,
        value: (),
        weight: NonZeroU64::MIN,
        lifetime,
        tags: Box::default(),
        context: NO_CONTEXT,
    }
}

/// Looks a key up, and stores it where it is absent; true when it was there.
fn access(store: &mut Store<u64, ()>, key: u64) -> bool {
    let hit = store.get(mix(key), 0, Accept::Fresh, |&other| other == key).is_some();
    if !hit {
        store.put(arrival(key), 0, |&other| other == key, &mut Removals::default());
    }
    hit
}

/// Some keys often, more keys seldom, and a scan now and then.
fn key(at: u64, chance: &mut Chance) -> u64 {
    match at % 1000 {
        scanned @ 0..300 => 10_000 + at / 1000 * 300 + scanned,
        _ => (chance.draw() * chance.draw() * 2000.0) as u64,
    }
}

fn store() -> Store<u64, ()> {
    Store::build("learned", &Setting::new(CAPACITY, 1), None).expect("a known policy")
}

fn learning(store: &mut Store<u64, ()>) -> Learning {
    store.learner().expect("it learns").learning()
}

/// Accesses until `happened`, for a minute at most.
fn serve_until(store: &mut Store<u64, ()>, happened: impl Fn(&mut Store<u64, ()>) -> bool) {
    let (start, mut chance) = (Instant::now(), Chance::new(2));
    for at in 0.. {
        access(store, key(at, &mut chance));
        if at % 1000 == 0 && happened(store) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "it never happened: {:?}", learning(store));
    }
}

#[test]
fn a_live_store_learns_while_it_serves() {
    let mut store = store();
    store.learn_elsewhere();
    serve_until(&mut store, |store| learning(store).fits >= 2);
    let found = learning(&mut store);
    assert!(found.trees.0 > 0 && found.trees.1 > 0 && found.failures == 0);
    assert!(found.worked > Duration::ZERO && found.samples > 400 && found.memory > 0);
    assert!(found.quality.samples > 0 && found.quality.concordance.is_some_and(|share| share > 0.5), "{found:?}");
}

#[test]
fn what_a_live_store_did_is_repeated_by_its_timetable() {
    let (mut live, mut replay, mut chance) = (store(), store(), Chance::new(5));
    live.learn_elsewhere();
    let (mut asked, mut hits) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while learning(&mut live).fits < 2 || asked.len() % 5000 != 0 {
        asked.push(key(asked.len() as u64, &mut chance));
        hits.push(access(&mut live, asked[asked.len() - 1]));
        assert!(start.elapsed() < Duration::from_secs(60), "it never learned twice");
    }
    let timetable = live.learner().expect("it learns").timetable().to_vec();
    assert!(timetable.len() >= 2);
    replay.student().expect("it learns").learn_as_before(timetable);
    assert!(asked.iter().zip(&hits).all(|(&asked, &hit)| access(&mut replay, asked) == hit));
    assert_eq!(learning(&mut replay).fits, learning(&mut live).fits);
}

#[test]
fn what_one_store_learned_another_goes_on_with() {
    let (mut old, mut new) = (store(), store());
    assert_eq!(old.learner().expect("it learns").lore(), None, "nothing was learned yet");
    serve_until(&mut old, |store| learning(store).fits >= 2);
    let lore = old.learner().expect("it learns").lore().expect("something was learned");
    new.student().expect("it learns").go_on(&lore).expect("it corrects the same prior");
    let (before, now) = (learning(&mut old), learning(&mut new));
    assert_eq!((now.trees, now.fits), (before.trees, 0));
    assert_eq!(new.learner().expect("it learns").lore(), Some(lore.clone()));
    serve_until(&mut new, |store| learning(store).fits >= 1); // and learns by itself, later
    assert!(learning(&mut new).samples > 4000);
    let mut changed = lore.clone();
    changed[40] ^= 1;
    assert!(new.student().expect("it learns").go_on(&changed).is_err());
    let foreign = encode(&Prior::default(), "corrects 00000000");
    assert!(new.student().expect("it learns").go_on(&foreign).is_err());
}

#[test]
fn whoever_comes_back_soon_is_foreseen() {
    let mut store = store();
    for at in 0..20_000u64 {
        access(&mut store, at % 50);
        access(&mut store, 1000 + at);
    }
    let mut foresee = |key: u64| store.foresee(mix(key), 0, |&other| other == key);
    let last = foresee(1000 + 19_990);
    assert!((0..50).all(|key| foresee(key) < last));
    assert!(foresee(9_999_999).is_infinite());
}

#[test]
fn a_store_may_be_dropped_while_it_learns() {
    for _ in 0..10 {
        let mut store = store();
        store.learn_elsewhere();
        let mut chance = Chance::new(3);
        (0..4000).for_each(|at| _ = access(&mut store, key(at, &mut chance)));
    }
}

#[test]
fn looking_changes_nothing() {
    let (mut watched, mut alone) = (store(), store());
    let (mut chance, mut same) = (Chance::new(4), Chance::new(4));
    for at in 0..20_000 {
        let asked = key(at, &mut chance);
        assert_eq!(access(&mut watched, asked), access(&mut alone, key(at, &mut same)), "access {at}");
        watched.explain(mix(asked), 0, |&other| other == asked);
        learning(&mut watched);
    }
    assert_eq!(learning(&mut watched), learning(&mut alone));
    assert!(learning(&mut alone).fits > 0);
}

#[test]
fn residents_and_ghosts_are_explained_and_strangers_are_not() {
    let mut store = store();
    (0..1000).for_each(|key| _ = access(&mut store, key));
    let mut seen = [0; 2];
    for key in 0..1000 {
        let resident = store.peek(mix(key), 0, |&other| other == key).is_some();
        let Some(found) = store.explain(mix(key), 0, |&other| other == key) else {
            assert!(!resident, "residents are never forgotten");
            continue;
        };
        assert_eq!((found.resident, found.age), (resident, 999 - key as u32));
        assert!((0.0..=16.0).contains(&found.reuse), "{found:?}");
        seen[usize::from(resident)] += 1;
    }
    assert!(seen[0] > 700 && seen[1] == 200, "{seen:?}");
    assert_eq!(store.explain(mix(5000), 0, |&other| other == 5000), None);
    let mut classical = Store::<u64, ()>::build("lru", &Setting::new(9, 1), None).expect("a known policy");
    assert!(classical.learner().is_none() && classical.explain(1, 0, |_| true).is_none());
}

#[test]
fn many_threads_share_shards_that_learn() {
    let shards = Shards::<u64, (), ()>::new(4, "learned", &Setting::new(CAPACITY, 1), None).expect("valid");
    let shards = Arc::new(shards.learning_elsewhere());
    let serve = |seed: u64| {
        let shards = Arc::clone(&shards);
        move || {
            let mut chance = Chance::new(seed);
            for at in 0..20_000 {
                let key = key(at, &mut chance);
                let mut shard = shards.of(mix(key));
                if shard.store.get(mix(key), 0, Accept::Fresh, |&other| other == key).is_none() {
                    shard.put(arrival(key), 0, |&other| other == key, &mut Debris::default());
                }
            }
        }
    };
    let threads: Vec<_> = (0..16).map(|seed| thread::spawn(serve(seed))).collect();
    for thread in threads {
        thread.join().expect("no thread panics");
    }
    assert!(shards.iter().all(|shard| shard.store.used() <= CAPACITY / 4));
    assert_eq!(shards.stats().hits + shards.stats().misses, 16 * 20_000);
}
