//! The choice of who leaves: of fifteen residents drawn at random and the incoming, the one predicted to be needed
//! last. One batch serves two evictions; the second goes to the runner-up, if nobody has touched it since. Where weights
//! cost something, it is the best of two batches.
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
    scores: [i32; BATCH],
}

impl Compared {
    fn highest(&self) -> i32 {
        self.scores.into_iter().max().expect("a batch is not empty")
    }
}

/// What one choice leaves to the next.
pub struct Chooser {
    price: Price,
    /// The runner-up, and when it was last accessed.
    spare: Option<(Slot, Time)>,
    /// Whether the newest resident was let in without being compared.
    waved: bool,
    newest: Slot,
    /// Where the next choice will look for candidates.
    ahead: [Slot; DRAWN],
}

impl Chooser {
    /// No choice was made yet.
    pub fn new(price: Price) -> Self {
        Self { price, spare: None, waved: false, newest: 0, ahead: [0; DRAWN] }
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
        let (slot, last) = self.spare.take()?;
        let line = residents.at(slot);
        self.waved = !line.is_vacant() && line.last == last;
        self.waved.then_some(slot)
    }

    /// Asks for what the next choice will read, after one that has used `chance`; results are the same without.
    pub fn look_ahead(&mut self, history: &History, chance: &Chance) {
        let mut chance = chance.clone();
        self.ahead = std::array::from_fn(|_| history.residents.draw_any(&mut chance) as Slot);
        self.ahead.iter().for_each(|&slot| history.residents.expect(slot));
        if let Some((slot, _)) = self.spare {
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
        let mut look = |newest: Option<Slot>| {
            let mut slots: [Slot; DRAWN] = std::array::from_fn(|_| residents.draw(chance));
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
        let Compared { candidates, lasts, scores } = best;
        let slots = &candidates.slots;
        let first = highest(&scores, |_| true).unwrap_or(DRAWN);
        let second = highest(&scores, |at| at < DRAWN && slots.get(first) != Some(&slots[at]));
        self.spare = second.map(|at| (slots[at], lasts[at]));
        (slots.get(first).copied(), candidates)
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
        Compared { candidates: Candidates { slots, columns }, lasts: lines.map(|line| line.last), scores }
    }
}

/// The eligible candidate of the highest score; of equals the last, so that the incoming yields.
fn highest(scores: &[i32; BATCH], eligible: impl Fn(usize) -> bool) -> Option<usize> {
    (0..BATCH).filter(|&at| eligible(at)).max_by_key(|&at| scores[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::mix;
    use crate::context::NO_CONTEXT;
    use crate::predictor::{Forest, Tree};

    /// A model that expects those to wait longest whose age is above one capacity.
    fn by_age() -> Model {
        let tree = Tree { questions: vec![(0, 110)], leaves: vec![0, 256] };
        Model::new(Forest { base: 0, trees: vec![tree] }.into())
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
        let (spare, _) = chooser.spare.expect("there is a runner-up");
        history.hit(spare);
        assert_eq!(chooser.spare(&history.residents), None);
    }
}
