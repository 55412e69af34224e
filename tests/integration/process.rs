//! The process itself: start, signals, restart, exit codes, readiness, what it writes.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use http::{Method, StatusCode};

use crate::stage::{Origin, ask, get, until, visit};

pub(crate) fn tornello() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tornello"))
}

/// A gateway process. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) site: SocketAddr,
    pub(crate) admin: SocketAddr,
    folder: PathBuf,
    /// Standard output: the access log.
    pub(crate) access: std::sync::Arc<std::sync::Mutex<String>>,
    /// Standard error: the structured log.
    pub(crate) log: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn configuration(folder: &Path, origin: SocketAddr, more: &str) -> PathBuf {
    let file = folder.join("tornello.toml");
    let text = format!(
        r#"[listen]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
state_directory = "{}/state"
[upstream.app]
addresses = ["{origin}"]
[room.main]
seats = {{ floor = 1, ceiling = 1 }}
poll = {{ min = "100ms", max = "1s" }}
{more}
[route.all]
upstream = "app"
room = "main"
"#,
        folder.display()
    );
    std::fs::write(&file, text).unwrap();
    file
}

impl Process {
    /// Starts and waits until it says where it listens.
    pub(crate) fn start(folder: &Path, notify: Option<&Path>) -> Self {
        Self::launch(tornello(), folder, notify)
    }

    /// The same by a command of the test's own.
    pub(crate) fn launch(mut command: Command, folder: &Path, notify: Option<&Path>) -> Self {
        command.arg("run").arg("--config").arg(folder.join("tornello.toml"));
        if let Some(socket) = notify {
            command.env("NOTIFY_SOCKET", socket);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let access = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let (mut stdout, kept) = (child.stdout.take().unwrap(), std::sync::Arc::clone(&access));
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(length @ 1..) = stdout.read(&mut buffer) {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let (site, admin) = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended: {said}");
            said.push_str(&line);
            let json: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if json["fields"]["message"] == "ready" {
                let address = |key: &str| json["fields"][key].as_str().unwrap().parse().unwrap();
                break (address("listen"), address("admin"));
            }
        };
        let told = std::sync::Arc::new(std::sync::Mutex::new(said));
        let kept = std::sync::Arc::clone(&told);
        std::thread::spawn(move || {
            let mut line = String::new();
            while log.read_line(&mut line).is_ok_and(|length| length > 0) {
                kept.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Self { child, site, admin, folder: folder.to_owned(), access, log: told }
    }

    pub(crate) fn signal(&self, signal: &str) {
        // The shell's own: a minimal system has no kill command.
        let line = format!("kill {signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    }

    pub(crate) async fn generation(&self) -> u64 {
        get(self.admin, "/status").await.json()["generation"].as_u64().unwrap()
    }

    fn edit(&self, from: &str, to: &str) {
        let file = self.folder.join("tornello.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from));
        std::fs::write(&file, text.replace(from, to)).unwrap();
    }

    fn command(&self, verb: &str) -> Output {
        let admin = self.admin.to_string();
        tornello().args([verb, "--admin", &admin]).output().unwrap()
    }
}

pub(crate) async fn exit_code(process: &mut Process) -> Option<i32> {
    let child = std::cell::RefCell::new(&mut process.child);
    until("the process ends", || async { child.borrow_mut().try_wait().unwrap() }).await.code()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_survives_kill_and_clean_restart() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    configuration(folder.path(), origin.address, "");
    let process = Process::start(folder.path(), None);
    let pass = visit(process.site, "/", "").await.cookie().unwrap();
    let tickets = "/.tornello/v1/rooms/main/tickets";
    let mut held = Vec::new();
    for _ in 0..20 {
        let joined = ask(process.site, Method::POST, tickets, &[]).await;
        assert_eq!(joined.status, StatusCode::CREATED);
        held.push((joined.cookie().unwrap(), joined.json()["number"].as_u64().unwrap()));
    }
    drop(process); // kill -9
    for round in ["after the kill", "after the stop"] {
        let mut process = Process::start(folder.path(), None);
        for (cookie, number) in &held {
            let look =
                ask(process.site, Method::GET, "/.tornello/v1/rooms/main/ticket", &[("cookie", cookie)])
                    .await;
            assert_eq!(look.json()["number"].as_u64(), Some(*number), "{round}");
        }
        assert_eq!(visit(process.site, "/", &pass).await.status, StatusCode::OK, "{round} the pass is good");
        let joined = ask(process.site, Method::POST, tickets, &[]).await;
        let fresh = joined.json()["number"].as_u64().unwrap();
        let highest = held.iter().map(|(_, number)| *number).max().unwrap();
        assert!(fresh > highest, "{round}: {fresh} was given before");
        held.push((joined.cookie().unwrap(), fresh));
        process.signal("-TERM");
        assert_eq!(exit_code(&mut process).await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_many_come_when_they_are_called_is_known_after_a_kill() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    configuration(folder.path(), origin.address, "hold = true");
    let process = Process::start(folder.path(), None);
    for _ in 0..40 {
        let joined = ask(process.site, Method::POST, "/.tornello/v1/rooms/main/tickets", &[]).await;
        assert_eq!(joined.status, StatusCode::CREATED);
    }
    let shows = |site| async move {
        get(site, "/.tornello/v1/rooms/main/board").await.json()["board"]["show_rate"].as_f64().unwrap()
    };
    assert!((shows(process.site).await - 0.8).abs() < 0.01, "as is taken at first");
    process.edit("hold = true", "hold = false");
    // Nobody comes.
    let learnt =
        until("calls are judged", || async { Some(shows(process.site).await).filter(|rate| *rate < 0.25) })
            .await;
    let file = folder.path().join("state/tornello.redb");
    let written = std::fs::metadata(&file).unwrap().modified().unwrap();
    until("it is written", || async {
        (std::fs::metadata(&file).unwrap().modified().unwrap() > written).then_some(())
    })
    .await;
    drop(process); // kill -9
    let process = Process::start(folder.path(), None);
    let rate = shows(process.site).await;
    // The last second of it may be lost.
    assert!(rate < 0.6, "{learnt} before, {rate} after the kill");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_a_signal_and_a_command_each_reload_and_a_bad_file_changes_nothing() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    configuration(folder.path(), origin.address, "idle = \"10m\"");
    let process = Process::start(folder.path(), None);
    assert_eq!(process.generation().await, 1);
    process.edit("10m", "11m");
    until("the file was noticed", || async { (process.generation().await == 2).then_some(()) }).await;
    process.signal("-HUP");
    until("the signal was heard", || async { (process.generation().await == 3).then_some(()) }).await;
    let done = process.command("reload");
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(process.generation().await, 4);
    process.edit("idle =", "idel =");
    let refused = process.command("reload");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said.contains("did you mean `idle`") && said.contains("tornello.toml:"), "{said}");
    assert_eq!((process.generation().await, get(process.admin, "/ready").await.status), (4, StatusCode::OK));
    let metrics = get(process.admin, "/metrics").await.text();
    assert!(metrics.contains("tornello_config_last_reload_success 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_and_a_stop_lets_requests_end() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    configuration(folder.path(), origin.address, "");
    let socket = folder.path().join("notify");
    let notified = UnixDatagram::bind(&socket).unwrap();
    notified.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let hear = || {
        let mut text = [0; 256];
        let length = notified.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let mut process = Process::start(folder.path(), Some(&socket));
    assert!(hear().contains("READY=1"));
    let pass = visit(process.site, "/", "").await.cookie().unwrap();
    origin.delay(700);
    let site = process.site;
    let under_way = tokio::spawn(async move { visit(site, "/", &pass).await });
    until("it is under way", || async { (origin.in_flight() == 1).then_some(()) }).await;
    process.signal("-TERM");
    until("it is no longer ready", || async {
        let ready =
            crate::stage::try_ask(process.admin, Method::GET, "/ready", &[], bytes::Bytes::new()).await;
        ready.is_ok_and(|got| got.status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    assert!(tokio::net::TcpStream::connect(process.site).await.is_err(), "nobody new is taken");
    assert_eq!(under_way.await.unwrap().status, StatusCode::OK, "what was under way ends well");
    assert!(hear().contains("STOPPING=1"));
    assert_eq!(exit_code(&mut process).await, Some(0));
}

/// `timeout` and supervisors signal a process and its group at once: that is one wish. A second one later
/// is impatience.
#[tokio::test(flavor = "multi_thread")]
async fn two_signals_at_once_are_one_stop_and_a_later_one_cuts() {
    for (impatient, code) in [(false, 0), (true, 1)] {
        let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
        configuration(folder.path(), origin.address, "");
        let mut process = Process::start(folder.path(), None);
        let (site, pass) = (process.site, visit(process.site, "/", "").await.cookie().unwrap());
        origin.delay(if impatient { 60_000 } else { 1500 });
        let under_way = tokio::spawn(async move {
            let headers = [("cookie", pass.as_str())];
            crate::stage::try_ask(site, Method::GET, "/", &headers, bytes::Bytes::new()).await
        });
        until("it is under way", || async { (origin.in_flight() == 1).then_some(()) }).await;
        process.signal("-TERM");
        let said = |what: &str| process.log.lock().unwrap().contains(what).then_some(());
        until("it stops", || async { said("\"stopping: ") }).await;
        process.signal("-TERM");
        if impatient {
            // Again and again, as people press it: which of them counts is the gateway's to say.
            until("it is cut", || async {
                let over = said("stopped at once by a second signal");
                over.is_none().then(|| process.signal("-INT"));
                over
            })
            .await;
        }
        let answered = under_way.await.unwrap().is_ok_and(|got| got.status == StatusCode::OK);
        assert_eq!(answered, !impatient);
        assert_eq!(exit_code(&mut process).await, Some(code));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_says_what_was_decided_and_nothing_personal() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    configuration(folder.path(), origin.address, "");
    let process = Process::start(folder.path(), None);
    let secret = "RSSMRA80A01H501U";
    let path = format!("/person/{secret}?code={secret}");
    let first = ask(
        process.site,
        Method::GET,
        &path,
        &[
            ("authorization", secret),
            ("cookie", secret),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
            ("accept", "text/html"),
        ],
    )
    .await;
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(get(process.site, &path).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let log = until("both lines are there", || async {
        let log = process.access.lock().unwrap().clone();
        (log.lines().count() >= 2).then_some(log)
    })
    .await;
    assert!(!log.contains(secret) && !log.contains("127.0.0.1"), "{log}");
    let line = |number: usize| -> serde_json::Value {
        serde_json::from_str(log.lines().nth(number).unwrap()).unwrap()
    };
    assert_eq!(
        (&line(0)["decision"], &line(0)["reason"], &line(0)["route"]),
        (&"forwarded".into(), &"open".into(), &"all".into())
    );
    assert_eq!(
        (&line(1)["decision"], &line(1)["reason"], &line(1)["status"]),
        (&"refused".into(), &"waiting".into(), &503.into())
    );
    let metrics = get(process.admin, "/metrics").await.text();
    assert!(
        metrics.contains(
            r#"tornello_requests_total{code="503",decision="refused",reason="waiting",route="all"} 1"#
        ),
        "{metrics}"
    );
    assert!(!metrics.contains(secret));
}

#[test]
fn a_wrong_start_says_why_and_with_which_code() {
    let folder = tempfile::tempdir().unwrap();
    let run = |file: &Path| tornello().args(["run", "--config"]).arg(file).output().unwrap();
    let missing = run(&folder.path().join("none.toml"));
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("tornello init"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let file = configuration(folder.path(), "127.0.0.1:9".parse().unwrap(), "");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replacen("127.0.0.1:0", &taken.local_addr().unwrap().to_string(), 1);
    std::fs::write(&file, text).unwrap();
    let busy = run(&file);
    assert_eq!(busy.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&busy.stderr).contains("another process has it"));
}

#[test]
fn a_command_ends_as_it_should_though_nobody_reads_what_it_says() {
    for arguments in [&["check", "--schema"][..], &["init", "--upstream", "127.0.0.1:1"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = tornello().args(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), told.as_ref()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn no_web_page_changes_anything_at_the_operators_desk() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
        configuration(folder.path(), origin.address, "");
        let process = Process::start(folder.path(), None);
        let paths =
            ["/reload", "/explain/ticket", "/rooms/main/revoke", "/rooms/main/draw", "/rooms/main/end"];
        // Whatever a route that is still to be written is called.
        for path in paths.iter().chain(&["/rooms/main/close", "/", "/status"]) {
            for of_page in
                [("origin", "http://evil.example"), ("sec-fetch-site", "same-origin"), ("origin", "null")]
            {
                for method in [Method::POST, Method::PUT, Method::DELETE] {
                    let got = ask(process.admin, method, path, &[of_page]).await;
                    assert_eq!(got.status, StatusCode::FORBIDDEN, "{path} {of_page:?}");
                }
            }
        }
        assert_eq!(process.generation().await, 1);
        let nobody = ask(process.admin, Method::POST, "/rooms/main/close", &[]).await;
        assert_eq!(nobody.status, StatusCode::NOT_FOUND, "there is none");
        // Who looks with a browser changes nothing.
        let looked = ask(process.admin, Method::GET, "/status", &[("sec-fetch-site", "none")]).await;
        assert_eq!(looked.status, StatusCode::OK);
        let reloaded = ask(process.admin, Method::POST, "/reload", &[]).await;
        assert_eq!((reloaded.status, process.generation().await), (StatusCode::OK, 2));
    });
}
