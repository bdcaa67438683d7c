//! The departed: lines of keys that are no longer resident, as far as there is room.

use crate::chance::Chance;
use crate::line::{Line, Time};
use crate::memory::count_memory;
use crate::prefetch::prefetch;

/// Ghosts that share a place; the one longest unused makes room.
const WAYS: usize = 4;

/// Lines of keys that share a place, in two cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Set([Line; WAYS]);

/// Lines of keys, in sets found by key.
pub struct Departed(Vec<Set>);

count_memory!(Departed []: 0);

impl Departed {
    /// Room for so many.
    pub fn new(count: usize) -> Self {
        Self(vec![Set([Line::VACANT; WAYS]); count.div_ceil(WAYS)])
    }

    fn place(&self, print: u32) -> usize {
        ((u64::from(print) * self.0.len() as u64) >> 32) as usize
    }

    fn set(&mut self, print: u32) -> &mut [Line; WAYS] {
        let at = self.place(print);
        &mut self.0[at].0
    }

    /// The line of a key, to change.
    pub fn find(&mut self, print: u32) -> Option<&mut Line> {
        self.set(print).iter_mut().find(|line| line.print == print && !line.is_vacant())
    }

    /// Keeps a line, in the place of the one of its set that was not accessed for longest.
    pub fn put(&mut self, line: Line, now: Time) {
        let idle = |line: &&mut Line| if line.is_vacant() { Time::MAX } else { now.wrapping_sub(line.last) };
        *self.set(line.print).iter_mut().max_by_key(idle).expect("sets are not empty") = line;
    }

    /// The line of a key will be looked for, or put, soon.
    pub fn expect(&self, print: u32) {
        let [first, _, third, _] = &self.0[self.place(print)].0;
        prefetch(first);
        prefetch(third);
    }

    /// Room for at least so many from now on.
    pub fn grow(&mut self, count: usize, now: Time) {
        if count.div_ceil(WAYS) > self.0.len() {
            let old = std::mem::replace(self, Self::new(count));
            for line in old.0.into_iter().flat_map(|set| set.0).filter(|line| !line.is_vacant()) {
                self.put(line, now);
            }
        }
    }

    /// The line of a key.
    pub fn look(&self, print: u32) -> Option<&Line> {
        self.0[self.place(print)].0.iter().find(|line| line.print == print && !line.is_vacant())
    }

    /// Some line, if chance finds one.
    pub fn draw(&mut self, chance: &mut Chance) -> Option<Line> {
        let line = self.set(chance.bits() as u32)[chance.below(WAYS)];
        (!line.is_vacant()).then_some(line)
    }
}
