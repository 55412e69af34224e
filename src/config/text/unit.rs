//! Texts with a unit: durations, sizes, rates. A bare number is refused, and nothing is unlimited.

use std::num::NonZeroU32;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::fmt::friendly::{SpanParser, SpanPrinter};

use super::{Format, Misfit};
use crate::admission::policy::Quota;

/// Most tokens of one rate; beyond it the operator meant something else.
const RATE_MAX: u32 = 1_000_000;

impl Format for Duration {
    const NAME: &'static str = "duration";
    const EXAMPLE: &'static str = "10s";

    fn read(text: &str) -> Result<Self, Misfit> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Misfit::new(
                "has no unit",
                format!("write the unit: `\"{text}s\"`, `\"{text}ms\"` or `\"{text}m\"`"),
            ));
        }
        SpanParser::new().parse_unsigned_duration(text).map_err(|_| {
            Misfit::new(
                "is not a duration",
                "write a number and a unit: `\"500ms\"`, `\"10s\"`, `\"1h 30m\"`",
            )
        })
    }

    fn write(&self) -> String {
        SpanPrinter::new().unsigned_duration_to_string(self)
    }

    fn magnitude(&self) -> Option<u128> {
        Some(self.as_nanos())
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl Format for Size {
    const NAME: &'static str = "size";
    const EXAMPLE: &'static str = "64KiB";

    fn read(text: &str) -> Result<Self, Misfit> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Misfit::new(
                "has no unit",
                format!("write the unit: `\"{text}B\"`, `\"{text}KiB\"` or `\"{text}MiB\"`"),
            ));
        }
        let size = text.parse::<ByteSize>();
        size.map(|size| Self(size.as_u64())).map_err(|_| {
            Misfit::new("is not a size", "write a number and a unit: `\"64KiB\"`, `\"10MiB\"`, `\"1GiB\"`")
        })
    }

    fn write(&self) -> String {
        let units =
            [("TiB", bytesize::TIB), ("GiB", bytesize::GIB), ("MiB", bytesize::MIB), ("KiB", bytesize::KIB)];
        let whole = units.into_iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size));
        whole.map_or_else(|| format!("{}B", self.0), |(unit, size)| format!("{}{unit}", self.0 / size))
    }

    fn magnitude(&self) -> Option<u128> {
        Some(u128::from(self.0))
    }
}

/// So many tokens in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    count: NonZeroU32,
    period: Period,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Period {
    Second,
    Minute,
    Hour,
    Day,
}

impl Period {
    const ALL: [(&'static str, Self, u64); 4] =
        [("s", Self::Second, 1), ("m", Self::Minute, 60), ("h", Self::Hour, 3_600), ("d", Self::Day, 86_400)];

    fn row(self) -> (&'static str, Self, u64) {
        Self::ALL.into_iter().find(|row| row.1 == self).unwrap_or(("s", Self::Second, 1))
    }
}

impl Rate {
    /// The number in front of the unit: what a burst is unless the operator says otherwise.
    pub(crate) fn count(self) -> NonZeroU32 {
        self.count
    }

    /// Time in which one token grows back, if `factor` users share it; rounded up to whole nanoseconds.
    pub(crate) fn interval(self, factor: u32) -> Duration {
        let period = Duration::from_secs(self.period.row().2).as_nanos();
        let tokens = u128::from(self.count.get()) * u128::from(factor.max(1));
        Duration::from_nanos(u64::try_from(period.div_ceil(tokens)).unwrap_or(u64::MAX))
    }

    /// A quota of this rate times `factor`.
    ///
    /// `None` would be an interval of zero or beyond a day, which the bounds of a rate exclude.
    pub(crate) fn quota(self, factor: u32, burst: NonZeroU32) -> Option<Quota> {
        Quota::new(self.interval(factor), burst)
    }
}

impl Format for Rate {
    const NAME: &'static str = "rate";
    const EXAMPLE: &'static str = "10/s";

    fn read(text: &str) -> Result<Self, Misfit> {
        let misfit = || {
            let remedy = "write a whole number per `s`, `m`, `h` or `d`: `\"10/s\"`, `\"30/m\"`, `\"500/h\"`";
            Misfit::new("is not a rate", remedy)
        };
        let (count, period) = text.split_once('/').ok_or_else(misfit)?;
        let count = count.trim().parse::<u32>().map_err(|_| misfit())?;
        let period = Period::ALL.into_iter().find(|row| row.0 == period.trim()).ok_or_else(misfit)?.1;
        let count = NonZeroU32::new(count).ok_or_else(|| {
            let remedy = "write at least `\"1/d\"`; to let nobody in, set `hold = true` in the room";
            Misfit::new("is a rate of zero", remedy)
        })?;
        if count.get() > RATE_MAX {
            let remedy =
                format!("write at most `\"{RATE_MAX}/s\"`; for no limit, leave the quota out of the route");
            return Err(Misfit::new("is no limit at all", remedy));
        }
        Ok(Self { count, period })
    }

    fn write(&self) -> String {
        format!("{}/{}", self.count, self.period.row().0)
    }
}

/// A quota as a rate that a person reads: exact where it can be.
pub(crate) fn write_interval(interval: Duration) -> String {
    let exact = Period::ALL.into_iter().find_map(|(unit, _, seconds)| {
        let period = Duration::from_secs(seconds).as_nanos();
        let below = period / interval.as_nanos().max(1);
        let count =
            [below, below + 1].into_iter().find(|n| *n > 0 && period.div_ceil(*n) == interval.as_nanos());
        count.map(|count| format!("{count}/{unit}"))
    });
    exact.unwrap_or_else(|| format!("1 every {}", interval.write()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remedy<T: Format + std::fmt::Debug>(text: &str) -> String {
        T::read(text).unwrap_err().remedy
    }

    #[test]
    fn units_are_read_and_written_back() {
        for text in ["500ms", "10s", "5m", "1h 30m", "2m 5s"] {
            assert_eq!(Duration::read(text).unwrap().write(), text);
        }
        for text in ["1B", "1000B", "64KiB", "10MiB", "1GiB", "2TiB"] {
            assert_eq!(Size::read(text).unwrap().write(), text);
        }
        for text in ["10/s", "30/m", "1/d", "7/h"] {
            let rate = Rate::read(text).unwrap();
            assert_eq!(rate.write(), text);
            assert_eq!(write_interval(rate.interval(1)), text);
        }
    }

    #[test]
    fn what_does_not_fit_comes_with_a_remedy() {
        assert!(remedy::<Duration>("10").contains("\"10s\""));
        assert!(remedy::<Duration>("-10s").contains("\"10s\""));
        assert!(remedy::<Duration>("").contains("\"10s\""));
        assert!(remedy::<Size>("64").contains("\"64KiB\""));
        assert!(remedy::<Size>("many").contains("\"64KiB\""));
        assert!(remedy::<Rate>("10").contains("\"10/s\""));
        assert!(remedy::<Rate>("0/s").contains("hold"));
        assert!(remedy::<Rate>("1.5/s").contains("whole number"));
        assert!(remedy::<Rate>("2000000/s").contains("leave the quota out"));
    }

    #[test]
    fn the_widest_and_the_narrowest_rate_make_a_quota() {
        let burst = NonZeroU32::MIN;
        assert!(Rate::read("1000000/s").unwrap().quota(50, burst).is_some());
        assert!(Rate::read("1/d").unwrap().quota(1, burst).is_some());
    }
}
