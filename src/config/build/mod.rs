//! From raw to settings: judges what one key alone cannot show, then builds the validated types.
//!
//! Each kind of table has a file with two functions: `judge` adds what is wrong to the findings and
//! goes on; `build` is called only when nothing was wrong, and cannot fail.

mod edge;
mod lane;
mod listen;
mod pages;
mod quota;
mod room;
mod route;
mod upstream;

use super::document::{Document, KeyPath};
use super::findings::{Finding, Findings};
use super::raw::{Named, Raw};
use super::settings::Settings;

/// A raw file with the places of its keys, while it is judged.
pub(super) struct Judge<'j, 't> {
    pub(super) raw: &'j Raw,
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

    fn says(&self, path: &KeyPath) -> bool {
        self.document.says(path)
    }
}

/// Judges everything. `None` if something forbids to go on.
pub(super) fn settings(mut judge: Judge<'_, '_>) -> Option<Settings> {
    listen::judge(&mut judge);
    edge::judge(&mut judge);
    pages::judge(&mut judge);
    quota::judge(&mut judge);
    upstream::judge(&mut judge);
    room::judge(&mut judge);
    route::judge(&mut judge);
    let raw = judge.raw;
    (!judge.findings.has_errors()).then(|| Settings {
        boot: listen::boot(&raw.listen),
        tls: listen::tls(&raw.tls, &raw.listen),
        edge: edge::edge(&raw.edge),
        identity: edge::identity(
            &raw.identity,
            lane::claims(raw),
            listen::asks_for_certificates(&raw.listen),
        ),
        pages: pages::build(&raw.pages),
        upstreams: each(&raw.upstream, |_, upstream| upstream::build(upstream)),
        quotas: each(&raw.quota, |_, quota| quota::build(quota)),
        rooms: each(&raw.room, |name, room| room::build(name, room, raw.identity.invitations.is_some())),
        routes: each(&raw.route, |_, route| route::build(route)),
        door: quota::door(&raw.door),
        buckets_bytes: raw.edge.bucket_memory.0.0,
    })
}

fn each<R, S>(tables: &Named<R>, build: impl Fn(&str, &R) -> S) -> std::collections::BTreeMap<String, S> {
    tables.iter().map(|(name, raw)| (name.clone(), build(name, raw))).collect()
}
