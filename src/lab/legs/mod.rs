//! Legs played live: the origin, the gateway and its peers as processes of their own, the crowd in
//! this one, all on the loopback network.
//!
//! Processes apart, so that each one's processor time can be told, and so that a kill is a kill. Each
//! is ended by its own id when its handle is dropped, whatever the reason.

mod access;
mod agreement;
mod child;
mod gateway;
mod origin_process;
mod peer;
mod play;
mod service;
mod timeline;

pub use gateway::{Gateway, Ports};
pub use origin_process::{OriginProcess, serve};
pub use peer::{Peer, Setup};
pub use play::{Played, Stage, Target};
pub use service::{configuration, rewritten};

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A leg cannot be played; the text names what is missing and the remedy.
#[derive(Debug)]
pub struct Trouble(pub String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}

impl Trouble {
    /// What was being done, and what came of it.
    pub(super) fn with(what: impl fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self(format!("{what}: {error}"))
    }
}

/// A folder that is gone, with all in it, when this is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new one in the system's place for such things.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new() -> Result<Self, Trouble> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("tornello-lab-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).map_err(Trouble::with(path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("warning: {} could not be removed: {error}", self.0.display());
        }
    }
}
