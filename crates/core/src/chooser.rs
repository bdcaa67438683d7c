//! The choice of who leaves: of fifteen residents and the incoming, the one predicted to be needed last. One batch
//! serves two evictions; the second goes to the runner-up, if nobody has touched it since. The next best are among the
//! fifteen of the next batch, the others are drawn at random. Where weights cost something, it is the best of two batches.
//! Random candidates after Psounis & Prabhakar, "Efficient randomized web-cache replacement schemes", `ToN` 10(4), 2002.

use crate::access::Slot;
use crate::chance::Chance;
use crate::features::{BATCH, Columns};
use crate::history::History;
use crate::line::{Line, Time};
use crate::predictor::Model;
use crate::residents::Residents;

/// Candidates that are resident.
const DRAWN: usize = BATCH - 1;
/// Next best that a choice leaves to the next, the runner-up first.
const SHORTLIST: usize = 3;

/// Above all differences of scores.
const WANTED: i32 = 1 << 13;

/// What is to be as large as possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// The number of hits: an entry costs its weight for as long as it waits.
    Objects,
    /// The weight of hits: what an entry costs and what it brings grow alike.
    Bytes,
}

/// How much of a weight's logarithm counts, of 256. Not all: waits differ more than predictions of them do, which
/// keep to the middle where they cannot tell, while weights are known.
const PRICE: i32 = 128;
/// The same where hits are to weigh much; see [`Objective::other_price`].
const DOUBTED: i32 = 100;

/// What weighing more adds to a score: so much of the weight's logarithm, of 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price(i32);

impl Price {
    /// What is added for the weight of an entry.
    #[inline]
    pub fn of(self, line: &Line) -> i32 {
        line.log_weight() * self.0 / 256
    }
}

impl Objective {
    /// The price to begin with.
    pub fn price(self) -> Price {
        Price(if self == Self::Objects { PRICE } else { DOUBTED })
    }

    /// The price to try beside it, if any. A hit of weight is worth its weight, so that none should count; but where
    /// predictions are poor, light entries bring more than heavy ones all the same, which only a trial can tell.
    pub fn other_price(self) -> Option<Price> {
        (self == Self::Bytes).then_some(Price(0))
    }
}

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
    price: Price,
    /// The next best, the runner-up first.
    shortlist: Shortlist,
    /// Whether the newest resident was let in without being compared.
    waved: bool,
    newest: Slot,
    /// Where the next choice will look for candidates.
    ahead: [Slot; DRAWN],
}

impl Chooser {
    /// No choice was made yet.
    pub fn new(price: Price) -> Self {
        Self { price, shortlist: [None; SHORTLIST], waved: false, newest: 0, ahead: [0; DRAWN] }
    }

    /// What weight costs.
    pub fn price(&self) -> Price {
        self.price
    }

    /// From now on weight costs so much.
    pub fn set_price(&mut self, price: Price) {
        self.price = price;
    }

    /// Notes where the incoming was placed.
    pub fn insert(&mut self, slot: Slot) {
        self.newest = slot;
    }

    /// The runner-up of the last choice, if nothing has happened to it.
    pub fn spare(&mut self, residents: &Residents) -> Option<Slot> {
        let spare = untouched(residents, self.shortlist[0].take());
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
        if self.price != Price(0) && history.traffic.log_weight() > 0 {
            let other = look(None); // entries differ by more than can be predicted, and the heavy ones are few
            if other.highest() > best.highest() {
                best = other;
            }
        }
        let (victim, shortlist) = best.rank();
        self.shortlist = shortlist;
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
            *score += self.price.of(line) - if wanted(line) { WANTED } else { 0 };
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
    use crate::predictor::{Forest, Tree};

    /// A model that expects those to wait longest whose age is above one capacity.
    fn by_age() -> Model {
        let tree = Tree { questions: vec![(0, 110)], leaves: vec![0, 256] };
        Model::new(Forest::new(0, vec![tree]).into())
    }

    #[test]
    fn the_highest_score_leaves_then_the_runner_up_unless_it_was_touched() {
        let mut history = History::new(2);
        for key in 0..20 {
            history.miss(mix(key), 1, NO_CONTEXT);
            history.insert(key as Slot);
        }
        for slot in 2..20 {
            history.hit(slot);
        }
        history.miss(mix(99), 1, NO_CONTEXT);
        let (model, mut chance) = (by_age(), Chance::new(1));
        let mut chooser = Chooser::new(Objective::Objects.price());
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
