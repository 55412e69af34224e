//! Debian's nginx as a cache before the gateway, as careless as a configuration can make it: it stores
//! what the answer's fields do not forbid, also answers that set cookies, and 503 for ten seconds.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::stage::until;

/// A caching nginx. Ended when dropped.
pub(crate) struct Nginx {
    child: Child,
    pub(crate) site: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Nginx {
    /// Starts before `gate` and waits until it answers.
    pub(crate) async fn before(gate: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // nginx cannot say which port it took, so one is found free for it; another may be quicker.
        for _ in 0..20 {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let site = free.local_addr().unwrap();
            drop(free);
            let conf = folder.path().join("nginx.conf");
            std::fs::write(&conf, configuration(folder.path().to_str().unwrap(), site, gate)).unwrap();
            let mut child = Command::new(nginx())
                .args(["-p", folder.path().to_str().unwrap(), "-e", "stderr", "-c"])
                .arg(&conf)
                .stderr(Stdio::null())
                .spawn()
                .expect("nginx is installed");
            let up = until("nginx answers or ends", || {
                let ended = child.try_wait().unwrap().is_some();
                async move {
                    if ended {
                        return Some(false);
                    }
                    tokio::net::TcpStream::connect(site).await.ok().map(|_| true)
                }
            })
            .await;
            if up {
                return Self { child, site, _folder: folder };
            }
        }
        panic!("nginx does not start");
    }
}

fn nginx() -> &'static str {
    if std::path::Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" }
}

fn configuration(folder: &str, site: SocketAddr, gate: SocketAddr) -> String {
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
  proxy_cache_path {folder}/cache keys_zone=careless:10m inactive=10m;
  keepalive_requests 1000000;
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
  }}
}}
"#
    )
}
