//! The answers that a manager asks for, in words: how long people will wait, when it is over, what one
//! more server buys, which limit binds, and what to do about it.
//!
//! Used by both levels: whatever was rehearsed is put into [`Findings`] first. Every number comes from
//! the run; where there is none, the sentence is left out.

use super::session::Binding;

/// What held the line for a smaller share of the time than this is not worth a sentence, unless it did most.
const WORTH_TELLING: f64 = 0.05;
/// From this share of the time on nothing else matters.
const ALONE: f64 = 0.95;

/// What a rehearsal found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// People who came.
    pub people: u64,
    /// People who reached their goal.
    pub served: u64,
    /// People who left without it.
    pub left: u64,
    /// People who were told that nothing is left.
    pub told_exhausted: u64,
    /// People who were still there when the day was over.
    pub still_there: u64,
    /// Wait for a seat, seconds: median, of nine in ten, of 99 in 100, worst. `None` if nobody got one.
    pub waits_s: Option<[f64; 4]>,
    /// When the last one was served or left, in seconds from the beginning.
    pub ended_s: f64,
    /// Length of the day that was rehearsed, in seconds.
    pub horizon_s: f64,
    /// Share of what the workers could do that they did while people waited.
    pub utilisation: Option<f64>,
    /// What held the line, and for which share of the time, the greatest first.
    pub bindings: Vec<(Binding, f64)>,
    /// The number behind it: the ceiling, the floor, the limit.
    pub seats_ceiling: u64,
    /// Fewest seats that the operator allows.
    pub seats_floor: u64,
    /// The limit at its highest.
    pub limit: u64,
    /// Workers.
    pub workers: u64,
    /// Share of the calls that somebody came for.
    pub show_rate: Option<f64>,
    /// From call to seat, median, in seconds.
    pub call_to_seat_s: Option<f64>,
    /// By how much the board told everybody to look less often, at most.
    pub scale: f64,
    /// Looks a second that the operator allows.
    pub polling_budget: u64,
    /// Somebody was given a place to wait in. `None` if requests were not played one by one.
    pub queued: Option<bool>,
    /// Share of waits inside the announced interval.
    pub announced_inside: Option<f64>,
    /// Changes a second that the biggest network sends, and that the door lets it.
    pub door: Option<(f64, f64)>,
    /// The same day with more workers.
    pub more: Option<More>,
}

/// The same day with more workers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct More {
    /// How many more.
    pub workers: u64,
    /// People who reached their goal then.
    pub served: u64,
    /// Median wait then, in seconds.
    pub median_s: Option<f64>,
    /// When it was over then.
    pub ended_s: f64,
    /// It was told from a day of one in so many of the people and of the workers.
    pub parts: u64,
}

/// The answers, in whole sentences.
#[must_use]
pub fn words(found: &Findings) -> Vec<String> {
    let held = found.bindings.iter().enumerate();
    let held = held.filter(|(rank, (_, share))| *rank == 0 || *share >= WORTH_TELLING);
    [waits(found), outcome(found), over(found)]
        .into_iter()
        .flatten()
        .chain(held.map(|(_, (binding, share))| held_by(found, *binding, *share)))
        .chain(
            [no_line(found), workers(found), honesty(found), door(found), more(found)].into_iter().flatten(),
        )
        .collect()
}

fn waits(found: &Findings) -> Option<String> {
    let [median, nine, _, worst] = found.waits_s?;
    Some(format!(
        "Half of the people wait less than {}, nine in ten less than {}, the one who waits longest {}.",
        time(median),
        time(nine),
        time(worst)
    ))
}

fn outcome(found: &Findings) -> Option<String> {
    let share = 100.0 * found.served as f64 / (found.people as f64).max(1.0);
    let mut text =
        format!("{} of {} people reach their goal ({share:.1} %)", count(found.served), count(found.people));
    for (number, what) in [
        (found.left, "lose patience and leave"),
        (found.told_exhausted, "are told that nothing is left"),
        (found.still_there, "are still there at the end"),
    ] {
        if number > 0 {
            text.push_str(&format!(", {} {what}", count(number)));
        }
    }
    Some(text + ".")
}

fn over(found: &Findings) -> Option<String> {
    Some(if found.still_there > 0 {
        format!("After the {} that were rehearsed it is not over.", time(found.horizon_s))
    } else {
        format!("It is over {} after the beginning.", time(found.ended_s))
    })
}

/// What held the line, and what to do about it.
fn held_by(found: &Findings, binding: Binding, share: f64) -> String {
    let held = format!("for {:.0} % of the time in which people waited", share * 100.0);
    match binding {
        Binding::Pool => {
            let alone = if share >= ALONE { " Nothing in the gateway is in the way." } else { "" };
            format!(
                "The service itself limits the day: its {} workers were busy {held}.{alone} Then only more workers, \
                 or quicker ones, shorten the wait.",
                count(found.workers)
            )
        }
        Binding::SeatsCeiling => format!(
            "The ceiling of {} seats binds, {held}: the service could do more. Raise `seats.ceiling`.",
            count(found.seats_ceiling)
        ),
        Binding::SeatsFloor => format!(
            "The floor of {} seats binds, {held}: more people are inside than the service bears. Lower \
             `seats.floor`.",
            count(found.seats_floor)
        ),
        Binding::Limit => format!(
            "The limit of requests ({} at most) binds, {held}: it gives fewer seats than keep the workers busy. \
             Raise the limit's `initial` and `floor` towards what the service is known to bear.",
            count(found.limit)
        ),
        Binding::IdleSeats => format!(
            "Seats are held by people who ask for nothing, {held}: they have finished, or never came for a seat that \
             fell to them. Let the service end sessions, or shorten the room's `idle`."
        ),
        Binding::PollingBudget => format!(
            "The polling budget of {} looks a second binds, {held}: the board makes everybody look up to {:.0} times \
             less often, so those who are called see it late{}. Raise `poll.budget`, with a cache in front of the \
             board if need be, or `poll.max`.",
            count(found.polling_budget),
            found.scale,
            found
                .call_to_seat_s
                .map_or_else(String::new, |late| format!(" (half of them after {})", time(late)))
        ),
        Binding::ShowRate => format!(
            "Those who are called and do not come bind, {held}: {}. People with several devices and those who \
             left in silence cost calls; places that belong to one person each would help.",
            found
                .show_rate
                .map_or_else(|| "few come".to_owned(), |rate| format!("{:.0} in 100 come", rate * 100.0))
        ),
        Binding::CallDelay => format!(
            "The time from a call to its claim binds, {held}{}: free seats wait for people who have not looked \
             yet. Shorten `poll.min`.",
            found
                .call_to_seat_s
                .map_or_else(String::new, |late| format!(" ({} for half of them)", time(late)))
        ),
        Binding::Stock => {
            format!("The stock binds, {held}: what was left had been promised to those inside.")
        }
        Binding::Held => {
            format!("The line stood still {held}: the service did not answer, or the room was held.")
        }
    }
}

fn no_line(found: &Findings) -> Option<String> {
    (found.queued == Some(false) && found.left + found.still_there > 0).then(|| {
        "Nobody was given a place to wait in, though people went without. A place is offered with a page, not with a \
         form: the page before whatever is scarce must be behind the room, too. In a scenario without a \
         configuration of its own, that page wants `personal = true`."
            .to_owned()
    })
}

fn workers(found: &Findings) -> Option<String> {
    let used = found.utilisation?;
    Some(format!("While people waited the workers did {:.0} % of what they could.", used * 100.0))
}

fn honesty(found: &Findings) -> Option<String> {
    let inside = found.announced_inside?;
    Some(format!(
        "The wait that the page announces at the join holds for {:.0} in 100 people.",
        inside * 100.0
    ))
}

fn door(found: &Findings) -> Option<String> {
    let (sends, allowed) = found.door?;
    (sends > allowed).then(|| {
        format!(
            "The door's quota binds for shared addresses: the biggest network sends {sends:.0} joins and claims a \
             second, and `door.prefix` allows {allowed:.0}. Widen it."
        )
    })
}

fn more(found: &Findings) -> Option<String> {
    let more = found.more?;
    let workers = if more.workers == 1 {
        "One more worker".to_owned()
    } else {
        format!("{} more workers", count(more.workers))
    };
    let mut gains = Vec::new();
    if more.served > found.served {
        gains.push(format!("serve {} more people", count(more.served - found.served)));
    }
    if let (Some([median, ..]), Some(then)) = (found.waits_s, more.median_s)
        && median - then >= 0.05 * 1.0_f64.max(median * 0.01)
    {
        gains.push(format!("shorten the median wait by {}", time(median - then)));
    }
    if found.still_there == 0 && found.ended_s - more.ended_s >= 1.0 {
        gains.push(format!("end the day {} earlier", time(found.ended_s - more.ended_s)));
    }
    Some(if gains.is_empty() {
        format!("{workers} would change nothing that people notice.")
    } else {
        let gains = match gains.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            _ => gains.concat(),
        };
        let reckoned = match more.parts {
            0 | 1 => String::new(),
            parts => format!(" Reckoned on a day with one in {parts} of the people and of the workers."),
        };
        format!("{workers} would {gains}.{reckoned}")
    })
}

/// A time as people say it.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} seconds"),
        s if s < 120.0 => format!("{s:.0} seconds"),
        s if s < 7_200.0 => format!("{:.0} minutes", s / 60.0),
        s => format!("{:.1} hours", s / 3_600.0),
    }
}

/// A number with its thousands apart.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(binding: Binding) -> Findings {
        Findings {
            people: 6_000,
            served: 5_500,
            left: 500,
            waits_s: Some([128.0, 230.0, 250.0, 262.5]),
            ended_s: 317.0,
            horizon_s: 1_200.0,
            utilisation: Some(0.5),
            bindings: vec![(binding, 0.9)],
            seats_ceiling: 12,
            seats_floor: 3,
            limit: 113,
            workers: 40,
            show_rate: Some(0.3),
            call_to_seat_s: Some(2.5),
            scale: 75.0,
            polling_budget: 5_000,
            ..Findings::default()
        }
    }

    fn said(found: &Findings) -> String {
        words(found).join("\n")
    }

    #[test]
    fn each_limit_is_named_with_its_number_and_its_remedy() {
        for (binding, parts) in [
            (Binding::Pool, ["40 workers", "more workers"]),
            (Binding::SeatsCeiling, ["12 seats", "seats.ceiling"]),
            (Binding::SeatsFloor, ["3 seats", "seats.floor"]),
            (Binding::Limit, ["113", "initial"]),
            (Binding::IdleSeats, ["finished", "`idle`"]),
            (Binding::PollingBudget, ["5,000 looks", "poll.budget"]),
            (Binding::ShowRate, ["30 in 100", "one person"]),
            (Binding::CallDelay, ["2.5 seconds", "poll.min"]),
            (Binding::Stock, ["stock", "90 %"]),
            (Binding::Held, ["stood still", "90 %"]),
        ] {
            let said = said(&found(binding));
            assert!(parts.iter().all(|part| said.contains(part)), "{binding:?}: {said}");
        }
    }

    #[test]
    fn the_gateway_is_not_acquitted_while_something_of_it_binds_as_well() {
        let mixed =
            Findings { bindings: vec![(Binding::Pool, 0.6), (Binding::Limit, 0.4)], ..found(Binding::Pool) };
        let said = said(&mixed);
        assert!(
            said.contains("for 60 %") && said.contains("113") && !said.contains("Nothing in the gateway")
        );
        let alone = Findings { bindings: vec![(Binding::Pool, 0.99), (Binding::Limit, 0.01)], ..mixed };
        let said = words(&alone).join("\n");
        assert!(said.contains("Nothing in the gateway") && !said.contains("113"), "{said}");
    }

    #[test]
    fn waits_end_and_outcome_are_told() {
        let said = said(&found(Binding::Pool));
        assert!(said.contains("less than 2 minutes, nine in ten less than 4 minutes"), "{said}");
        assert!(
            said.contains("5,500 of 6,000 people reach their goal (91.7 %), 500 lose patience"),
            "{said}"
        );
        assert!(said.contains("over 5 minutes after"), "{said}");
        let unfinished = Findings { still_there: 7, ..found(Binding::Pool) };
        assert!(words(&unfinished).join("\n").contains("it is not over"));
    }

    #[test]
    fn one_more_worker_buys_what_the_second_run_says_and_nothing_else() {
        let more = More { workers: 1, served: 5_500, median_s: Some(122.0), ended_s: 310.0, parts: 1 };
        let better = Findings { more: Some(more), ..found(Binding::Pool) };
        assert!(said(&better).contains(
            "One more worker would shorten the median wait by 6.0 seconds and end the day 7.0 seconds earlier."
        ), "{}", said(&better));
        let same = More { workers: 100, served: 5_400, median_s: Some(128.0), ended_s: 317.0, parts: 1 };
        let same = Findings { more: Some(same), ..found(Binding::SeatsCeiling) };
        assert!(said(&same).contains("100 more workers would change nothing"), "{}", said(&same));
    }

    #[test]
    fn a_door_too_narrow_for_a_shared_address_is_told_and_a_wide_one_is_not() {
        let door = |sends| said(&Findings { door: Some((sends, 100.0)), ..found(Binding::Pool) });
        assert!(door(150.0).contains("sends 150 joins and claims a second, and `door.prefix` allows 100"));
        assert!(!door(50.0).contains("door"));
    }

    #[test]
    fn a_room_that_nobody_meets_is_told() {
        let day = |queued, left| said(&Findings { queued, left, still_there: 0, ..found(Binding::Pool) });
        assert!(day(Some(false), 9).contains("`personal = true`"));
        assert!(!day(Some(true), 9).contains("personal") && !day(Some(false), 0).contains("personal"));
    }

    #[test]
    fn nothing_is_said_of_what_was_not_found() {
        let said = words(&Findings { people: 10, ..Findings::default() });
        assert_eq!(said.len(), 2, "{said:?}");
    }
}
