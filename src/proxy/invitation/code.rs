//! A code by which somebody is invited: 65 bits by chance and a sign that finds what was misread, in letters
//! that nobody takes for others (Crockford's base 32). Written `XXXX-XXXXX-XXXXX`.

use std::fmt;

const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Letters by chance, of five bits each.
pub const RANDOM: usize = 13;
/// And one more that the others give.
const LENGTH: usize = RANDOM + 1;
/// After so many letters stands a hyphen.
const HYPHENS: [usize; 2] = [4, 9];

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code([u8; LENGTH]);

/// Why a text is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misread;

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

impl Code {
    /// Of random bytes.
    #[must_use]
    pub fn new(random: &[u8; RANDOM]) -> Self {
        let mut code = [0; LENGTH];
        for (to, from) in code.iter_mut().zip(random) {
            *to = from % 32;
        }
        let sum = sum(&code);
        if let Some(last) = code.last_mut() {
            *last = (32 - sum) % 32;
        }
        Self(code)
    }

    /// As somebody types it: in small letters, with spaces, with O for 0 and I or l for 1.
    ///
    /// # Errors
    /// [`Misread`]: it is none, or one letter is another, or two stand in each other's place.
    pub fn read(text: &str) -> Result<Self, Misread> {
        let mut code = [0; LENGTH];
        let mut letters = text.chars().filter(|c| !c.is_whitespace() && *c != '-');
        for to in &mut code {
            let letter = letters.next().ok_or(Misread)?.to_ascii_uppercase();
            let letter = match letter {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let value = LETTERS.iter().position(|known| char::from(*known) == letter).ok_or(Misread)?;
            *to = u8::try_from(value).map_err(|_| Misread)?;
        }
        if letters.next().is_some() || sum(&code) != 0 {
            return Err(Misread);
        }
        Ok(Self(code))
    }

    /// As it stands in a letter.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(LENGTH + HYPHENS.len());
        for (at, value) in self.0.iter().enumerate() {
            if HYPHENS.contains(&at) {
                text.push('-');
            }
            text.push(LETTERS.get(usize::from(*value)).copied().map_or('?', char::from));
        }
        text
    }

    /// What a key is applied to.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Zero of a code (Luhn's rule, of 32 letters).
fn sum(code: &[u8; LENGTH]) -> u8 {
    let sum: u32 = code
        .iter()
        .rev()
        .enumerate()
        .map(|(at, value)| {
            let value = u32::from(*value) * if at % 2 == 1 { 2 } else { 1 };
            value / 32 + value % 32
        })
        .sum();
    u8::try_from(sum % 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = Code::new(&[0, 1, 31, 255, 64, 7, 8, 9, 10, 11, 12, 13, 14]);
        let text = code.text();
        assert!(text.starts_with("01ZZ-07") && text.len() == 16, "{text}");
        let typed = [
            text.to_lowercase(),
            text.replace('-', " "),
            text.replace('0', "o").replace('1', "l"),
            text.replace('-', ""),
        ];
        for typed in typed {
            assert_eq!(Code::read(&typed), Ok(code), "{typed}");
        }
        for none in ["", "01ZZ", &format!("{text}0"), &text.replace('Z', "U"), &text.replace('Z', "é")] {
            assert_eq!(Code::read(none), Err(Misread), "{none}");
        }
        assert_eq!(format!("{code:?}"), "Code", "in no log");
    }

    proptest! {
        /// No slip of one letter leads to another's place, nor counts as a guess.
        #[test]
        fn one_wrong_letter_is_found(random in any::<[u8; RANDOM]>(), at in 0..LENGTH, by in 1u8..32) {
            let code = Code::new(&random);
            prop_assert_eq!(Code::read(&code.text()), Ok(code));
            let mut slip = code;
            slip.0[at] = (slip.0[at] + by) % 32;
            prop_assert_eq!(Code::read(&slip.text()), Err(Misread));
        }
    }
}
