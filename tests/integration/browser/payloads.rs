//! Five hundred attempts to make a page of ours run what somebody else wrote: in paths, queries,
//! fragments, languages, the browser's name, the operator's message and title; and the host, which no browser lets a
//! page choose.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::day::{Day, Person};
use super::driver::{Browser, Habits};
use super::{ONE_SEAT, Sight};

/// Each would set `ran`, or open a dialog, on which the next command to the browser fails.
const PAYLOADS: [&str; 25] = [
    "<script>ran=1</script>",
    "</script><script>ran=1</script>",
    "\"><script>ran=1</script>",
    "'><img src=x onerror=ran=1>",
    "<img src=x onerror=ran=1>",
    "<svg onload=ran=1>",
    "<svg><script>ran=1</script></svg>",
    "<body onload=ran=1>",
    "<iframe srcdoc='<script>parent.ran=1</script>'></iframe>",
    "<a href=javascript:ran=1 autofocus onfocus=ran=1>x</a>",
    "javascript:ran=1",
    "\" autofocus onfocus=\"ran=1",
    "' onmouseover='ran=1' style='position:fixed;inset:0'",
    "<!--<script>ran=1</script>-->",
    "</title><script>ran=1</script>",
    "</style><script>ran=1</script>",
    "</textarea><script>ran=1</script>",
    "<details open ontoggle=ran=1>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=ran=1>",
    "\\u003cscript\\u003eran=1\\u003c/script\\u003e",
    "&lt;script&gt;ran=1&lt;/script&gt;",
    "{{ constructor.constructor('ran=1')() }}",
    "${ran=1}`;ran=1;//",
    "\u{2028}ran=1\u{2028}<base href=//x.invalid>",
    "<meta http-equiv=refresh content='0;url=javascript:ran=1'>",
];

/// Where a payload goes; `{}` is the payload as the browser sends it, `%` percent-encoded.
const PLACES: [&str; 20] = [
    "/?x=%",
    "/%",
    "/?{}",
    "/#{}",
    "/%/%?a=%&b={}#{}",
    "/?return={}",
    "/.tornello/rooms/sala/place?return=%",
    "/.tornello/rooms/sala/place?return=/%",
    "/.tornello/rooms/sala/place?lang=%",
    "/.tornello/rooms/sala/queue?lang=%&return=/",
    "/.tornello/rooms/sala/queue?return=%",
    "/.tornello/rooms/sala/queue?return=/?%",
    "/.tornello/rooms/sala/queue?return=/&{}",
    "/.tornello/rooms/sala/rules?lang={}",
    "/.tornello/rooms/%/place",
    "/.tornello/v1/rooms/%/board",
    "/.tornello/status?lang=%",
    "/.tornello/v1/status?{}",
    "/.tornello/%",
    "/a/b;%?{}",
];

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

/// What is answered to whoever navigates to a host of this name.
async fn of_host(day: &Day, host: &str) -> String {
    let mut stream = TcpStream::connect(day.url("").trim_start_matches("http://")).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nhost: {host}\r\naccept: text/html\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_payloads_run_nothing_and_break_no_policy() {
    let habits = Habits { language: "en", javascript: true, cookies: true };
    let Some(browser) = Browser::open(habits).await else { return };
    let day = Day::begin(ONE_SEAT).await;
    let _inside = Person::walks_in(&day).await;
    let mut tried = 0;
    for payload in PAYLOADS {
        let quoted = toml::Value::from(payload).to_string();
        let seats = ONE_SEAT.replace("title = \"Bonus Mobilità\"", &format!("title = {quoted}"));
        day.reload(&format!("message = {{ it = {quoted}, en = {quoted} }}\n{seats}")).await;
        browser.named(payload).await;
        let answer = of_host(&day, payload).await;
        assert!(answer.starts_with("HTTP/1.1 ") && !answer.contains("ran=1"), "{answer}");
        for place in PLACES {
            let path = place.replace('%', &encoded(payload)).replace("{}", payload);
            browser.goto(&day.url(&path)).await.unwrap();
            if place == PLACES[0] {
                let shows = |page: &Sight| page.message.as_deref() == Some(payload.trim());
                let page = browser.sees("the message as it was written", shows).await;
                assert!(page.title.ends_with(payload.trim()), "{page:?}");
            }
            let ran = browser.execute(
                "return typeof ran + document.querySelectorAll('img,iframe,svg').length",
                Vec::new(),
            );
            assert_eq!(ran.await.unwrap(), json!("undefined0"), "{path}");
            tried += 1;
        }
        assert_eq!(browser.complaints().await, Vec::<String>::new(), "{payload}");
    }
    assert_eq!(tried, 500);
}
