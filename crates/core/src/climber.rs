//! A hill climber: moves one quantity as long as the hit ratio grows, and turns round when it falls.
//! Einziger, Eytan, Friedman & Manes, "Adaptive Software Cache Management", Middleware 2018, section 4.

/// First step, as a share of the range.
const STEP: f64 = 0.0625;
/// Each step is this much of the one before,
const DECAY: f64 = 0.9;
/// but never less than this, lest a slow change of the workload find it asleep.
const LEAST_STEP: f64 = STEP / 8.0;
/// A change of the hit ratio this large is taken for a new workload: steps are large again.
const RESTART: f64 = 0.05;

/// Climbs between 0 and 1.
pub struct Climber {
    position: f64,
    most: f64,
    step: f64,
    hit_ratio: f64,
    accesses: u64,
    hits: u64,
}

impl Climber {
    /// Starts at `position` and never goes above `most`; the first step is downwards, unless told to turn.
    pub fn new(position: f64, most: f64) -> Self {
        Self { position, most, step: -STEP, hit_ratio: 0.0, accesses: 0, hits: 0 }
    }

    /// Goes the other way from here on.
    pub fn turn(&mut self) {
        self.step = -self.step;
    }

    /// Where it is.
    pub fn position(&self) -> f64 {
        self.position
    }

    /// Counts one access, and moves once `sample` of them were counted; true when it moved.
    pub fn observe(&mut self, hit: bool, sample: u64) -> bool {
        self.accesses += 1;
        self.hits += u64::from(hit);
        let is_due = self.accesses >= sample;
        if is_due {
            self.climb(self.hits as f64 / self.accesses as f64);
            (self.accesses, self.hits) = (0, 0);
        }
        is_due
    }

    fn climb(&mut self, hit_ratio: f64) {
        let change = hit_ratio - self.hit_ratio;
        self.hit_ratio = hit_ratio;
        let step = if change >= 0.0 { self.step } else { -self.step };
        self.position = (self.position + step).clamp(0.0, self.most);
        let size = if change.abs() >= RESTART { STEP } else { (DECAY * step.abs()).max(LEAST_STEP) };
        self.step = size.copysign(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Climbs `steps` steps of one hundred accesses, of which `hits` hit, given the position.
    fn climb(climber: &mut Climber, steps: usize, hits: impl Fn(f64) -> f64) {
        for _ in 0..steps {
            let hits = (100.0 * hits(climber.position())) as u64;
            (0..100).for_each(|access| assert_eq!(climber.observe(access < hits, 100), access == 99));
        }
    }

    #[test]
    fn finds_the_best_position_and_stays_near() {
        let mut climber = Climber::new(0.1, 0.8);
        climb(&mut climber, 60, |position| 0.5 - 0.6 * (position - 0.4).abs());
        assert!((climber.position() - 0.4).abs() < 0.1, "{}", climber.position());
    }

    #[test]
    fn takes_large_steps_again_when_the_workload_changes() {
        let mut climber = Climber::new(0.1, 0.8);
        climb(&mut climber, 200, |position| 0.5 - 0.6 * (position - 0.1).abs());
        climb(&mut climber, 60, |position| 0.9 - 0.6 * (position - 0.7).abs());
        assert!((climber.position() - 0.7).abs() < 0.15, "{}", climber.position());
    }

    #[test]
    fn stays_within_its_range() {
        let mut climber = Climber::new(0.1, 0.8);
        climb(&mut climber, 5, |_| 0.5);
        assert!(climber.position().abs() < f64::EPSILON);
        climber.turn();
        climb(&mut climber, 120, |_| 0.5);
        assert!((climber.position() - 0.8).abs() < f64::EPSILON);
    }
}
