//! What a client does after a failure or a refusal: how long until it asks again, if at all.
//!
//! The app retries by itself; when it has given up, the person presses "try again" after the gap of
//! the scenario. The app's own times are known in real seconds and are divided by the time scale.

use std::time::Duration;

use super::chance::Chance;
use super::law::{Span, seconds};
use super::scenario::RetryRule;

/// What came instead of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setback {
    /// No answer.
    Silence,
    /// F5 was pressed before one came: it is asked again at once.
    Pressed,
    /// A refusal with this status, and the time it named.
    Refused { status: u16, retry_after: Option<Duration> },
}

#[derive(Clone, Debug)]
pub(super) struct Retry {
    rule: RetryRule,
    gap: Span,
    time_scale: f64,
    attempts: u32,
}

impl Retry {
    pub(super) fn new(rule: RetryRule, gap: Span, time_scale: f64) -> Self {
        Self { rule, gap, time_scale, attempts: 0 }
    }

    /// A page came: the count of attempts begins anew.
    pub(super) fn served(&mut self) {
        self.attempts = 0;
    }

    /// Time until the next attempt; `None` is never.
    pub(super) fn after(&mut self, setback: Setback, chance: &mut Chance) -> Option<Duration> {
        if setback == Setback::Pressed {
            return Some(Duration::ZERO);
        }
        self.attempts += 1;
        let press = self.gap.draw(chance);
        let (silent, told) = match setback {
            Setback::Silence | Setback::Pressed => (true, None),
            Setback::Refused { status, retry_after } => (status == 429, retry_after),
        };
        let automatic = match self.rule {
            RetryRule::None => return None,
            RetryRule::Hammer => None,
            RetryRule::Io2020 => (silent && self.attempts < 3)
                .then(|| 0.5 * f64::from(2_u32.pow(self.attempts)) + chance.unit()),
            RetryRule::IoBackoff => {
                (silent && self.attempts < 5).then(|| 1.6_f64.powi(i32::try_from(self.attempts).unwrap_or(4)))
            }
            RetryRule::RetryAfter => return Some(told.unwrap_or(press)),
        };
        Some(match automatic {
            Some(real_s) => seconds(real_s / self.time_scale),
            None => {
                if self.rule != RetryRule::Hammer {
                    self.attempts = 0;
                }
                press
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Span = Span::Fixed { s: 0.15 };
    const BUSY: Setback = Setback::Refused { status: 503, retry_after: Some(Duration::from_secs(5)) };
    const TOO_MANY: Setback = Setback::Refused { status: 429, retry_after: None };

    fn waits(rule: RetryRule, setback: Setback) -> Vec<Option<u128>> {
        let (mut retry, mut chance) = (Retry::new(rule, GAP, 20.0), Chance::new(1, 1));
        (0..6).map(|_| retry.after(setback, &mut chance).map(|wait| wait.as_millis())).collect()
    }

    #[test]
    fn f5_waits_for_nothing_and_is_no_attempt_of_the_app() {
        for rule in [RetryRule::Hammer, RetryRule::None, RetryRule::Io2020] {
            assert_eq!(waits(rule, Setback::Pressed), [Some(0); 6]);
        }
    }

    #[test]
    fn hammering_listens_to_nothing() {
        assert_eq!(waits(RetryRule::Hammer, BUSY), [Some(150); 6]);
        assert_eq!(waits(RetryRule::Hammer, Setback::Silence), [Some(150); 6]);
    }

    #[test]
    fn the_app_of_2020_tries_three_times_and_leaves_it_to_the_person() {
        let waits = waits(RetryRule::Io2020, Setback::Silence);
        // (0.5·2 + U(0,1)) / 20 s, then (0.5·4 + U) / 20 s, then a finger.
        assert!((50..100).contains(&waits[0].unwrap()) && (100..150).contains(&waits[1].unwrap()));
        assert_eq!(waits[2], Some(150));
        assert!((50..100).contains(&waits[3].unwrap()));
    }

    #[test]
    fn the_app_of_2020_does_not_retry_a_503_by_itself() {
        assert_eq!(waits(RetryRule::Io2020, BUSY), [Some(150); 6]);
        assert!(waits(RetryRule::Io2020, TOO_MANY)[0].unwrap() < 100);
    }

    #[test]
    fn the_back_off_grows_to_its_fourth_step() {
        let waits = waits(RetryRule::IoBackoff, Setback::Silence);
        assert_eq!(waits, [Some(80), Some(128), Some(204), Some(327), Some(150), Some(80)]);
    }

    #[test]
    fn who_honours_retry_after_waits_as_told() {
        assert_eq!(waits(RetryRule::RetryAfter, BUSY), [Some(5000); 6]);
        assert_eq!(waits(RetryRule::RetryAfter, Setback::Silence), [Some(150); 6]);
        assert_eq!(waits(RetryRule::None, Setback::Silence), [None; 6]);
    }
}
