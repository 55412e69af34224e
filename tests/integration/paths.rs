//! No spelling of a protected path reaches an upstream by an open route.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{Gate, Origin, get};

const VARIANTS: usize = 5_000;

/// Reproducible numbers (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

const SLASHES: [&str; 13] = [
    "/",
    "//",
    "/./",
    "\\",
    "%2f",
    "%2F",
    "%5c",
    "%252f",
    "%255C",
    "%c0%af",
    "%25c0%25af",
    "%e0%80%af",
    "%25252f",
];
const DOTS: [&str; 9] =
    ["..", "%2e%2e", "%2E.", ".%252e", "%252e%252E", "%c0%ae%c0%ae", "..;", "..%3b", "..%253bx"];
const TAILS: [&str; 18] = [
    "/", "/.", ";x", ";x=1/", "%3bx", "%253b", "?", "?x=/y", "%3fx", "%253f", "#x", "%23x", "%00", "%2500",
    "%00.png", "/x/..", "%20", ".json",
];

/// One spelling of `/wallet/card`, by up to four tricks.
fn variant(dice: &mut Dice) -> String {
    let mut path = String::from("/wallet/card");
    for _ in 0..=dice.roll(4) {
        match dice.roll(8) {
            0 | 1 => {
                let (at, times) = (dice.roll(path.len()), dice.roll(4));
                let byte = path.as_bytes()[at];
                if byte.is_ascii_graphic() {
                    let code = if dice.roll(2) == 0 { format!("{byte:02x}") } else { format!("{byte:02X}") };
                    path.replace_range(at..=at, &format!("%{}{code}", "25".repeat(times)));
                }
            }
            2 => {
                if let Some(at) = path.match_indices('/').nth(dice.roll(3)).map(|(at, _)| at) {
                    path.replace_range(at..=at, dice.pick(&SLASHES));
                }
            }
            3 => {
                let (first, second) = (dice.pick(&SLASHES), dice.pick(&SLASHES));
                path = format!("/open{first}{}{second}{}", dice.pick(&DOTS), path.trim_start_matches('/'));
            }
            4 => {
                let at = dice.roll(path.len());
                let flipped: String = path[at..=at].chars().map(|c| c.to_ascii_uppercase()).collect();
                path.replace_range(at..=at, &flipped);
            }
            5 => {
                let at = path[1..].find('/').map_or(path.len(), |at| at + 1);
                path.insert_str(at, dice.pick(&TAILS[2..6]));
            }
            6 => path.insert_str(0, "/open"),
            _ => path.push_str(dice.pick(&TAILS)),
        }
    }
    if dice.roll(12) == 0 { format!("http://gate.test{path}") } else { path }
}

/// One thing that an upstream may do to a path before it looks it up.
type Habit = fn(&[u8]) -> Vec<u8>;

const HABITS: [Habit; 7] = [decoded, folded, slashed, without_parameters, cut_short, merged, walked];

fn decoded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let code = path.get(at + 1..at + 3).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if path[at] == b'%' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(path[at]);
                at += 1;
            }
        }
    }
    out
}

/// Overlong UTF-8 as what it stands for.
fn folded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let tail = |by: usize| path.get(at + by).filter(|byte| **byte & 0xc0 == 0x80).map(|byte| byte & 0x3f);
        let (byte, used) = match (path[at], tail(1), tail(2)) {
            (lead @ 0xc0..=0xc1, Some(low), _) => ((lead & 1) << 6 | low, 2),
            (0xe0, Some(middle @ 0..=1), Some(low)) => (middle << 6 | low, 3),
            (byte, ..) => (byte, 1),
        };
        out.push(byte);
        at += used;
    }
    out
}

fn slashed(path: &[u8]) -> Vec<u8> {
    path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
}

fn without_parameters(path: &[u8]) -> Vec<u8> {
    let cut = |part: &[u8]| part.split(|byte| *byte == b';').next().unwrap().to_vec();
    path.split(|byte| *byte == b'/').map(cut).collect::<Vec<_>>().join(&b'/')
}

fn cut_short(path: &[u8]) -> Vec<u8> {
    path.iter().copied().take_while(|byte| !matches!(byte, b'?' | b'#' | 0)).collect()
}

fn merged(path: &[u8]) -> Vec<u8> {
    let mut out = path.to_vec();
    out.dedup_by(|a, b| *a == b'/' && *b == b'/');
    out
}

fn walked(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/').skip(1) {
        match part {
            b"." => {}
            b".." => drop(kept.pop()),
            part => kept.push(part),
        }
    }
    [b"/", &kept.join(&b'/')[..]].concat()
}

/// Whether some order of an upstream's habits makes `/wallet` of a path.
fn names_the_wallet(path: &str) -> Option<String> {
    let (mut seen, mut next) = (BTreeSet::new(), VecDeque::from([(path.as_bytes().to_vec(), 0)]));
    while let Some((path, depth)) = next.pop_front() {
        let lower = path.to_ascii_lowercase();
        if lower == b"/wallet" || lower.starts_with(b"/wallet/") {
            return Some(String::from_utf8_lossy(&path).into_owned());
        }
        if depth < 8 && seen.len() < 3_000 && seen.insert(path.clone()) {
            next.extend(HABITS.iter().map(|habit| (habit(&path), depth + 1)));
        }
    }
    None
}

#[test]
fn the_model_sees_through_tricks() {
    for path in
        ["/wallet", "/WALLET/x", "/%2577allet", "/x/..%3b/wallet", "/a%252f..%252fwallet", "/%c0%afwallet"]
    {
        assert!(names_the_wallet(path).is_some(), "{path}");
    }
    for path in ["/", "/wallets", "/open/wallet", "/a%20b"] {
        assert!(names_the_wallet(path).is_none(), "{path}");
    }
}

async fn status(site: std::net::SocketAddr, target: &str) -> u16 {
    let mut stream = TcpStream::connect(site).await.unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nhost: gate.test\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    let line = String::from_utf8_lossy(answer.get(..12).unwrap_or_default()).into_owned();
    line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

async fn recording() -> (Origin, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&seen);
    let origin = Origin::start(None, move |request| {
        kept.lock().unwrap().push(request.uri().path().to_owned());
        Response::new(Full::new(Bytes::new()))
    })
    .await;
    (origin, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_protected_path_reaches_an_upstream_by_an_open_route() {
    let ((open, open_saw), (wallet, wallet_saw)) = (recording().await, recording().await);
    let gate = Gate::start(&format!(
        r#"
[upstream.open]
addresses = ["{}"]
[upstream.wallet]
addresses = ["{}"]
[room.main]
hold = true
[route.open]
path = "/"
upstream = "open"
[route.wallet]
path = "/wallet"
upstream = "wallet"
room = "main"
bypass_paths = ["/wallet/return"]
"#,
        open.address, wallet.address
    ))
    .await;
    let site = gate.site();
    let mut dice = Dice(20_201_208);
    let mut codes = std::collections::BTreeMap::<u16, usize>::new();
    for _ in 0..VARIANTS / 50 {
        let batch: Vec<String> = (0..50).map(|_| variant(&mut dice)).collect();
        let asked = batch.into_iter().map(|target| tokio::spawn(async move { status(site, &target).await }));
        for one in asked.collect::<Vec<_>>() {
            *codes.entry(one.await.unwrap()).or_default() += 1;
        }
    }
    for target in
        ["/wallet/return%2f..%2fcard", "/wallet/return/%252e%252e/card", "/wallet/return/..%3b/card"]
    {
        assert_eq!(status(site, target).await, 400, "{target}");
    }
    assert_eq!(*wallet_saw.lock().unwrap(), Vec::<String>::new(), "the room is held: nobody is let in");
    for path in open_saw.lock().unwrap().iter() {
        assert_eq!(names_the_wallet(path), None, "{path} reached the open route's upstream");
    }
    // The test looked at something: some are met by the room, some are refused, some are other paths.
    let count = |code: u16| codes.get(&code).copied().unwrap_or(0);
    assert!(count(503) > 300 && count(400) > 300 && count(200) > 50, "{codes:?}");
    assert_eq!(count(200), open_saw.lock().unwrap().len());
}

/// What looks odd and leads to no other route is left alone.
#[tokio::test(flavor = "multi_thread")]
async fn odd_paths_that_mean_one_thing_go_on() {
    let (origin, saw) = recording().await;
    let gate = Gate::start(&format!(
        "[upstream.app]\naddresses = [\"{}\"]\n[route.a]\npath = \"/caff%C3%A8\"\nupstream = \"app\"\n\
         [route.b]\npath = \"/App\"\nupstream = \"app\"\n[route.all]\nupstream = \"app\"\n",
        origin.address
    ))
    .await;
    let paths = ["/caff%C3%A8/100%25add", "/a%3Bb/%23/why%3F", "/App/x;v=1", "/%E8", "/search/%2541"];
    for path in paths {
        assert_eq!(get(gate.site(), path).await.status, 200, "{path}");
    }
    assert_eq!(*saw.lock().unwrap(), paths);
    for path in ["/app", "/APP/x", "/Caff%C3%A8", "/x/..%3B/App"] {
        let refused = get(gate.site(), path).await;
        assert_eq!(refused.status, 400, "{path}");
        assert!(refused.json()["detail"].as_str().unwrap().contains("the path"), "{}", refused.text());
    }
}
