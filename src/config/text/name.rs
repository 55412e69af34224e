//! Texts that are names: of rooms and routes, of headers and cookies, of languages.

use http::HeaderName;

use super::{Format, Misfit, text_type};

const NAME_MAX: usize = 40;

text_type!(
    /// What an operator calls a room, route, quota or upstream; stands in URLs, cookies and metrics.
    Name, "name", "main", judge_name
);

text_type!(
    /// The name of a cookie.
    CookieName, "cookie-name", "session", judge_cookie
);

text_type!(
    /// A language tag in lower case.
    Language, "language", "it", judge_language
);

impl Format for HeaderName {
    const NAME: &'static str = "header-name";
    const EXAMPLE: &'static str = "x-user-id";

    fn read(text: &str) -> Result<Self, Misfit> {
        text.parse().map_err(|_| {
            Misfit::new(
                "is not a header name",
                "write letters, digits and `-` only, without `:` and spaces: `\"x-user-id\"`",
            )
        })
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

fn judge_name(text: &str) -> Result<(), Misfit> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let starts = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if starts && text.len() <= NAME_MAX && text.bytes().all(legal) {
        return Ok(());
    }
    let mut near: String = text
        .to_ascii_lowercase()
        .chars()
        .map(|c| if u8::try_from(c).is_ok_and(legal) { c } else { '-' })
        .take(NAME_MAX)
        .collect();
    near = near.trim_matches(['-', '_']).to_owned();
    let near = if near.is_empty() { "main".to_owned() } else { near };
    let wrong = "is not a name that can stand in URLs, cookies and metrics";
    let remedy = format!("write lower-case letters, digits, `-` and `_`, at most {NAME_MAX}: `{near}`");
    Err(Misfit::new(wrong, remedy).meant(near))
}

fn judge_cookie(text: &str) -> Result<(), Misfit> {
    let separator = |b: u8| b"()<>@,;:\\\"/[]?={}".contains(&b);
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !separator(b)) {
        return Ok(());
    }
    Err(Misfit::new(
        "is not a cookie name",
        "write the name alone, without `=`, `;` and spaces: `\"session\"`",
    ))
}

fn judge_language(text: &str) -> Result<(), Misfit> {
    let mut parts = text.split('-');
    let primary =
        parts.next().is_some_and(|p| (2..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_lowercase()));
    let rest = parts.all(|p| {
        (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    });
    if primary && rest {
        return Ok(());
    }
    Err(Misfit::new("is not a language tag", "write a tag in lower case: `it`, `en`, `de`, `pt-br`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_languages_are_plain() {
        assert!(judge_name("main-2").is_ok());
        assert!(judge_name("Main Room").unwrap_err().remedy.contains("`main-room`"));
        assert!(judge_name("").is_err() && judge_name("-").is_err());
        assert!(judge_language("pt-br").is_ok());
        assert!(judge_language("italiano!").is_err() && judge_language("IT").is_err());
    }
}
