//! What a device carries from answer to request: cookies in a browser, ticket and pass in an app.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, COOKIE, SET_COOKIE};
use http::request::Builder;

const TICKET: &str = "tornello-ticket-";
const PASS: &str = "tornello-pass-";

/// The papers of one device.
#[derive(Clone, Debug)]
pub(super) struct Passport {
    app: bool,
    keeps_cookies: bool,
    language: String,
    cookies: Vec<(String, String)>,
    pub(super) ticket: Option<String>,
    pub(super) pass: Option<String>,
    last: Option<String>,
    /// Passes received, each counted once.
    pub(super) passes: u32,
}

impl Passport {
    pub(super) fn new(app: bool, language: &str) -> Self {
        Self {
            app,
            keeps_cookies: true,
            language: language.to_owned(),
            cookies: Vec::new(),
            ticket: None,
            pass: None,
            last: None,
            passes: 0,
        }
    }

    /// The same in a browser that keeps no cookies: a page's script can still show a ticket, but when a
    /// page is asked for, nothing is shown.
    pub(super) fn without_cookies(self, without: bool) -> Self {
        Self { keeps_cookies: !without, ..self }
    }

    /// Takes from an answer what it sets. True if that was a pass.
    pub(super) fn stamp(&mut self, headers: &HeaderMap) -> bool {
        let mut passed = false;
        for line in headers.get_all(SET_COOKIE) {
            let Some((name, value, gone)) = line.to_str().ok().and_then(cookie) else { continue };
            let bare = name.strip_prefix("__Host-").unwrap_or(name);
            if !self.app && !self.keeps_cookies {
                continue;
            }
            let kept = (!gone).then(|| value.to_owned());
            if bare.starts_with(PASS) {
                passed |= kept.is_some();
                match &kept {
                    Some(pass) => self.let_in(pass.clone()),
                    None => self.pass = None,
                }
            } else if bare.starts_with(TICKET) {
                self.ticket.clone_from(&kept);
            }
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.extend(kept.map(|value| (name.to_owned(), value)));
        }
        passed
    }

    /// Takes a pass.
    pub(super) fn let_in(&mut self, pass: String) {
        if self.last.as_ref() != Some(&pass) {
            self.last = Some(pass.clone());
            self.passes += 1;
        }
        self.pass = Some(pass);
    }

    /// Forgets the ticket: it is worth nothing any more.
    pub(super) fn drop_ticket(&mut self) {
        self.ticket = None;
        self.cookies.retain(|(name, _)| !name.contains(TICKET));
    }

    /// Shows them. `page` is whether a page is asked for, and not data by a page's script.
    pub(super) fn show(&self, mut request: Builder, page: bool) -> Builder {
        request = request.header(ACCEPT_LANGUAGE, self.language.as_str());
        if self.app {
            request = request.header(ACCEPT, "application/json");
            if let Some(ticket) = &self.ticket {
                request = request.header("tornello-ticket", ticket);
            }
            if let Some(pass) = &self.pass {
                request = request.header("tornello-pass", pass);
            }
            return request;
        }
        request = if page {
            request
                .header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")
                .header("sec-fetch-mode", "navigate")
                .header("sec-fetch-dest", "document")
                .header("sec-fetch-site", "same-origin")
        } else {
            request
                .header(ACCEPT, "application/json")
                .header("sec-fetch-mode", "cors")
                .header("sec-fetch-dest", "empty")
                .header("sec-fetch-site", "same-origin")
        };
        if let Some(ticket) = self.ticket.as_ref().filter(|_| !page && !self.keeps_cookies) {
            request = request.header("tornello-ticket", ticket);
        }
        if !self.cookies.is_empty() {
            let all: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, all.join("; "));
        }
        request
    }
}

/// Name, value, and whether it is being deleted.
fn cookie(line: &str) -> Option<(&str, &str, bool)> {
    let mut parts = line.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let gone = value.is_empty() || parts.any(|part| part.eq_ignore_ascii_case("max-age=0"));
    Some((name, value, gone))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn after(app: bool, lines: &[&str]) -> (Passport, HeaderMap) {
        let mut passport = Passport::new(app, "it");
        for line in lines {
            let mut headers = HeaderMap::new();
            headers.insert(SET_COOKIE, line.parse().unwrap());
            passport.stamp(&headers);
        }
        let shown = passport.show(Request::builder(), true).body(()).unwrap();
        (passport, shown.headers().clone())
    }

    #[test]
    fn a_browser_shows_its_cookies() {
        let (_, headers) = after(
            false,
            &[
                "tornello-ticket-cards=T1; Path=/; HttpOnly",
                "tornello-pass-cards=P1; Path=/",
                "tornello-ticket-cards=T2; Path=/",
            ],
        );
        assert_eq!(headers[COOKIE], "tornello-pass-cards=P1; tornello-ticket-cards=T2");
        assert_eq!(headers["sec-fetch-mode"], "navigate");
    }

    #[test]
    fn an_app_shows_headers_and_no_cookies() {
        let (passport, headers) = after(true, &["__Host-tornello-pass-cards=P1; Path=/; Secure"]);
        assert_eq!(headers["tornello-pass"], "P1");
        assert!(headers.get(COOKIE).is_none() && passport.ticket.is_none());
    }

    #[test]
    fn a_pass_that_is_given_again_is_one_pass() {
        let lines =
            ["tornello-pass-r=P1; Path=/", "tornello-pass-r=; Max-Age=0", "tornello-pass-r=P1; Path=/"];
        let (mut passport, _) = after(false, &lines);
        assert_eq!(passport.passes, 1);
        passport.let_in("P2".to_owned());
        assert_eq!(passport.passes, 2);
    }

    #[test]
    fn a_browser_without_cookies_shows_its_ticket_by_script_only() {
        let mut passport = Passport::new(false, "it").without_cookies(true);
        let mut headers = HeaderMap::new();
        headers.insert(SET_COOKIE, "tornello-pass-cards=P1; Path=/".parse().unwrap());
        assert!(!passport.stamp(&headers));
        passport.ticket = Some("T1".to_owned());
        let shown = |page| passport.show(Request::builder(), page).body(()).unwrap().headers().clone();
        assert_eq!(shown(false)["tornello-ticket"], "T1");
        assert!(shown(true).get("tornello-ticket").is_none() && shown(true).get(COOKIE).is_none());
    }

    #[test]
    fn a_cookie_deleted_is_gone() {
        let (passport, headers) = after(false, &["tornello-pass-r=P; Path=/", "tornello-pass-r=; Max-Age=0"]);
        assert!(passport.pass.is_none() && headers.get(COOKIE).is_none());
    }
}
