//! What a room of ten million takes of memory after a restart, and how long the restart takes.
//!
//! The journal is filled as a gateway that was killed leaves it. The real binary is started on it; those who are
//! inside come with their passes, those who are called miss their calls, and some of them come back and say so.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tornello::admission::UnixTime;
use tornello::admission::moves::MoveNews;
use tornello::admission::number_set::NumberSet;
use tornello::admission::people::{Changes, People};
use tornello::admission::room::{Ends, RoomMarks};
use tornello::admission::ticket::{Claims, Key, KeyRing, Kind, RoomId};
use tornello::store::journal::{Entry, Journal};
use tornello::store::lots::LotsNews;
use tornello::store::reminders::ReminderNews;
use tornello::store::slots::SlotNews;

use crate::gateway::{Gateway, within};
use crate::wire::Wire;

const ROOM: &str = "/.tornello/v1/rooms/main";
/// Numbers given, and called.
const GIVEN: u64 = 10_000_000;
const CALLED: u64 = 1_000_000;
/// Of those called: whose visits are over, who is inside, who comes back after the missed call.
const OVER: u64 = 400_000;
const INSIDE: u64 = 100_000;
const BACK: u64 = 200_000;
/// People who are known, where people are.
const KNOWN: u64 = 1_000_000;

const CONNECTIONS: u64 = 64;
const CALL: Duration = Duration::from_secs(60);
/// Memory that was needed for a moment is given back by then.
const SETTLED: Duration = Duration::from_secs(15);

const MIB: f64 = 1_048_576.0;
const GROWTH_MAX_MIB: f64 = 64.0;
const KNOWN_MAX: f64 = 64.0;
const START_MAX: Duration = Duration::from_secs(1);

fn configuration(upstream: SocketAddr) -> String {
    let wide = "{ rate = \"1000000/s\", burst = 1000000 }";
    format!(
        "[door]\nrate = \"1000000/s\"\nburst = 1000000\nprefix = {wide}\naddress = {wide}\n\
         [upstream.app]\naddresses = [\"{upstream}\"]\nlimit = {{ law = \"fixed\", initial = 100 }}\n\
         [room.main]\nseats = {{ floor = {INSIDE}, ceiling = {INSIDE} }}\ncall = \"{}s\"\nidle = \"12h\"\n\
         session = \"24h\"\n[route.all]\nupstream = \"app\"\nroom = \"main\"\n",
        CALL.as_secs()
    )
}

#[expect(clippy::disallowed_methods, reason = "tickets carry wall time")]
fn unix() -> UnixTime {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixTime(u64::try_from(now.as_millis()).unwrap())
}

fn ticket(number: u64) -> Claims {
    let id = (u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_le_bytes();
    let time = UnixTime(unix().0 - 60_000);
    Claims { kind: Kind::Ticket, room: RoomId::of("main"), epoch: 1, number, index: None, time, id, moves: 0 }
}

/// The journal of ten million, and of so many people who are known. Returns what signs their tickets.
fn fill(state: &Path, known: u64) -> KeyRing {
    let journal = Journal::open(state).unwrap();
    let secrets = journal.secrets([[1; 32], [2; 32], [3; 32]]).unwrap();
    journal.people("main", [4; 32]).unwrap();
    let over: NumberSet = (1..=OVER).collect();
    let marks = RoomMarks { epoch: 1, issued: GIVEN, reserved: GIVEN, cursor: CALLED };
    let entry = |people: Changes, words: Vec<(u64, u64)>| Entry {
        room: "main".to_owned(),
        marks,
        lanes: Vec::new(),
        ends: Ends { words, count: 0 },
        lots: LotsNews::default(),
        people,
        slots: SlotNews::default(),
        moves: MoveNews::default(),
        reminders: ReminderNews::default(),
    };
    journal.write(&[entry(Changes::default(), over.words().collect())], &[]).unwrap();
    for thousand in 0..known.div_ceil(10_000) {
        let mut people = People::default();
        for nth in thousand * 10_000..((thousand + 1) * 10_000).min(known) {
            // Keys are hashes, so nothing about their order is kind to a table.
            let key = (nth + 1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29)
                .wrapping_mul(0xd134_2543_de82_ef95);
            assert!(people.hold(key, &ticket(CALLED + 1 + nth)));
        }
        journal.write(&[entry(people.unkept(), Vec::new())], &[]).unwrap();
    }
    KeyRing::new(Key::new(1, &secrets.ticket), Vec::new())
}

/// Takes connections and says nothing.
async fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    address
}

/// Sends requests one after the other.
async fn send(site: SocketAddr, requests: Vec<String>, expected: u16) {
    let mut wire = Wire::to(site).await;
    for request in requests {
        let told = wire.ask(&request).await.unwrap();
        assert_eq!(told.status, expected, "{request}: {}", String::from_utf8_lossy(&told.body));
    }
}

/// Each of these numbers sends one request, over a few connections.
async fn everybody(
    site: SocketAddr,
    numbers: std::ops::RangeInclusive<u64>,
    expected: u16,
    request: impl Fn(u64) -> String,
) {
    let mut sending = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let own = numbers.clone().filter(|number| number % CONNECTIONS == connection);
        sending.spawn(send(site, own.map(&request).collect(), expected));
    }
    while let Some(done) = sending.join_next().await {
        done.unwrap();
    }
}

async fn settled(gateway: &Gateway) -> f64 {
    tokio::time::sleep(SETTLED).await;
    gateway.resident() as f64
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "three minutes; `make memory`"]
async fn ten_million_who_wait_take_little_memory_and_no_time() {
    let configuration = configuration(upstream().await);
    let (empty, empty_start) = Gateway::start_on(&configuration, |_| ()).await;
    let idle = settled(&empty).await;
    drop(empty);

    let mut ring = None;
    let (mut gateway, start) = Gateway::start_on(&configuration, |state| ring = Some(fill(state, 0))).await;
    let (ring, restarted) = (ring.unwrap(), settled(&gateway).await);
    let killed = gateway.restart();
    let site = gateway.site;
    everybody(site, OVER + 1..=OVER + INSIDE, 200, |number| {
        let pass = ring.sign(&ticket(number).pass(&ring, ticket(number).time));
        format!("GET {ROOM}/visit HTTP/1.1\r\nhost: x\r\ntornello-pass: {pass}\r\n\r\n")
    })
    .await;
    within(CALL * 2, "calls are missed", async || {
        gateway.metric("tornello_room_late", "").await >= (CALLED - OVER - INSIDE) as f64
    })
    .await;
    let back = OVER + INSIDE + 1..=OVER + INSIDE + BACK;
    everybody(site, back, 202, |number| {
        let ticket = ring.sign(&ticket(number));
        format!(
            "POST {ROOM}/claims HTTP/1.1\r\nhost: x\r\ntornello-ticket: {ticket}\r\ncontent-length: 0\r\n\r\n"
        )
    })
    .await;
    let full = settled(&gateway).await;
    for name in ["issued", "called", "active_passes", "late", "front_row"] {
        println!("{name}: {}", gateway.metric(&format!("tornello_room_{name}"), "").await);
    }
    let active = gateway.metric("tornello_room_active_passes", "").await;
    drop(gateway);

    let (mut with_people, people_start) =
        Gateway::start_on(&configuration, |state| _ = fill(state, KNOWN)).await;
    let people = settled(&with_people).await;
    let people_killed = with_people.restart();
    let people_again = settled(&with_people).await;
    let each = (people.max(people_again) - restarted) / KNOWN as f64;
    println!(
        "idle {:.1} MiB; {GIVEN} waiting after a restart: {:.1} MiB more; with {INSIDE} inside and {} late, {BACK} of \
         them back: {:.1} MiB more; {KNOWN} who are known: {each:.1} B each",
        idle / MIB,
        (restarted - idle) / MIB,
        CALLED - OVER - INSIDE,
        (full - idle) / MIB,
    );
    println!(
        "start: empty {empty_start:?}; {GIVEN} waiting {start:?}, after kill -9 {killed:?}; with {KNOWN} who are known \
         {people_start:?}, after kill -9 {people_killed:?}"
    );
    assert!((active - INSIDE as f64).abs() < 0.5, "nobody else is inside");
    assert!((full - idle) / MIB <= GROWTH_MAX_MIB, "{:.1} MiB", (full - idle) / MIB);
    assert!(each <= KNOWN_MAX, "{each:.1} B");
    assert!([start, killed, people_start, people_killed].into_iter().all(|start| start <= START_MAX));
}
