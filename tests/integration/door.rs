//! The door before an office: many people behind one address, of whom nothing else is known.

use std::collections::HashSet;
use std::net::SocketAddr;

use http::{Method, StatusCode};
use tokio::task::JoinSet;

use crate::stage::{Gate, Got, Origin, ask, visit};

const ROOM: &str = "/.tornello/v1/rooms/main";
/// People who come in the same moment.
const PEOPLE: usize = 60;
/// Changes that each may make at once.
const EACH: usize = 10;

/// A full room, whose door lets each do ten things a minute.
fn room(origin: &Origin, door: &str) -> String {
    format!(
        "[door]\nrate = \"{EACH}/m\"\n{door}\n[upstream.app]\naddresses = [\"{}\"]\n\
         [room.main]\nseats = {{ floor = 1, ceiling = 1 }}\n[route.all]\nupstream = \"app\"\nroom = \"main\"\n",
        origin.address
    )
}

async fn post(site: SocketAddr, endpoint: &str, ticket: &str) -> Got {
    ask(site, Method::POST, &format!("{ROOM}/{endpoint}"), &[("tornello-ticket", ticket)]).await
}

fn ticket(joined: &Got) -> String {
    assert_eq!(joined.status, StatusCode::CREATED, "{}", joined.text());
    joined.json()["ticket"].as_str().unwrap().to_owned()
}

/// Claims as often as a person may, and once more, which is refused.
async fn hammer(site: SocketAddr, ticket: &str) {
    for _ in 0..EACH {
        let early = post(site, "claims", ticket).await;
        assert_ne!(early.status, StatusCode::TOO_MANY_REQUESTS, "{}", early.text());
    }
    let refused = post(site, "claims", ticket).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.text());
    assert_eq!(refused.json()["violated-policies"][0], "door", "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_people_behind_one_address_join_at_once_and_whoever_hammers_is_refused_alone() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&room(&origin, "")).await;
    visit(gate.site(), "/", "").await.cookie().unwrap();
    let hammering = ticket(&post(gate.site(), "tickets", "").await);
    let mut office = JoinSet::new();
    for _ in 0..PEOPLE {
        office.spawn(post(gate.site(), "tickets", ""));
    }
    let (joined, ()) = tokio::join!(office.join_all(), hammer(gate.site(), &hammering));
    let tickets: HashSet<String> = joined.iter().map(ticket).collect();
    assert_eq!(tickets.len(), PEOPLE, "each has a place of their own");
    let neighbour = tickets.iter().next().unwrap();
    assert_ne!(post(gate.site(), "claims", neighbour).await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(post(gate.site(), "claims", &hammering).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_what_is_written_also_after_a_reload_and_places_cost_it() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&room(&origin, "address = { rate = \"10/m\", burst = 12 }")).await;
    visit(gate.site(), "/", "").await.cookie().unwrap();
    let mut last = String::new();
    for _ in 0..12 {
        last = ticket(&post(gate.site(), "tickets", "").await);
    }
    let refused = post(gate.site(), "tickets", "").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.text());
    assert_eq!(refused.headers["x-ratelimit-limit"], "12");
    hammer(gate.site(), &last).await;
    gate.apply(&room(&origin, "address = { rate = \"10/m\", burst = 20 }")).await;
    let mut more = 0;
    while post(gate.site(), "tickets", "").await.status == StatusCode::CREATED {
        more += 1;
    }
    assert!((7..=9).contains(&more), "what was spent stays spent: {more} more");
}
