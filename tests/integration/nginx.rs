//! Debian's nginx before the gateway. As a cache, as careless as a configuration can make it: it stores
//! what the answer's fields do not forbid, also answers that set cookies, and 503 for ten seconds.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::daemon::Daemon;

/// A careless cache before `gate`.
pub(crate) async fn cache_before(gate: SocketAddr) -> Daemon {
    start(tempfile::tempdir().unwrap(), |folder, site| careless(folder, site, gate)).await
}

/// Starts and waits until it answers; `configuration` knows its folder and its address.
pub(crate) async fn start(
    folder: tempfile::TempDir,
    configuration: impl Fn(&Path, SocketAddr) -> String,
) -> Daemon {
    Daemon::start(folder, |folder, site| {
        let conf = folder.join("nginx.conf");
        std::fs::write(&conf, configuration(folder, site)).unwrap();
        let mut command = Command::new(nginx());
        command.arg("-p").arg(folder).args(["-e", "stderr", "-c"]).arg(&conf);
        command
    })
    .await
}

fn nginx() -> &'static str {
    if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" }
}

/// What every nginx of a test needs around what it is there for.
pub(crate) fn around(folder: &Path, http: &str) -> String {
    let folder = folder.display();
    format!(
        r#"daemon off;
master_process off;
pid {folder}/pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
{http}
}}
"#
    )
}

fn careless(folder: &Path, site: SocketAddr, gate: SocketAddr) -> String {
    let http = format!(
        r#"  proxy_cache_path {}/cache keys_zone=careless:10m inactive=10m;
  upstream gate {{ server {gate}; keepalive 32; }}
  server {{
    listen {site} backlog=1024;
    location / {{
      proxy_pass http://gate;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_cache careless;
      proxy_cache_key $request_method$request_uri;
      proxy_cache_valid 200 301 302 404 10m;
      proxy_cache_valid 503 10s;
      proxy_ignore_headers Set-Cookie Vary;
      add_header X-Cache $upstream_cache_status always;
    }}
  }}"#,
        folder.display()
    );
    around(folder, &http)
}
