//! A cache before the gateway shows nobody the page of another, and nobody a queue that is over.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;

use crate::nginx;
use crate::stage::{Gate, Got, Origin, ask, get, until, visit};

/// An upstream that calls every page public, in every dialect, and sets a cookie with each.
async fn careless() -> Origin {
    Origin::start(None, |request| {
        let cookies = request.headers().get("cookie").and_then(|line| line.to_str().ok()).unwrap_or("none");
        let mut response = Response::new(Full::new(Bytes::from(format!("page of {cookies}"))));
        let headers = response.headers_mut();
        for (name, value) in [
            ("cache-control", "public, max-age=600, s-maxage=600"),
            ("cdn-cache-control", "max-age=600"),
            ("surrogate-control", "max-age=600"),
            ("x-accel-expires", "600"),
            ("expires", "Thu, 31 Dec 2037 23:55:55 GMT"),
            ("etag", "\"same\""),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        if request.uri().path().starts_with("/login") {
            headers.append("set-cookie", format!("sid={cookies}").parse().unwrap());
        }
        response
    })
    .await
}

fn cache(got: &Got) -> &str {
    got.headers.get("x-cache").map_or("-", |word| word.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_before_us_stores_what_is_shared_and_no_page_of_a_person() {
    let origin = careless().await;
    let gate = Gate::start(&format!(
        r#"
[upstream.app]
addresses = ["{}"]
[room.main]
seats = {{ floor = 1, ceiling = 1 }}
poll = {{ min = "100ms", max = "1s" }}
[route.room]
path = "/room"
upstream = "app"
room = "main"
[route.shared]
path = "/shared"
upstream = "app"
shared = true
[route.free]
path = "/"
upstream = "app"
"#,
        origin.address
    ))
    .await;
    let nginx = nginx::cache_before(gate.site()).await;
    let site = nginx.site;

    // The cache does store: what is the same for everybody, and what the operator calls shared.
    for path in ["/free", "/shared/logo"] {
        assert_eq!(get(site, path).await.status, StatusCode::OK);
        assert_eq!(cache(&get(site, path).await), "HIT", "{path}");
    }
    let shared = ask(site, Method::GET, "/shared/style", &[("cookie", "sid=anna")]).await;
    assert_eq!(shared.headers["cache-control"], "public, max-age=600, s-maxage=600");

    // A page that was asked for with a cookie, or with a password, is its client's.
    for (path, field) in [("/me", "cookie"), ("/secret", "authorization"), ("/login", "cookie")] {
        for person in ["anna", "bruno", "carla"] {
            let got = ask(site, Method::GET, path, &[(field, person)]).await;
            assert_ne!(cache(&got), "HIT", "{path}");
            if field == "cookie" {
                assert_eq!(got.text(), format!("page of {person}"));
            }
            let said = got.headers["cache-control"].to_str().unwrap();
            assert_eq!(said, "private, max-age=600", "the client itself may keep it");
            for gone in ["cdn-cache-control", "surrogate-control", "x-accel-expires"] {
                assert!(!got.headers.contains_key(gone), "{gone}");
            }
        }
    }

    // An answer that sets a cookie is its client's also where nothing else is.
    for path in ["/login/fresh", "/login/fresh"] {
        assert_ne!(cache(&get(site, path).await), "HIT");
    }

    // One person has the seat; the others wait. Neither ever sees what the other gets.
    let first = visit(site, "/room/form", "").await;
    assert_eq!(first.status, StatusCode::OK);
    let pass = first.cookie().unwrap();
    for round in 0..50 {
        let inside = visit(site, "/room/form", &format!("{pass}; sid=anna")).await;
        assert_eq!(inside.status, StatusCode::OK, "round {round}: whoever is inside never sees the queue");
        assert!(inside.text().starts_with("page of sid=anna"), "{}", inside.text());
        let outside = visit(site, "/room/form", "sid=bruno").await;
        assert_eq!(outside.status, StatusCode::SERVICE_UNAVAILABLE, "round {round}");
        assert!(!outside.text().contains("anna"));
        for got in [inside, outside] {
            assert_ne!(cache(&got), "HIT");
            assert!(got.headers["cache-control"].to_str().unwrap().contains("no-store"));
            assert!(!got.headers.contains_key("etag") && !got.headers.contains_key("expires"));
        }
    }

    // Places are nobody else's either; the board is everybody's, for a second.
    let tickets = "/.tornello/v1/rooms/main/tickets";
    let (one, two) =
        (ask(site, Method::POST, tickets, &[]).await, ask(site, Method::POST, tickets, &[]).await);
    assert_ne!(one.json()["number"], two.json()["number"]);
    for joined in [&one, &two] {
        let cookie = joined.cookie().unwrap();
        let look = ask(site, Method::GET, "/.tornello/v1/rooms/main/ticket", &[("cookie", &cookie)]).await;
        assert_eq!(look.json()["number"], joined.json()["number"]);
        assert_ne!(cache(&look), "HIT");
    }
    let board = "/.tornello/v1/rooms/main/board";
    let hit = until("the board comes from the cache", || async {
        Some(get(site, board).await).filter(|got| cache(got) == "HIT")
    })
    .await;
    until("the cache asks for a newer board", || async {
        (get(site, board).await.body != hit.body).then_some(())
    })
    .await;
}
