//! The states that have a page, each by a name that is also that of its invented room.

use crate::pages::{Health, PlaceState, Reason, Standstill};

/// One page of the preview.
#[derive(Clone, Copy, Debug)]
pub struct Sheet {
    /// Its name in addresses.
    pub name: &'static str,
    /// When people meet it.
    pub meaning: &'static str,
    /// Which page it is.
    pub shows: Shows,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// The waiting page with its script.
    Live,
    /// The place page, for browsers without scripts.
    Place(PlaceState, Option<Standstill>),
    /// A notice.
    Notice(Reason),
    /// The status page.
    Status(Health),
    /// The rules page; whether people are known.
    Rules(bool),
}

impl Sheet {
    const fn live(name: &'static str, meaning: &'static str) -> Self {
        Self { name, meaning, shows: Shows::Live }
    }

    const fn place(name: &'static str, state: PlaceState, standstill: Option<Standstill>) -> Self {
        Self { name, meaning: "Without JavaScript", shows: Shows::Place(state, standstill) }
    }

    const fn other(name: &'static str, meaning: &'static str, shows: Shows) -> Self {
        Self { name, meaning, shows }
    }

    const fn notice(name: &'static str, meaning: &'static str, reason: Reason) -> Self {
        Self { name, meaning, shows: Shows::Notice(reason) }
    }

    /// Whether the operator has a message here.
    pub(super) fn says_something(&self) -> bool {
        matches!(self.name, "waiting" | "held-operator" | "place-waiting")
    }
}

/// Every state.
pub const SHEETS: &[Sheet] = &[
    Sheet::live("closed", "Before the opening, with a countdown"),
    Sheet::live("prequeue", "Before the opening, with a place in the draw"),
    Sheet::live("drawing", "Opened, the draw is awaited, with a place in it"),
    Sheet::live("redraw", "The first draw is void, with a place in another one"),
    Sheet::live("waiting", "In the queue"),
    Sheet::live("unknown", "In the queue, the wait not known yet"),
    Sheet::live("next", "In the queue, one person ahead"),
    Sheet::live("late", "Called, and did not come"),
    Sheet::live("slot", "Has chosen a later time"),
    Sheet::live("front", "Called, in the front row"),
    Sheet::live("call", "Called, with the time of the call to go in or to ask for more"),
    Sheet::live("called", "Called: goes in, or after three returns is asked to"),
    Sheet::live("held-operator", "The operator holds the queue"),
    Sheet::live("held-upstream", "The service does not answer"),
    Sheet::live("held-recovery", "We are recovering"),
    Sheet::live("held-dependency", "Something that the service needs does not answer"),
    Sheet::live("held-draw", "The draw is awaited"),
    Sheet::live("held-redraw", "The first draw is void, and another one is awaited"),
    Sheet::live("held-quiet", "Nobody is called at this hour"),
    Sheet::live("draining", "No new places"),
    Sheet::live("sold_out", "Nothing is left"),
    Sheet::live("ended", "The room is over"),
    Sheet::live("done", "The visit has ended"),
    Sheet::live("moved", "The place is on another device"),
    Sheet::live("invitation", "Asked for the code of an invitation"),
    Sheet::live("trouble", "No place can be taken at the moment"),
    Sheet::place("place-waiting", PlaceState::Waiting, None),
    Sheet::place("place-held", PlaceState::Waiting, Some(Standstill::Upstream)),
    Sheet::place("place-prequeue", PlaceState::Prequeue, None),
    Sheet::place("place-drawing", PlaceState::Prequeue, Some(Standstill::Draw)),
    Sheet::place("place-redraw", PlaceState::Prequeue, Some(Standstill::Draw)),
    Sheet::place("place-late", PlaceState::Late, None),
    Sheet::place("place-slot", PlaceState::Slot, None),
    Sheet::place("place-called", PlaceState::Called, None),
    Sheet::place("place-front", PlaceState::FrontRow, None),
    Sheet::place("place-admitted", PlaceState::Admitted, None),
    Sheet::place("place-done", PlaceState::Done, None),
    Sheet::place("place-left", PlaceState::Left, None),
    Sheet::place("place-used_code", PlaceState::UsedCode, None),
    Sheet::place("place-moved", PlaceState::Moved, None),
    Sheet::place("place-invited", PlaceState::Invited, None),
    Sheet::place("place-misread", PlaceState::Misread, None),
    Sheet::place("place-uninvited", PlaceState::Uninvited, None),
    Sheet::place("place-unknown", PlaceState::Unknown, None),
    Sheet::place("place-sold_out", PlaceState::SoldOut, None),
    Sheet::place("place-ended", PlaceState::Ended, None),
    Sheet::notice("full", "The service is full", Reason::Saturated),
    Sheet::notice("upstream_down", "The service is down", Reason::UpstreamDown),
    Sheet::notice("not_sent", "The visit ended in the middle of a form", Reason::NotSent),
    Sheet::notice("bad_gateway", "The service broke off", Reason::BadGateway),
    Sheet::notice("gateway_timeout", "The service took too long", Reason::GatewayTimeout),
    Sheet::notice("over_quota", "Too many requests", Reason::OverQuota),
    Sheet::notice("not_believed", "A sign-in that is not believed", Reason::NotBelieved),
    Sheet::notice("too_large", "Too much was sent", Reason::TooLarge),
    Sheet::notice("bad_request", "A request that cannot be judged", Reason::BadRequest),
    Sheet::notice("not_found", "No such page", Reason::NotFound),
    Sheet::notice("notice-ended", "The room is over, where no waiting page can be shown", Reason::Ended),
    Sheet::notice("notice-closed", "Not open yet, where no waiting page can be shown", Reason::Closed),
    Sheet::notice("internal", "A fault of ours", Reason::Internal),
    Sheet::other("status-up", "The status page while all is well", Shows::Status(Health::Up)),
    Sheet::other("status-partly", "The status page when a part is down", Shows::Status(Health::Partly)),
    Sheet::other("status-down", "The status page when the service is down", Shows::Status(Health::Down)),
    Sheet::other("rules", "The rules of a room", Shows::Rules(false)),
    Sheet::other("rules-person", "The rules of a room where people are known", Shows::Rules(true)),
];

pub(super) fn find(name: &str) -> Option<&'static Sheet> {
    SHEETS.iter().find(|sheet| sheet.name == name)
}
