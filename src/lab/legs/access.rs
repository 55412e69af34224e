//! The gateway's own account: the lines of its access log, and its counters.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One line of the access log, as much of it as is compared.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) time_ms: u64,
    pub(super) status: u16,
    pub(super) decision: String,
    pub(super) reason: String,
    pub(super) request_id: String,
}

/// One life of a gateway process, from start to end.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    pub(super) lines: Vec<Line>,
    /// Lines that could not be read. One that a kill cut short is no wonder.
    pub(super) unread: u64,
}

impl Life {
    pub(super) fn hear(&mut self, line: &str) {
        match serde_json::from_str(line) {
            Ok(line) => self.lines.push(line),
            Err(_) => self.unread += 1,
        }
    }

    /// Requests by decision and reason.
    pub(super) fn decisions(&self) -> BTreeMap<(String, String), u64> {
        let mut sum = BTreeMap::new();
        for line in &self.lines {
            *sum.entry((line.decision.clone(), line.reason.clone())).or_default() += 1;
        }
        sum
    }
}

/// Counters of the gateway, by name and labels, as `/metrics` prints them.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters(Vec<(String, BTreeMap<String, String>, f64)>);

impl Counters {
    pub(super) fn parse(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(series).collect())
    }

    /// Sum over all series of a name.
    pub(super) fn sum(&self, name: &str) -> u64 {
        let sum: f64 = self.0.iter().filter(|(known, ..)| known == name).map(|(.., value)| value).sum();
        whole(sum)
    }

    /// Requests by decision and reason.
    pub(super) fn decisions(&self) -> BTreeMap<(String, String), u64> {
        let mut sum = BTreeMap::new();
        for (_, labels, value) in self.0.iter().filter(|(name, ..)| name == "tornello_requests_total") {
            let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
            *sum.entry((label("decision"), label("reason"))).or_default() += whole(*value);
        }
        sum
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counters are whole and not negative"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

/// `name{label="value",...} number`. Label values of ours hold no quotes or commas.
fn series(line: &str) -> Option<(String, BTreeMap<String, String>, f64)> {
    let (name, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let (name, labels) = name.split_once('{').unwrap_or((name, ""));
    let labels = labels.trim_end_matches('}').split(',');
    let labels = labels.filter_map(|label| label.split_once('='));
    let labels = labels.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()));
    Some((name.to_owned(), labels.collect(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_and_its_counters_say_the_same() {
        let mut life = Life::default();
        for (decision, reason) in [("forwarded", "pass"), ("own", "board"), ("own", "board")] {
            life.hear(&format!(
                r#"{{"time_ms":1,"route":"a","status":200,"decision":"{decision}","reason":"{reason}","request_id":"r"}}"#
            ));
        }
        life.hear(r#"{"time_ms":1,"rou"#);
        let counters = Counters::parse(
            "# TYPE tornello_requests_total counter\n\
             tornello_requests_total{code=\"2xx\",decision=\"forwarded\",reason=\"pass\",route=\"a\"} 1\n\
             tornello_requests_total{code=\"2xx\",decision=\"own\",reason=\"board\",route=\"tornello\"} 2\n\
             tornello_connections 7\n",
        );
        assert_eq!(life.decisions(), counters.decisions());
        assert_eq!((counters.sum("tornello_requests_total"), counters.sum("tornello_connections")), (3, 7));
        assert_eq!((life.lines.len(), life.unread), (3, 1));
    }
}
