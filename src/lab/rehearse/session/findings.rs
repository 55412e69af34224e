//! What a rehearsed day says to whoever asks in words.

use super::day::Day;
use super::outcome::Outcome;
use crate::lab::rehearse::words::{Findings, More};

/// The findings of a day, and what `more` workers would change, if that was played, too.
#[must_use]
pub fn findings(day: &Day, outcome: &Outcome, more: Option<More>) -> Findings {
    let waits = &outcome.waits;
    let worst = [0.5, 0.9, 0.99, 1.0].map(|share| waits.at(share).unwrap_or_default());
    Findings {
        people: outcome.arrived,
        served: outcome.served,
        left: outcome.left + outcome.left_inside,
        told_exhausted: outcome.told_exhausted,
        still_there: outcome.still_inside + outcome.still_waiting,
        waits_s: (waits.count() > 0).then_some(worst),
        ended_s: outcome.ended_s,
        horizon_s: day.horizon_s,
        utilisation: outcome.utilisation(),
        bindings: outcome.spent.ranked(),
        seats_ceiling: u64::from(day.room.seats_ceiling),
        seats_floor: u64::from(day.room.seats_floor),
        limit: outcome.sights.iter().map(|sight| sight.limit).max().unwrap_or_default(),
        workers: day.pool.slots.iter().map(|(_, slots)| *slots as u64).max().unwrap_or_default(),
        show_rate: outcome.show_rate(),
        call_to_seat_s: outcome.call_to_seat.at(0.5),
        scale: outcome.scale_peak,
        polling_budget: u64::from(day.room.poll.budget),
        queued: None,
        announced_inside: outcome.announced.share_inside(),
        door: Some((outcome.door_peak * day.door.network_share, day.door.network_per_s)),
        more,
    }
}

/// What else a day has in figures, for those who run the gateway.
#[must_use]
pub fn figures(outcome: &Outcome) -> Vec<String> {
    let mut figures = vec![
        format!(
            "At most {} people waited at once. Their devices looked at the board {:.0} times a second at most, {:.0} \
             on average.",
            outcome.waiting_peak,
            outcome.looks_peak,
            outcome.looks_mean()
        ),
        format!(
            "{} places were given to {} people; {} people went straight in. Of the calls, {} were claimed.",
            outcome.places,
            outcome.arrived - outcome.straight_in,
            outcome.straight_in,
            outcome.show_rate().map_or_else(|| "none".to_owned(), |rate| format!("{:.1} %", rate * 100.0))
        ),
        format!(
            "The gateway keeps nothing for somebody who waits, one bit for a number called; this rehearsal kept \
             {:.1} bytes for each place.",
            outcome.bytes_per_place
        ),
    ];
    if outcome.sampled > 1 {
        figures.push(format!(
            "Order, overtaking and announced waits were watched on one in {} people.",
            outcome.sampled
        ));
    }
    figures
}
