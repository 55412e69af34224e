//! Whether the three accounts of a leg are one: the crowd's ledger, the origin's log, the gateway's
//! access log and counters.
//!
//! Compared request by request where both sides know a request by name. The crowd and the origin know
//! each by the crowd's number; the origin and the gateway by the name that the gateway gave it. What
//! the gateway answered by itself is compared in count, status by status. A request that the crowd
//! broke off (a timeout, a hang-up) may or may not have been received; so such counts may exceed the
//! crowd's by no more than were broken off and are not found at the origin.
//!
//! Requests in flight at a kill, and those answered after the last line that the killed process could
//! write, are the only ones by which counts may otherwise differ.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::access::{Counters, Life, Line};
use crate::admission::Moment;
use crate::lab::account::CountLine;
use crate::lab::ledger::Attempt;
use crate::lab::origin::Received;

/// When the gateway was dead, on the ledger's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Death {
    /// After the last line that it wrote.
    pub(super) unlogged_from: Moment,
    /// When it was killed.
    pub(super) killed: Moment,
    /// When it was surely dead.
    pub(super) dead: Moment,
}

/// What the gateway says.
#[derive(Debug)]
pub(super) struct Testimony<'a> {
    pub(super) lives: &'a [Life],
    pub(super) counters: Option<&'a Counters>,
}

/// The attempts that a death leaves in doubt.
pub(super) fn in_doubt(attempts: &[Attempt], death: &Death) -> u64 {
    let doubtful = |attempt: &&Attempt| {
        attempt.began <= death.dead && attempt.ended.is_none_or(|ended| ended >= death.unlogged_from)
    };
    attempts.iter().filter(doubtful).count() as u64
}

/// Compares all that can be compared.
pub(super) fn lines(
    attempts: &[Attempt],
    received: &[Received],
    gateway: Option<&Testimony<'_>>,
    deaths: &[Death],
) -> Vec<CountLine> {
    let doubt: u64 = deaths.iter().map(|death| in_doubt(attempts, death)).sum();
    let known =
        |number: u64| number.checked_sub(1).and_then(|index| attempts.get(usize::try_from(index).ok()?));
    let arrived: HashSet<u64> = received.iter().map(|one| one.attempt).collect();
    let known_arrived = arrived.iter().filter(|number| known(**number).is_some()).count() as u64;
    let answered = |attempt: &Attempt| attempt.status.is_some();
    let pages: Vec<u64> =
        (1..).zip(attempts).filter(|(_, one)| one.by_origin).map(|(number, _)| number).collect();
    let pages_arrived = pages.iter().filter(|number| arrived.contains(number)).count() as u64;
    let broken: Vec<u64> =
        (1..).zip(attempts).filter(|(_, one)| !answered(one)).map(|(number, _)| number).collect();
    let broken_arrived = broken.iter().filter(|number| arrived.contains(number)).count() as u64;
    let Some(gateway) = gateway else {
        return vec![
            CountLine::new(
                "pages answered by the origin, one by one",
                Some(pages.len() as u64),
                Some(pages_arrived),
                None,
                0,
            ),
            CountLine::new(
                "requests that reached the origin, one by one",
                Some(known_arrived),
                Some(arrived.len() as u64),
                None,
                0,
            ),
        ];
    };
    let log: Vec<&Line> = gateway.lives.iter().flat_map(|life| &life.lines).collect();
    let by_name: HashMap<&str, &Line> = log.iter().map(|line| (line.request_id.as_str(), *line)).collect();
    let named: HashMap<&str, u64> =
        received.iter().filter_map(|one| Some((one.name.as_deref()?, one.attempt))).collect();
    let line_of: HashMap<u64, &Line> =
        named.iter().filter_map(|(name, number)| Some((*number, *by_name.get(name)?))).collect();
    let confirmed = pages.iter().filter(|number| {
        let status = known(**number).and_then(|attempt| attempt.status);
        line_of.get(number).is_some_and(|line| line.decision == "forwarded" && Some(line.status) == status)
    });
    let forwarded: Vec<&&Line> = log.iter().filter(|line| line.decision == "forwarded").collect();
    let forwarded_arrived =
        forwarded.iter().filter(|line| named.contains_key(line.request_id.as_str())).count();
    let named_logged = named.keys().filter(|name| by_name.contains_key(**name)).count();
    let mut lines = vec![
        CountLine::new(
            "pages answered by the origin, one by one",
            Some(pages.len() as u64),
            Some(pages_arrived),
            Some(confirmed.count() as u64),
            doubt,
        ),
        CountLine::new(
            "requests forwarded and answered, one by one",
            None,
            Some(forwarded_arrived as u64),
            Some(forwarded.len() as u64),
            0,
        ),
        CountLine::new(
            "requests that reached the origin, one by one",
            Some(known_arrived),
            Some(arrived.len() as u64),
            Some(named_logged as u64),
            doubt,
        ),
    ];
    lines.extend(by_itself(attempts, &log, broken.len() as u64 - broken_arrived, doubt));
    lines.push(last_life(gateway));
    lines
}

/// What the gateway answered without the origin, status by status, and all that it received.
fn by_itself(attempts: &[Attempt], log: &[&Line], broken: u64, doubt: u64) -> Vec<CountLine> {
    let mut crowd: BTreeMap<u16, u64> = BTreeMap::new();
    for status in attempts.iter().filter(|one| !one.by_origin).filter_map(|one| one.status) {
        *crowd.entry(status).or_default() += 1;
    }
    let mut gateway: BTreeMap<u16, u64> = BTreeMap::new();
    for line in log.iter().filter(|line| line.decision != "forwarded" && line.reason != "gone") {
        *gateway.entry(line.status).or_default() += 1;
    }
    let statuses: std::collections::BTreeSet<u16> = crowd.keys().chain(gateway.keys()).copied().collect();
    let mut spare = broken;
    let mut lines = Vec::new();
    for status in statuses {
        let (sent, said) =
            (crowd.get(&status).copied().unwrap_or(0), gateway.get(&status).copied().unwrap_or(0));
        let unheard = said.saturating_sub(sent);
        let agrees = if said >= sent { unheard <= spare + doubt } else { sent - said <= doubt };
        spare = spare.saturating_sub(unheard);
        let what = match unheard {
            0 => format!("answered {status} by the gateway itself"),
            unheard => {
                format!("answered {status} by the gateway itself, {unheard} of them to who had broken off")
            }
        };
        lines.push(CountLine {
            what,
            crowd: Some(sent),
            origin: None,
            gateway: Some(said),
            in_flight_at_kills: doubt,
            agrees,
        });
    }
    lines
}

/// The counters against the log of the same life.
fn last_life(gateway: &Testimony<'_>) -> CountLine {
    let logged = gateway.lives.last().map(Life::decisions).unwrap_or_default();
    let counted = gateway.counters.map(Counters::decisions);
    let dropped = gateway.counters.map_or(0, |counters| counters.sum("tornello_access_log_dropped_total"));
    let unread: u64 = gateway.lives.last().map_or(0, |life| life.unread);
    let total = counted.as_ref().map(|counted| counted.values().sum());
    let mut what = "requests in /metrics, and the same in the access log".to_owned();
    if let Some(counted) = &counted
        && *counted != logged
    {
        let sum: u64 = logged.values().sum();
        what = format!("requests in /metrics, but {sum} in the access log");
    }
    if dropped > 0 {
        what = format!("{what}, which dropped {dropped} lines");
    }
    CountLine {
        what,
        crowd: None,
        origin: None,
        gateway: total,
        in_flight_at_kills: 0,
        agrees: counted.is_some_and(|counted| counted == logged) && dropped == 0 && unread == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment(ms * 1_000_000)
    }

    fn attempt(began: u64, ended: u64, status: Option<u16>, by_origin: bool) -> Attempt {
        Attempt { began: at(began), ended: Some(at(ended)), status, by_origin }
    }

    fn line(request_id: &str, status: u16, decision: &str) -> Line {
        Line {
            time_ms: 0,
            status,
            decision: decision.to_owned(),
            reason: if status == 499 { "gone" } else { "x" }.to_owned(),
            request_id: request_id.to_owned(),
        }
    }

    fn received(pairs: &[(u64, &str)]) -> Vec<Received> {
        pairs
            .iter()
            .map(|(attempt, name)| Received { attempt: *attempt, name: Some((*name).to_owned()) })
            .collect()
    }

    /// Two pages, a refusal, and one broken off which reached the origin.
    fn leg() -> (Vec<Attempt>, Vec<Received>, Life) {
        let attempts = vec![
            attempt(0, 10, Some(200), true),
            attempt(0, 12, Some(503), false),
            attempt(5, 20, None, false),
            attempt(9, 30, Some(200), true),
        ];
        let lines = vec![
            line("a", 200, "forwarded"),
            line("b", 503, "refused"),
            line("c", 499, "fault"),
            line("d", 200, "forwarded"),
        ];
        (attempts, received(&[(1, "a"), (3, "c"), (4, "d")]), Life { lines, unread: 0 })
    }

    fn counters(life: &Life) -> Counters {
        let text: String = life
            .decisions()
            .iter()
            .map(|((decision, reason), count)| {
                format!("tornello_requests_total{{decision=\"{decision}\",reason=\"{reason}\"}} {count}\n")
            })
            .collect();
        Counters::parse(&text)
    }

    fn all(attempts: &[Attempt], received: &[Received], life: Life, deaths: &[Death]) -> Vec<CountLine> {
        let counters = counters(&life);
        let lives = [life];
        lines(attempts, received, Some(&Testimony { lives: &lives, counters: Some(&counters) }), deaths)
    }

    fn wrong(lines: &[CountLine]) -> Vec<&str> {
        lines.iter().filter(|line| !line.agrees).map(|line| line.what.as_str()).collect()
    }

    #[test]
    fn honest_accounts_agree() {
        let (attempts, received, life) = leg();
        assert_eq!(wrong(&all(&attempts, &received, life, &[])), Vec::<&str>::new());
        assert_eq!(wrong(&lines(&attempts, &received, None, &[])), Vec::<&str>::new());
    }

    #[test]
    fn a_page_that_nobody_served_is_found() {
        let (attempts, mut received, life) = leg();
        received.remove(0);
        let found = all(&attempts, &received, life, &[]);
        assert_eq!(
            wrong(&found)[..2],
            ["pages answered by the origin, one by one", "requests forwarded and answered, one by one"]
        );
        assert!(!wrong(&lines(&attempts, &received, None, &[])).is_empty());
    }

    #[test]
    fn a_request_that_nobody_sent_is_found() {
        let (attempts, mut received, mut life) = leg();
        received.push(Received { attempt: 99, name: Some("e".into()) });
        life.lines.push(line("e", 200, "forwarded"));
        assert_eq!(
            wrong(&all(&attempts, &received, life, &[])),
            ["requests that reached the origin, one by one"]
        );
    }

    #[test]
    fn a_refusal_too_many_is_one_that_was_broken_off_or_a_defect() {
        let (mut attempts, received, mut life) = leg();
        life.lines.push(line("e", 503, "refused"));
        assert_eq!(wrong(&all(&attempts, &received, life.clone(), &[])).len(), 1);
        attempts.push(attempt(20, 21, None, false));
        assert_eq!(wrong(&all(&attempts, &received, life, &[])), Vec::<&str>::new());
    }

    #[test]
    fn counters_that_differ_from_the_log_are_found() {
        let (attempts, received, life) = leg();
        let mut fewer = life.clone();
        fewer.lines.pop();
        let (counters, lives) = (counters(&fewer), [life]);
        let found =
            lines(&attempts, &received, Some(&Testimony { lives: &lives, counters: Some(&counters) }), &[]);
        assert_eq!(wrong(&found), ["requests in /metrics, but 4 in the access log"]);
    }

    #[test]
    fn only_what_a_death_leaves_in_doubt_is_forgiven() {
        let (attempts, received, mut life) = leg();
        life.lines.retain(|line| line.request_id != "d");
        assert!(!wrong(&all(&attempts, &received, life.clone(), &[])).is_empty());
        let death =
            |from, killed| Death { unlogged_from: at(from), killed: at(killed), dead: at(killed + 1) };
        assert_eq!(in_doubt(&attempts, &death(25, 40)), 1);
        assert_eq!(wrong(&all(&attempts, &received, life.clone(), &[death(25, 40)])), Vec::<&str>::new());
        assert!(
            !wrong(&all(&attempts, &received, life, &[death(35, 40)])).is_empty(),
            "it was answered before"
        );
    }
}
