//! `[door]` and `[quota.NAME]`.

use std::num::NonZeroU32;

use super::Judge;
use crate::admission::policy::Quota;
use crate::config::document::{KeyPath, at};
use crate::config::findings::Finding;
use crate::config::raw::RawQuota;
use crate::config::settings::QuotaSettings;

/// How much wider a prefix is than a user, unless the operator says otherwise.
const PREFIX_FACTOR: u32 = 50;

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

/// A prefix that is narrower than one of its users would refuse a family for what each may do.
fn widths(judge: &mut Judge<'_, '_>, path: &KeyPath, raw: &RawQuota) {
    let Some(prefix) = &raw.prefix else { return };
    let built = build(raw);
    let (inside, rate) = (path.key("prefix"), path.key("rate"));
    judge.refuse_if(built.prefix.interval_ns() > built.user.interval_ns(), || {
        let help = format!("write a rate of at least {:?}, better {PREFIX_FACTOR} times as much", raw.rate);
        let message = format!("a whole prefix may send {:?}, less than one user", prefix.rate);
        Finding::error(inside.key("rate"), message, help).related(rate, "for one user")
    });
    judge.refuse_if(built.prefix.burst() < built.user.burst(), || {
        let help = format!("write a burst of at least {}", built.user.burst());
        let message = format!("a whole prefix may send {} at once, less than one user", built.prefix.burst());
        Finding::error(inside.key("burst"), message, help).about(path.key("burst")).about(path.key("rate"))
    });
}

pub(super) fn build(raw: &RawQuota) -> QuotaSettings {
    let burst = |wanted: Option<u32>, rate: NonZeroU32| wanted.and_then(NonZeroU32::new).unwrap_or(rate);
    let user_burst = burst(raw.burst, raw.rate.0.count());
    let factor = NonZeroU32::MIN.saturating_add(PREFIX_FACTOR - 1);
    let user = raw.rate.0.quota(1, user_burst);
    let prefix = match &raw.prefix {
        Some(prefix) => prefix.rate.0.quota(1, burst(prefix.burst, prefix.rate.0.count())),
        None => raw.rate.0.quota(PREFIX_FACTOR, user_burst.saturating_mul(factor)),
    };
    let legal = |quota: Option<Quota>| quota.expect("the format of a rate keeps its interval within a day");
    QuotaSettings { user: legal(user), prefix: legal(prefix) }
}
