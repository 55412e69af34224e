//! kill -9 in mid-rush, again and again, against the real binary: what was answered is true afterwards.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::task::JoinSet;

use crate::process::{Process, configuration};
use crate::stage::{Got, Origin, ask, try_ask, until, visit};

const ROOM: &str = "/.tornello/v1/rooms/main";
const CYCLES: u32 = 50;
const MANY_CYCLES: u32 = 1_000;
const JOINS: usize = 12;
/// Everybody is looked after in each of the first cycles, at the end, and every so many between; in the others
/// those who were heard of last, so that a thousand cycles take no thousand times as long as one.
const ALL_UNTIL: u32 = 50;
const ALL_EVERY: u32 = 50;
const LATEST: usize = 40;

/// Everything that was answered.
#[derive(Default)]
struct Told {
    /// Ticket by number: a place that nobody gave up or used.
    places: BTreeMap<u64, String>,
    /// Tickets, and passes if there was one, that were told to be over.
    over: Vec<(String, Option<String>)>,
}

async fn post(process: &Process, endpoint: &str, ticket: &str) -> Got {
    ask(process.site, Method::POST, &format!("{ROOM}/{endpoint}"), &[("tornello-ticket", ticket)]).await
}

impl Told {
    /// Each place stands as it was told, and nothing that is over is back. Looks at those who were heard of
    /// last, as many as `most`.
    async fn check(&self, process: &Process, cycle: u32, most: usize) -> usize {
        for (number, ticket) in self.places.iter().rev().take(most) {
            let look =
                ask(process.site, Method::GET, &format!("{ROOM}/ticket"), &[("tornello-ticket", ticket)])
                    .await;
            let look = look.json();
            assert_eq!(look["number"].as_u64(), Some(*number), "cycle {cycle}: {look}");
            assert_ne!(look["state"], "done", "cycle {cycle}: place {number} is lost: {look}");
        }
        for (ticket, pass) in self.over.iter().rev().take(most) {
            let claimed = post(process, "claims", ticket).await;
            assert_eq!(claimed.status, StatusCode::GONE, "cycle {cycle}: {}", claimed.text());
            if let Some(pass) = pass {
                let got = visit(process.site, "/", pass).await;
                // Where nobody waits whoever comes goes in, by a pass of their own.
                let anew = got.status == StatusCode::OK && got.cookie().is_some();
                assert!(
                    anew || got.status == StatusCode::SERVICE_UNAVAILABLE,
                    "cycle {cycle}: a session is back"
                );
            }
        }
        self.places.len().min(most) + self.over.len().min(most)
    }

    /// One is called, goes in and ends its session; one that waits gives its place up.
    async fn use_and_leave(&mut self, process: &Process) {
        let (number, ticket) = self.places.pop_first().unwrap();
        let pass = until("the first goes in", || async {
            let got = post(process, "claims", &ticket).await;
            assert_ne!(got.status, StatusCode::GONE, "{number}: {}", got.text());
            (got.status == StatusCode::OK).then(|| got.cookie().unwrap())
        })
        .await;
        assert_eq!(visit(process.site, "/end", &pass).await.status, StatusCode::OK);
        self.over.push((ticket, Some(pass)));
        let (_, ticket) = self.places.pop_last().unwrap();
        let path = format!("{ROOM}/ticket");
        let left = ask(process.site, Method::DELETE, &path, &[("tornello-ticket", &ticket)]).await;
        assert_eq!(left.status, StatusCode::OK);
        self.over.push((ticket, None));
    }

    /// A rush that is cut off: whoever was answered has a place, and no number is given twice.
    async fn rush(&mut self, process: Process, cycle: u32) {
        let mut joining = JoinSet::new();
        let site = process.site;
        for _ in 0..JOINS {
            joining.spawn(async move {
                try_ask(site, Method::POST, &format!("{ROOM}/tickets"), &[], Bytes::new()).await
            });
        }
        for _ in 0..JOINS / 2 {
            self.hear(joining.join_next().await.unwrap().unwrap().ok(), cycle);
        }
        drop(process); // kill -9
        while let Some(answer) = joining.join_next().await {
            self.hear(answer.unwrap().ok(), cycle);
        }
    }

    fn hear(&mut self, answer: Option<Got>, cycle: u32) {
        let Some(got) = answer.filter(|got| got.status == StatusCode::CREATED) else { return };
        let Ok(json) = serde_json::from_slice::<serde_json::Value>(&got.body) else { return };
        let (number, ticket) = (json["number"].as_u64().unwrap(), json["ticket"].as_str().unwrap());
        let before = self.places.insert(number, ticket.to_owned());
        assert!(before.is_none(), "cycle {cycle}: {number} was given twice");
    }
}

async fn kill(cycles: u32) {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::ending().await);
    let file = configuration(folder.path(), origin.address, "idle = \"1s\"\n");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n[door]\nrate = \"1000/s\"\nburst = 100000\n")).unwrap();
    let mut told = Told::default();
    let mut checks = 0;
    for cycle in 1..=cycles {
        let process = Process::start(folder.path(), None);
        if cycle == 1 {
            // Somebody is inside, so that others wait.
            visit(process.site, "/", "").await;
        }
        let all = cycle <= ALL_UNTIL || cycle.is_multiple_of(ALL_EVERY);
        checks += told.check(&process, cycle, if all { usize::MAX } else { LATEST }).await;
        if cycle > 1 {
            told.use_and_leave(&process).await;
        }
        told.rush(process, cycle).await;
        if cycle.is_multiple_of(100) {
            println!("{cycle} kills: {} places stand, {} are over", told.places.len(), told.over.len());
        }
    }
    let process = Process::start(folder.path(), None);
    checks += told.check(&process, cycles + 1, usize::MAX).await;
    println!(
        "{cycles} kills: {} places stand, {} are over, 0 are lost, doubled or back, in {checks} looks",
        told.places.len(),
        told.over.len()
    );
    assert!(told.places.len() >= 2 * cycles as usize && told.over.len() == 2 * (cycles as usize - 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_in_mid_rush_lose_double_and_revive_nothing() {
    kill(CYCLES).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a quarter of an hour; part of `make torture`"]
async fn a_thousand_kills_in_mid_rush_lose_double_and_revive_nothing() {
    kill(std::env::var("TORNELLO_KILLS").map_or(MANY_CYCLES, |cycles| cycles.parse().unwrap())).await;
}
