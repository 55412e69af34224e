//! How fast a client must send or take what it is waited for: the rule that ends slow bodies and slow
//! reads, and never a slow upstream.
//!
//! A client has credit, at most the rule's patience. While it is waited for, credit runs out as time
//! does; each byte it moves earns what that byte may take at the least rate. Without credit it is too
//! slow. So one that stands still is cut off when the patience is over, one that trickles soon after,
//! and one at the least rate or above never. Time in which nobody waits for the client costs nothing.

use std::time::Duration;

use super::Moment;

/// The rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacePolicy {
    /// Fewest bytes a second; at least 1.
    pub bytes_per_second: u64,
    /// How far behind a client may fall.
    pub patience: Duration,
}

/// What one client has left in one direction.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    policy: PacePolicy,
    credit: Duration,
    waiting: Option<Moment>,
}

impl Pace {
    /// Full credit, and nobody waits.
    #[must_use]
    pub fn new(policy: PacePolicy) -> Self {
        Self { policy, credit: policy.patience, waiting: None }
    }

    /// The client is waited for from now on, if it was not already. Returns when it will have been too
    /// slow, should it move nothing until then.
    pub fn wait(&mut self, now: Moment) -> Moment {
        self.waiting.get_or_insert(now).after(self.credit)
    }

    /// The client moved so many bytes, and is no longer waited for.
    pub fn moved(&mut self, bytes: usize, now: Moment) {
        if let Some(since) = self.waiting.take() {
            self.credit = self.credit.saturating_sub(now.since(since));
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let nanos = bytes.saturating_mul(1_000_000_000) / self.policy.bytes_per_second.max(1);
        self.credit = self.credit.saturating_add(Duration::from_nanos(nanos)).min(self.policy.patience);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: PacePolicy = PacePolicy { bytes_per_second: 500, patience: Duration::from_secs(20) };

    /// A client that moves `bytes` after each `pause` of being waited for: when it is cut off.
    fn cut_after(bytes: usize, pause: Duration) -> Option<Duration> {
        let (mut pace, mut now) = (Pace::new(POLICY), Moment(0));
        for _ in 0..100_000 {
            let due = pace.wait(now);
            if due < now.after(pause) {
                return Some(due.since(Moment(0)));
            }
            now = now.after(pause);
            pace.moved(bytes, now);
        }
        None
    }

    #[test]
    fn who_stands_still_or_trickles_is_cut_off_in_time_and_who_keeps_pace_never() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(cut_after(0, minute), Some(POLICY.patience));
        assert!(cut_after(5, second).unwrap() <= Duration::from_secs(21));
        assert!(cut_after(150, second).unwrap() <= Duration::from_secs(30));
        assert_eq!(cut_after(500, second), None);
        assert_eq!(cut_after(9_000, Duration::from_secs(18)), None, "in lumps, too");
    }

    #[test]
    fn only_time_in_which_the_client_is_waited_for_counts() {
        let (mut pace, mut now) = (Pace::new(POLICY), Moment(0));
        for _ in 0..1_000 {
            pace.wait(now);
            now = now.after(Duration::from_millis(1));
            pace.moved(1, now);
            // The upstream takes a minute over it.
            now = now.after(Duration::from_secs(60));
        }
        assert!(pace.wait(now) > now.after(Duration::from_secs(19)));
    }

    proptest! {
        /// However it moves, it is cut off only if it fell behind the least rate by the patience.
        #[test]
        fn nobody_is_cut_off_early(steps in prop::collection::vec((0u64..5_000, 0usize..4_000), 1..200)) {
            let (mut pace, mut now) = (Pace::new(POLICY), Moment(0));
            let mut behind = 0i128;
            for (pause, bytes) in steps {
                let due = pace.wait(now);
                let then = now.after(Duration::from_millis(pause));
                if due < then {
                    behind += i128::from(pause) * 1_000_000;
                    prop_assert!(behind >= 20_000_000_000);
                    return Ok(());
                }
                now = then;
                behind = (behind + i128::from(pause) * 1_000_000 - i128::try_from(bytes).unwrap() * 2_000_000).max(0);
                pace.moved(bytes, now);
            }
        }
    }
}
