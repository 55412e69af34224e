//! How findings look, what warns, and what a reload says it changed.

use super::GOOD;
use crate::config::{Change, Settings, Severity, count, difference, needs_restart, parse, render, to_json};

fn settings(text: &str) -> Settings {
    parse(text, "good.toml").unwrap_or_else(|d| panic!("{}", render(&d, text, false))).0
}

#[test]
fn a_diagnostic_reads_like_one_of_rustc() {
    let text = GOOD.replacen("drain = ", "drian = ", 1);
    let found = parse(&text, "tornello.toml").unwrap_err();
    let shown = render(&found, &text, false);
    let wanted = "error: unknown key `drian` in `[edge]`
 --> tornello.toml:5:1
  |
5 | drian = \"30s\"
  | ^^^^^
  |
  = help: did you mean `drain`?

1 error
";
    assert_eq!(shown, wanted);
    assert!(render(&found, &text, true).contains('\u{1b}'));
    assert_eq!(
        found[0].to_string(),
        "tornello.toml:5:1: error: unknown key `drian` in `[edge]`; help: did you mean `drain`?"
    );
}

#[test]
fn json_says_the_same() {
    let text = GOOD.replacen("ceiling = 500", "ceiling = 4", 1);
    let found = parse(&text, "tornello.toml").unwrap_err();
    let json = to_json(&found);
    assert_eq!(json["errors"], 1);
    assert_eq!(json["warnings"], 0);
    let first = &json["diagnostics"][0];
    assert_eq!(first["severity"], "error");
    assert_eq!(first["key"], "room.main.seats.floor");
    assert_eq!(first["line"], 20);
    assert_eq!(first["help"], "write a `floor` of at most 4, or raise `ceiling`");
}

#[test]
fn columns_count_characters() {
    let text = "[listen]\nhttp = '0.0.0.0:80'\n[room.m]\nmessage = { it = 'è', \"ÈÈ\" = 'x' }\n[upstream.a]\naddresses=['a:1']\n[route.r]\nupstream='a'\nroom='m'\n";
    let found = parse(text, "t").unwrap_err();
    assert_eq!((found[0].line, found[0].column), (4, 23));
}

#[test]
fn the_last_line_counts() {
    let text = GOOD.replacen("admin = \"127.0.0.1:9901\"", "admin = \"0.0.0.0:9901\"", 1);
    let text = text.replacen("drain = ", "x = 1\ny = 2\ndrain = ", 1);
    let found = parse(&text, "t").unwrap_err();
    assert!(render(&found, &text, false).ends_with("\n\n2 errors, 1 warning\n"));
    assert_eq!(count(&[]), "no errors");
}

#[test]
fn warnings_do_not_refuse() {
    for (old, new, line, help) in [
        ("\"127.0.0.1:9901\"", "\"0.0.0.0:9901\"", "admin", "127.0.0.1:9901"),
        ("\"127.0.0.1:9901\"", "\"203.0.113.9:9901\"", "admin", "127.0.0.1:9901"),
        ("quota = \"person\"\n", "", "[quota.person]", "quota = \"person\""),
        ("room = \"main\"\n", "", "[room.main]", "room = \"main\""),
        (
            "[room.main]",
            "[upstream.b]\naddresses = [\"b:1\"]\n[room.main]",
            "[upstream.b]",
            "remove the upstream",
        ),
        ("law = \"aimd\", ", "law = \"fixed\", latency = \"1s\", ", "latency", "remove the key"),
        ("law = \"aimd\", ", "latency = \"1s\", ", "latency", "write `law = \"aimd\"`"),
        ("law = \"aimd\", ", "law = \"gradient2\", ", "", ""),
        ("weight = 2 }]", "drain = true }]", "", ""),
        ("call = \"10m\"", "open = true", "open = true", "when the emergency is over"),
        ("message = { it = \"Attendere.\", en = \"Please wait.\" }", "hold = true", "hold = true", "say why"),
        ("en = \"Please wait.\"", "es = \"Espere.\"", "message", "`it`, `en`, `de`, `fr` or `sl`"),
        (
            "quota = \"person\"",
            "quota = \"person\"\ntimeout = \"40s\"",
            "timeout",
            "`edge.drain` of at least 40s",
        ),
        ("quota = \"person\"", "quota = \"person\"\ntimeout = \"400ms\"", "timeout", "limit.latency"),
        ("bypass_paths = [\"/login/return\"]", "bypass_limit = 5", "bypass_limit", "name the paths"),
        ("room = \"main\"", "room = \"main\"\nclass = \"optional\"", "class", "a route to the same upstream"),
        ("header = \"x-user\"", "forwarded = \"forwarded\"", "", ""),
        (
            "[route.all]",
            "[room.b]\n[route.b]\nupstream = \"app\"\nroom = \"b\"\nquota = \"person\"\n[route.all]",
            "seats = ",
            "seats = { share = 0.50 }",
        ),
    ] {
        let text = GOOD.replacen(old, new, 1);
        assert_ne!(text, GOOD, "{old}");
        let (_, found) = parse(&text, "t").unwrap_or_else(|d| panic!("{}", render(&d, &text, false)));
        let shown = render(&found, &text, false);
        if help.is_empty() {
            assert!(found.is_empty(), "{shown}");
            continue;
        }
        let there = found.iter().any(|warning| {
            let named = text.lines().nth(warning.line - 1).unwrap_or_default();
            warning.severity == Severity::Warning && named.contains(line) && warning.help.contains(help)
        });
        assert!(there, "{new}: wanted {line:?} with {help:?}\n{shown}");
    }
}

#[test]
fn a_reload_reports_every_changed_key() {
    let old = settings(GOOD);
    assert_eq!(difference(&old, &old), []);
    let text = GOOD
        .replacen("call = \"10m\"", "hold = true", 1)
        .replacen("ceiling = 500", "ceiling = 600", 1)
        .replacen("weight = 2", "weight = 2, drain = true", 1)
        .replacen("rate = \"10/s\"", "rate = \"12/s\"", 1)
        .replacen("en = \"Please wait.\"", "en = \"Soon.\"", 1)
        .replacen("host = \"www.example.org\"\n", "", 1);
    let new = settings(&text);
    let change = |key: &str, old: Option<&str>, new: Option<&str>| Change {
        key: key.to_owned(),
        old: old.map(str::to_owned),
        new: new.map(str::to_owned),
    };
    let wanted = [
        // Nothing else is written for an address.
        change("quota.person.address.rate", Some("10/s"), Some("12/s")),
        change("quota.person.rate", Some("10/s"), Some("12/s")),
        change("room.main.hold", Some("false"), Some("true")),
        change("room.main.message.en", Some("\"Please wait.\""), Some("\"Soon.\"")),
        change("room.main.seats.ceiling", Some("500"), Some("600")),
        change("route.all.host", Some("\"www.example.org\""), None),
        change("upstream.app.addresses[10.0.0.6:8080]", Some("weight 2"), Some("weight 2, drain")),
    ];
    assert_eq!(difference(&old, &new), wanted);
    assert_eq!(wanted[2].to_string(), "room.main.hold: false -> true");
    assert_eq!(wanted[5].to_string(), "route.all.host: \"www.example.org\" -> (none)");
    assert_eq!(needs_restart(&old, &new), Vec::<String>::new());
}

#[test]
fn only_listen_needs_a_restart() {
    let old = settings(GOOD);
    let new = settings(&GOOD.replacen("9901\"", "9902\"\nthreads = 7", 1).replacen("\"30s\"", "\"31s\"", 1));
    assert_eq!(needs_restart(&old, &new), ["listen.admin", "listen.threads"]);
    assert_eq!(difference(&old, &new).len(), 3);
}
