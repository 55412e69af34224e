//! Invitations: whoever shows a code of the list is one person, on any device.
//!
//! The list is read again when its file changes. Whatever is wrong with the new one, the old one stays.

pub mod code;
pub mod list;

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

use super::identify::EventKey;
use crate::admission::PersonKey;
use crate::config::settings::InvitationSettings;
use code::Code;
use list::{Key, List};

/// How often it is looked whether the file changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Who is invited. Lives on over reloads that change neither its settings nor its key.
#[derive(Debug)]
pub struct Invitations {
    /// Where the list and its key are.
    pub settings: InvitationSettings,
    key: Key,
    list: ArcSwap<List>,
}

/// Why a code invites nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uninvited {
    /// It is no code: mistyped, and no guess.
    Misread,
    /// It is none of the list.
    Unknown,
}

impl Invitations {
    /// Reads key and list. Where `old` is by the same settings and key, it goes on.
    ///
    /// # Errors
    /// What cannot be read or believed, for operators.
    pub fn build(settings: InvitationSettings, old: Option<&Arc<Self>>) -> Result<Arc<Self>, String> {
        let of = |file: &Path, why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
        let key = std::fs::read_to_string(&settings.key).map_err(|error| of(&settings.key, &error))?;
        let key = Key::read(&key).map_err(|why| of(&settings.key, &why))?;
        if let Some(old) = old.filter(|old| old.settings == settings && old.key.is_like(&key)) {
            return Ok(Arc::clone(old));
        }
        let list = std::fs::read(&settings.list).map_err(|error| of(&settings.list, &error))?;
        let list = List::parse(&list).map_err(|why| of(&settings.list, &why))?;
        Ok(Arc::new(Self { settings, key, list: ArcSwap::from_pointee(list) }))
    }

    /// By what these people are told apart: an invitation, and by which key; without it where that cannot be read,
    /// which nothing is put in place with.
    #[must_use]
    pub fn named_by(settings: &InvitationSettings) -> String {
        let name = std::fs::read_to_string(&settings.key).ok().and_then(|key| Key::name(&key).ok());
        format!("invitation {}", name.as_deref().unwrap_or("by a key that cannot be read"))
    }

    /// Whom a code names.
    ///
    /// # Errors
    /// [`Uninvited`].
    pub fn person(&self, text: &str, event: &EventKey) -> Result<PersonKey, Uninvited> {
        let mark = self.key.mark(&Code::read(text).map_err(|_| Uninvited::Misread)?);
        self.list.load().contains(&mark).then(|| event.person("invitation", &mark)).ok_or(Uninvited::Unknown)
    }

    /// Reads the list again when its file changed, for as long as anybody uses it.
    pub async fn look_after(invitations: Weak<Self>) {
        // The file as it was last read, or that it could not be found. Nothing before the first look.
        let mut seen: Option<Option<(SystemTime, u64)>> = None;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(this) = invitations.upgrade() else { return };
            let file = &this.settings.list;
            let now =
                tokio::fs::metadata(file).await.and_then(|told| Ok((told.modified()?, told.len()))).ok();
            if seen.replace(now) == Some(now) {
                continue;
            }
            let path = file.clone();
            let read = tokio::task::spawn_blocking(move || {
                std::fs::read(&path).map_err(|error| error.to_string()).and_then(|text| List::parse(&text))
            });
            match read.await.map_err(|error| error.to_string()).and_then(|read| read) {
                Ok(list) if list.is_like(&this.list.load()) => {}
                Ok(list) => {
                    tracing::info!(invited = list.len(), "the list of invitations is in force");
                    this.list.store(Arc::new(list));
                }
                // Said once for each state of the file.
                Err(why) => tracing::error!(why, "the list of invitations cannot be had; the old one stays"),
            }
        }
    }
}
