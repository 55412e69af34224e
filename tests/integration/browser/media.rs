//! What people have set: colours of their own (forced colours), 200 %, letters twice as large, less motion.
//! In German, which has the longest words; every page in both themes.

use fantoccini::Locator;
use serde_json::{Value, json};
use tornello::pages::Theme;
use tornello::preview::SHEETS;

use super::day::until;
use super::driver::{Browser, Habits};
use super::firefox::Firefox;
use super::sheets::{SETTLED, keep_picture, preview};

const GERMAN: Habits = Habits { language: "de", javascript: true, cookies: true };

/// Where backgrounds are taken away, what is a button, a field, a bar or a box must have an edge, and what
/// has the focus an outline; and all that is drawn must be in the person's colours.
const FORCED: &str = r#"
const wrong = [];
if (!matchMedia("(forced-colors: active)").matches) return ["colours are not forced"];
const seen = css => [...document.querySelectorAll(css)].filter(it => it.checkVisibility() && it.getBoundingClientRect().height > 1);
const name = it => it.tagName + "." + it.className + " " + it.textContent.slice(0, 20);
const edge = it => { const s = getComputedStyle(it); return s.borderTopStyle !== "none" && parseFloat(s.borderTopWidth) >= 1; };
for (const it of seen("button,.button,input,progress,.note,.alert,.message,.code,dl")) if (!edge(it)) wrong.push("no edge: " + name(it));
for (const it of seen("a[href],button,input,summary")) {
  it.focus({ focusVisible: true });
  const s = getComputedStyle(it);
  if (document.activeElement !== it) wrong.push("no focus: " + name(it));
  else if (s.outlineStyle === "none" || parseFloat(s.outlineWidth) < 2) wrong.push("focus cannot be seen: " + name(it));
}
document.activeElement.blur();
const colour = system => {
  const it = document.body.appendChild(document.createElement("i"));
  it.style.color = system;
  const is = getComputedStyle(it).color;
  it.remove();
  return is;
};
const theirs = new Set(["CanvasText", "LinkText", "VisitedText", "ButtonText", "FieldText", "GrayText", "Highlight", "HighlightText"].map(colour));
for (const it of seen("body *")) {
  const own = [...it.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  if (own && !theirs.has(getComputedStyle(it).color)) wrong.push("a colour of ours: " + name(it) + getComputedStyle(it).color);
}
return wrong;
"#;

/// Twice as large: nothing beside the screen, nothing cut off, and all that is pressed can be.
const LARGE: &str = r#"
const wrong = [];
const root = document.documentElement;
if (root.scrollWidth > root.clientWidth) wrong.push("wider than the screen by " + (root.scrollWidth - root.clientWidth));
const name = it => it.tagName + "." + it.className + " " + it.textContent.slice(0, 20);
const seen = css => [...document.querySelectorAll(css)].filter(it => it.checkVisibility() && it.getBoundingClientRect().height > 1);
for (const it of seen("body *")) {
  if (it.tagName === "INPUT" || it.matches(".hush")) continue;
  const clips = getComputedStyle(it).overflow !== "visible";
  if (clips && (it.scrollWidth > it.clientWidth + 1 || it.scrollHeight > it.clientHeight + 1)) wrong.push("cut off: " + name(it));
}
for (const it of seen("a[href],button,input,summary")) {
  it.scrollIntoView({ block: "center" });
  const at = it.getClientRects()[0];
  const top = document.elementFromPoint(at.x + at.width / 2, at.y + at.height / 2);
  if (!top || !(it.contains(top) || top.contains(it))) wrong.push("covered: " + name(it));
}
scrollTo(0, 0);
return wrong;
"#;

/// The rules in force that set something in motion, on the page or by its script.
const MOVES: &str = r#"
const moves = [];
const walk = rules => {
  for (const rule of rules) {
    if (rule.media && !matchMedia(rule.media.mediaText).matches) continue;
    if (rule.cssRules) walk(rule.cssRules);
    const style = rule.style;
    if (!style) continue;
    for (const what of ["transitionDuration", "animationName", "scrollBehavior"]) {
      if (style[what] && !["0s", "none", "auto", "initial"].includes(style[what])) moves.push(rule.selectorText + " " + what);
    }
  }
};
for (const sheet of document.styleSheets) walk(sheet.cssRules);
return moves.concat(document.getAnimations().map(String));
"#;

/// What is too faint for whoever wants more contrast: 7 to 1 for words, 4.5 to 1 for edges.
pub(super) const FAINT: &str = r#"
const faint = [];
const seen = css => [...document.querySelectorAll(css)].filter(it => it.checkVisibility() && it.getBoundingClientRect().height > 1);
const parts = colour => colour.match(/[\d.]+/g).map(Number);
const light = rgb => rgb.slice(0, 3).map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
const ratio = (one, two) => {
  const [dark, bright] = [light(one), light(two)].sort((a, b) => a - b);
  return (bright + .05) / (dark + .05);
};
const ground = it => {
  for (; it; it = it.parentElement) {
    const is = parts(getComputedStyle(it).backgroundColor);
    if (is[3] !== 0) return is;
  }
  return [255, 255, 255];
};
const tell = (it, what, is) => faint.push(what + " of " + it.tagName + "." + it.className + " " + it.textContent.slice(0, 20) + ": " + is.toFixed(1));
for (const it of seen("body *")) {
  if (![...it.childNodes].some(node => node.nodeType === 3 && node.data.trim()) || it.matches(".hush")) continue;
  const is = ratio(parts(getComputedStyle(it).color), ground(it));
  if (is < 7) tell(it, "words", is);
}
for (const it of seen("button,.button,input,progress,.note,.alert,.message,.code,dl")) {
  const is = ratio(parts(getComputedStyle(it).borderTopColor), ground(it.parentElement));
  if (is < 4.5) tell(it, "edge", is);
}
return faint;
"#;
/// Whether a media query holds.
pub(super) const HOLDS: &str = "return matchMedia(arguments[0]).matches";

impl Browser {
    /// Whether a full bar, where there is one, looks different from an empty one.
    async fn shows_progress(&self) -> bool {
        let mut looks = Vec::new();
        for value in [0, 1] {
            let set = "const bar = document.querySelector('progress');
                if (bar) bar.value = arguments[0];
                return Boolean(bar && bar.checkVisibility())";
            if self.execute(set, vec![json!(value)]).await.unwrap() == json!(false) {
                return true;
            }
            let bar = self.find(Locator::Css("progress")).await.unwrap();
            looks.push(bar.screenshot().await.unwrap());
        }
        looks[0] != looks[1]
    }
}

fn told(path: &str, how: &str, found: &Value) -> Vec<String> {
    found.as_array().unwrap().iter().map(|what| format!("{path}, {how}: {what}")).collect()
}

async fn judged(theme: Theme, at: std::net::SocketAddr) -> Vec<String> {
    let Some(browser) = Browser::open(GERMAN).await else { return Vec::new() };
    let mut wrong = Vec::new();
    let (mut moving, mut faint) = (0, 0);
    for sheet in SHEETS {
        let path = format!("/{}/de/{}", theme.name(), sheet.name);
        browser.view(1280, 1024, 1.0).await;
        browser.goto(&format!("http://{at}{path}")).await.unwrap();
        browser.settles(&path, sheet).await;

        browser.prefers(&[("forced-colors", "active"), ("prefers-reduced-motion", "reduce")]).await;
        wrong.extend(told(&path, "forced colours", &browser.run(FORCED).await));
        if !browser.shows_progress().await {
            wrong.push(format!("{path}, forced colours: progress cannot be seen"));
        }
        keep_picture(&browser, &format!("{path}-forced"), false).await;

        browser.prefers(&[("prefers-reduced-motion", "reduce")]).await;
        wrong.extend(told(&path, "less motion", &browser.run(MOVES).await));
        browser.prefers(&[("prefers-reduced-motion", "no-preference")]).await;
        moving += browser.run(MOVES).await.as_array().unwrap().len();

        for scheme in ["light", "dark"] {
            browser.dark(scheme == "dark").await;
            faint += browser.run(FAINT).await.as_array().unwrap().len();
            browser.prefers(&[("prefers-color-scheme", scheme), ("prefers-contrast", "more")]).await;
            let holds = browser.execute(HOLDS, vec![json!("(prefers-contrast: more)")]).await.unwrap();
            assert_eq!(holds, true);
            wrong.extend(told(&path, &format!("more contrast, {scheme}"), &browser.run(FAINT).await));
            keep_picture(&browser, &format!("{path}-contrast-{scheme}"), false).await;
        }
        browser.dark(false).await;

        // A window of 1280 pixels at 200 %.
        browser.view(640, 512, 2.0).await;
        wrong.extend(told(&path, "200 %", &browser.run(LARGE).await));
        // Letters alone, which also a telephone's setting does.
        let letters = "document.documentElement.style.fontSize = arguments[0]";
        browser.execute(letters, vec![json!("200%")]).await.unwrap();
        wrong.extend(told(&path, "letters at 200 %", &browser.run(LARGE).await));
        keep_picture(&browser, &format!("{path}-letters"), false).await;
    }
    assert!(moving > 0, "nothing moves for anybody, so that nothing can be seen to stand still");
    assert!(faint > 0, "nothing is faint for anybody, so that nothing can be seen to be mended");
    wrong.extend(browser.complaints().await);
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_keep_to_the_colours_the_size_and_the_rest_that_people_have_set() {
    let at = preview().await;
    let [one, two] = Theme::ALL.map(|theme| judged(theme, at));
    let (one, two) = tokio::join!(one, two);
    let wrong = [one, two].concat();
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every second page, the themes and light and dark in turn: Firefox has a drawing of its own, not texts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_firefox_pages_keep_to_the_colours_and_the_rest_that_people_have_set() {
    const COLOURS: &str = "browser.display.document_color_use";
    let Some(browser) = Firefox::open(GERMAN).await else { return };
    let (at, mut wrong) = (preview().await, Vec::new());
    let (mut moving, mut faint) = (0, 0);
    let judge = async |script: &str| browser.run(script, "").await.unwrap();
    for (turn, sheet) in SHEETS.iter().step_by(2).enumerate() {
        let path = format!("/{}/de/{}", Theme::ALL[turn % 2].name(), sheet.name);
        browser.goto(&format!("http://{at}{path}")).await;
        until(&path, async || (browser.run(SETTLED, sheet.name).await.ok()? == true).then_some(())).await;
        if turn == 0 {
            moving += judge(MOVES).await.as_array().unwrap().len();
            faint += judge(FAINT).await.as_array().unwrap().len();
            browser.sets("ui.prefersReducedMotion", 1, "(prefers-reduced-motion: reduce)").await;
            browser.sets(COLOURS, 1, "(forced-colors: none)").await;
            browser.sets("ui.useAccessibilityTheme", 1, "(prefers-contrast: more)").await;
        }
        let (scheme, dark) = if turn / 2 % 2 == 0 { ("light", 1) } else { ("dark", 0) };
        let holds = format!("(prefers-color-scheme: {scheme}) and (prefers-contrast: more)");
        browser.sets("layout.css.prefers-color-scheme.content-override", dark, &holds).await;
        wrong.extend(told(&path, "less motion", &judge(MOVES).await));
        wrong.extend(told(&path, &format!("more contrast, {scheme}"), &judge(FAINT).await));
        browser.sets(COLOURS, 2, "(forced-colors: active)").await;
        wrong.extend(told(&path, "forced colours", &judge(FORCED).await));
        browser.sets(COLOURS, 1, "(forced-colors: none)").await;
    }
    assert!(moving > 0 && faint > 0, "nothing is to be mended, so that nothing can be seen to be");
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}
