//! What a request says stands in no log line and makes no metric series.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::paths::Dice;
use crate::process::{Process, tornello};
use crate::stage::{Origin, get, until};

const REQUESTS: usize = 1_000;

/// One nasty request. Each kind comes in turn, so that the first round shows every kind.
fn nasty(number: usize, dice: &mut Dice) -> Vec<u8> {
    let odd = [
        "\"",
        "\\",
        "'",
        "{",
        "}",
        "\u{7f}",
        "\t",
        "\u{1b}[31m",
        "é",
        "\",\"status\":200,\"x\":\"",
        "${x}",
        "%0a",
        "%00",
        "\u{2028}",
    ];
    let mess: String = (0..1 + dice.roll(12)).map(|_| dice.pick(&odd)).collect();
    let huge = mess.repeat(1 + dice.roll(200));
    let huge: String = huge.chars().take(4_000).collect();
    let some = dice.roll(1_000_000);
    let head = match number % 9 {
        0 => format!("GET /{} HTTP/1.1\r\nhost: a\r\n", mess.replace(['\t', '\u{7f}', '\u{1b}'], "%1b")),
        1 => format!("GET /?{huge} HTTP/1.1\r\nhost: a\r\n"),
        2 => format!("GET / HTTP/1.1\r\nhost: a\r\nx-request-id: {huge}\r\n"),
        3 => format!("GET / HTTP/1.1\r\nhost: {mess}\r\n"),
        4 => format!(
            "X{} / HTTP/1.1\r\nhost: a\r\n",
            ["", "'", "|", "~"][dice.roll(4)].repeat(1 + dice.roll(9))
        ),
        5 => format!("GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: {huge}\r\nforwarded: for={mess}\r\n"),
        6 => format!("GET /{some} HTTP/1.1\r\nhost: a\r\ncookie: {huge}\r\nuser-agent: {mess}\r\n"),
        7 => format!("GET /.tornello/v1/rooms/{some}/{some} HTTP/1.1\r\nhost: a\r\n"),
        _ => {
            format!("GET /say HTTP/1.1\r\nhost: a\r\nx-say: {}\r\n", mess.replace(['\u{7f}', '\u{1b}'], "?"))
        }
    };
    format!("{head}connection: close\r\n\r\n").into_bytes()
}

async fn series(process: &Process) -> BTreeSet<String> {
    let metrics = get(process.admin, "/metrics").await.text();
    let ours = metrics.lines().filter(|line| line.starts_with("tornello_"));
    ours.filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series.to_owned()).collect()
}

async fn send(process: &Process, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(process.site).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_request_says_reaches_a_log_line_or_makes_a_series() {
    let folder = tempfile::tempdir().unwrap();
    // An upstream that says nonsense to us, too.
    let origin = Origin::start(None, |request| {
        let mut response = Response::new(Full::new(Bytes::new()));
        if let Some(said) = request.headers().get("x-say") {
            response.headers_mut().insert("tornello-session", said.clone());
        }
        response
    })
    .await;
    let text = format!(
        "[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nstate_directory = \"{}/state\"\n\
         [edge]\ntrusted_proxies = [\"127.0.0.1\"]\n[upstream.app]\naddresses = [\"{}\"]\n[room.main]\n\
         [route.all]\nupstream = \"app\"\nroom = \"main\"\n",
        folder.path().display(),
        origin.address
    );
    std::fs::write(folder.path().join("tornello.toml"), text).unwrap();
    let process = Process::launch(tornello(), folder.path(), None);
    let mut dice = Dice(41);
    // What there can be at all: each kind a few times, then nothing new.
    for number in 0..180 {
        send(&process, &nasty(number, &mut dice)).await;
    }
    let before = series(&process).await;
    for number in 0..REQUESTS {
        send(&process, &nasty(number, &mut dice)).await;
    }
    let after = series(&process).await;
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), Vec::<&String>::new(), "new series");
    assert!(before.len() < 400, "{}", before.len());

    // The request id that is shown is the one in the log.
    let refused = get(process.site, "/x%2fy").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let shown = refused.headers["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(refused.json()["request_id"], shown.as_str());
    let log = until("the line is there", || async {
        let log = process.access.lock().unwrap().clone();
        (log.contains(&shown) && log.ends_with('\n')).then_some(log)
    })
    .await;
    assert!(log.lines().count() > REQUESTS / 2, "{}", log.lines().count());
    let keys = ["time_ms", "route", "method", "status", "decision", "reason", "class", "user", "request_id"];
    for line in log.lines() {
        let json: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(json.as_object().unwrap().len(), 13, "{line}");
        assert!(keys.iter().all(|key| !json[key].is_null()), "{line}");
        assert!(
            line.len() < 500 && line.is_ascii() && !line.bytes().any(|byte| byte.is_ascii_control()),
            "{line}"
        );
    }
    for line in process.log.lock().unwrap().lines() {
        let json = serde_json::from_str::<serde_json::Value>(line);
        assert!(json.is_ok_and(|json| json.is_object()), "{line}");
    }
}
