//! `tornello run`: the gateway.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::check::load;
use super::{CONFIGURATION, OK, RUNTIME, complain};
use crate::app::machine::Machine;
use crate::app::{self, Options, Running, watch};
use crate::config::Settings;

/// Signals closer together than this are one.
const TWIN: Duration = Duration::from_millis(500);

/// Run the gateway.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// Configuration file.
    #[arg(long, default_value = "/etc/tornello/tornello.toml")]
    pub config: PathBuf,
    /// Write no access log.
    #[arg(long)]
    pub no_access_log: bool,
}

impl Run {
    /// Runs until a signal ends it.
    #[must_use]
    pub fn execute(self) -> u8 {
        let Some((settings, text)) = load(&self.config) else { return CONFIGURATION };
        log();
        crate::edge::raise_open_files();
        let machine = Machine::read();
        for shortage in machine.shortages(&settings) {
            tracing::warn!("{shortage}");
        }
        tracing::info!(
            connections = machine.connections(&settings),
            max_connections = settings.edge.max_connections,
            open_files = machine.files,
            backlog = machine.backlog,
            "what the machine allows"
        );
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(settings.boot.threads)
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => {
                let code = runtime.block_on(self.serve(settings, text));
                // A disk that does not answer holds its writer; the process ends all the same.
                runtime.shutdown_timeout(Duration::from_secs(1));
                code
            }
            Err(error) => {
                complain(&error);
                RUNTIME
            }
        }
    }

    async fn serve(self, settings: Settings, text: String) -> u8 {
        // Before anything else: until a handler stands, SIGHUP would end the process.
        let (Ok(mut hup), Ok(mut term), Ok(mut int)) =
            (signal(SignalKind::hangup()), signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            eprintln!("error: signals cannot be handled");
            return RUNTIME;
        };
        let options =
            Options { file: Some(self.config), text, access_log: !self.no_access_log, ..Options::default() };
        let running = match app::start(settings, options).await {
            Ok(running) => running,
            Err(error) => {
                complain(&error);
                return RUNTIME;
            }
        };
        announce(&running);
        let (_stop_following, stopped) = tokio::sync::watch::channel(false);
        let following = tokio::spawn(watch::follow(Arc::clone(&running.reloader), stopped));
        loop {
            tokio::select! {
                _ = hup.recv() => {
                    tell_systemd(&[sd_notify::NotifyState::Reloading]);
                    running.reloader.reload().await;
                    tell_systemd(&[sd_notify::NotifyState::Ready]);
                }
                _ = term.recv() => break,
                _ = int.recv() => break,
            }
        }
        following.abort();
        tell_systemd(&[sd_notify::NotifyState::Stopping]);
        tracing::info!("stopping: no new connections; requests under way may end");
        tokio::select! {
            cut = running.stop() => {
                tracing::info!(cut, "stopped");
                OK
            }
            () = again() => {
                tracing::warn!("stopped at once by a second signal; requests under way were cut");
                RUNTIME
            }
        }
    }
}

/// Returns at a signal that comes [`TWIN`] or more after the first. `timeout`, shells and supervisors
/// signal a process and then its group: the same wish, said twice.
async fn again() {
    tokio::time::sleep(TWIN).await;
    // New receivers have seen nothing of what came before.
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

fn announce(running: &Running) {
    let addresses: Vec<String> = running.listen.iter().map(ToString::to_string).collect();
    tracing::info!(listen = addresses.join(", "), admin = %running.admin, "ready");
    tell_systemd(&[sd_notify::NotifyState::Ready]);
}

fn tell_systemd(state: &[sd_notify::NotifyState<'_>]) {
    // Not started by systemd is no fault.
    let _ = sd_notify::notify(state);
}

/// The structured log goes to standard error; the access log has standard output for itself.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("TORNELLO_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // A panic is a line like any other; what it was about is said by whoever catches it.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
    let _ = tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
