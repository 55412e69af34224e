//! W3C trace context: whose traces go on to the upstream.
//!
//! What is not passed is taken out, and none of our own is put in its place: upstreams follow the
//! sampling flag of what they are given, and a flag of ours would either silence their tracing or make
//! them trace a whole crowd. `X-Request-Id` ties their logs to ours.

use http::{HeaderMap, HeaderName};

use crate::config::settings::TraceRule;

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");
/// Longest `tracestate` that is passed on, all lines together.
const STATE_MAX: usize = 1_024;

/// Leaves the trace of a request in its fields if it may go on and is well formed; takes it out if not.
pub fn pass(headers: &mut HeaderMap, peer_trusted: bool, rule: TraceRule) {
    let believed = match rule {
        TraceRule::Trusted => peer_trusted,
        TraceRule::Always => true,
        TraceRule::Never => false,
    };
    let mut lines = headers.get_all(PARENT).iter();
    let whole = match (lines.next(), lines.next()) {
        (Some(parent), None) => is_parent(parent.as_bytes()),
        _ => false,
    };
    if !believed || !whole {
        headers.remove(PARENT);
        headers.remove(STATE);
        return;
    }
    let length: usize = headers.get_all(STATE).iter().map(|line| line.len() + 1).sum();
    if length > STATE_MAX || headers.get_all(STATE).iter().any(|line| line.to_str().is_err()) {
        headers.remove(STATE);
    }
}

/// `00-TRACE-PARENT-FLAGS` in lower-case hexadecimal, neither id zero; later versions may go on after
/// another hyphen.
fn is_parent(text: &[u8]) -> bool {
    let mut parts = text.split(|byte| *byte == b'-');
    let mut part =
        |digits: usize| parts.next().filter(|part| part.len() == digits && part.iter().all(is_hex));
    let (Some(version), Some(trace), Some(parent), Some(_flags)) = (part(2), part(32), part(16), part(2))
    else {
        return false;
    };
    let is_zero = |id: &[u8]| id.iter().all(|digit| *digit == b'0');
    let ends = parts.next().is_none();
    version != b"ff" && (ends || version != b"00") && !is_zero(trace) && !is_zero(parent)
}

fn is_hex(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn passed(parents: &[&str], state: &str, peer_trusted: bool, rule: TraceRule) -> (bool, bool) {
        let mut headers = HeaderMap::new();
        for parent in parents {
            headers.append(PARENT, parent.parse().unwrap());
        }
        headers.append(STATE, state.parse().unwrap());
        pass(&mut headers, peer_trusted, rule);
        (headers.contains_key(PARENT), headers.contains_key(STATE))
    }

    #[test]
    fn a_trace_goes_on_as_trust_allows() {
        for (rule, trusted, passes) in [
            (TraceRule::Trusted, true, true),
            (TraceRule::Trusted, false, false),
            (TraceRule::Always, false, true),
            (TraceRule::Never, true, false),
        ] {
            assert_eq!(passed(&[GOOD], "a=1", trusted, rule), (passes, passes), "{rule:?} {trusted}");
        }
    }

    #[test]
    fn a_malformed_trace_is_none() {
        let later = format!("cc-{}-what-comes", &GOOD[3..]);
        assert_eq!(passed(&[&later], "a=1", true, TraceRule::Trusted), (true, true));
        for bad in [
            "",
            "00",
            &format!("{GOOD}-more"),
            &GOOD.to_uppercase(),
            &GOOD.replacen("00-", "ff-", 1),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(passed(&[bad], "a=1", true, TraceRule::Always), (false, false), "{bad}");
        }
        assert_eq!(passed(&[GOOD, GOOD], "a=1", true, TraceRule::Always), (false, false));
        let long = format!("a={}", "x".repeat(STATE_MAX));
        assert_eq!(passed(&[GOOD], &long, true, TraceRule::Always), (true, false));
    }
}
