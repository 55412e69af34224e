//! Guessing is bounded: whoever types a code pays before it is looked at, and gets that back for a good one.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Visit;
use crate::admission::policy::Quota;
use crate::admission::{Moment, Refusal};
use crate::proxy::handle::over_quota;
use crate::store::buckets::{Buckets, Verdict};

/// So many at once, and one more in so much time.
type Rate = (Duration, u32);

/// How often codes of one kind may be typed that are none.
pub(super) struct Tries {
    /// Keeps its buckets apart from others.
    pub(super) salt: u64,
    /// By one: an address, IPv4 or IPv6 /64, or whoever a ticket is of.
    pub(super) one: Rate,
    /// By one network, IPv4 /24 or IPv6 /48.
    pub(super) network: Rate,
}

/// What was paid for one try.
#[derive(Debug)]
pub(super) struct Paid(Vec<(u64, Quota)>);

impl Tries {
    /// What is typed that is no code of some kind: an office behind one address makes slips, and nobody guesses 40 bits.
    pub(super) const fn of_codes(salt: u64) -> Self {
        Self { salt, one: (Duration::from_secs(1), 50), network: (Duration::from_millis(100), 1_000) }
    }

    /// Takes a token of `one`, and one of the network. While the table of buckets is full, those without one of their
    /// own have the network's, and those without that one for all of them, which nothing else is paid from.
    fn take(
        &self,
        buckets: &Buckets,
        bytes: u64,
        (one, network): (u64, u64),
        now: Moment,
    ) -> Result<Paid, Refusal> {
        let mut paid = Paid(Vec::with_capacity(2));
        for (whose, rate, widest) in [(one, self.one, false), (network, self.network, true)] {
            let (every, burst) = rate;
            let quota = NonZeroU32::new(burst).and_then(|burst| Quota::new(every, burst));
            let Some(quota) = quota else { continue };
            let mut key = whose ^ self.salt;
            let mut verdict = buckets.take(key, &quota, bytes, now);
            if verdict == Verdict::TableFull {
                if !widest {
                    continue;
                }
                key = self.salt;
                verdict = buckets.take(key, &quota, u64::MAX, now);
            }
            if let Verdict::Empty(empty) = verdict {
                paid.give_back(buckets);
                return Err(over_quota(&quota, empty.retry_after));
            }
            paid.0.push((key, quota));
        }
        Ok(paid)
    }
}

impl Paid {
    fn give_back(&self, buckets: &Buckets) {
        self.0.iter().for_each(|(key, quota)| buckets.give_back(*key, quota));
    }
}

impl Visit<'_> {
    /// Pays for a try from this address, so that nobody learns anything who cannot pay.
    pub(super) fn pay(&self, tries: &Tries) -> Result<Paid, Refusal> {
        self.pay_as(self.proxy.event.subscriber(self.asked.client).0, tries)
    }

    /// Pays for somebody.
    pub(super) fn pay_as(&self, whose: u64, tries: &Tries) -> Result<Paid, Refusal> {
        let bytes = self.live.settings.buckets_bytes;
        tries.take(&self.proxy.buckets, bytes, (whose, self.who.network.0), self.now)
    }

    /// It was no guess.
    pub(super) fn give_back(&self, paid: &Paid) {
        paid.give_back(&self.proxy.buckets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_lets_nobody_guess_more_and_takes_nothing_from_others() {
        let every = Duration::from_secs(60);
        let tries = Tries { salt: 99, one: (every, 2), network: (every, 5) };
        let (buckets, now) = (Buckets::default(), Moment(1));
        let take = |one, network| tries.take(&buckets, 0, (one, network), now);
        let paid: Vec<_> = (1..6).map(|one| take(one, one).expect("one of all theirs")).collect();
        assert!(take(7, 8).is_err(), "they have one bucket together");
        paid.iter().for_each(|paid| paid.give_back(&buckets));
        assert!((1..6).all(|one| take(one, one).is_ok()), "what was given back is there again");
        let others = Quota::new(Duration::from_millis(1), NonZeroU32::MIN).unwrap();
        assert!(matches!(buckets.take_shared(&others, now), Verdict::Taken(_)), "it is none of theirs");
    }

    #[test]
    fn who_is_refused_by_the_network_gets_the_own_token_back() {
        let every = Duration::from_secs(60);
        let tries = Tries { salt: 99, one: (every, 1), network: (every, 1) };
        let (buckets, now) = (Buckets::default(), Moment(1));
        let take = |one, network| tries.take(&buckets, u64::MAX, (one, network), now);
        assert!(take(1, 2).is_ok() && take(3, 2).is_err() && take(3, 4).is_ok());
    }
}
