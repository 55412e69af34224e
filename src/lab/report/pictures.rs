//! Which pictures the report shows, and what there is to see in each.

use super::super::account::{Kind, Tick};
use super::axis::{Axis, Unit};
use super::plot::{Plot, Series, Shape};
use super::show::{number, percent, seconds, thousands};
use super::spread::widened;
use super::{Bin, LegSummary, Report};

/// Goodput is the mean over so much time, in seconds, or over as many samples as make it up.
const OVER_S: f64 = 1.0;

/// All pictures of a report for which there are samples.
#[must_use]
pub(super) fn pictures(report: &Report) -> Vec<Plot> {
    let legs = Legs::of(report);
    let mut plots: Vec<Plot> = [
        legs.served(),
        legs.waiting(),
        legs.calls(),
        legs.limit(),
        legs.latency(),
        legs.goodput(),
        legs.waits(),
    ]
    .into_iter()
    .flatten()
    .collect();
    plots.extend(report.legs.iter().enumerate().filter_map(|(index, leg)| order(index, leg)));
    plots
}

/// The legs with the classes under which they are drawn.
struct Legs<'a> {
    legs: Vec<(String, &'a LegSummary)>,
    time: Axis,
}

impl<'a> Legs<'a> {
    fn of(report: &'a Report) -> Self {
        let legs: Vec<_> =
            report.legs.iter().enumerate().map(|(index, leg)| (class(index, leg), leg)).collect();
        let end = legs.iter().filter_map(|(_, leg)| Some(leg.series.last()?.at_s)).fold(0.0, f64::max);
        Self { legs, time: Axis::linear("time since the leg began", Unit::Seconds, end) }
    }

    /// A series for each leg that has this value.
    fn each(
        &self,
        name: &str,
        style: &str,
        shape: Shape,
        value: impl Fn(&Tick) -> Option<f64>,
    ) -> Vec<Series> {
        let one = |(class, leg): &(String, &LegSummary)| {
            leg.series.iter().any(|tick| value(tick).is_some()).then(|| Series {
                name: format!("{}{name}", leg.title),
                class: format!("{class}{style}"),
                shape,
                points: leg.series.iter().map(|tick| (tick.at_s, value(tick).unwrap_or(f64::NAN))).collect(),
            })
        };
        self.legs.iter().filter_map(one).collect()
    }

    fn plot(&self, id: &str, title: &str, description: String, y: Axis, series: Vec<Series>) -> Option<Plot> {
        let drawn = series.iter().any(|series| series.points.iter().any(|(_, y)| y.is_finite()));
        drawn.then(|| Plot {
            id: id.to_owned(),
            title: title.to_owned(),
            description,
            x: self.time.clone(),
            y,
            series,
        })
    }

    /// One sentence a leg.
    fn say(&self, sentence: impl Fn(&LegSummary) -> Option<String>) -> String {
        let all: Vec<_> = self
            .legs
            .iter()
            .filter_map(|(_, leg)| Some(format!("{}: {}.", leg.title, sentence(leg)?)))
            .collect();
        all.join(" ")
    }

    fn served(&self) -> Option<Plot> {
        let mut series = self.each("", "", Shape::Line, |tick| Some(tick.completed as f64));
        let first = self.legs.iter().find(|(_, leg)| !leg.series.is_empty())?.1;
        let came = first.series.iter().map(|tick| (tick.at_s, tick.arrived as f64)).collect();
        series.insert(
            0,
            Series { name: "people who came".into(), class: "ref".into(), shape: Shape::Line, points: came },
        );
        let description = self.say(|leg| {
            Some(format!("{} of {} reached their goal", thousands(leg.completed), thousands(leg.people)))
        });
        let y = Axis::linear("people", Unit::Count, top(&series));
        self.plot("served", "People who reached their goal", description, y, series)
    }

    fn waiting(&self) -> Option<Plot> {
        let present = |tick: &Tick| tick.arrived.saturating_sub(tick.completed + tick.gave_up) as f64;
        let mut series = self.each(": there and not served", "", Shape::Line, |tick| Some(present(tick)));
        let held = |tick: &Tick| (tick.issued.is_some() || tick.waiting > 0).then_some(tick.waiting as f64);
        series.extend(self.each(": hold a place", " second", Shape::Line, held));
        let description = self.say(|leg| {
            let most = leg.series.iter().max_by(|a, b| present(a).total_cmp(&present(b)))?;
            let most_there = thousands(most.arrived.saturating_sub(most.completed + most.gave_up));
            Some(format!("at most {most_there} people at once, after {}", seconds(most.at_s)))
        });
        let y = Axis::linear("people", Unit::Count, top(&series));
        self.plot("waiting", "People waiting", description, y, series)
    }

    fn calls(&self) -> Option<Plot> {
        let count = |value: Option<u64>| value.map(|it| it as f64);
        let mut series = self.each(": numbers given", " second", Shape::Line, |tick| count(tick.issued));
        series.extend(self.each(": called", "", Shape::Line, |tick| count(tick.called)));
        series.extend(self.each(": inside now", " third", Shape::Line, |tick| count(tick.active)));
        let description = self.say(|leg| {
            let last = leg.series.iter().rev().find(|tick| tick.issued.is_some())?;
            Some(format!(
                "{} numbers given, {} called",
                thousands(last.issued?),
                thousands(last.called.unwrap_or(0))
            ))
        });
        let y = Axis::linear("numbers, people", Unit::Count, top(&series));
        self.plot("calls", "Numbers given and called", description, y, series)
    }

    fn limit(&self) -> Option<Plot> {
        let mut series = self.each(": unfinished at the origin", "", Shape::Line, |tick| {
            Some((tick.in_flight as f64).max(0.5))
        });
        series.extend(self.each(": limit", " second", Shape::Step, |tick| tick.limit.map(|it| it as f64)));
        let first = self.legs.iter().find(|(_, leg)| !leg.series.is_empty())?.1;
        let workers = first.series.iter().map(|tick| (tick.at_s, tick.capacity)).collect();
        series.push(Series {
            name: "workers of the pools".into(),
            class: "ref".into(),
            shape: Shape::Step,
            points: workers,
        });
        let description = self.say(|leg| {
            let seen = leg.series.iter().map(|tick| tick.in_flight).max()?;
            let most = thousands(seen.max(leg.origin_in_flight_max));
            Some(format!("at most {most} unfinished requests"))
        });
        let values = series.iter().flat_map(|series| series.points.iter().map(|(_, y)| y.max(1.0)));
        let y = Axis::decades("requests (logarithmic)", Unit::Count, values);
        self.plot("limit", "The limit, and requests unfinished at the origin", description, y, series)
    }

    fn latency(&self) -> Option<Plot> {
        let mut series = self.each(": p99", "", Shape::Line, |tick| tick.p99_s);
        series.extend(self.each(": median", " second", Shape::Line, |tick| tick.p50_s));
        let description = self.say(|leg| {
            let worst = leg.series.iter().filter_map(|tick| tick.p99_s).max_by(f64::total_cmp)?;
            Some(format!("p99 of a page at its worst {}", seconds(worst)))
        });
        let values = series.iter().flat_map(|series| series.points.iter().map(|(_, y)| *y));
        let y =
            Axis::decades("time to a page (logarithmic)", Unit::Seconds, values.filter(|y| y.is_finite()));
        self.plot("latency", "How long a page takes", description, y, series)
    }

    fn goodput(&self) -> Option<Plot> {
        let one = |(class, leg): &(String, &LegSummary)| Series {
            name: leg.title.clone(),
            class: class.clone(),
            shape: Shape::Line,
            points: goodput(&leg.series),
        };
        let series: Vec<Series> = self.legs.iter().map(one).collect();
        let description = self.say(|leg| {
            Some(format!("{} of what could be done in the crush was done", percent(leg.goodput?)))
        });
        let y = Axis::linear("share of possible work", Unit::Share, top(&series).clamp(1.0, 2.0));
        self.plot("goodput", "Useful work of the origin", description, y, series)
    }

    fn waits(&self) -> Option<Plot> {
        let width =
            self.legs.iter().filter_map(|(_, leg)| leg.waits.first()).map(|bin| bin.to_s).fold(0.0, f64::max);
        let outline = |bins: &[Bin]| {
            let end = bins.last().map(|bin| (bin.to_s, 0.0));
            bins.iter().map(|bin| (bin.from_s, bin.people as f64)).chain(end).collect()
        };
        let one = |(class, leg): &(String, &LegSummary)| Series {
            name: leg.title.clone(),
            class: class.clone(),
            shape: Shape::Surface,
            points: outline(&widened(&leg.waits, width)),
        };
        let series: Vec<Series> =
            self.legs.iter().filter(|(_, leg)| !leg.waits.is_empty()).map(one).collect();
        let description = self.say(|leg| {
            let (median, p99) = (leg.goal_p50_s?, leg.goal_p99_s?);
            Some(format!(
                "half of those who reached their goal within {}, 99 of 100 within {}",
                seconds(median),
                seconds(p99)
            ))
        });
        let end =
            series.iter().filter_map(|series| series.points.last()).map(|(x, _)| *x).fold(0.0, f64::max);
        let y = Axis::linear("people", Unit::Count, top(&series));
        let x = Axis::linear("time to the goal", Unit::Seconds, end);
        self.plot("waits", "How long those who reached their goal had waited", description, y, series)
            .map(|plot| Plot { x, ..plot })
    }
}

/// Who was let in in which order.
fn order(index: usize, leg: &LegSummary) -> Option<Plot> {
    let most = leg.order.iter().map(|point| point.arrival.max(point.admission)).max()?;
    let axis = |label: &str| Axis::linear(label, Unit::Count, f64::from(most));
    let points =
        leg.order.iter().map(|point| (f64::from(point.arrival), f64::from(point.admission))).collect();
    let end = axis("").most;
    let tau = leg.order_tau.map_or_else(|| "-".to_owned(), number);
    let line = Series {
        name: "as they came".into(),
        class: "ref".into(),
        shape: Shape::Line,
        points: vec![(0.0, 0.0), (end, end)],
    };
    let dots = Series { name: "a person".into(), class: class(index, leg), shape: Shape::Dots, points };
    Some(Plot {
        id: format!("order-{index}"),
        title: format!("Order of those let in, {}", leg.title),
        description: format!(
            "A dot is a person; on the line are those let in as they came. Kendall's τ {tau}; most later people let in before one person: {}.",
            leg.overtakes_max.map_or_else(|| "-".to_owned(), thousands),
        ),
        x: axis("place by arrival"),
        y: axis("place by admission"),
        series: vec![line, dots],
    })
}

/// Useful work over possible work, over `OVER_S` or the time between two samples.
fn goodput(ticks: &[Tick]) -> Vec<(f64, f64)> {
    let mut from = 0;
    let mut points = Vec::new();
    for (index, tick) in ticks.iter().enumerate() {
        while ticks
            .get(from + 1)
            .is_some_and(|next| next.at_s <= tick.at_s - OVER_S + 1e-9 && from + 1 < index)
        {
            from += 1;
        }
        let Some(before) = ticks.get(from).filter(|before| before.at_s < tick.at_s) else { continue };
        let span = ticks.get(from..index).unwrap_or_default();
        let workers = span.iter().map(|tick| tick.capacity).sum::<f64>() / span.len().max(1) as f64;
        let possible = workers * (tick.at_s - before.at_s);
        let useful = tick.useful_work_s - before.useful_work_s;
        points.push((tick.at_s, if possible > 0.0 { useful / possible } else { f64::NAN }));
    }
    points
}

fn top(series: &[Series]) -> f64 {
    series
        .iter()
        .flat_map(|series| &series.points)
        .map(|(_, y)| *y)
        .filter(|y| y.is_finite())
        .fold(0.0, f64::max)
}

/// The origin is always `s0` and the gateway `s1`; the rest follow.
fn class(index: usize, leg: &LegSummary) -> String {
    match leg.kind {
        Kind::Origin => "s0".to_owned(),
        Kind::Gateway => "s1".to_owned(),
        Kind::Peer { .. } => format!("s{}", 2 + index % 4),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::played;
    use super::*;

    #[test]
    fn all_pictures_are_drawn_from_two_legs() {
        let plots = pictures(&played());
        let ids: Vec<_> = plots.iter().map(|plot| plot.id.as_str()).collect();
        assert_eq!(
            ids,
            ["served", "waiting", "calls", "limit", "latency", "goodput", "waits", "order-0", "order-1"]
        );
        for plot in &plots {
            assert!(!plot.description.is_empty(), "{}", plot.id);
        }
        let both = |id: &str| plots.iter().find(|plot| plot.id == id).unwrap().series.len() >= 2;
        assert!(["served", "waiting", "latency", "goodput", "waits"].into_iter().all(both));
    }

    #[test]
    fn nothing_played_is_nothing_to_see() {
        assert!(pictures(&Report::default()).is_empty());
        assert!(pictures(&super::super::tests::report()).is_empty());
    }

    #[test]
    fn goodput_is_the_mean_over_a_second() {
        let tick = |quarter: u32| Tick {
            at_s: f64::from(quarter) / 4.0,
            useful_work_s: if quarter > 4 { 6.0 * f64::from(quarter - 4) / 4.0 } else { 0.0 },
            capacity: 12.0,
            ..Tick::default()
        };
        let ticks: Vec<Tick> = (0..20).map(tick).collect();
        let points = goodput(&ticks);
        assert!(points[0].1.abs() < 1e-9 && (points.last().unwrap().1 - 0.5).abs() < 1e-9);
        // Half a second of work in the second before 1.5 s.
        let then = points.iter().find(|(at, _)| (at - 1.5).abs() < 1e-9).unwrap();
        assert!((then.1 - 0.25).abs() < 1e-9, "{points:?}");
    }
}
