//! A code by which somebody is invited: 65 bits by chance and a letter by which a slip is found. Written
//! `XXXX-XXXXX-XXXXX`.

use crate::proxy::letters::Letters;
pub use crate::proxy::letters::Misread;

/// Letters of a code, with the one that the others give.
pub const LENGTH: usize = 14;
/// After so many letters stands a hyphen.
const HYPHENS: [usize; 2] = [4, 9];

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(Letters<LENGTH>);

impl Code {
    /// Of random bytes; the last one counts for nothing.
    #[must_use]
    pub fn new(random: &[u8; LENGTH]) -> Self {
        Self(Letters::new(random))
    }

    /// As somebody types it.
    ///
    /// # Errors
    /// [`Misread`].
    pub fn read(text: &str) -> Result<Self, Misread> {
        Letters::read(text).map(Self)
    }

    /// As it stands in a letter.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.text(&HYPHENS)
    }

    /// What a key is applied to.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.letters()
    }
}
