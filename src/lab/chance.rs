//! Seeded randomness of the laboratory: the same seed gives the same crowd and the same work.
//!
//! SplitMix64 (Steele, Lea, Flood 2014): one addition and three mixing steps a draw. Streams are told
//! apart by mixing a stream number into the seed, so that what one person draws never depends on how
//! often another drew. Not for secrets.

use std::time::Duration;

use crate::admission::chance::STEP;
pub use crate::admission::chance::mix;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Stream number `stream` of `seed`.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(mix(seed) ^ mix(mix(stream)))
    }

    /// A word, uniform.
    pub fn word(&mut self) -> u64 {
        let out = mix(self.0);
        self.0 = self.0.wrapping_add(STEP);
        out
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        // 53 bits: every double of that spacing is equally likely.
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in [`from`, `to`).
    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    /// True with probability `share`.
    pub fn happens(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// Uniform in 0..`bound`; 0 when `bound` is 0. The bias of the remainder is below 2⁻³² here.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.word() % bound).unwrap_or(0)
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Lognormal with this median and this standard deviation of the logarithm (Box and Muller).
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.unit()).cos();
        median * (sigma * normal).exp()
    }

    /// Which of these weights: index `i` with probability `weights[i] / Σ weights`.
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut left = self.unit() * weights.iter().sum::<f64>();
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        weights.len().saturating_sub(1)
    }

    /// `duration` moved by up to ± `share` of itself.
    pub fn jitter(&mut self, duration: Duration, share: f64) -> Duration {
        duration.mul_f64(self.between(1.0 - share, 1.0 + share).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(draws: impl Fn(&mut Chance) -> f64) -> f64 {
        let mut chance = Chance::new(7, 3);
        (0..100_000).map(|_| draws(&mut chance)).sum::<f64>() / 100_000.0
    }

    #[test]
    fn the_laws_have_their_means() {
        assert!((mean(Chance::unit) - 0.5).abs() < 0.005);
        assert!((mean(|c| c.exponential(2.0)) - 2.0).abs() < 0.03);
        // The mean of a lognormal is median · exp(σ²/2).
        assert!((mean(|c| c.lognormal(1.0, 0.5)) - 0.125_f64.exp()).abs() < 0.02);
        assert!((mean(|c| c.weighted(&[0.7, 0.2, 0.07, 0.03]) as f64) - 0.43).abs() < 0.01);
    }

    #[test]
    fn streams_are_repeatable_and_apart() {
        let draw = |seed, stream| Chance::new(seed, stream).word();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(2, 1));
        assert_ne!(draw(1, 2), draw(1, 3));
    }

    #[test]
    fn nothing_is_picked_out_of_bounds() {
        let mut chance = Chance::new(1, 1);
        assert_eq!(chance.below(0), 0);
        assert!((0..1000).all(|_| chance.below(3) < 3));
        assert_eq!(chance.weighted(&[]), 0);
    }
}
