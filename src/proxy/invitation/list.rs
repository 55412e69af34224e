//! Who is invited: a list of HMACs of codes. Whoever reads it can invite nobody, and tell of nobody.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::code::Code;
use crate::proof::{from_hex, hex};

/// The first line of a list.
pub const HEAD: &str = "tornello-invitations 1";
const DOMAIN: &[u8] = b"tornello-invitation-v1";
const KEY_DOMAIN: &[u8] = b"tornello-invitation-key-v1";
/// Most invitations of a list.
const MOST: usize = 20_000_000;

/// What stands for a code.
pub type Mark = [u8; 16];

/// Makes marks of codes.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// From 32 secret bytes.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes keys of any length"))
    }

    /// As it stands in its file: 64 digits of hex.
    ///
    /// # Errors
    /// What it is instead, for operators.
    pub fn read(text: &str) -> Result<Self, String> {
        Ok(Self::new(&secret(text)?))
    }

    /// What the key in a file is called where everybody may read it: by another key the same code is another
    /// person. 128 bits of a hash, in hex, which tell nothing of the key.
    ///
    /// # Errors
    /// What it is instead, for operators.
    pub fn name(text: &str) -> Result<String, String> {
        let full = Sha256::new().chain_update(KEY_DOMAIN).chain_update(secret(text)?).finalize();
        Ok(hex(full.first_chunk::<16>().ok_or("it cannot be hashed")?))
    }

    /// The same key: it makes the same marks.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let code = Code::new(&[0; super::code::LENGTH]);
        self.mark(&code) == other.mark(&code)
    }

    /// The mark of a code: 128 bits.
    #[must_use]
    pub fn mark(&self, code: &Code) -> Mark {
        let mac = self.0.clone().chain_update(DOMAIN).chain_update(code.bytes());
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        full.first_chunk().copied().unwrap_or_default()
    }
}

fn secret(text: &str) -> Result<[u8; 32], String> {
    Ok(from_hex(text.trim()).ok_or("it does not hold 64 digits of hex")?)
}

/// A line of a list.
#[must_use]
pub fn line(mark: &Mark) -> String {
    hex(mark)
}

/// Marks in order: 16 bytes of memory each.
#[derive(Debug, Default)]
pub struct List {
    marks: Vec<Mark>,
    digest: [u8; 32],
}

impl List {
    /// Reads a list; empty lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// What is wrong, and in which line, for operators.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let digest = Sha256::digest(text).into();
        let text = std::str::from_utf8(text).map_err(|_| "it is no text")?;
        let mut lines = text.lines().map(str::trim).enumerate();
        if lines.next().is_none_or(|(_, head)| head != HEAD) {
            return Err(format!("its first line is not `{HEAD}`"));
        }
        let mut marks = Vec::new();
        for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let mark = from_hex::<16>(line).ok_or_else(|| {
                format!("line {} is not 32 digits of hex: `tornello invite make` writes them", at + 1)
            })?;
            if marks.len() >= MOST {
                return Err(format!("it has more than {MOST} invitations"));
            }
            marks.push(mark);
        }
        marks.sort_unstable();
        marks.dedup();
        Ok(Self { marks, digest })
    }

    /// Somebody is invited by a code of this mark.
    #[must_use]
    pub fn contains(&self, mark: &Mark) -> bool {
        self.marks.binary_search(mark).is_ok()
    }

    /// How many are invited.
    #[must_use]
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// The same bytes.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_knows_its_codes_by_the_right_key_only() {
        let code = |seed: u8| Code::new(&[seed; super::super::code::LENGTH]);
        let (key, other) = (Key::new(&[1; 32]), Key::new(&[2; 32]));
        let text = format!(
            "{HEAD}\n# of the letters of May\n\n{}\r\n{}\n",
            line(&key.mark(&code(1))),
            line(&key.mark(&code(2)))
        );
        let list = List::parse(text.as_bytes()).unwrap();
        assert_eq!(list.len(), 2);
        assert!(list.contains(&key.mark(&code(1))) && list.contains(&key.mark(&code(2))));
        assert!(!list.contains(&key.mark(&code(3))) && !list.contains(&other.mark(&code(1))));
        for (bad, why) in [("", "first line"), (&*format!("{HEAD}\nABCD"), "line 2"), ("7f", "first line")] {
            assert!(List::parse(bad.as_bytes()).unwrap_err().contains(why), "{bad}");
        }
        assert!(Key::read(&"7f".repeat(32)).is_ok() && Key::read("7f").is_err());
    }
}
