//! `[door]` and `[quota.NAME]`.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Judge;
use crate::admission::policy::Quota;
use crate::config::document::{KeyPath, at};
use crate::config::findings::Finding;
use crate::config::raw::{RawDoor, RawQuota, RawWideQuota};
use crate::config::settings::QuotaSettings;

/// How much wider a prefix is than a user, unless the operator says otherwise.
const PREFIX_FACTOR: u32 = 50;
/// What those may do at the door who cannot be told apart, unless the operator says otherwise: behind one
/// address is an office, a school, or a carrier's subscribers. So often in the long run…
const OFFICE_INTERVAL: Duration = Duration::from_millis(20);
/// …and so often at once.
const OFFICE_BURST: u32 = 1_000;

pub(super) fn judge(judge: &mut Judge<'_, '_>) {
    let raw = judge.raw;
    widths(judge, &at(&["door"]), &raw.door.quota());
    for (name, quota) in &raw.quota {
        let path = at(&["quota", name]);
        widths(judge, &path, quota);
        let used = raw.route.values().any(|route| route.quota.as_ref() == Some(name));
        judge.refuse_if(!used, || {
            let help = format!("write `quota = \"{name}\"` in a route, or remove the quota");
            Finding::warning(path, format!("no route uses the quota `{name}`"), help).about(at(&["route"]))
        });
    }
}

/// Nobody may do less with others than alone, and an address no more than the network that it is part of.
fn widths(judge: &mut Judge<'_, '_>, path: &KeyPath, raw: &RawQuota) {
    let built = build(raw);
    let one = One { path, raw, quota: &built.user };
    if let Some(prefix) = &raw.prefix {
        at_least(judge, &one, "prefix", prefix, &built.prefix);
    }
    let Some(address) = &raw.address else { return };
    at_least(judge, &one, "address", address, &built.address);
    let (inside, prefix) = (path.key("address"), path.key("prefix"));
    judge.refuse_if(built.address.interval_ns() < built.prefix.interval_ns(), || {
        let help = format!("write `prefix` with a rate of at least {:?}, or less here", address.rate);
        let message = format!("one address may send {:?}, more than its whole prefix", address.rate);
        Finding::error(inside.key("rate"), message, help).about(prefix.key("rate")).about(path.key("rate"))
    });
    judge.refuse_if(built.address.burst() > built.prefix.burst(), || {
        let most = built.prefix.burst();
        let help = format!("write a burst of at most {most}, or `prefix` with a greater one");
        let message =
            format!("one address may send {} at once, more than its whole prefix", built.address.burst());
        Finding::error(inside.key("burst"), message, help).about(prefix.key("burst")).about(path.key("burst"))
    });
}

/// What one user may do, and where it is written.
struct One<'a> {
    path: &'a KeyPath,
    raw: &'a RawQuota,
    quota: &'a Quota,
}

/// What is narrower than one of its users would refuse a family for what each may do.
fn at_least(judge: &mut Judge<'_, '_>, one: &One<'_>, key: &str, raw: &RawWideQuota, built: &Quota) {
    let (inside, rate) = (one.path.key(key), one.path.key("rate"));
    judge.refuse_if(built.interval_ns() > one.quota.interval_ns(), || {
        let help =
            format!("write a rate of at least {:?}, better {PREFIX_FACTOR} times as much", one.raw.rate);
        let message = format!("a whole {key} may send {:?}, less than one user", raw.rate);
        Finding::error(inside.key("rate"), message, help).related(rate.clone(), "for one user")
    });
    judge.refuse_if(built.burst() < one.quota.burst(), || {
        let help = format!("write a burst of at least {}", one.quota.burst());
        let message = format!("a whole {key} may send {} at once, less than one user", built.burst());
        Finding::error(inside.key("burst"), message, help).about(one.path.key("burst")).about(rate)
    });
}

/// The door's quota. Places are asked for by those who have none yet to be known by.
pub(super) fn door(raw: &RawDoor) -> QuotaSettings {
    let built = build(&raw.quota());
    if raw.address.is_some() {
        return built;
    }
    let interval = Duration::from_nanos(built.user.interval_ns()).min(OFFICE_INTERVAL);
    let burst = NonZeroU32::MIN.saturating_add(built.user.burst().max(OFFICE_BURST) - 1);
    QuotaSettings { address: Quota::new(interval, burst).unwrap_or(built.user), ..built }
}

pub(super) fn build(raw: &RawQuota) -> QuotaSettings {
    let burst = |wanted: Option<u32>, rate: NonZeroU32| wanted.and_then(NonZeroU32::new).unwrap_or(rate);
    let user_burst = burst(raw.burst, raw.rate.0.count());
    let factor = NonZeroU32::MIN.saturating_add(PREFIX_FACTOR - 1);
    let legal = |quota: Option<Quota>| quota.expect("the format of a rate keeps its interval within a day");
    let wide = |wide: &RawWideQuota| legal(wide.rate.0.quota(1, burst(wide.burst, wide.rate.0.count())));
    let user = legal(raw.rate.0.quota(1, user_burst));
    let address = raw.address.as_ref().map_or(user, wide);
    let all = || legal(raw.rate.0.quota(PREFIX_FACTOR, user_burst.saturating_mul(factor)));
    let prefix = raw.prefix.as_ref().map_or_else(all, wide);
    QuotaSettings { user, address, prefix }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::text::Text;

    fn of(quota: &Quota) -> (u64, u32) {
        (quota.interval_ns(), quota.burst())
    }

    fn raw(rate: &'static str, address: Option<(&'static str, Option<u32>)>) -> RawDoor {
        let address = address.map(|(rate, burst)| RawWideQuota { rate: Text::of(rate), burst });
        RawDoor { rate: Text::of(rate), address, ..RawDoor::default() }
    }

    #[test]
    fn an_office_has_more_than_one_person_at_the_door_and_never_less() {
        let user_and_address = |rate| {
            let built = door(&raw(rate, None));
            (of(&built.user), of(&built.address))
        };
        assert_eq!(user_and_address("60/m"), ((1_000_000_000, 60), (20_000_000, 1_000)));
        assert_eq!(user_and_address("2/d"), ((43_200_000_000_000, 2), (20_000_000, 1_000)));
        assert_eq!(user_and_address("200/s"), ((5_000_000, 200), (5_000_000, 1_000)));
        assert_eq!(user_and_address("2000/m"), ((30_000_000, 2_000), (20_000_000, 2_000)));
    }

    #[test]
    fn what_is_written_counts_and_a_route_gives_an_address_what_it_gives_a_user() {
        assert_eq!(of(&door(&raw("1/s", Some(("10/s", Some(40))))).address), (100_000_000, 40));
        assert_eq!(of(&door(&raw("1/s", Some(("10/s", None)))).address), (100_000_000, 10));
        let route = build(&raw("5/s", None).quota());
        assert_eq!(of(&route.address), of(&route.user));
        assert_eq!(of(&build(&raw("5/s", Some(("9/s", Some(90)))).quota()).address), (111_111_112, 90));
    }
}
