//! Guessing is bounded: whoever types a code pays before it is looked at, and gets that back for a good one.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Visit;
use crate::admission::Refusal;
use crate::admission::policy::Quota;
use crate::proxy::handle::over_quota;
use crate::store::buckets::Verdict;

/// So many at once, and one more in so much time.
type Rate = (Duration, u32);

/// How often codes of one kind may be typed that are none.
pub(super) struct Tries {
    /// Keeps its buckets apart from others.
    pub(super) salt: u64,
    /// By one address, IPv4 or IPv6 /64.
    pub(super) address: Rate,
    /// By one network, IPv4 /24 or IPv6 /48.
    pub(super) network: Rate,
    /// By all together.
    pub(super) all: Option<Rate>,
}

/// What was paid for one try.
pub(super) struct Paid(Vec<(u64, Quota)>);

impl Visit<'_> {
    /// Pays for a try, so that nobody learns anything who cannot pay.
    pub(super) fn pay(&self, tries: &Tries) -> Result<Paid, Refusal> {
        let (buckets, bytes) = (&self.proxy.buckets, self.live.settings.buckets_bytes);
        let address = self.proxy.event.subscriber(self.asked.client).0;
        let wanted =
            [(address, Some(tries.address)), (self.who.network.0, Some(tries.network)), (0, tries.all)];
        let mut paid = Paid(Vec::with_capacity(wanted.len()));
        for (whose, rate) in wanted {
            let quota = rate.and_then(|(every, burst)| Quota::new(every, NonZeroU32::new(burst)?));
            let Some(quota) = quota else { continue };
            let key = whose ^ tries.salt;
            let mut verdict = buckets.take(key, &quota, bytes, self.now);
            if verdict == Verdict::TableFull {
                verdict = buckets.take_shared(&quota, self.now);
            }
            if let Verdict::Empty(empty) = verdict {
                self.give_back(&paid);
                return Err(over_quota(&quota, empty.retry_after));
            }
            paid.0.push((key, quota));
        }
        Ok(paid)
    }

    /// It was no guess.
    pub(super) fn give_back(&self, paid: &Paid) {
        paid.0.iter().for_each(|(key, quota)| self.proxy.buckets.give_back(*key, quota));
    }
}
