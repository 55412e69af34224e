//! What was told is believed, and nothing that was done to it afterwards.

use super::verify::{Verified, head_of_board, own, verify};
use super::*;
use crate::proof::sealed::ProofError;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn entry(index: u64, prev: String, arrived: u64, event: Option<Event>) -> Entry {
    Entry {
        kind: Entry::KIND.to_owned(),
        v: 1,
        room: "main".to_owned(),
        index,
        prev,
        from_ms: 1_800_000_000_000 + 60_000 * index,
        to_ms: 1_800_000_060_000 + 60_000 * index,
        counts: Counts { arrived, admitted: arrived / 2, ..Counts::default() },
        stood: Stood {
            state: "queueing".to_owned(),
            reason: None,
            epoch: 1,
            cursor: 3,
            issued: 9,
            seats: 2,
            inside: 1,
            limit: 4,
            remaining: None,
            statements: 0,
        },
        event,
    }
}

/// A log of so many lines; the last ones end otherwise where `other` says from when on.
fn lines(count: u64, other: u64) -> Vec<String> {
    let mut prev = nothing();
    let told = |index| {
        let event = (index == 0).then_some(Event::Start { clean: true });
        let (line, hash) = entry(index, prev.clone(), index + u64::from(index >= other), event).seal(&key());
        prev = hex(&hash);
        line
    };
    (0..count).map(told).collect()
}

fn check(lines: &[String]) -> Result<Verified, LogError> {
    verify(&lines.join("\n"), &key().verifying_key(), false)
}

#[test]
fn a_whole_log_is_believed_and_summed_up() {
    let all = lines(6, u64::MAX);
    let log = check(&all).unwrap();
    assert_eq!((log.totals.arrived, log.totals.admitted, log.lost), (15, 6, 0));
    assert_eq!(log.head(), own(&all[5], &key().verifying_key()).unwrap().1);
    assert!(log.to_string().contains("arrived 15, queued 0, admitted 6"), "{log}");
    assert_eq!(log.events, [(0, 1_800_000_060_000, Event::Start { clean: true })]);
}

#[test]
fn lines_taken_out_doubled_or_moved_are_found() {
    let all = lines(6, u64::MAX);
    for at in 1..5 {
        let mut cut = all.clone();
        cut.remove(at);
        assert_eq!(check(&cut).unwrap_err(), LogError::Missing { must: at as u64, found: at as u64 + 1 });
        let mut doubled = all.clone();
        doubled.insert(at, all[at].clone());
        assert_eq!(check(&doubled).unwrap_err(), LogError::Doubled(at as u64));
        let mut moved = all.clone();
        moved.swap(at, at + 1);
        assert_eq!(check(&moved).unwrap_err(), LogError::Missing { must: at as u64, found: at as u64 + 1 });
        let mut again = all.clone();
        again.push(all[at].clone());
        assert_eq!(check(&again).unwrap_err(), LogError::OutOfOrder { must: 6, found: at as u64 });
    }
    assert_eq!(check(&all[2..]).unwrap_err(), LogError::Missing { must: 0, found: 2 });
    assert!(verify(&all[2..].join("\n"), &key().verifying_key(), true).is_ok(), "said to be a part");
    assert_eq!(check(&[]).unwrap_err(), LogError::Empty);
}

#[test]
fn no_changed_byte_and_no_other_signature_is_believed() {
    let all = lines(3, u64::MAX);
    for at in 0..all[1].len() {
        let mut bytes = all[1].clone().into_bytes();
        bytes[at] ^= 1;
        let changed = vec![all[0].clone(), String::from_utf8_lossy(&bytes).into_owned(), all[2].clone()];
        assert!(check(&changed).is_err(), "byte {at}");
    }
    let (foreign, _) = entry(0, nothing(), 0, None).seal(&SigningKey::from_bytes(&[8; 32]));
    assert_eq!(check(&[foreign]).unwrap_err(), LogError::Line { line: 1, error: ProofError::Forged });
    let receipt = seal("entry", r#"{"kind":"receipt","v":1}"#, &key());
    assert!(matches!(check(&[receipt]).unwrap_err(), LogError::Line { line: 1, .. }));
}

#[test]
fn a_second_entry_with_one_index_is_proof_of_fraud() {
    let (all, other) = (lines(6, u64::MAX), lines(6, 3));
    let both = [&all[..], &other[3..4]].concat();
    assert_eq!(check(&both).unwrap_err(), LogError::Forked(3));
    let (one, two) = (check(&all).unwrap(), check(&other).unwrap());
    assert_eq!(one.agrees(&two), Err(LogError::Forked(3)));
    assert_eq!(one.agrees(&check(&all[..4]).unwrap()), Ok(()));
    // A line of the other log in the place of this one's does not fit what follows.
    let mixed = [&all[..3], &other[3..4], &all[4..]].concat();
    assert_eq!(check(&mixed).unwrap_err(), LogError::Broken(4));
}

#[test]
fn a_chain_must_begin_at_its_beginning_and_be_of_one_room() {
    let (line, _) = entry(0, hex(&[1; 32]), 0, None).seal(&key());
    assert_eq!(check(&[line]).unwrap_err(), LogError::Broken(0));
    let all = lines(1, u64::MAX);
    let prev = hex(&check(&all).unwrap().head().hash);
    let other = Entry { room: "other".to_owned(), ..entry(1, prev.clone(), 0, None) };
    assert_eq!(check(&[all[0].clone(), other.seal(&key()).0]).unwrap_err(), LogError::OtherRoom(1));
    let late = Entry { from_ms: 1_800_000_060_001, ..entry(1, prev.clone(), 0, None) };
    assert_eq!(check(&[all[0].clone(), late.seal(&key()).0]).unwrap_err(), LogError::Time(1));
    let backwards = Entry { to_ms: 1_800_000_000_000, ..entry(1, prev.clone(), 0, None) };
    assert_eq!(check(&[all[0].clone(), backwards.seal(&key()).0]).unwrap_err(), LogError::Time(1));
    let gap = Entry { from_ms: 1_800_000_060_001, ..entry(1, prev, 0, Some(Event::Start { clean: false })) };
    let found = check(&[all[0].clone(), gap.seal(&key()).0]).unwrap();
    assert_eq!(found.lost, 1);
    assert!(found.to_string().contains("incomplete: 1 times"), "{found}");
}

#[test]
fn nobody_comes_after_the_end() {
    let mut prev = nothing();
    let mut told = |index, arrived, event| {
        let (line, hash) = entry(index, prev.clone(), arrived, event).seal(&key());
        prev = hex(&hash);
        line
    };
    let ended = Event::Ended { erased: vec!["people".to_owned()] };
    let all = [told(0, 1, Some(ended)), told(1, 0, Some(Event::Stop)), told(2, 1, None)];
    assert!(check(&all[..2]).is_ok());
    assert_eq!(check(&all).unwrap_err(), LogError::AfterTheEnd(2));
}

#[test]
fn a_board_names_the_log_that_it_stood_beside() {
    let (all, other) = (lines(6, u64::MAX), lines(6, 3));
    let log = check(&all).unwrap();
    let board = |head: &str| seal("board", &format!(r#"{{"v":1,"room":"main","log":"{head}"}}"#), &key());
    let public = key().verifying_key();
    let named =
        |lines: &[String]| head_of_board(&board(&check(lines).unwrap().head().to_string()), &public).unwrap();
    for known in 1..=6 {
        assert_eq!(log.holds(named(&all[..known])), Ok(()));
    }
    assert_eq!(log.holds(named(&other)), Err(LogError::Forked(5)));
    let cut = check(&all[..4]).unwrap();
    assert_eq!(cut.holds(named(&all)), Err(LogError::CutOff { last: 3, board: 5 }));
    for bad in ["", "5", "5:00", "05:0000000000000000000000000000000000000000000000000000000000000000"] {
        assert_eq!(head_of_board(&board(bad), &public), Err(LogError::NoHead), "{bad}");
    }
    assert!(matches!(head_of_board(&all[0], &public), Err(LogError::Line { .. })), "an entry is no board");
}
