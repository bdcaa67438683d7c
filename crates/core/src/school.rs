//! When a lesson is learned, and from when on what was learned counts: on the spot; elsewhere, when that is done; or at
//! the turns that an earlier timetable names, which repeats what happened then.

use std::thread;

use crate::apprentice::Apprentice;
use crate::memory::count_memory;

/// Lessons that a timetable holds at most; those after it cannot be repeated.
const MOST_LESSONS: usize = 1 << 16;
/// The turn that never comes.
pub const NEVER: u64 = u64::MAX;

/// The turns of one lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// When it began.
    pub begun: u64,
    /// From when on it counted, or [`NEVER`].
    pub used: u64,
}

enum Way<T> {
    OnTheSpot,
    /// On the spot, but the work is done by a thread of its own.
    Aside,
    Never,
    Elsewhere(Apprentice<T>),
    AsBefore {
        next: usize,
        learned: Option<T>,
    },
}

/// Where things of type `T` are learned; its owner says when a turn comes.
pub struct School<T> {
    way: Way<T>,
    turn: u64,
    timetable: Vec<Lesson>,
}

count_memory!(School<T> [T]: timetable);

impl<T> Default for School<T> {
    fn default() -> Self {
        Self { way: Way::OnTheSpot, turn: 0, timetable: Vec::new() }
    }
}

impl<T: Send + Sync + 'static> School<T> {
    /// Nobody waits for what is learned.
    pub fn elsewhere() -> Self {
        Self { way: Way::Elsewhere(Apprentice::default()), ..Self::default() }
    }

    /// Whoever asks waits for another thread.
    pub fn aside() -> Self {
        Self { way: Way::Aside, ..Self::default() }
    }

    /// Nothing is ever learned.
    pub fn closed() -> Self {
        Self { way: Way::Never, ..Self::default() }
    }

    /// Everything is learned, and counts, when it did before.
    pub fn as_before(timetable: Vec<Lesson>) -> Self {
        Self { way: Way::AsBefore { next: 0, learned: None }, turn: 0, timetable }
    }

    /// What happened so far.
    pub fn timetable(&self) -> &[Lesson] {
        &self.timetable
    }

    /// The thread that learns, if there is one.
    pub fn apprentice(&self) -> Option<&Apprentice<T>> {
        if let Way::Elsewhere(apprentice) = &self.way { Some(apprentice) } else { None }
    }

    /// A turn comes; returns what counts from now on.
    pub fn turn(&mut self) -> Option<T> {
        self.turn += 1;
        match &mut self.way {
            Way::OnTheSpot | Way::Aside | Way::Never => None,
            Way::Elsewhere(apprentice) => {
                let learned = apprentice.fetch()?;
                if let Some(lesson) = self.timetable.last_mut().filter(|lesson| lesson.used == NEVER) {
                    lesson.used = self.turn;
                }
                Some(learned)
            }
            Way::AsBefore { next, learned } => {
                let is_due = self.timetable.get(*next).is_some_and(|lesson| lesson.used == self.turn);
                *next += usize::from(is_due);
                if is_due { learned.take() } else { None }
            }
        }
    }

    /// Whether a lesson may begin at this turn.
    pub fn is_free(&mut self) -> bool {
        match &mut self.way {
            Way::OnTheSpot | Way::Aside => true,
            Way::Never => false,
            Way::Elsewhere(apprentice) => apprentice.is_free(),
            Way::AsBefore { next, .. } => self.timetable.get(*next).is_some_and(|lesson| lesson.begun == self.turn),
        }
    }

    /// A lesson begins; returns what was learned if it counts at once.
    pub fn teach(&mut self, lesson: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        match &mut self.way {
            Way::OnTheSpot => return Some(lesson()),
            Way::Aside => return thread::scope(|scope| scope.spawn(lesson).join()).ok(),
            Way::Never => (),
            Way::Elsewhere(apprentice) => {
                if self.timetable.len() < MOST_LESSONS {
                    self.timetable.push(Lesson { begun: self.turn, used: NEVER });
                }
                apprentice.start(lesson);
            }
            Way::AsBefore { next, learned } => match self.timetable.get(*next) {
                Some(Lesson { used: NEVER, .. }) => *next += 1, // nothing came of it
                _ => *learned = Some(lesson()),
            },
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns until `number` was learned and counts.
    fn learn(school: &mut School<u32>, number: u32) -> Option<u32> {
        (school.is_free().then(|| school.teach(move || number)).flatten())
            .or_else(|| (0..9).find_map(|_| school.turn()))
    }

    #[test]
    fn on_the_spot_what_is_learned_counts_at_once() {
        let mut school = School::default();
        assert_eq!((school.turn(), school.is_free(), school.teach(|| 7)), (None, true, Some(7)));
        assert_eq!(school.turn(), None);
    }

    #[test]
    fn as_before_lessons_begin_and_count_at_their_turns() {
        let timetable =
            vec![Lesson { begun: 0, used: 3 }, Lesson { begun: 3, used: NEVER }, Lesson { begun: 4, used: 5 }];
        let mut school = School::as_before(timetable);
        assert!(school.is_free() && school.teach(|| 1).is_none());
        assert_eq!([(); 3].map(|()| school.turn()), [None, None, Some(1)]);
        assert!(school.is_free() && school.teach(|| 2).is_none() && !school.is_free());
        assert_eq!((school.turn(), learn(&mut school, 3)), (None, Some(3)));
        assert!(school.turn().is_none() && !school.is_free(), "no lesson is left");
    }
}
