//! The scenarios that ship with the program, and how one is found: by its name, else by its path.

use std::path::Path;

use super::Scenario;
use crate::config::{self, Diagnostic};

/// The shipped scenarios: name, and text of `config/scenarios/NAME.toml`. The smallest first, then the small forms.
pub const SHIPPED: [(&str, &str); 8] = [
    ("minimal", include_str!("../../../config/scenarios/minimal.toml")),
    ("s-cb", include_str!("../../../config/scenarios/s-cb.toml")),
    ("s-bb", include_str!("../../../config/scenarios/s-bb.toml")),
    ("s-in", include_str!("../../../config/scenarios/s-in.toml")),
    ("cashback", include_str!("../../../config/scenarios/cashback.toml")),
    ("bonus-bici", include_str!("../../../config/scenarios/bonus-bici.toml")),
    ("inps", include_str!("../../../config/scenarios/inps.toml")),
    ("national", include_str!("../../../config/scenarios/national.toml")),
];

/// A scenario file, not yet judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What messages call it.
    pub name: String,
    /// What it holds.
    pub text: String,
}

impl Source {
    /// Finds a scenario: one that ships, by its name (`s-cb`), else a file.
    ///
    /// # Errors
    /// What could not be read, with the names that ship.
    pub fn find(name: &str) -> Result<Self, String> {
        if let Some((name, text)) = SHIPPED.into_iter().find(|(shipped, _)| *shipped == name) {
            return Ok(Self { name: format!("{name}.toml"), text: text.to_owned() });
        }
        let text = std::fs::read_to_string(Path::new(name)).map_err(|error| {
            let names: Vec<&str> = SHIPPED.into_iter().map(|(shipped, _)| shipped).collect();
            let help = match config::spelling::did_you_mean(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("name a file, or one of {}", config::spelling::list(&names)),
            };
            format!("error: there is no scenario {name}: {error}\n  help: {help}")
        })?;
        Ok(Self { name: name.to_owned(), text })
    }

    /// Judges it.
    ///
    /// # Errors
    /// As [`Scenario::read`].
    pub fn read(&self) -> Result<(Scenario, Vec<Diagnostic>), Vec<Diagnostic>> {
        Scenario::read(&self.text, &self.name)
    }
}

impl Scenario {
    /// Finds and judges a scenario; warnings go to standard error.
    ///
    /// # Errors
    /// All that is wrong, as a person reads it; `colour` adds terminal colours.
    pub fn find(name: &str, colour: bool) -> Result<Self, String> {
        let source = Source::find(name)?;
        match source.read() {
            Ok((scenario, warnings)) => {
                if !warnings.is_empty() {
                    eprintln!("{}", config::render(&warnings, &source.text, colour));
                }
                Ok(scenario)
            }
            Err(found) => Err(config::render(&found, &source.text, colour)),
        }
    }
}
