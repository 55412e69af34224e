//! The knee: the limit stands where more in flight would only wait longer.
//!
//! By Little's law, `in flight = at work + waiting`, and `waiting = throughput · wait`. The wait is the
//! time to first byte less what the class of the route costs when nobody waits (`class.rs`). The limit
//! is what is at work, a part more, and some of a root more, because chance leaves workers idle.
//!
//! A gradient of latency cannot tell an upstream that queues from one whose work got slower, and shrinks
//! on both. Here every cut is an experiment (`trial.rs`): if throughput falls with the limit, the cut
//! is undone and the baselines follow. Short dips ask the same question unasked, so that a baseline that
//! holds a wait comes out, and climbs (`climb.rs`) ask it upwards, so that one that may be too low does. How
//! long is measured follows from how much answers vary. A first baseline counts those in that are still out
//! (`crowd.rs`), and until there is one the limit goes by who overtakes whom (`start.rs`).
//!
//! All times are multiples of the upstream's own times or of the beat, by which the law is ticked: an
//! upstream ten times as slow, ticked a tenth as often, is treated alike, ten times as slowly.

mod class;
mod climb;
mod crew;
mod crowd;
mod due;
mod experiment;
mod facts;
mod faults;
mod growth;
mod price;
mod reading;
mod rise;
mod start;
mod trial;
mod verdict;
mod window;

use std::time::Duration;

use super::Outcome;
use super::chance::Chance;
use super::law::{Law, Load, ROUTE_CLASSES, Sample};
use super::moment::Moment;
use super::policy::LimitPolicy;
use class::{Known, Move, RouteClass};
use climb::Climbs;
use crew::Crew;
use crowd::Crowd;
use faults::{Errors, Stall};
use reading::Reading;
use rise::Lows;
use start::Start;
use trial::Trial;
use window::Window;

pub use facts::{Cut, CutCounts, KneeFacts, PhaseName};
pub use trial::{Cause, Verdict};

/// How often the law wants to be ticked.
pub const BEAT: Duration = Duration::from_millis(50);

/// Queue that is aimed at, of what is at work: a part, and a root.
const AIM: (f64, f64) = (0.06, 0.7);
/// A limit leaves room for chance as if less than the limit were in flight for this part of the time at least:
/// whoever stood ready to take each permit at the old limit may not do so at the new one.
const LEFT_IDLE: f64 = 0.5;
/// While most of the workers are missing it leaves room for more: that they are back shows in that this queue is gone,
/// and a long one is told from none by few answers.
const EXPECTANT: f64 = 2.0;
/// Above this queue the limit is cut. Its root counts by how often less than the limit is in flight.
const LONG: (f64, f64) = (0.12, 0.8);
/// Above this one it is far too high: in a fast start, in place of a dip, and after a cut.
const HIGH: (f64, f64) = (0.20, 0.8);
/// Standard error of the baselines from which on they are in doubt: dips come sooner, and go deeper.
const IN_DOUBT: f64 = 0.25;
/// A dip that goes less deep than to this part of what is at work would take long to tell anything.
const SHALLOW: f64 = 0.85;
/// Standard errors by which a queue must be too long to be looked at again, and to need no exact look.
const SURE: f64 = 1.0;
const OBVIOUS: f64 = 4.0;
/// Where all wait, a cut may go down to so many times what throughput and baselines say is worked on: these may
/// be as much too low.
const DEEP: f64 = 2.0;
/// Answers in a window, at least.
const ANSWERS: u32 = 10;

/// Standard error of the baselines that is never fallen below, and that of new ones.
const DOUBT: (f64, f64) = (0.05, 0.5);

/// Beats.
const WINDOW_MIN: f64 = 2.0;
const TRIAL_MAX: f64 = 80.0;
const DIP_EVERY: (f64, f64) = (40.0, 800.0);

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
    Run,
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
    start: Start,
    /// What was measured before the first of a chain of cuts, and the limit then.
    anchor: Option<(Reading, f64)>,
    /// Where the limit stood before the last trial, if that told nothing because the upstream got slower
    /// meanwhile.
    voided: Option<f64>,
    /// What an experiment showed that seemed void at first: it is looked at once more.
    looked: Option<Reading>,
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
    /// Small cuts that came although a dip was due.
    put_off: u32,
    /// Standard error of the baselines, relative.
    doubt: f64,
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
    climbs: Climbs,
    /// What the upstream works on at once.
    crew: Crew,
    /// What the first that were let through cost.
    crowd: Crowd,
    /// Mean in flight when nobody was held back and baselines were last held against answers.
    calm: Option<f64>,
    /// How low the limit was of late: by it a rise is bounded.
    lows: Lows,
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
            start: Start::default(),
            anchor: None,
            voided: None,
            looked: None,
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
            put_off: 0,
            doubt: DOUBT.1,
            growth: 0,
            peak: 0.0,
            peak_since: Moment(0),
            last_tick: None,
            beat: BEAT.as_secs_f64(),
            last_cut: None,
            cuts: CutCounts::default(),
            chance: Chance::new(seed),
            climbs: Climbs::default(),
            crew: Crew::default(),
            crowd: Crowd::default(),
            calm: None,
            lows: Lows::default(),
        }
    }

    /// Where a cut goes: to what is at work, and the queue that is aimed at; not below [`Self::lowest`].
    fn to_the_knee(&self, reading: &Reading, limit: f64) -> f64 {
        let at_work = self.crew.at_work().unwrap_or_else(|| reading.at_work());
        self.aimed_at(at_work, reading).max(self.lowest(reading, limit)).min(limit)
    }

    /// The deepest that a cut for latency goes: half; where all wait longer than can be told, down to what
    /// throughput and baselines say, because a window of such answers takes long and shows little. Of answers
    /// that vary by nature most cost far less than the mean does, and the baselines are theirs.
    fn lowest(&self, reading: &Reading, limit: f64) -> f64 {
        let uneven = self.spread.max(1.0).powi(2);
        let worked_on = reading.throughput * reading.baseline * uneven;
        if reading.saturated { (0.5 * limit).min(DEEP * worked_on) } else { 0.5 * limit }
    }

    /// The slack that a queue is held against, see [`band`].
    fn slack_of(&self, reading: &Reading) -> f64 {
        reading.slack.max(if self.crew.lacks_workers() { EXPECTANT } else { LEFT_IDLE })
    }

    /// The queue above which the limit is far too high.
    fn high(&self, at_work: f64) -> f64 {
        band(at_work, HIGH, if self.crew.lacks_workers() { EXPECTANT } else { 1.0 })
    }

    /// The limit that suits so many at work.
    fn aimed_at(&self, at_work: f64, reading: &Reading) -> f64 {
        at_work + band(at_work, AIM, self.slack_of(reading))
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

    /// A factor by which pauses differ, so that gateways before one upstream do not ask at one time.
    fn jitter(&mut self) -> f64 {
        0.8 + 0.4 * self.chance.part()
    }

    fn beats(&self, beats: f64) -> f64 {
        beats * self.beat
    }

    fn open(&mut self, load: &Load, now: Moment) {
        class::clear(&mut *self.classes);
        self.window = Some(Window::new(now, *load));
    }

    fn close(&mut self, reading: Reading, limit: f64, policy: &LimitPolicy, now: Moment) -> f64 {
        if reading.throughput > 0.0 {
            let hold = reading.in_flight / reading.throughput;
            let weight = if self.hold > 0.0 { 0.4 } else { 1.0 };
            self.hold += weight * (hold - self.hold);
            self.spread += weight * (reading.spread.max(0.9 * self.spread) - self.spread);
        }
        // Where nothing came back, nothing is known of what answers cost.
        if reading.answers > 0 || !self.is_born() {
            self.last = reading;
        }
        let tells = reading.limited && reading.answers >= ANSWERS;
        let is_back = tells && self.crew.see(&reading, &class::prices(&self.classes));
        if self.fast_start {
            self.crew.lose_nothing();
        }
        if let Some(to) = self.drops(&reading, limit, now) {
            self.conclude(None, to);
            return to;
        }
        if is_back && !self.fast_start {
            return self.come_back(&reading, limit, now);
        }
        match self.phase {
            Phase::Settle { .. } => limit,
            Phase::Run => {
                let limit = self.run(reading, limit, policy, now);
                self.start.look(limit);
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
                if reading.queue - SURE * reading.queue_error > self.high(at_work) {
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
        if self.fast_start && sample.outcome == Outcome::Served && sample.first_byte.is_some() {
            self.start.end(sample.beside(), limit);
        }
        self.crowd.end(sample, now);
        let Some(window) = &mut self.window else {
            if sample.outcome == Outcome::Served {
                self.last_success = Some(now);
            }
            return limit;
        };
        let is_quick = match (sample.outcome, sample.first_byte) {
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
                let known = Known {
                    wait: (self.last.baseline > 0.0).then_some(self.last.wait.max(0.0)),
                    is_crowd_over: self.crowd.cost().is_some(),
                    crowd: self.crowd.cost_of(place),
                };
                let cost = self
                    .classes
                    .get_mut(place)
                    .and_then(|class| class.answer(took, sample.rank, sample.sent, known, now));
                window.answer(took, cost);
                start::is_quick(took, cost)
            }
        };
        let starts = self.fast_start && sample.limited && self.phase == Phase::Run;
        match starts && is_quick {
            true if self.is_born() => self.start.grow(limit, self.spread),
            true => self.start.grow_blind(limit),
            false => limit,
        }
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
        self.crowd.tick(load.unanswered, now);
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
                    Next::Run => Phase::Run,
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
        self.lows.see(limit, now);
        if !matches!(self.phase, Phase::Settle { .. }) {
            self.open(load, now);
        }
        limit
    }

    fn standing(&self, limit: f64) -> f64 {
        match self.trial {
            Some(trial) if trial.cause == Cause::Dip => trial.limit_before.max(limit),
            Some(trial) if trial.cause == Cause::Climb => trial.limit_before.min(limit),
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
