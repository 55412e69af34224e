//! The draw as people check it: by the command, and by a program that shares no code with ours.

use std::path::Path;
use std::process::{Command, Output};

use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha256};
use tornello::admission::UnixTime;
use tornello::admission::draw::log::JoinLog;
use tornello::admission::draw::shuffle;
use tornello::admission::ticket::{Claims, Kind, RoomId};
use tornello::proof::draw::commitment::Commitment;
use tornello::proof::draw::document;
use tornello::proof::draw::drand::{QUICKNET, time_of};
use tornello::proof::draw::randomness::Randomness;
use tornello::proof::draw::reveal::{self, Party, Reveal};
use tornello::proof::draw::rules::{OneLotPer, Rules, Source};
use tornello::proof::sealed::seal;
use tornello::proof::{hex, receipt};

const COUNT: u64 = 1_500;
/// Round 1000 of quicknet, as api.drand.sh gave it.
const ROUND: u64 = 1_000;
const SIGNATURE: &str =
    "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// A draw, a line a statement, and its seed.
fn drawn(source: Source, randomness: &Randomness, opens_at_ms: u64) -> Vec<String> {
    let rules = Rules {
        kind: Rules::KIND.to_owned(),
        v: 1,
        room: "main".to_owned(),
        epoch: 1,
        opens_at_ms,
        line: hex(&[0; 32]),
        key: hex(key().verifying_key().as_bytes()),
        randomness: source,
        one_lot_per: OneLotPer::Browser,
        identified_by: Vec::new(),
    };
    let mut log = JoinLog::default();
    for index in 0..COUNT {
        log.append(receipt::leaf(&id(index), index)).unwrap();
    }
    let hash: [u8; 32] = Sha256::digest(serde_json::to_string(&rules).unwrap()).into();
    let commitment = Commitment {
        kind: Commitment::KIND.to_owned(),
        v: 1,
        room: "main".to_owned(),
        rules: hex(&hash),
        round: rules.round(),
        count: log.count(),
        root: hex(&log.root()),
        closed_at_ms: opens_at_ms,
        signed_at_ms: opens_at_ms,
    };
    let bytes = randomness.bytes(&rules, rules.round()).unwrap();
    let draw = commitment.fixed(hash).unwrap().draw(&bytes);
    let mut lines =
        vec![rules.seal(&key()), commitment.seal(&key()), serde_json::to_string(randomness).unwrap()];
    lines.extend(document::lines(&log, &draw));
    lines
}

fn by_drand() -> Vec<String> {
    let UnixTime(time_ms) = time_of(ROUND);
    let source = Source::Drand { chain: QUICKNET.to_owned(), round: ROUND };
    let randomness = Randomness::Drand { round: ROUND, signature: SIGNATURE.to_owned() };
    drawn(source, &randomness, time_ms - 60_000)
}

fn by_parties() -> Vec<String> {
    let secrets = [("office", [1; 32]), ("notary", [2; 32])];
    let party = |(name, secret): (&str, [u8; 32])| Party {
        name: name.to_owned(),
        outside: name == "notary",
        commitment: hex(&reveal::commitment("main", name, &secret)),
    };
    // Told in another order than the rules take them in.
    let told =
        secrets.iter().rev().map(|(name, secret)| Reveal { name: (*name).to_owned(), secret: hex(secret) });
    let source = Source::Reveals { parties: secrets.into_iter().map(party).collect() };
    drawn(source, &Randomness::Reveals(told.collect()), 1_800_000_000_000)
}

fn id(index: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&index.to_le_bytes());
    id
}

fn public() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(key().verifying_key().as_bytes())
}

fn verify(file: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tornello"));
    command.args(["verify", "draw"]).arg(file).args(["--key", &public()]).args(more).output().unwrap()
}

fn python(arguments: &[&str]) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/draw/numbers.py");
    Command::new("/usr/bin/python3").arg(script).args(arguments).output().unwrap()
}

#[test]
fn an_independent_program_draws_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("draw.jsonl");
    for mut lines in [by_drand(), by_parties()] {
        std::fs::write(&file, lines.join("\n")).unwrap();
        let told = python(&[file.to_str().unwrap()]);
        assert_eq!(String::from_utf8_lossy(&told.stdout), format!("{COUNT}\n"), "{told:?}");
        let wrong = lines.last().unwrap().replace(r#""number":"#, r#""number":1"#);
        *lines.last_mut().unwrap() = wrong;
        std::fs::write(&file, lines.join("\n")).unwrap();
        assert!(!python(&[file.to_str().unwrap()]).status.success(), "it looks");
    }
    for count in [1_u32, 2, 3, 7, 255, 256, 257, 511, 1_000, 3_001] {
        let seed: [u8; 32] = Sha256::digest(count.to_le_bytes()).into();
        let told = python(&[&hex(&seed), &count.to_string()]);
        let ours: Vec<String> = shuffle::all(count, &seed).iter().map(u32::to_string).collect();
        assert_eq!(String::from_utf8_lossy(&told.stdout).trim_end(), ours.join(" "), "{count}");
    }
}

#[test]
fn a_draw_is_checked_by_the_command_and_forgeries_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let told = |lines: &[String], more: &[&str]| {
        std::fs::write(at("draw.jsonl"), lines.join("\n")).unwrap();
        let told = verify(&at("draw.jsonl"), more);
        let text = [told.stdout, told.stderr].concat();
        (told.status.code(), String::from_utf8(text).unwrap())
    };
    let lines = by_drand();
    let (code, text) = told(&lines, &[]);
    assert!(code == Some(0) && text.starts_with("good: 1500 tickets of room main"), "{text}");
    assert!(told(&by_parties(), &[]).1.contains("drawn by the secrets of all parties"));
    let swap = |lines: &mut Vec<String>| {
        let number = |line: &str| line.rsplit_once(':').unwrap().1.to_owned();
        let (one, other) = (number(&lines[10]), number(&lines[20]));
        lines[10] = lines[10].replace(&format!(":{one}"), &format!(":{other}"));
        lines[20] = lines[20].replace(&format!(":{other}"), &format!(":{one}"));
    };
    let other_round = |lines: &mut Vec<String>| lines[2] = lines[2].replace("1000", "1001");
    let second = |lines: &mut Vec<String>| {
        let body = lines[1].split_once(r#"{"commitment":"#).unwrap().1;
        let body = body.split_once(r#","key""#).unwrap().0.replace(r#""count":1500"#, r#""count":1499"#);
        lines.insert(2, seal("commitment", &body, &key()));
    };
    type Forgery<'a> = (&'a dyn Fn(&mut Vec<String>), &'a str);
    let forgeries: [Forgery<'_>; 8] = [
        (&swap, "is listed with number"),
        (&|lines| _ = lines.remove(10), "ticket 7 was dropped"),
        (&|lines| lines.insert(10, lines[10].clone()), "ticket 7 is in the list twice"),
        (&other_round, "wrong round of drand: 1001 is told, 1000 counts"),
        (
            &|lines| lines[0] = lines[0].replace(r#""epoch":1"#, r#""epoch":2"#),
            "rules: not signed by this key",
        ),
        (&|lines| lines[0] = by_parties().swap_remove(0), "changed rules"),
        (&second, "proof of fraud"),
        (&|lines| _ = lines.remove(2), "nothing is drawn yet"),
    ];
    for (forge, why) in forgeries {
        let mut lines = lines.clone();
        forge(&mut lines);
        let (code, text) = told(&lines, &[]);
        assert!(code == Some(1) && text.contains(why), "{why}: {code:?} {text}");
    }
    let kept = |name: &str, text: &str| {
        std::fs::write(at(name), text).unwrap();
        at(name).to_str().unwrap().to_owned()
    };
    let (own, other) = (kept("own", &lines[0]), kept("other", &by_parties()[0]));
    assert_eq!(told(&lines, &["--rules", &own]).0, Some(0));
    assert!(
        told(&lines, &["--rules", &other]).1.contains("changed rules: these are not the ones that you kept")
    );
    let mut forged = lines.clone();
    second(&mut forged);
    let second = kept("second", &forged[2]);
    assert!(told(&lines, &["--commitment", &second]).1.contains("proof of fraud"));
    assert_eq!(told(&lines, &["--commitment", &kept("first", &lines[1])]).0, Some(0));
    let ticket = |index: u64| {
        let room = RoomId::of("main");
        let time = UnixTime(0);
        let claims = Claims {
            kind: Kind::Ticket,
            room,
            epoch: 1,
            number: index,
            index: None,
            time,
            id: id(index),
            moves: 0,
        };
        // Before the draw a place has an index and no number.
        let number = format!(r#""number":{index},"#);
        let body = receipt::body("main", &hex(&[0; 32]), &claims).replace(&number, r#""number":0,"#);
        kept("receipt", &seal("receipt", &body, &key()))
    };
    let yours = told(&lines, &["--receipt", &ticket(7)]);
    assert!(yours.0 == Some(0) && yours.1.contains("this receipt: ticket 7, number "), "{}", yours.1);
    assert!(told(&lines, &["--receipt", &ticket(COUNT)]).1.contains("was not among those drawn"));
    let missing = verify(&at("nowhere"), &[]);
    assert_eq!(missing.status.code(), Some(2));
}
