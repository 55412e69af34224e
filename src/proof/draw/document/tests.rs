//! A draw that is good, and every way of making it worse that was thought of.

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::super::commitment::Void;
use super::super::randomness::Randomness;
use super::super::reveal::{self, Party, Reveal};
use super::super::rules::Source;
use super::super::{DrawError, drand};
use super::*;
use crate::admission::UnixTime;
use crate::proof::receipt::leaf;
use crate::proof::sealed::{ProofError, seal};

/// Rounds of quicknet, as api.drand.sh gave them.
const ROUNDS: [(u64, &str); 3] = [
    (123, "b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482e26cd02df835d3546d23c4b13e0dfc92"),
    (
        1_000,
        "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39",
    ),
    (
        1_001,
        "b33bf3667cbd5a82de3a24b4e0e9fe5513cc1a0e840368c6e31f5fcfa79bea03f73896b25883abf2853d10337fb8fa41",
    ),
];
const COUNT: u8 = 40;

/// A draw, its parts still apart.
#[derive(Clone)]
struct Parts {
    key: SigningKey,
    rules: Rules,
    voids: Vec<Void>,
    commitment: Commitment,
    randomness: Option<Randomness>,
    /// Leaf and number.
    tickets: Vec<Drawn>,
}

fn at(round: u64) -> u64 {
    let UnixTime(time_ms) = drand::time_of(round);
    time_ms
}

fn signature(round: u64) -> Randomness {
    let signature = ROUNDS.iter().find(|(known, _)| *known == round).unwrap().1.to_owned();
    Randomness::Drand { round, signature }
}

impl Parts {
    fn of(source: Source, opens_at_ms: u64, count: u8) -> Self {
        let key = SigningKey::from_bytes(&[7; 32]);
        let rules = Rules {
            kind: Rules::KIND.to_owned(),
            v: 1,
            room: "main".to_owned(),
            epoch: 1,
            opens_at_ms,
            line: hex(&Sha256::digest(r#"{"order":"lots"}"#)),
            key: hex(key.verifying_key().as_bytes()),
            randomness: source,
            one_lot_per: OneLotPer::Browser,
            identified_by: Vec::new(),
        };
        let mut log = JoinLog::default();
        (0..count).for_each(|index| _ = log.append(leaf(&[index; 16], u64::from(index))));
        let ticket = |(ticket, leaf): (u32, &Leaf)| Drawn { ticket, leaf: hex(leaf), number: 0 };
        let tickets = (0..).zip(log.leaves()).map(ticket).collect();
        let commitment = Commitment {
            kind: Commitment::KIND.to_owned(),
            v: 1,
            room: "main".to_owned(),
            rules: String::new(),
            round: rules.round(),
            count: log.count(),
            root: hex(&log.root()),
            closed_at_ms: opens_at_ms,
            signed_at_ms: opens_at_ms + 1_000,
        };
        let mut parts = Self { key, rules, voids: Vec::new(), commitment, randomness: None, tickets };
        parts.bind();
        parts
    }

    /// Round 1000, by the rules.
    fn drand() -> Self {
        let source = Source::Drand { chain: drand::QUICKNET.to_owned(), round: 1_000 };
        let mut parts = Self::of(source, at(1_000) - 60_000, COUNT);
        parts.randomness = Some(signature(1_000));
        parts.draw();
        parts
    }

    /// A notary and the office.
    fn reveals() -> Self {
        let secrets = [("office", false, [1; 32]), ("notary", true, [2; 32])];
        let party = |(name, outside, secret): (&str, bool, [u8; 32])| Party {
            name: name.to_owned(),
            outside,
            commitment: hex(&reveal::commitment("main", name, &secret)),
        };
        let reveal = |(name, _, secret): (&str, bool, [u8; 32])| Reveal {
            name: name.to_owned(),
            secret: hex(&secret),
        };
        let source = Source::Reveals { parties: secrets.into_iter().map(party).collect() };
        let mut parts = Self::of(source, 1_800_000_000_000, COUNT);
        parts.randomness = Some(Randomness::Reveals(secrets.into_iter().map(reveal).collect()));
        parts.draw();
        parts
    }

    /// Round 123 was missed, round 1000 counts.
    fn void() -> Self {
        let source = Source::Drand { chain: drand::QUICKNET.to_owned(), round: 123 };
        let mut parts = Self::of(source, at(123) - 60_000, COUNT);
        parts.commitment.round = Some(1_000);
        parts.commitment.signed_at_ms = at(123) + 2_000;
        parts.voids = vec![Void {
            kind: Void::KIND.to_owned(),
            v: 1,
            room: "main".to_owned(),
            rules: parts.commitment.rules.clone(),
            round: 123,
            next_round: 1_000,
            signed_at_ms: at(123),
        }];
        parts.randomness = Some(signature(1_000));
        parts.draw();
        parts
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(serde_json::to_string(&self.rules).unwrap()).into()
    }

    /// All statements name the rules as they are.
    fn bind(&mut self) {
        let hash = hex(&self.hash());
        self.voids.iter_mut().for_each(|void| void.rules.clone_from(&hash));
        self.commitment.rules = hash;
    }

    /// Everybody has the number that follows from the other parts.
    fn draw(&mut self) {
        let randomness = self.randomness.as_ref().unwrap();
        let bytes = randomness.bytes(&self.rules, self.commitment.round).unwrap();
        let draw = self.commitment.fixed(self.hash()).unwrap().draw(&bytes);
        for (ticket, number) in self.tickets.iter_mut().zip(draw.numbers()) {
            ticket.number = number;
        }
    }

    /// The same for so many of them.
    fn for_the_first(mut self, count: usize) -> Self {
        self.tickets.truncate(count);
        let mut log = JoinLog::default();
        self.tickets.iter().for_each(|ticket| _ = log.append(from_hex(&ticket.leaf).unwrap()));
        (self.commitment.count, self.commitment.root) = (log.count(), hex(&log.root()));
        self.draw();
        self
    }

    fn text(&self) -> String {
        let mut lines = vec![self.rules.seal(&self.key)];
        lines.extend(self.voids.iter().map(|void| void.seal(&self.key)));
        lines.push(self.commitment.seal(&self.key));
        lines.extend(self.randomness.iter().map(|told| serde_json::to_string(told).unwrap()));
        lines.extend(self.tickets.iter().map(|ticket| serde_json::to_string(ticket).unwrap()));
        lines.join("\n")
    }

    fn verify(&self) -> Result<Verified, DrawError> {
        verify(&self.text(), &self.key.verifying_key(), &Kept::default())
    }
}

/// A good draw of each kind.
fn good() -> [Parts; 3] {
    [Parts::drand(), Parts::reveals(), Parts::void()]
}

fn refused(parts: &Parts) -> DrawError {
    parts.verify().expect_err("a forged draw is believed")
}

#[test]
fn a_good_draw_is_believed_and_gives_everybody_one_number() {
    for parts in good() {
        let verified = parts.verify().unwrap();
        assert_eq!((verified.draw.count, verified.commitment.count), (COUNT.into(), COUNT.into()));
        let log = parts.tickets.iter().fold(JoinLog::default(), |mut log, ticket| {
            log.append(from_hex(&ticket.leaf).unwrap()).unwrap();
            log
        });
        let written: Vec<String> = lines(&log, &verified.draw).collect();
        let told: Vec<String> =
            parts.tickets.iter().map(|ticket| serde_json::to_string(ticket).unwrap()).collect();
        assert_eq!(written, told);
    }
    let nobody = Parts::of(Parts::drand().rules.randomness, at(1_000) - 60_000, 0);
    let nobody = Parts { randomness: Some(signature(1_000)), ..nobody };
    assert_eq!(nobody.verify().unwrap().draw.count, 0, "nobody came");
}

/// Lines of all kinds, and an uneven tree: more tickets have no other bytes.
#[test]
fn no_byte_of_a_draw_can_be_changed() {
    for parts in good().map(|parts| parts.for_the_first(5)) {
        let (text, key) = (parts.text(), parts.key.verifying_key());
        verify(&text, &key, &Kept::default()).expect("unchanged it is good");
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert!(verify(&changed, &key, &Kept::default()).is_err(), "byte {at}: {changed}");
        }
    }
}

#[test]
fn a_swapped_number_is_found() {
    for mut parts in good() {
        let (told, drawn) = (parts.tickets[9].number, parts.tickets[3].number);
        parts.tickets[3].number = told;
        parts.tickets[9].number = drawn;
        assert_eq!(refused(&parts), DrawError::Number { index: 3, told, drawn });
    }
}

#[test]
fn a_swapped_place_in_the_log_is_found() {
    for mut parts in good() {
        let leaf = parts.tickets[3].leaf.clone();
        parts.tickets[3].leaf = std::mem::replace(&mut parts.tickets[9].leaf, leaf);
        assert_eq!(refused(&parts), DrawError::Root);
    }
}

#[test]
fn a_dropped_ticket_is_found() {
    for parts in good() {
        let mut gap = parts.clone();
        gap.tickets.remove(5);
        assert_eq!(refused(&gap), DrawError::Dropped(5));
        let mut closed = gap.clone();
        (0..).zip(&mut closed.tickets).for_each(|(index, ticket)| ticket.ticket = index);
        assert_eq!(refused(&closed), DrawError::Count { listed: 39, committed: 40 });
        // Hidden by a phantom in its place.
        let mut replaced = parts.clone();
        replaced.tickets[5].leaf = hex(&[9; 32]);
        assert_eq!(refused(&replaced), DrawError::Root);
        let mut last = parts.clone();
        last.tickets.pop();
        assert_eq!(refused(&last), DrawError::Count { listed: 39, committed: 40 });
    }
}

#[test]
fn a_ticket_dropped_before_the_commitment_is_found_by_its_receipt() {
    let told = |parts: &Parts, index: u8, number: u64| {
        let receipt = Receipt {
            kind: "receipt".to_owned(),
            v: 1,
            room: "main".to_owned(),
            rules: parts.rules.line.clone(),
            epoch: 1,
            number,
            leaf: hex(&leaf(&[index; 16], u64::from(index))),
            time_ms: 0,
        };
        parts.verify().unwrap().place_of(&receipt)
    };
    let parts = Parts::drand();
    let drawn = parts.tickets[5].number;
    assert_eq!(told(&parts, 5, 0), Ok((5, drawn)));
    assert_eq!(told(&parts, 5, drawn), Ok((5, drawn)));
    let other = drawn + 1;
    assert_eq!(told(&parts, 5, other), Err(DrawError::Number { index: 5, told: other, drawn }));
    assert_eq!(told(&parts, COUNT, 0), Err(DrawError::NotDrawn));
}

#[test]
fn a_doubled_ticket_is_found() {
    for parts in good() {
        let mut twice = parts.clone();
        twice.tickets.insert(6, parts.tickets[5].clone());
        assert_eq!(refused(&twice), DrawError::Doubled(5));
        // Under an index of its own, and committed to.
        let mut again = parts.clone();
        again.tickets.push(Drawn { ticket: COUNT.into(), ..parts.tickets[5].clone() });
        again.commitment.count += 1;
        assert_eq!(refused(&again), DrawError::Doubled(COUNT.into()));
        let mut phantom = parts.clone();
        phantom.tickets.push(Drawn { ticket: COUNT.into(), leaf: hex(&[9; 32]), number: 1 });
        assert_eq!(refused(&phantom), DrawError::Count { listed: 41, committed: 40 });
    }
}

#[test]
fn a_wrong_round_is_found() {
    let mut later = Parts::drand();
    later.randomness = Some(signature(1_001));
    assert_eq!(refused(&later), DrawError::WrongRound { told: 1_001, must: 1_000 });
    let mut renamed = Parts::drand();
    let Randomness::Drand { signature: of_1001, .. } = signature(1_001) else { unreachable!() };
    renamed.randomness = Some(Randomness::Drand { round: 1_000, signature: of_1001 });
    assert!(matches!(refused(&renamed), DrawError::Randomness(_)));
    let mut committed = Parts::drand();
    committed.commitment.round = Some(1_001);
    committed.randomness = Some(signature(1_001));
    assert_eq!(refused(&committed), DrawError::WrongRound { told: 1_001, must: 1_000 });
    let mut absent = Parts::drand();
    absent.commitment.round = None;
    assert_eq!(refused(&absent), DrawError::WrongRound { told: 0, must: 1_000 });
}

#[test]
fn changed_rules_are_found() {
    let published = Parts::drand();
    let mut changed = published.clone();
    changed.rules.line = hex(&Sha256::digest(r#"{"order":"friends first"}"#));
    assert!(matches!(refused(&changed), DrawError::OtherRules { .. }), "bound to others");
    changed.bind();
    changed.draw();
    assert!(changed.verify().is_ok(), "by itself it is a good draw");
    let (rules, key) = (published.rules.seal(&published.key), published.key.verifying_key());
    let kept = Kept { rules: Some(&rules), commitment: None };
    assert_eq!(verify(&changed.text(), &key, &kept).unwrap_err(), DrawError::ChangedRules);
    assert!(verify(&published.text(), &key, &kept).is_ok());
}

#[test]
fn a_second_commitment_is_proof_of_fraud() {
    for parts in good() {
        let key = parts.key.verifying_key();
        let mut other = parts.commitment.clone();
        other.root = hex(&[9; 32]);
        let (kept, foreign) = (other.seal(&parts.key), other.seal(&SigningKey::from_bytes(&[8; 32])));
        let believed = |kept: &str| {
            let kept = Kept { rules: None, commitment: Some(kept) };
            verify(&parts.text(), &key, &kept).map(|verified| verified.commitment)
        };
        assert_eq!(believed(&kept), Err(DrawError::SecondCommitment));
        let same = parts.commitment.seal(&parts.key);
        assert_eq!(believed(&same), Ok(parts.commitment.clone()));
        let error = ProofError::Forged;
        assert_eq!(believed(&foreign), Err(DrawError::Statement { name: "commitment", error }));
        let listed = parts.text().replace(&same, &format!("{same}\n{kept}"));
        assert_eq!(verify(&listed, &key, &Kept::default()).unwrap_err(), DrawError::SecondCommitment);
        // Later by a second is another one as well: the operator had a choice.
        other = Commitment { signed_at_ms: parts.commitment.signed_at_ms + 1, ..parts.commitment.clone() };
        assert_eq!(believed(&other.seal(&parts.key)), Err(DrawError::SecondCommitment));
    }
}

#[test]
fn a_commitment_stands_in_time_only() {
    let commitment = |change: fn(&mut Commitment)| {
        let mut parts = Parts::drand();
        change(&mut parts.commitment);
        parts.verify().err()
    };
    assert_eq!(commitment(|told| told.signed_at_ms = at(1_000) - 30_000), None, "the last moment");
    let late = commitment(|told| told.signed_at_ms = at(1_000) - 29_999);
    assert!(late.unwrap().to_string().contains("void"));
    assert!(commitment(|told| told.closed_at_ms -= 1).is_some(), "counted before opening");
    assert!(commitment(|told| told.signed_at_ms = told.closed_at_ms - 1).is_some(), "before counting");
    assert!(commitment(|told| told.room = "other".to_owned()).is_some());
    assert!(commitment(|told| told.kind = Rules::KIND.to_owned()).is_some());
    assert!(commitment(|told| told.v = 2).is_some());
    assert!(commitment(|told| told.root.truncate(62)).is_some());
}

#[test]
fn a_void_needs_a_reason_and_time_ahead() {
    let void = |change: fn(&mut Void)| {
        let mut parts = Parts::void();
        change(&mut parts.voids[0]);
        parts.verify().err()
    };
    assert_eq!(void(|_| {}), None);
    let early = void(|void| void.signed_at_ms = at(123) - 30_000).unwrap().to_string();
    assert!(early.contains("still time"), "{early}");
    let near = void(|void| void.signed_at_ms = at(1_000) - 599_000).unwrap().to_string();
    assert!(near.contains("10 min"), "{near}");
    assert_eq!(void(|void| void.round = 122), Some(DrawError::WrongRound { told: 122, must: 123 }));
    assert!(void(|void| void.room = "other".to_owned()).is_some());
    let mut twice = Parts::void();
    twice.voids.push(twice.voids[0].clone());
    assert_eq!(refused(&twice), DrawError::WrongRound { told: 123, must: 1_000 });
    let mut by_parties = Parts::reveals();
    by_parties.voids = Parts::void().voids;
    by_parties.bind();
    assert!(refused(&by_parties).to_string().contains("waits"));
    let mut unsaid = Parts::void();
    unsaid.voids.clear();
    assert_eq!(refused(&unsaid), DrawError::WrongRound { told: 1_000, must: 123 });
}

#[test]
fn without_all_of_the_randomness_nothing_is_drawn() {
    for parts in good() {
        let waiting = Parts { randomness: None, ..parts };
        assert!(matches!(refused(&waiting), DrawError::Held(_)));
    }
    let reveals = |change: fn(&mut Vec<Reveal>)| {
        let mut parts = Parts::reveals();
        let Some(Randomness::Reveals(reveals)) = &mut parts.randomness else { unreachable!() };
        change(reveals);
        refused(&parts)
    };
    assert_eq!(reveals(|told| _ = told.pop()), DrawError::Held("the secret of notary is missing".to_owned()));
    let other = reveals(|told| told[1].secret = hex(&[3; 32])).to_string();
    assert!(other.contains("not the one that it promised"), "{other}");
    assert!(matches!(reveals(|told| told.push(told[0].clone())), DrawError::Randomness(_)));
    let stranger = |told: &mut Vec<Reveal>| {
        told.push(Reveal { name: "friend".to_owned(), secret: hex(&[4; 32]) });
    };
    assert!(matches!(reveals(stranger), DrawError::Randomness(_)));
    let mut switched = Parts::reveals();
    switched.randomness = Some(signature(1_000));
    assert!(refused(&switched).to_string().contains("another source"), "the source is never switched");
}

#[test]
fn rules_that_allow_no_fair_draw_are_refused() {
    let rules = |mut parts: Parts, change: fn(&mut Rules)| {
        change(&mut parts.rules);
        parts.bind();
        refused(&parts)
    };
    let parties = |change: fn(&mut Vec<Party>)| {
        let mut parts = Parts::reveals();
        let Source::Reveals { parties } = &mut parts.rules.randomness else { unreachable!() };
        change(parties);
        parts.bind();
        refused(&parts)
    };
    for bad in [
        rules(Parts::drand(), |rules| rules.opens_at_ms += 1),
        rules(Parts::drand(), |rules| rules.key = hex(&[1; 32])),
        rules(Parts::drand(), |rules| rules.v = 2),
        rules(Parts::drand(), |rules| rules.line.clear()),
        rules(Parts::drand(), |rules| {
            rules.randomness = Source::Drand { chain: hex(&[1; 32]), round: 1_000 };
        }),
        parties(|parties| _ = parties.pop()),
        parties(|parties| parties[1].outside = false),
        parties(|parties| parties[1].name = parties[0].name.clone()),
        parties(|parties| parties[1].commitment = parties[0].commitment.clone()),
        parties(|parties| parties[1].commitment.clear()),
    ] {
        assert!(matches!(bad, DrawError::Rules(_)), "{bad:?}");
    }
}

#[test]
fn a_party_s_commitment_is_its_own() {
    let secret = [5; 32];
    let of = |room, name| reveal::commitment(room, name, &secret);
    assert_ne!(of("main", "notary"), of("main", "office"));
    assert_ne!(of("main", "notary"), of("mainn", "otary"));
}

#[test]
fn every_part_must_be_there_in_its_place() {
    for parts in good() {
        let (text, key) = (parts.text(), parts.key.verifying_key());
        let lines: Vec<&str> = text.lines().collect();
        for left_out in 0..lines.len() {
            let mut lines = lines.clone();
            lines.remove(left_out);
            assert!(verify(&lines.join("\n"), &key, &Kept::default()).is_err(), "line {left_out}");
        }
        for stranger in ["", "{}", r#"{"ticket":0,"leaf":"","number":1}"#, &seal("board", "{}", &parts.key)] {
            for at in 0..=lines.len() {
                let mut lines = lines.clone();
                lines.insert(at, stranger);
                // A text may end with a line's end.
                let is_end = at == lines.len() - 1 && stranger.is_empty();
                let told = verify(&lines.join("\n"), &key, &Kept::default());
                assert_eq!(told.is_ok(), is_end, "{stranger:?} at line {at}");
            }
        }
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
        assert!(verify(&text, &other, &Kept::default()).is_err());
    }
    assert!(verify("", &Parts::drand().key.verifying_key(), &Kept::default()).is_err());
}

proptest! {
    #[test]
    fn no_two_lines_can_be_exchanged_or_repeated(one in 0_usize..43, other in 0_usize..43, repeat: bool) {
        let parts = Parts::drand();
        let text = parts.text();
        let mut lines: Vec<&str> = text.lines().collect();
        prop_assume!(one != other);
        if repeat {
            lines.insert(one, lines[other]);
        } else {
            lines.swap(one, other);
        }
        let told = verify(&lines.join("\n"), &parts.key.verifying_key(), &Kept::default());
        // The same commitment, said again before the first ticket, says nothing new.
        prop_assert!(told.is_err() || (repeat && other == 1 && (2..=3).contains(&one)), "{one} {other}");
    }
}
