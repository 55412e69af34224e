//! The rows that a click day's report decides. Pure: reports in, verdicts out.

use serde_json::Value;

use super::row::Judged;

/// A figure of a leg.
fn figure(leg: &Value, name: &str) -> Result<f64, String> {
    leg[name].as_f64().ok_or_else(|| format!("the report has no {name}"))
}

fn figures<const N: usize>(leg: &Value, names: [&str; N]) -> Result<[f64; N], String> {
    let mut all = [0.0; N];
    for (value, name) in all.iter_mut().zip(names) {
        *value = figure(leg, name)?;
    }
    Ok(all)
}

fn none(value: f64) -> bool {
    value.abs() < f64::EPSILON
}

fn ms(s: f64) -> String {
    format!("{:.0} ms", s * 1_000.0)
}

/// A definite answer at once.
pub(crate) fn m1(day: &Value) -> Result<Judged, String> {
    let [p99, worst, never, bare] =
        figures(&day["with"], ["first_answer_p99_s", "first_answer_max_s", "unanswered", "bare_refusals"])?;
    Ok(Judged::new(
        p99 <= 1.0 && worst <= 2.0 && none(never) && none(bare),
        format!("p99 {}, worst {}, {never:.0} without one, {bare:.0} bare refusals", ms(p99), ms(worst)),
    ))
}

/// Limited by what it really completes.
pub(crate) fn m2(day: &Value) -> Result<Judged, String> {
    let [over, waste, completed, people] =
        figures(&day["with"], ["over_limit", "origin_wasted_share", "completed", "people"])?;
    let [naive, all] = figures(&day["without"], ["completed", "people"])?;
    let (with, without) = (completed / people, naive / all);
    Ok(Judged::new(
        none(over) && waste <= 0.05 && with >= 0.99 && without <= 0.30,
        format!(
            "{over:.0} over the limit, {:.1} % useful, {:.1} % served, {:.1} % without",
            100.0 * (1.0 - waste),
            100.0 * with,
            100.0 * without
        ),
    ))
}

/// Only the saturated route queues.
pub(crate) fn m3(day: &Value) -> Result<Judged, String> {
    let names =
        ["browsers_p99_s", "browsers_queued", "browsers", "browsers_completed", "browsers_bare_refusals"];
    let [p99, queued, all, completed, bare] = figures(&day["with"], names)?;
    Ok(Judged::new(
        p99 <= 0.2 && none(queued) && none(bare) && none(all - completed),
        format!(
            "p99 {}, {queued:.0} queued, {bare:.0} errors, {completed:.0} of {all:.0} reached their goal",
            ms(p99)
        ),
    ))
}

/// Repeats are absorbed.
pub(crate) fn m5(day: &Value) -> Result<Judged, String> {
    let with = figure(&day["with"], "amplification")?;
    let without = figure(&day["without"], "amplification").map_or("-".to_owned(), |it| format!("{it:.0}"));
    Ok(Judged::new(with <= 1.05, format!("{with:.3}, without {without}")))
}

/// The place is kept.
pub(crate) fn m6(day: &Value) -> Result<Judged, String> {
    let [lost, joined] = figures(&day["with"], ["lost_places", "joined"])?;
    let kills = day["with"]["kills"].as_array().map_or(0, Vec::len);
    if kills == 0 || none(joined) {
        return Err(format!("{kills} kills and {joined:.0} places prove nothing"));
    }
    Ok(Judged::new(none(lost), format!("{lost:.0} of {joined:.0} places, {kills} kill")))
}

/// Served by arrival, same chance for all.
pub(crate) fn m7(day: &Value) -> Result<Judged, String> {
    let tau = figure(&day["with"], "order_tau")?;
    let parity = day["with"]["parity"].as_array().cloned().unwrap_or_default();
    let ratios: Vec<(String, f64)> = parity
        .iter()
        .filter_map(|line| Some((line["by"].as_str()?.to_owned(), line["served"].as_f64()?)))
        .collect();
    if ratios.len() < 4 {
        return Err(format!("chances by {} traits only", ratios.len()));
    }
    let equal = ratios.iter().all(|(_, ratio)| *ratio >= 0.95);
    let shown: Vec<String> = ratios.iter().map(|(by, ratio)| format!("{by} {ratio:.3}")).collect();
    Ok(Judged::new(tau >= 0.98 && equal, format!("τ {tau:.3}, {}", shown.join(", "))))
}

/// The room survives the opening.
pub(crate) fn m9(day: &Value) -> Result<Judged, String> {
    let [p99, broken, joined] = figures(&day["with"], ["first_answer_p99_s", "broken", "joined"])?;
    Ok(Judged::new(
        p99 <= 1.0 && none(broken),
        format!("{broken:.0} refused or reset, first answer p99 {}, {joined:.0} places", ms(p99)),
    ))
}

/// Admission at the pace of the slowest.
pub(crate) fn m10(day: &Value) -> Result<Judged, String> {
    let [burnt, completed, stock] = figures(&day["with"], ["burnt_turns", "completed", "eligible"])?;
    Ok(Judged::new(
        none(burnt) && none(completed - stock),
        format!("{burnt:.0} turns burnt, {completed:.0} of {stock:.0} sold"),
    ))
}

/// How honest the announced waits were, at each look after the line's first five minutes: share inside the
/// interval, and its end over its beginning, median; then the share and the mean error in seconds of the first that
/// each person was told.
pub(crate) fn honesty(day: &Value) -> Result<[f64; 4], String> {
    figures(&day["with"], ["told_inside", "told_spread", "announced_inside", "announced_error_s"])
}

/// How many answers of a day were somebody else's.
pub(crate) fn foreign(day: &Value) -> Result<f64, String> {
    figure(&day["with"], "foreign_canaries")
}

/// Bots got no more than their share.
pub(crate) fn bots(day: &Value) -> Result<f64, String> {
    figure(&day["with"], "bot_gain")
}

/// Nobody loses by an address shared with 499 others. `day`: half of the people share one.
pub(crate) fn m23(gain: f64, day: &Value) -> Result<Judged, String> {
    let parity = day["with"]["parity"].as_array().cloned().unwrap_or_default();
    let line = parity.iter().find(|line| line["by"] == "address").ok_or("no chances by address")?;
    let group = |name: &str| -> Result<[f64; 3], String> {
        let groups = line["groups"].as_array().cloned().unwrap_or_default();
        let group = groups.iter().find(|group| group["name"] == name).ok_or("a group is missing")?;
        figures(group, ["people", "served", "mean_wait_s"])
    };
    let ([shared, served, wait], [own, own_served, own_wait]) = (group("shared")?, group("own")?);
    let equal = none(shared - served) && none(own - own_served) && wait <= 1.05 * own_wait;
    Ok(Judged::new(
        gain <= 1.0 && equal,
        format!(
            "bots got {gain:.2} of their share; behind one address {served:.0} of {shared:.0} served after {wait:.1} s, \
             others {own_served:.0} of {own:.0} after {own_wait:.1} s"
        ),
    ))
}

/// One sample of a series.
struct Sample {
    at_s: f64,
    capacity: f64,
    limit: Option<f64>,
    received: f64,
}

fn series(leg: &Value) -> Result<Vec<Sample>, String> {
    let ticks = leg["series"].as_array().filter(|ticks| !ticks.is_empty()).ok_or("the leg has no samples")?;
    ticks
        .iter()
        .map(|tick| {
            Ok(Sample {
                at_s: figure(tick, "at_s")?,
                capacity: figure(tick, "capacity")?,
                limit: tick["limit"].as_f64(),
                received: tick["received"].as_f64().unwrap_or(0.0),
            })
        })
        .collect()
}

/// The limit's median over five seconds must lie in the band from then on.
const SMOOTH_S: f64 = 5.0;

/// From each change of the capacity in (`from`, `to`) to the moment from which the limit, smoothed, is
/// within 20 % of it until the next change. `None` if it never is.
pub(crate) fn convergence(leg: &Value, from: f64, to: f64) -> Result<Vec<(f64, Option<f64>)>, String> {
    let samples = series(leg)?;
    let samples: Vec<&Sample> = samples.iter().filter(|it| (from..to).contains(&it.at_s)).collect();
    let mut stretches: Vec<Vec<&Sample>> = Vec::new();
    for sample in samples {
        match stretches.last_mut() {
            Some(last) if last.first().is_some_and(|first| none(first.capacity - sample.capacity)) => {
                last.push(sample);
            }
            _ => stretches.push(vec![sample]),
        }
    }
    let settle = |stretch: &Vec<&Sample>| -> Option<(f64, Option<f64>)> {
        let (first, last) = (stretch.first()?, stretch.last()?);
        let inside = |begin: &&Sample| {
            let mut ahead: Vec<f64> = stretch
                .iter()
                .filter(|it| it.at_s >= begin.at_s && it.at_s < begin.at_s + SMOOTH_S)
                .filter_map(|it| it.limit)
                .collect();
            ahead.sort_by(f64::total_cmp);
            let median = ahead.get(ahead.len() / 2).copied().unwrap_or(f64::NAN);
            (0.8..=1.2).contains(&(median / first.capacity))
        };
        // Fewer samples than a whole stretch of smoothing say nothing of their own.
        let whole: Vec<&&Sample> = stretch.iter().filter(|it| it.at_s + SMOOTH_S <= last.at_s).collect();
        let settled = whole.iter().rposition(|it| !inside(it)).map_or(0, |bad| bad + 1);
        Some((first.capacity, whole.get(settled).map(|it| it.at_s - first.at_s)))
    };
    Ok(stretches.iter().filter_map(settle).collect())
}

/// The capacity is found.
pub(crate) fn m4(high: &Value, low: &Value, swing: &Value) -> Result<Judged, String> {
    let first = |day: &Value| -> Result<Option<f64>, String> {
        let found = convergence(&day["with"], 0.0, 20.0)?;
        found.first().map(|(_, after)| *after).ok_or_else(|| "no samples".to_owned())
    };
    let (high, low) = (first(high)?, first(low)?);
    let changes: Vec<_> = convergence(&swing["with"], 19.0, f64::INFINITY)?
        .into_iter()
        .skip_while(|(capacity, _)| *capacity > 6.5)
        .map(|(_, after)| after)
        .collect();
    let [completed, people] = figures(&swing["with"], ["completed", "people"])?;
    let within = |after: Option<f64>, most: f64| after.is_some_and(|after| after <= most);
    let shown = |after: Option<f64>| after.map_or("never".to_owned(), |after| format!("{after:.1} s"));
    let all: Vec<String> = changes.iter().map(|after| shown(*after)).collect();
    Ok(Judged::new(
        within(high, 10.0)
            && within(low, 10.0)
            && changes.len() >= 2
            && changes.iter().all(|after| within(*after, 5.0))
            && none(people - completed),
        format!(
            "from 4 times {}, from a quarter {}, after each change {}, {:.0} sessions lost",
            shown(high),
            shown(low),
            all.join(" and "),
            people - completed
        ),
    ))
}

/// Returns are spread.
pub(crate) fn m22(day: &Value, capacity_per_s: f64, back_s: f64) -> Result<Judged, String> {
    let with = &day["with"];
    let samples = series(with)?;
    let after: Vec<&Sample> = samples.iter().filter(|it| it.at_s >= back_s).collect();
    let mut worst: f64 = 0.0;
    for (index, sample) in after.iter().enumerate() {
        let end = after.iter().skip(index).take_while(|it| it.at_s <= sample.at_s + 1.0).last();
        worst = end.map_or(worst, |end| worst.max(end.received - sample.received));
    }
    if none(worst) {
        return Err("nothing reached the backend after the outage".to_owned());
    }
    let never = with["never_quiet"].as_bool() == Some(true);
    let quiet = if never { None } else { Some(figure(with, "recovery_s")?) };
    let shown =
        quiet.map_or("never direct again".to_owned(), |quiet| format!("direct again after {quiet:.1} s"));
    Ok(Judged::new(
        worst <= 1.1 * capacity_per_s && quiet.is_some_and(|quiet| quiet <= 10.0),
        format!("at most {:.2} × capacity in a second, {shown}", worst / capacity_per_s),
    ))
}
