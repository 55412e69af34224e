//! From what is written to what is true: what one key alone cannot show is judged, names are resolved.
//!
//! Each kind of table has a file with two functions: `judge` adds what is wrong to the findings and
//! goes on; `build` is called only when nothing was wrong, and cannot fail.

mod class;
mod endpoint;
mod fault;
mod people;

use super::super::law::seconds;
use super::raw::RawScenario;
use super::{Scenario, Stock};
use crate::config::document::{Document, KeyPath, at};
use crate::config::findings::{Finding, Findings};
use crate::config::spelling::{did_you_mean, list};

/// Shares that should sum to 1 may miss it by so much: three thirds are written 0.33.
const SHARES_WITHIN: f64 = 0.011;

/// A raw file with the places of its keys, while it is judged.
pub(super) struct Judge<'j, 't> {
    pub(super) raw: &'j RawScenario,
    pub(super) document: &'j Document<'t>,
    pub(super) findings: &'j mut Findings<'t>,
}

impl Judge<'_, '_> {
    fn add(&mut self, finding: Finding) {
        self.findings.add(finding, self.document);
    }

    /// Adds the finding if `wrong`.
    fn refuse_if(&mut self, wrong: bool, finding: impl FnOnce() -> Finding) {
        if wrong {
            self.add(finding());
        }
    }

    /// Looks a name up. `table` is what would have to be added for it: `[pool.NAME]`.
    fn name(&mut self, path: &KeyPath, name: &str, known: &[&str], table: &str) {
        if known.contains(&name) {
            return;
        }
        let what = table.split(['.', ']']).next().unwrap_or_default().trim_matches('[');
        let missing = table.replace("NAME", name);
        let help = match did_you_mean(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("add `{missing}`"),
            None => format!("add `{missing}`, or use {}", list(known)),
        };
        // Where a whole kind of tables is unreadable, none of its names can be missed.
        let finding = Finding::error(path.clone(), format!("no {what} is called `{name}`"), help);
        self.add(finding.about(at(&[what])));
    }

    /// Shares that must sum to 1.
    fn shares(&mut self, path: &KeyPath, shares: impl Iterator<Item = f64>) {
        let sum: f64 = shares.sum();
        self.refuse_if((sum - 1.0).abs() > SHARES_WITHIN, || {
            let help = if sum < 1.0 {
                format!("add {} to one of them, or a share for the rest", rounded(1.0 - sum))
            } else {
                format!("take {} away", rounded(sum - 1.0))
            };
            let message = format!("the shares of `{path}` sum to {}, not to 1", rounded(sum));
            Finding::error(path.clone(), message, help)
        });
    }
}

/// A number without superfluous digits.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

/// The path of an element of a list of tables.
fn element(table: &str, index: usize) -> KeyPath {
    at(&[table]).index(index)
}

/// Judges everything. `None` if something forbids to go on.
pub(super) fn scenario(mut judge: Judge<'_, '_>) -> Option<Scenario> {
    endpoint::judge(&mut judge);
    class::judge(&mut judge);
    fault::judge(&mut judge);
    let raw = judge.raw;
    (!judge.findings.has_errors()).then(|| Scenario {
        name: raw.name.clone(),
        seed: raw.seed,
        horizon: seconds(raw.horizon_s),
        time_scale: raw.time_scale,
        level: raw.level,
        opens: raw.opens_s.map(seconds),
        turn: raw.turn_s.map(seconds),
        classes: raw.class.iter().map(|class| class::build(raw, class)).collect(),
        endpoints: raw.endpoint.iter().map(|end| endpoint::build(raw, end)).collect(),
        pools: raw.pool.iter().map(|(id, pool)| endpoint::pool(id, pool)).collect(),
        stocks: raw.stock.iter().map(|(id, stock)| Stock { id: id.clone(), units: stock.units }).collect(),
        faults: raw.fault.iter().filter_map(|fault| fault::build(raw, fault)).collect(),
    })
}

/// The index of a pool by its name: pools are kept in the order of their names.
fn pool_index(raw: &RawScenario, name: &str) -> Option<usize> {
    raw.pool.keys().position(|id| id == name)
}
