//! Who asked to be told before the turn, as the disk holds it: sealed, by a key that comes of the webhook's secret,
//! which is in no file of the state, and of the room's own, which goes with its event. Whoever has the state alone
//! reads nothing, and whoever has the secret as well reads nothing after the end.
//!
//! ChaCha20-Poly1305, the number being authenticated with the token. The nonce is a MAC of both: no two messages
//! under one key share one.

use hmac::{Hmac, KeyInit, Mac};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::Sha256;

use crate::admission::reminders::{Kept, ReminderChanges, Reminders};

/// What stands for a token that nobody need be told by any more.
const TOLD: &[u8] = &[];

/// What a room's webhook gives to seal by: derived from its secret, and shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookKey([u8; 32]);

impl WebhookKey {
    /// The key of whoever signs by `secret`. No message is signed by it: those begin with a time.
    #[must_use]
    pub fn of(secret: &Hmac<Sha256>) -> Self {
        Self(secret.clone().chain_update("tornello-reminders-v1").finalize().into_bytes().into())
    }
}

impl std::fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookKey")
    }
}

/// What an earlier process left, by number.
pub type LeftReminders = Vec<(u64, Box<[u8]>)>;

/// What must be written of those who asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReminderNews {
    /// By number; `None` where nothing is kept any more.
    pub sealed: Vec<(u64, Option<Box<[u8]>>)>,
    pub(super) changes: ReminderChanges,
}

impl ReminderNews {
    /// There is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sealed.is_empty()
    }
}

/// Those who asked, and how they are written down.
#[derive(Debug, Default)]
pub(super) struct ReminderBook {
    pub(super) all: Reminders,
    /// Of the configuration that it follows.
    generation: u64,
    seal: Option<Seal>,
    left: LeftReminders,
}

impl ReminderBook {
    /// A book that will be read when it is known by which key.
    pub(super) fn new(left: LeftReminders) -> Self {
        Self { left, ..Self::default() }
    }

    /// The room has this webhook by the configuration of that generation, or none: then nobody is to be told. An
    /// older one than the last says nothing. Returns how many were left that cannot be read.
    pub(super) fn follow(&mut self, generation: u64, webhook: Option<&WebhookKey>, room: &[u8; 32]) -> usize {
        if generation < self.generation {
            return 0;
        }
        self.generation = generation;
        let Some(webhook) = webhook else {
            self.clear();
            return 0;
        };
        if self.seal.as_ref().is_some_and(|seal| seal.webhook == *webhook) {
            return 0;
        }
        let seal = Seal::new(webhook, room);
        let mut unread = 0;
        for (number, sealed) in std::mem::take(&mut self.left) {
            match seal.open(number, &sealed) {
                Some(kept) => self.all.restore(number, kept),
                None => {
                    unread += 1;
                    self.all.write_anew([number]);
                }
            }
        }
        if self.seal.replace(seal).is_some() {
            self.all.keep_anew();
        }
        unread
    }

    /// Nobody asked.
    pub(super) fn clear(&mut self) {
        self.all.write_anew(std::mem::take(&mut self.left).into_iter().map(|(number, _)| number));
        self.all.clear();
        self.seal = None;
    }

    /// What must be made durable, of `most` numbers at most, of places that are over as `words` say as well.
    pub(super) fn unkept(&mut self, over: &[(u64, u64)], most: usize) -> ReminderNews {
        self.all.forget_over(over);
        let mut changes = self.all.unkept(most);
        let wanted = |(_, kept): &(u64, Option<Kept>)| matches!(kept, Some(Kept::Wanted(_)));
        if self.seal.is_none() && changes.numbers.iter().any(wanted) {
            // Somebody was quicker than the webhook, and waits for it.
            changes.numbers.retain(|change| !wanted(change));
            changes.count = 0;
        }
        let sealed = changes.numbers.iter().filter_map(|(number, kept)| match kept {
            None => Some((*number, None)),
            Some(Kept::Told) => Some((*number, Some(TOLD.into()))),
            Some(Kept::Wanted(token)) => Some((*number, Some(self.seal.as_ref()?.seal(*number, token)))),
        });
        ReminderNews { sealed: sealed.collect(), changes }
    }
}

/// Seals tokens, and opens them again.
struct Seal {
    webhook: WebhookKey,
    key: LessSafeKey,
    nonces: Hmac<Sha256>,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    fn new(webhook: &WebhookKey, room: &[u8; 32]) -> Self {
        let of = |what: &[u8]| mac(&webhook.0).chain_update(room).chain_update(what).finalize().into_bytes();
        let key = UnboundKey::new(&CHACHA20_POLY1305, &of(b"tornello-reminder-key-v1"));
        let key = LessSafeKey::new(key.expect("the algorithm takes keys of 32 bytes"));
        Self { webhook: webhook.clone(), key, nonces: mac(&of(b"tornello-reminder-nonce-v1")) }
    }

    fn seal(&self, number: u64, token: &str) -> Box<[u8]> {
        let number = number.to_le_bytes();
        let nonces = self.nonces.clone().chain_update(number).chain_update(token);
        let mut nonce = [0; NONCE_LEN];
        nonce.iter_mut().zip(nonces.finalize().into_bytes()).for_each(|(to, from)| *to = from);
        let mut text = token.as_bytes().to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        let sealed = self.key.seal_in_place_append_tag(unique, Aad::from(number), &mut text);
        sealed.expect("a token is shorter than what can be sealed");
        [&nonce[..], &text].concat().into()
    }

    fn open(&self, number: u64, sealed: &[u8]) -> Option<Kept> {
        if sealed == TOLD {
            return Some(Kept::Told);
        }
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let (nonce, mut text) = (Nonce::assume_unique_for_key(*nonce), text.to_vec());
        let token = self.key.open_in_place(nonce, Aad::from(number.to_le_bytes()), &mut text).ok()?;
        Some(Kept::Wanted(std::str::from_utf8(token).ok()?.into()))
    }
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: usize = usize::MAX;
    const ROOM: [u8; 32] = [1; 32];
    const HOOK: WebhookKey = WebhookKey([2; 32]);
    const OTHER: WebhookKey = WebhookKey([3; 32]);

    /// The book as it stands on the disk once all is written.
    fn written(book: &mut ReminderBook) -> LeftReminders {
        book.all.keep_anew();
        let news = book.unkept(&[], ALL);
        book.all.kept(&news.changes);
        news.sealed.into_iter().filter_map(|(number, sealed)| Some((number, sealed?))).collect()
    }

    fn book() -> ReminderBook {
        let mut book = ReminderBook::default();
        assert_eq!(book.follow(1, Some(&HOOK), &ROOM), 0);
        book.all.register(7, "anna@example.org".into()).unwrap();
        book.all.register(9, "b".repeat(256).into()).unwrap();
        book
    }

    #[test]
    fn tokens_come_back_by_both_keys_and_stand_nowhere_in_clear() {
        let left = written(&mut book());
        for (_, sealed) in &left {
            assert!(
                !String::from_utf8_lossy(sealed).contains("anna")
                    && !sealed.windows(9).any(|it| it == [b'b'; 9])
            );
        }
        let mut next = ReminderBook::new(left.clone());
        assert_eq!((next.follow(1, Some(&HOOK), &ROOM), written(&mut next)), (0, left.clone()));
        for (hook, room) in [(OTHER, ROOM), (HOOK, [3; 32])] {
            let mut other = ReminderBook::new(left.clone());
            assert_eq!(other.follow(1, Some(&hook), &room), 2);
            assert_eq!(
                (other.all.len(), other.unkept(&[], ALL).sealed),
                (0, vec![(7, None), (9, None)]),
                "erased"
            );
        }
        // Moved to another number, or changed.
        let (_, sealed) = &left[0];
        let seal = Seal::new(&HOOK, &ROOM);
        assert_eq!((seal.open(8, sealed), seal.open(7, &sealed[..11])), (None, None));
        for at in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[at] ^= 1;
            assert_eq!(seal.open(7, &changed), None, "byte {at}");
        }
    }

    #[test]
    fn another_secret_seals_all_anew_and_without_a_webhook_nothing_stays() {
        let mut book = book();
        let left = written(&mut book);
        assert!(book.unkept(&[], ALL).is_empty());
        book.follow(1, Some(&OTHER), &ROOM);
        assert_eq!(book.all.len(), 2, "nobody is forgotten");
        let mut next = ReminderBook::new(written(&mut book));
        assert_eq!((next.follow(1, Some(&OTHER), &ROOM), next.all.len()), (0, 2));
        let mut gone = ReminderBook::new(left);
        assert_eq!(gone.follow(1, None, &ROOM), 0);
        assert_eq!(gone.unkept(&[], ALL).sealed, [(7, None), (9, None)]);
    }

    #[test]
    fn around_a_reload_nobody_is_forgotten_or_said_to_be_kept_who_is_not() {
        let mut book = ReminderBook::default();
        book.follow(2, Some(&HOOK), &ROOM);
        book.all.register(7, "anna".into()).unwrap();
        book.follow(1, None, &ROOM);
        assert_eq!(book.all.len(), 1, "what was in force before says nothing any more");
        // Who is quicker than the webhook is written when it is there, and not before.
        let mut book = ReminderBook::default();
        book.all.register(7, "anna".into()).unwrap();
        let news = book.unkept(&[], ALL);
        assert_eq!((news.is_empty(), news.changes.count), (true, 0));
        book.all.kept(&news.changes);
        book.follow(2, Some(&HOOK), &ROOM);
        let news = book.unkept(&[], ALL);
        assert_eq!((news.sealed.len(), news.changes.count), (1, 1));
    }
}
