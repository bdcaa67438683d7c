//! What requests cost in caches of a given size, and what learning keeps there: a store that is full, under keys drawn
//! by popularity, a Zipf law of exponent 0.8, half of which drift. The arguments are entries, a policy and requests; it
//! prints nanoseconds per request, those of the slowest thousand, the hit ratio, and bytes for learning per entry.
//! Times are those of this thread alone, as Linux counts them; learning has a thread of its own.

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs};

use forecache_core::access::mix;
use forecache_core::chance::Chance;
use forecache_core::context::NO_CONTEXT;
use forecache_core::policy::Setting;
use forecache_core::removed::Removals;
use forecache_core::staleness::Lifetime;
use forecache_core::store::{Accept, Arrival, Store};

/// Keys per entry.
const KEYS: f64 = 10.0;
/// 1 / (1 - exponent) of the law of Zipf.
const POWER: i32 = 5;
/// Requests after which all that drifts has moved by one key.
const DRIFT: u64 = 20;
/// Requests between two looks at the clock.
const CHUNK: u64 = 1000;

struct Traffic {
    chance: Chance,
    keys: f64,
    at: u64,
}

impl Traffic {
    /// The next key: a rank, which for half of the requests is that of a window on the move.
    fn key(&mut self) -> u64 {
        self.at += 1;
        let rank = (self.keys * self.chance.draw().powi(POWER)) as u64;
        if self.chance.bits() & 1 == 0 { rank } else { (1 << 40) + rank + self.at / DRIFT }
    }
}

fn request(store: &mut Store<u64, ()>, key: u64, removed: &mut Removals<u64, ()>) {
    let id = mix(key);
    if store.get(id, 0, Accept::Fresh, |&other| other == key).is_none() {
        let lifetime = Lifetime::IMMORTAL;
        let (weight, context) = (NonZeroU64::MIN, NO_CONTEXT);
        let arrival = Arrival { id, key, value: (), weight, lifetime, context, tags: Box::default() };
        store.put(arrival, 0, |&other| other == key, removed);
        removed.clear();
    }
}

/// Nanoseconds that this thread has run.
fn now(start: Instant) -> u64 {
    let counted = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let running = counted.and_then(|line| line.split(' ').next()?.parse().ok());
    running.unwrap_or_else(|| start.elapsed().as_nanos() as u64)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [entries, policy, requests] = &arguments[..] else {
        eprintln!("expected entries, a policy and requests: 30000 learned 1000000");
        return ExitCode::from(2);
    };
    let (Ok(entries), Ok(requests)) = (entries.parse::<u64>(), requests.parse::<u64>()) else {
        eprintln!("entries and requests are numbers, not '{entries}' and '{requests}'");
        return ExitCode::from(2);
    };
    let mut store = match Store::build(policy, &Setting::new(entries, 1), None) {
        Ok(store) => store,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    store.learn_elsewhere();
    measure(&mut store, entries, requests);
    ExitCode::SUCCESS
}

fn measure(store: &mut Store<u64, ()>, entries: u64, requests: u64) {
    let mut traffic = Traffic { chance: Chance::new(7), keys: entries as f64 * KEYS, at: 0 };
    let mut removed = Removals::default();
    for at in 0..entries {
        request(store, if at & 1 == 0 { at } else { (1 << 40) + at }, &mut removed);
    }
    for _ in 0..requests {
        let key = traffic.key();
        request(store, key, &mut removed);
    }
    let (start, before) = (Instant::now(), (store.stats().hits, store.stats().misses));
    let (mut total, mut slowest, mut keys) = (0, 0, Vec::new());
    for _ in 0..requests / CHUNK {
        keys.clear();
        keys.extend((0..CHUNK).map(|_| traffic.key()));
        let began = now(start);
        for &key in &keys {
            request(store, key, &mut removed);
        }
        let took = now(start) - began;
        total += took;
        slowest = slowest.max(took);
    }
    let (hits, misses) = (store.stats().hits - before.0, store.stats().misses - before.1);
    let memory = store.learner().map_or(0, |learner| learner.learning().memory);
    println!(
        "{:.1} {:.1} {:.4} {:.1}",
        total as f64 / (hits + misses) as f64,
        slowest as f64 / CHUNK as f64,
        hits as f64 / (hits + misses) as f64,
        memory as f64 / entries as f64
    );
}
