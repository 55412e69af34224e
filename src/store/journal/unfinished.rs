//! A file whose making was cut off: a process that was killed in its very first start leaves one that has no
//! beginning yet, which `redb` writes last, and which it would refuse for ever. Nothing in it was acknowledged.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Bytes by which a finished file is known. None of them is zero.
const BEGINNING: usize = 9;

/// Whether a file that begins like this was never finished. An empty one is as good as none.
pub(super) fn is_unfinished(file: impl Read) -> io::Result<bool> {
    let mut beginning = Vec::new();
    file.take(BEGINNING as u64).read_to_end(&mut beginning)?;
    Ok(!beginning.is_empty() && beginning.iter().all(|byte| *byte == 0))
}

/// Gives an unfinished file another name, under which it can be looked at.
pub(super) fn put_aside(path: &Path) -> io::Result<()> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    // Whoever is just making it has it locked, and goes on.
    if !is_unfinished(&file)? || file.try_lock().is_err() {
        return Ok(());
    }
    let aside = path.with_extension("unfinished");
    tracing::warn!(aside = %aside.display(), "state whose making was cut off is put aside, and made anew");
    std::fs::rename(path, aside)
}

#[cfg(test)]
mod tests {
    use super::super::Journal;

    #[test]
    fn a_file_without_a_beginning_is_put_aside_and_any_other_is_left_alone() {
        for (text, good) in [(vec![0; 1 << 20], true), (Vec::new(), true), (b"not ours".to_vec(), false)] {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("tornello.redb");
            std::fs::write(&file, &text).unwrap();
            assert_eq!(Journal::open(directory.path()).is_ok(), good);
            let kept = if good { directory.path().join("tornello.unfinished") } else { file };
            assert_eq!(std::fs::read(kept).unwrap_or_default(), text);
        }
    }
}
