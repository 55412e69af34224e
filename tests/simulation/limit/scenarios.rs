//! The scenarios of the comparison matrix, as settings: what happens, and from when to when it counts.

use tornello::admission::policy::LawPolicy;

use super::origin::Shape;
use super::setting::{Change, Setting, SlowRoute};

/// A steady overload.
pub(crate) fn steady(law: LawPolicy, load: f64) -> Setting {
    Setting { horizon: 90.0, ..Setting::new(law, 50, load) }
}

/// A quarter of an hour at 1.5 times the capacity.
pub(crate) fn drift(law: LawPolicy) -> Setting {
    Setting { horizon: 900.0, ..Setting::new(law, 20, 1.5) }
}

/// From nothing to ten times the capacity within a second.
pub(crate) fn click_day(law: LawPolicy) -> Setting {
    let setting = Setting::new(law, 400, 0.0);
    let full = 8_000.0;
    let changes =
        (1..=10).map(|step| (f64::from(step) / 10.0, Change::Rate(full * f64::from(step)))).collect();
    Setting { horizon: 20.0, changes, ..setting }
}

/// Two of three workers go at 30 s and come back at 60 s.
pub(crate) fn workers_go(law: LawPolicy) -> Setting {
    let changes = vec![(30.0, Change::Workers(15)), (60.0, Change::Workers(50))];
    Setting { horizon: 90.0, changes, ..Setting::new(law, 50, 2.0) }
}

/// At 30 s the same work takes three times as long.
pub(crate) fn slower_work(law: LawPolicy) -> Setting {
    let setting = Setting::new(law, 50, 2.0);
    Setting { horizon: 90.0, changes: vec![(30.0, Change::Slower(3.0))], slo: 3.0 * setting.slo, ..setting }
}

/// At 30 s half of the requests are of a route that costs ten times as much, instead of 5 %.
pub(crate) fn mix_shift(law: LawPolicy) -> Setting {
    let setting = Setting::new(law, 50, 2.0);
    let slow = Some(SlowRoute { part: 0.05, times: 10.0 });
    Setting {
        horizon: 90.0,
        slow,
        changes: vec![(30.0, Change::Mix(0.5))],
        slo: 5.0 * setting.slo,
        ..setting
    }
}

/// Work that varies by this shape.
pub(crate) fn varied(law: LawPolicy, shape: Shape) -> Setting {
    Setting { horizon: 90.0, shape, ..Setting::new(law, 50, 2.0) }
}

/// A tenth of the requests takes 91 times as long as the others: a coefficient of variation of 2.7.
pub(crate) const TWO_KINDS: Shape = Shape::Bimodal { part: 0.1, times: 91.0 };

/// Nothing comes back for `pause` seconds, every `every` seconds.
pub(crate) fn pauses(law: LawPolicy, pause: f64, every: f64) -> Setting {
    let changes = (1..).map(|count| (10.0 + f64::from(count) * every, Change::Stall(pause)));
    let changes = changes.take_while(|(at, _)| *at < 90.0).collect();
    Setting { horizon: 90.0, changes, ..Setting::new(law, 50, 2.0) }
}

/// From 20 s to 50 s this part of the requests is refused by the upstream at once.
pub(crate) fn errors(law: LawPolicy, part: f64) -> Setting {
    let changes = vec![(20.0, Change::Errors(part)), (50.0, Change::Errors(0.0))];
    Setting { horizon: 80.0, changes, ..Setting::new(law, 50, 2.0) }
}

/// 15 s of half the capacity while everybody refused or late tries up to three times more.
pub(crate) fn retry_storm(law: LawPolicy) -> Setting {
    let changes = vec![(20.0, Change::Slower(2.0)), (35.0, Change::Slower(1.0))];
    Setting { horizon: 60.0, changes, tries: 4, timeout: 1.0, ..Setting::new(law, 50, 0.9) }
}

/// Work gets longer with what is in flight beyond the workers.
pub(crate) fn thrash(law: LawPolicy) -> Setting {
    Setting { horizon: 90.0, thrash: 0.5, ..Setting::new(law, 50, 3.0) }
}

/// The limit starts at `initial`; the upstream has 12 workers, then 6, then 12 again.
pub(crate) fn wrong_start(law: LawPolicy, initial: u32) -> Setting {
    let changes = vec![(30.0, Change::Workers(6)), (60.0, Change::Workers(12))];
    let mut setting = Setting { horizon: 90.0, changes, ..Setting::new(law, 12, 2.0) };
    setting.policy.initial = initial;
    setting
}

/// Two gateways before one upstream; the second starts at another limit.
pub(crate) fn shared(law: LawPolicy) -> Setting {
    Setting { horizon: 240.0, gateways: 2, ..Setting::new(law, 50, 3.0) }
}
