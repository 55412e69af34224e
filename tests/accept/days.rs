//! Click days, played by `tornello rush`: each at most once, however many rows read its report.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::gateway::PROGRAM;

/// No day lasts longer.
const LONGEST: Duration = Duration::from_secs(240);

/// The days of one run.
#[derive(Debug, Default)]
pub(crate) struct Days {
    played: HashMap<String, Result<Value, String>>,
}

impl Days {
    /// The report on a shipped scenario, both legs.
    pub(crate) fn shipped(&mut self, name: &str) -> Result<Value, String> {
        self.play(name, &[name])
    }

    /// The report on a shipped scenario, only the leg with the gateway.
    pub(crate) fn protected(&mut self, name: &str) -> Result<Value, String> {
        self.play(name, &[name, "--only", "with"])
    }

    /// The report on a variant of a shipped scenario: `change` is made to its text, as TOML. Only the
    /// leg with the gateway. With a configuration, the gateway runs that.
    pub(crate) fn variant(
        &mut self,
        name: &str,
        of: &str,
        change: impl FnOnce(&mut toml::Table),
        configuration: Option<&str>,
    ) -> Result<Value, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("config/scenarios/{of}.toml"));
        let text = std::fs::read_to_string(source).map_err(|error| error.to_string())?;
        let mut table: toml::Table = toml::from_str(&text).map_err(|error| error.to_string())?;
        change(&mut table);
        let write = |name: &str, text: &str| -> Result<String, String> {
            let file = folder.path().join(name);
            std::fs::write(&file, text).map_err(|error| error.to_string())?;
            Ok(file.display().to_string())
        };
        let scenario = write("scenario.toml", &table.to_string())?;
        let mut arguments = vec![scenario, "--only".to_owned(), "with".to_owned()];
        if let Some(configuration) = configuration {
            arguments.extend(["--config".to_owned(), write("tornello.toml", configuration)?]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.play(name, &arguments)
    }

    fn play(&mut self, name: &str, arguments: &[&str]) -> Result<Value, String> {
        if let Some(played) = self.played.get(name) {
            return played.clone();
        }
        eprintln!("       playing {name} ...");
        let report = rush(arguments);
        self.played.insert(name.to_owned(), report.clone());
        report
    }
}

fn rush(arguments: &[&str]) -> Result<Value, String> {
    let mut command = Command::new("timeout");
    command.args(["-s", "INT", &LONGEST.as_secs().to_string(), PROGRAM, "rush"]);
    let done = command
        .args(arguments)
        .arg("--json")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("timeout (of coreutils) cannot be run: {error}"))?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let report = serde_json::from_slice(&done.stdout).map_err(|error| format!("no report ({error}): {said}"));
    if !done.status.success() {
        // Accounts that differ are a defect, and the rows that rest on them are not met.
        return Err(format!("rush ended with {}: {said}", done.status));
    }
    report
}
