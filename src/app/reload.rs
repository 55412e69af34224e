//! A new configuration takes effect whole or not at all.
//!
//! Read, validate, build everything, then swap one pointer. Whatever is wrong, the old configuration
//! goes on, and the report says why. Refused as well: what needs a restart, and taking away a room in
//! which people wait or are inside.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex as StdMutex;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::assemble::{Workshop, assemble, govern};
use super::{certificates, chronicle, lanes};
use crate::config::settings::{RoomSettings, Settings, TlsSettings};
use crate::config::{Diagnostic, Severity, difference, needs_restart, parse, render};
use crate::edge::key_files::KeyFiles;
use crate::edge::tls::TlsDoor;
use crate::proxy::Proxy;
use crate::proxy::live::{Live, Room, one_lot};
use crate::store::journal::{Entry, Pages};

/// Puts configurations in place, one at a time.
#[derive(Debug)]
pub struct Reloader {
    pub(super) proxy: Arc<Proxy>,
    pub(super) workshop: Workshop,
    tls: Arc<TlsDoor>,
    file: Option<PathBuf>,
    pub(super) one_at_a_time: Mutex<()>,
    last: StdMutex<Option<Report>>,
    /// Digest of the text that was read last, good or bad, so that nobody reads it twice.
    seen: StdMutex<Option<[u8; 32]>>,
    /// The certificates that were read last, good or bad.
    seen_keys: StdMutex<SeenKeys>,
}

#[derive(Debug)]
struct SeenKeys {
    settings: TlsSettings,
    digest: [u8; 32],
}

/// A configuration that is not put in place: why, in the word of the public log, and for people.
#[derive(Debug)]
struct Refused(&'static str, String);

/// What became of a reload.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// It is in force.
    pub applied: bool,
    /// Generation in force after it.
    pub generation: u64,
    /// Changed keys, old and new value.
    pub changes: Vec<String>,
    /// What is wrong with it, for people; empty if nothing.
    pub diagnostics: String,
    /// Milliseconds from reading the file to being in force.
    pub took_ms: u64,
}

impl Reloader {
    /// For the configuration in `file`, if there is one; `text` is what was read from it at start.
    #[must_use]
    pub fn new(
        proxy: Arc<Proxy>,
        workshop: Workshop,
        tls: Arc<TlsDoor>,
        file: Option<PathBuf>,
        text: &str,
    ) -> Self {
        let seen = StdMutex::new(Some(digest(text.as_bytes())));
        let settings = proxy.live.load().settings.tls.clone();
        let digest = KeyFiles::read(&settings).digest();
        let seen_keys = StdMutex::new(SeenKeys { settings, digest });
        let (one_at_a_time, last) = (Mutex::new(()), StdMutex::new(None));
        Self { proxy, workshop, tls, file, one_at_a_time, last, seen, seen_keys }
    }

    /// Whether `content` is not what was read last.
    #[must_use]
    pub fn is_news(&self, content: &[u8]) -> bool {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != Some(digest(content))
    }

    /// The files of certificates and keys that the configuration named last.
    #[must_use]
    pub fn key_settings(&self) -> TlsSettings {
        self.seen_keys.lock().unwrap_or_else(PoisonError::into_inner).settings.clone()
    }

    /// Whether the files of certificates and keys hold something else than what was read last.
    #[must_use]
    pub fn has_new_keys(&self, digest: &[u8; 32]) -> bool {
        self.seen_keys.lock().unwrap_or_else(PoisonError::into_inner).digest != *digest
    }

    /// The configuration's file.
    #[must_use]
    pub fn file(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }

    /// What became of the last reload.
    #[must_use]
    pub fn last(&self) -> Option<Report> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file again and puts it in place if it is good.
    pub async fn reload(&self) -> Report {
        let Some(file) = &self.file else {
            let why = "this gateway was started without a configuration file".to_owned();
            return self.report(Err(Refused("unreadable", why)), 0);
        };
        match tokio::fs::read_to_string(file).await {
            Ok(text) => {
                let seen = Some(digest(text.as_bytes()));
                *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
                self.apply(&text, &file.display().to_string()).await
            }
            Err(error) => {
                let why = format!(
                    "error: {} cannot be read: {error}\n  help: the running configuration is unchanged",
                    file.display()
                );
                self.report(Err(Refused("unreadable", why)), 0)
            }
        }
    }

    /// Puts the configuration in `text` in place if it is good.
    pub async fn apply(&self, text: &str, name: &str) -> Report {
        let _turn = self.one_at_a_time.lock().await;
        let begun = self.workshop.clock.now();
        let result = match parse(text, name) {
            Ok((settings, warnings)) => {
                let warned = if warnings.is_empty() { String::new() } else { render(&warnings, text, false) };
                let placed = self.put_in_place(settings, text, name).await;
                let placed = placed.map_err(|why| Refused("conflict", why));
                placed.map(|(changes, flaws)| (changes, warned + &flaws))
            }
            Err(diagnostics) => Err(Refused(word(&diagnostics), render(&diagnostics, text, false))),
        };
        let took = self.workshop.clock.now().since(begun);
        self.report(result, took.as_millis())
    }

    async fn put_in_place(
        &self,
        settings: Settings,
        text: &str,
        name: &str,
    ) -> Result<(Vec<String>, String), String> {
        let old = self.proxy.live.load_full();
        let restart = needs_restart(&old.settings, &settings);
        if !restart.is_empty() {
            return Err(format!(
                "error: needs a restart: {}\n  help: put the old values back, or restart the service; nothing was changed",
                restart.join(", ")
            ));
        }
        lost_rooms(&old, &settings)?;
        lanes::keep(&old, &settings)?;
        moved_openings(&old, &settings)?;
        self.new_rooms(&old, &settings)?;
        let files = KeyFiles::read(&settings.tls);
        let seen = SeenKeys { settings: settings.tls.clone(), digest: files.digest() };
        *self.seen_keys.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        let told = |flaws: &[_]| {
            let shown = certificates::shown(flaws, text, name);
            if shown.is_empty() { String::new() } else { render(&shown, text, false) }
        };
        let now = self.workshop.clock.unix();
        let (tls, flaws) = self.tls.build(&settings.tls, &files, now).map_err(|flaws| told(&flaws))?;
        let changes = difference(&old.settings, &settings).iter().map(ToString::to_string).collect();
        let new = assemble(&self.workshop, settings, Some(&old)).await.map_err(|error| error.to_string())?;
        // While it was built somebody may have come.
        let turning = Superseding::begin(&old);
        lost_rooms(&old, &new.settings)?;
        lanes::keep(&old, &new.settings)?;
        moved_openings(&old, &new.settings)?;
        self.close_rooms(&old, &new).await;
        lanes::name(&new);
        let new = Arc::new(new);
        self.proxy.live.store(Arc::clone(&new));
        turning.done();
        self.tls.put(tls);
        for (name, cluster) in &old.clusters {
            if !new.clusters.get(name).is_some_and(|successor| Arc::ptr_eq(successor, cluster)) {
                cluster.retire();
            }
        }
        govern(&self.proxy.live.load());
        Ok((changes, told(&flaws)))
    }

    /// After the end of the last event there are no keys for another one.
    fn new_rooms(&self, old: &Live, new: &Settings) -> Result<(), String> {
        let fresh = new.rooms.keys().find(|name| !old.rooms.contains_key(*name));
        match fresh.filter(|_| !self.workshop.journal.has_keys().unwrap_or(true)) {
            None => Ok(()),
            Some(name) => Err(format!(
                "error: room.{name} is new, and the keys were destroyed with the end of the last event\n  help: restart the service: it makes others"
            )),
        }
    }

    /// Rooms that go leave exact marks, so that they can come back where they were.
    async fn close_rooms(&self, old: &Live, new: &Live) {
        let gone = old.rooms.iter().filter(|(name, _)| !new.rooms.contains_key(*name));
        let (mut entries, mut pages) = (Vec::new(), Vec::new());
        for (name, room) in gone {
            entries.push(Entry::last(name, &room.line));
            pages.push(Pages { room: name.clone(), lines: chronicle::close(&self.proxy, room) });
        }
        if entries.is_empty() {
            return;
        }
        let journal = Arc::clone(&self.workshop.journal);
        let writing = tokio::task::spawn_blocking(move || {
            journal.write_with(&entries, &[], &pages)?;
            entries.iter().try_for_each(|entry| journal.forget_people(&entry.room))
        });
        if !matches!(writing.await, Ok(Ok(()))) {
            tracing::warn!("the marks of a room that went could not be written; some numbers are skipped");
        }
    }

    fn report(&self, result: Result<(Vec<String>, String), Refused>, took_ms: u128) -> Report {
        let live = self.proxy.live.load_full();
        let generation = live.generation;
        chronicle::reloaded(&live, result.as_ref().err().map(|Refused(word, _)| *word));
        let took_ms = u64::try_from(took_ms).unwrap_or(u64::MAX);
        let report = match result {
            Ok((changes, diagnostics)) => {
                tracing::info!(generation, took_ms, changes = changes.join("; "), "configuration in force");
                Report { applied: true, generation, changes, diagnostics, took_ms }
            }
            Err(Refused(_, diagnostics)) => {
                tracing::error!(generation, diagnostics, "configuration refused; the old one stays in force");
                Report { applied: false, generation, changes: Vec::new(), diagnostics, took_ms }
            }
        };
        let metrics = &self.proxy.witness.metrics;
        metrics.reloads.with_label_values(&[if report.applied { "applied" } else { "refused" }]).inc();
        metrics.reload_success.set(i64::from(report.applied));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(report.clone());
        report
    }
}

/// While it lives, rooms freeze no rules of a draw: what was found unfrozen stays so until the new configuration is
/// in force. For good if that is [done](Self::done), else they go on as they were.
struct Superseding<'a>(Option<&'a Live>);

impl<'a> Superseding<'a> {
    fn begin(old: &'a Live) -> Self {
        old.rooms.values().for_each(|room| room.superseded.store(true, Ordering::SeqCst));
        Self(Some(old))
    }

    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Superseding<'_> {
    fn drop(&mut self) {
        let rooms = self.0.iter().flat_map(|old| old.rooms.values());
        rooms.for_each(|room| room.superseded.store(false, Ordering::SeqCst));
    }
}

/// A room with people in it cannot be configured away.
fn lost_rooms(old: &Live, new: &Settings) -> Result<(), String> {
    let gone =
        |(name, room): &(&String, &Arc<Room>)| !new.rooms.contains_key(*name) && room.line.ended().is_none();
    for (name, room) in old.rooms.iter().filter(gone) {
        let facts = room.line.facts(&room.settings.policy);
        let waiting = facts.issued - facts.cursor;
        let inside = facts.active + facts.front_row;
        // Nobody has a place yet where rules are being frozen, but will at any moment.
        if room.line.drawn().is_none() && room.line.frozen().is_some() {
            return Err(format!(
                "error: room.{name} is gone, but people have places in its draw\n  help: keep the room until its lots are drawn and it is empty"
            ));
        }
        if waiting > 0 || inside > 0 || facts.outstanding > 0 {
            return Err(format!(
                "error: room.{name} is gone, but {waiting} people wait in it and {inside} are inside\n  help: keep the room; `hold = true` stops its calls, and it can go when it is empty"
            ));
        }
    }
    Ok(())
}

/// Whoever has a place has it under the rules that were told.
fn moved_openings(old: &Live, new: &Settings) -> Result<(), String> {
    let identity = &new.identity;
    for (name, room) in &old.rooms {
        let told = &room.settings;
        let frozen = room.line.frozen();
        let is_other = |new: &&RoomSettings| {
            // Who has one lot must be known: `require_identity` cannot change without it.
            let other_lots = frozen.as_ref().is_some_and(|rules| {
                one_lot(new, identity) != (rules.one_lot_per, rules.identified_by.clone())
            });
            new.opening != told.opening || new.draw != told.draw || other_lots
        };
        let Some(changed) = new.rooms.get(name).filter(is_other) else { continue };
        if room.line.ended().is_some() {
            continue;
        }
        if frozen.is_some() {
            return Err(format!(
                "error: room.{name}: the rules of its draw are frozen; opens_at, prequeue, draw, parties, one_place_per, require_identity and who names a person (identity) cannot change\n  help: put the old values back; another draw needs a room with another name"
            ));
        }
        if changed.draw.is_some() && !room.line.is_undrawn() {
            return Err(format!(
                "error: room.{name}.draw: this room goes by arrival already\n  help: a draw needs a room with another name"
            ));
        }
        let facts = room.line.facts(&room.settings.policy);
        let waiting = facts.issued - facts.cursor;
        let inside = facts.active + facts.front_row;
        if waiting > 0 || inside > 0 || facts.outstanding > 0 {
            let key = if changed.opening.map(|opening| opening.at)
                == room.settings.opening.map(|opening| opening.at)
            {
                "prequeue"
            } else {
                "opens_at"
            };
            return Err(format!(
                "error: room.{name}.{key} cannot change: {waiting} people have a place by the opening that was told, and {inside} are inside\n  help: put the old value back; `hold = true` calls nobody after the opening, and a room with another name can open at another time"
            ));
        }
    }
    Ok(())
}

/// What is wrong with a configuration, in a word: whether it would have shown one person's page to others is
/// told apart.
fn word(diagnostics: &[Diagnostic]) -> &'static str {
    let is_shareable = |wrong: &Diagnostic| {
        wrong.severity == Severity::Error && wrong.key.starts_with("route.") && wrong.key.ends_with(".shared")
    };
    if diagnostics.iter().any(is_shareable) { "shareable" } else { "invalid" }
}

fn digest(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

/// A file must be quiet for this long before it is read: a half-written TOML can be valid.
pub const QUIET: Duration = Duration::from_millis(500);
