//! Every page, in every state, language and theme, before the judges: axe-core's rules of accessibility
//! in a real browser, and html-validate's of HTML.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tornello::pages::{Language, Look, Theme};
use tornello::preview::{SHEETS, Sheet, Shows, serve};

use super::day::{ask, until};
use super::driver::{Browser, Habits};

/// Where `make test` puts what judges pages.
fn judge(path: &str) -> PathBuf {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/pages").join(path);
    assert!(found.exists(), "{} is missing: npm ci --prefix .ci/pages", found.display());
    found
}

pub(super) async fn preview() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let look = Look {
        privacy_url: Some("/privacy".into()),
        accessibility_url: Some("https://www.example.org/accessibility?a=1&b=2".into()),
        feedback_url: Some("/feedback".into()),
        help_phone: Some("800 123 456".into()),
        ..Look::default()
    };
    tokio::spawn(async move { serve(listener, &look).await.unwrap() });
    address
}

/// The script has shown what there is to show.
pub(super) const SETTLED: &str = r#"
const [name] = arguments;
const shown = css => { const el = document.querySelector(css); return el && el.checkVisibility() && el.textContent.trim(); };
const h1 = shown(".first h1");
if (!document.querySelector("[id=data]")) return Boolean(h1);
if (name === "call") return Boolean(shown("[data-do=extend]"));
if (name === "called") return Boolean(shown("[data-do=enter]"));
if (name === "trouble") return Boolean(shown("[data-do=retry]"));
if (["closed", "prequeue"].includes(name)) return Boolean(shown("[data-f=countdown]"));
const live = ["waiting", "unknown", "next", "draining"].includes(name) || name.startsWith("held-");
return live ? Boolean(shown("[data-f=updated]")) : h1 !== JSON.parse(document.querySelector("[id=data]").textContent).text.heading_joining;
"#;

impl Browser {
    /// Waits until the page shows what there is to show.
    pub(super) async fn settles(&self, path: &str, sheet: &Sheet) {
        until(&format!("{path} to settle"), async || {
            let seen = self.execute(SETTLED, vec![json!(sheet.name)]).await;
            (seen.ok()? == Value::Bool(true)).then_some(())
        })
        .await;
    }
}

/// Every rule of WCAG 2.0 to 2.2, A and AA, and axe-core's own of good practice.
const JUDGE: &str = r#"
const done = arguments[arguments.length - 1];
axe.run(document, { resultTypes: ["violations"] }).then(
  result => done(result.violations.map(it => it.id + ": " + it.nodes.map(node => node.html).join(" | "))),
  error => done([String(error)]));
"#;

/// The colours of a dark page; nothing else is different there.
const CONTRAST: &str = r#"
const done = arguments[arguments.length - 1];
axe.run(document, { runOnly: ["color-contrast"], resultTypes: ["violations"] }).then(
  result => done(result.violations.map(it => it.id + ": " + it.nodes.map(node => node.html).join(" | "))),
  error => done([String(error)]));
"#;

/// Where somebody wants a picture of everything.
fn gallery() -> Option<PathBuf> {
    std::env::var_os("TORNELLO_PICTURES").map(PathBuf::from)
}

/// Keeps a picture there, else in `pictures` where cargo has tests write.
pub(super) fn keep(name: &str, picture: &[u8]) {
    let folder = gallery().unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures"));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
}

/// Keeps a picture of the page at this path: of `one` always, of others where everything is wanted.
pub(super) async fn keep_picture(browser: &Browser, path: &str, one: bool) {
    if one || gallery().is_some() {
        keep(&path[1..].replace('/', "-"), &browser.screenshot().await.unwrap());
    }
}

/// What the page is wider than its window by.
pub(super) const OVERFLOW: &str =
    "return document.documentElement.scrollWidth - document.documentElement.clientWidth";

async fn judged(theme: Theme, at: SocketAddr) -> Vec<String> {
    let habits = Habits { language: "en", javascript: true, cookies: true };
    let Some(browser) = Browser::open(habits).await else { return Vec::new() };
    let axe = std::fs::read_to_string(judge("node_modules/axe-core/axe.min.js")).unwrap();
    // A narrow telephone, which is also 1280 px at 400 %.
    browser.view(320, 640, 1.0).await;
    let mut wrong = Vec::new();
    let languages = Language::all().count();
    for (row, language) in Language::all().enumerate() {
        for (turn, sheet) in SHEETS.iter().enumerate() {
            let path = format!("/{}/{}/{}", theme.name(), language.tag(), sheet.name);
            // Each state is kept once, light and dark, the languages in turn.
            let one = turn % languages == row;
            browser.goto(&format!("http://{at}{path}")).await.unwrap();
            browser.settles(&path, sheet).await;
            let lang =
                browser.run("return document.documentElement.lang + document.querySelector('.first').lang");
            assert_eq!(lang.await, format!("{0}{0}", language.tag()), "{path}");
            let overflow = browser.run(OVERFLOW).await;
            if overflow.as_i64() != Some(0) {
                wrong.push(format!("{path}: {overflow} px too wide at 320 px"));
            }
            keep_picture(&browser, &path, one).await;
            browser.execute(&axe, Vec::new()).await.unwrap();
            let found = browser.execute_async(JUDGE, Vec::new()).await.unwrap();
            wrong.extend(found.as_array().unwrap().iter().map(|rule| format!("{path}: {rule}")));
            browser.dark(true).await;
            let found = browser.execute_async(CONTRAST, Vec::new()).await.unwrap();
            wrong.extend(found.as_array().unwrap().iter().map(|rule| format!("{path}, dark: {rule}")));
            keep_picture(&browser, &format!("{path}-dark"), one).await;
            browser.dark(false).await;
        }
    }
    wrong.extend(browser.complaints().await);
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_breaks_a_rule_of_accessibility() {
    let at = preview().await;
    let [one, two] = Theme::ALL.map(|theme| judged(theme, at));
    let (one, two) = tokio::join!(one, two);
    let wrong = [one, two].concat();
    assert!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_valid_html() {
    let program = judge("node_modules/.bin/html-validate");
    let at = preview().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(judge(".htmlvalidate.json"), folder.path().join(".htmlvalidate.json")).unwrap();
    let mut pages = 0;
    for theme in Theme::ALL {
        for language in Language::all() {
            for Sheet { name, shows, .. } in SHEETS {
                let path = format!("/{}/{}/{name}", theme.name(), language.tag());
                let page = ask(at, http::Method::GET, &path, &[], "").await;
                assert_eq!(page.status, 200, "{path}");
                let script = page.text().contains("<script>");
                assert_eq!(script, *shows == Shows::Live, "{path}");
                let file = folder.path().join(format!("{}.html", path[1..].replace('/', "-")));
                std::fs::write(file, &page.body).unwrap();
                pages += 1;
            }
        }
    }
    let judged = Command::new(program).args(["--ext", "html", "."]).current_dir(folder.path()).output();
    let judged = judged.expect("html-validate needs node");
    let said = String::from_utf8_lossy(&judged.stdout);
    assert!(
        judged.status.success() && pages >= 400,
        "{pages} pages\n{said}{}",
        String::from_utf8_lossy(&judged.stderr)
    );
}

#[tokio::test]
async fn the_index_leads_to_every_page() {
    let at = preview().await;
    let index = ask(at, http::Method::GET, "/", &[], "").await.text();
    let links: Vec<&str> = index.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(links.len(), SHEETS.len() * Theme::ALL.len() * Language::all().count());
    assert_eq!(ask(at, http::Method::GET, "/neutral/xx/waiting", &[], "").await.status, 404);
    assert_eq!(ask(at, http::Method::GET, "/neutral/it/nothing", &[], "").await.status, 404);
    let switched = ask(
        at,
        http::Method::GET,
        "/.tornello/rooms/waiting/queue?lang=sl",
        &[("referer", "http://x/public/it/waiting")],
        "",
    );
    assert_eq!(switched.await.headers["location"], "/public/sl/waiting");
}
