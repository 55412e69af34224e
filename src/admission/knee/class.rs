//! What a request of each route class costs when nobody waits: the baselines.
//!
//! Answers of one class vary by nature, often by a factor of ten. What is averaged is therefore
//! `min(first byte, 3 · baseline)`, and the baseline is the fixed point of that: the mean of what was
//! capped at three times itself. For constant times it is their mean; for 90 % of 5 ms and 10 % of
//! 455 ms it is 6 ms. A wait moves it as much as a plain mean, and chance moves it a tenth as much.

use crate::admission::law::ROUTE_CLASSES;
use crate::admission::moment::Moment;

use super::price::Prices;

/// A time to first byte counts up to this many baselines.
pub(super) const CAP: f64 = 3.0;
/// Answers from which a first baseline is made.
const BIRTH: usize = 32;
/// Answers to those that found the upstream emptiest.
const FEWEST: usize = 6;
/// Standard errors by which these must have been quicker than all.
const CLEARLY: f64 = 2.0;
/// Mean answers that a new class is watched for.
const PATIENCE: f64 = 3.0;
/// One in so many answers at the cap are more than nature brings: a wait, or slower work.
const MANY: u32 = 4;
/// So many times that age a class waits for the first crowd at most: of that, none may ever be answered.
const IMPATIENCE: f64 = 5.0;
/// Answers of a class in one window that speak for the class alone.
const OWN_VOICE: u32 = 8;

/// One class.
#[derive(Clone, Debug)]
pub(super) struct RouteClass {
    /// Seconds; `None` until enough answers came.
    baseline: Option<f64>,
    /// Answers in this window, their capped sum and their plain sum.
    answers: u32,
    capped: f64,
    plain: f64,
    /// How many reached the cap.
    at_cap: u32,
    /// The last answers of a class without a baseline, seconds.
    first: [f64; BIRTH],
    /// Those let through when the fewest were unfinished: how many, and seconds.
    fewest: [(u32, f64); FEWEST],
    /// How many there were, and their sum.
    unborn: usize,
    unborn_seconds: f64,
    /// When the first of them was sent.
    since: Moment,
}

/// What is known when a class is new.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// What others are known to wait now, seconds.
    pub(super) wait: Option<f64>,
    /// The first crowd of the upstream has told all that it tells.
    pub(super) is_crowd_over: bool,
    /// What it says that one of this class costs, seconds.
    pub(super) crowd: Option<f64>,
}

/// What one answer adds to the window of all classes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Seconds, capped.
    pub(super) capped: f64,
    /// Seconds that it should have taken.
    pub(super) baseline: f64,
    /// It took longer than is counted.
    pub(super) at_cap: bool,
}

impl RouteClass {
    pub(super) const fn new() -> Self {
        Self {
            baseline: None,
            answers: 0,
            capped: 0.0,
            plain: 0.0,
            at_cap: 0,
            first: [0.0; BIRTH],
            fewest: [(u32::MAX, 0.0); FEWEST],
            unborn: 0,
            unborn_seconds: 0.0,
            since: Moment(0),
        }
    }

    /// Seconds that one takes when nobody waits; `None` until enough answers came.
    pub(super) fn baseline(&self) -> Option<f64> {
        self.baseline
    }

    /// Goes on from a baseline that was measured before.
    pub(super) fn take_up(&mut self, seconds: f64) {
        self.baseline = Some(seconds);
    }

    /// Takes an answer; `None` while the class is new.
    pub(super) fn answer(
        &mut self,
        seconds: f64,
        rank: u32,
        sent: Moment,
        known: Known,
        now: Moment,
    ) -> Option<Cost> {
        let Some(baseline) = self.baseline else {
            if self.unborn == 0 {
                self.since = sent;
            }
            if let Some(place) = self.first.get_mut(self.unborn % BIRTH) {
                *place = seconds;
            }
            self.unborn += 1;
            if let Some(most) = self.fewest.iter_mut().max_by_key(|(most, _)| *most)
                && rank < most.0
            {
                *most = (rank, seconds);
            }
            self.unborn_seconds += seconds;
            // Those that answer first are the short ones: the long ones must have had their time.
            let age = now.since(self.since).as_secs_f64();
            let enough = PATIENCE * self.unborn_seconds / self.unborn as f64;
            let is_told = known.wait.is_some() || known.is_crowd_over || age >= IMPATIENCE * enough;
            if self.unborn >= BIRTH && age >= enough && is_told {
                self.baseline = Some(self.birth(known));
            }
            return None;
        };
        let capped = seconds.min(CAP * baseline);
        let at_cap = seconds > CAP * baseline;
        self.answers += 1;
        self.capped += capped;
        self.plain += seconds;
        self.at_cap += u32::from(at_cap);
        Some(Cost { capped, baseline, at_cap })
    }

    /// The first baseline: of the last answers, less what everybody is known to wait. A first crowd that
    /// fills the limit at once queues among itself; if those at its head were clearly quicker, theirs. If not,
    /// no less than what the whole crowd took: while the limit grows, the last answers are short ones. What
    /// was slow once because it was cold is not believed for more than [`CAP`] times that.
    fn birth(&self, known: Known) -> f64 {
        let (all, error) = typical(&mut { self.first });
        if let Some(wait) = known.wait {
            return (all - wait).max(all / 4.0);
        }
        let (few, own) = typical(&mut self.fewest.map(|(_, seconds)| seconds));
        // Few short ones look alike by chance: so few of all would be off by this.
        let error = own.max(error * (BIRTH as f64 / FEWEST as f64).sqrt());
        if few + CLEARLY * error < all {
            few
        } else {
            known.crowd.map_or(all, |crowd| crowd.clamp(all, CAP * all))
        }
    }

    /// The class as it answered in this window, over its baseline; `None` if too little was seen.
    fn ratio(&self) -> Option<f64> {
        let baseline = self.baseline.filter(|_| self.answers > 0)?;
        // When many reach the cap, the capped mean says too little.
        let sum = if self.at_cap * MANY > self.answers { self.plain } else { self.capped };
        Some(sum / f64::from(self.answers) / baseline)
    }
}

/// The mean of times capped at [`CAP`] times itself, and its standard error; sorts them.
pub(super) fn typical(times: &mut [f64]) -> (f64, f64) {
    times.sort_unstable_by(f64::total_cmp);
    let count = times.len().max(1) as f64;
    let mut baseline = times.get(times.len() / 2).copied().unwrap_or_default().max(1e-6);
    let mut squared = 0.0;
    for _ in 0..12 {
        let capped = || times.iter().map(|seconds| seconds.min(CAP * baseline));
        squared = capped().map(|seconds| seconds * seconds).sum::<f64>() / count;
        baseline = (capped().sum::<f64>() / count).max(1e-6);
    }
    (baseline, ((squared - baseline * baseline).max(0.0) / count).sqrt())
}

/// How baselines move towards what was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    /// Part of the way.
    pub(super) gain: f64,
    /// Least and greatest factor.
    pub(super) bounds: (f64, f64),
}

/// Moves the baselines of all classes that were seen in this window; by what factor, all in all.
pub(super) fn shift(classes: &mut [RouteClass], how: Move) -> f64 {
    let (mut seen, mut expected) = (0.0, 0.0);
    for class in classes.iter() {
        if let (Some(ratio), Some(baseline)) = (class.ratio(), class.baseline) {
            let weight = baseline * f64::from(class.answers);
            seen += ratio * weight;
            expected += weight;
        }
    }
    if expected <= 0.0 {
        return 1.0;
    }
    let together = seen / expected;
    let mut moved = 0.0;
    for class in classes.iter_mut() {
        let own = if class.answers >= OWN_VOICE { class.ratio() } else { None };
        if class.answers == 0 {
            continue;
        }
        let factor = (1.0 + how.gain * (own.unwrap_or(together) - 1.0)).clamp(how.bounds.0, how.bounds.1);
        if let Some(baseline) = &mut class.baseline {
            moved += *baseline * f64::from(class.answers) * factor;
            *baseline = (*baseline * factor).clamp(1e-6, 1e6);
        }
    }
    if moved > 0.0 { moved / expected } else { 1.0 }
}

/// What one request of each class costs: its baseline, seconds.
pub(super) fn prices(classes: &[RouteClass; ROUTE_CLASSES]) -> Prices {
    Prices(classes.each_ref().map(RouteClass::baseline))
}

/// Begins a new window.
pub(super) fn clear(classes: &mut [RouteClass]) {
    for class in classes {
        (class.answers, class.capped, class.plain, class.at_cap) = (0, 0.0, 0.0, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::admission::chance::Chance;

    /// The first baseline of a class whose answers came thus: rank, and seconds.
    fn born(answers: impl IntoIterator<Item = (u32, f64)>) -> f64 {
        let mut class = RouteClass::new();
        let known = Known { is_crowd_over: true, ..Known::default() };
        for (rank, seconds) in answers {
            class.answer(seconds, rank, Moment(0), known, Moment(0).after(Duration::from_secs(60)));
        }
        class.baseline().unwrap()
    }

    #[test]
    fn few_that_were_short_by_chance_make_no_baseline() {
        let mut short = 0;
        for seed in 0..500 {
            let mut chance = Chance::new(seed);
            let seconds = (0..32).map(|_| -0.2 * (1.0 - chance.part()).ln()).collect::<Vec<_>>();
            let all = typical(&mut seconds.clone()).0;
            let ranks = (1..=32).rev();
            short += u32::from(born(ranks.zip(seconds)) < 0.99 * all);
        }
        assert!(short <= 15, "{short} of 500 took six answers out of 32 of the same kind for quicker ones");
    }

    #[test]
    fn those_at_the_head_of_a_first_crowd_tell_what_the_others_wait_for() {
        let waits = (1..=32).map(|rank| (rank, 0.1 + 0.02 * f64::from(rank.max(8) - 8)));
        assert!((born(waits) - 0.1).abs() < 1e-6);
    }

    /// The first baseline of answers that all took 0.1 s, and the tenth of a second at which it was known.
    fn known_at(known: Known) -> Option<(f64, u64)> {
        let mut class = RouteClass::new();
        (0..60).find_map(|tenth| {
            let now = Moment(0).after(Duration::from_millis(100 * tenth));
            for _ in 0..8 {
                class.answer(0.1, 20, Moment(0), known, now);
            }
            class.baseline().map(|seconds| (seconds, tenth))
        })
    }

    #[test]
    fn a_baseline_waits_for_the_first_crowd_but_not_for_ever() {
        let known = Known { is_crowd_over: true, crowd: Some(0.25), ..Known::default() };
        assert_eq!(known_at(known), Some((0.25, 4)), "those that are still out are dear");
        let cold = known_at(Known { crowd: Some(5.0), ..known }).unwrap();
        assert!((cold.0 - 0.3).abs() < 1e-9);
        let few = known_at(Known { crowd: Some(0.05), ..known }).unwrap();
        assert!((few.0 - 0.1).abs() < 1e-9, "no less than the last answers took");
        assert_eq!(known_at(Known::default()).unwrap().1, 15);
        assert_eq!(known_at(Known { wait: Some(0.0), ..Known::default() }).unwrap().1, 4, "others are known");
    }
}
