//! `room.NAME.lanes`.

use http::HeaderName;
use ipnet::IpNet;

use super::Judge;
use super::edge::NOT_IDENTITY;
use crate::admission::policy::LanePolicy;
use crate::config::document::{KeyPath, at};
use crate::config::findings::Finding;
use crate::config::raw::{Raw, RawLane, RawRoom};
use crate::config::settings::{Belongs, ClaimProof, LaneSettings};
use crate::config::text::{Format, Text};

/// Most lanes of one room.
const LANES_MAX: usize = 8;
/// Most different claims that put people in lanes, in the whole file.
const CLAIMS_MAX: usize = 32;

pub(super) fn judge(judge: &mut Judge<'_, '_>, path: &KeyPath, room: &RawRoom) {
    let (path, lanes) = (path.key("lanes"), &room.lanes);
    if lanes.is_empty() {
        return;
    }
    judge.refuse_if(room.draw.is_some(), || {
        let help = "remove `draw`, or remove `lanes`: what is drawn is one order of all";
        let message = "lots are not drawn for lanes: each lane goes by arrival";
        Finding::error(path.clone(), message, help).about(at(&["room"]))
    });
    let slots = path.parent().key("slots");
    judge.refuse_if(judge.says(&slots) && room.slots.offer, || {
        let help = "write `slots = { offer = false }`, or remove `slots` or `lanes`";
        let message = "where a room has lanes no slots are offered";
        Finding::error(slots, message, help).related(path.clone(), "the lanes")
    });
    judge.refuse_if(!(2..=LANES_MAX).contains(&lanes.len()), || {
        let help = format!("write 2 to {LANES_MAX} lanes, or remove the key");
        Finding::error(path.clone(), format!("`{path}` has {} lanes", lanes.len()), help)
    });
    let open = lanes.iter().filter(|lane| proofs(lane) == 0).count();
    judge.refuse_if(open != 1, || {
        let help = "leave `claim`, `header` and `addresses` out of exactly one: it takes everybody else";
        let message = match open {
            0 => "no lane takes those who prove nothing".to_owned(),
            some => format!("{some} lanes take those who prove nothing"),
        };
        Finding::error(path.clone(), message, help)
    });
    for (index, lane) in lanes.iter().enumerate() {
        let here = path.index(index);
        let twice = lanes.iter().take(index).any(|first| first.name.0.0 == lane.name.0.0);
        judge.refuse_if(twice, || {
            let message = format!("two lanes are called `{}`", lane.name.0.0);
            Finding::error(here.key("name"), message, "give each lane a name of its own")
        });
        proof(judge, &here, lane);
    }
}

/// How many proofs a lane asks for.
fn proofs(lane: &RawLane) -> usize {
    [lane.claim.is_some(), lane.header.is_some(), !lane.addresses.is_empty()]
        .into_iter()
        .map(usize::from)
        .sum()
}

/// What proves that somebody belongs there must prove it.
fn proof(judge: &mut Judge<'_, '_>, path: &KeyPath, lane: &RawLane) {
    judge.refuse_if(proofs(lane) > 1, || {
        let help = "keep one of `claim`, `header` and `addresses`";
        Finding::error(path.clone(), "a lane has one proof", help)
    });
    let asks = lane.claim.is_some() || lane.header.is_some();
    judge.refuse_if(asks != lane.value.is_some(), || {
        let help = "write `value` with `claim` or `header`, and nowhere else";
        let message = if asks { "what must it say?" } else { "`value` of what?" };
        Finding::error(path.clone(), message, help)
    });
    judge.refuse_if(lane.claim.is_some() && judge.raw.identity.jwt.is_none(), || {
        let help = "set `identity.jwt`, or prove it by `header` or `addresses`";
        Finding::error(path.key("claim"), "claims of a token are believed from nobody", help)
            .about(at(&["identity"]))
    });
    judge.refuse_if(lane.header.is_some() && judge.raw.edge.trusted_proxies.is_empty(), || {
        let help = "set `edge.trusted_proxies` to the proxies that set this header, or remove the key";
        Finding::error(path.key("header"), "the header is believed from nobody", help)
            .about(at(&["edge", "trusted_proxies"]))
            .note("without trusted proxies anybody could send the header and choose the lane")
    });
    vouched(judge, path.key("header"), lane.header.as_ref().map(|header| &header.0));
    covered(judge, path.key("addresses"), &lane.addresses);
}

/// A header in which a trusted proxy vouches for somebody must be one that clients do not write themselves.
pub(super) fn vouched(judge: &mut Judge<'_, '_>, path: KeyPath, name: Option<&HeaderName>) {
    let Some(name) = name.map(HeaderName::as_str) else { return };
    judge.refuse_if(NOT_IDENTITY.contains(&name) || name.starts_with("tornello-"), || {
        let help = "write a header of its own, which your proxy sets and takes from everybody else";
        Finding::error(path, format!("the header `{name}` proves nothing: clients send it themselves"), help)
    });
}

/// Where a trusted proxy sends no chain its clients come from its own address.
pub(super) fn covered(judge: &mut Judge<'_, '_>, path: KeyPath, nets: &[Text<IpNet>]) {
    let proxies = &judge.raw.edge.trusted_proxies;
    let meets =
        |net: &Text<IpNet>| proxies.iter().find(|proxy| net.0.contains(&proxy.0) || proxy.0.contains(&net.0));
    let Some((index, proxy)) = nets.iter().enumerate().find_map(|(index, net)| Some((index, meets(net)?.0)))
    else {
        return;
    };
    let help = "leave the proxies out of these addresses";
    let message = format!("the trusted proxy {proxy} is among these addresses");
    judge.add(
        Finding::warning(path.index(index), message, help)
            .about(at(&["edge", "trusted_proxies"]))
            .note("a request that it forwards without naming its client counts as its own"),
    );
}

/// All claims that put somebody in a lane, each once.
pub(super) fn claims(raw: &Raw) -> Vec<ClaimProof> {
    let mut all: Vec<ClaimProof> = Vec::new();
    for lane in raw.room.values().flat_map(|room| &room.lanes) {
        if let Some(claim) = claim(lane).filter(|claim| !all.contains(claim)) {
            all.push(claim);
        }
    }
    all
}

pub(super) fn judge_claims(judge: &mut Judge<'_, '_>) {
    let count = claims(judge.raw).len();
    judge.refuse_if(count > CLAIMS_MAX, || {
        let help = format!("write at most {CLAIMS_MAX} in all rooms together");
        Finding::error(at(&["room"]), format!("{count} different claims put people in lanes"), help)
    });
}

fn claim(lane: &RawLane) -> Option<ClaimProof> {
    Some(ClaimProof { claim: lane.claim.clone()?, value: lane.value.clone()? })
}

/// The lanes, the one for everybody else first.
pub(super) fn build(raw: &RawRoom) -> (Vec<LanePolicy>, Vec<LaneSettings>) {
    let mut lanes: Vec<&RawLane> = raw.lanes.iter().collect();
    lanes.sort_by_key(|lane| proofs(lane) > 0);
    let policy = |lane: &&RawLane| LanePolicy { name: lane.name.0.write(), weight: lane.weight };
    let settings = |lane: &&RawLane| {
        let header = lane.header.as_ref().zip(lane.value.as_ref());
        let belongs = match (claim(lane), header) {
            (Some(claim), _) => Belongs::Claim(claim),
            (None, Some((header, value))) => Belongs::Header { name: header.0.clone(), value: value.clone() },
            (None, None) => Belongs::Addresses(lane.addresses.iter().map(|net| net.0).collect()),
        };
        LaneSettings { name: lane.name.0.write(), belongs }
    };
    (lanes.iter().map(policy).collect(), lanes.iter().skip(1).map(settings).collect())
}
