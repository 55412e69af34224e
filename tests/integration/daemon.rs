//! Programs of others that listen where they are told. They cannot say which port they took, so one is found free for
//! them; another program may be quicker, and then it is tried again.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::stage::until;

/// Ended when dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) site: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    /// Starts and waits until it answers; `command` knows its folder and its address.
    pub(crate) async fn start(
        folder: tempfile::TempDir,
        command: impl Fn(&Path, SocketAddr) -> Command,
    ) -> Self {
        let mut program = String::new();
        for _ in 0..20 {
            let site = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let mut command = command(folder.path(), site);
            program = command.get_program().to_string_lossy().into_owned();
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect(&program);
            let up = until("it answers or ends", || {
                let ended = child.try_wait().unwrap().is_some();
                async move {
                    if ended {
                        return Some(false);
                    }
                    tokio::net::TcpStream::connect(site).await.ok().map(|_| true)
                }
            });
            // Who answers may be another one that took the port, and this one be about to end.
            let is_ours = up.await && {
                tokio::time::sleep(Duration::from_millis(100)).await;
                child.try_wait().unwrap().is_none()
            };
            if is_ours {
                return Self { child, site, _folder: folder };
            }
        }
        panic!("{program} does not start");
    }
}
