//! Tickets and passes certify themselves: bytes in, bytes out, no table of those who wait.
//!
//! Layout, little endian: version, kind, key id (1 byte each), room (4), epoch (3), moves (1), number (8),
//! time in ms (8), id (16), MAC (16). The MAC is HMAC-SHA256 cut to 128 bit over a domain per kind and all
//! that stands before it. Several keys are valid at once, so that a rotation loses nobody's place.
//! Text form: base64url without padding.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::UserKey;
use super::moment::UnixTime;

/// Marks a number that is an index in the log of those who came before the opening.
const INDEX: u64 = 1 << 63;
/// The epoch is below these bits of its field, how often the place moved in them.
const MOVES_SHIFT: u32 = 24;
const VERSION: u8 = 1;
const BODY: usize = 43;
const MAC: usize = 16;
/// Bytes of a ticket or pass.
pub const LENGTH: usize = BODY + MAC;
/// Characters of its text form.
pub const TEXT_LENGTH: usize = LENGTH.div_ceil(3) * 4 - 1;

/// A room by the hash of its name, so that a ticket of one room is worthless in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RoomId(pub u32);

impl RoomId {
    /// The id of the room called `name`: the first four bytes of its SHA-256.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(name.as_bytes()));
        Self(u32::from_le_bytes([a, b, c, d]))
    }
}

/// What a token is good for. Each kind has its own MAC domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A place in the line.
    Ticket,
    /// An admitted session.
    Pass,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::Ticket => 1,
            Self::Pass => 2,
        }
    }

    fn domain(self) -> &'static [u8] {
        match self {
            Self::Ticket => b"tornello-ticket-v1",
            Self::Pass => b"tornello-pass-v1",
        }
    }
}

/// What a ticket or pass says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Ticket or pass.
    pub kind: Kind,
    /// The room it belongs to.
    pub room: RoomId,
    /// The epoch of the room's numbering.
    pub epoch: u32,
    /// Place in the line; 0 on a pass that was given without waiting, and while lots are not drawn.
    pub number: u64,
    /// On a ticket that was given before the draw: its index in the log. The token holds this and no number,
    /// which follows from the draw.
    pub index: Option<u32>,
    /// When it was made.
    pub time: UnixTime,
    /// Random on a ticket; on a pass the pass id.
    pub id: [u8; 16],
    /// How often its place had moved to another device when this was given, see [`super::moves`].
    pub moves: u8,
}

/// What a ticket says, unsigned, as it is kept.
pub type Said = [u8; BODY];

impl Claims {
    /// The pass that this ticket turns into: always the same one, so that a repeated claim is harmless.
    #[must_use]
    pub fn pass(&self, keys: &KeyRing, now: UnixTime) -> Self {
        let mut mac = keys.current.mac(b"tornello-pass-id-v1");
        mac.update(&self.room.0.to_le_bytes());
        mac.update(&self.epoch.to_le_bytes());
        mac.update(&self.number.to_le_bytes());
        mac.update(&self.id);
        Self { kind: Kind::Pass, time: now, index: None, id: truncated(mac), ..*self }
    }

    /// The bucket key of its holder: copies of a ticket, and its pass, share one bucket.
    #[must_use]
    pub fn user_key(&self) -> UserKey {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(self.room.0) ^ (u64::from(self.epoch) << 32);
        let seed = if self.number == 0 { u128::from_le_bytes(self.id) } else { u128::from(self.number) };
        for byte in seed.to_le_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        UserKey(hash)
    }

    /// Its number as a token holds it: of somebody who is to be drawn, or was, the index in the log.
    #[must_use]
    pub fn written_number(&self) -> u64 {
        self.index.map_or(self.number, |index| INDEX | u64::from(index))
    }

    /// What it says, unsigned.
    #[must_use]
    pub fn said(&self) -> Said {
        self.body(0)
    }

    /// A ticket by what it said. `None` if those bytes are of none.
    #[must_use]
    pub fn of_ticket(said: &Said) -> Option<Self> {
        parse(Kind::Ticket, said).ok().map(|(claims, _)| claims)
    }

    fn body(&self, key_id: u8) -> [u8; BODY] {
        let number = self.written_number();
        let epoch = (self.epoch & ((1 << MOVES_SHIFT) - 1)) | (u32::from(self.moves) << MOVES_SHIFT);
        let mut body = [0; BODY];
        let parts: [&[u8]; 6] = [
            &[VERSION, self.kind.byte(), key_id],
            &self.room.0.to_le_bytes(),
            &epoch.to_le_bytes(),
            &number.to_le_bytes(),
            &self.time.0.to_le_bytes(),
            &self.id,
        ];
        for (to, from) in body.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        body
    }
}

/// One signing key, its HMAC state prepared.
#[derive(Clone)]
pub struct Key {
    id: u8,
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key {{ id: {} }}", self.id)
    }
}

impl Key {
    /// A key from 32 secret bytes.
    #[must_use]
    pub fn new(id: u8, secret: &[u8; 32]) -> Self {
        let mac = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        Self { id, mac }
    }

    fn mac(&self, domain: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(domain);
        mac
    }
}

/// The key that signs, and those that still verify.
#[derive(Clone, Debug)]
pub struct KeyRing {
    current: Key,
    older: Vec<Key>,
}

/// Why a token is not believed. Deliberately coarse: it goes into answers and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Not of the form of a token.
    Malformed,
    /// Signed with a key that is not ours, or changed since.
    Forged,
}

impl KeyRing {
    /// A ring that signs with `current` and also believes `older`.
    #[must_use]
    pub fn new(current: Key, older: Vec<Key>) -> Self {
        Self { current, older }
    }

    /// Signs; the result is text.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> String {
        let body = claims.body(self.current.id);
        let mut mac = self.current.mac(claims.kind.domain());
        mac.update(&body);
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(&truncated(mac));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token of the given kind.
    ///
    /// # Errors
    /// [`TokenError`] for anything that this ring did not sign, whatever its bytes.
    pub fn verify(&self, kind: Kind, text: &[u8]) -> Result<Claims, TokenError> {
        if text.len() != TEXT_LENGTH {
            return Err(TokenError::Malformed);
        }
        let mut bytes = [0; LENGTH];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).map_err(|_| TokenError::Malformed)?;
        let (Some((body, tag)), LENGTH) = (bytes.split_first_chunk::<BODY>(), length) else {
            return Err(TokenError::Malformed);
        };
        let (claims, key_id) = parse(kind, body)?;
        let key = std::iter::once(&self.current).chain(&self.older).find(|key| key.id == key_id);
        let mut mac = key.ok_or(TokenError::Forged)?.mac(kind.domain());
        mac.update(body);
        // Constant time: the comparison is the MAC crate's own.
        mac.verify_truncated_left(tag).map_err(|_| TokenError::Forged)?;
        Ok(claims)
    }
}

fn parse(kind: Kind, body: &[u8; BODY]) -> Result<(Claims, u8), TokenError> {
    let mut rest: &[u8] = body;
    let [version, kind_byte, key_id] = take(&mut rest)?;
    let room = RoomId(u32::from_le_bytes(take(&mut rest)?));
    let [a, b, c, moves] = take(&mut rest)?;
    let epoch = u32::from_le_bytes([a, b, c, 0]);
    let number = u64::from_le_bytes(take(&mut rest)?);
    let time = UnixTime(u64::from_le_bytes(take(&mut rest)?));
    let id = take(&mut rest)?;
    let index = (number & INDEX != 0).then(|| u32::try_from(number & !INDEX)).transpose();
    let index = index.map_err(|_| TokenError::Malformed)?;
    let number = if index.is_some() { 0 } else { number };
    let claims = Claims { kind, room, epoch, number, index, time, id, moves };
    let expected = version == VERSION && kind_byte == kind.byte();
    expected.then_some((claims, key_id)).ok_or(TokenError::Malformed)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], TokenError> {
    let (head, tail) = bytes.split_first_chunk::<N>().ok_or(TokenError::Malformed)?;
    *bytes = tail;
    Ok(*head)
}

fn truncated(mac: Hmac<Sha256>) -> [u8; MAC] {
    let full: [u8; 32] = mac.finalize().into_bytes().into();
    let mut cut = [0; MAC];
    for (to, from) in cut.iter_mut().zip(full) {
        *to = from;
    }
    cut
}

#[cfg(test)]
mod forgeries;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ring(id: u8, secret: u8) -> KeyRing {
        KeyRing::new(Key::new(id, &[secret; 32]), Vec::new())
    }

    fn ticket(number: u64) -> Claims {
        Claims {
            kind: Kind::Ticket,
            room: RoomId::of("main"),
            epoch: 1,
            number,
            index: None,
            time: UnixTime(1_793_318_400_000),
            id: [7; 16],
            moves: 0,
        }
    }

    #[test]
    fn a_ticket_from_before_the_draw_is_the_same_token_after_it() {
        let keys = ring(1, 9);
        for index in [0, 41, u32::MAX] {
            let before = Claims { number: 0, index: Some(index), ..ticket(0) };
            let text = keys.sign(&before);
            assert_eq!(keys.verify(Kind::Ticket, text.as_bytes()), Ok(before));
            let drawn = Claims { number: 7, ..before };
            assert_eq!(keys.sign(&drawn), text, "the number is not in it");
            assert_eq!(drawn.pass(&keys, UnixTime(1)).index, None);
        }
    }

    #[test]
    fn what_was_signed_is_read_back() {
        let (keys, claims) = (ring(1, 9), ticket(42));
        let text = keys.sign(&claims);
        assert_eq!(text.len(), TEXT_LENGTH);
        assert_eq!(keys.verify(Kind::Ticket, text.as_bytes()), Ok(claims));
    }

    #[test]
    fn a_place_that_moved_has_another_ticket_and_the_same_pass_and_bucket() {
        let (keys, before) = (ring(1, 9), ticket(42));
        let moved = Claims { moves: u8::MAX, ..before };
        let text = keys.sign(&moved);
        assert_ne!(text, keys.sign(&before));
        assert_eq!(keys.verify(Kind::Ticket, text.as_bytes()), Ok(moved));
        let [one, other] = [before, moved].map(|ticket| ticket.pass(&keys, UnixTime(1)));
        assert_eq!((one.id, one.user_key()), (other.id, other.user_key()));
        assert_eq!(keys.verify(Kind::Pass, keys.sign(&other).as_bytes()), Ok(other));
        assert_eq!(Claims::of_ticket(&moved.said()), Some(moved));
    }

    #[test]
    fn a_ticket_is_no_pass_and_another_key_is_no_key() {
        let text = ring(1, 9).sign(&ticket(42));
        assert!(ring(1, 9).verify(Kind::Pass, text.as_bytes()).is_err());
        assert_eq!(ring(1, 8).verify(Kind::Ticket, text.as_bytes()), Err(TokenError::Forged));
        assert_eq!(ring(2, 9).verify(Kind::Ticket, text.as_bytes()), Err(TokenError::Forged));
    }

    #[test]
    fn a_rotation_loses_nobody_and_a_removed_key_is_refused() {
        let old = Key::new(1, &[9; 32]);
        let text = KeyRing::new(old.clone(), Vec::new()).sign(&ticket(42));
        let rotated = KeyRing::new(Key::new(2, &[8; 32]), vec![old]);
        assert_eq!(rotated.verify(Kind::Ticket, text.as_bytes()), Ok(ticket(42)));
        let later = KeyRing::new(Key::new(2, &[8; 32]), Vec::new());
        assert_eq!(later.verify(Kind::Ticket, text.as_bytes()), Err(TokenError::Forged));
    }

    #[test]
    fn copies_and_the_pass_share_one_bucket() {
        let (keys, claims) = (ring(1, 9), ticket(42));
        let pass = claims.pass(&keys, UnixTime(1_793_318_500_000));
        assert_eq!(pass.user_key(), claims.user_key());
        assert_eq!(claims.pass(&keys, UnixTime(1)).id, pass.id, "a repeated claim is the same pass");
        assert_ne!(ticket(43).user_key(), claims.user_key());
    }

    proptest! {
        #[test]
        fn no_changed_byte_is_believed(number in any::<u64>(), at in 0usize..LENGTH, flip in 1u8..=255) {
            let keys = ring(1, 9);
            let number = number & !INDEX;
            let mut bytes = URL_SAFE_NO_PAD.decode(keys.sign(&ticket(number))).unwrap();
            bytes[at] ^= flip;
            prop_assert!(keys.verify(Kind::Ticket, URL_SAFE_NO_PAD.encode(bytes).as_bytes()).is_err());
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(ring(1, 9).verify(Kind::Ticket, &text).is_err());
        }
    }
}
