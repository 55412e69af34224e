//! The rows: what each demands, what it needs, and how it may end.

use std::fmt;

/// How a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// As demanded.
    Met,
    /// Not as demanded.
    Missed,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Met => "met",
            Self::Missed => "missed",
        })
    }
}

/// A row that has been judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) standing: Standing,
    /// What was measured.
    pub(crate) measured: String,
}

impl Judged {
    pub(crate) fn new(met: bool, measured: String) -> Self {
        Self { standing: if met { Standing::Met } else { Standing::Missed }, measured }
    }
}

/// What it takes to measure a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Seconds.
    Short,
    /// A click day, or minutes.
    Long,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    pub(crate) takes: Takes,
}

const fn row(name: &'static str, takes: Takes, target: &'static str) -> Row {
    Row { name, target, takes }
}

/// All rows.
pub(crate) const ROWS: [Row; 25] = [
    row("M1", Takes::Long, "S-CB: everybody a definite answer, p99 ≤ 1 s, worst ≤ 2 s, no bare refusal"),
    row(
        "M2",
        Takes::Long,
        "S-CB: 0 over the limit, ≥ 95 % of the pool's time useful, ≥ 99 % served, ≤ 30 % without",
    ),
    row("M3", Takes::Long, "S-CB, who only looks around: p99 ≤ 200 ms, 0 queued, 0 errors"),
    row(
        "M4",
        Takes::Long,
        "limit wrong by 4 and by ¼: within 20 % in ≤ 10 s; pool 12→6→12: again in ≤ 5 s, 0 sessions lost",
    ),
    row("M5", Takes::Long, "S-CB: requests to the pool ≤ 1.05 of those needed"),
    row(
        "M6",
        Takes::Long,
        "S-CB, 3 refreshes, 10 % change address, kill -9 at 15 s: 0 places lost or worsened",
    ),
    row("M7", Takes::Long, "S-CB: τ ≥ 0.98, chances by devices, address, language, client within 5 %"),
    row("M8", Takes::Short, "lots among those present at T0, KS p > 0.01, order recomputable by anyone"),
    row("M9", Takes::Long, "S-BB: 0 refused or reset connections, first answer p99 ≤ 1 s"),
    row("M10", Takes::Long, "S-BB, identity provider halved: 0 turns burnt, completed = stock"),
    row("M11", Takes::Short, "warned ≥ 20 s before a limit ends, extended ≥ 10 times"),
    row(
        "M12",
        Takes::Long,
        "S-CB: ≥ 80 % of looks told an interval that held, ends ≤ 2 apart; datum ≤ 2 s old; a pause always with its reason",
    ),
    row("M13", Takes::Short, "one person, four tabs: mean rank within 5 %, one place each"),
    row("M14", Takes::Short, "stock over: all who wait told so in ≤ 2 s; 0 oversold"),
    row(
        "M15",
        Takes::Long,
        "S-IN, hostile Cache-Control, caching nginx, 13,000 + 10⁶ interleaved answers: 0 foreign canaries",
    ),
    row(
        "M16",
        Takes::Short,
        "a reload that makes a personal route shareable: refused, the old one stays, event in the public log",
    ),
    row("M17", Takes::Short, "public hash-chained counters within 1 % of the crowd's truth"),
    row("M18", Takes::Long, "backend dead 10 s: status 100 % available, p99 ≤ 200 ms, in it, en, de, fr, sl"),
    row("M19", Takes::Long, "S-IN: shares of lanes within 2 points of their weights, idle share lent"),
    row("M20", Takes::Short, "optional routes shed ≤ 1 s after saturation, critical completions unchanged"),
    row("M21", Takes::Short, "≥ 95 % of those who return in their slot admitted ≤ 60 s, ≤ 2 % idle"),
    row(
        "M22",
        Takes::Long,
        "S-IN, all work alike, after the outage: ≤ 1.1 × capacity in every second, direct again in ≤ 10 s",
    ),
    row(
        "M23",
        Takes::Long,
        "until all are let in bots' share ≤ that of identities; 500 behind one address lose nothing",
    ),
    row("M24", Takes::Short, "signed receipt of arrival verifies offline, no forgery does"),
    row("M25", Takes::Short, "seeded identifiers occur 0 times in logs, metrics, journal, tickets, answers"),
];
