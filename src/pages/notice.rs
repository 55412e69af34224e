//! Pages that say what happened, what it means and what to do: rendered once, with gaps for the
//! reference code and the time to come back.

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderMap, Response};
use minijinja::{HtmlEscape, context};

use super::language::{Language, PerLanguage};
use super::layout::{Layout, Page, Switch};
use super::prepared::{Prepared, page_headers};
use super::reason::Reason;
use super::retry_after::RetryAfter;
use super::text::{Section, value};

/// Marks a gap while the page is rendered. No text of ours has characters from the private area.
const REFERENCE: char = '\u{E000}';
const RETRY: char = '\u{E001}';

#[derive(Debug)]
pub(super) struct Notices {
    /// By the key of its text: several reasons may share a page.
    bodies: HashMap<&'static str, PerLanguage<Vec<Piece>>>,
    headers: PerLanguage<HeaderMap>,
    retry: PerLanguage<Minutes>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Reference,
    /// In the language of the pane where it stands.
    Retry(Language),
}

/// "You can try again in n minutes", ready for the first hour.
#[derive(Debug)]
struct Minutes(Vec<String>);

impl Notices {
    pub(super) fn build(layout: &Layout) -> Result<Self, String> {
        let mut bodies = HashMap::new();
        for reason in Reason::ALL {
            let pages = PerLanguage::build(|language| render(layout, reason, language))?;
            bodies.entry(reason.notice()).or_insert(pages);
        }
        let headers = PerLanguage::build(|language| page_headers(language, &layout.style, None))?;
        let retry = PerLanguage::build(|language| {
            let texts = layout.texts(language);
            Ok(Minutes((1..=60).map(|n| texts.counted(&texts.retry, "minutes", n)).collect()))
        })?;
        Ok(Self { bodies, headers, retry })
    }

    pub(super) fn page(
        &self,
        reason: Reason,
        language: Language,
        reference: &str,
        retry: Option<RetryAfter>,
    ) -> Response<Bytes> {
        let mut body = String::with_capacity(8192);
        for piece in self.bodies.get(reason.notice()).map_or(&[][..], |pages| pages.of(language)) {
            match piece {
                Piece::Text(text) => body.push_str(text),
                Piece::Reference => body.push_str(&HtmlEscape(reference).to_string()),
                Piece::Retry(pane) => body.push_str(retry.map_or("", |retry| self.retry.of(*pane).of(retry))),
            }
        }
        let headers = self.headers.of(language).clone();
        Prepared { status: reason.status(), headers, body: body.into() }.into_response(retry)
    }
}

impl Minutes {
    /// Beyond an hour a page of ours is no place to promise a minute: nothing is said.
    fn of(&self, retry: RetryAfter) -> &str {
        let index = usize::try_from(retry.minutes() - 1).unwrap_or(usize::MAX);
        self.0.get(index).map_or("", String::as_str)
    }
}

fn render(layout: &Layout, reason: Reason, language: Language) -> Result<Vec<Piece>, String> {
    let words = |pane: Language| -> Result<&Section, String> {
        let found = layout.texts(pane).notice.get(reason.notice());
        found
            .ok_or_else(|| format!("texts of language {}: notice.{} is missing", pane.tag(), reason.notice()))
    };
    let title = words(language)?.get("heading").cloned().unwrap_or_default();
    let page = Page { language, title, service: "", data: None, switch: Switch::Panes };
    let body = layout.page(&page, |pane| {
        layout.render(
            "notice.html",
            context! {
                notice => value(words(pane)?),
                page => value(&layout.texts(pane).page),
                tag => pane.tag(),
                status => layout.texts(pane).status.get("title"),
                again => reason.again(),
                reference => REFERENCE,
                // The tag tells later which language the gap is in; it is cut out with the mark.
                retry => reason.again().then(|| format!("{RETRY}{}{RETRY}", pane.tag())),
            },
        )
    })?;
    Ok(pieces(&body))
}

fn pieces(body: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (at, part) in body.split(RETRY).enumerate() {
        if at % 2 == 1 {
            pieces.extend(Language::from_tag(part).map(Piece::Retry));
            continue;
        }
        for (at, text) in part.split(REFERENCE).enumerate() {
            if at > 0 {
                pieces.push(Piece::Reference);
            }
            pieces.push(Piece::Text(text.into()));
        }
    }
    pieces
}
