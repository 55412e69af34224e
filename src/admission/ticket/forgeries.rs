//! What somebody may try who holds good tickets and no key: every kind of forgery, by the million.

use std::collections::HashSet;

use super::*;
use crate::admission::chance::Chance;

/// As many as a test of every day makes.
const FEW: u64 = 20_000;
const MANY: u64 = 10_000_000;
/// Good tokens that forgeries are made of.
const GOOD: u64 = 64;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Its name, and how it is made.
type Forgery = (&'static str, fn(&mut Forger) -> Vec<u8>);

const KINDS: [Forgery; 12] = [
    ("a few bits changed", Forger::bits),
    ("characters of the text changed", Forger::characters),
    ("the spare bits of the text set", Forger::spare_bits),
    ("cut, or lengthened", Forger::cut),
    ("two spliced", Forger::spliced),
    ("another body under a good MAC", Forger::rewritten),
    ("signed by a key of one's own", Forger::rekeyed),
    ("signed by a key that was taken away", Forger::retired),
    ("another key named", Forger::renamed_key),
    ("of the other kind", Forger::other_kind),
    ("a MAC by guessing", Forger::guessed),
    ("noise", Forger::noise),
];

struct Forger {
    chance: Chance,
    good: Vec<String>,
    /// The same, to see whether a forgery is one of them after all.
    known: HashSet<Vec<u8>>,
    /// Has no key of the ring, but its ids.
    own: [KeyRing; 2],
    retired: KeyRing,
}

/// The ring that is to be deceived: two keys are good, a third was once.
fn ring() -> KeyRing {
    KeyRing::new(Key::new(2, &[9; 32]), vec![Key::new(1, &[8; 32])])
}

fn decoded(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn encoded(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    URL_SAFE_NO_PAD.encode(bytes).into_bytes()
}

impl Forger {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed << 32);
        let (keys, older) = (ring(), KeyRing::new(Key::new(1, &[8; 32]), Vec::new()));
        let mut good = Vec::new();
        for nth in 0..GOOD {
            let signer = if nth % 4 < 2 { &older } else { &keys };
            good.push(
                signer.sign(&claims(&mut chance, if nth % 2 == 0 { Kind::Ticket } else { Kind::Pass })),
            );
        }
        let known = good.iter().map(|text| text.clone().into_bytes()).collect();
        let own = [2, 1].map(|id| KeyRing::new(Key::new(id, &[7; 32]), Vec::new()));
        Self { chance, good, known, own, retired: KeyRing::new(Key::new(3, &[6; 32]), Vec::new()) }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.chance.bits() % bound as u64).unwrap()
    }

    fn any(&mut self) -> String {
        let at = self.below(self.good.len());
        self.good[at].clone()
    }

    fn claims(&mut self) -> Claims {
        let kind = if self.below(2) == 0 { Kind::Ticket } else { Kind::Pass };
        claims(&mut self.chance, kind)
    }

    fn bits(&mut self) -> Vec<u8> {
        let mut bytes = decoded(&self.any());
        for _ in 0..=self.below(8) {
            let at = self.below(LENGTH * 8);
            bytes[at / 8] ^= 1 << (at % 8);
        }
        encoded(bytes)
    }

    fn characters(&mut self) -> Vec<u8> {
        let mut text = self.any().into_bytes();
        for _ in 0..=self.below(4) {
            let at = self.below(TEXT_LENGTH);
            text[at] = ALPHABET[self.below(64)];
        }
        text
    }

    /// The last character holds two bits that are none of the token's: another text of the same bytes.
    fn spare_bits(&mut self) -> Vec<u8> {
        let mut text = self.any().into_bytes();
        let last = ALPHABET.iter().position(|letter| *letter == text[TEXT_LENGTH - 1]).unwrap();
        text[TEXT_LENGTH - 1] = ALPHABET[last ^ (1 + self.below(3))];
        text
    }

    fn cut(&mut self) -> Vec<u8> {
        let mut bytes = decoded(&self.any());
        match self.below(4) {
            0 => bytes.truncate(self.below(LENGTH)),
            1 => bytes.resize(LENGTH + 1 + self.below(40), b'x'),
            2 => _ = bytes.drain(..=self.below(LENGTH - 1)),
            // As long as a token, but with less of a MAC.
            _ => {
                let kept = BODY + self.below(MAC);
                bytes[kept..].fill(0);
            }
        }
        encoded(bytes)
    }

    fn spliced(&mut self) -> Vec<u8> {
        let (one, other) = (self.any(), self.any());
        let at = if self.below(2) == 0 { BODY } else { 1 + self.below(LENGTH - 1) };
        let (one, other) = (decoded(&one), decoded(&other));
        encoded([&one[..at], &other[at..]].concat())
    }

    /// A lower number, another room, another time: all that one would like to change.
    fn rewritten(&mut self) -> Vec<u8> {
        let (text, wished) = (decoded(&self.any()), self.claims());
        let body = wished.body(text[2]);
        encoded([&body[..], &text[BODY..]].concat())
    }

    fn rekeyed(&mut self) -> Vec<u8> {
        let (claims, ring) = (self.claims(), self.below(2));
        self.own[ring].sign(&claims).into_bytes()
    }

    fn retired(&mut self) -> Vec<u8> {
        let claims = self.claims();
        self.retired.sign(&claims).into_bytes()
    }

    fn renamed_key(&mut self) -> Vec<u8> {
        let mut bytes = decoded(&self.any());
        bytes[2] = bytes[2].wrapping_add(1 + u8::try_from(self.below(255)).unwrap());
        encoded(bytes)
    }

    /// A ticket that says it is a pass, and a pass that says it is a ticket.
    fn other_kind(&mut self) -> Vec<u8> {
        let mut bytes = decoded(&self.any());
        bytes[1] ^= Kind::Ticket.byte() ^ Kind::Pass.byte();
        encoded(bytes)
    }

    fn guessed(&mut self) -> Vec<u8> {
        let mut bytes = self.claims().body(1 + u8::try_from(self.below(2)).unwrap()).to_vec();
        bytes.extend(self.chance.bits().to_le_bytes());
        bytes.extend(self.chance.bits().to_le_bytes());
        encoded(bytes)
    }

    fn noise(&mut self) -> Vec<u8> {
        let length = if self.below(2) == 0 { TEXT_LENGTH } else { self.below(200) };
        let letters = self.below(2) == 0;
        (0..length)
            .map(|_| if letters { ALPHABET[self.below(64)] } else { self.chance.bits().to_le_bytes()[0] })
            .collect()
    }
}

fn claims(chance: &mut Chance, kind: Kind) -> Claims {
    let index =
        (chance.bits().is_multiple_of(8) && kind == Kind::Ticket).then(|| u32::MAX >> (chance.bits() % 32));
    let id = (u128::from(chance.bits()) << 64 | u128::from(chance.bits())).to_le_bytes();
    let number = if index.is_some() { 0 } else { chance.bits() % 10_000_000 };
    let time = UnixTime(1_793_318_400_000 + (chance.bits() % 1_000_000));
    let moves = chance.bits().to_le_bytes()[0] % 3;
    Claims { kind, room: RoomId::of("main"), epoch: 1, number, index, time, id, moves }
}

/// So many, each shown as a ticket and as a pass: how many of each kind were made, and what was accepted.
fn forge(seed: u64, count: u64) -> ([u64; KINDS.len()], Vec<String>) {
    let (keys, mut forger) = (ring(), Forger::new(seed));
    for text in &forger.good {
        let [ticket, pass] =
            [Kind::Ticket, Kind::Pass].map(|kind| keys.verify(kind, text.as_bytes()).is_ok());
        assert!(ticket != pass, "what forgeries are made of is good, as one of the two");
    }
    let (mut made, mut accepted) = ([0; KINDS.len()], Vec::new());
    for at in (0..KINDS.len()).cycle().take(usize::try_from(count).unwrap()) {
        let (name, make) = KINDS[at];
        let mut text = make(&mut forger);
        // Two changes can undo one another.
        while forger.known.contains(&text) {
            text = make(&mut forger);
        }
        made[at] += 1;
        if [Kind::Ticket, Kind::Pass].into_iter().any(|kind| keys.verify(kind, &text).is_ok()) {
            accepted.push(format!("{name}: {}", String::from_utf8_lossy(&text)));
        }
    }
    (made, accepted)
}

/// On all cores.
fn forge_everywhere(count: u64) {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let told: Vec<_> = std::thread::scope(|scope| {
        let part = |thread| count / threads + u64::from(thread < count % threads);
        let running: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || forge(thread, part(thread)))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (at, (name, _)) in KINDS.iter().enumerate() {
        println!("{name}: {}", told.iter().map(|(made, _)| made[at]).sum::<u64>());
    }
    let made: u64 = told.iter().flat_map(|(made, _)| made).sum();
    let accepted: Vec<&String> = told.iter().flat_map(|(_, accepted)| accepted).collect();
    println!("{made} forged tickets and passes: {} accepted", accepted.len());
    assert!(accepted.is_empty(), "{:?}", accepted.first());
    assert_eq!(made, count);
}

#[test]
fn no_forgery_of_a_ticket_or_pass_is_accepted() {
    forge_everywhere(FEW);
}

#[test]
#[ignore = "a minute; part of `make torture`"]
fn of_millions_of_forgeries_none_is_accepted() {
    let count = std::env::var("TORNELLO_FORGERIES").map_or(MANY, |count| count.parse().unwrap());
    forge_everywhere(count);
}
