//! A time zone, by its name in the tz database.

use jiff::tz::TimeZone;

use super::{Format, Misfit};

/// By whose clocks times are told to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Zone(pub(crate) TimeZone);

impl Format for Zone {
    const NAME: &'static str = "time-zone";
    const EXAMPLE: &'static str = "Europe/Rome";

    fn read(text: &str) -> Result<Self, Misfit> {
        let zone = TimeZone::get(text).ok().filter(|zone| zone.iana_name() == Some(text));
        zone.map(Self).ok_or_else(|| {
            Misfit::new("is not a time zone", "write its name as in `\"Europe/Rome\"` or `\"UTC\"`")
        })
    }

    fn write(&self) -> String {
        self.0.iana_name().unwrap_or("UTC").to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_one_of_the_tz_database_as_it_is_spelt_there() {
        for name in ["Europe/Rome", "Europe/Ljubljana", "UTC"] {
            assert_eq!(Zone::read(name).unwrap().write(), name);
        }
        for wrong in ["Europe/Roma", "europe/rome", "+01:00", "CET+1", ""] {
            assert!(Zone::read(wrong).unwrap_err().remedy.contains("Europe/Rome"), "{wrong}");
        }
    }
}
