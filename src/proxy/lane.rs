//! In which lane of a room somebody takes a place: by what a token, a trusted proxy or the address proves.
//!
//! Looked at once, when the place is taken; the number then says the lane for good. A path, a host or a
//! word of the client's own proves nothing and counts for nothing.

use http::HeaderMap;

use super::asked::Asked;
use super::identify::Identity;
use super::live::{Live, Room};
use crate::admission::lane::{LaneFacts, LaneId};
use crate::admission::room::Room as Line;
use crate::config::settings::{Belongs, LaneSettings};

/// The lane that a request proves its sender to belong in; the first one of the policy for everybody else.
pub(super) fn lane(live: &Live, room: &Room, who: &Identity, asked: &Asked, fields: &HeaderMap) -> LaneId {
    let belongs = |lane: &&LaneSettings| match &lane.belongs {
        Belongs::Claim(proof) => live.jwt.as_ref().is_some_and(|jwt| {
            let place = jwt.settings.proofs.iter().position(|known| known == proof);
            place.is_some_and(|place| who.proofs >> place & 1 == 1)
        }),
        // Several of them would be somebody else's guess at what the proxy means.
        Belongs::Header { name, value } => {
            let mut all = fields.get_all(name).iter();
            let only = all.next().filter(|_| all.next().is_none());
            asked.peer_trusted && only.is_some_and(|only| only.as_bytes() == value.as_bytes())
        }
        Belongs::Addresses(nets) => {
            let client = asked.client.to_canonical();
            nets.iter().any(|net| net.contains(&client))
        }
    };
    let lane = room.settings.lanes.iter().find(belongs);
    lane.and_then(|lane| room.line.with(|line| line.lane_named(&lane.name))).unwrap_or_default()
}

/// What the lane of a number is called; `None` where there is one line.
pub(super) fn name(room: &Room, line: &Line, number: u64) -> Option<String> {
    line.lane_name(number).map(|name| other(room, name)).or_else(|| first(room, line.has_lanes()))
}

/// One look at each lane, with its name; none where there is one line.
#[must_use]
pub fn lanes(room: &Room) -> Vec<(String, LaneFacts)> {
    let all: Vec<(Option<String>, LaneFacts)> = room.line.with(|line| {
        let named =
            |facts: LaneFacts| (line.lane_name(facts.id.origin()).map(|name| other(room, name)), facts);
        line.lane_facts().into_iter().map(named).collect()
    });
    let first = first(room, all.len() > 1);
    all.into_iter().filter_map(|(name, facts)| Some((name.or_else(|| first.clone())?, facts))).collect()
}

/// Names of lanes that no line goes by any more, `lanes` being those that are: nothing is measured there.
#[must_use]
pub fn gone(room: &Room, lanes: &[(String, LaneFacts)]) -> Vec<String> {
    let others = room.line.with(|line| line.lanes_as_they_are());
    let others = others.iter().map(|lane| other(room, &lane.name));
    let all = others.chain(first(room, true));
    all.filter(|name| lanes.iter().all(|(known, _)| known != name)).collect()
}

/// The name of a lane beside the first. After a restart the configuration may name the first as this one was
/// before, which people may still be in.
fn other(room: &Room, name: &str) -> String {
    beside(first(room, true).as_deref(), name)
}

fn beside(first: Option<&str>, name: &str) -> String {
    if first == Some(name) { format!("{name}-before") } else { name.to_owned() }
}

/// The first lane's name. Where the configuration names none any more and there are others, it has this one.
fn first(room: &Room, others: bool) -> Option<String> {
    let named = room.settings.policy.lanes.first().map(|lane| lane.name.clone());
    named.or_else(|| others.then(|| "everybody-else".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lanes_are_told_by_one_name() {
        assert_eq!(beside(Some("citizens"), "offices"), "offices");
        assert_eq!(beside(Some("offices"), "offices"), "offices-before", "they changed places");
    }
}
