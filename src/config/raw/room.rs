//! `[room.NAME]` as the file holds it.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Named, RawLane};
use crate::config::quiet::QuietHours;
use crate::config::text::{Instant, Text, Zone};

/// `[room.NAME]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawRoom {
    /// What the waiting page calls the service. Default: the room's name. Hot.
    #[schemars(length(min = 1, max = 100))]
    pub(crate) title: Option<String>,
    /// How many people are inside at once. Hot.
    pub(crate) seats: RawSeats,
    /// When the room opens, with a time zone or an offset; nobody passes before. Fixed as soon as somebody has
    /// a place. Default: it is open. Hot.
    pub(crate) opens_at: Option<Text<Instant>>,
    /// How long before `opens_at` places are given; earlier the room is closed. Default: 1h. Hot.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "7d"))]
    pub(crate) prequeue: Option<Text<Duration>>,
    /// Draw the order of all who are there at the opening by lot, as anybody can check: the randomness comes from
    /// drand, or from several parties. Needs `opens_at`, and a room of this name that never gave a number.
    /// Default: the order of arrival. Hot.
    pub(crate) draw: Option<RawSource>,
    /// Who gives the randomness, two at least, one of them from outside. Default: nobody. Hot.
    pub(crate) parties: Vec<RawParty>,
    /// How long a call stands; who comes later keeps the number and is called again from a tenth of all
    /// calls. Hot.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub(crate) call: Text<Duration>,
    /// A pass unused for this long may end, if somebody needs the seat. Hot.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "12h"))]
    pub(crate) idle: Text<Duration>,
    /// Longest life of a pass; its holder may ask for `idle` more, up to ten times. Hot.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "24h"))]
    pub(crate) session: Text<Duration>,
    /// How often waiting clients look at the board. Hot.
    pub(crate) poll: RawPoll,
    /// Times to come back at, for those who wait for long. Hot.
    pub(crate) slots: RawSlots,
    /// Of whom there is one place: of each browser, or of each person whom `[identity]` names, in any browser
    /// and on any device. With `draw` that is one lot for each person, and wants `require_identity`; it is among
    /// the rules that are frozen then. Hot.
    pub(crate) one_place_per: RawOnePlacePer,
    /// Let nobody in, or in line, whom nothing identifies. Hot.
    pub(crate) require_identity: bool,
    /// Upstreams without which nobody inside gets on, such as a login: while one of them is out, the room is
    /// held and its clocks stand still. Default: none. Hot.
    pub(crate) depends_on: Vec<String>,
    /// Lines of their own, each with a part of all calls and seats: `name`, `weight`, and what proves that somebody
    /// belongs there; exactly one has no proof and takes everybody else. Default: one line. Hot.
    pub(crate) lanes: Vec<RawLane>,
    /// Every day in these hours, nobody is called who waits when they begin, and all clocks of the room stand
    /// still. Where nobody waits from before, people come in as by day. Default: none. Hot.
    #[schemars(length(max = 8))]
    pub(crate) quiet: Vec<Text<QuietHours>>,
    /// Call nobody in while this is true; everybody keeps the place. Hot.
    pub(crate) hold: bool,
    /// Emergency: let everybody through, counted and logged. Hot.
    pub(crate) open: bool,
    /// Status of the waiting page. Hot.
    #[schemars(extend("enum" = [503, 429, 202, 200]))]
    pub(crate) status: u16,
    /// The page asks whoever is called, with the time of the call to answer in, and does not go in by itself.
    /// Hot.
    pub(crate) page_asks: bool,
    /// What operators tell the people who wait, by language. Default: nothing. Hot.
    #[schemars(extend("propertyNames" = { "format": "language" }))]
    pub(crate) message: Named<String>,
    /// Where those who asked for it are announced before their turn, for the body's own app or mail.
    /// Default: none. Hot.
    pub(crate) webhook: Option<RawWebhook>,
}

/// `room.NAME.webhook`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawWebhook {
    /// Address that is posted to, `http://` or `https://`. Hot.
    #[schemars(length(min = 1, max = 500), extend("examples" = ["https://app.example.org/turns"]))]
    pub(crate) url: String,
    /// File with the secret that signs, 32 bytes at least. Hot.
    #[schemars(extend("examples" = ["/etc/tornello/webhook.key"]))]
    pub(crate) secret: Text<PathBuf>,
    /// How long before the expected turn people are announced. Hot.
    #[serde(default = "ahead")]
    #[schemars(extend("x-minimum" = "10s", "x-maximum" = "1h"))]
    pub(crate) ahead: Text<Duration>,
    /// File of the certificate authorities (PEM) that may vouch for the receiver of an `https://` address.
    /// Default: those that the system trusts. Hot.
    pub(crate) ca: Option<Text<PathBuf>>,
}

fn ahead() -> Text<Duration> {
    Text::of("5m")
}

impl Default for RawRoom {
    fn default() -> Self {
        Self {
            title: None,
            opens_at: None,
            prequeue: None,
            draw: None,
            parties: Vec::new(),
            seats: RawSeats::default(),
            call: Text::of("10m"),
            idle: Text::of("10m"),
            session: Text::of("1h"),
            poll: RawPoll::default(),
            slots: RawSlots::default(),
            one_place_per: RawOnePlacePer::Browser,
            require_identity: false,
            depends_on: Vec::new(),
            lanes: Vec::new(),
            quiet: Vec::new(),
            hold: false,
            open: false,
            status: 503,
            page_asks: false,
            message: Named::new(),
            webhook: None,
        }
    }
}

/// `room.NAME.draw`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawSource {
    /// A round of drand's quicknet.
    Drand,
    /// Those in `parties`.
    Parties,
}

/// An entry of `room.NAME.parties`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawParty {
    /// Who it is, for people. Hot.
    #[schemars(length(min = 1, max = 100))]
    pub(crate) name: String,
    /// Whether it is independent of the operator. Hot.
    #[serde(default)]
    pub(crate) outside: bool,
    /// Its promise, 64 digits of hex, as `tornello draw secret` makes it. Hot.
    #[schemars(length(min = 64, max = 64))]
    pub(crate) commitment: String,
}

/// Of whom there is one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RawOnePlacePer {
    /// Of each browser.
    #[default]
    Browser,
    /// Of each person.
    Person,
}

/// `room.NAME.seats`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawSeats {
    /// Fewest seats, whatever is measured. Hot.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(crate) floor: u32,
    /// Most seats, whatever is measured. Hot.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(crate) ceiling: u32,
    /// This room's part of its upstream's limit. Hot.
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    pub(crate) share: f64,
}

impl Default for RawSeats {
    fn default() -> Self {
        Self { floor: 1, ceiling: 100_000, share: 1.0 }
    }
}

/// `room.NAME.slots`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawSlots {
    /// Whether any are offered; where a room has lanes, none are. Those who took one keep it. Hot.
    pub(crate) offer: bool,
    /// Offered to whoever is expected to wait for longer. Hot.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "12h"))]
    pub(crate) after: Text<Duration>,
    /// How long people have to come back. Hot.
    #[schemars(extend("x-minimum" = "10s", "x-maximum" = "4h"))]
    pub(crate) length: Text<Duration>,
    /// The zone by whose clocks browsers without scripts are told the time. Hot.
    pub(crate) zone: Text<Zone>,
}

impl Default for RawSlots {
    fn default() -> Self {
        Self { offer: true, after: Text::of("15m"), length: Text::of("30m"), zone: Text::of("UTC") }
    }
}

/// `room.NAME.poll`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawPoll {
    /// Shortest time between two looks. Hot.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "5m"))]
    pub(crate) min: Text<Duration>,
    /// Longest time between two looks. Hot.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "30m"))]
    pub(crate) max: Text<Duration>,
    /// The expected wait is divided by this to find the time to the next look. Hot.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) divisor: u32,
    /// Looks a second that all waiting clients together may take; beyond it all look less often. Hot.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) budget: u32,
}

impl Default for RawPoll {
    fn default() -> Self {
        Self { min: Text::of("5s"), max: Text::of("2m"), divisor: 10, budget: 5_000 }
    }
}
