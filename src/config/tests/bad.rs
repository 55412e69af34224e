//! Kinds of bad configuration: each is refused, with one error, on the right line, with a remedy.

use super::GOOD;
use crate::config::{Diagnostic, Severity, parse, render};

/// What of the good file is replaced, by what; a piece of the line that must be named; a piece of the
/// help.
pub(crate) type Bad = (&'static str, &'static str, &'static str, &'static str);

/// Faults that one key shows by itself.
const SHAPE: &[Bad] = &[
    // Syntax.
    ("rate = \"10/s\"", "rate = 10/s", "rate = 10/s", "put it in quotes: `\"10/s\"`"),
    ("rate = \"10/s\"", "rate = \"10/s", "rate = \"10/s", "close the text with `\"`"),
    ("rate = \"10/s\"", "rate =", "rate =", "write a value after `=`"),
    ("rate = \"10/s\"", "rate: \"10/s\"", "rate: \"10/s\"", "`:` is YAML"),
    ("[door]", "[door", "[door", "close the name of the table with `]`"),
    ("drain = \"30s\"", "drain = \"30s\"\ndrain = \"40s\"", "40s", "keep one of the two"),
    ("[door]", "[edge]", "[edge]", "keep one of the two"),
    // Keys.
    ("drain = ", "drian = ", "drian", "did you mean `drain`?"),
    ("[door]", "[rooms.vip]\nhold = false\n[door]", "[rooms.vip]", "did you mean `room`?"),
    (
        "call = ",
        "seat_ceiling = 3\ncall = ",
        "seat_ceiling",
        "the keys here are `call`, `depends_on`, `draw`, `hold`",
    ),
    ("call = ", "rate = \"1/s\"\ncall = ", "rate = \"1/s\"", "it is a key of `[door]`"),
    ("floor = 5, ", "flor = 5, ", "flor", "did you mean `floor`?"),
    ("weight = 2", "wieght = 2", "wieght", "did you mean `weight`?"),
    ("[listen]\nhttp = [\"0.0.0.0:80\", \"[::]:80\"]", "[listen]", "[listen]", "add `http = \"0.0.0.0:80\"`"),
    ("rate = \"10/s\"\n", "", "[quota.person]", "add `rate = \"10/s\"`"),
    ("[door]", "[tls]\nmin_version = \"1.1\"\n[door]", "min_version", "`\"1.2\"`"),
    ("[door]", "[tls]\ncertificates = [{ certificate = \"/c.pem\" }]\n[door]", "/c.pem", "add `key = "),
    ("drain = \"30s\"", "drain = \"30s\"\nmax_streams = 0", "max_streams", "1"),
    (
        "addresses = [\"10.0.0.5:8080\", { address = \"10.0.0.6:8080\", weight = 2 }]\n",
        "",
        "[upstream.app]",
        "add `addresses = ",
    ),
    ("upstream = \"app\"\n", "", "[route.all]", "add `upstream = \"app\"`"),
    ("{ address = \"10.0.0.6:8080\", weight = 2 }", "{ weight = 2 }", "{ weight = 2 }", "add `address = "),
    ("call = \"10m\"", "call = \"10m\"\n[room]\nhold = true", "hold = true", "write `[room.main]`"),
    ("[room.main]", "[room.Main]", "[room.Main]", "at most 40: `main`"),
    ("call = \"10m\"", "opens_at = \"2026-12-08T09:00\"", "opens_at", "2026-12-08T09:00[Europe/Rome]"),
    ("call = \"10m\"", "opens_at = \"2026-10-25T02:30[Europe/Rome]\"", "opens_at", "give the offset too"),
    ("call = \"10m\"", "quiet = [\"22:00-07:00\"]", "quiet", "22:00-07:00 Europe/Rome"),
    ("call = \"10m\"", "quiet = [\"22:00-22:00 UTC\"]", "quiet", "hold = true"),
    ("call = \"10m\"", "quiet = [\"00:00-12:00 UTC\", \"12:00-23:30 UTC\"]", "quiet", "hold = true"),
    ("call = \"10m\"", "quiet = \"22:00-07:00 UTC\"", "quiet", "`quiet = [\"22:00-07:00 UTC\"]`"),
    (
        "call = \"10m\"",
        "quiet = [\"00:00-01:00 UTC\", \"02:00-03:00 UTC\", \"04:00-05:00 UTC\", \"06:00-07:00 UTC\", \"08:00-09:00 UTC\", \"10:00-11:00 UTC\", \"12:00-13:00 UTC\", \"14:00-15:00 UTC\", \"16:00-17:00 UTC\"]",
        "quiet",
        "at most 8",
    ),
    ("call = \"10m\"", "slots = { zone = \"Europe/Roma\" }", "Europe/Roma", "`\"Europe/Rome\"`"),
    ("call = \"10m\"", "slots = { after = \"13h\" }", "13h", "12h"),
    ("call = \"10m\"", "slots = false", "slots = false", "write a table: `[room.main.slots]`"),
    ("call = \"10m\"", "draw = \"dice\"", "draw = \"dice\"", "`\"drand\"`"),
    ("it = \"Attendere.\"", "Italiano = \"Attendere.\"", "Italiano", "`it`, `en`"),
    // Types.
    ("drain = \"30s\"", "drain = 30", "drain = 30", "\"30s\""),
    ("drain = \"30s\"", "min_rate = \"0B\"", "min_rate", "1B"),
    ("drain = \"30s\"", "min_rate = 500", "min_rate", "\"500B\""),
    ("drain = \"30s\"", "patience = \"0s\"", "patience", "100ms"),
    ("upstream = \"app\"", "upstream = \"app\"\ntunnel_idle = \"0s\"", "tunnel_idle", "100ms"),
    ("[room.main]", "tunnels = 0\n[room.main]", "tunnels", "from 1 to 1000000"),
    ("ceiling = 200 }", "ceiling = \"200\" }", "ceiling = \"200\"", "`ceiling = 200`"),
    ("call = \"10m\"", "hold = \"true\"", "hold = \"true\"", "without quotes: `hold = true`"),
    (
        "trusted_proxies = [\"10.0.0.7\"]",
        "trusted_proxies = \"10.0.0.7\"",
        "trusted_proxies",
        "`trusted_proxies = [\"10.0.0.7\"]`",
    ),
    (
        "limit = { law = \"aimd\", initial = 20, floor = 2, ceiling = 200 }",
        "limit = 20",
        "limit = 20",
        "write a table: `[upstream.app.limit]`",
    ),
    ("seats = { floor = 5, ceiling = 500, share = 0.5 }", "seats = { floor = 5.5 }", "5.5", "`floor = 1`"),
    (
        "[door]\nrate = \"30/m\"",
        "[[door]]\nrate = \"30/m\"",
        "[[door]]",
        "`[door]` with one pair of brackets",
    ),
    ("call = \"10m\"", "title = 7", "title = 7", "in quotes: `title = \"7\"`"),
    ("call = \"10m\"", "call = 2026-11-22", "2026-11-22", "`call = "),
    ("http = [\"0.0.0.0:80\", \"[::]:80\"]", "http = 80", "http = 80", "`http = "),
    // Choices.
    ("law = \"aimd\"", "law = \"amid\"", "amid", "did you mean `\"aimd\"`?"),
    ("law = \"aimd\"", "law = \"gradient\"", "gradient", "did you mean `\"gradient2\"`?"),
    ("limit = { law", "protocol = \"h2\"\nlimit = { law", "protocol = \"h2\"", "`\"http1\"`, `\"http2\"`"),
    (
        "limit = { law",
        "tls = { servername = \"a.example\" }\nlimit = { law",
        "servername",
        "did you mean `server_name`?",
    ),
    ("limit = { law", "tls = true\nlimit = { law", "tls = true", "write a table: `[upstream.app.tls]`"),
    (
        "limit = { law",
        "tls = { server_name = \"https://a.example\" }\nlimit = { law",
        "https://a.example",
        "`\"a.example\"`",
    ),
    (
        "limit = { law",
        "tls = { server_name = \"a.example\", ca = \"ca.pem\" }\nlimit = { law",
        "ca.pem",
        "write the whole path",
    ),
    (
        "room = \"main\"",
        "room = \"main\"\nclass = \"vip\"",
        "vip",
        "`\"finish\"`, `\"admitted\"`, `\"entry\"`, `\"bulk\"`, `\"optional\"`",
    ),
    ("room = \"main\"", "room = \"main\"\nshare = 0.0", "share = 0.0", "above 0"),
    ("room = \"main\"", "room = \"main\"\nshare = 60", "share = 60", "up to 1"),
    ("limit = { law", "queue = { length = 0 }\nlimit = { law", "length = 0", "from 1 to 100000"),
    ("limit = { law", "queue = { lenght = 9 }\nlimit = { law", "lenght", "did you mean `length`?"),
    ("limit = { law", "queue = { parts = { entry = 0 } }\nlimit = { law", "entry = 0", "from 1 to 1000"),
    ("limit = { law", "queue = { parts = { p1 = 60 } }\nlimit = { law", "p1", "`admitted`, `bulk`, `entry`"),
    ("limit = { law", "queue = 500\nlimit = { law", "queue = 500", "write a table: `[upstream.app.queue]`"),
    ("call = \"10m\"", "status = 500", "status = 500", "`503`, `429`, `202`, `200`"),
    (
        "room = \"main\"",
        "room = \"main\"\non_client_gone = true",
        "on_client_gone",
        "`\"finish\"`, `\"cancel\"`",
    ),
    ("drain = \"30s\"", "trace = true", "trace = true", "`\"trusted\"`, `\"always\"`, `\"never\"`"),
    (
        "[route.all]",
        "[pages]\nprivacy_url = \"javascript:alert(1)\"\n[route.all]",
        "privacy_url",
        "begins with `https://`",
    ),
    ("[route.all]", "[pages]\nfeedback_url = \"//elsewhere\"\n[route.all]", "feedback_url", "write a path"),
    ("[route.all]", "[pages]\nhelp_phone = \"call us\"\n[route.all]", "help_phone", "write figures"),
    ("drain = \"30s\"", "cors_origins = [\"*\"]", "cors_origins", "without a path"),
    ("drain = \"30s\"", "cors_origins = [\"https://a.example/\"]", "cors_origins", "without a path"),
    // Formats.
    ("drain = \"30s\"", "drain = \"30\"", "drain = \"30\"", "`\"30s\"`"),
    ("drain = \"30s\"", "drain = \"soon\"", "soon", "`\"10s\"`"),
    ("drain = \"30s\"", "bucket_memory = \"64\"", "bucket_memory", "`\"64MiB\"`"),
    ("rate = \"10/s\"", "rate = \"10\"", "rate = \"10\"", "`\"10/s\"`"),
    ("rate = \"10/s\"", "rate = \"0/s\"", "rate = \"0/s\"", "hold = true"),
    ("admin = \"127.0.0.1:9901\"", "admin = \"localhost:9901\"", "localhost", "`\"127.0.0.1:9901\"`"),
    ("admin = \"127.0.0.1:9901\"", "admin = \"127.0.0.1\"", "admin", "`\"127.0.0.1:80\"`"),
    ("admin = \"127.0.0.1:9901\"", "state_directory = \"state\"", "state_directory", "write the whole path"),
    ("[\"10.0.0.7\"]", "[\"10.0.0.7/8\"]", "10.0.0.7/8", "`\"10.0.0.0/8\"`"),
    ("[\"10.0.0.7\"]", "[\"10.0.0.7\", \"proxy\"]", "proxy", "`\"10.0.0.0/8\"`"),
    ("\"10.0.0.5:8080\"", "\"http://10.0.0.5:8080/\"", "http://", "`\"10.0.0.5:8080\"`"),
    ("\"10.0.0.5:8080\"", "\"10.0.0.5\"", "10.0.0.5", "`\"10.0.0.5:80\"`"),
    ("header = \"x-user\"", "header = \"x user:\"", "x user:", "`\"x-user-id\"`"),
    ("header = \"x-user\"", "credential = { cookie = \"a=b\" }", "a=b", "the name alone"),
    (
        "host = \"www.example.org\"",
        "host = \"https://www.example.org/\"",
        "https://",
        "`\"www.example.org\"`",
    ),
    ("host = \"www.example.org\"", "host = \"*.example.org\"", "*.example.org", "one route for each host"),
    ("upstream = \"app\"", "upstream = \"app\"\npath = \"/a/../b/\"", "/a/../b/", "`\"/b\"`"),
    // Bounds.
    ("drain = \"30s\"", "drain = \"2h\"", "drain = \"2h\"", "from `\"1s\"` to `\"1h\"`"),
    ("drain = \"30s\"", "drain = \"0s\"", "drain = \"0s\"", "0 does not mean unlimited"),
    ("drain = \"30s\"", "max_connections = 0", "max_connections", "0 does not mean unlimited"),
    ("drain = \"30s\"", "max_head = \"4KiB\"", "max_head", "from `\"8KiB\"` to `\"1MiB\"`"),
    ("drain = \"30s\"", "max_fields = 0", "max_fields", "0 does not mean unlimited"),
    ("drain = \"30s\"", "idle_timeout = \"0s\"", "idle_timeout", "0 does not mean unlimited"),
    ("drain = \"30s\"", "max_connections = -1", "max_connections", "from 1 to 10000000"),
    ("weight = 2", "weight = 0", "weight = 0", "from 1 to 1000"),
    ("share = 0.5", "share = 1.5", "share = 1.5", "above 0 and up to 1"),
    ("share = 0.5", "share = 0", "share = 0", "above 0 and up to 1"),
    ("share = 0.5", "share = nan", "share = nan", "above 0 and up to 1"),
    ("burst = 20", "burst = 99999999999999999999", "burst = 9", "from 1 to 1000000"),
    ("call = \"10m\"", "title = \"\"", "title = \"\"", "leave the key out"),
    (
        "addresses = [\"10.0.0.5:8080\", { address = \"10.0.0.6:8080\", weight = 2 }]",
        "addresses = []",
        "addresses = []",
        "name at least one",
    ),
];

/// Faults between keys.
const MEANING: &[Bad] = &[
    ("\"[::]:80\"]", "\"[::]:80\"]\nhttps = \"0.0.0.0:443\"", "https = ", "add `[tls]` with `certificates"),
    (
        "[door]",
        "[tls]\ncertificates = [{ certificate = \"/c\", key = \"/k\" }, { certificate = \"/c\", key = \"/l\" }]\n[door]",
        "certificates = ",
        "remove one of the two",
    ),
    ("\"[::]:80\"]", "\"0.0.0.0:80\"]", "http = ", "remove one of the two"),
    ("\"[::]:80\"]", "\"127.0.0.1:9901\"]", "http = ", "a port of its own"),
    (
        "drain = \"30s\"",
        "max_connections = 10\nmax_connections_per_prefix = 20",
        "max_connections_per_prefix = 20",
        "at most 10",
    ),
    (
        "drain = \"30s\"",
        "max_head = \"8KiB\"\nmax_target = \"9KiB\"",
        "max_target = \"9KiB\"",
        "at most 8KiB, or raise `max_head`",
    ),
    ("[\"10.0.0.7\"]", "[\"0.0.0.0/0\"]", "0.0.0.0/0", "the proxies' own addresses"),
    ("trusted_proxies = [\"10.0.0.7\"]\n", "", "header = \"x-user\"", "set `edge.trusted_proxies`"),
    ("header = \"x-user\"", "header = \"Connection\"", "Connection", "`\"x-user-id\"`"),
    ("header = \"x-user\"", "header = \"tornello-ticket\"", "tornello-ticket", "`\"x-user-id\"`"),
    ("header = \"x-user\"", "credential = {}", "credential", "`credential = { authorization = true }`"),
    (
        "header = \"x-user\"",
        "credential = { cookie = \"a\", authorization = true }",
        "credential",
        "`credential = { cookie = \"NAME\" }`",
    ),
    (
        "header = \"x-user\"",
        "credential = { cookie = \"tornello-pass-main\" }",
        "tornello-pass",
        "the service's own session cookie",
    ),
    (
        "header = \"x-user\"",
        "jwt = { keys = \"http://192.0.2.1/jwks.json\", issuer = \"i\", audience = \"a\" }",
        "192.0.2.1",
        "write the address with `https://`",
    ),
    (
        "header = \"x-user\"",
        "jwt = { keys = \"HTTP://login.example.org/jwks.json\", issuer = \"i\", audience = \"a\" }",
        "HTTP://",
        "write the address with `https://`",
    ),
    (
        "header = \"x-user\"",
        "jwt = { keys = \"ftp://127.0.0.1/jwks.json\", issuer = \"i\", audience = \"a\" }",
        "ftp://",
        "`https://login.example.org/jwks.json`",
    ),
    (
        "header = \"x-user\"",
        "jwt = { keys = \"https://\", issuer = \"i\", audience = \"a\" }",
        "https://",
        "`https://login.example.org/jwks.json`",
    ),
    (
        "header = \"x-user\"",
        "jwt = { keys = \"https://me:secret@login.example.org/jwks.json\", issuer = \"i\", audience = \"a\" }",
        "me:secret@",
        "remove what stands before `@`",
    ),
    ("header = \"x-user\"", "[room.vip]\none_place_per = \"person\"", "one_place_per", "set `identity.jwt`"),
    (
        "call = \"10m\"",
        "opens_at = \"2026-12-08T09:00Z\"\ndraw = \"drand\"\none_place_per = \"person\"",
        "one_place_per",
        "write `require_identity = true`, or `one_place_per = \"browser\"`, or remove `draw`",
    ),
    (
        "header = \"x-user\"",
        "header = \"x-user\"\ninvitations = { list = \"/l\", key = \"/k\" }\n[room.vip]\nopens_at = \"2026-12-08T09:00Z\"\ndraw = \"drand\"\nrequire_identity = true\none_place_per = \"person\"",
        "one_place_per",
        "keep one of `identity.jwt`, `identity.header`, `identity.invitations` and `client_ca`",
    ),
    (
        "call = \"10m\"",
        "require_identity = true",
        "require_identity",
        "write `one_place_per = \"person\"`, or remove `require_identity`",
    ),
    ("rate = \"500/s\"", "rate = \"5/s\"", "rate = \"5/s\"", "at least 10/s"),
    (
        "rate = \"10/s\"\n",
        "rate = \"10/s\"\naddress = { rate = \"9/s\", burst = 20 }\n",
        "address = ",
        "at least 10/s, better 50 times",
    ),
    (
        "rate = \"30/m\"",
        "rate = \"30/m\"\naddress = { rate = \"1/s\", burst = 29 }",
        "address = ",
        "write a burst of at least 30",
    ),
    (
        "rate = \"30/m\"",
        "rate = \"30/m\"\naddress = { rate = \"26/s\", burst = 30 }",
        "address = ",
        "write `prefix` with a rate of at least 26/s, or less here",
    ),
    (
        "rate = \"30/m\"",
        "rate = \"30/m\"\naddress = { rate = \"25/s\", burst = 1501 }",
        "address = ",
        "write a burst of at most 1500, or `prefix` with a greater one",
    ),
    ("burst = 1000", "burst = 10", "burst = 10", "a burst of at least 20"),
    ("limit = { law", "tls = {}\nlimit = { law", "tls = {}", "add `server_name = "),
    ("\"10.0.0.6:8080\"", "\"10.0.0.5:8080\"", "addresses", "weight = 2"),
    ("\"10.0.0.6:8080\"", "\"localhost:80\"", "addresses", "the service behind Tornello"),
    ("initial = 20, floor = 2,", "floor = 300,", "floor = 300", "at most 200, or raise `ceiling`"),
    ("initial = 20", "initial = 1", "initial = 1", "write `initial = 2`"),
    ("initial = 20", "initial = 201", "initial = 201", "write `initial = 200`"),
    ("initial = 20", "latency = \"5s\"", "limit = ", "several times `latency`"),
    ("timeout = \"1s\"", "timeout = \"3s\"", "timeout = \"3s\"", "at most 2s"),
    ("floor = 5", "floor = 501", "floor = 501", "at most 500, or raise `ceiling`"),
    ("min = \"5s\"", "min = \"3m\"", "min = \"3m\"", "at most 2m, or raise `max`"),
    ("call = \"10m\"", "call = \"10s\"", "call = \"10s\"", "at least 15s, or lower `poll.min`"),
    ("call = \"10m\"", "prequeue = \"2h\"", "prequeue", "say when the room opens"),
    ("call = \"10m\"", "draw = \"drand\"", "draw = ", "all who are there by then are drawn"),
    ("call = \"10m\"", "lanes = [{ name = \"a\" }]", "lanes = ", "write 2 to 8 lanes"),
    ("call = \"10m\"", "lanes = [{ name = \"a\" }, { name = \"b\" }]", "lanes = ", "out of exactly one"),
    (
        "call = \"10m\"",
        "lanes = [{ name = \"a\" }, { name = \"a\", addresses = [\"10.0.0.0/8\"] }]",
        "\"a\", addresses",
        "a name of its own",
    ),
    (
        "call = \"10m\"",
        "lanes = [{ name = \"a\" }, { name = \"b\", claim = \"role\", value = \"b\" }]",
        "\"role\"",
        "set `identity.jwt`, or prove it",
    ),
    (
        "call = \"10m\"",
        "lanes = [{ name = \"a\" }, { name = \"b\", header = \"x-b\" }]",
        "{ name = \"b\"",
        "write `value` with `claim` or `header`",
    ),
    (
        "call = \"10m\"",
        "lanes = [{ name = \"a\" }, { name = \"b\", value = \"x\", header = \"x-b\", addresses = [\"10.0.0.0/8\"] }]",
        "{ name = \"b\"",
        "keep one of",
    ),
    (
        "call = \"10m\"",
        "opens_at = \"2026-12-08T09:00Z\"\ndraw = \"drand\"\nlanes = [{ name = \"a\" }, { name = \"b\", addresses = [\"10.0.0.0/8\"] }]",
        "lanes = ",
        "remove `draw`, or remove `lanes`",
    ),
    (
        "call = \"10m\"",
        "lanes = [{ name = \"a\" }, { name = \"b\", addresses = [\"10.0.0.0/8\"] }]\nslots = { length = \"1h\" }",
        "slots = ",
        "slots = { offer = false }",
    ),
    (
        "call = \"10m\"",
        "opens_at = \"2026-12-08T09:00Z\"\ndraw = \"parties\"",
        "draw = ",
        "two at least, one of them `outside = true`",
    ),
    ("call = \"10m\"", "idle = \"2h\"", "idle = \"2h\"", "at most 1h, or raise `session`"),
    ("call = \"10m\"", "hold = true\nopen = true", "open = true", "set one of the two to `false`"),
    ("\"Attendere.\"", "\" \"", "message", "write the message, or remove the key"),
    ("upstream = \"app\"", "upstream = \"ap\"", "upstream = \"ap\"", "did you mean `app`?"),
    (
        "upstream = \"app\"",
        "upstream = \"database\"",
        "upstream = \"database\"",
        "add `[upstream.database]`, or use `app`",
    ),
    ("room = \"main\"", "room = \"mian\"", "room = \"mian\"", "did you mean `main`?"),
    ("quota = \"person\"", "quota = \"bots\"", "quota = \"bots\"", "add `[quota.bots]`"),
    (
        "[route.all]",
        "[route.again]\nhost = \"www.example.org\"\nupstream = \"app\"\n[route.all]",
        "[route.all]",
        "change `host` or `path`",
    ),
    ("bypass_paths = [\"/login/return\"]", "path = \"/.tornello/x\"", "/.tornello/x", "choose another path"),
    (
        "bypass_paths = [\"/login/return\"]",
        "path = \"/a\"\nbypass_paths = [\"/ab\"]",
        "\"/ab\"",
        "a path below `/a`",
    ),
    ("[\"/login/return\"]", "[\"/\"]", "bypass_paths", "leave `room` and `quota` out"),
    ("[\"/login/return\"]", "[\"/a\", \"/a\"]", "bypass_paths", "remove one of the two"),
    ("call = \"10m\"", "call = \"10m\"\ndepends_on = [\"ap\"]", "depends_on", "did you mean `app`?"),
    ("limit = { law", "queue = { per_user = 200 }\nlimit = { law", "per_user", "less than 200"),
    (
        "trusted_proxies = [\"10.0.0.7\"]\n[identity]\nheader = \"x-user\"",
        "[pages]\n[route.b]\npath = \"/b\"\nupstream = \"app\"\nroom = \"main\"\nbypass_header = { name = \"x-staff\", value = \"yes\" }",
        "bypass_header",
        "set `edge.trusted_proxies`",
    ),
    (
        "room = \"main\"",
        "room = \"main\"\nbypass_header = { name = \"cookie\", value = \"staff=1\" }",
        "cookie",
        "takes from everybody else",
    ),
    ("room = \"main\"", "room = \"main\"\nbypass_limit = 500", "bypass_limit = 500", "less than 200"),
    ("room = \"main\"", "room = \"main\"\nshared = true", "shared = true", "can have a route without a room"),
    ("room = \"main\"", "shared = true", "shared = true", "one person's"),
];

fn errors(text: &str) -> Vec<Diagnostic> {
    let found = parse(text, "bad.toml").expect_err("a bad configuration was accepted");
    found.into_iter().filter(|diagnostic| diagnostic.severity == Severity::Error).collect()
}

/// Breaks `good` by each case: `read` must find one error, on the right line, with the remedy.
pub(crate) fn each_is_one_error<T>(
    good: &str,
    cases: &[Bad],
    read: impl Fn(&str) -> Result<T, Vec<Diagnostic>>,
) {
    let mut failures = String::new();
    for (old, new, line, remedy) in cases {
        assert!(good.contains(old), "{old} is not in the good file");
        let text = good.replacen(old, new, 1);
        let Err(found) = read(&text) else {
            failures.push_str(&format!("ACCEPTED: {new}\n"));
            continue;
        };
        let errors: Vec<_> = found.iter().filter(|d| d.severity == Severity::Error).cloned().collect();
        let right = errors.len() == 1
            && errors.iter().all(|error| {
                let named = text.lines().nth(error.line - 1).unwrap_or_default();
                named.contains(line) && error.help.contains(remedy)
            });
        let shown = render(&errors, &text, false);
        if !right || !shown.contains(remedy) {
            failures.push_str(&format!("{new}\n  wanted {line:?} with {remedy:?}\n{shown}\n"));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

fn check(cases: &[Bad]) {
    each_is_one_error(GOOD, cases, |text| parse(text, "bad.toml"));
}

#[test]
fn the_good_file_is_good() {
    let (_, warnings) = parse(GOOD, "good.toml").unwrap_or_else(|d| panic!("{}", render(&d, GOOD, false)));
    assert!(warnings.is_empty(), "{}", render(&warnings, GOOD, false));
}

#[test]
fn faults_of_one_key() {
    check(SHAPE);
}

#[test]
fn faults_between_keys() {
    check(MEANING);
    assert!(SHAPE.len() + MEANING.len() >= 50);
}

#[test]
fn a_trusted_proxy_among_those_who_pass_is_warned_of() {
    let passes = |net: &str| {
        GOOD.replacen("room = \"main\"", &format!("room = \"main\"\nbypass_addresses = [\"{net}\"]"), 1)
    };
    let warnings = |net: &str| parse(&passes(net), "good.toml").unwrap().1;
    let found = warnings("10.0.0.0/8");
    assert!(matches!(&found[..], [one] if one.message.contains("10.0.0.7")), "{found:?}");
    assert!(warnings("192.168.0.0/16").is_empty());
}

#[test]
fn keys_of_this_machine_may_come_in_the_clear() {
    for keys in ["http://127.0.0.1:8081/jwks.json", "HTTP://[::1]/jwks.json", "https://login.example.org/"] {
        let jwt = format!("jwt = {{ keys = \"{keys}\", issuer = \"i\", audience = \"a\" }}");
        assert!(parse(&GOOD.replacen("header = \"x-user\"", &jwt, 1), "good.toml").is_ok(), "{keys}");
    }
}

#[test]
fn a_file_without_tables_is_told_what_it_needs() {
    let found = errors("");
    let messages: Vec<&str> = found.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        messages,
        ["missing table `[listen]`", "there is no route, so every request would be answered 404",]
    );
    assert!(found[0].help.contains("http = \"0.0.0.0:80\""));
    assert!(found[1].help.contains("[route.all]"));
}

#[test]
fn all_faults_are_reported_at_once_and_only_once() {
    let text = GOOD
        .replacen("drain = ", "drian = ", 1)
        .replacen("rate = \"10/s\"", "rate = 10", 1)
        .replacen("\"10.0.0.5:8080\"", "\"http://10.0.0.5:8080\"", 1)
        .replacen("floor = 5,", "floor = 501,", 1)
        .replacen("room = \"main\"", "room = \"mian\"", 1)
        .replacen("bypass_paths", "bypass_path", 1);
    let found = errors(&text);
    let lines: Vec<usize> = found.iter().map(|d| d.line).collect();
    assert_eq!(lines, [5, 12, 16, 20, 27, 29], "{}", render(&found, &text, false));
}

#[test]
fn several_faults_of_syntax_are_reported_at_once() {
    let found = errors("[listen]\nhttp = 1.2.3.4:80\n[edge]\ndrain = \"30s\ntrusted_proxies = []\n[edge]\n");
    let lines: Vec<usize> = found.iter().map(|d| d.line).collect();
    assert_eq!(lines, [2, 4, 6]);
}

#[test]
fn a_misspelt_table_does_not_make_its_names_unknown() {
    let found = errors(&GOOD.replacen("[upstream.app]", "[upstreams.app]", 1));
    assert_eq!(found.len(), 1, "{found:?}");
    let found = errors(&GOOD.replacen("[upstream.app]", "[upstream]\napp = 1\n[backend.app]", 1));
    assert_eq!(found.len(), 2, "{found:?}");
}
