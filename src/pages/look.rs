//! How our pages look, and what they link to: the operator's choices that hold for every page.

use std::path::PathBuf;

/// A style. Both are one small sheet in the page itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Calm, of no institution.
    #[default]
    Neutral,
    /// In the manner of Italian public bodies: the blue of the guidelines, straight corners, their order
    /// of type. No font, logo or sheet of theirs is fetched.
    Public,
}

impl Theme {
    /// Every theme.
    pub const ALL: [Self; 2] = [Self::Neutral, Self::Public];

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Public => "public",
        }
    }

    pub(super) fn style(self) -> String {
        let base = include_str!("templates/page.css");
        match self {
            Self::Neutral => base.to_owned(),
            Self::Public => format!("{base}{}", include_str!("templates/public.css")),
        }
    }
}

/// What holds for every page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The style.
    pub theme: Theme,
    /// A folder with texts, templates and style of the operator's.
    pub folder: Option<PathBuf>,
    /// The privacy notice.
    pub privacy_url: Option<String>,
    /// The accessibility statement.
    pub accessibility_url: Option<String>,
    /// Where people say what does not work.
    pub feedback_url: Option<String>,
    /// Who helps people by telephone.
    pub help_phone: Option<String>,
}

impl Look {
    /// The telephone number as a link dials it.
    pub(super) fn dialled(&self) -> Option<String> {
        let digits = |phone: &String| phone.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
        self.help_phone.as_ref().map(digits)
    }
}
