//! How often those who wait look at the board, and how soon they see that they are called.
//!
//! Nobody's looks are played one by one. A person who waited `w` has looked by the poll rule all the
//! way, each pause `scale · clamp(left / divisor, min, max)`, ± 30 %; the first look after the call
//! tells. For short waits that chain is walked from the join; for long ones it is walked from where its
//! beginning is forgotten, so many times that a table of delays can be drawn from, until the board's
//! scale changes. It is forgotten soon: where each pause is a part of what is left, two dozen pauses, each
//! ± 30 %, spread by most of one.

use crate::admission::policy::PollRule;
use crate::lab::chance::Chance;

/// Polls spread by this share either way.
const JITTER: f64 = 0.3;
/// Chains in the table.
const CHAINS: u64 = 2_048;
/// A table serves until the scale has moved by this share.
const SCALE_STEP: f64 = 0.02;
/// Pauses, each a part of what is left, after which the first look is forgotten.
const PAUSES: f64 = 24.0;
/// A scale above this is felt.
const SCALE_FELT: f64 = 1.5;

/// Delays from calls to the looks that see them.
#[derive(Debug)]
pub(super) struct Looks {
    rule: PollRule,
    scale: f64,
    table: Vec<f64>,
    chance: Chance,
}

impl Looks {
    pub(super) fn new(rule: PollRule, seed: u64) -> Self {
        Self { rule, scale: 1.0, table: Vec::new(), chance: Chance::new(seed, 1) }
    }

    /// The scale that the board shows from now on.
    pub(super) fn follow(&mut self, scale: f64) {
        if (scale / self.scale - 1.0).abs() > SCALE_STEP {
            self.scale = scale;
            self.table.clear();
        }
    }

    /// Time from the call of somebody who waited `waited_s` to the look that sees it.
    pub(super) fn delay_s(&mut self, waited_s: f64) -> f64 {
        let far = self.forgotten_s();
        if waited_s < far {
            return chain(&self.rule, self.scale, waited_s, &mut self.chance);
        }
        if self.table.is_empty() {
            let longest = self.scale * (far / f64::from(self.rule.divisor)).min(self.rule.max.as_secs_f64());
            for _ in 0..CHAINS {
                let from = far + self.chance.between(0.0, longest);
                self.table.push(chain(&self.rule, self.scale, from, &mut self.chance));
            }
        }
        let drawn = self.chance.below(self.table.len());
        self.table.get(drawn).copied().unwrap_or(0.0)
    }

    /// Everybody is told to look much less often than the poll rule alone would have it.
    pub(super) fn are_delayed(&self) -> bool {
        self.scale > SCALE_FELT
    }

    /// Time to the next look of somebody in the front row.
    pub(super) fn front_row_s(&mut self) -> f64 {
        self.rule.front_row().as_secs_f64() * self.chance.between(1.0 - JITTER, 1.0 + JITTER)
    }

    /// Looks a second of `waiting` devices, under the scale of the board.
    pub(super) fn per_second(&self, waiting: u64, rate: f64) -> f64 {
        self.rule.looks(waiting, rate, self.scale)
    }

    /// A wait from which on the phase of the looks is as good as random.
    fn forgotten_s(&self) -> f64 {
        let (min, max) = (self.rule.min.as_secs_f64(), self.rule.max.as_secs_f64());
        let divisor = f64::from(self.rule.divisor);
        // Above `capped` all pauses are alike, below it each is a part of what is left.
        let capped = max * divisor + 3.0 * self.scale * max;
        let part = (self.scale / divisor).min(0.5);
        (min / part * (PAUSES * part).exp()).min(capped)
    }
}

fn chain(rule: &PollRule, scale: f64, wait_s: f64, chance: &mut Chance) -> f64 {
    let (min, max) = (rule.min.as_secs_f64(), rule.max.as_secs_f64());
    let mut left = wait_s;
    loop {
        let pause = (scale * left / f64::from(rule.divisor)).clamp(min, scale * max);
        let pause = pause.min((left / 2.0).max(min));
        left -= (pause * chance.between(1.0 - JITTER, 1.0 + JITTER)).max(0.001);
        if left <= 0.0 {
            return -left;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rule() -> PollRule {
        let second = Duration::from_secs(1);
        PollRule { min: second * 5, max: second * 120, divisor: 10, budget: 5_000 }
    }

    fn mean(looks: &mut Looks, waited_s: f64) -> f64 {
        (0..20_000).map(|_| looks.delay_s(waited_s)).sum::<f64>() / 20_000.0
    }

    #[test]
    fn whoever_is_next_looks_every_five_seconds_and_sees_the_call_after_half_of_that() {
        let mut looks = Looks::new(rule(), 1);
        // Residual life of pauses uniform in 5 s ± 30 %: E[p²] / 2E[p] = 2.575 s.
        for waited in [1_000.0, 30_000.0] {
            let mean = mean(&mut looks, waited);
            assert!((mean - 2.575).abs() < 0.1, "{waited}: {mean}");
        }
    }

    #[test]
    fn where_the_table_begins_the_first_pause_is_forgotten() {
        for divisor in [10, 20] {
            let rule = PollRule { divisor, ..rule() };
            let mut looks = Looks::new(rule, 1);
            let far = looks.forgotten_s();
            assert!(far < 2_000.0, "{far}: longer than it need be");
            let mut soon = |from: f64| {
                let chains = (0..40_000).map(|_| chain(&rule, 1.0, from, &mut looks.chance));
                chains.filter(|delay| *delay < 2.5).count() as f64 / 40_000.0
            };
            // Half a pause apart: where the phase still counts, one of them would see calls sooner.
            let (one, other) = (soon(far), soon(far * (1.0 + 0.5 / f64::from(divisor))));
            assert!((one - other).abs() < 0.015, "{divisor}: {one} and {other}");
        }
    }

    #[test]
    fn a_scale_that_the_budget_forces_makes_no_call_go_unseen_for_longer() {
        let mut looks = Looks::new(rule(), 1);
        let calm = mean(&mut looks, 30_000.0);
        looks.follow(75.0);
        let scaled = mean(&mut looks, 30_000.0);
        assert!((scaled / calm - 1.0).abs() < 0.1, "{calm} to {scaled}");
    }

    #[test]
    fn all_looks_keep_the_budget_once_the_board_has_scaled_them() {
        let (mut looks, rule) = (Looks::new(rule(), 1), rule());
        let (waiting, rate) = (45_000_000, 200.0);
        looks.follow(rule.scale(waiting, rate));
        let looks = looks.per_second(waiting, rate);
        assert!((looks / 5_000.0 - 1.0).abs() < 0.01, "{looks}");
    }
}
