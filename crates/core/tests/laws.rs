//! What every policy owes to the store, whatever happens to it.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::sync::Arc;

use forecache_core::access::{Access, NEVER, Slot, Tick, mix};
use forecache_core::context::NO_CONTEXT;
use forecache_core::error::Error;
use forecache_core::policy::{self, POLICIES, Policy, Setting};
use forecache_core::removed::Removals;
use forecache_core::simulate::{Accesses, Simulation, Weights};
use forecache_core::staleness::{FOREVER, Lifetime};
use forecache_core::store::{Accept, Arrival, Store};
use proptest::prelude::*;

fn setting(capacity: u64) -> Setting {
    Setting::new(capacity, 7)
}

fn keys(space: u64, most: usize) -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(0..space, 1..most)
}

fn hits(name: &str, capacity: u64, keys: &[u64]) -> Vec<bool> {
    let accesses = Arc::new(Accesses::new(keys.to_vec(), None));
    let mut simulation = Simulation::new(accesses, name, &setting(capacity), Weights::Unit).expect("a known policy");
    simulation.hits(keys.len())
}

fn count(hits: &[bool]) -> usize {
    hits.iter().filter(|hit| **hit).count()
}

/// Something that happens to a store.
#[derive(Clone, Debug)]
enum Event {
    Get(u64),
    Put { key: u64, weight: u64, ttl: Option<u64> },
    Remove(u64),
    Wait(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0..30u64).prop_map(Event::Get),
        4 => (0..30u64, 1..12u64, prop::option::weighted(0.2, 1..20u64))
            .prop_map(|(key, weight, ttl)| Event::Put { key, weight, ttl }),
        1 => (0..30u64).prop_map(Event::Remove),
        1 => (1..10u64).prop_map(Event::Wait),
    ];
    prop::collection::vec(event, 1..200)
}

/// A store, and the clock that its events move.
struct Shop {
    store: Store<u64, ()>,
    now: u64,
}

impl Shop {
    fn new(name: &str, capacity: u64) -> Self {
        let oracle = Some(Arc::new([]) as Arc<[Tick]>);
        Self { store: Store::build(name, &setting(capacity), oracle).expect("a known policy"), now: 0 }
    }

    fn apply(&mut self, event: &Event) {
        let mut removed = Removals::default();
        match *event {
            Event::Get(key) => {
                self.store.get(mix(key), self.now, Accept::Fresh, |&other| other == key);
            }
            Event::Put { key, weight, ttl } => {
                let expires_at = ttl.map_or(FOREVER, |ttl| self.now + ttl);
                let lifetime = Lifetime { stored_at: self.now, fresh_until: expires_at, expires_at, load_time: 0 };
                let weight = NonZeroU64::new(weight).expect("at least 1");
                let arrival = Arrival {
                    id: mix(key),
                    key,
                    value: (),
                    weight,
                    lifetime,
                    tags: Box::default(),
                    context: NO_CONTEXT,
                };
                self.store.put(arrival, self.now, |&other| other == key, &mut removed);
            }
            Event::Remove(key) => {
                self.store.remove(mix(key), self.now, |&other| other == key, &mut removed);
            }
            Event::Wait(nanos) => self.now += nanos,
        }
    }
}

/// A policy, and which slots it should hold.
struct Driver {
    policy: Box<dyn Policy>,
    resident: BTreeSet<Slot>,
    tick: Tick,
}

impl Driver {
    fn new(name: &str, capacity: u64) -> Self {
        let policy = (policy::known(name).expect("a known policy").build)(&setting(capacity));
        Self { policy, resident: BTreeSet::new(), tick: 0 }
    }

    fn access(&mut self, slot: Slot, weight: u64) -> Access {
        self.tick += 1;
        Access { id: mix(u64::from(slot)), tick: self.tick, weight, next: NEVER, context: NO_CONTEXT }
    }

    /// Accesses slot `slot`, which always holds the same key.
    fn touch(&mut self, slot: Slot, weight: u64) {
        let access = self.access(slot, weight);
        if self.resident.contains(&slot) {
            self.policy.hit(slot, &access);
        } else {
            self.policy.miss(&access);
            self.policy.insert(slot, &access);
            self.resident.insert(slot);
        }
    }

    fn remove(&mut self, slot: Slot) {
        if self.resident.remove(&slot) {
            self.policy.remove(slot);
        }
    }

    /// Evicts until nothing is left; a policy may turn the incoming key away, but not when asked again.
    fn drain(&mut self) {
        let incoming = self.access(1000, 1);
        self.policy.miss(&incoming);
        while !self.resident.is_empty() {
            let asked = self.policy.evict(&incoming);
            let slot = asked.or_else(|| self.policy.evict(&incoming)).expect("a key is turned away once");
            assert!(self.resident.remove(&slot), "slot {slot} is not resident");
        }
    }
}

/// Most hits of any policy that admits every key: tries all evictions.
fn optimum(keys: &[u64], capacity: usize) -> usize {
    fn best(keys: &[u64], capacity: usize, resident: &BTreeSet<u64>) -> usize {
        let Some((key, rest)) = keys.split_first() else { return 0 };
        if resident.contains(key) {
            return 1 + best(rest, capacity, resident);
        }
        let with = |without: Option<&u64>| {
            let kept = resident.iter().filter(|other| Some(*other) != without);
            best(rest, capacity, &kept.chain([key]).copied().collect())
        };
        if resident.len() < capacity {
            return with(None);
        }
        resident.iter().map(|victim| with(Some(victim))).max().unwrap_or(0)
    }
    best(keys, capacity, &BTreeSet::new())
}

/// Hits of one who may turn keys away: of the residents and the key asked for, the one needed last leaves.
fn foresight(keys: &[u64], capacity: usize) -> usize {
    let mut resident = BTreeSet::new();
    let hit = |(at, key): (usize, &u64)| {
        let hit = !resident.insert(*key);
        if resident.len() > capacity {
            let next = |key: &&u64| keys[at + 1..].iter().position(|other| other == *key).unwrap_or(usize::MAX);
            let last = *resident.iter().max_by_key(next).expect("not empty");
            resident.remove(&last);
        }
        hit
    };
    keys.iter().enumerate().map(hit).filter(|hit| *hit).count()
}

proptest! {
    #[test]
    fn weight_never_exceeds_capacity(capacity in 1..40u64, events in events()) {
        for known in POLICIES {
            let mut shop = Shop::new(known.name, capacity);
            for event in &events {
                shop.apply(event);
                prop_assert!(shop.store.used() <= capacity, "{} after {event:?}", known.name);
            }
            let weigh = |id, key| shop.store.peek(id, 0, |other| *other == key).expect("resident").weight;
            let total: u64 = shop.store.iter(0).map(|entry| weigh(entry.id, entry.key)).sum();
            prop_assert_eq!(total, shop.store.used(), "{}", known.name);
        }
    }

    #[test]
    fn policies_give_up_exactly_the_resident_slots(
        capacity in 1..40u64,
        steps in prop::collection::vec((0..20u32, 1..9u64, 0..6u8), 1..100),
    ) {
        for known in POLICIES {
            let mut driver = Driver::new(known.name, capacity);
            for &(slot, weight, kind) in &steps {
                match kind {
                    0 => driver.remove(slot),
                    1 => driver.touch(slot, weight),
                    _ => driver.touch(slot, 1),
                }
                if slot == 0 && kind == 0 {
                    driver.drain();
                }
            }
            driver.drain();
        }
    }

    #[test]
    fn no_policy_beats_min(capacity in 1..20u64, keys in keys(30, 300)) {
        for known in POLICIES {
            let best = match known.name {
                "learned" => foresight(&keys, capacity as usize), // turns keys away, which MIN does not
                _ => count(&hits("min", capacity, &keys)),
            };
            prop_assert!(count(&hits(known.name, capacity, &keys)) <= best, "{}", known.name);
        }
    }

    #[test]
    fn min_is_the_optimum(capacity in 1..4usize, keys in keys(6, 12)) {
        prop_assert_eq!(count(&hits("min", capacity as u64, &keys)), optimum(&keys, capacity));
    }

    #[test]
    fn the_same_trace_and_seed_give_the_same_hits(capacity in 1..20u64, keys in keys(40, 300)) {
        for known in POLICIES {
            prop_assert_eq!(hits(known.name, capacity, &keys), hits(known.name, capacity, &keys), "{}", known.name);
        }
    }

    #[test]
    fn what_fits_is_never_evicted(keys in keys(12, 200)) {
        for known in POLICIES {
            let distinct = keys.iter().collect::<BTreeSet<_>>().len();
            prop_assert_eq!(count(&hits(known.name, 12, &keys)), keys.len() - distinct, "{}", known.name);
        }
    }
}

#[test]
fn every_name_builds_and_the_future_is_refused_where_it_is_unknown() {
    let build = |name: &str| Store::<u64, ()>::build(name, &setting(1), None).map(|_| ());
    for known in POLICIES {
        assert_eq!(build(known.name), if known.needs_oracle { Err(Error::OracleMissing) } else { Ok(()) });
    }
    assert_eq!(build("clock"), Err(Error::UnknownPolicy("clock".into())));
}
