//! Hostile and odd HTTP/1 over real sockets against the real process: what reaches the upstream is
//! never more than what was admitted, and always clean.
//!
//! `http1/` holds the cases, one file a chapter. Every case is one connection; its bytes stand as they
//! are sent, with `\r \n \t \\ \xNN` for what cannot be seen and `\{TEXT*N}` for N times TEXT. Line
//! breaks of the file are no data. A head `== NAME | RULE | WANT` begins a case; WANT is one of
//!
//! - `ok N`: N requests are forwarded, each answered with 200; `body=`, `target=`, `has=NAME:VALUE` and
//!   `not=NAME` say more of the last one
//! - `STATUS`: nothing is forwarded, the status is answered and the connection closed (`open`: may stay)
//! - `broken`: the body is faulty; no whole request is forwarded and the connection is closed
//! - `ok N then …`: first this, then that

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is its purpose"
)]

mod case;
mod client;
mod compare;
mod gateway;
mod mutant;
mod recorder;

use case::{Case, Then, cases};
use client::{Wait, talk};
use gateway::Gateway;
use recorder::Recorder;

/// What went otherwise than the case wants; nothing if all is well.
fn fault(case: &Case, gateway: &Gateway, recorder: &Recorder) -> Option<String> {
    recorder.forget();
    let want = &case.want;
    let wait = Wait { answers: want.answers(), close: want.closes() };
    let heard = talk(gateway.site, &case.bytes, &case.heads(), wait);
    let seen = recorder.seen();
    if let Some(unclean) = recorder.unclean() {
        return Some(format!("UNCLEAN: {unclean}"));
    }
    let whole = seen.len();
    if whole > want.forwarded {
        return Some(format!("SPLIT: {whole} requests reached the upstream"));
    }
    let mut statuses = vec![200; want.forwarded];
    match want.then {
        Then::Nothing | Then::Broken => {}
        Then::Refused { status, .. } => statuses.push(status),
    }
    let told = if want.then == Then::Broken {
        heard.statuses.get(..want.forwarded)
    } else {
        Some(&heard.statuses[..])
    };
    let broken_well =
        want.then != Then::Broken || heard.statuses.get(want.forwarded).is_none_or(|status| *status == 400);
    if told != Some(&statuses[..]) || !broken_well {
        return Some(format!("answers {:?}, {whole} forwarded", heard.statuses));
    }
    if whole != want.forwarded {
        return Some(format!("{whole} requests reached the upstream"));
    }
    if heard.bare {
        return Some("a refusal that does not say why".to_owned());
    }
    if want.closes() && !heard.closed {
        return Some("the connection stays open".to_owned());
    }
    let last = seen.last();
    want.checks.iter().find_map(|check| {
        let holds = last.is_some_and(|request| check.holds(request));
        (!holds).then(|| format!("{check:?} does not hold of {last:?}"))
    })
}

#[test]
fn every_case_of_the_corpus_ends_as_the_rules_say() {
    let recorder = Recorder::start();
    let gateway = Gateway::start(recorder.address);
    let cases = cases();
    assert!(cases.len() >= 300, "{} cases", cases.len());
    let faults: Vec<String> = cases
        .iter()
        .filter_map(|case| fault(case, &gateway, &recorder).map(|fault| format!("{case}: {fault}")))
        .collect();
    println!("{} cases, {} otherwise than wanted", cases.len(), faults.len());
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), cases.len(), faults.join("\n"));
}

/// Each leniency is a case that is taken; there are no others.
#[test]
fn what_is_taken_leniently_is_listed() {
    use tornello::edge::head::{LENIENCIES, Limits, verdicts};
    assert!(LENIENCIES.len() <= 4);
    let limits = Limits { head: 32 * 1024, target: 8 * 1024, fields: 100 };
    for lenient in [
        "one empty line before",
        "brackets as browsers send them",
        "braces in the query",
        "space before the extension",
        "high bytes in the value",
    ] {
        let all = cases();
        let case =
            all.iter().find(|case| case.name == lenient).unwrap_or_else(|| panic!("no case {lenient}"));
        assert_eq!(verdicts(&case.bytes, limits).1, None, "{lenient}");
    }
}

/// Ten thousand crossings and mutations of the cases; the same seed each time.
#[test]
fn no_mutant_splits_a_request_or_dirties_a_head() {
    let recorder = Recorder::start();
    let gateway = Gateway::start(recorder.address);
    let (mut splits, mut dirty, mut strange) = (Vec::new(), Vec::new(), Vec::new());
    let (mut forwarded, mut refused) = (0, 0);
    for mutant in mutant::mutants(&cases(), 10_000) {
        recorder.forget();
        let heard = talk(gateway.site, &mutant.bytes, &mutant.heads, mutant.wait);
        let whole = recorder.seen().len();
        let answered = heard.statuses.iter().filter(|status| **status == 200).count();
        forwarded += whole;
        refused += usize::from(mutant.wait.close);
        let shown = || mutant.bytes.escape_ascii().to_string();
        if whole > answered || whole > mutant.wait.answers {
            splits.push(shown());
        }
        if let Some(unclean) = recorder.unclean() {
            dirty.push(format!("{unclean} of {}", shown()));
        }
        if heard.bare || (mutant.wait.close && !heard.closed) {
            strange.push(shown());
        }
    }
    println!("{forwarded} requests forwarded, {refused} connections refused");
    println!("SPLIT {}, UNCLEAN {}, UNENDED {}", splits.len(), dirty.len(), strange.len());
    assert!(splits.is_empty(), "{splits:#?}");
    assert!(dirty.is_empty(), "{dirty:#?}");
    assert!(strange.is_empty(), "{strange:#?}");
    assert!(forwarded > 1_000 && refused > 1_000, "mutants that show something");
}
