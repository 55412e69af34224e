//! No script fills the day: who is known by the network alone books no more than a part of the slots of it.
//!
//! Tickets cost nothing where nobody has to say who they are, and each may have a slot. So each network (IPv4
//! /24, IPv6 /48) has a bucket of its own for them, as wide as a part of what there is to book.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Visit;
use crate::admission::Refusal;
use crate::admission::policy::Quota;
use crate::proxy::handle::over_quota;
use crate::proxy::person;
use crate::store::buckets::Verdict;

/// What one network may book of the slots that come to be had. Behind one address of a mobile network are many.
const PART: f64 = 0.25;
/// And at once after a rest: of so long, and never fewer than so many.
const REST: Duration = Duration::from_secs(10);
const BURST_MIN: u32 = 20;
/// Keeps these buckets apart from those of requests.
const SALT: u64 = 0x736c_6f74_735f_6f66;

impl Visit<'_> {
    /// Pays for a slot. Whoever has proved to be one person has one place, and no need to.
    pub(super) fn pay_for_slot(&self) -> Result<(), Refusal> {
        let slots = self.room.line.with(|line| line.slots_a_second());
        let Some(quota) = quota(slots).filter(|_| !person::counts(self.room, &self.who)) else {
            return Ok(());
        };
        let key = self.who.network.0 ^ SALT ^ u64::from(self.room.line.id.0);
        let (buckets, bytes) = (&self.proxy.buckets, self.live.settings.buckets_bytes);
        match buckets.take(key, &quota, bytes, self.now) {
            Verdict::Empty(empty) => Err(over_quota(&quota, empty.retry_after)),
            Verdict::Taken(_) => Ok(()),
            // Whoever fills the table books no more for it: a slot can wait.
            Verdict::TableFull => {
                self.proxy.witness.metrics.bucket_table_full.inc();
                Err(over_quota(&quota, REST))
            }
        }
    }
}

/// What one network may book, where so many slots a second come to be had. `None` where none do.
fn quota(slots_a_second: f64) -> Option<Quota> {
    let mine = slots_a_second * PART;
    let interval = Duration::try_from_secs_f64(1.0 / mine).ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, saturates")]
    let burst = ((mine * REST.as_secs_f64()) as u32).max(BURST_MIN);
    Quota::new(interval, NonZeroU32::new(burst)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Moment;
    use crate::store::buckets::Buckets;

    #[test]
    fn in_an_hour_one_network_books_a_quarter_of_what_there_is() {
        for (slots_a_second, most) in [(1.0, 900 + 20), (0.05, 45 + 20), (40.0, 36_000 + 100)] {
            let (buckets, quota, mut booked) = (Buckets::default(), quota(slots_a_second).unwrap(), 0);
            for ms in 0..3_600_000 / 50 {
                let now = Moment(1).after(Duration::from_millis(ms * 50));
                booked += u32::from(matches!(buckets.take(7, &quota, 1 << 20, now), Verdict::Taken(_)));
            }
            assert!((most - 2..=most + 2).contains(&booked), "{booked} at {slots_a_second} a second");
        }
        assert_eq!(quota(0.0), None);
    }
}
