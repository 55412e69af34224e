//! What goes into the public logs of rooms: how each stands, as its board would say it.

use crate::admission::Moment;
use crate::proof::log::Event;
use crate::proxy::Proxy;
use crate::proxy::board::state;
use crate::proxy::live::{Live, Room};
use crate::store::book::{self, Seen};
use crate::store::journal::Ending;

/// What the log of `room` has to say at `now`, to be written.
pub(super) fn due(proxy: &Proxy, room: &Room, limit: u32, now: Moment) -> Vec<book::Line> {
    let (key, unix) = (proxy.board_key.signing(), proxy.clock.unix());
    look(room, limit, |seen| room.line.book.due(seen, key, now, unix))
}

/// The last lines of a room that goes, or of all when the gateway ends.
pub(super) fn close(proxy: &Proxy, room: &Room) -> Vec<book::Line> {
    let (key, now, unix) = (proxy.board_key.signing(), proxy.clock.now(), proxy.clock.unix());
    let limit = room.clusters.iter().map(|cluster| cluster.gate.facts(now).limit_now).min();
    look(room, limit.unwrap_or_default(), |seen| room.line.book.close(seen, key, now, unix))
}

fn look<T>(room: &Room, limit: u32, tell: impl FnOnce(&Seen<'_>) -> T) -> T {
    let policy = &room.settings.policy;
    let (drawn, statements) =
        room.line.with_lots(|lots| (lots.kept(), lots.lines().to_vec())).unwrap_or_default();
    let (facts, tally) = room.line.with(|line| (line.facts(policy), line.tally()));
    // After the facts: a room that says that it is over is so.
    let erased = room.line.ended().map(Ending::erased);
    tell(&Seen {
        room: &room.line.name,
        state: state(facts.state),
        facts,
        tally,
        drawn: drawn.into(),
        limit,
        open: policy.open,
        statements: &statements,
        erased: erased.as_deref(),
    })
}

/// A reload was asked for; `refused` says why it was not taken.
pub(super) fn reloaded(live: &Live, refused: Option<&str>) {
    for room in live.rooms.values() {
        room.line.book.tell(Event::Reload {
            taken: refused.is_none(),
            generation: live.generation,
            rules: room.rules_hash.clone(),
            refused: refused.map(str::to_owned),
        });
    }
}
