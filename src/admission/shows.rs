//! What part of those called come, and how soon: what a room learns from its calls.
//!
//! Evidence is counted when a call is judged, whether its holder came or not, so that a room that has
//! just begun to call faster does not take the quick ones for all. It begins as if 8 of 10 had come, and
//! fades with time, in sixteen mean claim delays: what is learnt from thousands of calls a second is as
//! steady as the crowd, and a crowd that changes is followed within four times the delay after which a
//! call is judged. The last fifty calls count whole, however long ago they were.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const PRIOR_CAME: f64 = 8.0;
const PRIOR_MISSED: f64 = 2.0;
/// Evidence of so many calls does not fade.
const CALLS: f64 = 50.0;
/// Evidence fades in so many mean claim delays.
const MEMORY_DELAYS: f64 = 16.0;
/// What the first guess of the delay weighs, in claims.
const DELAY_PRIOR: f64 = 5.0;
const SHOW_RATE_MIN: f64 = 0.05;
/// Below 1, or nobody who is late would ever be given up.
const SHOW_RATE_MAX: f64 = 0.95;
const DELAY_MIN_S: f64 = 0.001;
/// No more is believed of what another process left: seconds, or calls.
const BELIEVED_MAX: f64 = 86_400.0;

/// What a room has learnt of its calls, and may take up again after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// Calls whose holders came, and calls whose holders did not.
    pub came: f64,
    /// See `came`.
    pub missed: f64,
    /// Mean seconds from call to claim.
    pub delay_s: f64,
    /// Claims of which that is the mean.
    pub claims: f64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct ShowRate {
    came: f64,
    missed: f64,
    /// Sum and number of the delays from call to claim.
    delays_s: f64,
    claims: f64,
    /// How much has faded, as the logarithm of what is left of the first evidence, negated.
    faded: f64,
}

impl ShowRate {
    /// Starts from the prior, with calls expected to be claimed after `delay`.
    #[must_use]
    pub fn new(delay: Duration) -> Self {
        let delays_s = DELAY_PRIOR * delay.as_secs_f64().max(DELAY_MIN_S);
        Self { came: PRIOR_CAME, missed: PRIOR_MISSED, delays_s, claims: DELAY_PRIOR, faded: 0.0 }
    }

    /// Some calls were judged.
    #[must_use]
    pub fn has_learnt(&self) -> bool {
        self.came + self.missed > PRIOR_CAME + PRIOR_MISSED
    }

    /// What was learnt, as far as it does not fade.
    #[must_use]
    pub fn shown(&self) -> Shown {
        let kept = |mass: f64| (CALLS / mass).min(1.0);
        let calls = kept(self.came + self.missed);
        let delay_s = self.delays_s / self.claims;
        Shown {
            came: self.came * calls,
            missed: self.missed * calls,
            delay_s,
            claims: self.claims * kept(self.claims),
        }
    }

    /// Goes on from what an earlier process had learnt. What cannot be true is left alone.
    pub fn take_up(&mut self, shown: &Shown) {
        let Shown { came, missed, delay_s, claims } = *shown;
        let counts = [came, missed, delay_s, claims].iter().all(|count| (0.0..=BELIEVED_MAX).contains(count));
        if counts && came + missed > 0.0 && claims > 0.0 {
            (self.came, self.missed) = (came, missed);
            (self.delays_s, self.claims) = (claims * delay_s.max(DELAY_MIN_S), claims);
        }
    }

    /// Calls were judged: so many of their holders came, and so many did not.
    pub fn judge(&mut self, came: u64, missed: u64) {
        self.came += came as f64;
        self.missed += missed as f64;
    }

    /// A claim came this long after its call.
    pub fn claimed_after(&mut self, delay: Duration) {
        self.delays_s += delay.as_secs_f64().max(DELAY_MIN_S);
        self.claims += 1.0;
    }

    /// Time passes: evidence fades, but never below that of fifty calls.
    pub fn step(&mut self, elapsed: Duration) {
        let kept = (-elapsed.as_secs_f64() / (MEMORY_DELAYS * self.delay().as_secs_f64())).exp();
        let of = |mass: f64| if mass > CALLS { kept.max(CALLS / mass) } else { 1.0 };
        let (calls, claims) = (of(self.came + self.missed), of(self.claims));
        self.came *= calls;
        self.missed *= calls;
        self.faded -= calls.ln();
        self.delays_s *= claims;
        self.claims *= claims;
    }

    /// A mark in time, for [`ShowRate::correct`].
    #[must_use]
    pub fn faded(&self) -> f64 {
        self.faded
    }

    /// Somebody who was judged missing at the mark `then` came after all. Only what has not faded of
    /// that judgement changes sides.
    pub fn correct(&mut self, then: f64) {
        let moved = (then - self.faded).exp().min(self.missed);
        self.missed -= moved;
        self.came += moved;
    }

    /// Expected part of calls that are claimed, between 0.05 and 0.95.
    #[must_use]
    pub fn rate(&self) -> f64 {
        (self.came / (self.came + self.missed)).clamp(SHOW_RATE_MIN, SHOW_RATE_MAX)
    }

    /// Mean time from call to claim.
    #[must_use]
    pub fn delay(&self) -> Duration {
        Duration::from_secs_f64(self.delays_s / self.claims)
    }

    /// Chance that a call of this age, not yet claimed, still will be, where claims come `delay` after
    /// their calls in the mean: with the show rate `s` and a share `g` of claims coming later than `age`,
    /// `s·g / (1 − s·(1 − g))`.
    #[must_use]
    pub fn still_expected(&self, age: Duration, delay: Duration) -> f64 {
        let later = (-age.as_secs_f64() / delay.as_secs_f64().max(DELAY_MIN_S)).exp();
        let rate = self.rate();
        rate * later / (1.0 - rate * (1.0 - later))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_show_rate_comes_to_what_is_seen_and_stays_between_its_bounds() {
        let mut shows = ShowRate::new(SECOND);
        assert!((shows.rate() - 0.8).abs() < 1e-9);
        for _ in 0..100 {
            shows.judge(1, 9);
            shows.step(SECOND);
        }
        assert!((shows.rate() - 0.1).abs() < 0.01, "{}", shows.rate());
        shows.judge(0, 1_000_000);
        assert!((shows.rate() - SHOW_RATE_MIN).abs() < 1e-9);
        shows.judge(1_000_000_000, 0);
        assert!((shows.rate() - SHOW_RATE_MAX).abs() < 1e-9);
    }

    /// The same crowd, whether ten are called a second or ten thousand; all who come, come in clumps.
    #[test]
    fn at_any_pace_it_is_as_steady_as_the_crowd() {
        for calls in [10_u64, 1_000, 10_000] {
            let mut shows = ShowRate::new(SECOND * 2);
            let mut seen = Vec::new();
            for step in 0..1_200_u32 {
                let all_come = step % 3 == 0;
                shows.judge(if all_come { calls / 10 } else { 0 }, if all_come { 0 } else { calls / 10 });
                shows.step(SECOND / 10);
                seen.extend((step > 600).then(|| shows.rate()));
            }
            let (low, high) =
                (seen.iter().copied().fold(1.0, f64::min), seen.iter().copied().fold(0.0, f64::max));
            assert!(low > 0.31 && high < 0.36, "{calls}/s: between {low} and {high}");
        }
    }

    #[test]
    fn a_crowd_that_changes_is_followed_in_time_and_a_slow_one_by_count() {
        let mut fast = ShowRate::new(SECOND);
        for _ in 0..1_000 {
            fast.judge(300, 700);
            fast.step(SECOND / 10);
        }
        assert!((fast.rate() - 0.3).abs() < 0.001);
        for _ in 0..320 {
            fast.judge(1_000, 0);
            fast.step(SECOND / 10);
        }
        assert!(fast.rate() > 0.89, "two memories later: {}", fast.rate());
        let mut slow = ShowRate::new(SECOND);
        for _ in 0..100 {
            slow.judge(0, 1);
            slow.step(SECOND * 60);
        }
        let before = slow.rate();
        for _ in 0..60 {
            slow.judge(1, 0);
            slow.step(SECOND * 60);
        }
        assert!(before < 0.1 && slow.rate() > 0.6, "{before}, {}", slow.rate());
    }

    #[test]
    fn a_late_correction_weighs_no_more_than_the_judgement_that_it_corrects() {
        let mut shows = ShowRate::new(SECOND);
        shows.judge(0, 100);
        let (then, wrong) = (shows.faded(), shows.rate());
        let mut at_once = shows.clone();
        (0..10).for_each(|_| at_once.correct(then));
        assert!(at_once.rate() > wrong + 0.08, "{wrong} to {}", at_once.rate());
        for _ in 0..500 {
            shows.judge(0, 100);
            shows.step(SECOND);
        }
        let before = shows.rate();
        (0..10).for_each(|_| shows.correct(then));
        assert!(shows.rate() - before < 0.001, "{before} to {}", shows.rate());
    }

    #[test]
    fn what_was_learnt_is_taken_up_as_far_as_it_does_not_fade() {
        let mut learnt = ShowRate::new(SECOND);
        for _ in 0..1_000 {
            learnt.judge(300, 700);
            (0..300).for_each(|_| learnt.claimed_after(SECOND * 3));
            learnt.step(SECOND / 10);
        }
        let mut next = ShowRate::new(SECOND);
        next.take_up(&learnt.shown());
        assert!((next.rate() - learnt.rate()).abs() < 1e-9, "{} of {}", next.rate(), learnt.rate());
        assert!(next.delay().abs_diff(learnt.delay()) < SECOND / 1_000, "{:?}", next.delay());
        let Shown { came, missed, claims, .. } = next.shown();
        assert!((came + missed - CALLS).abs() < 1e-6 && (claims - CALLS).abs() < 1e-6);
        next.judge(0, 100);
        assert!(next.rate() < 0.12, "it weighs no more than fifty calls: {}", next.rate());
    }

    #[test]
    fn what_cannot_be_true_is_not_taken_up() {
        let good = Shown { came: 40.0, missed: 10.0, delay_s: 2.0, claims: 50.0 };
        let bad = [
            Shown { came: f64::NAN, ..good },
            Shown { missed: -1.0, ..good },
            Shown { came: 0.0, missed: 0.0, ..good },
            Shown { delay_s: f64::INFINITY, ..good },
            Shown { claims: 0.0, ..good },
        ];
        for shown in bad {
            let mut shows = ShowRate::new(SECOND);
            shows.take_up(&shown);
            assert!((shows.rate() - 0.8).abs() < 1e-9 && shows.delay() == SECOND, "{shown:?}");
        }
    }

    #[test]
    fn an_unclaimed_call_is_expected_less_and_less_and_never_more_than_at_first() {
        let shows = ShowRate::new(SECOND);
        let at = |seconds| shows.still_expected(SECOND * seconds, shows.delay());
        assert!((at(0) - shows.rate()).abs() < 1e-9);
        assert!((0..100).all(|age| at(age) > at(age + 1) && at(age + 1).is_finite()));
        assert!(at(1_000_000) < 1e-9, "finite however old");
    }

    proptest! {
        /// Whatever is judged, corrected and forgotten: a share within its bounds, a delay that is finite.
        #[test]
        fn it_is_always_a_share(steps in prop::collection::vec((0u64..2_000, 0u64..2_000, 0u64..100_000, any::<bool>()), 1..300)) {
            let mut shows = ShowRate::new(SECOND);
            for (came, missed, ms, late) in steps {
                let then = shows.faded();
                shows.judge(came, missed);
                shows.claimed_after(Duration::from_millis(ms));
                shows.step(Duration::from_millis(ms));
                if late && missed > 0 {
                    shows.correct(then);
                }
                prop_assert!((SHOW_RATE_MIN..=SHOW_RATE_MAX).contains(&shows.rate()));
                prop_assert!(shows.delay() <= SECOND * 100 && !shows.delay().is_zero());
            }
        }
    }
}
