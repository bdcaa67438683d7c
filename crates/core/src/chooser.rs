//! The choice of who leaves: of fifteen residents and the incoming, the one predicted to be needed last. One batch
//! serves two evictions; the second goes to the runner-up, if nobody has touched it since. The next best are among the
//! fifteen of the next batch, the others are drawn at random. Where weights cost something, it is the best of two batches.
//! So every other newcomer is let in without being compared, which finds out what is thought of too poorly, and costs
//! where all come back in turn; a strict choice lets in none that would hardly be.
//! Random candidates after Psounis & Prabhakar, "Efficient randomized web-cache replacement schemes", `ToN` 10(4), 2002.

use crate::access::Slot;
use crate::chance::Chance;
use crate::features::{BATCH, Columns};
use crate::history::History;
use crate::line::{Line, Time};
use crate::manner::Manner;
use crate::predictor::Model;
use crate::residents::Residents;

/// Candidates that are resident.
const DRAWN: usize = BATCH - 1;
/// Next best that a choice leaves to the next, the runner-up first.
const SHORTLIST: usize = 3;

/// How much before the newcomer a resident may be expected that leaves in a strict choice without being compared with
/// the next one: a tenth of an octave.
const HARDLY: i32 = 24;
/// Above all differences of scores.
const WANTED: i32 = 1 << 13;

/// What a batch looked like.
pub struct Candidates {
    /// The drawn ones; the incoming comes after them.
    pub slots: [Slot; DRAWN],
    /// The rows of all.
    pub columns: Columns,
}

/// The same, with what follows from it.
struct Compared {
    candidates: Candidates,
    lasts: [Time; BATCH],
    now: Time,
    scores: [i32; BATCH],
}

impl Compared {
    fn highest(&self) -> i32 {
        self.scores.into_iter().max().expect("a batch is not empty")
    }

    /// Whether a resident is expected after the incoming, or hardly before it.
    fn is_late(&self, slot: Slot) -> bool {
        let at = self.candidates.slots.iter().position(|&drawn| drawn == slot);
        at.is_some_and(|at| self.scores[at] >= self.scores[DRAWN] - HARDLY)
    }

    /// Who leaves, or `None` for the incoming, and the next best residents. Of equals the incoming yields, then who
    /// was not touched for longest.
    fn rank(&self) -> (Option<Slot>, Shortlist) {
        let slots = &self.candidates.slots;
        let mut ranks: [i64; BATCH] = std::array::from_fn(|at| {
            let age = if at == DRAWN { Time::MAX } else { self.now.wrapping_sub(self.lasts[at]) };
            (i64::from(self.scores[at]) << 32) + i64::from(age / BATCH as Time * BATCH as Time) + at as i64
        });
        let mut next = || {
            let at = ranks.into_iter().max().filter(|&rank| rank > i64::MIN)? as usize % BATCH;
            for (rank, slot) in ranks.iter_mut().zip(slots) {
                *rank = if Some(slot) == slots.get(at) { i64::MIN } else { *rank };
            }
            ranks[DRAWN] = i64::MIN;
            Some(at)
        };
        let first = next().and_then(|at| slots.get(at).copied());
        (first, std::array::from_fn(|_| next().map(|at| (slots[at], self.lasts[at]))))
    }
}

/// Residents, and when they were last accessed.
type Shortlist = [Option<(Slot, Time)>; SHORTLIST];

/// What one choice leaves to the next.
pub struct Chooser {
    manner: Manner,
    /// The next best, the runner-up first.
    shortlist: Shortlist,
    /// Whether the runner-up may leave without being compared with another newcomer.
    has_spare: bool,
    /// Whether the newest resident was let in without being compared.
    waved: bool,
    newest: Slot,
    /// Where the next choice will look for candidates.
    ahead: [Slot; DRAWN],
}

impl Chooser {
    /// No choice was made yet.
    pub fn new(manner: Manner) -> Self {
        Self { manner, shortlist: [None; SHORTLIST], has_spare: false, waved: false, newest: 0, ahead: [0; DRAWN] }
    }

    /// How it acts upon predictions.
    pub fn manner(&self) -> Manner {
        self.manner
    }

    /// From now on it acts so.
    pub fn set_manner(&mut self, manner: Manner) {
        self.manner = manner;
    }

    /// Notes where the incoming was placed.
    pub fn insert(&mut self, slot: Slot) {
        self.newest = slot;
    }

    /// The runner-up of the last choice, if it may leave and nothing has happened to it.
    pub fn spare(&mut self, residents: &Residents) -> Option<Slot> {
        let runner_up = if std::mem::take(&mut self.has_spare) { self.shortlist[0].take() } else { None };
        let spare = untouched(residents, runner_up);
        self.waved = spare.is_some();
        spare
    }

    /// Asks for what the next choice will read, after one that has used `chance`; results are the same without.
    pub fn look_ahead(&mut self, history: &History, chance: &Chance) {
        let mut chance = chance.clone();
        self.ahead = std::array::from_fn(|_| history.residents.draw_any(&mut chance) as Slot);
        self.ahead.iter().for_each(|&slot| history.residents.expect(slot));
        if let Some((slot, _)) = self.shortlist[0] {
            history.expect_ghost(slot);
        }
    }

    /// The same, once that has been read, of what is found by it.
    pub fn look_further_ahead(&self, history: &History) {
        self.ahead.iter().for_each(|&slot| history.expect(slot));
    }

    /// Who leaves: a resident, or `None` for the incoming; if possible one that is not wanted.
    pub fn choose(
        &mut self,
        residents: &Residents,
        incoming: &Line,
        history: &History,
        model: &Model,
        chance: &mut Chance,
        wanted: impl Fn(&Line) -> bool,
    ) -> (Option<Slot>, Candidates) {
        let newest = std::mem::take(&mut self.waved).then_some(self.newest);
        let left = std::mem::take(&mut self.shortlist).map(|left| untouched(residents, left));
        let mut look = |newest: Option<Slot>| {
            let again = |at: usize| left.get(at).copied().flatten();
            let mut slots: [Slot; DRAWN] =
                std::array::from_fn(|at| again(at).unwrap_or_else(|| residents.draw(chance)));
            if let Some(newest) = newest.filter(|&newest| !residents.at(newest).is_vacant()) {
                slots[DRAWN - 1] = newest;
            }
            self.compare(slots, residents, incoming, history, model, &wanted)
        };
        let mut best = look(newest);
        if self.manner.price != 0 && history.traffic.log_weight() > 0 {
            let other = look(None); // entries differ by more than can be predicted, and the heavy ones are few
            if other.highest() > best.highest() {
                best = other;
            }
        }
        let (victim, shortlist) = best.rank();
        self.shortlist = shortlist;
        self.has_spare = !self.manner.is_strict || shortlist[0].is_some_and(|(slot, _)| best.is_late(slot));
        (victim, best.candidates)
    }

    fn compare(
        &self,
        slots: [Slot; DRAWN],
        residents: &Residents,
        incoming: &Line,
        history: &History,
        model: &Model,
        wanted: impl Fn(&Line) -> bool,
    ) -> Compared {
        let lines: [Line; BATCH] =
            std::array::from_fn(|at| *slots.get(at).map_or(incoming, |&slot| residents.at(slot)));
        let columns = history.view().columns(&lines);
        let mut scores = model.scores(&columns);
        for (score, line) in scores.iter_mut().zip(&lines) {
            *score += self.manner.cost(line) - if wanted(line) { WANTED } else { 0 };
        }
        Compared {
            candidates: Candidates { slots, columns },
            lasts: lines.map(|line| line.last),
            now: history.now,
            scores,
        }
    }
}

/// The resident, if nothing has happened to it.
fn untouched(residents: &Residents, left: Option<(Slot, Time)>) -> Option<Slot> {
    let (slot, last) = left?;
    let line = residents.at(slot);
    (!line.is_vacant() && line.last == last).then_some(slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::mix;
    use crate::context::NO_CONTEXT;
    use crate::features::WIDTH;
    use crate::manner::Objective;
    use crate::predictor::{Forest, Tree};

    /// A model that expects those to wait longest whose age is above one capacity.
    fn by_age() -> Model {
        let tree = Tree { questions: vec![(0, 110)], leaves: vec![0, 256] };
        Model::new(Forest::new(0, vec![tree]).into())
    }

    /// A model that expects the incoming to wait longest.
    fn newcomers_last() -> Model {
        let tree = Tree { questions: vec![(0, 80)], leaves: vec![256, 0] };
        Model::new(Forest::new(0, vec![tree]).into())
    }

    /// A history of so many entries, whose residents are these keys.
    fn filled(entries: usize, keys: u64) -> History {
        let mut history = History::new(entries);
        for key in 0..keys {
            history.miss(mix(key), 1, NO_CONTEXT);
            history.insert(key as Slot);
        }
        history
    }

    #[test]
    fn the_highest_score_leaves_then_the_runner_up_unless_it_was_touched() {
        let mut history = filled(2, 20);
        for slot in 2..20 {
            history.hit(slot);
        }
        history.miss(mix(99), 1, NO_CONTEXT);
        let (model, mut chance) = (by_age(), Chance::new(1));
        let mut chooser = Chooser::new(Objective::Objects.manner());
        for _ in 0..20 {
            let (victim, candidates) =
                chooser.choose(&history.residents, &history.incoming, &history, &model, &mut chance, |_| true);
            let expected = candidates.columns[0][..DRAWN].iter().any(|&age| age > 110);
            assert_eq!(victim.is_some(), expected, "the incoming leaves only when all are younger");
        }
        chooser.choose(&history.residents, &history.incoming, &history, &model, &mut chance, |_| true);
        let (spare, _) = chooser.shortlist[0].expect("there is a runner-up");
        history.hit(spare);
        assert_eq!(chooser.spare(&history.residents), None);
    }

    #[test]
    fn a_strict_choice_spares_nobody_for_whom_the_newcomer_would_have_been_turned_away() {
        let mut history = filled(32, 32);
        let (mut chance, mut found) = (Chance::new(1), [0; 2]);
        for (is_strict, found) in [false, true].into_iter().zip(&mut found) {
            let objective = Objective::Objects;
            let mut chooser = Chooser::new(if is_strict { objective.other_manner() } else { objective.manner() });
            for model in [newcomers_last(), Model::new(Forest::new(0, vec![]).into())] {
                history.miss(mix(99), 1, NO_CONTEXT);
                let (victim, _) =
                    chooser.choose(&history.residents, &history.incoming, &history, &model, &mut chance, |_| false);
                assert_eq!(victim, None, "the incoming yields");
                *found += usize::from(chooser.spare(&history.residents).is_some());
            }
        }
        assert_eq!(found, [2, 1], "of equals the runner-up may leave in either manner");
    }

    #[test]
    fn of_equals_the_incoming_leaves_and_the_list_begins_with_the_oldest() {
        let candidates = Candidates { slots: std::array::from_fn(|at| at as Slot), columns: [[0; BATCH]; WIDTH] };
        let lasts = std::array::from_fn(|at| 1000 - 100 * (at as Time % 8));
        let mut compared = Compared { candidates, lasts, now: 2000, scores: [7; BATCH] };
        assert_eq!(compared.rank(), (None, [Some((7, 300)), Some((14, 400)), Some((6, 400))]));
        compared.scores[2] = 8;
        compared.scores[9] = 9;
        assert_eq!(compared.rank(), (Some(9), [Some((2, 800)), Some((7, 300)), Some((14, 400))]));
        compared.candidates.slots = [5; DRAWN];
        assert_eq!(compared.rank(), (Some(5), [None; SHORTLIST]), "each is listed once");
    }
}
