//! Quiet hours: every day, by the clocks of a zone, nobody who waits is called.

use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::text::{Format, Misfit};
use crate::admission::UnixTime;

/// From one time of day to another, perhaps over midnight.
#[derive(Clone, Debug, PartialEq)]
pub struct QuietHours {
    from: Time,
    until: Time,
    zone: TimeZone,
}

/// A span of time, from and until.
pub type Span = (UnixTime, UnixTime);

const WRITE: &str = "write two times and a zone: `\"22:00-07:00 Europe/Rome\"`";
/// Nobody waits through so many nights.
const NIGHTS_MAX: u32 = 400;
const DAY_MS: u64 = 86_400_000;
/// Of a year: clocks are changed twice in it.
const DAYS: u64 = 366;
/// So many that touch are told as one.
const TOUCHING_MAX: u32 = 16;

impl QuietHours {
    /// The quiet hours of now, or the next ones. Where the clocks of the zone are put forward over their
    /// beginning or end, it is later by as much; where they are put back over it, its first time counts.
    #[must_use]
    pub fn next(&self, now: UnixTime) -> Option<Span> {
        let at = Timestamp::from_millisecond(i64::try_from(now.0).ok()?).ok()?;
        let today = at.to_zoned(self.zone.clone()).date();
        (-1..=2).find_map(|days| {
            let date = today.checked_add(days.days()).ok()?;
            let last = if self.until > self.from { date } else { date.tomorrow().ok()? };
            let span = (self.moment(date, self.from)?, self.moment(last, self.until)?);
            (span.1 > now).then_some(span)
        })
    }

    /// As it stands in a configuration.
    #[must_use]
    pub fn text(&self) -> String {
        self.write()
    }

    fn moment(&self, date: Date, time: Time) -> Option<UnixTime> {
        let moment = date.to_datetime(time).to_zoned(self.zone.clone()).ok()?;
        u64::try_from(moment.timestamp().as_millisecond()).ok().map(UnixTime)
    }
}

/// The quiet hours of now or the next ones, whichever of `all` they are; those that touch are one.
#[must_use]
pub fn next(all: &[QuietHours], now: UnixTime) -> Option<Span> {
    let (begins, mut ends) = all.iter().filter_map(|hours| hours.next(now)).min()?;
    let mut later = || {
        let touching = all.iter().filter_map(|hours| hours.next(ends)).filter(|(begins, _)| *begins <= ends);
        let last = touching.map(|(_, ends)| ends).max().filter(|last| *last > ends)?;
        ends = last;
        Some(())
    };
    (0..TOUCHING_MAX).take_while(|_| later().is_some()).count();
    Some((begins, ends))
}

/// Whether now is quiet.
#[must_use]
pub fn is_quiet(all: &[QuietHours], now: UnixTime) -> bool {
    all.iter().filter_map(|hours| hours.next(now)).any(|(begins, _)| begins <= now)
}

/// When a wait will be over that goes on in no quiet hours.
#[must_use]
pub fn over(all: &[QuietHours], now: UnixTime, wait: Duration) -> UnixTime {
    let mut left = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let mut now = now;
    for _ in 0..NIGHTS_MAX {
        let Some((begins, ends)) = next(all, now) else { break };
        let until = begins.0.saturating_sub(now.0);
        if left <= until {
            break;
        }
        (left, now) = (left - until, ends);
    }
    UnixTime(now.0.saturating_add(left))
}

/// The least time of a day in which it is not quiet, over the year that begins at `from`.
#[must_use]
pub fn least_awake(all: &[QuietHours], from: UnixTime) -> Duration {
    let awake = |day: u64| {
        let (mut now, end) = (from.0 + day * DAY_MS, from.0 + (day + 1) * DAY_MS);
        let mut awake = 0;
        while now < end {
            let (begins, ends) = next(all, UnixTime(now)).unwrap_or((UnixTime(end), UnixTime(end)));
            awake += begins.0.min(end).saturating_sub(now);
            now = ends.0;
        }
        awake
    };
    Duration::from_millis((0..DAYS).map(awake).min().unwrap_or(DAY_MS))
}

impl Format for QuietHours {
    const NAME: &'static str = "daily-hours";
    const EXAMPLE: &'static str = "22:00-07:00 Europe/Rome";

    fn read(text: &str) -> Result<Self, Misfit> {
        let (times, zone) = text.split_once(' ').ok_or_else(|| Misfit::new("names no time zone", WRITE))?;
        let (from, until) = times.split_once('-').ok_or_else(|| Misfit::new("is not two times", WRITE))?;
        let time = |text: &str| {
            let plain = text.len() == 5 && text.is_ascii();
            let time = plain.then(|| Time::strptime("%H:%M", text).ok()).flatten();
            time.ok_or_else(|| Misfit::new(format!("has no time in `{text}`"), WRITE))
        };
        let (from, until) = (time(from)?, time(until)?);
        if from == until {
            return Err(Misfit::new(
                "lasts all day",
                "write `hold = true` to call nobody at all, or two times",
            ));
        }
        let known = TimeZone::get(zone).ok().filter(|known| known.iana_name() == Some(zone));
        let zone = known.ok_or_else(|| Misfit::new(format!("has no time zone in `{zone}`"), WRITE))?;
        Ok(Self { from, until, zone })
    }

    fn write(&self) -> String {
        let time = |time: Time| time.strftime("%H:%M").to_string();
        format!("{}-{} {}", time(self.from), time(self.until), self.zone.iana_name().unwrap_or("UTC"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(text: &str) -> QuietHours {
        QuietHours::read(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"))
    }

    fn at(text: &str) -> UnixTime {
        UnixTime(u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap())
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_night_begins_in_the_evening_and_ends_in_the_morning_of_its_zone() {
        let night = [hours("22:00-07:00 Europe/Rome")];
        for (now, quiet) in [
            ("2026-12-07T20:59:59Z", false),
            ("2026-12-07T21:00:00Z", true),
            ("2026-12-08T05:59:59Z", true),
            ("2026-12-08T06:00:00Z", false),
            ("2026-07-08T20:00:00Z", true),
            ("2026-07-08T05:00:00Z", false),
        ] {
            assert_eq!(is_quiet(&night, at(now)), quiet, "{now}");
        }
        let now = at("2026-12-07T12:00:00Z");
        assert_eq!(next(&night, now), Some((at("2026-12-07T21:00:00Z"), at("2026-12-08T06:00:00Z"))));
        assert!(!is_quiet(&[], now) && next(&[], now).is_none());
    }

    #[test]
    fn a_night_in_which_clocks_are_changed_is_shorter_or_longer_and_ends_once() {
        let length = |text: &str, now: &str| {
            let (begins, ends) = hours(text).next(at(now)).unwrap();
            (ends.0 - begins.0) / 60_000
        };
        let night = "22:00-07:00 Europe/Rome";
        assert_eq!(length(night, "2026-10-20T21:00:00Z"), 540);
        assert_eq!(length(night, "2026-10-24T21:00:00Z"), 600, "an hour comes twice");
        assert_eq!(length(night, "2026-03-28T22:00:00Z"), 480, "an hour never comes");
        // The end itself comes twice: at 00:30Z, and at 01:30Z. It is over the first time.
        let early = [hours("22:00-02:30 Europe/Rome")];
        assert!(is_quiet(&early, at("2026-10-25T00:29:00Z")));
        assert!(
            ["00:30", "00:59", "01:00", "01:29"]
                .iter()
                .all(|time| { !is_quiet(&early, at(&format!("2026-10-25T{time}:00Z"))) })
        );
        // The end itself never comes: at 02:30 clocks say 03:30.
        assert_eq!(early[0].next(at("2026-03-28T23:00:00Z")).unwrap().1, at("2026-03-29T01:30:00Z"));
    }

    #[test]
    fn hours_that_touch_are_one_and_a_wait_goes_on_after_them() {
        let all = [hours("12:00-13:00 UTC"), hours("13:00-14:00 UTC"), hours("22:00-07:00 UTC")];
        let noon = (at("2026-12-07T12:00:00Z"), at("2026-12-07T14:00:00Z"));
        assert_eq!(next(&all, at("2026-12-07T11:00:00Z")), Some(noon));
        let after = |now: &str, minutes: u32| over(&all, at(now), MINUTE * minutes);
        assert_eq!(after("2026-12-07T11:00:00Z", 60), at("2026-12-07T12:00:00Z"));
        assert_eq!(after("2026-12-07T11:00:00Z", 61), at("2026-12-07T14:01:00Z"));
        assert_eq!(after("2026-12-07T12:30:00Z", 60), at("2026-12-07T15:00:00Z"), "it does not run now");
        assert_eq!(after("2026-12-07T20:00:00Z", 180), at("2026-12-08T08:00:00Z"));
        assert_eq!(over(&[], at("2026-12-07T20:00:00Z"), MINUTE), at("2026-12-07T20:01:00Z"));
        let never = [hours("00:00-12:00 UTC"), hours("12:00-00:00 UTC")];
        assert!(is_quiet(&never, at("2026-12-07T20:00:00Z")), "always, and it ends looking");
    }

    #[test]
    fn what_is_left_of_the_shortest_day_is_known_whatever_the_zones() {
        let least = |all: &[&str]| {
            let all: Vec<_> = all.iter().map(|text| hours(text)).collect();
            least_awake(&all, at("2026-01-01T00:00:00Z")).as_secs() / 60
        };
        assert_eq!(least(&[]), 1_440);
        assert_eq!(least(&["22:00-07:00 UTC"]), 900);
        assert_eq!(least(&["22:00-07:00 UTC", "20:00-23:00 UTC", "07:00-19:00 UTC"]), 60);
        assert_eq!(least(&["00:00-12:00 UTC", "12:00-00:00 UTC"]), 0);
        // In winter the one begins when the other ends.
        assert_eq!(least(&["07:00-19:00 UTC", "20:00-08:00 Europe/Rome"]), 0);
        assert_eq!(least(&["03:00-02:00 Europe/Rome"]), 0, "the hour that never comes");
    }

    #[test]
    fn what_is_not_two_times_and_a_zone_is_refused_with_the_cause() {
        for (text, wrong) in [
            ("22:00-07:00", "no time zone"),
            ("22:00 Europe/Rome", "two times"),
            ("22-07 Europe/Rome", "no time in `22`"),
            ("25:00-07:00 Europe/Rome", "no time in `25:00`"),
            ("22:00-7:00 Europe/Rome", "no time in `7:00`"),
            ("22:00-22:00 Europe/Rome", "all day"),
            ("22:00-07:00 Europe/Roma", "no time zone in `Europe/Roma`"),
        ] {
            let misfit = QuietHours::read(text).unwrap_err();
            assert!(misfit.wrong.contains(wrong), "{text}: {misfit:?}");
        }
        assert_eq!(hours("22:00-07:00 Europe/Rome").write(), "22:00-07:00 Europe/Rome");
    }
}
