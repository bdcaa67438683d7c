//! A hill climber: moves one quantity as long as the hit ratio grows, and turns round when it falls.
//! Einziger, Eytan, Friedman & Manes, "Adaptive Software Cache Management", Middleware 2018, section 4.

/// First step, as a share of the range.
const STEP: f64 = 0.0625;
/// Each step is this much of the one before.
const DECAY: f64 = 0.98;
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
    /// Starts at `position` and never goes above `most`; the first step is downwards.
    pub fn new(position: f64, most: f64) -> Self {
        Self { position, most, step: -STEP, hit_ratio: 0.0, accesses: 0, hits: 0 }
    }

    /// Where it is.
    pub fn position(&self) -> f64 {
        self.position
    }

    /// Counts one access, and moves once `sample` of them were counted.
    pub fn observe(&mut self, hit: bool, sample: u64) {
        self.accesses += 1;
        self.hits += u64::from(hit);
        if self.accesses >= sample {
            self.climb(self.hits as f64 / self.accesses as f64);
            (self.accesses, self.hits) = (0, 0);
        }
    }

    fn climb(&mut self, hit_ratio: f64) {
        let change = hit_ratio - self.hit_ratio;
        self.hit_ratio = hit_ratio;
        let step = if change >= 0.0 { self.step } else { -self.step };
        self.position = (self.position + step).clamp(0.0, self.most);
        self.step = if change.abs() >= RESTART { STEP.copysign(step) } else { DECAY * step };
    }
}
