//! Seeded draws from the usual distributions.

use forecache_core::access::mix;

/// Seeded draws from the distributions of the models.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// Uniform in (0, 1].
    pub fn share(&mut self) -> f64 {
        self.0 = mix(self.0);
        ((self.0 >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.share() <= probability
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// Uniform in the logarithm.
    pub fn log_between(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    pub fn below(&mut self, limit: usize) -> usize {
        ((self.share() * limit as f64) as usize).min(limit - 1)
    }

    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.share().ln()
    }

    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        let normal = (-2.0 * self.share().ln()).sqrt() * (std::f64::consts::TAU * self.share()).cos();
        median * (sigma * normal).exp()
    }

    /// Rank in `0..count` with probability near rank^-exponent, by inversion of the continuous law.
    pub fn zipf(&mut self, count: usize, exponent: f64) -> usize {
        let limit = count as f64 + 1.0;
        let share = self.share();
        let rank = if (exponent - 1.0).abs() < 0.01 {
            limit.powf(share)
        } else {
            let power = 1.0 - exponent;
            (1.0 + share * (limit.powf(power) - 1.0)).powf(1.0 / power)
        };
        (rank as usize - 1).min(count - 1)
    }

    /// One of several, by their shares.
    pub fn pick(&mut self, shares: &[f64]) -> usize {
        let mut point = self.share() * shares.iter().sum::<f64>();
        let chosen = shares.iter().position(|share| {
            point -= share;
            point <= 0.0
        });
        chosen.unwrap_or(0)
    }
}
