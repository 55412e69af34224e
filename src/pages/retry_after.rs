//! When to come back, in whole seconds: rounded up, never 0, because 0 invites the very retry that a
//! limit is there to prevent.

use std::num::NonZeroU64;
use std::time::Duration;

use http::HeaderValue;

/// The value of `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetryAfter(NonZeroU64);

impl RetryAfter {
    /// Said when a refusal must carry `Retry-After` and nothing better is known.
    pub const DEFAULT: Self = Self(NonZeroU64::new(5).expect("5 is not 0"));

    /// The first whole second at which `wait` has passed.
    #[must_use]
    pub fn after(wait: Duration) -> Self {
        let up = u64::from(wait.subsec_nanos() > 0);
        Self(NonZeroU64::new(wait.as_secs().saturating_add(up)).unwrap_or(NonZeroU64::MIN))
    }

    /// Seconds, at least 1.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0.get()
    }

    /// Minutes, rounded up, for people.
    pub(super) fn minutes(self) -> u64 {
        self.seconds().div_ceil(60)
    }

    /// The header's value.
    #[must_use]
    pub fn value(self) -> HeaderValue {
        HeaderValue::from(self.seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_up_and_never_zero() {
        for (wait, seconds) in [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (59_999, 60), (60_000, 60)] {
            assert_eq!(RetryAfter::after(Duration::from_millis(wait)).seconds(), seconds, "{wait} ms");
        }
        assert_eq!(RetryAfter::after(Duration::from_nanos(1_000_000_001)).seconds(), 2);
        assert_eq!(RetryAfter::after(Duration::MAX).seconds(), u64::MAX);
        assert_eq!(RetryAfter::after(Duration::from_secs(61)).minutes(), 2);
        assert_eq!(RetryAfter::DEFAULT.value(), "5");
    }
}
