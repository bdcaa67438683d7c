//! Whom the cache follows: a classical policy whose shadow is ahead of the predictor's by more than chance, for as long
//! as that pays.

use crate::lead::Lead;

/// Who may be followed.
pub const EXPERTS: [&str; 5] = ["arc", "s3fifo", "tinylfu", "lirs", "lru"];
/// Of them the one that keeps what it has until something else has returned.
const KEEPER: usize = 3;
/// A lead is real above this share of the window and this many standard deviations of a fair game.
const MARGIN: f32 = 0.01;
const DEVIATIONS: f32 = 3.0;
/// Following has not paid when the cache is this many hits, and so many standard deviations, behind what the predictor
/// alone would have had; what was won before makes up for as much again.
const PATIENCE: (f32, f32) = (4.0, 2.0);
/// By what the lead of an expert that did not pay must be larger the next time; it fades as the window does.
const DOUBT: f32 = 2.0;

/// What speaks for and against each expert, and whom to follow.
pub struct Following {
    /// What each expert has won over the predictor.
    pub leads: [Lead; EXPERTS.len()],
    leader: Option<usize>,
    /// What the cache has won over the predictor since it follows the leader.
    won: Lead,
    /// How much more than usual each expert must lead by.
    doubts: [f32; EXPERTS.len()],
    has_decided: bool,
}

impl Default for Following {
    fn default() -> Self {
        Self {
            leads: Default::default(),
            leader: None,
            won: Lead::default(),
            doubts: [1.0; EXPERTS.len()],
            has_decided: false,
        }
    }
}

impl Following {
    /// Which expert to follow, if any.
    pub fn leader(&self) -> Option<&'static str> {
        self.leader.map(|leader| EXPERTS[leader])
    }

    /// Notes whether the cache and the predictor's shadow hit; see [`Lead::note`].
    pub fn note(&mut self, cache: bool, predictor: bool, worth: f32, keep: f32) {
        if self.leader.is_some() {
            self.won.note(cache, predictor, worth, keep);
        }
    }

    /// Follows the best once its lead over whoever decides now is real. Returns when the leader is behind, or the
    /// cache that follows it: shadows have a past that the cache does not have. Where the keeper has not done worse by
    /// the first decision, nothing was won by what is recent: what is there stays, in case all comes back in turn.
    ///
    /// `window` is the number of accesses over which leads are summed.
    pub fn decide(&mut self, window: f32) {
        self.doubts.iter_mut().for_each(|doubt| *doubt -= (*doubt - 1.0) / window);
        let by_hits = |&a: &usize, &b: &usize| self.leads[a].hits.total_cmp(&self.leads[b].hits);
        let best = (0..EXPERTS.len()).max_by(by_hits).expect("there are experts");
        let current = self.leader.map_or(Lead::default(), |leader| self.leads[leader]);
        let real = self.doubts[best] * (MARGIN * window + DEVIATIONS * self.leads[best].deviation());
        let is_first = !std::mem::replace(&mut self.has_decided, true);
        let patience = PATIENCE.0 + PATIENCE.1 * self.won.deviation();
        self.won.hits = self.won.hits.min(patience);
        if let Some(leader) = self.leader.filter(|_| self.won.hits < -patience) {
            self.doubts[leader] *= DOUBT;
            self.leads[leader] = Lead::default();
            self.leader = None;
        } else if self.leads[best].hits - current.hits > real {
            self.follow(best);
        } else if is_first && self.leads[KEEPER].hits >= 0.0 {
            self.follow(KEEPER);
        } else if current.hits < 0.0 {
            self.leader = None;
        }
    }

    fn follow(&mut self, expert: usize) {
        self.leader = Some(expert);
        self.won = Lead::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPERT: usize = 1;
    const KEEP: f32 = 1.0 - 1.0 / 2000.0;

    /// A trial of which so much is remembered.
    struct Trial {
        following: Following,
        window: f32,
    }

    impl Default for Trial {
        /// One whose first decision is past.
        fn default() -> Self {
            Self { following: Following { has_decided: true, ..Following::default() }, window: 0.0 }
        }
    }

    impl Trial {
        /// `count` accesses, which the expert hits and the predictor does not, or the other way round.
        fn show(&mut self, count: usize, expert: bool) {
            for _ in 0..count {
                self.following.leads[EXPERT].note(expert, !expert, 1.0, KEEP);
                self.window = self.window * KEEP + 1.0;
                self.following.decide(self.window);
            }
        }

        /// `count` accesses that nobody hits.
        fn pass(&mut self, count: usize) {
            for _ in 0..count {
                self.following.leads[EXPERT].note(false, false, 1.0, KEEP);
                self.window = self.window * KEEP + 1.0;
                self.following.decide(self.window);
            }
        }

        /// How many accesses that it alone hits it takes until the expert is followed, and then until that has not paid.
        fn needed(&mut self) -> (usize, usize) {
            let (mut followed, mut left) = (0, 0);
            while self.following.leader().is_none() {
                self.show(1, true);
                followed += 1;
            }
            while self.following.leader().is_some() {
                self.following.note(false, true, 1.0, KEEP);
                self.show(1, true);
                left += 1;
            }
            (followed, left)
        }
    }

    #[test]
    fn an_expert_is_followed_while_it_leads() {
        let mut trial = Trial::default();
        trial.show(100, true);
        assert_eq!(trial.following.leader(), Some(EXPERTS[EXPERT]));
        trial.show(50, false);
        assert_eq!(trial.following.leader(), Some(EXPERTS[EXPERT]), "it is still ahead");
        trial.show(60, false);
        assert_eq!(trial.following.leader(), None);
    }

    #[test]
    fn chance_is_no_evidence() {
        let mut trial = Trial::default();
        for _ in 0..1000 {
            trial.show(6, true);
            trial.show(6, false);
            assert_eq!(trial.following.leader(), None);
        }
    }

    #[test]
    fn an_expert_that_does_not_pay_is_left_and_must_lead_by_more_for_some_time() {
        let mut trial = Trial::default();
        trial.pass(10_000);
        let (first, left) = trial.needed();
        assert!(left > PATIENCE.0 as usize, "a few hits may be chance");
        let (second, _) = trial.needed();
        assert!(second > 3 * first / 2, "{first} {second}");
        trial.pass(10_000);
        let (third, _) = trial.needed();
        assert!(third < second, "{second} {third}: that was long ago");
    }

    #[test]
    fn what_was_won_long_ago_excuses_no_more_than_patience_does() {
        let left_after = |wins: usize| {
            let mut trial = Trial::default();
            trial.show(200, true);
            for _ in 0..wins {
                trial.following.note(true, false, 1.0, KEEP);
                trial.show(1, true);
            }
            let losses = (1..5000).find(|_| {
                trial.following.note(false, true, 1.0, KEEP);
                trial.show(1, true);
                trial.following.leader().is_none()
            });
            losses.expect("it is left in the end")
        };
        let (few, many) = (left_after(300), left_after(1500));
        assert!(many > few, "{few} {many}: more is known of chance");
        assert!(many < 300, "{many}");
    }

    #[test]
    fn what_is_there_stays_where_that_is_no_worse_by_the_first_decision() {
        let first = |hits: &[bool]| {
            let mut following = Following::default();
            for &keeper in hits {
                following.leads[KEEPER].note(keeper, !keeper, 1.0, KEEP);
            }
            following.decide(100.0);
            following
        };
        assert_eq!(first(&[]).leader(), Some("lirs"));
        let mut worse = first(&[false]);
        assert_eq!(worse.leader(), None);
        worse.leads[KEEPER].note(true, false, 1.0, KEEP);
        worse.decide(100.0);
        assert_eq!(worse.leader(), None, "that is asked once");
    }
}
