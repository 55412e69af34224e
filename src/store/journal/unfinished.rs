//! A file whose making was cut off: a process that was killed in its very first start leaves one that has no
//! beginning yet, which `redb` writes last, and which it would refuse for ever. Nothing in it was acknowledged.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes by which a finished file is known. None of them is zero.
const BEGINNING: usize = 9;
/// All that is written before them lies in the first page.
const PAGE: usize = 4096;
const CHUNK: usize = 1 << 16;

/// Whether a file was never finished: it has neither a beginning nor anything behind its first page. One that lost
/// its beginning otherwise holds places. An empty one is as good as none.
pub(super) fn is_unfinished(mut file: impl Read) -> io::Result<bool> {
    let (mut chunk, mut at) = (Vec::with_capacity(CHUNK), 0);
    loop {
        chunk.clear();
        if file.by_ref().take(CHUNK as u64).read_to_end(&mut chunk)? == 0 {
            return Ok(at > 0);
        }
        let is_hole = |(offset, byte): (usize, &u8)| *byte == 0 || (BEGINNING..PAGE).contains(&offset);
        if !(at..).zip(&chunk).all(is_hole) {
            return Ok(false);
        }
        at += chunk.len();
    }
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
    // Who made it, or another one, just before has finished it, or has that one locked.
    let again = File::open(path)?;
    let inode = |file: &File| file.metadata().map(|data| (data.dev(), data.ino()));
    if inode(&file)? != inode(&again)? || !is_unfinished(again)? {
        return Ok(());
    }
    let aside = path.with_extension("unfinished");
    if aside.try_exists()? {
        let why = format!("{} is in the way of another state whose making was cut off", aside.display());
        return Err(io::Error::new(ErrorKind::AlreadyExists, why));
    }
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

    #[test]
    fn a_state_that_lost_its_beginning_is_refused_and_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tornello.redb");
        Journal::open(directory.path()).unwrap().secrets([[1; 32], [2; 32], [3; 32]]).unwrap();
        let mut text = std::fs::read(&file).unwrap();
        text[..super::BEGINNING].fill(0);
        std::fs::write(&file, &text).unwrap();
        assert!(Journal::open(directory.path()).is_err());
        assert!(std::fs::read(&file).unwrap() == text);
        assert!(!directory.path().join("tornello.unfinished").exists());
    }

    #[test]
    fn what_was_put_aside_is_never_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let of = |name: &str| directory.path().join(name);
        std::fs::write(of("tornello.unfinished"), "first").unwrap();
        std::fs::write(of("tornello.redb"), vec![0; 1 << 20]).unwrap();
        assert!(Journal::open(directory.path()).is_err());
        assert_eq!(std::fs::read(of("tornello.unfinished")).unwrap(), b"first");
    }
}
