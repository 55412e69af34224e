//! The state of a quota in response fields: `RateLimit-Policy` and `RateLimit` of
//! draft-ietf-httpapi-ratelimit-headers-10, and the `X-RateLimit-*` that the Italian interoperability
//! rules (RAC_ROBUSTEZZA_001) ask for. Whole seconds, rounded up; requests rounded down by the caller.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::retry_after::RetryAfter;

/// The largest integer of a structured field (RFC 9651).
const LARGEST: u64 = 999_999_999_999_999;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// A quota as one user sees it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit<'a> {
    /// The quota's name in the configuration.
    pub policy: &'a str,
    /// Requests that a full bucket allows.
    pub burst: u64,
    /// The time in which an empty bucket is full again.
    pub window: Duration,
    /// Requests that are left now.
    pub remaining: u64,
    /// The time until there are more.
    pub reset: Duration,
}

impl RateLimit<'_> {
    /// Adds the fields.
    pub fn write(&self, headers: &mut HeaderMap) {
        let (burst, remaining) = (self.burst.min(LARGEST), self.remaining.min(LARGEST));
        let window = RetryAfter::after(self.window).seconds().min(LARGEST);
        let reset = self.reset_seconds().min(LARGEST);
        let mut text = String::with_capacity(self.policy.len() + 64);
        quote(self.policy, &mut text);
        let quoted = text.len();
        for (name, facts) in
            [(POLICY, [(";q=", burst), (";w=", window)]), (STATE, [(";r=", remaining), (";t=", reset)])]
        {
            text.truncate(quoted);
            for (key, number) in facts {
                text.push_str(key);
                push(number, &mut text);
            }
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
        headers.insert(LIMIT, burst.into());
        headers.insert(REMAINING, remaining.into());
        headers.insert(RESET, reset.into());
    }

    /// When to come back after waiting `wait`: the draft forbids less than `t`.
    #[must_use]
    pub fn retry_after(&self, wait: Duration) -> RetryAfter {
        RetryAfter::after(wait.max(self.reset))
    }

    /// Seconds until there are more, rounded up; 0 when the bucket is full.
    fn reset_seconds(&self) -> u64 {
        if self.reset.is_zero() { 0 } else { RetryAfter::after(self.reset).seconds() }
    }
}

/// A number in digits. This is on the way of every refusal, where formatting it would cost more than
/// making the decision.
fn push(number: u64, out: &mut String) {
    if number >= 10 {
        push(number / 10, out);
    }
    out.extend(u32::try_from(number % 10).ok().and_then(|digit| char::from_digit(digit, 10)));
}

/// A structured-field string: printable ASCII, quotes and backslashes escaped, the rest left out.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars().filter(|c| matches!(c, ' '..='~')) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(limit: &RateLimit<'_>) -> Vec<String> {
        let mut headers = HeaderMap::new();
        limit.write(&mut headers);
        let names = [
            "ratelimit-policy",
            "ratelimit",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
        ];
        assert_eq!(headers.len(), names.len());
        names.iter().map(|name| headers[*name].to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn both_families_say_the_same() {
        let limit = RateLimit {
            policy: "user",
            burst: 10,
            window: Duration::from_millis(4200),
            remaining: 3,
            reset: Duration::from_millis(400),
        };
        assert_eq!(written(&limit), [r#""user";q=10;w=5"#, r#""user";r=3;t=1"#, "10", "3", "1"]);
        assert_eq!(limit.retry_after(Duration::ZERO).seconds(), 1);
        assert_eq!(limit.retry_after(Duration::from_millis(2100)).seconds(), 3);
    }

    #[test]
    fn extremes_stay_valid_fields() {
        let limit = RateLimit {
            policy: "a\"b\\c\r\nè",
            burst: u64::MAX,
            window: Duration::MAX,
            remaining: u64::MAX,
            reset: Duration::ZERO,
        };
        let fields = written(&limit);
        assert_eq!(fields[0], format!("\"a\\\"b\\\\c\";q={LARGEST};w={LARGEST}"));
        assert_eq!(fields[1], format!("\"a\\\"b\\\\c\";r={LARGEST};t=0"));
    }
}
