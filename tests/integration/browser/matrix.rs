//! The path of a person, from the first look to the service, in every browser, with JavaScript and without,
//! with cookies and without, at a desk by keyboard alone and on a telephone by finger.

use serde_json::Value;

use super::day::{Day, Person, SERVICE, until};
use super::driver::Habits;
use super::window::{Engine, Window};
use super::{ONE_SEAT, WISH};

const ASKS: &str = "page_asks = true\ncall = \"5m\"\n";
const QUEUE: &str = "There is a queue";
const UNKNOWN: &str = "We cannot find your place";

/// A day that is gone through in one window.
struct Journey<'a> {
    window: &'a Window,
    day: &'a Day,
    habits: Habits,
}

impl Journey<'_> {
    /// Joins; the number, and the code of the place.
    async fn joins(&self) -> (String, String) {
        let Habits { javascript, cookies, .. } = self.habits;
        self.window.goto(&self.day.url(WISH)).await;
        if !javascript {
            self.window.shows("h1", QUEUE).await;
            self.window.press("form button").await;
        }
        if !javascript && !cookies {
            // The first number is lost with the cookie that held it.
            self.window.shows("h1", UNKNOWN).await;
            self.window.press("form.act button").await;
        }
        let number = until("a number", async || self.number().await).await;
        if cookies {
            return (number, self.window.cookie("tornello-ticket-sala").await);
        }
        let words = if javascript { "Your browser does not accept cookies" } else { "Code of your place" };
        self.window.shows(".code h2", words).await;
        (number, self.window.value(self.code_field()).await)
    }

    async fn number(&self) -> Option<String> {
        let css = if self.habits.javascript { "[data-f=number]" } else { "dl div:last-child dd" };
        Some(self.window.text(css).await).filter(|number| !number.is_empty())
    }

    /// Where the page says the code of the place to whoever keeps no cookies.
    fn code_field(&self) -> &'static str {
        if self.habits.javascript { "[data-f=ticket]" } else { ".code input" }
    }

    /// Back at the queue's address: the place is there, by itself or by its code.
    async fn has(&self, number: &str, code: &str) {
        if self.habits.javascript {
            let shown = until("a number again", async || self.number().await).await;
            if shown != number {
                assert!(!self.habits.cookies, "{shown} instead of {number}");
                self.window.press("summary").await;
                self.window.writes("[data-f=have]", code).await;
                self.window.press("[data-do=use]").await;
            }
        } else {
            let heading = |words: &'static str| async move {
                (self.window.text("h1").await == words).then(|| words.to_owned())
            };
            let found = async || match self.number().await {
                Some(number) => Some(number),
                None => heading(UNKNOWN).await,
            };
            let mut seen = until("the place or a way to it", async || match found().await {
                Some(found) => Some(found),
                None => heading(QUEUE).await,
            })
            .await;
            if seen == QUEUE {
                self.window.press("form button").await;
                seen = until("the place or that there is none", found).await;
            }
            if seen == UNKNOWN {
                assert!(!self.habits.cookies, "the place is lost");
                self.window.writes("form.code input[name=code][required]", code).await;
                self.window.press("form.code button").await;
            }
        }
        until(&format!("number {number}"), async || (self.number().await? == number).then_some(())).await;
    }

    /// The turn comes while the page is looked at.
    async fn is_called(&self, number: &str) {
        let Habits { javascript, cookies, .. } = self.habits;
        if javascript {
            let words = "your browser does not keep cookies";
            let words = if cookies { "Go in when you are ready." } else { words };
            self.window.shows("[role=alert]", words).await;
            self.window.shows("[data-f=call]", "Your turn stands for about").await;
            return;
        }
        let number: u64 = number.parse().unwrap();
        until("the board calls", async || {
            (self.day.board().await["cursor"].as_u64()? >= number).then_some(())
        })
        .await;
        self.window.press(if cookies { "a.button" } else { "form.act button" }).await;
        self.window.shows("h1", "It is your turn").await;
        self.window.shows(".soft", "Your turn stands for about").await;
    }

    async fn gets_more_time(&self, code: &str) {
        let script = self.habits.javascript;
        if script {
            self.window.press("[data-do=extend]").await;
        } else {
            // The page that goes says the same as the one that comes, on which the next button is pressed.
            let button = "form[action$=extension] button";
            self.window.leaves(async || self.window.press(button).await).await;
        }
        until("more time", async || (self.place(code).await["call"]["extensions"] == 9).then_some(())).await;
        self.window.shows(if script { "[data-f=call]" } else { ".soft" }, "Your turn stands for about").await;
    }

    /// What the gateway says of the place.
    async fn place(&self, code: &str) -> Value {
        let shown = [("tornello-ticket", code)];
        self.day.send(http::Method::GET, "/.tornello/v1/rooms/sala/ticket", &shown).await.json()
    }

    /// With cookies into the service; without them the page says why not, and the code leads in elsewhere.
    async fn goes_in(&self, code: &str) {
        let Habits { javascript, cookies, .. } = self.habits;
        self.window.press(if javascript { "[data-do=enter]" } else { "form[action$=claims] button" }).await;
        if cookies {
            self.window.shows("h1", SERVICE).await;
            assert_eq!(self.window.address().await, self.day.url(WISH));
            self.window.reloads().await;
            self.window.shows("h1", SERVICE).await;
        } else {
            if !javascript {
                self.window.shows("h1", "Your browser does not accept cookies").await;
            }
            self.window
                .shows(if javascript { "[data-f=coded]" } else { ".lead" }, "use the code there")
                .await;
            assert_eq!(self.window.value(self.code_field()).await, code, "it left its place");
            assert_eq!(self.place(code).await["state"], "called");
            self.window.keeps("stays").await;
            Person::holds(self.day, code).comes_in().await;
        }
        assert_eq!(self.place(code).await["state"], "admitted");
    }
}

async fn goes(window: &Window, habits: Habits) {
    let day = Day::begin(&format!("{ASKS}{ONE_SEAT}")).await;
    let inside = Person::walks_in(&day).await;
    let journey = Journey { window, day: &day, habits };
    let (number, code) = journey.joins().await;
    window.keeps("waits").await;

    // A page that answered a form is not there to come back to: from it, back leads to the one before.
    if habits.javascript || habits.cookies {
        window.goto(&day.url("/.tornello/status")).await;
        window.shows("h1", "Status of the service").await;
    }
    window.goes_back().await;
    journey.has(&number, &code).await;
    window.reloads().await;
    journey.has(&number, &code).await;
    window.closes_and_opens().await;
    window.goto(&day.url(WISH)).await;
    journey.has(&number, &code).await;
    if habits.cookies {
        assert_eq!(day.board().await["issued"], 1, "coming back took another number");
    }

    inside.goes().await;
    journey.is_called(&number).await;
    window.keeps("called").await;
    journey.gets_more_time(&code).await;
    journey.goes_in(&code).await;
}

/// With cookies and without, one person at a desk and one on a telephone.
async fn all_go(engine: Engine, javascript: bool) {
    let habits = Habits { language: "en", javascript, cookies: true };
    let Some(mut window) = Window::open(engine, habits).await else { return };
    for cookies in [true, false] {
        let habits = Habits { cookies, ..habits };
        if !cookies {
            window = window.set(habits).await;
        }
        goes(&window, habits).await;
        window.is_a_phone().await;
        goes(&window, habits).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_chromium_everybody_gets_in() {
    all_go(Engine::Chromium, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_chromium_everybody_gets_in_without_javascript() {
    all_go(Engine::Chromium, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_firefox_everybody_gets_in() {
    all_go(Engine::Firefox, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_firefox_everybody_gets_in_without_javascript() {
    all_go(Engine::Firefox, false).await;
}
