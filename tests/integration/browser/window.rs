//! Either browser, by what a person does with it: a journey does not know in which one it is played, nor how.
//!
//! At a desk all is done by keyboard alone, on a telephone by a finger.

use serde_json::{Value, json};

use super::day::until;
use super::driver::{Browser, Habits};
use super::firefox::Firefox;
use super::sheets::{OVERFLOW, keep};

const TAB: &str = "\u{e004}";
const SHIFT: &str = "\u{e008}";
const ENTER: &str = "\u{e007}";
/// A small telephone, in CSS pixels.
pub(super) const PHONE: (u32, u32) = (360, 640);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Chromium,
    Firefox,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Device {
    Desk,
    Phone,
}

enum Open {
    Chromium(Browser),
    Firefox(Firefox),
}

/// One window, gone when dropped.
pub(super) struct Window {
    browser: Open,
    device: Device,
    habits: Habits,
}

/// What a reader sees of the first visible element that has something to read.
const TEXT: &str = "
for (const it of document.querySelectorAll(arguments[0]))
  if (it.checkVisibility() && it.innerText.trim()) return it.innerText.trim();
return '';
";

/// Where the keyboard has to go for the first visible element.
const WAY: &str = "
const goal = [...document.querySelectorAll(arguments[0])].find(it => it.checkVisibility());
const here = document.activeElement;
if (!goal || !here) return '';
return here === goal ? 'here' : here.compareDocumentPosition(goal) & Node.DOCUMENT_POSITION_PRECEDING ? 'back' : 'on';
";

/// Where a finger has to touch it.
const SPOT: &str = "
const goal = [...document.querySelectorAll(arguments[0])].find(it => it.checkVisibility());
if (!goal) return null;
goal.scrollIntoView({ block: 'center', behavior: 'instant' });
const at = goal.getClientRects()[0];
return [Math.floor(at.x + at.width / 2), Math.floor(at.y + at.height / 2)];
";

impl Window {
    /// Opens one at a desk; `None` only if there shall be no browsers.
    pub(super) async fn open(engine: Engine, habits: Habits) -> Option<Self> {
        let browser = match engine {
            Engine::Chromium => Open::Chromium(Browser::open(habits).await?),
            Engine::Firefox => Open::Firefox(Firefox::open(habits).await?),
        };
        Some(Self { browser, device: Device::Desk, habits })
    }

    /// One at a desk, where something else is set. Chromium is opened anew for it.
    pub(super) async fn set(self, habits: Habits) -> Self {
        let Self { browser, .. } = self;
        let browser = match browser {
            Open::Chromium(browser) => {
                drop(browser);
                Open::Chromium(Browser::open(habits).await.expect("there was one"))
            }
            Open::Firefox(browser) => {
                browser.is_set(habits).await;
                browser.closes_and_opens().await;
                Open::Firefox(browser)
            }
        };
        Self { browser, device: Device::Desk, habits }
    }

    /// Goes over to a person with a telephone, who has never been here.
    pub(super) async fn is_a_phone(&mut self) {
        self.device = Device::Phone;
        self.becomes().await;
        match &self.browser {
            Open::Chromium(browser) => browser.delete_all_cookies().await.unwrap(),
            Open::Firefox(browser) => _ = browser.must("DeleteAllCookies", json!({})).await,
        }
    }

    /// Which of all it is, in a few words.
    fn name(&self) -> String {
        let engine = match self.browser {
            Open::Chromium(_) => "chromium",
            Open::Firefox(_) => "firefox",
        };
        let script = if self.habits.javascript { "js" } else { "no-js" };
        let cookies = if self.habits.cookies { "cookies" } else { "no-cookies" };
        let device = if self.device == Device::Desk { "desk" } else { "phone" };
        format!("{engine}-{script}-{cookies}-{device}")
    }

    async fn becomes(&self) {
        match (&self.browser, self.device) {
            (_, Device::Desk) => {}
            (Open::Chromium(browser), Device::Phone) => browser.becomes_a_phone().await,
            (Open::Firefox(browser), Device::Phone) => browser.becomes_a_phone().await,
        }
    }

    pub(super) async fn goto(&self, url: &str) {
        match &self.browser {
            Open::Chromium(browser) => browser.goto(url).await.unwrap(),
            Open::Firefox(browser) => browser.goto(url).await,
        }
    }

    /// Asked whether a form shall be sent again, the person says yes.
    pub(super) async fn reloads(&self) {
        self.leaves(async || match &self.browser {
            Open::Chromium(browser) => browser.refresh().await.unwrap(),
            Open::Firefox(browser) => _ = browser.must("Refresh", json!({})).await,
        })
        .await;
    }

    pub(super) async fn goes_back(&self) {
        self.leaves(async || match &self.browser {
            Open::Chromium(browser) => browser.back().await.unwrap(),
            Open::Firefox(browser) => _ = browser.must("Back", json!({})).await,
        })
        .await;
    }

    /// Another page stands in the place of this one afterwards.
    pub(super) async fn leaves(&self, by: impl AsyncFnOnce()) {
        let marks = "document.documentElement.setAttribute('data-left', arguments[0])";
        self.run(marks, "").await.expect("a page to leave");
        by().await;
        let other = "return !document.documentElement.hasAttribute('data-left')";
        until(&format!("{}: another page", self.name()), async || {
            (self.run(other, "").await? == true).then_some(())
        })
        .await;
    }

    /// The tab is closed; another has none of what the first kept for itself.
    pub(super) async fn closes_and_opens(&self) {
        match &self.browser {
            Open::Chromium(browser) => {
                let opened = browser.new_window(true).await.unwrap();
                browser.close_window().await.unwrap();
                browser.switch_to_window(opened.handle).await.unwrap();
            }
            Open::Firefox(browser) => browser.closes_and_opens().await,
        }
        self.becomes().await;
    }

    pub(super) async fn address(&self) -> String {
        match &self.browser {
            Open::Chromium(browser) => browser.current_url().await.unwrap().into(),
            Open::Firefox(browser) => browser.address().await,
        }
    }

    /// The value of a cookie, also of one that no script may read.
    pub(super) async fn cookie(&self, name: &str) -> String {
        match &self.browser {
            Open::Chromium(browser) => browser.get_named_cookie(name).await.unwrap().value().to_owned(),
            Open::Firefox(browser) => {
                let all = browser.must("GetCookies", json!({})).await;
                let mut all = all.as_array().unwrap().iter();
                all.find(|cookie| cookie["name"] == name).unwrap()["value"].as_str().unwrap().to_owned()
            }
        }
    }

    /// What a script returns on the page; an error while one page gives way to another.
    pub(super) async fn run(&self, script: &str, argument: &str) -> Option<Value> {
        match &self.browser {
            Open::Chromium(browser) => browser.execute(script, vec![json!(argument)]).await.ok(),
            Open::Firefox(browser) => browser.run(script, argument).await.ok(),
        }
    }

    async fn performs(&self, actions: Value) {
        let body = json!({ "actions": [actions] });
        match &self.browser {
            Open::Chromium(browser) => _ = browser.command("actions", body).await,
            Open::Firefox(browser) => _ = browser.must("PerformActions", body).await,
        }
    }

    /// What a reader sees of the first visible element that `css` finds; empty if there is none.
    pub(super) async fn text(&self, css: &str) -> String {
        let text = self.run(TEXT, css).await;
        text.and_then(|text| Some(text.as_str()?.to_owned())).unwrap_or_default()
    }

    pub(super) async fn shows(&self, css: &str, text: &str) {
        until(&format!("{}: {css}: {text}", self.name()), async || {
            self.text(css).await.contains(text).then_some(())
        })
        .await;
    }

    /// What stands in a field.
    pub(super) async fn value(&self, css: &str) -> String {
        let value = self.run("return document.querySelector(arguments[0]).value", css).await.unwrap();
        value.as_str().unwrap().to_owned()
    }

    /// Presses what `css` finds, as soon as it is there.
    pub(super) async fn press(&self, css: &str) {
        self.reaches(css).await;
        if self.device == Device::Desk {
            self.keys(&[ENTER]).await;
        }
    }

    pub(super) async fn writes(&self, css: &str, text: &str) {
        self.reaches(css).await;
        let letters = text.chars().flat_map(|letter| {
            ["keyDown", "keyUp"].map(|what| json!({ "type": what, "value": letter.to_string() }))
        });
        let letters: Vec<Value> = letters.collect();
        self.performs(json!({ "type": "key", "id": "keyboard", "actions": letters })).await;
    }

    /// Touches it with a finger, or moves there by keyboard, never round by the browser's own controls.
    async fn reaches(&self, css: &str) {
        let what = format!("{}: a way to {css}", self.name());
        if self.device == Device::Phone {
            let at = until(&what, async || self.run(SPOT, css).await.filter(Value::is_array)).await;
            let touch = json!([
                { "type": "pointerMove", "duration": 0, "x": at[0], "y": at[1] },
                { "type": "pointerDown", "button": 0 },
                { "type": "pointerUp", "button": 0 },
            ]);
            let finger = json!({ "pointerType": "touch" });
            let actions =
                json!({ "type": "pointer", "id": "finger", "parameters": finger, "actions": touch });
            return self.performs(actions).await;
        }
        until(&what, async || {
            match self.run(WAY, css).await?.as_str()? {
                "here" => return Some(()),
                "on" => self.keys(&[TAB]).await,
                "back" => self.keys(&[SHIFT, TAB]).await,
                _ => {}
            }
            None
        })
        .await;
    }

    /// Keys held down together.
    async fn keys(&self, keys: &[&str]) {
        let down = keys.iter().map(|key| json!({ "type": "keyDown", "value": key }));
        let up = keys.iter().rev().map(|key| json!({ "type": "keyUp", "value": key }));
        let all: Vec<Value> = down.chain(up).collect();
        self.performs(json!({ "type": "key", "id": "keyboard", "actions": all })).await;
    }

    /// Keeps a picture of what is seen of a page of ours, which is as wide as the screen.
    pub(super) async fn keeps(&self, state: &str) {
        const SCREEN: &str = "return [innerWidth, /Mobile/.test(navigator.userAgent)]";
        let name = format!("{}-{state}", self.name());
        if self.device == Device::Phone {
            assert_eq!(self.run(SCREEN, "").await, Some(json!([PHONE.0, true])), "{name}");
        }
        assert_eq!(self.run(OVERFLOW, "").await, Some(json!(0)), "{name} is too wide");
        keep(
            &name,
            &match &self.browser {
                Open::Chromium(browser) => browser.screenshot().await.unwrap(),
                Open::Firefox(browser) => browser.screenshot().await,
            },
        );
    }
}
