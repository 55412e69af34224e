//! Names that operators misspell, and lists of names in sentences.

/// The name that was probably meant: at most a third of its letters are wrong, or it begins so.
pub(crate) fn did_you_mean<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let word = plain(word);
    names
        .into_iter()
        .map(|name| {
            let begins =
                word.len() >= 3 && (plain(name).starts_with(&word) || word.starts_with(&plain(name)));
            let wrong = strsim::damerau_levenshtein(&word, &plain(name));
            (if begins { wrong.min(1) } else { wrong }, name)
        })
        .filter(|(wrong, name)| *wrong <= name.chars().count().max(3) / 3)
        .min()
        .map(|(_, name)| name)
}

/// `a`, `b` and `c`, each in back ticks.
pub(crate) fn list<T: AsRef<str>>(names: &[T]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `1 room`, `2 rooms`.
pub(crate) fn number(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_slips_are_recognised_and_other_words_are_not() {
        let names = ["host", "path", "upstream", "on_client_gone", "timeout"];
        for (word, meant) in [
            ("pth", Some("path")),
            ("Path", Some("path")),
            ("paths", Some("path")),
            ("upstraem", Some("upstream")),
            ("on-client-gone", Some("on_client_gone")),
            ("time", Some("timeout")),
            ("rate", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(word, names), meant, "{word}");
        }
    }

    #[test]
    fn lists_read_like_a_sentence() {
        assert_eq!(list::<&str>(&[]), "none");
        assert_eq!(list(&["a"]), "`a`");
        assert_eq!(list(&["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
