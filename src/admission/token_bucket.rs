//! Per-user token buckets by GCRA: one 64-bit word a bucket.
//!
//! The word is the *theoretical arrival time* (TAT) in nanoseconds: the moment at which the bucket
//! will be full again. With `T` the time in which one token grows back and `τ = burst · T` the depth,
//! a request at `now` is allowed iff `max(TAT, now) + T ≤ now + τ`, and then `TAT = max(TAT, now) + T`
//! (ITU-T I.371, "virtual scheduling"). The quota is an argument, so a reload applies at the next
//! request and keeps what was spent.
//!
//! Invariants: never more than `burst + rate · t` requests in any window of length `t`; refused at
//! every moment before the promised one, allowed at it; a full bucket equals no bucket.

use std::time::Duration;

use super::moment::Moment;
use super::policy::Quota;

/// One bucket: the moment at which it is full again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenBucket(u64);

/// A token was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whole tokens left; rounded down.
    pub remaining: u32,
    /// Time until the bucket is full again.
    pub reset: Duration,
}

/// No token is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Empty {
    /// Time until one token has grown back: refused before, allowed then. Never zero.
    pub retry_after: Duration,
}

impl TokenBucket {
    /// Takes one token.
    ///
    /// # Errors
    /// [`Empty`] with the time to wait; the bucket is unchanged.
    pub fn take(&mut self, quota: &Quota, now: Moment) -> Result<Taken, Empty> {
        let full_at = self.clamped(quota, now).saturating_add(quota.interval_ns());
        let latest = now.0.saturating_add(quota.depth_ns());
        if full_at > latest {
            return Err(Empty { retry_after: Duration::from_nanos(full_at - latest) });
        }
        self.0 = full_at;
        let spare = (latest - full_at) / quota.interval_ns();
        Ok(Taken {
            remaining: u32::try_from(spare).unwrap_or(u32::MAX),
            reset: Duration::from_nanos(full_at - now.0),
        })
    }

    /// Gives back one token that was taken for a request which another rule then refused.
    pub fn give_back(&mut self, quota: &Quota) {
        self.0 = self.0.saturating_sub(quota.interval_ns());
    }

    /// A full bucket is indistinguishable from none and may be forgotten; a drained one may not.
    #[must_use]
    pub fn is_full(&self, now: Moment) -> bool {
        self.0 <= now.0
    }

    /// Time at which the bucket would be full, not before `now`, and not deeper in debt than empty:
    /// a smaller quota must not keep anybody waiting for what a larger one lent.
    fn clamped(&self, quota: &Quota, now: Moment) -> u64 {
        self.0.clamp(now.0, now.0.saturating_add(quota.depth_ns()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::num::NonZeroU32;

    fn quota(interval_ms: u64, burst: u32) -> Quota {
        Quota::new(Duration::from_millis(interval_ms), NonZeroU32::new(burst).unwrap()).unwrap()
    }

    #[test]
    fn a_zero_interval_is_no_quota() {
        assert_eq!(Quota::new(Duration::ZERO, NonZeroU32::MIN), None);
    }

    #[test]
    fn a_fresh_bucket_gives_its_burst_and_no_more() {
        let (quota, now, mut bucket) = (quota(100, 3), Moment(5_000_000_000), TokenBucket::default());
        let left: Vec<_> = (0..3).map(|_| bucket.take(&quota, now).unwrap().remaining).collect();
        assert_eq!(left, [2, 1, 0]);
        assert_eq!(bucket.take(&quota, now), Err(Empty { retry_after: Duration::from_millis(100) }));
    }

    #[test]
    fn a_token_given_back_can_be_taken_again() {
        let (quota, now, mut bucket) = (quota(100, 1), Moment(0), TokenBucket::default());
        bucket.take(&quota, now).unwrap();
        bucket.give_back(&quota);
        assert!(bucket.take(&quota, now).is_ok());
        assert!(bucket.take(&quota, now).is_err());
    }

    proptest! {
        /// Against an exact model in integers: tokens · T, refilled by one a nanosecond.
        #[test]
        fn agrees_with_an_exact_bucket(interval in 1u64..1_000, burst in 1u32..50, steps in prop::collection::vec(0u64..3_000, 1..400)) {
            let quota = Quota::new(Duration::from_nanos(interval), NonZeroU32::new(burst).unwrap()).unwrap();
            let depth = interval * u64::from(burst);
            let (mut bucket, mut now, mut level) = (TokenBucket::default(), Moment(1), depth);
            for step in steps {
                now = Moment(now.0 + step);
                level = depth.min(level + step);
                let allowed = bucket.take(&quota, now).is_ok();
                prop_assert_eq!(allowed, level >= interval);
                if allowed { level -= interval; }
                prop_assert_eq!(bucket.is_full(now), level == depth);
            }
        }

        #[test]
        fn refused_before_the_promised_moment_and_allowed_at_it(interval in 2u64..1_000, burst in 1u32..20, spent in 0u32..40) {
            let quota = Quota::new(Duration::from_nanos(interval), NonZeroU32::new(burst).unwrap()).unwrap();
            let (mut bucket, now) = (TokenBucket::default(), Moment(10));
            for _ in 0..spent { let _ = bucket.take(&quota, now); }
            if let Err(Empty { retry_after }) = bucket.take(&quota, now) {
                let promised = now.after(retry_after);
                let mut early = bucket;
                prop_assert!(early.take(&quota, Moment(promised.0 - 1)).is_err());
                prop_assert!(bucket.take(&quota, promised).is_ok());
            }
        }

        #[test]
        fn a_new_quota_applies_at_once(old_burst in 1u32..1_000, new_burst in 1u32..20) {
            let (old, new) = (quota(1_000, old_burst), quota(10, new_burst));
            let (mut bucket, now) = (TokenBucket::default(), Moment(0));
            while bucket.take(&old, now).is_ok() {}
            let wait = bucket.take(&new, now).map_or_else(|empty| empty.retry_after, |_| Duration::ZERO);
            prop_assert!(wait <= Duration::from_millis(10));
        }
    }
}
