//! An upstream that is gone: known within a second, probed gently, opened again without a herd.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Response, StatusCode};
use http_body_util::Full;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::stage::{Gate, Origin, get, now, until};

fn text(address: SocketAddr) -> String {
    format!(
        "[upstream.app]\naddresses = [\"{address}\"]\nkeep_alive = \"100ms\"\n\
         limit = {{ law = \"fixed\", initial = 32, wait = \"1s\" }}\n\
         [route.all]\nupstream = \"app\"\nclass = \"admitted\"\n"
    )
}

/// A host that swallows connections: nothing answers there, not even with a reset.
struct Hole {
    _listener: TcpListener,
    _filling: Vec<TcpStream>,
}

impl Hole {
    async fn at(address: SocketAddr) -> Self {
        // Who listened there before may take a moment to go.
        let listener = until("the port is free", || async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(address).ok()?;
            socket.listen(1).ok()
        })
        .await;
        let mut filling = Vec::new();
        // What is not accepted fills the backlog; from then on nobody is answered.
        while let Ok(stream) =
            tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
        {
            filling.push(stream.unwrap());
        }
        Self { _listener: listener, _filling: filling }
    }
}

/// The local ports from which somebody is trying to connect to `port` just now (`SYN_SENT`).
fn trying(port: u16) -> BTreeSet<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let wanted = format!(":{port:04X}");
    let lines = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.filter(|it| it[2].ends_with(&wanted) && it[3] == "02").map(|it| it[1].to_owned()).collect()
}

/// Clients that ask again as soon as they are answered, until they are dropped.
fn hammer(site: SocketAddr, clients: usize) -> JoinSet<()> {
    let mut crowd = JoinSet::new();
    for _ in 0..clients {
        crowd.spawn(async move {
            loop {
                get(site, "/").await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
    crowd
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_swallows_connections_is_known_long_before_they_are_given_up_and_probed_gently() {
    let origin = Origin::echo().await;
    let address = origin.address;
    let gate = Gate::start(&text(address)).await;
    assert_eq!(get(gate.site(), "/").await.status, StatusCode::OK);
    drop(origin);
    let hole = Hole::at(address).await;
    let begun = now();
    let crowd = hammer(gate.site(), 20);
    let down = || gate.running.proxy.live.load().clusters["app"].is_down();
    until("it is known", || async { down().then_some(()) }).await;
    let known = begun.elapsed();
    println!("known after {known:?}");
    // A connection is given up after two seconds: nobody has waited for that.
    assert!(known < Duration::from_millis(1_500), "known after {known:?}");
    until("those who tried have given up", || async { (trying(address.port()).len() <= 1).then_some(()) })
        .await;
    let mut seen = BTreeSet::new();
    let begun = now();
    while begun.elapsed() < Duration::from_secs(2) {
        seen.extend(trying(address.port()));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!((1..=6).contains(&seen.len()), "{} connections in two seconds", seen.len());
    let refused = get(gate.site(), "/").await;
    assert_eq!(refused.json()["reason"], "upstream_down");
    drop(crowd);
    drop(hole);
    let _back = Origin::start(Some(address), |_| Response::new(Full::default())).await;
    until("service resumes", || async {
        (get(gate.site(), "/").await.status == StatusCode::OK).then_some(())
    })
    .await;
}

/// Sixty ask without pause while nobody is there. When the origin is back they come one, two, four at a
/// time: with each answer two more, and a few because time passes, where all at once would be 32.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_comes_back_is_not_overrun() {
    let origin = Origin::echo().await;
    let address = origin.address;
    let gate = Gate::start(&text(address)).await;
    assert_eq!(get(gate.site(), "/").await.status, StatusCode::OK);
    drop(origin);
    let crowd = hammer(gate.site(), 60);
    let down = || gate.running.proxy.live.load().clusters["app"].is_down();
    until("it is known", || async { down().then_some(()) }).await;
    let begun = now();
    // How many had arrived when the first, the second, ... was answered.
    let arrived = Arc::<Mutex<Vec<u64>>>::default();
    let truth = Arc::<Mutex<Option<Arc<crate::stage::Truth>>>>::default();
    let (kept, told) = (Arc::clone(&arrived), Arc::clone(&truth));
    let back = Origin::start(Some(address), move |_| {
        if let Some(truth) = &*told.lock().unwrap() {
            kept.lock().unwrap().push(truth.requests.load(Ordering::SeqCst));
        }
        Response::new(Full::default())
    })
    .await;
    back.delay(50);
    *truth.lock().unwrap() = Some(Arc::clone(&back.truth));
    until("a hundred are served", || async { (arrived.lock().unwrap().len() >= 100).then_some(()) }).await;
    println!("a hundred served {:?} after the origin was back", begun.elapsed());
    for (before, arrived) in arrived.lock().unwrap().iter().enumerate() {
        let most = 1 + 3 * (before as u64 + 1);
        assert!(*arrived <= most.min(before as u64 + 32), "{arrived} had come when {before} were answered");
    }
    drop(crowd);
}
