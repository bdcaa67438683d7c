//! A diary of samples: the rows of candidates that the policy looked at, for whoever learns from them later.
//! When there are too many, each has the same chance to be kept: Vitter, "Random sampling with a reservoir", ACM TOMS 11(1), 1985.

use crate::chance::Chance;
use crate::features::Row;
use crate::line::Time;
use crate::model_file::Fault;
use crate::parts::Part;
use crate::prior::Prior;
use crate::school::Lesson;

/// A policy that predicts, for whoever brings it a prior, or learns from what it saw.
pub trait Student {
    /// Predicts with `prior` in place of the shipped one; to be called before the first access.
    fn begin_with(&mut self, prior: Prior);

    /// Goes on with what another learned; to be called before the first access.
    ///
    /// # Errors
    /// It is no lore, or corrects another prior.
    fn go_on(&mut self, lore: &[u8]) -> Result<(), Fault>;

    /// Learns when the timetable says, which repeats what a live cache did; to be called before the first access.
    fn learn_as_before(&mut self, timetable: Vec<Lesson>);

    /// Works without a part of itself; to be called before the first access.
    fn leave_out(&mut self, part: Part);

    /// Learns on a thread that it waits for, so that the time of its own thread is the time of all but learning; to be
    /// called before the first access.
    fn learn_aside(&mut self);

    /// From now on samples are kept, at most so many.
    fn keep_diary(&mut self, most: usize);

    /// The samples kept, in order of time; no more are kept.
    fn take_diary(&mut self) -> Vec<Noted>;
}

/// One candidate, as it was when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Its features.
    pub row: Row,
    /// When.
    pub now: Time,
    /// When its key was accessed last.
    pub last: Time,
    /// The capacity, in entries.
    pub entries: u32,
}

/// Samples, in no particular order.
pub struct Diary {
    noted: Vec<Noted>,
    most: usize,
    seen: usize,
    chance: Chance,
}

impl Diary {
    /// An empty diary that keeps at most so many.
    #[must_use]
    pub fn new(most: usize, seed: u64) -> Self {
        Self { noted: Vec::new(), most, seen: 0, chance: Chance::new(!seed) }
    }

    /// Notes a sample.
    pub fn note(&mut self, noted: Noted) {
        self.seen += 1;
        if self.noted.len() < self.most {
            self.noted.push(noted);
        } else if let Some(old) = self.noted.get_mut(self.chance.below(self.seen)) {
            *old = noted;
        }
    }

    /// What was noted, in order of time.
    #[must_use]
    pub fn into_noted(mut self) -> Vec<Noted> {
        self.noted.sort_by_key(|noted| noted.now);
        self.noted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_at_most_so_many_from_all_of_the_time() {
        let mut diary = Diary::new(1000, 1);
        for now in 0..100_000 {
            diary.note(Noted { row: [0; _], now, last: 0, entries: 1 });
        }
        let noted = diary.into_noted();
        let mean = noted.iter().map(|noted| f64::from(noted.now)).sum::<f64>() / 1000.0;
        assert_eq!(noted.len(), 1000);
        assert!((mean - 50_000.0).abs() < 3_000.0, "{mean}");
    }
}
