//! Notices that the configuration's file changed.
//!
//! Watches the directory, because editors and Kubernetes replace files rather than write them, and
//! looks at the content every few seconds as well, because some file systems tell nobody.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecursiveMode, Watcher};
use tokio::sync::{Notify, watch};

use super::reload::{QUIET, Reloader};
use crate::edge::stopped;

/// The content is looked at no oftener than this, however much goes on in the directory.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// How often the content is looked at without being told.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Reloads whenever the file's content changed and was quiet for half a second.
pub async fn follow(reloader: Arc<Reloader>, mut stop: watch::Receiver<bool>) {
    let Some(file) = reloader.file().cloned() else { return };
    let told = Arc::new(Notify::new());
    let _watcher = listen(&file, Arc::clone(&told));
    loop {
        let mut content = read(&file).await;
        if content.as_deref().is_some_and(|content| reloader.is_news(content)) {
            loop {
                tokio::time::sleep(QUIET).await;
                let later = read(&file).await;
                if later == content {
                    break;
                }
                content = later;
            }
            if content.is_some_and(|content| reloader.is_news(&content)) {
                reloader.reload().await;
            }
        }
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            () = told.notified() => tokio::time::sleep(LOOK_PAUSE).await,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn listen(file: &Path, told: Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An error may hide a change.
        if event.map(|event| is_change(event.kind)).unwrap_or(true) {
            told.notify_one();
        }
    });
    let watching = watcher.and_then(|mut watcher| {
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
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
