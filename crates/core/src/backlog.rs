//! Hits that a policy has been told of and not yet taken note of. What a hit changes is read when somebody has to leave,
//! so that it can wait until then, or until there are so many: noted together, they wait for main memory together.

use crate::access::Slot;

/// Hits that wait at most.
const MOST: usize = 64;

/// One of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hit {
    /// Who was asked for.
    pub slot: Slot,
    /// Its weight.
    pub weight: u64,
}

/// Hits in their order.
pub struct Backlog {
    hits: [Hit; MOST],
    len: usize,
}

impl Default for Backlog {
    fn default() -> Self {
        Self { hits: [Hit::default(); MOST], len: 0 }
    }
}

impl Backlog {
    /// Adds a hit; true when there is no room for another.
    #[inline(always)]
    pub fn add(&mut self, hit: Hit) -> bool {
        self.hits[self.len % MOST] = hit;
        self.len += 1;
        self.len >= MOST
    }

    /// Whether none waits.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of hits that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The hit after so many others.
    #[inline(always)]
    pub fn at(&self, at: usize) -> Hit {
        self.hits[at % MOST]
    }

    /// All have been noted.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_kept_in_their_order_until_there_is_no_room() {
        let mut backlog = Backlog::default();
        for round in 0..2u32 {
            let room = (0..1000).find(|&at| backlog.add(Hit { slot: round + at, weight: u64::from(at) }));
            assert_eq!((room, backlog.len()), (Some(MOST as u32 - 1), MOST));
            assert!((0..MOST).all(|at| backlog.at(at) == Hit { slot: round + at as u32, weight: at as u64 }));
            backlog.clear();
            assert!(backlog.is_empty());
        }
    }
}
