//! An instant of the calendar: with an offset, or by the clocks of a zone, whose summer time counts.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::{Disambiguation, OffsetConflict};

use super::{Format, Misfit};
use crate::admission::UnixTime;

/// A moment that operators write as they tell it to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instant {
    text: String,
    /// The moment.
    pub(crate) at: UnixTime,
}

/// A time that a zone's clocks show twice or never is refused, and so is an offset that is not the zone's.
static STRICT: DateTimeParser =
    DateTimeParser::new().disambiguation(Disambiguation::Reject).offset_conflict(OffsetConflict::Reject);

impl Format for Instant {
    const NAME: &'static str = "instant";
    const EXAMPLE: &'static str = "2026-12-08T09:00[Europe/Rome]";

    fn read(text: &str) -> Result<Self, Misfit> {
        let write = "write date, time and zone, or the offset: `\"2026-12-08T09:00[Europe/Rome]\"`, `\"2026-12-08T09:00+01:00\"`";
        let time = if text.contains('[') {
            STRICT.parse_zoned(text).map(|zoned| zoned.timestamp())
        } else {
            STRICT.parse_timestamp(text)
        };
        let at = match time {
            Ok(time) => time,
            Err(_) if !text.contains('[') && text.parse::<DateTime>().is_ok() => {
                return Err(Misfit::new("has no time zone", write));
            }
            Err(error) if text.contains('[') && text.split('[').next().is_some_and(is_civil) => {
                return Err(Misfit::new(
                    format!("is no moment: {error}"),
                    "write the name of the zone as in `Europe/Rome`; where clocks change, give the offset too: `\"2026-10-25T02:30+01:00[Europe/Rome]\"`",
                ));
            }
            Err(_) => return Err(Misfit::new("is not an instant", write)),
        };
        let after_1970 = u64::try_from(Timestamp::as_millisecond(at));
        let at = after_1970.map_err(|_| Misfit::new("lies before 1970", write))?;
        Ok(Self { text: text.to_owned(), at: UnixTime(at) })
    }

    fn write(&self) -> String {
        self.text.clone()
    }
}

fn is_civil(text: &str) -> bool {
    text.parse::<DateTime>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        Instant::read(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}")).at.0
    }

    #[test]
    fn zones_know_their_summer_time() {
        let winter = at("2026-12-08T08:00Z");
        assert_eq!(winter, 1_796_716_800_000);
        assert_eq!(at("2026-12-08T09:00[Europe/Rome]"), winter);
        assert_eq!(at("2026-12-08T09:00:00+01:00"), winter);
        assert_eq!(at("2026-12-08T09:00+01:00[Europe/Rome]"), winter);
        assert_eq!(at("2026-07-08T09:00[Europe/Rome]"), at("2026-07-08T07:00Z"), "an hour earlier in summer");
        let (first, second) = ("2026-10-25T02:30+02:00[Europe/Rome]", "2026-10-25T02:30+01:00[Europe/Rome]");
        assert_eq!(at(second) - at(first), 3_600_000, "the hour that comes twice, told apart");
    }

    #[test]
    fn what_is_no_moment_is_refused_with_the_cause() {
        for (text, wrong) in [
            ("2026-12-08T09:00", "no time zone"),
            ("2026-12-08", "no time zone"),
            ("2026-10-25T02:30[Europe/Rome]", "is no moment"),
            ("2026-03-29T02:30[Europe/Rome]", "is no moment"),
            ("2026-12-08T09:00+02:00[Europe/Rome]", "is no moment"),
            ("2026-12-08T09:00[Europe/Roma]", "is no moment"),
            ("next monday", "is not an instant"),
            ("1969-12-31T09:00Z", "before 1970"),
        ] {
            let misfit = Instant::read(text).unwrap_err();
            assert!(misfit.wrong.contains(wrong), "{text}: {misfit:?}");
            assert!(misfit.remedy.contains("Europe/Rome"), "{text}: {misfit:?}");
        }
    }
}
