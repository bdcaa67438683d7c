//! How old an entry is: fresh, due for an early refresh, stale, or expired.

use crate::access::{Nanos, Slot};
use crate::heap::SlotHeap;
use crate::memory::count_memory;

/// A moment that never comes.
pub const FOREVER: Nanos = Nanos::MAX;

/// Strength of early refresh; above 1 refreshes earlier.
/// Vattani, Chierichetti & Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015: optimal at 1.
pub const EARLY_REFRESH_BETA: f64 = 1.0;

/// When an entry was stored, and how it ages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// When the value was stored.
    pub stored_at: Nanos,
    /// From here on it is stale.
    pub fresh_until: Nanos,
    /// From here on it must not be served at all; not before `fresh_until`.
    pub expires_at: Nanos,
    /// How long the origin took to produce it; 0 when unknown, and then it is never refreshed early.
    pub load_time: Nanos,
}

impl Lifetime {
    /// The lifetime of entries that never age.
    pub const IMMORTAL: Self = Self { stored_at: 0, fresh_until: FOREVER, expires_at: FOREVER, load_time: 0 };
}

/// How values age unless told otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Aging {
    /// How long they are fresh; [`FOREVER`] when they do not age.
    pub ttl: Nanos,
    /// How long after that they may still be served while a refresh runs.
    pub stale_ttl: Nanos,
    /// Share of the ttl, in [0, 1), by which chance shortens it, so that what was stored together does not
    /// expire together.
    pub jitter: f64,
}

impl Aging {
    /// The lifetime of a value stored at `now`; `chance` is uniform in (0, 1].
    pub fn lifetime(&self, now: Nanos, load_time: Nanos, chance: impl FnOnce() -> f64) -> Lifetime {
        if self.ttl == FOREVER {
            return Lifetime::IMMORTAL;
        }
        let ttl =
            if self.jitter > 0.0 { (self.ttl as f64 * (1.0 - self.jitter * chance())) as Nanos } else { self.ttl };
        let fresh_until = now.saturating_add(ttl.max(1));
        Lifetime { stored_at: now, fresh_until, expires_at: fresh_until.saturating_add(self.stale_ttl), load_time }
    }
}

/// What an entry's age allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Serve it.
    Fresh,
    /// Serve it, and refresh it before it becomes stale.
    Early,
    /// Serve it only where staleness is accepted, and refresh it.
    Stale,
    /// Do not serve it.
    Expired,
}

/// Judges an entry at `now`. `chance` is uniform in (0, 1] and spreads early refreshes (XFetch):
/// refresh early ⇔ `now − load_time · β · ln(chance) ≥ fresh_until`.
#[must_use]
pub fn judge(lifetime: &Lifetime, now: Nanos, chance: impl FnOnce() -> f64) -> Freshness {
    if now >= lifetime.expires_at {
        Freshness::Expired
    } else if now >= lifetime.fresh_until {
        Freshness::Stale
    } else if lifetime.load_time > 0
        && -(lifetime.load_time as f64) * EARLY_REFRESH_BETA * chance().ln() >= (lifetime.fresh_until - now) as f64
    {
        Freshness::Early
    } else {
        Freshness::Fresh
    }
}

/// The lifetimes of slots; empty and free of charge while no entry ages.
#[derive(Default)]
pub struct Lifetimes {
    /// As long as the highest slot that was ever given a lifetime; the rest are immortal.
    of: Vec<Lifetime>,
    deadlines: SlotHeap,
}

count_memory!(Lifetimes []: of, deadlines);

impl Lifetimes {
    /// The lifetime of a slot.
    #[inline]
    pub fn get(&self, slot: Slot) -> Option<&Lifetime> {
        self.of.get(slot as usize)
    }

    /// Whether `slot` is fresh at `now`.
    #[inline]
    pub fn is_fresh(&self, slot: Slot, now: Nanos) -> bool {
        self.get(slot).is_none_or(|lifetime| now < lifetime.fresh_until)
    }

    /// Whether `slot` must not be served at `now`.
    #[inline]
    pub fn is_expired(&self, slot: Slot, now: Nanos) -> bool {
        self.get(slot).is_some_and(|lifetime| now >= lifetime.expires_at)
    }

    /// Gives `slot` a lifetime.
    pub fn set(&mut self, slot: Slot, lifetime: Lifetime) {
        if lifetime.expires_at == FOREVER && lifetime.fresh_until == FOREVER {
            return self.forget(slot);
        }
        let index = slot as usize;
        if index >= self.of.len() {
            self.of.resize(index + 1, Lifetime::IMMORTAL);
        }
        self.of[index] = lifetime;
        self.deadlines.set(slot, lifetime.expires_at);
    }

    /// Makes `slot` immortal.
    pub fn forget(&mut self, slot: Slot) {
        if let Some(lifetime) = self.of.get_mut(slot as usize) {
            *lifetime = Lifetime::IMMORTAL;
            self.deadlines.remove(slot);
        }
    }

    /// The slot that expired first, if any has expired by `now`.
    pub fn first_expired(&self, now: Nanos) -> Option<Slot> {
        self.deadlines.peek().filter(|&(expires_at, _)| expires_at <= now).map(|(_, slot)| slot)
    }
}
