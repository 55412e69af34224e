//! `tornello rush`: a click day on this machine, live.
//!
//! The same crowd by the same seed calls the origin itself, then the gateway before it. Origin and
//! gateway are processes of their own, so that each one's processor time is told, and a kill is a kill.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::check::load;
use super::interrupt::interrupted;
use super::out::say;
use super::{CONFIGURATION, Failure, OK, RUNTIME, to_the_end};
use crate::config;
use crate::lab::account::Kill;
use crate::lab::crowd::End;
use crate::lab::ledger::UnderWay;
use crate::lab::legs::{Peer, Played, Ports, Stage, Target};
use crate::lab::live::View;
use crate::lab::report::{Mode, page, table};
use crate::lab::scenario::{Level, Source};
use crate::lab::{LegSummary, Report, Scenario};

/// Play a click day on this machine: a crowd against the service alone, and against the gateway.
///
/// This is a load generator. It calls loopback addresses only: 127.0.0.0/8 and ::1.
#[derive(Debug, clap::Args)]
pub struct Rush {
    /// Scenario: the name of a shipped one (minimal, s-cb, s-bb, s-in), or a file.
    pub scenario: String,
    /// Only one of the legs.
    #[arg(long, value_enum)]
    pub only: Option<Which>,
    /// Configuration of the gateway, instead of one written for the scenario. Its upstreams are led to
    /// the scenario's origin; where it listens and keeps its state is replaced.
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    pub config: Option<PathBuf>,
    /// A gateway that is up already, `http://127.x.y.z:PORT` or `http://[::1]:PORT`. Its upstream must be
    /// the address given with --origin.
    #[arg(long, value_name = "URL", requires = "origin")]
    pub target: Option<String>,
    /// Another proxy before the same origin, as further legs: with a static limit tuned to the true
    /// capacity, and with one three times too high. May be given more than once.
    #[arg(long, value_enum)]
    pub peer: Vec<Peer>,
    /// Where the scenario's origin listens. Default: a free port.
    #[arg(long, value_name = "ADDRESS")]
    pub origin: Option<SocketAddr>,
    /// Seed of the crowd, instead of the scenario's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Longest duration of each leg, seconds; a leg ends earlier when everybody has finished or left.
    #[arg(long = "for", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: Option<u64>,
    /// How many people want something scarce; all others in proportion.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=50_000))]
    pub people: Option<u64>,
    /// Kill the gateway this many seconds after the leg's start, besides what the scenario says. May be
    /// given more than once.
    #[arg(long, value_name = "SECONDS")]
    pub kill_at: Vec<f64>,
    /// One JSON object at the end, and nothing else on standard output.
    #[arg(long)]
    pub json: bool,
    /// The report as one self-contained HTML file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Each person's part in each leg, as lines of JSON: who they were, when they came and ended, and how.
    #[arg(long, value_name = "FILE")]
    pub each: Option<PathBuf>,
}

/// One of the legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// The crowd against the service itself.
    Without,
    /// The crowd against the gateway.
    With,
}

impl Rush {
    /// Plays the legs and shows what came of them.
    #[must_use]
    pub fn execute(self) -> u8 {
        let read = scenario(&self.scenario, self.people, self.seconds).and_then(|(scenario, text)| {
            let legs = self.legs(&scenario)?;
            Ok((scenario, text, legs))
        });
        let (scenario, text, legs) = match read {
            Ok(read) => read,
            Err(error) => {
                eprintln!("{error}");
                return CONFIGURATION;
            }
        };
        to_the_end(self.play(scenario, text, legs))
    }

    /// What is to be played, in order.
    fn legs(&self, scenario: &Scenario) -> Result<Vec<(String, Target)>, String> {
        let configuration = match &self.config {
            None => None,
            Some(file) => {
                let (_, text) =
                    load(file).ok_or_else(|| "error: no leg is played with that configuration".to_owned())?;
                Some(text)
            }
        };
        let with = match &self.target {
            Some(url) => Target::Running(target(url)?),
            None => Target::Gateway { configuration, ports: Ports::default() },
        };
        if let Some(origin) = self.origin.filter(|origin| !origin.ip().is_loopback()) {
            return Err(format!(
                "error: --origin {origin} is not on the loopback network\n  help: name 127.0.0.1:PORT"
            ));
        }
        let mut legs = Vec::new();
        if self.only != Some(Which::With) {
            legs.push(("WITHOUT".to_owned(), Target::Origin));
        }
        if self.only != Some(Which::Without) {
            legs.push(("WITH".to_owned(), with));
        }
        for peer in &self.peer {
            peer.program().map_err(|trouble| format!("error: {trouble}"))?;
            legs.extend(peer.setups().into_iter().map(|setup| (setup.title(scenario), Target::Peer(setup))));
        }
        Ok(legs)
    }

    async fn play(
        &self,
        scenario: Scenario,
        text: String,
        legs: Vec<(String, Target)>,
    ) -> Result<u8, Failure> {
        crate::edge::raise_open_files();
        let seed = self.seed.unwrap_or(scenario.seed);
        let mut stage = Stage::new(scenario, text, self.people, seed, interrupted()?)?;
        let at = |s: &f64| Duration::try_from_secs_f64(*s).map_err(|error| format!("--kill-at {s}: {error}"));
        stage.kills.extend(self.kill_at.iter().map(at).collect::<Result<Vec<_>, _>>()?);
        stage.kills.sort_unstable();
        stage.origin = self.origin.unwrap_or(stage.origin);
        let mut played = Vec::new();
        for (title, target) in legs {
            let mut view = if self.json { View::silent() } else { View::new(&title) };
            let leg = stage.play(&title, &target, &mut view, |_| {}).await?;
            let enough = leg.interrupted;
            played.push(leg);
            if enough {
                break;
            }
        }
        self.tell(&stage, &played)
    }

    fn tell(&self, stage: &Stage, played: &[Played]) -> Result<u8, Failure> {
        let report = account(stage, played);
        if self.json {
            say(report.json()?);
        } else {
            say(format_args!("\n{}", table(&report)));
            for line in report.words.iter().chain(&report.notes).cloned().chain(played.iter().flat_map(books))
            {
                say(line);
            }
        }
        if let Some(file) = &self.html {
            std::fs::write(file, page(&report)).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        if let Some(file) = &self.each {
            let wrong = |error: std::io::Error| format!("{}: {error}", file.display());
            let mut lines = BufWriter::new(File::create(file).map_err(wrong)?);
            played.iter().try_for_each(|leg| each(&mut lines, stage, leg)).map_err(wrong)?;
            lines.flush().map_err(wrong)?;
        }
        Ok(defects(played))
    }
}

/// One line for each person of a leg.
fn each(out: &mut impl Write, stage: &Stage, leg: &Played) -> std::io::Result<()> {
    for person in &leg.record.outcome.people {
        let line = Story {
            leg: &leg.record.title,
            class: stage.scenario.classes.get(person.class).map_or("", |class| class.id.as_str()),
            came_s: person.arrival.as_secs_f64(),
            ended_s: person.ended.as_secs_f64(),
            end: match person.end {
                End::Completed => "completed",
                End::GaveUp => "gave_up",
                End::SoldOut => "sold_out",
                End::Failed => "failed",
                End::StillThere => "still_there",
            },
            requests: person.requests,
            pages: person.pages,
            admitted_s: person.admitted.map(|at| at.as_secs_f64()),
        };
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// A person's part in a leg. Times from the leg's start.
#[derive(Serialize)]
struct Story<'a> {
    leg: &'a str,
    class: &'a str,
    /// When they meant to come.
    came_s: f64,
    ended_s: f64,
    end: &'static str,
    requests: u64,
    /// Of them, those answered with the page asked for.
    pages: u64,
    admitted_s: Option<f64>,
}

/// The report on what was played.
pub(super) fn account(stage: &Stage, played: &[Played]) -> Report {
    let legs = played.iter().map(|leg| LegSummary::new(&stage.scenario, &leg.record)).collect();
    let mut report = Report::new(&stage.scenario, &stage.text, stage.seed, Mode::Live, legs);
    report.interrupted = played.iter().any(|leg| leg.interrupted);
    if report.interrupted {
        report.words.push("Interrupted: these figures are of a part of the day.".to_owned());
    }
    report.notes.extend(played.iter().flat_map(|leg| {
        leg.replaced.iter().map(|what| format!("{}: replaced for this leg: {what}", leg.record.title))
    }));
    report.notes.extend(played.iter().flat_map(kills));
    report
}

/// What was in flight when something was killed.
fn kills(leg: &Played) -> Vec<String> {
    let told = |(kill, in_flight): (&Kill, &Vec<UnderWay>)| {
        let requests = in_flight.iter().map(|one| format!("{} of person {}", one.what, one.person));
        let requests: Vec<String> = requests.collect();
        let back = kill
            .back_s
            .map_or_else(|| "never answered again".to_owned(), |s| format!("was back at {s:.2} s"));
        format!(
            "{}: the {} was killed at {:.2} s and {back}; {} requests were in flight: {}",
            leg.record.title,
            kill.process,
            kill.at_s,
            requests.len(),
            requests.join(", "),
        )
    };
    leg.record.kills.iter().zip(&leg.in_flight).map(told).collect()
}

/// What a leg cost by role, and which counts agree.
fn books(leg: &Played) -> Vec<String> {
    let record = &leg.record;
    let title = &record.title;
    let whole = record.outcome.elapsed.as_secs_f64();
    let share = |s: &f64| s * 100.0 / whole.max(f64::MIN_POSITIVE);
    let cost = record.cpu.iter().map(|(role, s)| format!("{role} {s:.1} s ({:.0} % of a core)", share(s)));
    let cost: Vec<String> = cost.collect();
    let mut lines = vec![format!("{title}: processor time: {}", cost.join(", "))];
    for line in &record.agreement {
        let count = |who: &str, count: Option<u64>| count.map(|count| format!("{who} {count}"));
        let counts =
            [count("crowd", line.crowd), count("origin", line.origin), count("gateway", line.gateway)];
        let counts = counts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let mut verdict = if line.agrees { "agree" } else { "DIFFER" }.to_owned();
        if line.in_flight_at_kills > 0 {
            verdict += &format!(", but for at most {} in doubt at a kill", line.in_flight_at_kills);
        }
        lines.push(format!("{title}: {}: {counts}: {verdict}", line.what));
    }
    lines
}

/// Says which counts differ; the exit code.
pub(super) fn defects(played: &[Played]) -> u8 {
    let mut code = OK;
    for leg in played {
        for line in leg.record.agreement.iter().filter(|line| !line.agrees) {
            eprintln!("defect: {}: the accounts of one day differ: {line:?}", leg.record.title);
            code = RUNTIME;
        }
    }
    code
}

/// Finds a scenario by name or file, and makes it as large and as long as was asked for.
pub(super) fn scenario(
    name: &str,
    people: Option<u64>,
    seconds: Option<u64>,
) -> Result<(Scenario, String), String> {
    let source = Source::find(name)?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (mut scenario, warnings) =
        source.read().map_err(|found| config::render(&found, &source.text, colour))?;
    if !warnings.is_empty() {
        eprintln!("{}", config::render(&warnings, &source.text, colour));
    }
    if scenario.level == Level::Session {
        let name = &scenario.name;
        return Err(format!(
            "error: {name} has too many people for one machine\n  help: `tornello rehearse`"
        ));
    }
    if let Some(people) = people {
        scenario = scenario.with_people(usize::try_from(people).unwrap_or(usize::MAX));
    }
    if let Some(seconds) = seconds {
        scenario.horizon = Duration::from_secs(seconds);
    }
    Ok((scenario, source.text))
}

/// The address of a gateway on this machine.
fn target(url: &str) -> Result<SocketAddr, String> {
    let refuse = |why: &str| {
        Err(format!("error: --target {url}: {why}\n  help: name http://127.0.0.1:PORT or http://[::1]:PORT"))
    };
    let Some(rest) = url.strip_prefix("http://") else { return refuse("only http:// is spoken") };
    let Ok(address) = rest.trim_end_matches('/').parse::<SocketAddr>() else {
        return refuse("an address and a port are needed, and no path");
    };
    match address.ip() {
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) if ip.is_loopback() => Ok(address),
        _ => refuse("this is a load generator: it calls loopback addresses only"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_loopback_network_is_called() {
        for good in ["http://127.0.0.1:80", "http://127.9.8.7:8080/", "http://[::1]:80"] {
            assert!(target(good).is_ok(), "{good}");
        }
        for bad in [
            "http://10.0.0.1:80",
            "http://localhost:80",
            "https://127.0.0.1:1",
            "http://[::2]:80",
            "127.0.0.1:1",
        ] {
            let error = target(bad).unwrap_err();
            assert!(error.contains(bad) && error.contains("help: name http://127.0.0.1:PORT"), "{error}");
        }
    }

    #[test]
    fn what_is_no_scenario_is_named() {
        let error = scenario("s-xy", None, None).unwrap_err();
        assert!(error.contains("no scenario s-xy") && error.contains("help: "), "{error}");
    }
}
