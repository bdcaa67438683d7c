//! The echo of recent accesses: what was accessed just before a key, some time ago, tells that the key is due
//! when it has been accessed again.
//! After Yang et al., "MITHRIL: mining sporadic associations for cache prefetching", `SoCC` 2017.

use crate::line::Time;
use crate::memory::count_memory;
use crate::prefetch::prefetch;

/// In place of a time: there was no access since.
pub const NOT_AGAIN: Time = 0;
/// In place of a time: too long ago to know.
pub const FORGOTTEN: Time = 1;

/// For each recent access when the same key was accessed next; a ring over time.
pub struct Echo {
    next: Vec<Time>,
    now: Time,
}

count_memory!(Echo []: next);

impl Echo {
    /// Remembers at least the last `length` accesses.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self { next: vec![NOT_AGAIN; length.next_power_of_two()], now: 0 }
    }

    /// Remembers at least the last `length` accesses from now on, and what is remembered already.
    pub fn grow(&mut self, length: usize) {
        if length <= self.next.len() {
            return;
        }
        let mut grown = Self { now: self.now, ..Self::new(length) };
        for back in 0..(self.next.len() as Time).min(self.now) {
            let time = self.now - back;
            let at = grown.index(time);
            grown.next[at] = self.next[self.index(time)];
        }
        *self = grown;
    }

    /// Notes an access at `now`, one after the last, to a key last accessed at `last`.
    #[inline]
    pub fn access(&mut self, now: Time, last: Option<Time>) {
        self.now = now;
        let at = self.index(now);
        self.next[at] = NOT_AGAIN;
        if let Some(last) = last.filter(|&last| self.remembers(last)) {
            let at = self.index(last);
            self.next[at] = now;
        }
    }

    /// When the key accessed at `time` was accessed next.
    #[inline]
    #[must_use]
    pub fn after(&self, time: Time) -> Time {
        let next = self.next[self.index(time)];
        if self.remembers(time) { next } else { FORGOTTEN }
    }

    /// What follows `time` will be asked for soon.
    #[inline]
    pub fn expect(&self, time: Time) {
        prefetch(&self.next[self.index(time)]);
    }

    #[inline]
    fn index(&self, time: Time) -> usize {
        time as usize & (self.next.len() - 1)
    }

    #[inline]
    fn remembers(&self, time: Time) -> bool {
        (self.now.wrapping_sub(time) as usize) < self.next.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_next_access_of_a_recent_one_also_after_growing() {
        let mut echo = Echo::new(8);
        for now in 10..20 {
            echo.access(now, (now == 19).then_some(14));
        }
        for _ in 0..2 {
            assert_eq!(echo.after(14), 19);
            assert_eq!(echo.after(15), NOT_AGAIN);
            echo.grow(16);
        }
        assert_eq!(Echo::new(8).after(Time::MAX / 2), FORGOTTEN);
    }
}
