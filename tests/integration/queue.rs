//! The fair queue before an upstream, through the real gateway and counted at the origin.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::stage::{Gate, Origin, ask, get, until};

/// An origin that keeps the order in which requests reach it, by the path after its first segment.
async fn recording() -> (Origin, Arc<Mutex<Vec<String>>>) {
    let order = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&order);
    let origin = Origin::start(None, move |request| {
        let path = request.uri().path().to_owned();
        kept.lock().unwrap().push(path);
        Response::new(Full::new(Bytes::new()))
    })
    .await;
    (origin, order)
}

fn before(origin: &Origin, limit: u32, wait: &str, queue: &str, routes: &str) -> String {
    format!(
        "[identity]\ncredential = {{ cookie = \"session\" }}\n[upstream.app]\naddresses = [\"{}\"]\n\
         limit = {{ law = \"fixed\", initial = {limit}, wait = \"{wait}\" }}\n{queue}\n{routes}\n",
        origin.address
    )
}

const ALL: &str = "[route.all]\nupstream = \"app\"\nclass = \"admitted\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_out_of_the_queue_at_once() {
    let (origin, order) = recording().await;
    origin.delay(3_000);
    let gate = Gate::start(&before(&origin, 1, "1m", "", ALL)).await;
    let send = async |path: &str| {
        let mut stream = TcpStream::connect(gate.site()).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        stream
    };
    let _served = send("/served").await;
    until("the permit is taken", || async { (origin.in_flight() == 1).then_some(()) }).await;
    let mut crowd = Vec::new();
    for _ in 0..20 {
        crowd.push(send("/gone").await);
    }
    until("twenty wait", || async { (gate.queued("app") == 20).then_some(()) }).await;
    let begun = crate::stage::now();
    drop(crowd);
    until("nobody waits", || async { (gate.queued("app") == 0).then_some(()) }).await;
    // Neither the upstream's answer nor the end of their time took them out.
    assert_eq!(origin.in_flight(), 1, "gone after {:?}", begun.elapsed());
    println!("out of the queue after {:?}", begun.elapsed());
    until("it is over", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
    assert!(order.lock().unwrap().iter().all(|path| path == "/served"), "nothing was sent for them");
}

/// One session asks forty times at once before five others ask once: each of them is served within the
/// first round after it came.
#[tokio::test(flavor = "multi_thread")]
async fn users_take_turns_however_much_one_asks() {
    let (origin, order) = recording().await;
    origin.delay(20);
    let gate = Gate::start(&before(&origin, 1, "10s", "", ALL)).await;
    let mut crowd = JoinSet::new();
    let mut send = |user: &str, path: String| {
        let (site, cookie) = (gate.site(), format!("session={user}"));
        crowd
            .spawn(async move { ask(site, Method::GET, &path, &[("cookie", cookie.as_str())]).await.status });
    };
    for turn in 0..40 {
        send("greedy", format!("/greedy/{turn}"));
    }
    until("the greedy one waits", || async { (gate.queued("app") >= 30).then_some(()) }).await;
    let before = order.lock().unwrap().len();
    for user in 0..5 {
        send(&format!("polite{user}"), format!("/polite/{user}"));
    }
    while let Some(status) = crowd.join_next().await {
        assert_eq!(status.unwrap(), StatusCode::OK);
    }
    let order = order.lock().unwrap();
    let last = order.iter().rposition(|path| path.starts_with("/polite")).unwrap();
    assert!(last < before + 15, "the last of five was the {}th after they came", last - before);
    assert_eq!(origin.truth.in_flight_max.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_has_no_more_at_the_upstream_than_it_may() {
    let (origin, _) = recording().await;
    origin.delay(30);
    let gate = Gate::start(&before(&origin, 10, "10s", "queue = { per_user = 2 }", ALL)).await;
    let mut crowd = JoinSet::new();
    for _ in 0..30 {
        let site = gate.site();
        crowd.spawn(async move { ask(site, Method::GET, "/", &[("cookie", "session=one")]).await.status });
    }
    while let Some(status) = crowd.join_next().await {
        assert_eq!(status.unwrap(), StatusCode::OK);
    }
    assert_eq!(origin.truth.in_flight_max.load(Ordering::SeqCst), 2);
    // Many may share an address.
    for _ in 0..10 {
        let site = gate.site();
        crowd.spawn(async move { get(site, "/").await.status });
    }
    until("ten at once", || async {
        (origin.truth.in_flight_max.load(Ordering::SeqCst) == 10).then_some(())
    })
    .await;
    crowd.join_all().await;
}

/// What finishes something, what has a pass, and who looks in, each with more than there is room for; and
/// what can be done without.
#[tokio::test(flavor = "multi_thread")]
async fn classes_have_their_parts_and_what_is_optional_goes_first() {
    let (origin, order) = recording().await;
    origin.delay(40);
    let routes = "[route.pay]\npath = \"/pay\"\nupstream = \"app\"\nclass = \"finish\"\n\
                  [route.in]\npath = \"/in\"\nupstream = \"app\"\nclass = \"admitted\"\n\
                  [route.look]\npath = \"/look\"\nupstream = \"app\"\n\
                  [route.extra]\npath = \"/extra\"\nupstream = \"app\"\nclass = \"optional\"\n";
    let gate = Gate::start(&before(&origin, 10, "2s", "", routes)).await;
    let refused = Arc::<Mutex<Vec<&str>>>::default();
    let mut crowd = JoinSet::new();
    for (path, clients) in [("/pay", 10), ("/in", 30), ("/look", 30), ("/extra", 30)] {
        for _ in 0..clients {
            let (site, refused) = (gate.site(), Arc::clone(&refused));
            crowd.spawn(async move {
                for _ in 0..25 {
                    match get(site, path).await.status {
                        StatusCode::OK => {}
                        StatusCode::SERVICE_UNAVAILABLE => {
                            refused.lock().unwrap().push(path);
                            tokio::time::sleep(Duration::from_millis(40)).await;
                        }
                        other => panic!("{other}"),
                    }
                }
            });
        }
    }
    until("four hundred are served", || async { (order.lock().unwrap().len() >= 400).then_some(()) }).await;
    let text = metrics(&gate).await;
    crowd.abort_all();
    let served = |name: &str| order.lock().unwrap().iter().skip(100).filter(|path| *path == name).count();
    let (pay, inside, look, extra) = (served("/pay"), served("/in"), served("/look"), served("/extra"));
    let all = (pay + inside + look + extra) as f64;
    // 20 : 60 : 15 : 5, the last of which is lent while it may not even wait.
    for (name, count, part) in [("pay", pay, 0.20), ("in", inside, 0.60), ("look", look, 0.15)] {
        assert!(count as f64 / all >= 0.8 * part, "{name}: {count} of {all}");
    }
    assert!(extra as f64 / all <= 0.05, "extra: {extra} of {all}");
    let refused = refused.lock().unwrap();
    let count = |name: &str| refused.iter().filter(|path| **path == name).count();
    assert_eq!(count("/pay") + count("/in"), 0, "those keep their time");
    assert!(count("/look") > 0 && count("/extra") > 0);
    assert!(origin.truth.in_flight_max.load(Ordering::SeqCst) <= 10);
    for line in [
        "tornello_permit_queue_length{class=\"p1\",upstream=\"app\"}",
        "tornello_permit_wait_seconds_count{class=\"p0\",upstream=\"app\"}",
        "tornello_permit_refused_total{class=\"p2\",reason=\"shed\",upstream=\"app\"}",
        "tornello_permit_refused_total{class=\"p3\",reason=\"optional\",upstream=\"app\"}",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

async fn metrics(gate: &Gate) -> String {
    get(gate.running.admin, "/metrics").await.text()
}
