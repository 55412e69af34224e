//! Everybody looks at once, ten times as often as the budget allows: after a moment without a network, or
//! when a broadcast names the address. The board spreads them, and nobody is turned away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tornello::admission::poll::PollRule;

use crate::stage::{Gate, Origin, now, until, visit};
use crate::waiting::room;

const ROOM: &str = "/.tornello/v1/rooms/main";
/// Looks a second that the room allows.
const BUDGET: u32 = 300;
/// All of them look in the first second.
const PEOPLE: u64 = 10 * BUDGET as u64;
const MIN: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 64;

/// People share connections, as behind a front.
struct Lines(Vec<Mutex<SendRequest<Empty<Bytes>>>>);

impl Lines {
    async fn to(gate: &Gate) -> Self {
        let mut lines = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(gate.site()).await.unwrap();
            let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            lines.push(Mutex::new(sender));
        }
        Self(lines)
    }

    async fn ask(&self, person: u64, method: Method, path: &str) -> (StatusCode, Bytes) {
        let line = usize::try_from(person).unwrap() % CONNECTIONS;
        let mut line = self.0[line].lock().await;
        line.ready().await.unwrap();
        let request = Request::builder().method(method).uri(path).header("host", "www.example.org");
        let answer = line.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
        (answer.status(), answer.into_body().collect().await.unwrap().to_bytes())
    }
}

/// How long somebody with this number sleeps by this board, between 0 (shortest) and 1 (longest) of the jitter.
fn pause(board: &serde_json::Value, number: u64, jitter: f64) -> Duration {
    let (board, poll) = (&board["board"], &board["board"]["poll"]);
    let ms = |key: &str| Duration::from_millis(poll[key].as_u64().unwrap());
    let divisor = u32::try_from(poll["divisor"].as_u64().unwrap()).unwrap();
    let rule = PollRule { min: ms("min_ms"), max: ms("max_ms"), divisor, budget: 1 };
    let ahead = number.saturating_sub(board["cursor"].as_u64().unwrap() + 1);
    let rate = board["rate"].as_f64().unwrap_or(0.0);
    rule.pause(ahead, rate, poll["scale"].as_f64().unwrap()).mul_f64(0.7 + 0.6 * jitter)
}

/// The same in every run, and as good as chance (SplitMix64).
fn jitter(person: u64, look: u64) -> f64 {
    let mut mixed = person.wrapping_mul(1 << 20).wrapping_add(look + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) as f64 / u64::MAX as f64
}

/// One who waits, from the moment of the storm until `end`. Tells when it looked.
async fn waits(lines: Arc<Lines>, number: u64, begun: Instant, end: Duration, looks: Arc<Vec<AtomicU64>>) {
    // Everybody within the first second.
    tokio::time::sleep_until((begun + MIN.mul_f64(jitter(number, 0))).into()).await;
    for look in 1.. {
        let (status, board) = lines.ask(number, Method::GET, &format!("{ROOM}/board")).await;
        assert_eq!(status, StatusCode::OK);
        let second = usize::try_from(begun.elapsed().as_secs()).unwrap();
        let Some(bin) = looks.get(second) else { return };
        bin.fetch_add(1, Ordering::Relaxed);
        let next = pause(&serde_json::from_slice(&board).unwrap(), number, jitter(number, look));
        if begun.elapsed() + next > end {
            return;
        }
        tokio::time::sleep(next).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_the_polling_budget_is_spread_within_two_looks() {
    let origin = Origin::echo().await;
    let poll = format!("poll = {{ min = \"1s\", budget = {BUDGET} }}");
    let text = room(&origin, 1, "").replace("poll = { min = \"100ms\", max = \"1s\" }", &poll);
    assert!(text.contains(&poll), "{text}");
    let gate = Gate::start(&text).await;
    let _inside = visit(gate.site(), "/", "").await;
    let lines = Arc::new(Lines::to(&gate).await);
    let mut joining = tokio::task::JoinSet::new();
    for person in 0..PEOPLE {
        let lines = Arc::clone(&lines);
        joining.spawn(async move { lines.ask(person, Method::POST, &format!("{ROOM}/tickets")).await.0 });
    }
    assert!(joining.join_all().await.into_iter().all(|status| status == StatusCode::CREATED));

    let board = until("the board knows of all", || async {
        let (_, board) = lines.ask(0, Method::GET, &format!("{ROOM}/board")).await;
        let board: serde_json::Value = serde_json::from_slice(&board).unwrap();
        (board["board"]["issued"] == PEOPLE).then_some(board)
    })
    .await;
    let interval = pause(&board, PEOPLE, 0.5);
    assert!(interval > 3 * MIN, "the far end pays for the near one: {interval:?}");
    let (end, begun) = (2 * interval, now());
    let looks: Arc<Vec<AtomicU64>> = Arc::new((0..=end.as_secs()).map(|_| AtomicU64::new(0)).collect());
    let mut waiting = tokio::task::JoinSet::new();
    for number in 1..=PEOPLE {
        waiting.spawn(waits(Arc::clone(&lines), number, begun, end, Arc::clone(&looks)));
    }
    waiting.join_all().await;

    let each: Vec<u64> = looks.iter().map(|bin| bin.load(Ordering::Relaxed)).collect();
    let after: &[u64] = &each[2..each.len() - 1];
    let mean = after.iter().sum::<u64>() / after.len() as u64;
    println!("looks a second, budget {BUDGET}, interval {interval:?}: {each:?}, mean after the storm {mean}");
    assert!(each[0] >= PEOPLE * 9 / 10, "the storm itself: {each:?}");
    let most = u64::from(BUDGET) * 2;
    assert!(after.iter().all(|looks| *looks <= most), "more than {most} in a second: {each:?}");
    assert!(mean <= u64::from(BUDGET) * 11 / 10, "{mean} a second: {each:?}");
}
