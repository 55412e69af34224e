//! What happened to one person, as they saw it.

use std::time::Duration;

use crate::admission::Moment;

/// How it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// Reached the goal.
    Completed,
    /// Ran out of patience.
    GaveUp,
    /// Was told that nothing is left of what they came for.
    SoldOut,
    /// Was turned away for good: a client that does not try again.
    Failed,
    /// Still trying when the leg was over, or never came because it was over.
    #[default]
    StillThere,
}

/// Notes of one device.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    pub(super) first_answer: Option<Moment>,
    pub(super) admitted: Option<Moment>,
    pub(super) end: End,
    pub(super) ended: Option<Moment>,
    pub(super) requests: u64,
    pub(super) pages: u64,
    pub(super) foreign_canaries: u64,
    pub(super) lost_places: u64,
    /// Answers that were neither a page, nor a place, nor a reason with a time.
    pub(super) bare_refusals: u64,
    /// Connections refused, reset or closed before a whole answer.
    pub(super) broken: u64,
    /// When the first place was given.
    pub(super) placed: Option<Moment>,
    /// Passes received, each counted once.
    pub(super) admissions: u32,
    /// Earliest and latest moment at which they would be let in, as they were told first.
    pub(super) announced: Option<(Moment, Moment)>,
    /// The same as they were told at each look.
    pub(super) told: Vec<(Moment, [Moment; 2])>,
    /// When they looked and were told that the line stands still.
    pub(super) stood: Vec<Moment>,
    /// Turns and passes that were over before they could be used.
    pub(super) burnt_turns: u64,
    /// Bytes that the waiting protocol sent, while waiting.
    pub(super) waiting_bytes: u64,
    /// Time spent waiting with a place.
    pub(super) waited: Duration,
    pub(super) hung_up: bool,
    pub(super) page_us: Vec<u32>,
}

impl Trace {
    /// A definite answer: only the first counts.
    pub(super) fn definite(&mut self, now: Moment) {
        self.first_answer.get_or_insert(now);
    }
}

/// What must not matter for a person's chances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// How many devices they have.
    pub devices: u8,
    /// Behind an address that others share.
    pub shared_address: bool,
    /// Uses the app; the rest use a browser.
    pub app: bool,
    /// Their language.
    pub language: String,
}

/// What a person's way to the goal takes at least, by the means of the laws.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Way {
    /// Requests to the pools.
    pub pool_requests: u32,
    /// Work of the pools, in seconds of one worker.
    pub work_s: f64,
    /// All of it, with the pauses between, in seconds.
    pub whole_s: f64,
}

/// The story of one person over all their devices. Times from the leg's start.
#[derive(Clone, Debug)]
pub struct PersonRecord {
    /// Index of the class in the scenario.
    pub class: usize,
    /// What must not matter.
    pub traits: Traits,
    /// What their way takes.
    pub way: Way,
    /// When they meant to come.
    pub arrival: Duration,
    /// First definite answer: a page, a place, or a reason with a time.
    pub first_answer: Option<Duration>,
    /// When they were let in.
    pub admitted: Option<Duration>,
    /// How it ended.
    pub end: End,
    /// When it ended.
    pub ended: Duration,
    /// Requests sent.
    pub requests: u64,
    /// Pages received of those asked for.
    pub pages: u64,
    /// Answers with somebody else's canary. Each is a leak.
    pub foreign_canaries: u64,
    /// Times that a ticket was gone or its number worse.
    pub lost_places: u64,
    /// Answers that were neither a page, nor a place, nor a reason with a time.
    pub bare_refusals: u64,
    /// Connections refused, reset or closed before a whole answer.
    pub broken: u64,
    /// When they were given a place. `None`: they never held a ticket.
    pub placed: Option<Duration>,
    /// Passes received, over all devices, each counted once.
    pub admissions: u32,
    /// Between when and when they would be let in, as they were told first.
    pub announced: Option<(Duration, Duration)>,
    /// When they looked, and the earliest and latest moment that they were told then.
    pub told: Vec<(Duration, [Duration; 2])>,
    /// When they looked and were told that the line stands still.
    pub stood: Vec<Duration>,
    /// Turns and passes that were over before they could be used.
    pub burnt_turns: u64,
    /// Bytes that the waiting protocol sent to all devices.
    pub waiting_bytes: u64,
    /// Time that all devices spent waiting with a place.
    pub waited: Duration,
    /// Broke a request off after it was sent.
    pub hung_up: bool,
    /// Time to each page asked for, in microseconds; unanswered ones with the time until given up.
    pub page_us: Vec<u32>,
}

impl PersonRecord {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(class: usize, arrival: Duration) -> Self {
        Self {
            class,
            traits: Traits::default(),
            way: Way::default(),
            arrival,
            first_answer: None,
            admitted: None,
            end: End::StillThere,
            ended: arrival,
            requests: 0,
            pages: 0,
            foreign_canaries: 0,
            lost_places: 0,
            bare_refusals: 0,
            broken: 0,
            placed: None,
            admissions: 0,
            announced: None,
            told: Vec::new(),
            stood: Vec::new(),
            burnt_turns: 0,
            waiting_bytes: 0,
            waited: Duration::ZERO,
            hung_up: false,
            page_us: Vec::new(),
        }
    }

    /// Adds what one device saw: the earliest answer, the best end.
    pub(super) fn add(&mut self, trace: Trace, began: Moment, over: Moment) {
        let at = |moment: Moment| moment.since(began);
        let earlier = |a: Option<Duration>, b: Option<Duration>| [a, b].into_iter().flatten().min();
        self.first_answer = earlier(self.first_answer, trace.first_answer.map(at));
        self.admitted = earlier(self.admitted, trace.admitted.map(at));
        let rank = |end: End| match end {
            End::Completed => 4,
            End::SoldOut => 3,
            End::GaveUp => 2,
            End::Failed => 1,
            End::StillThere => 0,
        };
        let ended = at(trace.ended.unwrap_or(over)).max(self.arrival);
        if rank(trace.end) > rank(self.end) || self.end == End::StillThere {
            (self.end, self.ended) = (trace.end, ended);
        }
        self.requests += trace.requests;
        self.pages += trace.pages;
        self.foreign_canaries += trace.foreign_canaries;
        self.lost_places += trace.lost_places;
        self.bare_refusals += trace.bare_refusals;
        self.broken += trace.broken;
        self.placed = earlier(self.placed, trace.placed.map(at));
        self.admissions += trace.admissions;
        self.announced = self.announced.or(trace.announced.map(|(low, high)| (at(low), at(high))));
        self.told.extend(trace.told.into_iter().map(|(look, told)| (at(look), told.map(at))));
        self.stood.extend(trace.stood.into_iter().map(at));
        self.burnt_turns += trace.burnt_turns;
        self.waiting_bytes += trace.waiting_bytes;
        self.waited += trace.waited;
        self.hung_up |= trace.hung_up;
        self.page_us.extend(trace.page_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment(ms * 1_000_000)
    }

    #[test]
    fn a_person_is_as_far_as_their_luckiest_device() {
        let mut record = PersonRecord::new(0, Duration::from_millis(10));
        let slow = Trace { first_answer: Some(at(50)), ..Trace::default() };
        let lucky = Trace {
            first_answer: Some(at(40)),
            admitted: Some(at(60)),
            end: End::Completed,
            ended: Some(at(90)),
            ..Trace::default()
        };
        // A device put away has not ended; a person who still tries has not given up.
        for trace in [slow.clone(), lucky, slow] {
            record.add(trace, at(20), at(500));
        }
        assert_eq!(record.first_answer, Some(Duration::from_millis(20)));
        assert_eq!((record.end, record.ended), (End::Completed, Duration::from_millis(70)));
    }
}
