//! When a window has seen enough to be read.

use super::reading::Reading;
use super::trial::Cause;
use super::{ANSWERS, Knee, OBVIOUS, Phase, TRIAL_MAX, WINDOW_MIN};

/// Beats after which a window is read, whatever it has seen.
const WINDOW_MAX: f64 = 20.0;
/// Standard error of an elasticity at which an experiment may end.
const CONVINCED: f64 = 0.2;
/// An experiment need not last so many times as long as what it is compared with.
const MUCH_MORE: f64 = 4.0;

impl Knee {
    /// Whether the window has seen enough to be read.
    pub(super) fn is_due(&self, reading: &Reading) -> bool {
        let hold = self.hold;
        let at_work = (reading.in_flight - reading.queue).max(1.0);
        let high = self.high(at_work);
        // Of a queue that is far too long it need not be known how long.
        let is_plain = reading.saturated || reading.queue - OBVIOUS * reading.queue_error > high;
        match self.phase {
            Phase::Settle { .. } => false,
            Phase::Run => {
                let (shortest, longest) = if self.fast_start {
                    (self.beats(1.0).max(0.5 * hold), self.beats(WINDOW_MAX).max(2.0 * hold))
                } else {
                    (self.beats(WINDOW_MIN).max(1.5 * hold), self.beats(WINDOW_MAX).max(4.0 * hold))
                };
                let precise = is_plain || reading.queue_error <= 0.25 * high;
                (reading.seconds >= shortest && reading.answers >= ANSWERS && precise)
                    || reading.seconds >= longest
            }
            Phase::Reference | Phase::Recheck => {
                let precise = is_plain || reading.queue_error <= 0.1 * at_work;
                let longest = self.beats(0.5 * TRIAL_MAX).max(4.0 * hold);
                (reading.seconds >= self.beats(WINDOW_MIN).max(self.patience())
                    && reading.answers >= 2 * ANSWERS
                    && precise
                    && reading.is_counted())
                    || reading.seconds >= longest
            }
            Phase::Probe => {
                let convinced = self.trial.map(|trial| self.priced(trial)).is_some_and(|trial| {
                    let elasticity = trial.elasticity(&self.price(*reading));
                    let clear = (elasticity.value - 0.55).abs() > 2.5 * elasticity.error;
                    elasticity.error <= CONVINCED || clear
                });
                // Chance in what was seen before does not get less by waiting.
                let before = self.trial.filter(|trial| trial.cause == Cause::Latency);
                let enough = before.map_or(f64::INFINITY, |trial| MUCH_MORE * trial.before.seconds);
                let longest = self.beats(TRIAL_MAX).min(enough).max(6.0 * hold);
                (reading.seconds >= self.beats(WINDOW_MIN).max(1.5 * self.patience())
                    && reading.answers >= 3 * ANSWERS
                    && convinced)
                    || reading.seconds >= longest
            }
        }
    }
}
