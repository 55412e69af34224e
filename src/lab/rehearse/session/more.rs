//! What more workers would buy: the same day once more, with them.
//!
//! Of a day of tens of millions that would take as long again. It is told by two days of a part of it
//! instead, both with as many people, workers, seats, units and looks fewer: what a queue does depends on
//! their ratios, and chance, which does not, is the smaller the more there are.

use super::day::{Day, Group, Pool};
use super::outcome::Outcome;
use crate::admission::policy::{LimitPolicy, PollRule, RoomPolicy};
use crate::lab::rehearse::words::More;

/// A day of at most so many people is played whole once more.
const WHOLE: u64 = 2_500_000;
/// The smallest part.
const PARTS_MAX: u64 = 20;

/// What `workers` more would have changed in a day that came to `outcome`.
pub fn more(
    day: &Day,
    outcome: &Outcome,
    workers: usize,
    mut play: impl FnMut(&str, &Day) -> Outcome,
) -> More {
    let with = |day: &Day, workers| Day { pool: day.pool.with_more(workers), ..day.clone() };
    let parts = parts(day.people(), workers as u64);
    let told = |now: &Outcome, then: &Outcome| {
        let median = |outcome: &Outcome| outcome.waits.at(0.5);
        let sooner = median(now).zip(median(then)).map(|(now, then)| now - then);
        More {
            workers: workers as u64,
            served: outcome.served.saturating_add_signed(
                (then.served.cast_signed() - now.served.cast_signed()) * parts.cast_signed(),
            ),
            median_s: median(outcome).zip(sooner).map(|(median, sooner)| median - sooner),
            ended_s: outcome.ended_s - (now.ended_s - then.ended_s),
            parts,
        }
    };
    if parts == 1 {
        return told(outcome, &play("the day with more workers", &with(day, workers)));
    }
    let small = day.part(parts);
    let fewer = workers / usize::try_from(parts).unwrap_or(1);
    let now = play("a part of the day", &small);
    told(&now, &play("a part of the day with more workers", &with(&small, fewer)))
}

/// Into how many parts such a day is divided, so that the workers can be divided as well.
fn parts(people: u64, workers: u64) -> u64 {
    let most = people.div_ceil(WHOLE).clamp(1, PARTS_MAX);
    (1..=most).rev().find(|parts| workers.is_multiple_of(*parts)).unwrap_or(1)
}

impl Day {
    /// One in `parts` of everything that is counted.
    fn part(&self, parts: u64) -> Self {
        let few = |count: u32| u32::try_from(u64::from(count).div_ceil(parts)).unwrap_or(count);
        let group = |group: &Group| Group { people: group.people / parts, ..group.clone() };
        let size = usize::try_from(parts).unwrap_or(1);
        let slots = self.pool.slots.iter().map(|(at, slots)| (*at, slots.div_ceil(size))).collect();
        let RoomPolicy { seats_floor, seats_ceiling, poll, .. } = self.room;
        let LimitPolicy { initial, floor, ceiling, .. } = self.limit;
        Self {
            groups: self.groups.iter().map(group).collect(),
            pool: Pool { slots, ..self.pool.clone() },
            stock: self.stock.map(|units| units / parts),
            room: RoomPolicy {
                seats_floor: few(seats_floor),
                seats_ceiling: few(seats_ceiling),
                poll: PollRule { budget: few(poll.budget), ..poll },
                ..self.room.clone()
            },
            limit: LimitPolicy {
                initial: few(initial),
                floor: few(floor),
                ceiling: few(ceiling),
                ..self.limit
            },
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rehearse;
    use super::super::tests::small_day;
    use super::*;

    #[test]
    fn a_day_is_divided_as_its_workers_can_be() {
        assert_eq!(
            [(1, 1), (5_000_000, 40), (50_000_000, 40), (50_000_000, 41), (9_000_000, 3)]
                .map(|(people, workers)| parts(people, workers)),
            [1, 2, 20, 1, 3]
        );
    }

    #[test]
    fn a_part_of_a_day_takes_as_long_as_the_day() {
        let mut day = small_day();
        for group in &mut day.groups {
            group.people *= 16;
        }
        day.pool = day.pool.with_more(day.pool.slots_at(0.0) * 15);
        (day.room.seats_ceiling, day.room.poll.budget) = (100_000, 100_000);
        (day.limit.ceiling, day.limit.initial) = (100_000, 2_000);
        let (whole, part) = (rehearse(&day, |_| ()), rehearse(&day.part(4), |_| ()));
        let ratio = |of: fn(&Outcome) -> f64| of(&part) / of(&whole);
        assert!((4.0 * ratio(|day| day.served as f64) - 1.0).abs() < 0.02, "{}", part.served);
        assert!((ratio(|day| day.ended_s) - 1.0).abs() < 0.1, "{} of {}", part.ended_s, whole.ended_s);
        let median = ratio(|day| day.waits.at(0.5).unwrap());
        assert!((median - 1.0).abs() < 0.1, "{median}");
    }
}
