//! Lanes against the real binary: told by proof, kept through a kill, and by reloads.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::people::{ISSUER, Issuer, unix};
use crate::process::{Process, configuration};
use crate::stage::{Origin, ask, get, until};

const ROOM: &str = "/.tornello/v1/rooms/main";
const LANES: &str = "lanes = [{ name = \"citizens\", weight = 3 }, { name = \"offices\", claim = \"role\", value = \"office\" }]";

fn configured(folder: &std::path::Path, origin: &Origin, lanes: &str) {
    let file = configuration(folder, origin.address, &format!("hold = true\n{lanes}"));
    let text = std::fs::read_to_string(&file).unwrap();
    let keys = folder.join("keys.json").display().to_string();
    let more = format!(
        "[identity]\njwt = {{ keys = \"{keys}\", issuer = \"{ISSUER}\", audience = \"bonus\", cookie = \"login\" }}\n\
         [door]\nrate = \"1000/s\"\nburst = 100000\n"
    );
    std::fs::write(file, format!("{text}{more}")).unwrap();
}

async fn join(process: &Process, headers: &[(&str, &str)]) -> Value {
    ask(process.site, Method::POST, &format!("{ROOM}/tickets"), headers).await.json()
}

async fn look(process: &Process, ticket: &str) -> Value {
    ask(process.site, Method::GET, &format!("{ROOM}/ticket"), &[("tornello-ticket", ticket)]).await.json()
}

fn stands(told: &Value) -> (Option<&str>, Option<u64>) {
    (told["lane"].as_str(), told["number"].as_u64())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_is_told_by_proof_and_outlives_a_kill_and_a_reload() {
    let (folder, origin, issuer) = (tempfile::tempdir().unwrap(), Origin::echo().await, Issuer::new(7));
    std::fs::write(folder.path().join("keys.json"), issuer.keys()).unwrap();
    configured(folder.path(), &origin, LANES);
    let process = Process::start(folder.path(), None);
    let login = |role: Value| {
        let claims =
            json!({ "iss": ISSUER, "aud": "bonus", "sub": "p", "exp": unix() + 3_600, "role": role });
        format!("login={}", issuer.signed(&claims))
    };
    let (office, offices, other) =
        (login(json!("office")), login(json!(["tax", "office"])), login(json!("citizen")));
    let nobody = join(&process, &[]).await;
    assert_eq!(stands(&nobody), (Some("citizens"), Some(1)), "{nobody}");
    let first = join(&process, &[("cookie", &office)]).await;
    assert_eq!(stands(&first), (Some("offices"), Some(1)), "{first}");
    let second = join(&process, &[("cookie", &offices)]).await;
    assert_eq!(stands(&second), (Some("offices"), Some(2)), "a list that holds it");
    assert_eq!(second["ahead"], 1, "of its own lane");
    let chosen = join(&process, &[("cookie", &other), ("role", "office"), ("x-role", "office")]).await;
    assert_eq!(stands(&chosen), (Some("citizens"), Some(2)), "nobody chooses a lane");
    // A ticket stays in its lane, whatever is proved later, and whatever is not.
    let (ticket, plain) = (first["ticket"].as_str().unwrap(), nobody["ticket"].as_str().unwrap());
    assert_eq!(stands(&look(&process, ticket).await), (Some("offices"), Some(1)));
    let again = join(&process, &[("cookie", &office), ("tornello-ticket", plain)]).await;
    assert_eq!(stands(&again), (Some("citizens"), Some(1)));

    let board = async |process: &Process| get(process.site, &format!("{ROOM}/board")).await.json();
    let lanes = until("the board has lanes", || async {
        Some(board(&process).await["board"]["lanes"].clone()).filter(|lanes| lanes[1]["issued"] == 2)
    });
    let lanes = lanes.await;
    assert_eq!((&lanes[0]["name"], &lanes[1]["name"]), (&"citizens".into(), &"offices".into()), "{lanes}");
    let metrics = get(process.admin, "/metrics").await.text();
    assert!(metrics.contains("tornello_lane_waiting{lane=\"offices\",room=\"main\"} 2"), "{metrics}");
    let rules = get(process.site, &format!("{ROOM}/rules")).await.json();
    assert_eq!(rules["lanes"][0], json!({ "name": "citizens", "weight": 3, "by": "everybody_else" }));
    assert_eq!(rules["lanes"][1], json!({ "name": "offices", "weight": 1, "by": "claim" }));
    let page =
        ask(process.site, Method::GET, "/.tornello/rooms/main/rules?lang=it", &[("accept", "text/html")]);
    assert!(page.await.text().contains("citizens (3), offices (1)"));
    let cookie = format!("tornello-ticket-main={ticket}");
    let browser = [("accept", "text/html"), ("cookie", cookie.as_str())];
    let place = ask(process.site, Method::GET, "/.tornello/rooms/main/place?lang=it", &browser);
    let place = place.await.text();
    assert!(place.contains("La tua fila") && place.contains("offices"), "{place}");

    process.signal("-9");
    drop(process);
    let process = Process::start(folder.path(), None);
    assert_eq!(stands(&look(&process, ticket).await), (Some("offices"), Some(1)));
    assert_eq!(look(&process, second["ticket"].as_str().unwrap()).await["ahead"], 1);
    assert_eq!(stands(&look(&process, plain).await), (Some("citizens"), Some(1)));
    let later = join(&process, &[("cookie", &office)]).await;
    assert_eq!(later["lane"], "offices");
    assert!(later["number"].as_u64().unwrap() > 2, "{later}");

    let reload = async |lanes: &str| {
        configured(folder.path(), &origin, lanes);
        let got = ask(process.admin, Method::POST, "/reload", &[]).await;
        (got.status, got.json()["diagnostics"].as_str().unwrap_or_default().to_owned())
    };
    let (status, said) = reload("").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(said.contains("room.main.lanes: `offices` is gone, but up to"), "{said}");
    let (status, said) = reload(&LANES.replace("citizens", "people")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(said.contains("`people` takes everybody else in the place of `citizens`"), "{said}");
    let exchanged =
        "lanes = [{ name = \"offices\" }, { name = \"citizens\", claim = \"role\", value = \"office\" }]";
    let (status, said) = reload(exchanged).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(said.contains("`offices` takes everybody else, which it did not, but up to"), "{said}");
    let (status, said) = reload(&LANES.replace("weight = 3", "weight = 9")).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    let told = get(process.admin, "/status").await.json();
    assert_eq!(told["rooms"]["main"]["lanes"][0]["weight"], 9, "{told}");
}
