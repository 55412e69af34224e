//! Codes that people type: by chance, with a letter by which a slip is found, in letters that nobody takes for
//! others (Crockford's base 32).

use std::fmt;

const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// So many letters of five bits each; the last one follows from the others. Never shown by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Letters<const N: usize>([u8; N]);

/// Why a text is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misread;

impl<const N: usize> fmt::Debug for Letters<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Letters")
    }
}

impl<const N: usize> Letters<N> {
    /// Of random bytes; the last one counts for nothing.
    #[must_use]
    pub fn new(random: &[u8; N]) -> Self {
        let mut code = random.map(|byte| byte % 32);
        if let Some(last) = code.last_mut() {
            *last = 0;
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
    /// [`Misread`]: it is none, or one letter is another.
    pub fn read(text: &str) -> Result<Self, Misread> {
        let mut code = [0; N];
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

    /// As it is shown, with a hyphen after so many letters.
    #[must_use]
    pub fn text(&self, hyphens: &[usize]) -> String {
        let mut text = String::with_capacity(N + hyphens.len());
        for (at, value) in self.0.iter().enumerate() {
            if hyphens.contains(&at) {
                text.push('-');
            }
            text.push(LETTERS.get(usize::from(*value)).copied().map_or('?', char::from));
        }
        text
    }

    /// The letters, below 32 each.
    #[must_use]
    pub fn letters(&self) -> &[u8; N] {
        &self.0
    }
}

/// Zero of a code (Luhn's rule, of 32 letters).
fn sum(code: &[u8]) -> u8 {
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
        let code = Letters::new(&[0, 1, 31, 255, 64, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        let text = code.text(&[4, 9]);
        assert!(text.starts_with("01ZZ-07") && text.len() == 16, "{text}");
        let typed = [
            text.to_lowercase(),
            text.replace('-', " "),
            text.replace('0', "o").replace('1', "l"),
            text.replace('-', ""),
        ];
        for typed in typed {
            assert_eq!(Letters::read(&typed), Ok(code), "{typed}");
        }
        for none in ["", "01ZZ", &format!("{text}0"), &text.replace('Z', "U"), &text.replace('Z', "é")] {
            assert_eq!(Letters::<14>::read(none), Err(Misread), "{none}");
        }
        assert_eq!(format!("{code:?}"), "Letters", "in no log");
    }

    proptest! {
        /// No slip of one letter leads to another's place, nor counts as a guess.
        #[test]
        fn one_wrong_letter_is_found(random in any::<[u8; 14]>(), at in 0..14usize, by in 1u8..32) {
            let code = Letters::new(&random);
            prop_assert_eq!(Letters::read(&code.text(&[4, 9])), Ok(code));
            let mut slip = code;
            slip.0[at] = (slip.0[at] + by) % 32;
            prop_assert_eq!(Letters::<14>::read(&slip.text(&[])), Err(Misread));
        }
    }
}
