//! Every user's bucket, in a table that cannot outgrow its cap.
//!
//! A full bucket equals none and is forgotten by the sweep; a drained one is kept, so no flood of new
//! keys can refill it. When the table is full of active keys a new key gets no bucket of its own:
//! the wider key decides alone, down to one shared bucket. Nobody is let through unasked.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

use crate::admission::Moment;
use crate::admission::policy::Quota;
use crate::admission::token_bucket::{Empty, Taken, TokenBucket};

/// Keys are keyed hashes already; hashing them again would buy nothing.
#[derive(Default)]
pub struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        debug_assert!(false, "only u64 keys");
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// Memory that one key takes in the table when it is as empty as growth leaves it, bytes.
const BYTES_PER_KEY: u64 = 40;
/// The bucket that all share for whom there is no other.
const SHARED: u64 = u64::MAX;

/// What the table says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A token was taken.
    Taken(Taken),
    /// No token is left.
    Empty(Empty),
    /// No room for one more key: ask a wider one.
    TableFull,
}

/// Buckets by keyed hash.
#[derive(Debug, Default)]
pub struct Buckets {
    table: DashMap<u64, TokenBucket, BuildHasherDefault<AsIs>>,
    keys: AtomicUsize,
}

impl Buckets {
    /// Takes a token from the bucket of `key` in a table of at most `bytes_max`.
    pub fn take(&self, key: u64, quota: &Quota, bytes_max: u64, now: Moment) -> Verdict {
        if let Some(mut bucket) = self.table.get_mut(&key) {
            return bucket.take(quota, now).map_or_else(Verdict::Empty, Verdict::Taken);
        }
        if self.keys.load(Ordering::Relaxed) as u64 >= bytes_max / BYTES_PER_KEY && key != SHARED {
            return Verdict::TableFull;
        }
        let mut entry = self.table.entry(key).or_insert_with(|| {
            self.keys.fetch_add(1, Ordering::Relaxed);
            TokenBucket::default()
        });
        entry.take(quota, now).map_or_else(Verdict::Empty, Verdict::Taken)
    }

    /// Takes a token from the one bucket that all share who found no other.
    pub fn take_shared(&self, quota: &Quota, now: Moment) -> Verdict {
        self.take(SHARED, quota, u64::MAX, now)
    }

    /// Gives a token back, because a later check refused the request.
    pub fn give_back(&self, key: u64, quota: &Quota) {
        if let Some(mut bucket) = self.table.get_mut(&key) {
            bucket.give_back(quota);
        }
    }

    /// Forgets full buckets. Holds one shard at a time.
    pub fn sweep(&self, now: Moment) {
        self.table.retain(|_, bucket| {
            let keep = !bucket.is_full(now);
            if !keep {
                self.keys.fetch_sub(1, Ordering::Relaxed);
            }
            keep
        });
    }

    /// Keys in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }

    /// No key at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use std::time::Duration;

    fn quota() -> Quota {
        Quota::new(Duration::from_secs(1), NonZeroU32::new(1).unwrap()).unwrap()
    }

    #[test]
    fn a_flood_of_keys_neither_grows_the_table_nor_refills_a_drained_bucket() {
        let (buckets, quota, now) = (Buckets::default(), quota(), Moment(1));
        let bytes_max = 100 * BYTES_PER_KEY;
        assert!(matches!(buckets.take(7, &quota, bytes_max, now), Verdict::Taken(_)));
        let full = (1_000..3_000)
            .filter(|key| buckets.take(*key, &quota, bytes_max, now) == Verdict::TableFull)
            .count();
        assert_eq!(buckets.len(), 100);
        assert_eq!(full, 2_000 - 99);
        buckets.sweep(now);
        assert!(matches!(buckets.take(7, &quota, bytes_max, now), Verdict::Empty(_)), "still drained");
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let (buckets, quota) = (Buckets::default(), quota());
        buckets.take(7, &quota, u64::MAX, Moment(1));
        buckets.sweep(Moment(1));
        assert_eq!(buckets.len(), 1);
        buckets.sweep(Moment(1).after(Duration::from_secs(1)));
        assert!(buckets.is_empty());
    }

    #[test]
    fn those_without_a_bucket_share_one() {
        let (buckets, quota, now) = (Buckets::default(), quota(), Moment(1));
        assert!(matches!(buckets.take_shared(&quota, now), Verdict::Taken(_)));
        assert!(matches!(buckets.take_shared(&quota, now), Verdict::Empty(_)), "never allow-all");
    }
}
