//! The knee: the limit stands where more in flight would only wait longer.
//!
//! By Little's law, `in flight = at work + waiting`, and `waiting = throughput · wait`. The wait is the
//! time to first byte less what the class of the route costs when nobody waits (`class.rs`). The limit
//! is what is at work, a part more, and some of a root more, because chance leaves workers idle.
//!
//! A gradient of latency cannot tell an upstream that queues from one whose work got slower, and shrinks
//! on both. Here every cut is an experiment (`trial.rs`): if throughput falls with the limit, the cut
//! is undone and the baselines follow. Short dips ask the same question unasked, so that a baseline that
//! holds a wait comes out. How long is measured follows from how much answers vary.
//!
//! All times are multiples of the upstream's own times or of the beat, by which the law is ticked: an
//! upstream ten times as slow, ticked a tenth as often, is treated alike, ten times as slowly.

mod class;
mod crew;
mod facts;
mod trial;
mod window;

use std::time::Duration;

use super::Outcome;
use super::chance::Chance;
use super::law::{Law, Load, ROUTE_CLASSES, Sample};
use super::moment::Moment;
use super::policy::LimitPolicy;
use class::{Move, RouteClass};
use crew::Crew;
use trial::{COSTLY, Trial};
use window::{Reading, Window};

pub use facts::{Cut, CutCounts, KneeFacts, PhaseName};
pub use trial::{Cause, Verdict};

/// How often the law wants to be ticked.
pub const BEAT: Duration = Duration::from_millis(50);

/// Queue that is aimed at, of what is at work: a part, and a root.
const AIM: (f64, f64) = (0.06, 0.7);
/// A cut leaves room for chance as if less than the limit were in flight for this part of the time at least:
/// whoever stood ready to take each permit at the old limit may not do so at the new one.
const LEFT_IDLE: f64 = 0.5;
/// Below this queue the limit grows.
const LOW: (f64, f64) = (0.04, 0.7);
/// Above this queue the limit is cut.
const HIGH: (f64, f64) = (0.20, 0.8);
/// A dip goes to this part of what is at work; where the baselines are in doubt, to less, because the
/// knee may be far below.
const DIP: f64 = 0.75;
const DEEP_DIP: f64 = 0.5;
const IN_DOUBT: f64 = 0.25;
/// Never below this part of the limit. One that goes less deep than to the other part of what is at work
/// would take long to tell anything.
const DEEPEST: f64 = 0.35;
const SHALLOW: f64 = 0.85;
/// Standard errors by which a queue must be too long to be looked at again, and to be cut at once.
const SURE: f64 = 1.0;
const OBVIOUS: f64 = 4.0;
/// Answers in a window, at least.
const ANSWERS: u32 = 10;
/// A dip that is undone gives back at least this part.
const TRIM: f64 = 0.85;
/// Beyond what is known to be worked on at once the first steps of growth are smaller by this factor, until
/// so many came in a row.
const HESITANT: f64 = 0.5;
const OFTEN: u32 = 3;
/// A fast start whose throughput grows by less than this power of what is in flight is over.
const STAGNANT: f64 = 0.4;
/// Standard error of an elasticity at which an experiment may end.
const CONVINCED: f64 = 0.2;

/// Standard error of the baselines that is never fallen below, and that of new ones.
const DOUBT: (f64, f64) = (0.05, 0.5);

/// That of baselines that answered while half of the upstream was idle.
const SEEN_CALM: f64 = 0.2;

/// Beats.
const WINDOW_MIN: f64 = 2.0;
const WINDOW_MAX: f64 = 20.0;
const TRIAL_MAX: f64 = 80.0;
const DIP_EVERY: (f64, f64) = (40.0, 800.0);
const STALL_MIN: f64 = 6.0;
const FORGET_ERRORS: f64 = 200.0;
const QUIET: f64 = 200.0;

const DROPS_TOLERATED: f64 = 0.05;
const DROPS_MIN: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Run,
    /// The fast start saw a queue: is it there when the limit stands still?
    Recheck,
    Reference,
    Settle {
        until: Moment,
        then: Next,
    },
    Probe,
}

/// What is measured once a change has taken effect.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Next {
    Recheck,
    Probe,
}

/// A stall under way.
#[derive(Clone, Copy, Debug)]
struct Stall {
    limit_before: f64,
    /// Answers came again at; those of before are void.
    over: Option<Moment>,
}

/// Errors that a cut was to stop.
#[derive(Clone, Copy, Debug)]
struct Errors {
    limit_before: f64,
    share_before: f64,
    cuts: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Knee {
    phase: Phase,
    fast_start: bool,
    classes: Box<[RouteClass; ROUTE_CLASSES]>,
    window: Option<Window>,
    last: Reading,
    trial: Option<Trial>,
    /// When the limit last moved, and where it was then.
    changed: Moment,
    settled: f64,
    /// Throughput did not grow with the limit.
    suspect: bool,
    /// A reading of the fast start, against which later ones are held.
    mark: Option<Reading>,
    /// What was measured before the first of a chain of cuts, and the limit then.
    anchor: Option<(Reading, f64)>,
    /// The last trial told nothing, because the upstream got slower meanwhile.
    voided: bool,
    /// Seconds for which a request is held, over the last windows.
    hold: f64,
    /// Their standard deviation over their mean.
    spread: f64,
    last_success: Option<Moment>,
    stall: Option<Stall>,
    void_before: Moment,
    errors: Option<Errors>,
    error_share: f64,
    ignore_errors_until: Moment,
    next_dip: Moment,
    dip_every: f64,
    /// Standard error of the baselines, relative.
    doubt: f64,
    /// How far the fast start may go before the next look.
    reach: f64,
    /// Windows in a row in which the limit grew.
    growth: u32,
    peak: f64,
    peak_since: Moment,
    last_tick: Option<Moment>,
    /// Seconds from tick to tick.
    beat: f64,
    last_cut: Option<Cut>,
    cuts: CutCounts,
    chance: Chance,
    /// What the upstream works on at once.
    crew: Crew,
    /// Mean in flight when nobody was held back and baselines were last held against answers.
    calm: Option<f64>,
}

/// A length of queue. What is in flight swings by its root where nobody stands ready to take a permit
/// that gets free; where somebody always does, there is no `slack` and no need for more than a part.
fn band(at_work: f64, (part, root): (f64, f64), slack: f64) -> f64 {
    let at_work = at_work.max(0.0);
    part * at_work + root * slack * at_work.sqrt()
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

impl Knee {
    /// A law that has seen nothing.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            phase: Phase::Run,
            fast_start: true,
            classes: Box::new([const { RouteClass::new() }; ROUTE_CLASSES]),
            window: None,
            last: Reading::default(),
            trial: None,
            changed: Moment(0),
            settled: 0.0,
            suspect: false,
            mark: None,
            anchor: None,
            voided: false,
            hold: 0.0,
            spread: 0.0,
            last_success: None,
            stall: None,
            void_before: Moment(0),
            errors: None,
            error_share: 0.0,
            ignore_errors_until: Moment(0),
            next_dip: Moment(0),
            dip_every: DIP_EVERY.0,
            doubt: DOUBT.1,
            reach: 0.0,
            growth: 0,
            peak: 0.0,
            peak_since: Moment(0),
            last_tick: None,
            beat: BEAT.as_secs_f64(),
            last_cut: None,
            cuts: CutCounts::default(),
            chance: Chance::new(seed),
            crew: Crew::default(),
            calm: None,
        }
    }

    /// Where a cut goes: to what is at work, and the queue that is aimed at; not below half.
    fn to_the_knee(&self, reading: &Reading, limit: f64) -> f64 {
        let at_work = self.crew.at_work().unwrap_or_else(|| reading.at_work());
        Self::aimed_at(at_work, reading).max(0.5 * limit).min(limit)
    }

    /// The limit that suits so many at work.
    fn aimed_at(at_work: f64, reading: &Reading) -> f64 {
        at_work + band(at_work, AIM, reading.slack.max(LEFT_IDLE))
    }

    /// What was served, at what each class costs by now.
    fn price(&self, reading: Reading) -> Reading {
        reading.priced(&class::prices(&self.classes))
    }

    /// A trial whose two ends are counted alike.
    fn priced(&self, trial: Trial) -> Trial {
        Trial { before: self.price(trial.before), ..trial }
    }

    fn shift(&mut self, how: Move) {
        self.crew.scale(class::shift(&mut *self.classes, how));
    }

    fn is_born(&self) -> bool {
        self.last.baseline > 0.0
    }

    /// Seconds after which most of what was sent is answered, long answers too. Those that come sooner
    /// are the short ones.
    fn patience(&self) -> f64 {
        self.hold * (1.0 + self.spread.min(3.0))
    }

    fn beats(&self, beats: f64) -> f64 {
        beats * self.beat
    }

    fn open(&mut self, load: &Load, now: Moment) {
        class::clear(&mut *self.classes);
        self.window = Some(Window::new(now, *load));
    }

    /// Whether the window has seen enough to be read.
    fn is_due(&self, reading: &Reading) -> bool {
        let hold = self.hold;
        let at_work = (reading.in_flight - reading.queue).max(1.0);
        match self.phase {
            Phase::Settle { .. } => false,
            Phase::Run => {
                let (shortest, longest) = if self.fast_start {
                    (self.beats(1.0).max(0.5 * hold), self.beats(WINDOW_MAX).max(2.0 * hold))
                } else {
                    (self.beats(WINDOW_MIN).max(1.5 * hold), self.beats(WINDOW_MAX).max(4.0 * hold))
                };
                let precise = reading.queue_error <= 0.25 * band(at_work, HIGH, 1.0);
                (reading.seconds >= shortest && reading.answers >= ANSWERS && precise)
                    || reading.seconds >= longest
            }
            Phase::Reference | Phase::Recheck => {
                let precise = reading.queue_error <= 0.1 * at_work;
                let count = reading.throughput * reading.seconds;
                let enough = count >= (reading.spread.clamp(0.3, 2.0) / 0.06).powi(2);
                let longest = self.beats(0.5 * TRIAL_MAX).max(4.0 * hold);
                (reading.seconds >= self.beats(WINDOW_MIN).max(self.patience())
                    && reading.answers >= 2 * ANSWERS
                    && precise
                    && enough)
                    || reading.seconds >= longest
            }
            Phase::Probe => {
                let convinced = self.trial.map(|trial| self.priced(trial)).is_some_and(|trial| {
                    let elasticity = trial.elasticity(&self.price(*reading));
                    let clear = (elasticity.value - 0.55).abs() > 2.5 * elasticity.error;
                    elasticity.error <= CONVINCED || clear
                });
                let longest = self.beats(TRIAL_MAX).max(6.0 * hold);
                (reading.seconds >= self.beats(WINDOW_MIN).max(1.5 * self.patience())
                    && reading.answers >= 3 * ANSWERS
                    && convinced)
                    || reading.seconds >= longest
            }
        }
    }

    fn cut(&mut self, cause: Cause, before: Reading, limit: f64, to: f64, now: Moment) -> f64 {
        let is_void = |anchor| Trial::is_void(&self.price(anchor), &self.price(before));
        if self.anchor.is_none_or(|(anchor, _)| is_void(anchor)) {
            self.anchor = Some((before, limit));
        }
        self.trial = Some(Trial { cause, before, limit_before: limit });
        self.last_cut = Some(Cut { cause, verdict: None, from: limit, to });
        self.growth = 0;
        self.settle(Next::Probe, now);
        to
    }

    /// Until those sent before are answered, long ones too.
    fn settle(&mut self, then: Next, now: Moment) {
        let wait = self.patience().max(self.beats(1.0));
        self.phase = Phase::Settle { until: now.after(seconds(wait)), then };
        self.window = None;
    }

    /// Where a dip goes.
    fn dip(&self, at_work: f64, limit: f64) -> f64 {
        let part = if self.doubt > IN_DOUBT { DEEP_DIP } else { DIP };
        (part * at_work).floor().max(DEEPEST * limit).max(1.0)
    }

    /// The next dip comes after so many seconds, or later.
    fn schedule_dip(&mut self, experiment: f64, now: Moment) {
        let jitter = 0.8 + 0.4 * self.chance.part();
        let soonest = if self.doubt > IN_DOUBT {
            self.beats(DIP_EVERY.0 / 4.0).max(2.0 * self.hold)
        } else {
            self.beats(self.dip_every).max(10.0 * self.hold)
        };
        let pause = soonest.max(experiment) * jitter;
        self.next_dip = now.after(seconds(pause));
    }

    /// Ends an experiment, with its verdict or without.
    fn conclude(&mut self, verdict: Option<Verdict>, limit: f64) {
        if let Some(trial) = self.trial.take() {
            self.cuts.add(trial.cause, verdict);
            let from = trial.limit_before;
            self.last_cut = Some(Cut { cause: trial.cause, verdict, from, to: limit });
        }
        self.phase = Phase::Run;
    }

    fn judge(&mut self, reading: Reading, limit: f64, now: Moment) -> f64 {
        let Some(trial) = self.trial.map(|trial| self.priced(trial)) else {
            self.phase = Phase::Run;
            return limit;
        };
        let reading = self.price(reading);
        let tells = reading.limited || trial.is_spared(&reading);
        if !tells || reading.answers < ANSWERS / 2 {
            // The demand has gone: nothing was learnt.
            self.conclude(None, trial.limit_before);
            self.schedule_dip(0.0, now);
            return trial.limit_before;
        }
        // Twice in a row it would be the cut after all.
        self.voided = !self.voided && trial.got_slower(&reading);
        if self.voided {
            // More waits at half as much in flight: whatever made the upstream slower, it was not the cut.
            let back = if trial.cause == Cause::Dip { trial.limit_before } else { limit };
            self.conclude(None, back);
            self.anchor = None;
            self.crew.forget();
            self.schedule_dip(trial.before.seconds + reading.seconds, now);
            return back;
        }
        let experiment = trial.before.seconds + reading.seconds;
        let is_dip = trial.cause == Cause::Dip;
        let baseline = reading.baseline.max(1e-9);
        let high = band(reading.in_flight - reading.queue.max(0.0), HIGH, 1.0);
        // Most of what is in flight after the cut still waits.
        let still_waits = reading.saturated || reading.queue - OBVIOUS * reading.queue_error > high;
        let mut verdict = trial.elasticity(&reading).verdict();
        // A reload may have put the floor above where the limit stood before.
        let aim = Self::aimed_at(trial.at_work(&reading), &reading).min(trial.limit_before).max(limit);
        let mut back = if self.fast_start {
            trial.limit_before
        } else if is_dip {
            // Where the limit stood above the knee all along, it comes down little by little.
            aim.max(TRIM * trial.limit_before)
        } else {
            aim
        };
        if let Some((anchor, limit_before)) = self.anchor
            && verdict == Verdict::Free
            && Trial::over(&self.price(anchor), &reading).is_some_and(|value| value >= COSTLY)
        {
            (verdict, back) = (Verdict::Costly, limit_before);
        }
        match verdict {
            Verdict::Costly => {
                self.anchor = None;
                // What is in flight is all worked on: what answers take now is what they cost.
                let measured = reading.queue_error / reading.in_flight.max(0.1);
                let doubt = self.doubt.powi(2);
                let gain = if is_dip { (doubt / (doubt + measured.powi(2))).max(0.2) } else { 1.0 };
                self.doubt = ((1.0 - gain) * doubt).sqrt().max(DOUBT.0).max(measured.min(self.doubt));
                let bounds = if reading.wait > 0.0 { (1.0, 2.5) } else { (0.5, 1.0) };
                self.shift(Move { gain, bounds });
                let small = is_dip && reading.wait.abs() < 0.15 * baseline;
                self.dip_every = if small { (self.dip_every * 2.0).min(DIP_EVERY.1) } else { DIP_EVERY.0 };
                self.conclude(Some(verdict), back);
                self.schedule_dip(if small { 8.0 } else { 3.0 } * experiment, now);
                back
            }
            Verdict::Free => {
                self.fast_start = false;
                self.shift(Move { gain: 1.0, bounds: (0.3, 1.0) });
                self.dip_every = DIP_EVERY.0;
                if is_dip {
                    // They held a wait, and may still.
                    self.doubt = self.doubt.max(DOUBT.1);
                }
                self.conclude(Some(verdict), limit);
                let again = if is_dip {
                    let at_work = reading.in_flight - reading.queue.max(0.0);
                    let to = self.dip(at_work, limit);
                    (to < 0.95 * limit).then_some(to)
                } else {
                    still_waits.then(|| self.to_the_knee(&reading, limit))
                };
                if let Some(to) = again {
                    return self.cut(trial.cause, reading, limit, to, now);
                }
                self.schedule_dip(2.0 * experiment, now);
                // The cut may have gone deeper than to what was at work.
                if is_dip { limit } else { aim }
            }
            Verdict::Unclear => {
                // The knee lies between here and there: what answers take here holds less wait than
                // the baselines do, if they say that it is less.
                self.shift(Move { gain: 1.0, bounds: (0.5, 1.0) });
                let back = if self.fast_start { back } else { aim };
                self.conclude(Some(verdict), back);
                // A deeper cut tells more than a way back would.
                let to = self.to_the_knee(&reading, limit);
                if !is_dip && still_waits && to < 0.95 * limit {
                    return self.cut(trial.cause, reading, limit, to, now);
                }
                self.schedule_dip(2.0 * experiment, now);
                back
            }
        }
    }

    fn grow(&mut self, reading: &Reading, limit: f64) -> f64 {
        self.growth += 1;
        if self.growth >= 3 {
            self.anchor = None;
        }
        let step = (0.5 * limit.sqrt()).max(1.0);
        let faster = 1.5_f64.powi(i32::try_from(self.growth / 2).unwrap_or(0).min(20));
        let step = (step * faster).min((0.25 * limit).max(1.0));
        let Some(known) = self.crew.at_work().map(|crew| Self::aimed_at(crew, reading)) else {
            return limit + step;
        };
        // Up to what is known there is no need to feel one's way. Beyond it a short queue is chance, until
        // it is seen again and again.
        let step = if limit >= known && self.growth < OFTEN { HESITANT * step } else { step };
        (limit + step).max(known.min(1.5 * limit))
    }

    fn run(&mut self, reading: Reading, limit: f64, policy: &LimitPolicy, now: Moment) -> f64 {
        if reading.answers < ANSWERS / 2 || !self.is_born() {
            return limit;
        }
        let at_work = reading.at_work();
        let (low, high) = (band(at_work, LOW, reading.slack), band(at_work, HIGH, 1.0));
        if !reading.limited {
            self.growth = 0;
            return self.rest(reading, limit, policy, now);
        }
        // While the limit grows, answers that are back are mostly the short ones.
        let is_steady = now.since(self.changed).as_secs_f64() > 2.0 * self.patience() + reading.seconds;
        if is_steady && !self.fast_start && reading.queue + 2.0 * reading.queue_error < 0.0 {
            self.shift(Move { gain: 0.3, bounds: (0.5, 1.0) });
        }
        if self.calm.take_if(|calm| at_work > 2.0 * *calm).is_some() {
            // Twice as many can be worked on as when the baselines were last seen: they hold no wait.
            self.doubt = self.doubt.min(SEEN_CALM);
        }
        let recheck = self.phase == Phase::Recheck;
        let excess = reading.queue - high;
        if self.fast_start {
            // Twice as many in flight, and hardly more answers: all beyond was queue, whatever the
            // baselines say.
            let mark = *self.mark.get_or_insert(reading);
            if reading.in_flight >= 2.0 * mark.in_flight {
                self.mark = Some(reading);
                if Trial::over(&self.price(mark), &self.price(reading)).is_some_and(|value| value < STAGNANT)
                {
                    self.suspect = true;
                }
            }
            if recheck && (reading.queue > low || reading.saturated || std::mem::take(&mut self.suspect)) {
                // Somewhere between here and half of it is the knee, or the baselines are too low.
                let to = (DIP * at_work).floor().max(0.5 * limit).max(1.0);
                return self.cut(Cause::Latency, reading, limit, to, now);
            }
            let queues = reading.queue > low + SURE * reading.queue_error || reading.saturated;
            if !recheck && (queues || self.suspect) {
                // The counts of a growing limit cannot be compared.
                self.settle(Next::Recheck, now);
            }
            return limit;
        }
        if reading.saturated || excess > OBVIOUS * reading.queue_error || (recheck && excess > 0.0) {
            return self.cut(Cause::Latency, reading, limit, self.to_the_knee(&reading, limit), now);
        }
        if !recheck && excess > SURE * reading.queue_error {
            // Chance shows itself in the highest of many looks: look once more before acting.
            self.phase = Phase::Recheck;
            return limit;
        }
        if now >= self.next_dip {
            self.phase = Phase::Reference;
        }
        if reading.queue < low {
            return self.grow(&reading, limit);
        }
        self.growth = 0;
        limit
    }

    /// Nobody is held back: nothing tells more than what answers cost now.
    fn rest(&mut self, reading: Reading, limit: f64, policy: &LimitPolicy, now: Moment) -> f64 {
        if reading.in_flight < 0.5 * limit {
            self.shift(Move { gain: 0.1, bounds: (0.9, 1.05) });
            self.calm = Some(reading.in_flight).filter(|_| reading.answers >= ANSWERS);
        }
        if now.since(self.peak_since).as_secs_f64() < self.beats(QUIET) {
            return limit;
        }
        let peak = std::mem::take(&mut self.peak);
        self.peak_since = now;
        if peak < limit / 4.0 && limit > f64::from(policy.initial) {
            return (0.9 * limit).max(4.0 * peak).max(f64::from(policy.initial));
        }
        limit
    }

    fn drops(&mut self, reading: &Reading, limit: f64, now: Moment) -> Option<f64> {
        self.error_share += 0.3 * (reading.dropped - self.error_share);
        if self.error_share <= DROPS_TOLERATED || reading.drops < DROPS_MIN {
            if self.error_share <= DROPS_TOLERATED {
                self.errors = None;
            }
            return None;
        }
        if now < self.ignore_errors_until {
            return None;
        }
        let share = self.error_share;
        let errors = self.errors.get_or_insert(Errors { limit_before: limit, share_before: share, cuts: 0 });
        if errors.cuts >= 3 && share > 0.7 * errors.share_before {
            // They do not fall with the limit: not load, and the circuit breaker's business.
            let back = errors.limit_before;
            self.errors = None;
            self.ignore_errors_until = now.after(seconds(self.beats(FORGET_ERRORS)));
            return Some(back);
        }
        errors.cuts += 1;
        // What it works on at once is not what it bears.
        self.crew.forget();
        self.fast_start = false;
        self.cuts.add(Cause::Errors, None);
        let to = 0.75 * limit;
        self.last_cut = Some(Cut { cause: Cause::Errors, verdict: None, from: limit, to });
        Some(to)
    }

    /// Nothing comes back, or comes back again.
    fn stalled(&mut self, limit: f64, load: &Load, now: Moment) -> Option<f64> {
        match self.stall {
            None => {
                let last = self.last_success?;
                let silent = now.since(last).as_secs_f64();
                let gap = 10.0 / self.last.throughput.max(1e-9);
                let patience = self
                    .beats(STALL_MIN)
                    .max(4.0 * self.hold * (1.0 + self.last.spread))
                    .max(if self.last.throughput > 0.0 { gap } else { 0.0 });
                if f64::from(load.unanswered) < 0.5 * limit || silent < patience || !self.is_born() {
                    return None;
                }
                let before = self.trial.map_or(limit, |trial| trial.limit_before);
                self.conclude(None, before);
                self.stall = Some(Stall { limit_before: before, over: None });
                self.cuts.add(Cause::Stall, None);
                let to = 0.5 * limit;
                self.last_cut = Some(Cut { cause: Cause::Stall, verdict: None, from: limit, to });
                self.window = None;
                Some(to)
            }
            Some(Stall { limit_before, over: None }) => {
                if self.last_success.is_some_and(|last| now.since(last).as_secs_f64() < self.beats(2.0)) {
                    self.stall = Some(Stall { limit_before, over: Some(now) });
                    self.void_before = now;
                }
                Some(limit)
            }
            // The first answer to something sent since ends it, see `on_sample`.
            Some(Stall { limit_before, over: Some(over) }) => {
                if self.last_success.is_some_and(|last| last >= over) && self.window.is_some() {
                    self.stall = None;
                    let back = 0.8 * limit_before;
                    return Some(back.max(limit));
                }
                Some(limit)
            }
        }
    }

    fn close(&mut self, reading: Reading, limit: f64, policy: &LimitPolicy, now: Moment) -> f64 {
        if reading.throughput > 0.0 {
            let hold = reading.in_flight / reading.throughput;
            let weight = if self.hold > 0.0 { 0.4 } else { 1.0 };
            self.hold += weight * (hold - self.hold);
            self.spread += weight * (reading.spread.max(0.9 * self.spread) - self.spread);
        }
        self.last = reading;
        if reading.limited && reading.answers >= ANSWERS {
            self.crew.see(&reading);
        }
        if let Some(to) = self.drops(&reading, limit, now) {
            self.conclude(None, to);
            return to;
        }
        match self.phase {
            Phase::Settle { .. } => limit,
            Phase::Run => {
                let limit = self.run(reading, limit, policy, now);
                self.reach = 2.0 * limit;
                limit
            }
            Phase::Recheck => {
                let limit = self.run(reading, limit, policy, now);
                if self.phase == Phase::Recheck {
                    self.phase = Phase::Run;
                }
                limit
            }
            Phase::Probe => self.judge(reading, limit, now),
            Phase::Reference => {
                let at_work = reading.at_work();
                let to = self.dip(at_work, limit);
                self.phase = Phase::Run;
                if !reading.limited || reading.answers < ANSWERS {
                    return limit;
                }
                if reading.queue - SURE * reading.queue_error > band(at_work, HIGH, 1.0) {
                    // No need to ask whether less would do.
                    return self.cut(Cause::Latency, reading, limit, self.to_the_knee(&reading, limit), now);
                }
                if to > SHALLOW * at_work {
                    self.schedule_dip(reading.seconds, now);
                    return limit;
                }
                self.cut(Cause::Dip, reading, limit, to, now)
            }
        }
    }
}

impl Law for Knee {
    fn on_sample(&mut self, limit: f64, _: &LimitPolicy, sample: &Sample, now: Moment) -> f64 {
        let Some(window) = &mut self.window else {
            if sample.outcome == Outcome::Served {
                self.last_success = Some(now);
            }
            return limit;
        };
        match (sample.outcome, sample.first_byte) {
            (Outcome::Ignored, _) | (Outcome::Served, None) => return limit,
            (Outcome::Dropped, _) => {
                window.drops += 1;
                return limit;
            }
            (Outcome::Served, Some(first_byte)) => {
                self.last_success = Some(now);
                let place = usize::from(sample.class).min(ROUTE_CLASSES - 1);
                window.serve(place);
                if sample.sent < self.void_before {
                    return limit;
                }
                let took = first_byte.as_secs_f64();
                let wait = (self.last.baseline > 0.0).then_some(self.last.wait.max(0.0));
                let cost = self
                    .classes
                    .get_mut(place)
                    .and_then(|class| class.answer(took, sample.rank, sample.sent, wait, now));
                window.answer(took, cost);
            }
        }
        let starts = self.fast_start && sample.limited && self.phase == Phase::Run && self.is_born();
        // At most twice the limit before answers are looked at.
        if starts { (limit + 1.0).min(self.reach.max(limit)) } else { limit }
    }

    fn on_tick(&mut self, limit: f64, policy: &LimitPolicy, load: &Load, now: Moment) -> f64 {
        if let Some(last) = self.last_tick.replace(now) {
            let passed = now.since(last).as_secs_f64();
            // A late tick is no slower beat; a beat that is always slower is.
            self.beat += 0.1 * (passed.min(4.0 * self.beat).max(1e-6) - self.beat);
        }
        if (limit - self.settled).abs() > 0.02 * self.settled {
            (self.changed, self.settled) = (now, limit);
        }
        self.peak = self.peak.max(f64::from(load.peak));
        if let Some(limit) = self.stalled(limit, load, now) {
            if self.stall.is_some_and(|stall| stall.over.is_some()) && self.window.is_none() {
                self.open(load, now);
            }
            return limit;
        }
        if let Phase::Settle { until, then } = self.phase {
            let drained = f64::from(load.in_flight) <= (1.05 * limit).max(limit + 1.0);
            let patience = until.after(seconds(4.0 * self.hold));
            if now >= until && (drained || now >= patience) {
                self.phase = match then {
                    Next::Probe => Phase::Probe,
                    Next::Recheck => Phase::Recheck,
                };
                self.open(load, now);
            }
            return limit;
        }
        let Some(window) = &self.window else {
            self.open(load, now);
            return limit;
        };
        let reading = window.read(load, now);
        if !self.is_due(&reading) {
            return limit;
        }
        let limit = self.close(reading, limit, policy, now);
        if !matches!(self.phase, Phase::Settle { .. }) {
            self.open(load, now);
        }
        limit
    }

    fn standing(&self, limit: f64) -> f64 {
        match self.trial {
            Some(trial) if trial.cause == Cause::Dip => trial.limit_before.max(limit),
            _ => limit,
        }
    }

    fn baselines(&self) -> Vec<Option<f64>> {
        self.classes.iter().map(RouteClass::baseline).collect()
    }

    /// The limit is taken to be near the truth: it is not looked for anew, but a dip asks soon whether less
    /// would do, for much may have changed since.
    fn take_up(&mut self, baselines: &[Option<f64>], now: Moment) {
        for (class, baseline) in self.classes.iter_mut().zip(baselines) {
            if let Some(seconds) = baseline.filter(|seconds| seconds.is_finite() && *seconds > 0.0) {
                class.take_up(seconds);
                self.fast_start = false;
            }
        }
        self.doubt = IN_DOUBT;
        self.schedule_dip(0.0, now);
    }

    fn facts(&self) -> Option<KneeFacts> {
        let phase = match self.phase {
            _ if self.stall.is_some() => PhaseName::Stalled,
            Phase::Run if self.fast_start => PhaseName::FastStart,
            Phase::Run => PhaseName::Run,
            Phase::Reference | Phase::Recheck => PhaseName::Reference,
            Phase::Settle { .. } => PhaseName::Settle,
            Phase::Probe => PhaseName::Probe,
        };
        Some(KneeFacts {
            phase,
            baseline_s: self.last.baseline,
            in_flight: self.last.in_flight,
            queue: self.last.queue,
            limited: self.last.limited,
            last_cut: self.last_cut,
            cuts: self.cuts,
        })
    }
}

#[cfg(test)]
mod tests;
