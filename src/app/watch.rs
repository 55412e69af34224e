//! Notices that the configuration's file changed, or a certificate that it names.
//!
//! Watches the directories, because editors and Kubernetes replace files rather than write them, and
//! looks at the content every few seconds as well, because some file systems tell nobody.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecursiveMode, Watcher};
use tokio::sync::{Notify, watch};

use super::reload::{QUIET, Reloader};
use crate::edge::key_files::KeyFiles;
use crate::edge::stopped;

/// The content is looked at no oftener than this, however much goes on in the directory.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// How often the content is looked at without being told.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What the watched files hold.
#[derive(PartialEq, Eq)]
struct Content {
    configuration: Option<Vec<u8>>,
    keys: [u8; 32],
}

impl Content {
    async fn read(reloader: &Reloader, file: &Path) -> Self {
        let settings = reloader.key_settings();
        let keys = if settings.certificates.is_empty() {
            KeyFiles::read(&settings).digest()
        } else {
            let reading = tokio::task::spawn_blocking(move || KeyFiles::read(&settings).digest());
            reading.await.unwrap_or_default()
        };
        Self { configuration: read(file).await, keys }
    }

    /// Whether this is not what was read last. A configuration that is gone for a moment is no news.
    fn is_news(&self, reloader: &Reloader) -> bool {
        let Some(configuration) = &self.configuration else { return false };
        reloader.is_news(configuration) || reloader.has_new_keys(&self.keys)
    }
}

/// Reloads whenever the content of the file, or of a certificate that it names, changed and was quiet
/// for half a second.
pub async fn follow(reloader: Arc<Reloader>, mut stop: watch::Receiver<bool>) {
    let Some(file) = reloader.file().cloned() else { return };
    let told = Arc::new(Notify::new());
    let mut watched = BTreeSet::new();
    let mut _watcher = None;
    loop {
        let mut content = Content::read(&reloader, &file).await;
        if content.is_news(&reloader) {
            loop {
                tokio::time::sleep(QUIET).await;
                let later = Content::read(&reloader, &file).await;
                if later == content {
                    break;
                }
                content = later;
            }
            if content.is_news(&reloader) {
                reloader.reload().await;
            }
        }
        let wanted = directories(&file, &reloader);
        if watched != wanted {
            _watcher = listen(&wanted, Arc::clone(&told));
            watched = wanted;
            // What changed before the watch stood is not missed.
            told.notify_one();
        }
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            () = told.notified() => tokio::time::sleep(LOOK_PAUSE).await,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Where the files are.
fn directories(file: &Path, reloader: &Reloader) -> BTreeSet<PathBuf> {
    let settings = reloader.key_settings();
    let keys = settings.certificates.iter().flat_map(|pair| [&pair.certificate, &pair.key]);
    let parent = |file: &Path| match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    keys.map(|key| parent(key)).chain([parent(file)]).collect()
}

fn listen(directories: &BTreeSet<PathBuf>, told: Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An error may hide a change.
        if event.map(|event| is_change(event.kind)).unwrap_or(true) {
            told.notify_one();
        }
    });
    let watching = watcher.and_then(|mut watcher| {
        for directory in directories {
            watcher.watch(directory, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    });
    match watching {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, "file changes are noticed within five seconds instead of at once");
            None
        }
    }
}

async fn read(file: &Path) -> Option<Vec<u8>> {
    tokio::fs::read(file).await.ok()
}

/// Whether something may be different now. Looking at a file is an event, too: our own look must not
/// be the reason for the next.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind};

    use super::*;

    #[test]
    fn looking_at_the_file_is_no_change() {
        for look in [
            AccessKind::Any,
            AccessKind::Read,
            AccessKind::Open(AccessMode::Any),
            AccessKind::Open(AccessMode::Read),
            AccessKind::Close(AccessMode::Read),
        ] {
            assert!(!is_change(EventKind::Access(look)), "{look:?}");
        }
        assert!(is_change(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(is_change(EventKind::Modify(ModifyKind::Any)));
        assert!(is_change(EventKind::Create(CreateKind::Any)));
        assert!(is_change(EventKind::Any));
    }
}
