//! Rows that no click day decides: each sets its own small stage.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::backend::Backend;
use super::gateway::{Gateway, NAVIGATES, ask, get};
use super::row::Judged;

/// One upstream, one room, one route; `room` and `route` are further keys of theirs.
fn configuration(backend: SocketAddr, room: &str, route: &str) -> String {
    format!(
        "[upstream.app]\naddresses = [\"{backend}\"]\n\n[room.main]\n{room}\n[route.main]\nupstream = \"app\"\n\
         room = \"main\"\n{route}\n"
    )
}

#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "boards carry wall time")]
fn wall_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1_000.0
}

const BOARD: &str = "/.tornello/v1/rooms/main/board";

/// M12, second half: how old a board may be, and whether a pause has a reason.
pub(crate) async fn datum() -> Result<(f64, bool), String> {
    let backend = Backend::start().await?;
    let gateway = Gateway::start(&configuration(backend.address, "", ""))?;
    let board = async || -> Result<Value, String> {
        let answer = get(gateway.site, BOARD, "").await?;
        let signed: Value = serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
        Ok(signed["board"].clone())
    };
    let (mut oldest, begun) = (0.0_f64, now());
    while begun.elapsed() < Duration::from_secs(6) {
        let made = board().await?["time_ms"].as_f64().ok_or("the board has no time")?;
        oldest = oldest.max((wall_ms() - made) / 1_000.0);
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    gateway.configure(&configuration(backend.address, "hold = true\n", ""))?;
    if !gateway.reload()?.status.success() {
        return Err("the room cannot be held".to_owned());
    }
    let mut reasoned = false;
    for _ in 0..100 {
        let board = board().await?;
        let held = board["state"] == "held";
        if held && board["reason"].as_str().is_none_or(str::is_empty) {
            return Ok((oldest, false));
        }
        reasoned |= held;
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    Ok((oldest, reasoned))
}

/// M18: what is left when the backend is dead.
pub(crate) async fn m18() -> Result<Judged, String> {
    let backend = Backend::start().await?;
    let gateway = Gateway::start(&configuration(backend.address, "", ""))?;
    get(gateway.site, "/", NAVIGATES).await?;
    drop(backend);
    let (mut asked, mut answered, mut times) = (0_u32, 0_u32, Vec::new());
    let begun = now();
    while begun.elapsed() < Duration::from_secs(10) {
        let looks = [
            ("/", NAVIGATES),
            ("/.tornello/status", NAVIGATES),
            ("/.tornello/v1/status", ""),
            (BOARD, ""),
            ("/.tornello/v1/rooms/main/messages", ""),
        ];
        for (path, more) in looks {
            let before = now();
            let answer = get(gateway.site, path, more).await;
            times.push(before.elapsed().as_secs_f64());
            asked += 1;
            let good = |body: &str| {
                if more.is_empty() { body.starts_with('{') } else { body.contains("<html lang=") }
            };
            answered += u32::from(answer.is_ok_and(|answer| good(&answer.body)));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    times.sort_by(f64::total_cmp);
    let p99 = times.get((times.len() * 99).div_ceil(100) - 1).copied().unwrap_or(f64::INFINITY);
    let mut missing = Vec::new();
    for (language, says) in [
        ("it", "Il servizio non risponde"),
        ("en", "The service is not responding"),
        ("de", "Der Dienst antwortet zurzeit nicht"),
        ("fr", "Le service ne répond pas"),
        ("sl", "Storitev se trenutno ne odziva"),
    ] {
        let more = format!("{NAVIGATES}accept-language: {language}\r\n");
        let tag = format!("<html lang=\"{language}\"");
        let page = get(gateway.site, "/", &more).await?;
        let status = get(gateway.site, "/.tornello/status", &more).await?;
        if !page.body.contains(&tag) || !status.body.contains(&tag) || !status.body.contains(says) {
            missing.push(language);
        }
    }
    let machine = get(gateway.site, "/.tornello/v1/status", "").await?;
    let machine: Value = serde_json::from_str(&machine.body).map_err(|error| error.to_string())?;
    if machine["service"] != "down" {
        missing.push("word of the dead backend for programs");
    }
    let languages =
        if missing.is_empty() { "all languages".to_owned() } else { format!("no {}", missing.join(", ")) };
    Ok(Judged::new(
        asked == answered && p99 <= 0.2 && missing.is_empty(),
        format!("{answered} of {asked} available, p99 {:.0} ms, {languages}", p99 * 1_000.0),
    ))
}

/// M20: payments ask for a quarter more than the backend can do, alone and with calls beside them that can be
/// done without, by turns: a machine that is slow for a while is slow to both.
pub(crate) async fn m20() -> Result<Judged, String> {
    let backend = Backend::taking(Duration::from_millis(50)).await?;
    let gateway = Gateway::start(&format!(
        "[edge]\nmax_connections_per_prefix = 10000\n\n[upstream.app]\naddresses = [\"{}\"]\n\
         limit = {{ law = \"fixed\", initial = 8, wait = \"300ms\" }}\n\n[route.pay]\npath = \"/pay\"\n\
         upstream = \"app\"\nclass = \"finish\"\n\n[route.extra]\npath = \"/extra\"\nupstream = \"app\"\n\
         class = \"optional\"\n",
        backend.address
    ))?;
    let (mut before, mut with, mut last) = (0, 0, Duration::ZERO);
    for _ in 0..ROUNDS {
        let alone = served(gateway.site, &[("/pay", 5)], ROUND).await;
        let both = served(gateway.site, &[("/pay", 5), ("/extra", 10)], ROUND).await;
        let count = |all: &[(&str, Duration)]| {
            all.iter().filter(|(path, asked)| *path == "/pay" && *asked >= SHED_BY).count()
        };
        (before, with) = (before + count(&alone), with + count(&both));
        last = both.iter().filter(|(path, _)| *path == "/extra").map(|(_, at)| *at).fold(last, Duration::max);
    }
    if before < 900 {
        return Err(format!("only {before} payments were served in ten seconds: nothing was saturated"));
    }
    Ok(Judged::new(
        last <= SHED_BY && with as f64 >= 0.98 * before as f64,
        format!(
            "the last optional call served came {:.2} s after saturation began; {with} critical completions after the first second, {before} without optional calls",
            last.as_secs_f64()
        ),
    ))
}

const ROUNDS: usize = 2;
/// So long after saturation began it may still be felt by those who pay.
const SHED_BY: Duration = Duration::from_secs(1);
const ROUND: Duration = Duration::from_secs(6);

/// Asks for each path every so many milliseconds, answered or not; what was served, and when it had been
/// asked for.
async fn served(
    site: SocketAddr,
    paths: &[(&'static str, u64)],
    time: Duration,
) -> Vec<(&'static str, Duration)> {
    let (begun, mut asked) = (now(), tokio::task::JoinSet::new());
    let mut beat = tokio::time::interval(Duration::from_millis(5));
    for turn in 0_u64.. {
        beat.tick().await;
        let at = begun.elapsed();
        if at >= time {
            break;
        }
        for &(path, _) in paths.iter().filter(|(_, every)| (turn * 5).is_multiple_of(*every)) {
            asked.spawn(async move {
                let answer = get(site, path, "").await;
                answer.is_ok_and(|answer| answer.status == 200).then_some((path, at))
            });
        }
    }
    asked.join_all().await.into_iter().flatten().collect()
}

/// Identifiers of one person, none of which may be found anywhere.
const TAX_CODE: &str = "RSSMRA80A01H501U";
const DEVICE: &str = "device-5e1f0c77aa42";
const SESSION: &str = "session-b1946ac92492d234";
const ADDRESS: [u8; 4] = [203, 0, 113, 77];
const PROXY: [u8; 4] = [127, 44, 113, 78];
const SOURCE: [u8; 4] = [127, 45, 113, 79];

/// M25: seeds identifiers wherever a client can put them, then looks for them in all that is left.
pub(crate) async fn m25() -> Result<Judged, String> {
    let backend = Backend::start().await?;
    let more = format!(
        "[edge]\ntrusted_proxies = [\"127.44.0.0/16\"]\n\n[identity]\nheader = \"x-user-id\"\n\
         credential = {{ cookie = \"session\" }}\n\n[quota.few]\nrate = \"5/s\"\nburst = 5\n\n{}",
        configuration(backend.address, "hold = true\n", "quota = \"few\"\n")
    );
    let gateway = Gateway::start(&more)?;
    let address = Ipv4Addr::from(ADDRESS);
    let carries = format!(
        "x-user-id: {TAX_CODE}\r\nx-forwarded-for: {address}\r\ncookie: session={SESSION}; device={DEVICE}\r\n\
         user-agent: {DEVICE}\r\nreferer: http://x/{TAX_CODE}\r\nauthorization: Bearer {SESSION}\r\n"
    );
    // Names of requests are taken from trusted proxies only, which are trusted to put no names of people
    // into them.
    let claims = format!("{carries}x-request-id: {DEVICE}\r\ntraceparent: {DEVICE}\r\n");
    let path = format!("/people/{TAX_CODE}?device={DEVICE}&ip={address}");
    let rooms = "/.tornello/v1/rooms/main";
    let mut left = Vec::new();
    for (source, carries) in [(PROXY, &carries), (SOURCE, &claims)] {
        let navigates = format!("{carries}{NAVIGATES}");
        let (tickets, ticket, taken) =
            (format!("{rooms}/tickets"), format!("{rooms}/ticket"), format!("{rooms}/claims"));
        // A page of the backend repeats what it was told; what is ours must not.
        let mut requests = vec![
            ("GET", path.as_str(), navigates.as_str(), ""),
            ("POST", &path, carries, TAX_CODE),
            ("POST", &tickets, carries, ""),
            ("GET", &ticket, carries, ""),
            ("POST", &taken, carries, ""),
            ("GET", BOARD, carries, ""),
            ("GET", "/%zz", carries, ""),
            ("BREW", &path, carries, ""),
        ];
        // Beyond the quota.
        requests.extend([("GET", path.as_str(), carries.as_str(), ""); 20]);
        for (method, path, more, body) in requests {
            let answer = ask(gateway.site, Ipv4Addr::from(source), method, path, more, body).await?;
            left.extend(answer.head.into_bytes());
            left.extend(answer.body.into_bytes());
        }
    }
    for page in ["/metrics", "/status"] {
        left.extend(get(gateway.admin, page, "").await?.body.into_bytes());
    }
    left.extend(gateway.end()?);
    if left.len() < 10_000 {
        return Err(format!("only {} bytes were left to look at", left.len()));
    }
    let found = find(&left);
    let words = if found.is_empty() { "0".to_owned() } else { found.join(", ") };
    Ok(Judged::new(found.is_empty(), format!("{words} found in {} kB", left.len() / 1_000)))
}

/// What is found, and in which spelling.
fn find(bytes: &[u8]) -> Vec<String> {
    let lower = bytes.to_ascii_lowercase();
    let mut found = Vec::new();
    let mut look = |name: &str, spelling: &str, needle: &[u8]| {
        let needle = needle.to_ascii_lowercase();
        if lower.windows(needle.len()).any(|window| window == needle) {
            found.push(format!("{name} as {spelling}"));
        }
    };
    let addresses = [ADDRESS, SOURCE, PROXY].map(|address| Ipv4Addr::from(address).to_string());
    let names = [TAX_CODE, DEVICE, SESSION];
    for text in names.into_iter().chain(addresses.iter().map(String::as_str)) {
        look(text, "text", text.as_bytes());
        look(text, "hex", hex(text.as_bytes()).as_bytes());
        // Whole groups only: the rest depends on what follows.
        let whole = &text.as_bytes()[..text.len() / 3 * 3];
        look(text, "base64", STANDARD.encode(whole).as_bytes());
        look(text, "base64url", URL_SAFE_NO_PAD.encode(whole).as_bytes());
    }
    for address in [ADDRESS, SOURCE, PROXY] {
        look(&Ipv4Addr::from(address).to_string(), "hex", hex(&address).as_bytes());
    }
    found
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
