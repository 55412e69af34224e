//! The file that `tornello init` writes: small, commented, and good as it stands.

use super::text::{Format, HostPort, Misfit, UrlPath};

/// A first configuration for the service at `upstream` (`host:port`, or its URL).
///
/// With `room_path` only what is below that path has a waiting room, else the whole service. What is
/// not an address or a path is put in as it is, for `check` to explain.
#[must_use]
pub fn starter(upstream: &str, room_path: Option<&str>) -> String {
    let address = mend(upstream, HostPort::read);
    let path = mend(room_path.unwrap_or("/"), UrlPath::read);
    // Two on one machine cannot have one port.
    let port = if address.ends_with(":80") { 8080 } else { 80 };
    let (address, shown_path) = (quoted(&address), quoted(&path));
    let rest = if path == "/" { "" } else { REST };
    format!(
        r#"# Tornello. See what is wrong: tornello check --config FILE. Every other key has a default.

[listen]
# Where people come in. Operators look at http://127.0.0.1:9901/ready and /metrics.
http = "0.0.0.0:{port}"

[upstream.app]
# The service behind. More addresses share the load: ["10.0.0.5:8080", "10.0.0.6:8080"].
addresses = [{address}]

[room.main]
# Seats follow what the service can bear; these are the bounds.
seats = {{ floor = 1, ceiling = 100000 }}
# While true nobody is called in, and nobody loses the place. Takes effect when you save the file.
hold = false

[quota.person]
# What one person may send. A whole address, which many people may share, has 50 times as much.
rate = "10/s"
burst = 50

[route.main]
path = {shown_path}
upstream = "app"
room = "main"
quota = "person"
{rest}"#
    )
}

/// The rest of the service, when only a part has a room.
const REST: &str = r#"
[route.rest]
# Everything else: nobody waits here.
upstream = "app"
quota = "person"
"#;

/// The text, or the one that was probably meant.
fn mend<T>(text: &str, read: fn(&str) -> Result<T, Misfit>) -> String {
    read(text).err().and_then(|misfit| misfit.meant).unwrap_or_else(|| text.to_owned())
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
