//! The shipped files, what reloads report, and everything that may be wrong with a file.

pub(crate) mod bad;
mod reports;
mod shipped;
mod wild;

/// A good file that uses a little of everything; the tests break it.
const GOOD: &str = r#"[listen]
http = ["0.0.0.0:80", "[::]:80"]
admin = "127.0.0.1:9901"
[edge]
drain = "30s"
trusted_proxies = ["10.0.0.7"]
[identity]
header = "x-user"
[door]
rate = "30/m"
[quota.person]
rate = "10/s"
burst = 20
prefix = { rate = "500/s", burst = 1000 }
[upstream.app]
addresses = ["10.0.0.5:8080", { address = "10.0.0.6:8080", weight = 2 }]
limit = { law = "aimd", initial = 20, floor = 2, ceiling = 200 }
health = { path = "/health", interval = "2s", timeout = "1s" }
[room.main]
seats = { floor = 5, ceiling = 500, share = 0.5 }
call = "10m"
poll = { min = "5s", max = "2m" }
message = { it = "Attendere.", en = "Please wait." }
[route.all]
host = "www.example.org"
upstream = "app"
room = "main"
quota = "person"
bypass_paths = ["/login/return"]
"#;
