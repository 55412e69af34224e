//! Notices that the configuration's file changed.
//!
//! Watches the directory, because editors and Kubernetes replace files rather than write them, and
//! looks at the content every few seconds as well, because some file systems tell nobody.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::{Notify, watch};

use super::reload::{QUIET, Reloader};
use crate::edge::stopped;

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
            () = told.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn listen(file: &Path, told: Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let watcher = notify::recommended_watcher(move |_| told.notify_one());
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
