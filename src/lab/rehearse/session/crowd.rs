//! Who comes in which beat, and what each of them is like.
//!
//! Arrivals are counted, not listed: how many of a group come in a beat is drawn from the binomial law
//! that its share of that beat gives. What a person is like (devices, patience, manners, errand) follows
//! from the seed and the person's number, whenever it is asked, so that nothing of it is stored.

use std::collections::VecDeque;

use super::day::{Day, Errand, Group};
use crate::lab::chance::Chance;

/// Devices of one person are picked up within this time, as in the crowd of the request level.
const DEVICES_WITHIN_S: f64 = 0.5;
/// Above this mean the binomial law is drawn as the normal that it comes to.
const NORMAL_FROM: f64 = 1_000.0;

/// A person of the day, by order of arrival, from 0.
pub(super) type Who = u32;

/// What is drawn of a person.
#[derive(Clone, Copy)]
enum Trait {
    Devices = 1,
    Patience = 2,
    Away = 3,
    Errand = 4,
    Manners = 5,
}

/// A device that takes a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Coming {
    pub(super) at_s: f64,
    /// When the person came, with the first device.
    pub(super) since_s: f64,
    pub(super) who: Who,
    /// The person comes with this device; else it is another of theirs.
    pub(super) first: bool,
}

/// The crowd of a day.
#[derive(Debug)]
pub(super) struct Crowd<'a> {
    day: &'a Day,
    chance: Chance,
    /// People of each group who have not come.
    to_come: Vec<u64>,
    /// Group of each person who has come.
    groups: Vec<u8>,
    /// Devices that follow in later beats, by beat.
    following: VecDeque<Vec<Coming>>,
    beat: usize,
}

/// What somebody will do once inside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Visit {
    pub(super) think_s: f64,
    pub(super) work_s: f64,
}

impl<'a> Crowd<'a> {
    pub(super) fn new(day: &'a Day) -> Self {
        let to_come = day.groups.iter().map(|group| group.people).collect();
        let chance = Chance::new(day.seed, 0);
        Self { day, chance, to_come, groups: Vec::new(), following: VecDeque::new(), beat: 0 }
    }

    /// Everybody has come, or will not within the day.
    pub(super) fn is_over(&self) -> bool {
        let all = self
            .to_come
            .iter()
            .zip(&self.day.groups)
            .all(|(left, group)| *left == 0 || self.beat >= group.come_by.len());
        all && self.following.iter().all(Vec::is_empty)
    }

    /// Those who come in the next beat, in order of time.
    pub(super) fn come(&mut self) -> Vec<Coming> {
        let began = self.beat as f64 * self.day.beat_s;
        let mut coming = self.following.pop_front().unwrap_or_default();
        let mut left: Vec<u64> = (0..self.day.groups.len()).map(|group| self.count(group)).collect();
        let total: u64 = left.iter().sum();
        for place in 0..total {
            let group = self.pick(&mut left);
            let who = Who::try_from(self.groups.len()).unwrap_or(Who::MAX);
            self.groups.push(group);
            let at_s = began + (place as f64 + self.chance.unit()) / total as f64 * self.day.beat_s;
            coming.push(Coming { at_s, since_s: at_s, who, first: true });
            for _ in 1..self.devices(who) {
                let later_s = at_s + self.chance.between(0.0, DEVICES_WITHIN_S);
                let device = Coming { at_s: later_s, since_s: at_s, who, first: false };
                self.follow(device, began, &mut coming);
            }
        }
        coming.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        self.beat += 1;
        coming
    }

    fn follow(&mut self, device: Coming, began: f64, now: &mut Vec<Coming>) {
        let mut beats_on = ((device.at_s - began) / self.day.beat_s).floor();
        let mut later = 0;
        while beats_on >= 1.0 {
            (beats_on, later) = (beats_on - 1.0, later + 1);
        }
        if later == 0 {
            return now.push(device);
        }
        while self.following.len() < later {
            self.following.push_back(Vec::new());
        }
        if let Some(beat) = self.following.get_mut(later - 1) {
            beat.push(device);
        }
    }

    /// How many of a group come in this beat.
    fn count(&mut self, group: usize) -> u64 {
        let Some((kind, left)) = self.day.groups.get(group).zip(self.to_come.get_mut(group)) else {
            return 0;
        };
        let by = |beat: usize| kind.come_by.get(beat).copied();
        let before = self.beat.checked_sub(1).and_then(by).unwrap_or(0.0);
        let Some(now) = by(self.beat) else { return 0 };
        let share = (now - before) / (1.0 - before).max(f64::MIN_POSITIVE);
        let come = if now >= 1.0 { *left } else { binomial(&mut self.chance, *left, share) };
        *left -= come;
        come
    }

    fn pick(&mut self, left: &mut [u64]) -> u8 {
        let mut chosen =
            if left.len() == 1 { 0 } else { self.chance.word() % left.iter().sum::<u64>().max(1) };
        for (group, left) in left.iter_mut().enumerate() {
            if chosen < *left {
                *left -= 1;
                return u8::try_from(group).unwrap_or(0);
            }
            chosen -= *left;
        }
        0
    }

    fn of(&self, who: Who, what: Trait) -> Chance {
        Chance::new(self.day.seed, (u64::from(who) + 1) << 8 | what as u64)
    }

    fn group(&self, who: Who) -> Option<&'a Group> {
        let group = self.groups.get(who as usize)?;
        self.day.groups.get(usize::from(*group))
    }

    /// How many devices somebody has; each takes a place.
    pub(super) fn devices(&self, who: Who) -> u64 {
        self.group(who).map_or(1, |group| self.of(who, Trait::Devices).weighted(&group.devices) as u64 + 1)
    }

    /// How long somebody stays in the line, from the arrival, in seconds.
    pub(super) fn patience_s(&self, who: Who) -> f64 {
        self.group(who)
            .map_or(0.0, |group| group.patience.draw(&mut self.of(who, Trait::Patience)).as_secs_f64())
    }

    /// Whether the holder of this number goes without a word.
    pub(super) fn leaves_silently(&self, who: Who, number: u64) -> bool {
        let share = self.group(who).map_or(1.0, |group| group.silent_leave);
        let mut chance = Chance::new(self.day.seed, (number + 1) << 8 | Trait::Manners as u64);
        chance.happens(share)
    }

    /// From when to when somebody who waits from `from_s` to `to_s` is away, if at all.
    pub(super) fn away_s(&self, who: Who, from_s: f64, to_s: f64) -> Option<(f64, f64)> {
        let group = self.group(who).filter(|group| group.close_tab > 0.0)?;
        let mut chance = self.of(who, Trait::Away);
        let (goes, at) = (chance.happens(group.close_tab), chance.between(from_s, to_s));
        goes.then(|| (at, at + group.away.draw(&mut chance).as_secs_f64()))
    }

    /// What somebody wants.
    pub(super) fn errand(&self, who: Who) -> Option<&'a Errand> {
        self.group(who).map(|group| &group.errand)
    }

    /// How long it takes.
    pub(super) fn visit(&self, who: Who) -> Visit {
        let mut visit = Visit { think_s: 0.0, work_s: 0.0 };
        let Some(errand) = self.errand(who) else { return visit };
        let mut chance = self.of(who, Trait::Errand);
        let mut steps = 0;
        for _ in 0..errand.cases.max(1) {
            let extra = errand.repeat.as_ref().map_or(0, |repeat| chance.weighted(&repeat.times));
            let stretch = errand.repeat.as_ref().map(|repeat| repeat.from..=repeat.to);
            for (index, step) in errand.steps.iter().enumerate() {
                let again = stretch.as_ref().is_some_and(|stretch| stretch.contains(&index));
                for _ in 0..=(if again { extra } else { 0 }) {
                    steps += 1;
                    let took = step.service.draw(&mut chance).as_secs_f64();
                    *(if step.scarce { &mut visit.work_s } else { &mut visit.think_s }) += took;
                }
            }
        }
        visit.think_s += (1..steps).map(|_| errand.think.draw(&mut chance).as_secs_f64()).sum::<f64>();
        visit
    }
}

/// How many of `n` a chance of `share` falls on.
fn binomial(chance: &mut Chance, n: u64, share: f64) -> u64 {
    let (share, mean) = (share.clamp(0.0, 1.0), n as f64 * share);
    if share <= 0.0 || n == 0 {
        return 0;
    }
    if mean > NORMAL_FROM {
        let radius = (-2.0 * (1.0 - chance.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * chance.unit()).cos();
        return whole(mean + normal * (mean * (1.0 - share)).sqrt()).min(n);
    }
    // From hit to hit: the gaps are geometric (Devroye, Non-Uniform Random Variate Generation, X.4).
    let (mut hits, mut at, miss) = (0, 0.0, (1.0 - share).ln());
    loop {
        at += if share >= 1.0 { 1.0 } else { ((1.0 - chance.unit()).ln() / miss).floor() + 1.0 };
        if at > n as f64 {
            return hits;
        }
        hits += 1;
    }
}

/// Rounds to the nearest; nothing negative.
fn whole(number: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "not negative, saturates")]
    let whole = number.round().max(0.0) as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::rehearse::session::tests::small_day;

    #[test]
    fn the_binomial_law_has_its_mean_and_its_spread_whichever_way_it_is_drawn() {
        for (n, share) in [(10_u64, 0.3), (5_000, 0.01), (1_000_000, 0.5), (3, 1.0)] {
            let mut chance = Chance::new(1, 2);
            let draws: Vec<f64> = (0..4_000).map(|_| binomial(&mut chance, n, share) as f64).collect();
            let mean = draws.iter().sum::<f64>() / 4_000.0;
            let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / 4_000.0;
            let (expected, spread) = (n as f64 * share, n as f64 * share * (1.0 - share));
            assert!((mean - expected).abs() <= 4.0 * (spread / 4_000.0).sqrt() + 1e-9, "{n} {share}: {mean}");
            assert!((variance - spread).abs() <= 0.12 * spread + 1e-9, "{n} {share}: {variance} {spread}");
        }
    }

    #[test]
    fn everybody_comes_once_and_in_order() {
        let day = small_day();
        let mut crowd = Crowd::new(&day);
        let (mut people, mut places, mut last) = (0, 0, 0.0);
        while !crowd.is_over() {
            for coming in crowd.come() {
                assert!(coming.at_s >= last, "in order of time");
                last = coming.at_s;
                people += u64::from(coming.first);
                places += 1;
            }
        }
        assert_eq!(people, day.people());
        let devices: u64 = (0..Who::try_from(people).unwrap()).map(|who| crowd.devices(who)).sum();
        assert_eq!(devices, places);
        assert!((places as f64 / people as f64 - 1.43).abs() < 0.05);
    }

    #[test]
    fn what_somebody_is_like_does_not_depend_on_when_it_is_asked() {
        let day = small_day();
        let mut crowd = Crowd::new(&day);
        while !crowd.is_over() {
            crowd.come();
        }
        let visits: Vec<Visit> = (0..500).map(|who| crowd.visit(who)).collect();
        assert!((0..500).rev().all(|who| crowd.visit(who) == visits[who as usize]));
        let mean = (0..1_200).map(|who| crowd.visit(who).work_s).sum::<f64>() / 1_200.0;
        assert!((mean / day.work_s() - 1.0).abs() < 0.08, "{mean} of {}", day.work_s());
    }
}
