//! The same cases through other reverse proxies, for comparison: a table, no verdict.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::case::{Case, Then, cases};
use crate::client::{Wait, talk_within};
use crate::gateway::Gateway;
use crate::recorder::Recorder;

/// How long a proxy may be silent before the client takes it that nothing more comes.
const SILENCE: Duration = Duration::from_millis(400);

struct Other {
    child: Child,
    site: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Other {
    fn start(command: &mut Command, site: SocketAddr, folder: tempfile::TempDir) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while TcpStream::connect(site).is_err() {
            std::thread::yield_now();
        }
        Self { child, site, _folder: folder }
    }

    fn nginx(upstream: SocketAddr) -> Self {
        let (site, folder) = (free_port(), tempfile::tempdir().unwrap());
        let place = folder.path().display();
        let text = format!(
            "daemon off; master_process off; pid {place}/pid; error_log /dev/null;\nevents {{}}\n\
             http {{ access_log off; client_body_temp_path {place}/b; proxy_temp_path {place}/p;\n\
             fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;\n\
             upstream app {{ server {upstream}; keepalive 8; }}\n\
             server {{ listen {site}; location / {{ proxy_pass http://app; proxy_http_version 1.1;\n\
             proxy_set_header Host $http_host; proxy_set_header Connection \"\"; }} }} }}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        Self::start(Command::new("nginx").arg("-c").arg(file).arg("-e").arg("/dev/null"), site, folder)
    }

    fn haproxy(upstream: SocketAddr) -> Self {
        let (site, folder) = (free_port(), tempfile::tempdir().unwrap());
        let text = format!(
            "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n\
             frontend f\n bind {site}\n default_backend b\nbackend b\n server s {upstream}\n"
        );
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, text).unwrap();
        Self::start(Command::new("haproxy").arg("-db").arg("-f").arg(file), site, folder)
    }
}

/// How a proxy did: as wanted, split, unclean, otherwise.
fn row(site: SocketAddr, recorder: &Recorder, cases: &[Case]) -> [usize; 4] {
    let mut row = [0; 4];
    for case in cases {
        recorder.forget();
        let want = &case.want;
        let wait = Wait { answers: want.answers(), close: want.closes() };
        let heard = talk_within(site, &case.bytes, &case.heads(), wait, SILENCE);
        let whole = recorder.seen().len();
        let refused = matches!(want.then, Then::Refused { .. });
        let status = heard.statuses.get(want.forwarded).copied();
        let as_wanted = whole == want.forwarded && (!refused || status.is_some_and(|s| s >= 400));
        row[if recorder.unclean().is_some() {
            2
        } else if whole > want.forwarded {
            1
        } else if as_wanted {
            0
        } else {
            3
        }] += 1;
    }
    row
}

#[test]
#[ignore = "needs nginx and haproxy; prints a table and asserts nothing: make compare"]
fn compare() {
    let (recorder, cases) = (Recorder::start(), cases());
    println!("{:10} {:>9} {:>9} {:>9} {:>9}", "", "as wanted", "forwarded", "unclean", "other");
    let print = |name: &str, row: [usize; 4]| {
        println!("{name:10} {:>9} {:>9} {:>9} {:>9}", row[0], row[1], row[2], row[3]);
    };
    print("tornello", row(Gateway::start(recorder.address).site, &recorder, &cases));
    let nginx = Other::nginx(recorder.address);
    print("nginx", row(nginx.site, &recorder, &cases));
    let haproxy = Other::haproxy(recorder.address);
    print("haproxy", row(haproxy.site, &recorder, &cases));
}
