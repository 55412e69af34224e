//! The rows that have been met: what was won is not lost again in silence.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::row::{Judged, Standing};

/// The rows that must be met, one a line.
pub(crate) fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/accept/met.txt")
}

/// The names in a baseline's text; lines that begin with `#` say something to people.
pub(crate) fn names(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// Whether a row fails: it was met before and is not now.
pub(crate) fn lost(name: &str, judged: &Judged, before: &BTreeSet<String>) -> bool {
    judged.standing != Standing::Met && before.contains(name)
}

/// The text of a baseline after a run: rows that were judged count as they stand now, others as before.
pub(crate) fn text(before: &BTreeSet<String>, judged: &[(&str, Standing)]) -> String {
    let mut met = before.clone();
    for (name, standing) in judged {
        if *standing == Standing::Met {
            met.insert((*name).to_owned());
        } else {
            met.remove(*name);
        }
    }
    let mut met: Vec<String> = met.into_iter().collect();
    met.sort_by_key(|name| name.trim_start_matches('M').parse::<u32>().unwrap_or(u32::MAX));
    let head = "# Rows that `make accept` found met. One that is not met any more fails.\n\
                # Written by `make accept ARGS=--write-met`, and by nothing else.\n";
    format!("{head}{}\n", met.join("\n"))
}
