//! Generated workloads: the kinds of traffic a cache may meet, each with random parameters; of these the prior is learned.
//! Models after Breslau et al., "Web caching and Zipf-like distributions", INFOCOM 1999 (popularity), Almeida et al.,
//! "Characterizing reference locality in the WWW", PDIS 1996 (stack model) and Denning, "The working set model", 1968 (phases).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use forecache_core::access::mix;

use crate::dice::Dice;

type Generate = fn(&mut Dice, usize) -> Vec<u64>;

/// Name and generator of each kind.
pub const KINDS: &[(&str, Generate)] = &[
    ("zipf", zipf),
    ("drift", drift),
    ("scans", scans),
    ("loops", loops),
    ("phases", phases),
    ("stack", stack),
    ("renewal", renewal),
    ("flash", flash),
    ("cohorts", cohorts),
    ("fan_out", fan_out),
    ("sessions", sessions),
    ("news", news),
    ("runs", runs),
    ("mixture", mixture),
];

/// Independent accesses.
fn zipf(dice: &mut Dice, length: usize) -> Vec<u64> {
    let (count, exponent) = (dice.log_between(5e3, 1e5) as usize, dice.between(0.6, 1.2));
    (0..length).map(|_| dice.zipf(count, exponent) as u64).collect()
}

/// Independent accesses whose popularity changes bit by bit.
fn drift(dice: &mut Dice, length: usize) -> Vec<u64> {
    let (count, exponent) = (dice.log_between(5e3, 5e4) as usize, dice.between(0.6, 1.1));
    let every = dice.log_between(2.0, 200.0);
    let mut keys: Vec<u64> = (0..count as u64).collect();
    let mut fresh = count as u64;
    let step = |_| {
        if dice.chance(1.0 / every) {
            let rank = dice.zipf(count, 0.5);
            if dice.chance(0.5) {
                keys[rank] = fresh;
                fresh += 1;
            } else {
                let other = dice.below(count);
                keys.swap(rank, other);
            }
        }
        keys[dice.zipf(count, exponent)]
    };
    (0..length).map(step).collect()
}

/// Popular keys, now and then a scan over keys that are new or were scanned before.
fn scans(dice: &mut Dice, length: usize) -> Vec<u64> {
    let (count, exponent) = (dice.log_between(2e3, 3e4) as usize, dice.between(0.7, 1.1));
    let (mean, gap) = (dice.log_between(50.0, 5e3), dice.log_between(200.0, 2e4));
    let (again, scanned) = (dice.between(0.0, 1.0), dice.log_between(1e4, 1e5) as u64);
    let mut keys = Vec::with_capacity(length);
    let mut fresh = 1u64 << 32;
    while keys.len() < length {
        keys.extend((0..=dice.exponential(gap) as usize).map(|_| dice.zipf(count, exponent) as u64));
        let size = dice.exponential(mean) as u64 + 1;
        let repeated = dice.chance(again);
        let start = if repeated { (1 << 31) + dice.below(scanned as usize) as u64 } else { fresh };
        keys.extend(start..start + size);
        fresh += if repeated { 0 } else { size };
    }
    keys
}

/// Loops of several lengths that take turns, with other accesses between.
fn loops(dice: &mut Dice, length: usize) -> Vec<u64> {
    let sizes: Vec<u64> = (0..=dice.below(4)).map(|_| dice.log_between(50.0, 2e4) as u64).collect();
    let (noise, turn) = (dice.between(0.0, 0.4), dice.log_between(100.0, 3e4));
    let mut at = vec![0u64; sizes.len()];
    let mut keys = Vec::with_capacity(length);
    while keys.len() < length {
        let which = dice.below(sizes.len());
        for _ in 0..=dice.exponential(turn) as usize {
            at[which] = (at[which] + 1) % sizes[which];
            keys.push(((which as u64 + 1) << 32) + at[which]);
            if dice.chance(noise) {
                keys.push(dice.zipf(20_000, 0.8) as u64);
            }
        }
    }
    keys
}

/// A working set that is exchanged, in part, at every change of phase.
fn phases(dice: &mut Dice, length: usize) -> Vec<u64> {
    let (exponent, kept) = (dice.between(0.0, 1.0), dice.between(0.0, 0.9));
    let (size, phase) = (dice.log_between(200.0, 1e4), dice.log_between(1e3, 5e4));
    let mut set: Vec<u64> = Vec::new();
    let mut keys = Vec::with_capacity(length);
    let mut fresh = 0;
    while keys.len() < length {
        set.retain(|_| dice.chance(kept));
        for _ in set.len()..dice.exponential(size) as usize + 20 {
            let key = if dice.chance(0.2) { dice.below(fresh as usize + 1) as u64 } else { fresh };
            fresh += 1;
            set.push(key);
        }
        keys.extend((0..=dice.exponential(phase) as usize).map(|_| set[dice.zipf(set.len(), exponent)]));
    }
    keys
}

/// The stack model: the depth of the next access in the list of keys by recency is log-normal.
fn stack(dice: &mut Dice, length: usize) -> Vec<u64> {
    let (median, sigma, new) = (dice.log_between(20.0, 3e3), dice.between(0.8, 2.5), dice.between(0.02, 0.5));
    let mut recent: Vec<u64> = Vec::new();
    let step = |at: usize| {
        let depth = dice.log_normal(median, sigma) as usize;
        let known = depth < recent.len() && !dice.chance(new);
        let key = if known { recent.remove(recent.len() - 1 - depth) } else { at as u64 };
        recent.push(key);
        if recent.len() > 100_000 {
            recent.drain(..20_000);
        }
        key
    };
    (0..length).map(step).collect()
}

/// Each key returns after gaps of its own law: periodic, random or in bursts, a random number of times.
fn renewal(dice: &mut Dice, length: usize) -> Vec<u64> {
    let laws: Vec<(f64, f64, f64)> = (0..2 + dice.below(5))
        .map(|_| (dice.log_between(30.0, 5e4), dice.between(0.05, 2.5), dice.log_between(1.0, 100.0)))
        .collect();
    let mut due: BinaryHeap<Reverse<(u64, u64)>> = BinaryHeap::new();
    let mut keys = Vec::with_capacity(length);
    let mut fresh = 0u64;
    while keys.len() < length {
        let now = keys.len() as u64;
        let key = match due.peek() {
            Some(&Reverse((time, key))) if time <= now => {
                due.pop();
                key
            }
            _ => {
                fresh += 1;
                fresh
            }
        };
        let (median, sigma, returns) = laws[(mix(key) % laws.len() as u64) as usize];
        if !dice.chance(1.0 / (1.0 + returns)) {
            due.push(Reverse((now + 1 + dice.log_normal(median, sigma) as u64, key)));
        }
        keys.push(key);
    }
    keys
}

/// A shop: steady demand, and sales that make a few keys hot at once and fade.
fn flash(dice: &mut Dice, length: usize) -> Vec<u64> {
    let (count, exponent) = (dice.log_between(5e3, 5e4) as usize, dice.between(0.6, 1.0));
    let (every, fade) = (dice.log_between(2e3, 3e4), dice.log_between(1e3, 3e4));
    let size = dice.log_between(5.0, 500.0) as usize;
    let (mut start, mut first) = (f64::MIN, 0);
    let step = |at: usize| {
        if dice.chance(1.0 / every) {
            (start, first) = (at as f64, dice.below(count));
        }
        let heat = 0.7 * (-(at as f64 - start) / fade).exp();
        let rank = if dice.chance(heat) { first + dice.zipf(size, 0.7) } else { dice.zipf(count, exponent) };
        mix(rank as u64)
    };
    (0..length).map(step).collect()
}

/// Cohorts of keys born together, used more and more until a common deadline, then never.
fn cohorts(dice: &mut Dice, length: usize) -> Vec<u64> {
    let (active, size) = (1 + dice.below(12), dice.log_between(30.0, 3e3) as usize);
    let (life, steep) = (dice.log_between(3e3, 6e4), dice.between(0.0, 4.0));
    let mut cohorts: Vec<(u64, f64, f64)> = (0..active).map(|at| (at as u64, 0.0, dice.exponential(life))).collect();
    let mut fresh = active as u64;
    let mut keys = Vec::with_capacity(length);
    while keys.len() < length {
        let which = dice.below(active);
        let (cohort, born, deadline) = cohorts[which];
        let now = keys.len() as f64;
        if now > deadline {
            cohorts[which] = (fresh, now, now + dice.exponential(life));
            fresh += 1;
        } else if dice.chance(((now - born) / (deadline - born)).powf(steep)) {
            keys.push((cohort << 32) + dice.zipf(size, 0.5) as u64);
        } else if dice.chance(0.2) {
            keys.push(u64::MAX - dice.zipf(20_000, 0.8) as u64);
        }
    }
    keys
}

/// Requests that touch a root and, always in the same order, what belongs to it; some of that is shared.
fn fan_out(dice: &mut Dice, length: usize) -> Vec<u64> {
    let (roots, exponent) = (dice.log_between(300.0, 1e4) as usize, dice.between(0.4, 1.1));
    let (width, shared) = (dice.log_between(2.0, 30.0) as u64, dice.between(0.0, 0.5));
    let (every, jitter) = (dice.log_between(20.0, 2e3), dice.between(0.0, 0.3));
    let mut born = vec![0u64; roots];
    let mut keys = Vec::with_capacity(length);
    while keys.len() < length {
        let root = dice.zipf(roots, exponent);
        if dice.chance(1.0 / every) {
            born[root] += 1;
        }
        for part in 0..=mix(root as u64) % width {
            let own = ((root as u64) << 32) + (born[root] << 16) + part;
            let is_shared = (mix(own) >> 40) as f64 / f64::from(1 << 24) < shared;
            if !dice.chance(jitter) {
                keys.push(if is_shared { u64::MAX - mix(own) % 3_000 } else { own });
            }
        }
    }
    keys
}

/// Visitors who look at a few pages of their own again and again, and at popular ones, and leave.
fn sessions(dice: &mut Dice, length: usize) -> Vec<u64> {
    let (active, pages) = (dice.log_between(5.0, 3e3) as usize, 1 + dice.below(8));
    let (steps, popular) = (dice.log_between(3.0, 60.0), dice.between(0.0, 0.8));
    let (count, exponent) = (dice.log_between(1e3, 5e4) as usize, dice.between(0.6, 1.2));
    let returning = dice.between(0.0, 0.8);
    let mut visitors: Vec<u64> = (0..active as u64).collect();
    let mut fresh = active as u64;
    let step = |_| {
        let which = dice.below(active);
        if dice.chance(1.0 / steps) {
            visitors[which] = if dice.chance(returning) { dice.below(fresh as usize) as u64 } else { fresh };
            fresh += 1;
        }
        if dice.chance(popular) {
            u64::MAX - dice.zipf(count, exponent) as u64
        } else {
            (visitors[which] << 8) + dice.zipf(pages, 0.8) as u64
        }
    };
    (0..length).map(step).collect()
}

/// Articles: what was published last is read most.
fn news(dice: &mut Dice, length: usize) -> Vec<u64> {
    let (every, exponent) = (dice.log_between(2.0, 100.0), dice.between(0.7, 1.6));
    let mut published = 20_000usize;
    let step = |_| {
        published += usize::from(dice.chance(1.0 / every));
        (published - 1 - dice.zipf(20_000, exponent)) as u64
    };
    (0..length).map(step).collect()
}

/// Blocks: several streams read runs, of which some are popular and some are read over and over.
fn runs(dice: &mut Dice, length: usize) -> Vec<u64> {
    let (files, exponent) = (dice.log_between(100.0, 1e4) as usize, dice.between(0.0, 1.2));
    let (mean, streams) = (dice.log_between(4.0, 2e3), 1 + dice.below(6));
    let repeat = dice.between(0.0, 0.5);
    let mut open = vec![(0u64, 0u64, 0u64); streams];
    let mut keys = Vec::with_capacity(length);
    while keys.len() < length {
        let stream = &mut open[dice.below(streams)];
        let (file, at, end) = *stream;
        if at < end {
            keys.push((file << 24) + at);
            stream.1 += 1;
        } else if dice.chance(repeat) {
            stream.1 = 0;
        } else {
            let file = dice.zipf(files, exponent) as u64;
            let size = (mean * (0.05 - (mix(file) >> 11) as f64 / (1u64 << 53) as f64).abs() * 3.0) as u64 + 1;
            *stream = (file, if dice.chance(0.7) { 0 } else { dice.below(size as usize) as u64 }, size);
        }
    }
    keys
}

/// Two to four kinds side by side, in shares that change from time to time.
fn mixture(dice: &mut Dice, length: usize) -> Vec<u64> {
    let parts: Vec<Vec<u64>> =
        (0..2 + dice.below(3)).map(|_| KINDS[dice.below(KINDS.len() - 1)].1(dice, length)).collect();
    let every = dice.log_between(1e3, 1e5);
    let mut at = vec![0; parts.len()];
    let mut shares: Vec<f64> = parts.iter().map(|_| dice.share()).collect();
    let step = |_| {
        if dice.chance(1.0 / every) {
            let which = dice.below(parts.len());
            shares[which] = dice.share().powi(2);
        }
        let which = dice.pick(&shares);
        at[which] += 1;
        mix(parts[which][(at[which] - 1) % parts[which].len()]) ^ which as u64
    };
    (0..length).map(step).collect()
}
