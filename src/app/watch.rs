//! Notices that the configuration's file changed.
//!
//! Watches the directory, because editors and Kubernetes replace files rather than write them, and
//! looks at the content every few seconds as well, because some file systems tell nobody.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use sha2::{Digest, Sha256};
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
    let mut seen = digest(&file).await;
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            () = told.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let mut now = digest(&file).await;
        if now == seen {
            continue;
        }
        loop {
            tokio::time::sleep(QUIET).await;
            let later = digest(&file).await;
            if later == now {
                break;
            }
            now = later;
        }
        if now.is_some() && now != seen {
            reloader.reload().await;
        }
        seen = now;
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

async fn digest(file: &Path) -> Option<[u8; 32]> {
    let content = tokio::fs::read(file).await.ok()?;
    Some(Sha256::digest(&content).into())
}
