//! `[pages]` as the file holds it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[pages]`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawPages {
    /// How pages look. Hot.
    pub(crate) theme: RawTheme,
    /// Folder with texts (`LANG.toml`), templates and `style.css` of your own, laid over ours; read at each
    /// reload. Default: none. Hot.
    #[schemars(length(min = 1))]
    pub(crate) folder: Option<PathBuf>,
    /// Address of the privacy notice, linked on every page. Default: none. Hot.
    #[schemars(length(min = 1, max = 500))]
    pub(crate) privacy_url: Option<String>,
    /// Address of the accessibility statement, linked on every page. Default: none. Hot.
    #[schemars(length(min = 1, max = 500))]
    pub(crate) accessibility_url: Option<String>,
    /// Address where people say what does not work, linked on every page. Default: none. Hot.
    #[schemars(length(min = 1, max = 500))]
    pub(crate) feedback_url: Option<String>,
    /// Telephone number that helps people, shown on every page. Default: none. Hot.
    #[schemars(length(min = 1, max = 40))]
    pub(crate) help_phone: Option<String>,
}

/// How pages look.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RawTheme {
    /// Calm, of no institution.
    #[default]
    Neutral,
    /// In the manner of Italian public bodies.
    Public,
}
