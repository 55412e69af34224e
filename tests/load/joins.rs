//! How many places a second one core gives, with the journal on, and that each of them is there after kill -9.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::gateway::{Gateway, now};
use crate::wire::Wire;

const ROOM: &str = "/.tornello/v1/rooms/main";
const CONNECTIONS: usize = 64;
const SECONDS: u64 = 10;
const JOINS_MIN: f64 = 20_000.0;

/// The gateway has a core for itself, and the crowd the others.
const CORE: usize = 0;

fn configuration(upstream: SocketAddr) -> String {
    let wide = "{ rate = \"1000000/s\", burst = 1000000 }";
    format!(
        "threads = 1\n[door]\nrate = \"1000000/s\"\nburst = 1000000\nprefix = {wide}\naddress = {wide}\n\
         [upstream.app]\naddresses = [\"{upstream}\"]\nlimit = {{ law = \"fixed\", initial = 100 }}\n\
         [room.main]\nhold = true\n[route.all]\nupstream = \"app\"\nroom = \"main\"\n"
    )
}

/// This process, and all of its threads, on the cores that are left.
fn step_aside() {
    let others = format!("{}-{}", CORE + 1, std::thread::available_parallelism().unwrap().get().max(2) - 1);
    let me = std::process::id().to_string();
    assert!(Command::new("taskset").args(["-apc", &others, &me]).output().unwrap().status.success());
}

/// Joins again and again until the connection ends; what was answered.
async fn join(site: SocketAddr) -> Vec<(u64, String)> {
    let (mut wire, mut given) = (Wire::to(site).await, Vec::new());
    let request = format!("POST {ROOM}/tickets HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    while let Some(told) = wire.ask(&request).await {
        assert_eq!(told.status, 201, "{}", String::from_utf8_lossy(&told.body));
        let json: serde_json::Value = serde_json::from_slice(&told.body).unwrap();
        given.push((json["number"].as_u64().unwrap(), json["ticket"].as_str().unwrap().to_owned()));
    }
    given
}

/// Whether these stand as they were told; how many do not.
async fn look(site: SocketAddr, given: Vec<(u64, String)>) -> usize {
    let (mut wire, mut lost) = (Wire::to(site).await, 0);
    for (number, ticket) in given {
        let request = format!("GET {ROOM}/ticket HTTP/1.1\r\nhost: x\r\ntornello-ticket: {ticket}\r\n\r\n");
        let told = wire.ask(&request).await.unwrap();
        let json: serde_json::Value = serde_json::from_slice(&told.body).unwrap();
        lost += usize::from(json["number"].as_u64() != Some(number) || json["state"] == "done");
    }
    lost
}

#[tokio::test]
#[ignore = "half a minute; `make joins`"]
async fn twenty_thousand_places_a_second_and_each_is_there_after_kill_9() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut gateway = Gateway::start_on_core(&configuration(listener.local_addr().unwrap()), CORE).await;
    step_aside();
    let (before, begun) = (gateway.processor(), now());
    let mut joining = JoinSet::new();
    (0..CONNECTIONS).for_each(|_| drop(joining.spawn(join(gateway.site))));
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let (spent, took) = (gateway.processor() - before, begun.elapsed());
    gateway.kill();
    let mut given = Vec::new();
    while let Some(done) = joining.join_next().await {
        given.push(done.unwrap());
    }
    let joins: usize = given.iter().map(Vec::len).sum();
    let numbers: BTreeMap<u64, &String> =
        given.iter().flatten().map(|(number, ticket)| (*number, ticket)).collect();
    assert_eq!(numbers.len(), joins, "a number was given twice");
    gateway.restart();
    let mut looking = JoinSet::new();
    given.into_iter().for_each(|some| drop(looking.spawn(look(gateway.site, some))));
    let mut lost = 0;
    while let Some(done) = looking.join_next().await {
        lost += done.unwrap();
    }
    let a_second = joins as f64 / took.as_secs_f64();
    println!(
        "{joins} joins in {:.1} s: {a_second:.0} a second, {:.1} µs of the core each ({:.0} % of it used); after \
         kill -9 {lost} of them are lost",
        took.as_secs_f64(),
        spent.as_secs_f64() * 1e6 / joins as f64,
        spent.as_secs_f64() / took.as_secs_f64() * 100.0
    );
    assert_eq!(lost, 0);
    assert!(a_second >= JOINS_MIN, "{a_second:.0} joins a second");
}
