//! `tornello invite make`: codes for the letters, marks of them for the gateway, and the key apart.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::out::say;
use super::{CONFIGURATION, OK, RUNTIME};
use crate::proof::hex;
use crate::proxy::invitation::code::{Code, LENGTH};
use crate::proxy::invitation::list::{HEAD, Key, List, line};

/// Most codes at once.
const MOST: u64 = 10_000_000;

/// Make codes by which people are invited.
#[derive(Debug, clap::Args)]
pub struct Invite {
    /// What is done.
    #[command(subcommand)]
    pub deed: Deed,
}

/// What can be done.
#[derive(Debug, clap::Subcommand)]
pub enum Deed {
    /// Write so many new codes for the letters, and their marks for the gateway.
    Make {
        /// How many, 1 to 10000000.
        #[arg(value_parser = clap::value_parser!(u64).range(1..=MOST))]
        count: u64,
        /// The codes, one a line, for whoever writes the letters; a new file, that nobody else may read.
        #[arg(long)]
        codes: PathBuf,
        /// The marks, for `identity.invitations.list`; if it is there, they are put at its end.
        #[arg(long)]
        list: PathBuf,
        /// The key, for `identity.invitations.key`; if it is there, it is used.
        #[arg(long)]
        key: PathBuf,
    },
}

/// Why nothing was made: for people, and whether the command line is the cause.
type Why = (u8, String);

impl Invite {
    /// 0 if they are written, 2 if a file is not what it should be, 1 if one cannot be written.
    #[must_use]
    pub fn execute(self) -> u8 {
        let Deed::Make { count, codes, list, key } = self.deed;
        match make(count, &codes, &list, &key) {
            Ok(()) => {
                say(format_args!(
                    "{count} codes in {}, their marks in {}. Who has the codes can invite: delete them when the \
                     letters are written, and keep {} from whoever has the list.",
                    codes.display(),
                    list.display(),
                    key.display()
                ));
                OK
            }
            Err((exit, why)) => {
                eprintln!("error: {why}");
                exit
            }
        }
    }
}

fn make(count: u64, codes: &Path, list: &Path, key: &Path) -> Result<(), Why> {
    let failed = |path: &Path, error: &std::io::Error| {
        let exit = if error.kind() == ErrorKind::AlreadyExists { CONFIGURATION } else { RUNTIME };
        (exit, format!("{}: {error}", path.display()))
    };
    let bad = |path: &Path, why: String| (CONFIGURATION, format!("{}: {why}", path.display()));
    let begun = match std::fs::read(list) {
        Ok(text) => {
            List::parse(&text).map_err(|why| bad(list, why))?;
            if text.ends_with(b"\n") { String::new() } else { "\n".to_owned() }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => format!("{HEAD}\n"),
        Err(error) => return Err(failed(list, &error)),
    };
    let keeper = match std::fs::read_to_string(key) {
        Ok(text) => Key::read(&text).map_err(|why| bad(key, why))?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut secret = [0; 32];
            fill(&mut secret)?;
            write_new(key, &format!("{}\n", hex(&secret))).map_err(|error| failed(key, &error))?;
            Key::new(&secret)
        }
        Err(error) => return Err(failed(key, &error)),
    };
    let (mut letters, mut marks) = (String::new(), begun);
    for _ in 0..count {
        let mut random = [0; LENGTH];
        fill(&mut random)?;
        let code = Code::new(&random);
        letters.push_str(&code.text());
        letters.push('\n');
        marks.push_str(&line(&keeper.mark(&code)));
        marks.push('\n');
    }
    write_new(codes, &letters).map_err(|error| failed(codes, &error))?;
    let append = OpenOptions::new().create(true).append(true).mode(0o640).open(list);
    let written = append.and_then(|mut file| file.write_all(marks.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| failed(list, &error))
}

/// A new file that only its owner may read.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn fill(bytes: &mut [u8]) -> Result<(), Why> {
    getrandom::fill(bytes).map_err(|error| (RUNTIME, format!("the system gives no random bytes: {error}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn codes_marks_and_key_fit_and_a_second_batch_is_put_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        make(3, &at("may"), &at("list"), &at("key")).unwrap();
        make(2, &at("june"), &at("list"), &at("key")).unwrap();
        let read = |name: &str| std::fs::read_to_string(at(name)).unwrap();
        let (key, list) = (Key::read(&read("key")).unwrap(), List::parse(read("list").as_bytes()).unwrap());
        assert_eq!(list.len(), 5);
        let codes = read("may") + &read("june");
        assert_eq!(codes.lines().count(), 5);
        assert!(codes.lines().all(|code| list.contains(&key.mark(&Code::read(code).unwrap()))), "{codes}");
        assert!(codes.lines().all(|code| !read("list").contains(code)));
        let mode = |name: &str| std::fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("key"), mode("may")), (0o600, 0o600));
        assert_eq!(
            make(1, &at("may"), &at("list"), &at("key")).unwrap_err().0,
            CONFIGURATION,
            "none is written over"
        );
        assert_eq!(List::parse(read("list").as_bytes()).unwrap().len(), 5);
        std::fs::write(at("other"), "x").unwrap();
        assert!(make(1, &at("july"), &at("other"), &at("key")).unwrap_err().1.contains("first line"));
        assert!(!at("july").exists());
    }
}
