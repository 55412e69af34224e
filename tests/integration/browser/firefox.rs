//! The same path in Firefox: Debian's, spoken to by Marionette, the protocol that geckodriver translates
//! WebDriver into. Debian 12 has no geckodriver, and its binary would come from a third place.
//!
//! A message is its length in decimal, a colon, and JSON: `[0, id, command, parameters]` there,
//! `[1, id, error, result]` back.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, SemaphorePermit};

use super::day::{Day, Person, SERVICE, until};
use super::driver::{Habits, may_open, turn};
use super::media::HOLDS;
use super::{ENGLISH, NO_SCRIPT, ONE_SEAT, WISH};

const FIREFOX: &str = "/usr/bin/firefox-esr";
const TAB: &str = "\u{e004}";
const SHIFT: &str = "\u{e008}";
const ENTER: &str = "\u{e007}";
const ASKS: &str = "page_asks = true\ncall = \"5m\"\n";

/// A browser with one window, gone when dropped.
pub(super) struct Firefox {
    process: Child,
    wire: Mutex<Wire>,
    _profile: tempfile::TempDir,
    _turn: SemaphorePermit<'static>,
}

struct Wire {
    stream: BufReader<TcpStream>,
    sent: u64,
}

impl Wire {
    async fn read(&mut self) -> Value {
        let mut length = 0;
        loop {
            match self.stream.read_u8().await.unwrap() {
                b':' => break,
                digit => length = length * 10 + usize::from(digit - b'0'),
            }
        }
        let mut message = vec![0; length];
        self.stream.read_exact(&mut message).await.unwrap();
        serde_json::from_slice(&message).unwrap()
    }
}

/// Nothing of its own that would ask other hosts, and no port that another could have taken.
fn preferences(habits: Habits) -> String {
    let mut all = vec![
        ("marionette.port", json!(0)),
        ("intl.accept_languages", json!(habits.language)),
        ("javascript.enabled", json!(habits.javascript)),
        ("accessibility.tabfocus", json!(7)),
        ("app.normandy.enabled", json!(false)),
        ("browser.safebrowsing.downloads.remote.enabled", json!(false)),
        ("browser.shell.checkDefaultBrowser", json!(false)),
        ("datareporting.policy.dataSubmissionEnabled", json!(false)),
        ("extensions.update.enabled", json!(false)),
        ("network.captive-portal-service.enabled", json!(false)),
        ("network.connectivity-service.enabled", json!(false)),
        ("services.settings.server", json!("data:,")),
    ];
    all.sort_by_key(|(name, _)| *name);
    all.into_iter().map(|(name, value)| format!("user_pref({name:?}, {value});\n")).collect()
}

impl Firefox {
    pub(super) async fn open(habits: Habits) -> Option<Self> {
        if !may_open() {
            return None;
        }
        assert!(Path::new(FIREFOX).exists(), "{FIREFOX} is missing: apt-get install firefox-esr");
        let turn = turn().await;
        let profile = tempfile::tempdir().unwrap();
        std::fs::write(profile.path().join("user.js"), preferences(habits)).unwrap();
        let mut command = Command::new(FIREFOX);
        // What people set is set where Firefox's own settings are.
        command.args(["--headless", "--no-remote", "--marionette", "--remote-allow-system-access"]);
        command.arg("--profile").arg(profile.path());
        command.arg("about:blank").env("HOME", profile.path()).env("TMPDIR", profile.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let stream = until("Firefox listens", async || {
            let port = std::fs::read_to_string(profile.path().join("MarionetteActivePort")).ok()?;
            TcpStream::connect(("127.0.0.1", port.trim().parse().ok()?)).await.ok()
        })
        .await;
        let wire = Mutex::new(Wire { stream: BufReader::new(stream), sent: 0 });
        let browser = Self { process, wire, _profile: profile, _turn: turn };
        assert_eq!(browser.wire.lock().await.read().await["applicationType"], "gecko");
        browser.must("NewSession", json!({})).await;
        Some(browser)
    }

    async fn command(&self, name: &str, parameters: Value) -> Result<Value, String> {
        let mut wire = self.wire.lock().await;
        wire.sent += 1;
        let name = if name.contains(':') { name.to_owned() } else { format!("WebDriver:{name}") };
        let message = json!([0, wire.sent, name, parameters]).to_string();
        wire.stream.write_all(format!("{}:{message}", message.len()).as_bytes()).await.unwrap();
        let mut answer = wire.read().await;
        assert_eq!((&answer[0], &answer[1]), (&json!(1), &json!(wire.sent)), "out of step");
        match answer[2].take() {
            Value::Null => Ok(answer[3].take()),
            error => Err(error.to_string()),
        }
    }

    async fn must(&self, name: &str, parameters: Value) -> Value {
        let done = self.command(name, parameters).await;
        done.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(super) async fn goto(&self, url: &str) {
        self.must("Navigate", json!({ "url": url })).await;
    }

    /// What a script returns on the page; an error while one page gives way to another. Works without
    /// JavaScript as well, which only pages do not have then.
    pub(super) async fn run(&self, script: &str, argument: &str) -> Result<Value, String> {
        let parameters = json!({ "script": script, "args": [argument] });
        Ok(self.command("ExecuteScript", parameters).await?["value"].take())
    }

    /// What the person sets, by Firefox's name for it, until the page knows of it.
    pub(super) async fn sets(&self, name: &str, value: u8, holds: &str) {
        self.must("Marionette:SetContext", json!({ "value": "chrome" })).await;
        let set = "Services.prefs.setIntPref(...arguments)";
        self.must("ExecuteScript", json!({ "script": set, "args": [name, value] })).await;
        self.must("Marionette:SetContext", json!({ "value": "content" })).await;
        until(holds, async || (self.run(HOLDS, holds).await.ok()? == true).then_some(())).await;
    }

    /// What a reader sees of the first visible element that `css` finds; empty if there is none.
    async fn text(&self, css: &str) -> String {
        let script = "for (const it of document.querySelectorAll(arguments[0]))
            if (it.checkVisibility() && it.innerText.trim()) return it.innerText.trim();
            return ''";
        self.run(script, css).await.ok().and_then(|text| Some(text.as_str()?.to_owned())).unwrap_or_default()
    }

    async fn shows(&self, css: &str, text: &str) {
        until(&format!("{css}: {text}"), async || self.text(css).await.contains(text).then_some(())).await;
    }

    /// Keys held down together, as the person's keyboard would send them to whatever has the focus.
    async fn keys(&self, keys: &[&str]) {
        let down = keys.iter().map(|key| json!({ "type": "keyDown", "value": key }));
        let up = keys.iter().rev().map(|key| json!({ "type": "keyUp", "value": key }));
        let all: Vec<Value> = down.chain(up).collect();
        let actions = json!([{ "type": "key", "id": "keyboard", "actions": all }]);
        self.must("PerformActions", json!({ "actions": actions })).await;
    }

    /// Presses what `css` finds, reached by Tab, or back by Shift and Tab, and pressed by Enter. Not round
    /// by the browser's own controls, where nothing without a window has the focus.
    async fn press_by(&self, way: &[&str], css: &str) {
        let here =
            "const it = document.activeElement; return it.matches(arguments[0]) && it.checkVisibility()";
        until(css, async || {
            if self.run(here, css).await.ok()? == true {
                return Some(());
            }
            self.keys(way).await;
            None
        })
        .await;
        self.keys(&[ENTER]).await;
    }

    async fn press(&self, css: &str) {
        self.press_by(&[TAB], css).await;
    }

    /// The tab is closed; another has none of what the first kept for itself.
    async fn closes_and_opens(&self) {
        let opened = self.must("NewWindow", json!({ "type": "tab", "focus": true })).await;
        self.must("CloseWindow", json!({})).await;
        self.must("SwitchToWindow", json!({ "handle": opened["handle"] })).await;
    }

    async fn address(&self) -> String {
        self.must("GetCurrentURL", json!({})).await["value"].as_str().unwrap().to_owned()
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_firefox_with_javascript_the_keyboard_leads_in_and_nothing_loses_the_place() {
    let Some(browser) = Firefox::open(ENGLISH).await else { return };
    let day = Day::begin(&format!("{ASKS}{ONE_SEAT}")).await;
    let inside = Person::walks_in(&day).await;
    browser.goto(&day.url("/")).await;
    browser.shows("[data-f=number]", "1").await;
    browser.goto(&day.url(WISH)).await;
    browser.shows("[data-f=number]", "1").await;
    browser.must("Refresh", json!({})).await;
    browser.shows("[data-f=number]", "1").await;
    browser.must("Back", json!({})).await;
    browser.shows("[data-f=number]", "1").await;
    browser.closes_and_opens().await;
    browser.goto(&day.url(WISH)).await;
    browser.shows("[data-f=number]", "1").await;
    assert_eq!(day.board().await["issued"], 1, "coming back took another number");

    inside.goes().await;
    browser.shows("[role=alert]", "Go in when you are ready.").await;
    browser.shows("[data-f=call]", "Your turn stands for about").await;
    browser.press("[data-do=extend]").await;
    let more = "const asked = new XMLHttpRequest();
        asked.open('GET', arguments[0], false); asked.send(); return JSON.parse(asked.responseText).call.extensions";
    until("more time", async || {
        (browser.run(more, "/.tornello/v1/rooms/sala/ticket").await.ok()? == 9).then_some(())
    })
    .await;
    browser.press_by(&[SHIFT, TAB], "[data-do=enter]").await;
    browser.shows("h1", SERVICE).await;
    assert_eq!(browser.address().await, day.url(WISH));
    browser.must("Refresh", json!({})).await;
    browser.shows("h1", SERVICE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_firefox_without_javascript_buttons_lead_in_and_nothing_loses_the_place() {
    let Some(browser) = Firefox::open(NO_SCRIPT).await else { return };
    let day = Day::begin(&format!("call = \"5m\"\n{ONE_SEAT}")).await;
    let inside = Person::walks_in(&day).await;
    browser.goto(&day.url(WISH)).await;
    browser.shows("h1", "C'è una coda").await;
    browser.press("form button").await;
    browser.shows("dl div:last-child dd", "1").await;
    let place = browser.address().await;
    browser.must("Refresh", json!({})).await;
    browser.shows("dl div:last-child dd", "1").await;
    browser.must("Back", json!({})).await;
    browser.shows("h1", "C'è una coda").await;
    browser.press("form button").await;
    browser.shows("dl div:last-child dd", "1").await;
    browser.closes_and_opens().await;
    browser.goto(&place).await;
    browser.shows("dl div:last-child dd", "1").await;
    assert_eq!(day.board().await["issued"], 1, "coming back took another number");

    inside.goes().await;
    until("the board calls", async || (day.board().await["cursor"] == 1).then_some(())).await;
    browser.press("a.button").await;
    browser.shows("form.act button", "Entra nel servizio").await;
    browser.press("form[action$=extension] button").await;
    browser.shows(".soft", "Il tuo turno vale ancora").await;
    browser.press("form[action$=claims] button").await;
    browser.shows("h1", SERVICE).await;
    assert_eq!(browser.address().await, day.url(WISH));
}
