//! `[pages]`.

use super::Judge;
use crate::config::document::at;
use crate::config::findings::Finding;
use crate::config::raw::{RawPages, RawTheme};
use crate::pages::{Look, Theme};

pub(super) fn judge(judge: &mut Judge<'_, '_>) {
    let pages = &judge.raw.pages;
    let links = [
        ("privacy_url", &pages.privacy_url),
        ("accessibility_url", &pages.accessibility_url),
        ("feedback_url", &pages.feedback_url),
    ];
    for (key, link) in links {
        let Some(link) = link else { continue };
        judge.refuse_if(!is_link(link), || {
            let help = "write a path like \"/privacy\", or an address that begins with `https://`";
            Finding::error(at(&["pages", key]), format!("`pages.{key}` is no address"), help)
        });
    }
    if let Some(phone) = &pages.help_phone {
        let figures = phone.chars().filter(char::is_ascii_digit).count();
        let known = phone.chars().all(|c| c.is_ascii_digit() || " +-/().".contains(c));
        judge.refuse_if(!known || figures < 3, || {
            let help = "write figures, spaces, and `+ - / ( ) .`: \"800 123 456\"";
            Finding::error(at(&["pages", "help_phone"]), "`pages.help_phone` is no telephone number", help)
        });
    }
}

/// A path on this host or a web address, as it may stand in a link.
fn is_link(text: &str) -> bool {
    let legible = text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"\"<>\\^`{|}".contains(c));
    let path = text.starts_with('/') && !text.starts_with("//");
    let web = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    legible && (path || web.is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || c == '[')))
}

pub(super) fn build(raw: &RawPages) -> Look {
    Look {
        theme: match raw.theme {
            RawTheme::Neutral => Theme::Neutral,
            RawTheme::Public => Theme::Public,
        },
        folder: raw.folder.clone(),
        privacy_url: raw.privacy_url.clone(),
        accessibility_url: raw.accessibility_url.clone(),
        feedback_url: raw.feedback_url.clone(),
        help_phone: raw.help_phone.clone(),
    }
}
