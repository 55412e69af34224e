//! What a client may do on one HTTP/2 connection. Time is an argument.
//!
//! Each kind of cheap frame has a bucket. What honest clients send in proportion to what they are sent
//! (window updates, pings that measure the path) earns with every frame of data that goes down.
//!
//! A client that shuts its window is waited for, as one is that does not empty its socket, and the same
//! rule ends it: see [`Pace`]. A window that opens by a byte at a time earns what a byte is worth.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::split::{
    CONTINUATION, DATA, Frame, GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};
use crate::admission::Moment;
use crate::admission::pace::{Pace, PacePolicy};
use crate::admission::policy::Quota;
use crate::admission::token_bucket::TokenBucket;

/// CONTINUATION frames after one HEADERS, and their bytes together with it. Lists of fields beyond
/// 32 KiB are refused anyway.
const CONTINUATIONS_MAX: u32 = 16;
const BLOCK_MAX: u32 = 64 * 1024;
/// Windows kept; more streams than are ever open at once, so that memory has a bound.
const WINDOWS_MAX: usize = 2048;
const FIRST_WINDOW: i64 = 65_535;
const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
const NO_ERROR: &[u8] = &[0, 0, 0, 0];
const INTERNAL_ERROR: &[u8] = &[0, 0, 0, 2];

/// Why a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abuse {
    /// Streams opened and taken back (rapid reset).
    Resets,
    /// Streams that we had to reset for errors of the client (made you reset).
    OwnResets,
    /// PING.
    Pings,
    /// SETTINGS.
    Settings,
    /// PRIORITY.
    Priorities,
    /// DATA that carries nothing and ends nothing.
    HollowData,
    /// WINDOW_UPDATE.
    WindowUpdates,
    /// Frames of no known kind.
    Unknown,
    /// A head in too many pieces, or too long.
    Continuations,
    /// An answer that the client does not let through, or too slowly.
    Stall,
}

impl Abuse {
    /// Those that have a bucket.
    const COUNTED: [Self; 8] = [
        Self::Resets,
        Self::OwnResets,
        Self::Pings,
        Self::Settings,
        Self::Priorities,
        Self::HollowData,
        Self::WindowUpdates,
        Self::Unknown,
    ];

    /// The word in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Resets => "h2_resets",
            Self::OwnResets => "h2_own_resets",
            Self::Pings => "h2_pings",
            Self::Settings => "h2_settings",
            Self::Priorities => "h2_priorities",
            Self::HollowData => "h2_hollow_data",
            Self::WindowUpdates => "h2_window_updates",
            Self::Unknown => "h2_unknown",
            Self::Continuations => "h2_continuations",
            Self::Stall => "h2_stall",
        }
    }

    /// How many at once, and how many a second for ever. Browsers, gRPC libraries and h2load stay far
    /// below; all of them together cost less than one request a millisecond.
    fn quota(self) -> Option<Quota> {
        let (burst, a_second) = match self {
            Self::Resets => (200, 50),
            Self::OwnResets => (100, 20),
            Self::Pings => (60, 10),
            Self::Settings => (20, 2),
            Self::Priorities => (200, 50),
            Self::HollowData | Self::Unknown => (100, 20),
            Self::WindowUpdates => (1_000, 500),
            Self::Continuations | Self::Stall => return None,
        };
        Quota::new(Duration::from_secs(1) / a_second, NonZeroU32::new(burst)?)
    }
}

/// What a stream may still be sent.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Bytes; below 0 after the client shrank its windows.
    left: i64,
    /// The head of its answer went out, so there is something to take.
    answered: bool,
    /// How far the client, while it lets nothing through, may fall behind.
    pace: Pace,
    /// Nothing may be sent, and it will have been too slow by then.
    late_at: Option<Moment>,
}

/// One connection's account.
#[derive(Debug)]
pub struct Judge {
    policy: PacePolicy,
    buckets: [(Abuse, TokenBucket); 8],
    continuations: u32,
    block: u32,
    first_window: i64,
    connection: Window,
    windows: HashMap<u32, Window>,
    /// The highest stream that the client opened.
    last_stream: u32,
}

impl Judge {
    /// Nothing was said yet; answers must be taken at least as fast as `policy` says.
    #[must_use]
    pub fn new(policy: PacePolicy) -> Self {
        Self {
            policy,
            buckets: Abuse::COUNTED.map(|kind| (kind, TokenBucket::default())),
            continuations: 0,
            block: 0,
            first_window: FIRST_WINDOW,
            connection: Window::new(FIRST_WINDOW, true, policy),
            windows: HashMap::new(),
            last_stream: 0,
        }
    }

    /// A frame of the client's.
    ///
    /// # Errors
    /// [`Abuse`] when it is one too many.
    pub fn received(&mut self, frame: &Frame<'_>, now: Moment) -> Result<(), Abuse> {
        match frame.kind {
            DATA if frame.is_hollow() && !frame.is_last() => self.spend(Abuse::HollowData, now),
            DATA | GOAWAY => Ok(()),
            HEADERS => self.opened(frame),
            CONTINUATION => self.continued(frame),
            RST_STREAM => {
                self.windows.remove(&frame.stream);
                self.spend(Abuse::Resets, now)
            }
            PRIORITY => self.spend(Abuse::Priorities, now),
            PING if frame.is_last() => Ok(()),
            PING => self.spend(Abuse::Pings, now),
            SETTINGS if frame.is_last() => Ok(()),
            SETTINGS => {
                self.resize(frame.kept, now);
                self.spend(Abuse::Settings, now)
            }
            WINDOW_UPDATE => {
                self.widen(frame, now);
                self.spend(Abuse::WindowUpdates, now)
            }
            _ => self.spend(Abuse::Unknown, now),
        }
    }

    /// A frame of ours.
    ///
    /// # Errors
    /// [`Abuse`] when the client made us reset one stream too many.
    pub fn sent(&mut self, frame: &Frame<'_>, now: Moment) -> Result<(), Abuse> {
        match frame.kind {
            DATA => {
                self.earn(Abuse::WindowUpdates);
                self.earn(Abuse::WindowUpdates);
                self.earn(Abuse::Pings);
                self.connection.take(frame.length, now);
                if let Some(window) = self.windows.get_mut(&frame.stream) {
                    window.take(frame.length, now);
                }
                self.ended(frame);
                Ok(())
            }
            HEADERS => {
                // While there was nothing to take, nobody waited.
                if !self.windows.values().any(|window| window.answered) {
                    self.connection = Window::new(self.connection.left, true, self.policy);
                    self.connection.change(0, now);
                }
                if let Some(window) = self.windows.get_mut(&frame.stream) {
                    window.answered = true;
                    window.change(0, now);
                }
                self.ended(frame);
                Ok(())
            }
            RST_STREAM => {
                self.windows.remove(&frame.stream);
                // A body that nobody needs any more, or an upstream that died, is no fault of the client.
                match frame.kept {
                    NO_ERROR | INTERNAL_ERROR => Ok(()),
                    _ => self.spend(Abuse::OwnResets, now),
                }
            }
            _ => Ok(()),
        }
    }

    /// Whether an answer has been kept from going out for too long, or goes out too slowly.
    ///
    /// # Errors
    /// [`Abuse::Stall`].
    pub fn look(&self, now: Moment) -> Result<(), Abuse> {
        let too_slow = |window: &Window| window.late_at.is_some_and(|late| now >= late);
        let answers = self.windows.values().any(|window| window.answered);
        let stalled = self.windows.values().any(too_slow) || (answers && too_slow(&self.connection));
        if stalled { Err(Abuse::Stall) } else { Ok(()) }
    }

    /// The highest stream that the client opened, for GOAWAY.
    #[must_use]
    pub fn last_stream(&self) -> u32 {
        self.last_stream
    }

    fn opened(&mut self, frame: &Frame<'_>) -> Result<(), Abuse> {
        (self.continuations, self.block) = (0, if frame.ends_headers() { 0 } else { frame.length });
        if frame.stream > self.last_stream {
            self.last_stream = frame.stream;
            if self.windows.len() < WINDOWS_MAX {
                self.windows.insert(frame.stream, Window::new(self.first_window, false, self.policy));
            }
        }
        Ok(())
    }

    fn continued(&mut self, frame: &Frame<'_>) -> Result<(), Abuse> {
        self.continuations += 1;
        self.block = self.block.saturating_add(frame.length);
        if self.continuations > CONTINUATIONS_MAX || self.block > BLOCK_MAX {
            return Err(Abuse::Continuations);
        }
        Ok(())
    }

    fn ended(&mut self, frame: &Frame<'_>) {
        if frame.is_last() {
            self.windows.remove(&frame.stream);
        }
    }

    /// The client's SETTINGS_INITIAL_WINDOW_SIZE moves all windows (RFC 9113 §6.9.2).
    fn resize(&mut self, settings: &[u8], now: Moment) {
        let (entries, _) = settings.as_chunks::<6>();
        for [k0, k1, v0, v1, v2, v3] in entries {
            if [*k0, *k1] == INITIAL_WINDOW_SIZE {
                let wanted = i64::from(u32::from_be_bytes([*v0, *v1, *v2, *v3]));
                let change = wanted - self.first_window;
                self.first_window = wanted;
                self.windows.values_mut().for_each(|window| window.change(change, now));
            }
        }
    }

    fn widen(&mut self, frame: &Frame<'_>, now: Moment) {
        let Some((bytes, _)) = frame.kept.split_first_chunk::<4>() else { return };
        let more = i64::from(u32::from_be_bytes(*bytes) & 0x7fff_ffff);
        if frame.stream == 0 {
            self.connection.change(more, now);
        } else if let Some(window) = self.windows.get_mut(&frame.stream) {
            window.change(more, now);
        }
    }

    fn spend(&mut self, abuse: Abuse, now: Moment) -> Result<(), Abuse> {
        let bucket = self.buckets.iter_mut().find(|(kind, _)| *kind == abuse);
        let (Some((_, bucket)), Some(quota)) = (bucket, abuse.quota()) else { return Err(abuse) };
        bucket.take(&quota, now).map(|_| ()).map_err(|_| abuse)
    }

    fn earn(&mut self, abuse: Abuse) {
        let bucket = self.buckets.iter_mut().find(|(kind, _)| *kind == abuse);
        if let (Some((_, bucket)), Some(quota)) = (bucket, abuse.quota()) {
            bucket.give_back(&quota);
        }
    }
}

impl Window {
    fn new(left: i64, answered: bool, policy: PacePolicy) -> Self {
        Self { left, answered, pace: Pace::new(policy), late_at: None }
    }

    /// So many bytes went out.
    fn take(&mut self, bytes: u32, now: Moment) {
        self.pace.moved(usize::try_from(bytes).unwrap_or(usize::MAX), now);
        self.change(-i64::from(bytes), now);
    }

    fn change(&mut self, by: i64, now: Moment) {
        self.left = self.left.saturating_add(by);
        // Time counts from when there was something to take.
        if self.left <= 0 && self.answered {
            self.late_at = Some(self.pace.wait(now));
        } else if self.late_at.take().is_some() {
            self.pace.moved(0, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: PacePolicy = PacePolicy { bytes_per_second: 500, patience: Duration::from_secs(20) };

    fn frame(kind: u8, flags: u8, stream: u32, length: u32, kept: &[u8]) -> Frame<'_> {
        Frame { length, kind, flags, stream, kept }
    }

    fn second(number: u64) -> Moment {
        Moment(1_000_000_000 * (number + 100))
    }

    /// Sends the same frame until it is one too many.
    fn until_abuse(frame: &Frame<'_>) -> (usize, Abuse) {
        let mut judge = Judge::new(POLICY);
        for sent in 0..100_000 {
            if let Err(abuse) = judge.received(frame, second(0)) {
                return (sent, abuse);
            }
        }
        panic!("{frame:?} for ever");
    }

    #[test]
    fn each_flood_has_its_end_and_its_name() {
        assert_eq!(until_abuse(&frame(RST_STREAM, 0, 1, 4, &[])), (200, Abuse::Resets));
        assert_eq!(until_abuse(&frame(PING, 0, 0, 8, &[])), (60, Abuse::Pings));
        assert_eq!(until_abuse(&frame(SETTINGS, 0, 0, 0, &[])), (20, Abuse::Settings));
        assert_eq!(until_abuse(&frame(PRIORITY, 0, 1, 5, &[])), (200, Abuse::Priorities));
        assert_eq!(until_abuse(&frame(DATA, 0, 1, 0, &[])), (100, Abuse::HollowData));
        assert_eq!(until_abuse(&frame(DATA, 8, 1, 9, &[8])), (100, Abuse::HollowData), "padding is nothing");
        assert_eq!(until_abuse(&frame(WINDOW_UPDATE, 0, 1, 4, &[0, 0, 0, 1])), (1_000, Abuse::WindowUpdates));
        assert_eq!(until_abuse(&frame(0x20, 0, 1, 4, &[])), (100, Abuse::Unknown));
        assert_eq!(until_abuse(&frame(CONTINUATION, 0, 1, 1, &[])), (16, Abuse::Continuations));
        assert_eq!(until_abuse(&frame(CONTINUATION, 0, 1, 16_384, &[])), (4, Abuse::Continuations));
    }

    #[test]
    fn a_made_reset_counts_like_one_of_the_clients() {
        let sent = |code: u8| {
            let (mut judge, kept) = (Judge::new(POLICY), [0, 0, 0, code]);
            let reset = frame(RST_STREAM, 0, 1, 4, &kept);
            (0..1_000).take_while(|_| judge.sent(&reset, second(0)).is_ok()).count()
        };
        assert_eq!((sent(1), sent(3), sent(5), sent(7)), (100, 100, 100, 100));
        assert_eq!((sent(0), sent(2)), (1_000, 1_000), "not the client's doing");
    }

    #[test]
    fn what_answers_to_data_is_earned_by_it() {
        let mut judge = Judge::new(POLICY);
        for _ in 0..20_000 {
            judge.sent(&frame(DATA, 0, 1, 100, &[]), second(0)).unwrap();
            for update in [0, 1] {
                judge.received(&frame(WINDOW_UPDATE, 0, update, 4, &[0, 0, 0, 100]), second(0)).unwrap();
            }
            judge.received(&frame(PING, 0, 0, 8, &[]), second(0)).unwrap();
        }
    }

    /// A connection whose windows are of nothing, with an answer under way.
    fn shut() -> Judge {
        let mut judge = Judge::new(POLICY);
        judge.received(&frame(SETTINGS, 0, 0, 6, &[0, 4, 0, 0, 0, 0]), second(0)).unwrap();
        judge.received(&frame(HEADERS, 5, 1, 9, &[]), second(0)).unwrap();
        judge.sent(&frame(HEADERS, 4, 1, 9, &[]), second(0)).unwrap();
        judge
    }

    /// A client that opens its window by so many bytes every ten seconds: when it is ended.
    fn ended_at(bytes: u16) -> Option<u64> {
        let (mut judge, [high, low]) = (shut(), bytes.to_be_bytes());
        for now in 0..3_600 {
            if judge.look(second(now)).is_err() {
                return Some(now);
            }
            if now % 10 == 9 {
                judge.received(&frame(WINDOW_UPDATE, 0, 1, 4, &[0, 0, high, low]), second(now)).unwrap();
                judge.received(&frame(WINDOW_UPDATE, 0, 0, 4, &[0, 0, high, low]), second(now)).unwrap();
                judge.sent(&frame(DATA, 0, 1, bytes.into(), &[]), second(now)).unwrap();
            }
        }
        None
    }

    #[test]
    fn an_answer_that_may_not_go_out_or_only_in_drops_ends_the_connection_and_a_slow_one_does_not() {
        assert_eq!(ended_at(0), Some(20));
        assert_eq!(ended_at(1), Some(21), "a byte is worth two milliseconds");
        assert!((20..=45).contains(&ended_at(2_500).unwrap()), "half the least rate: {:?}", ended_at(2_500));
        assert_eq!(ended_at(5_000), None, "the least rate");
        let mut judge = shut();
        judge.sent(&frame(DATA, 1, 1, 0, &[]), second(10)).unwrap();
        judge.look(second(2_000)).unwrap();
    }

    /// The window of the whole connection is shut when nobody asks for anything: nobody waits.
    #[test]
    fn a_connection_that_is_shut_between_answers_is_waited_for_from_the_next_one_on() {
        let mut judge = Judge::new(POLICY);
        judge.received(&frame(HEADERS, 5, 1, 9, &[]), second(0)).unwrap();
        judge.sent(&frame(HEADERS, 4, 1, 9, &[]), second(0)).unwrap();
        judge.sent(&frame(DATA, 1, 1, 65_535, &[]), second(0)).unwrap();
        judge.received(&frame(HEADERS, 5, 3, 9, &[]), second(100)).unwrap();
        judge.sent(&frame(HEADERS, 4, 3, 9, &[]), second(100)).unwrap();
        judge.look(second(119)).unwrap();
        assert_eq!(judge.look(second(120)), Err(Abuse::Stall));
    }

    #[test]
    fn a_window_of_nothing_counts_from_the_answer_on() {
        let mut judge = Judge::new(POLICY);
        judge.received(&frame(SETTINGS, 0, 0, 6, &[0, 4, 0, 0, 0, 0]), second(0)).unwrap();
        judge.received(&frame(HEADERS, 5, 1, 9, &[]), second(0)).unwrap();
        judge.look(second(500)).unwrap();
        judge.sent(&frame(HEADERS, 4, 1, 9, &[]), second(500)).unwrap();
        judge.look(second(519)).unwrap();
        assert_eq!(judge.look(second(520)), Err(Abuse::Stall));
    }
}
