//! `tornello explain limit UPSTREAM`: in words, why a limit is what it is; `explain ticket CODE`: where a place
//! stands.

mod ticket;

use http::Method;
use serde_json::Value;

use super::ask::ask;
use super::out::say;
use super::{CONFIGURATION, OK, RUNTIME, Whom};

/// Say in words why something is as it is.
#[derive(Debug, clap::Args)]
pub struct Explain {
    /// What is asked about.
    #[command(subcommand)]
    pub subject: Subject,
}

/// What can be asked about.
#[derive(Debug, clap::Subcommand)]
pub enum Subject {
    /// Why an upstream's limit is what it is.
    Limit {
        /// The upstream's name in the configuration.
        upstream: String,
        /// Which gateway.
        #[command(flatten)]
        whom: Whom,
    },
    /// For the help desk: where a place stands, what its holder should do, and what can be changed.
    Ticket(ticket::Ticket),
}

impl Explain {
    /// Prints it.
    #[must_use]
    pub fn execute(self) -> u8 {
        let (upstream, whom) = match self.subject {
            Subject::Limit { upstream, whom } => (upstream, whom),
            Subject::Ticket(ticket) => return ticket.execute(),
        };
        let body = match ask(&whom, Method::GET, "/status") {
            Ok((_, body)) => body,
            Err(error) => {
                eprintln!("error: {error}");
                return RUNTIME;
            }
        };
        let status: Value = serde_json::from_slice(&body).unwrap_or_default();
        let known = status.get("upstreams").and_then(Value::as_object).cloned().unwrap_or_default();
        let Some(told) = known.get(&upstream) else {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            eprintln!("error: there is no upstream `{upstream}`; there are: {}", names.join(", "));
            return CONFIGURATION;
        };
        for sentence in sentences(&upstream, told) {
            say(sentence);
        }
        OK
    }
}

/// The words.
fn sentences(upstream: &str, told: &Value) -> Vec<String> {
    let number = |key: &str| told.get(key).and_then(Value::as_f64).unwrap_or_default();
    let (limit, floor, ceiling) = (number("limit"), number("floor"), number("ceiling"));
    let law = told.get("law").and_then(Value::as_str).unwrap_or("unknown");
    let mut words = vec![format!(
        "{upstream}: at most {limit} requests may be unfinished (law \"{law}\", floor {floor}, ceiling {ceiling}); {} are, and {} wait for room.",
        number("in_flight"),
        number("queued"),
    )];
    if limit >= ceiling {
        words.push("The limit stands at its ceiling: only the operator can let it rise.".into());
    } else if limit <= floor {
        words.push("The limit stands at its floor: only the operator can let it fall.".into());
    }
    match (law, told.get("knee").filter(|knee| !knee.is_null())) {
        (_, Some(knee)) => words.extend(of_the_knee(knee)),
        ("fixed", None) => {
            words.push("It is the operator's number; nothing that is measured moves it.".into())
        }
        _ => words.push("This law keeps no reasons.".into()),
    }
    words
}

fn of_the_knee(knee: &Value) -> Vec<String> {
    let number = |key: &str| knee.get(key).and_then(Value::as_f64).unwrap_or_default();
    let text =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (in_flight, queue) = (number("in_flight"), number("queue").max(0.0));
    let mut words = Vec::new();
    let doing = match text(knee, "phase").as_str() {
        "fast_start" => {
            "It starts fast: up with every answer, until answers get slower or throughput stops growing."
        }
        "run" => "It watches: up while somebody is held back and little waits at the upstream.",
        "reference" => "It measures at a constant limit, before a cut.",
        "settle" => "It has moved the limit, and waits until that has taken effect.",
        "probe" => "It has moved the limit, and measures whether throughput went with it.",
        "stalled" => "Nothing came back: the limit is halved until answers come again.",
        _ => "It has not begun.",
    };
    words.push(doing.to_owned());
    if number("baseline_ms") <= 0.0 {
        words.push("Too few answers came to know what one costs.".into());
        return words;
    }
    words.push(format!(
        "An answer takes {:.1} ms to begin when nobody waits; in the last window {in_flight:.1} were in flight, of which {queue:.1} waited at the upstream and {:.1} were worked on.",
        number("baseline_ms"),
        in_flight - queue,
    ));
    let limited = knee.get("limited").and_then(Value::as_bool).unwrap_or_default();
    if !limited {
        words.push("The limit held nobody back, so that there is no reason to raise it.".into());
    }
    if let Some(cut) = knee.get("last_cut").filter(|cut| !cut.is_null()) {
        words.push(last_cut(&text(cut, "cause"), &text(cut, "verdict"), cut));
    }
    words
}

/// The last experiment or cut.
fn last_cut(cause: &str, verdict: &str, cut: &Value) -> String {
    let number = |key: &str| cut.get(key).and_then(Value::as_f64).unwrap_or_default();
    let (from, to) = (number("from"), number("to"));
    if cause == "climb" {
        let then = match verdict {
            "free" => "No more was served: it went back.",
            "costly" => "More was served: there was no queue, and it stayed up.",
            "unclear" => "Some more was served, but less than the limit grew by: it went back.",
            _ => "Without a verdict yet.",
        };
        return format!(
            "It last went up to see whether more is served, from {from:.0}; it came out at {to:.0}. {then}"
        );
    }
    let why = match cause {
        "latency" => "because answers took longer to begin",
        "dip" => "to see whether less would do",
        "errors" => "because too many requests failed",
        _ => "because nothing came back",
    };
    let then = match verdict {
        "free" => "Throughput stayed: what was cut away had only waited.",
        "costly" => "Throughput fell with it: everything in flight was worked on, and the cut was undone.",
        "unclear" => "Throughput fell by less than the limit: the knee lies between.",
        _ => "Without a verdict yet.",
    };
    format!("It was last cut {why}, from {from:.0}; it came out at {to:.0}. {then}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_limit_says_why_it_is_what_it_is() {
        let told = json!({
            "limit": 14, "floor": 1, "ceiling": 1000, "in_flight": 14, "queued": 3, "law": "knee",
            "knee": {
                "phase": "run", "baseline_ms": 50.2, "in_flight": 13.9, "queue": 1.4, "limited": true,
                "last_cut": { "cause": "dip", "verdict": "costly", "from": 14.0, "to": 14.0 },
            },
        });
        let words = sentences("app", &told).join("\n");
        for part in ["at most 14", "50.2 ms", "1.4 waited", "12.5 were worked on", "cut was undone"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        let mut climbed = told.clone();
        climbed["knee"]["last_cut"] =
            json!({ "cause": "climb", "verdict": "costly", "from": 5.0, "to": 7.0 });
        let words = sentences("app", &climbed).join("\n");
        assert!(words.contains("went up") && words.contains("from 5; it came out at 7"), "{words}");
        let fixed = json!({ "limit": 7, "floor": 1, "ceiling": 7, "law": "fixed" });
        let words = sentences("app", &fixed).join("\n");
        assert!(words.contains("operator's number") && words.contains("at its ceiling"), "{words}");
    }
}
