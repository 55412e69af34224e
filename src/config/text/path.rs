//! Texts that are paths: of URLs, and of the machine.

use std::path::PathBuf;

use super::{Format, Misfit, text_type};

text_type!(
    /// A path as requests are judged by it: normalised, no slash at the end.
    UrlPath, "url-path", "/", judge_path
);

fn judge_path(text: &str) -> Result<(), Misfit> {
    if let Some((path, _)) = text.split_once(['?', '#', '*']) {
        let path = normalise(path).unwrap_or_else(|| "/".to_owned());
        let remedy = format!("a path matches everything below it, whatever the query: write `\"{path}\"`");
        return Err(Misfit::new("has a query, a fragment or a wildcard", remedy).meant(path));
    }
    let legal = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    if let Some(bad) = text.chars().find(|c| !c.is_ascii() || !legal(u8::try_from(*c).unwrap_or(0))) {
        let escaped: String =
            bad.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02X}")).collect();
        return Err(Misfit::new(
            format!("has a character, {bad:?}, that URLs escape"),
            format!("write `{escaped}` in its place"),
        ));
    }
    let Some(normal) = normalise(text) else {
        return Err(Misfit::new(
            "has a broken escape",
            "write `%` with two hexadecimal digits, `%25` for the sign itself",
        ));
    };
    if normal == text {
        return Ok(());
    }
    let remedy =
        format!("write `\"{normal}\"`: requests are judged in this form, and it matches everything below it");
    Err(Misfit::new("is not the normal form of a path", remedy).meant(normal))
}

/// The form in which a path is judged; `None` if an escape is broken.
fn normalise(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if unreserved {
            plain.push(char::from(byte))
        } else {
            plain.push_str(&format!("%{byte:02X}"))
        }
        rest = after.get(2..)?;
    }
    plain.push_str(rest);
    let mut segments = Vec::new();
    for segment in plain.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    Some(format!("/{}", segments.join("/")))
}

impl Format for PathBuf {
    const NAME: &'static str = "directory";
    const EXAMPLE: &'static str = "/var/lib/tornello";

    fn read(text: &str) -> Result<Self, Misfit> {
        let path = Self::from(text);
        if path.is_absolute() && !text.contains('\0') {
            return Ok(path);
        }
        Err(Misfit::new(
            "is not an absolute path",
            "write the whole path, `\"/var/lib/tornello\"`: a relative one would depend on where the service starts",
        ))
    }

    fn write(&self) -> String {
        self.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_spelling() {
        for path in ["/", "/domanda", "/a/b", "/a%20b", "/a%2Fb", "/~x"] {
            assert!(judge_path(path).is_ok(), "{path}");
        }
        for (path, normal) in [
            ("", "/"),
            ("domanda", "/domanda"),
            ("/domanda/", "/domanda"),
            ("/a//b", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/%61", "/a"),
            ("/a%2fb", "/a%2Fb"),
            ("/../..", "/"),
            ("/a/*", "/a"),
            ("/a?b=c", "/a"),
        ] {
            let remedy = judge_path(path).unwrap_err().remedy;
            assert!(remedy.contains(&format!("`\"{normal}\"`")), "{path}: {remedy}");
        }
        assert!(judge_path("/%zz").unwrap_err().wrong.contains("broken escape"));
        assert!(judge_path("/%").unwrap_err().wrong.contains("broken escape"));
        assert!(judge_path("/%è").is_err());
        assert!(judge_path("/è").unwrap_err().remedy.contains("%C3%A8"));
    }
}
