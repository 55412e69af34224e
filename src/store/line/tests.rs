//! What a line tells when, and to whom.

use hmac::{Hmac, KeyInit};

use super::*;
use crate::admission::policy::PollRule;
use crate::admission::ticket::Kind;

fn policy() -> RoomPolicy {
    let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    RoomPolicy {
        seats_floor: 1,
        seats_ceiling: 1,
        share: 1.0,
        call: minute,
        idle: minute,
        session: minute,
        poll: PollRule { min: second, max: minute, divisor: 10, budget: 1_000 },
        hold: true,
        open: false,
        lanes: Vec::new(),
    }
}

/// What it is told where all that it planned is on the disk.
fn write(line: &Line) -> Pending {
    let load = Load { limit: 1, ..Load::default() };
    let marks = line.with(|room| room.marks());
    let pending = line.plan(&policy(), load, marks, LotsNews::default, Moment(2)).unwrap();
    line.publish(&pending, Moment(2));
    pending
}

#[tokio::test]
async fn who_got_a_place_from_another_device_is_told_of_it_and_the_other_is_not() {
    let line = Line::restore("main", &policy(), Left::default(), Arc::default(), Moment(1));
    line.follow_webhook(1, Some(&WebhookKey::of(&Hmac::new_from_slice(b"secret").unwrap())));
    line.reminders(|all| all.register(4, "before".into())).unwrap();
    write(&line);
    let (kind, room, time) = (Kind::Ticket, line.id, UnixTime(5));
    let ticket = Claims { kind, room, epoch: 1, number: 4, index: None, time, id: [7; 16], moves: 0 };
    let written = async {
        tokio::task::yield_now().await;
        write(&line);
    };
    let (moved, ()) = tokio::join!(line.move_place(&ticket, None, time), written);
    assert_eq!(moved.unwrap().moves, 1);
    assert!(line.reminders(|all| all.is_empty()), "the device before");
    assert_eq!(write(&line).reminders.sealed, [(4, None)]);
    line.reminders(|all| all.register(4, "after".into())).unwrap();
    let written = async {
        tokio::task::yield_now().await;
        write(&line)
    };
    let (kept, pending) = tokio::join!(line.reminders_kept(), written);
    assert!(kept && matches!(&pending.reminders.sealed[..], [(4, Some(_))]));
}
