//! Firefox: Debian's, spoken to by Marionette, the protocol that geckodriver translates
//! WebDriver into. Debian 12 has no geckodriver, and its binary would come from a third place.
//!
//! A message is its length in decimal, a colon, and JSON: `[0, id, command, parameters]` there,
//! `[1, id, error, result]` back.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, SemaphorePermit};

use super::day::{PATIENCE, until};
use super::driver::{Habits, may_open, turn};
use super::media::HOLDS;
use super::window::PHONE;

const FIREFOX: &str = "/usr/bin/firefox-esr";
/// Keeps no cookies, nor anything else that a page would keep.
const NO_COOKIES: u8 = 2;

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
    /// What Firefox says next. It has more time than whoever waits for a value, who says which.
    async fn read(&mut self) -> Value {
        let said = tokio::time::timeout(PATIENCE * 2, self.message()).await;
        said.expect("Firefox does not answer")
    }

    async fn message(&mut self) -> Value {
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
        // Asked whether a form shall be sent again, the person says yes.
        browser.must("NewSession", json!({ "unhandledPromptBehavior": "accept" })).await;
        browser.is_set(habits).await;
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

    pub(super) async fn must(&self, name: &str, parameters: Value) -> Value {
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
        self.in_browser("Services.prefs.setIntPref(...arguments)", json!([name, value])).await;
        until(holds, async || (self.run(HOLDS, holds).await.ok()? == true).then_some(())).await;
    }

    /// Runs a script with the rights of the browser itself.
    async fn in_browser(&self, script: &str, arguments: Value) {
        self.must("Marionette:SetContext", json!({ "value": "chrome" })).await;
        self.must("ExecuteScript", json!({ "script": script, "args": arguments })).await;
        self.must("Marionette:SetContext", json!({ "value": "content" })).await;
    }

    /// Has what the person sets, for pages that come from now on.
    pub(super) async fn is_set(&self, habits: Habits) {
        const SET: &str = "
            const [script, cookies, none] = arguments, name = 'network.cookie.cookieBehavior';
            Services.prefs.setBoolPref('javascript.enabled', script);
            cookies ? Services.prefs.clearUserPref(name) : Services.prefs.setIntPref(name, none);
        ";
        self.in_browser(SET, json!([habits.javascript, habits.cookies, NO_COOKIES])).await;
    }

    /// A telephone with a touch screen, until its tab is closed: what the tools for developers do.
    pub(super) async fn becomes_a_phone(&self) {
        const NAME: &str = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0";
        const PHONE_OF: &str = "
            const [width, height, name] = arguments, browser = gBrowser.selectedBrowser;
            Object.assign(browser.browsingContext, { inRDMPane: true, touchEventsOverride: 'enabled', customUserAgent: name });
            for (const [side, length] of [['width', width], ['height', height]])
              for (const rule of [side, 'min-' + side, 'max-' + side]) browser.style.setProperty(rule, length + 'px');
        ";
        let (width, height) = PHONE;
        self.in_browser(PHONE_OF, json!([width, height, NAME])).await;
    }

    pub(super) async fn screenshot(&self) -> Vec<u8> {
        let taken = self.must("TakeScreenshot", json!({ "full": false })).await;
        STANDARD.decode(taken["value"].as_str().unwrap()).unwrap()
    }

    /// The tab is closed; another has none of what the first kept for itself.
    pub(super) async fn closes_and_opens(&self) {
        let opened = self.must("NewWindow", json!({ "type": "tab", "focus": true })).await;
        self.must("CloseWindow", json!({})).await;
        self.must("SwitchToWindow", json!({ "handle": opened["handle"] })).await;
    }

    pub(super) async fn address(&self) -> String {
        self.must("GetCurrentURL", json!({})).await["value"].as_str().unwrap().to_owned()
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
