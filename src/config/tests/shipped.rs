//! The files in `config/` say what the code does: complete, in force, and with the right schema.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::config::schema::{keys, schema};
use crate::config::{Settings, parse, render, schema_text, starter};

const COMPLETE: &str = include_str!("../../../config/tornello.toml");
const MINIMAL: &str = include_str!("../../../config/minimal.toml");

fn clean(text: &str, name: &str) -> Settings {
    let (settings, found) = parse(text, name).unwrap_or_else(|d| panic!("{}", render(&d, text, false)));
    assert!(found.is_empty(), "{}", render(&found, text, false));
    settings
}

#[test]
fn the_shipped_files_are_without_fault() {
    clean(COMPLETE, "tornello.toml");
    let minimal = clean(MINIMAL, "minimal.toml");
    assert_eq!((minimal.upstreams.len(), minimal.rooms.len(), minimal.routes.len()), (1, 1, 1));
    for text in [COMPLETE, MINIMAL] {
        assert!(text.starts_with("#:schema ./tornello.schema.json\n"));
    }
}

/// The complete file with all that is commented out, except prose.
fn all_on() -> String {
    let on = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    COMPLETE.lines().map(on).collect()
}

#[test]
fn what_the_complete_file_comments_out_is_good_too() {
    // Only one of the laws has a `latency`, and one line only has lots and slots.
    let all = all_on().replace("law = \"knee\"", "law = \"aimd\"");
    let without = |keys: &[&str]| -> String {
        let kept = all.lines().filter(|line| !keys.iter().any(|key| line.starts_with(&format!("{key} = "))));
        kept.map(|line| format!("{line}\n")).collect()
    };
    clean(&without(&["lanes"]), "tornello.toml");
    let lanes = without(&["draw", "parties"]).replace("\noffer = true\n", "\noffer = false\n");
    clean(&lanes, "tornello.toml");
}

/// A key of the complete file: what it says, and the comment above.
struct Shown {
    value: String,
    comment: String,
}

/// Every key of the file with its comment, by path; the names of the example become `NAME`.
fn shown() -> BTreeMap<String, Shown> {
    let mut shown = BTreeMap::new();
    let (mut table, mut comment) = (String::new(), String::new());
    for line in all_on().lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push_str(text);
        } else if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = header.to_owned();
            for name in ["quota.person", "upstream.app", "room.main", "route.main"] {
                let (kind, _) = name.split_once('.').unwrap();
                table = table.replacen(name, &format!("{kind}.NAME"), 1);
            }
            shown.insert(
                table.clone(),
                Shown { value: "{}".to_owned(), comment: std::mem::take(&mut comment) },
            );
        } else if let Some((key, value)) = line.split_once(" = ") {
            let value = value.to_owned();
            shown.insert(format!("{table}.{key}"), Shown { value, comment: std::mem::take(&mut comment) });
        } else {
            comment.clear();
        }
    }
    shown
}

/// Keys of tables that the file shows inside a line.
fn shown_inside(path: &str) -> Option<(&str, &str)> {
    [
        "identity.jwt",
        "identity.invitations",
        "identity.credential",
        "upstream.NAME.addresses",
        "upstream.NAME.tls",
        "room.NAME.webhook",
        "door.prefix",
        "door.address",
        "quota.NAME.address",
        "listen.http",
        "listen.https",
        "tls.certificates",
        "room.NAME.parties",
        "room.NAME.lanes",
        "route.NAME.bypass_header",
    ]
    .into_iter()
    .find_map(|table| Some((table, path.strip_prefix(table)?.strip_prefix('.')?)))
}

#[test]
fn every_key_is_in_the_complete_file_with_default_bounds_and_effect() {
    let (shown, mut failures) = (shown(), Vec::new());
    for (path, schema) in keys(schema()).into_iter().filter(|(path, _)| path.contains('.')) {
        if let Some((table, key)) = shown_inside(&path) {
            let Shown { value, comment } = &shown[table];
            if !format!("{comment} {value}").contains(&format!("{key} = ")) {
                failures.push(format!("{path}: not shown"));
            }
            continue;
        }
        let Some(Shown { value, comment }) = shown.get(&path) else {
            failures.push(format!("{path}: missing"));
            continue;
        };
        let described = schema["description"].as_str().unwrap_or_default();
        let effect = if described.ends_with("Restart.") { "Restart." } else { "Hot." };
        if !described.ends_with(effect) || !comment.ends_with(effect) {
            failures.push(format!("{path}: does not end with Hot. or Restart."));
        }
        for (low, high) in [("x-minimum", "x-maximum"), ("minimum", "maximum"), ("minLength", "maxLength")] {
            let (Some(low), Some(high), None) = (schema.get(low), schema.get(high), schema.get("enum"))
            else {
                continue;
            };
            let plain = |bound: &Value| bound.as_str().map_or_else(|| bound.to_string(), str::to_owned);
            if !comment.contains(&format!("{} to {}", plain(low), plain(high))) {
                failures.push(format!("{path}: bounds {low} to {high} are not said"));
            }
        }
        // A default of nothing is shown as an example that is commented out.
        let Some(default) = schema.get("default").filter(|default| **default != json!([])) else { continue };
        let default = default.to_string();
        if *value != default || !comment.contains(&format!("Default {default}.")) {
            failures.push(format!("{path}: the default is {default}, shown is {value}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_key_has_a_default_or_says_what_its_absence_means() {
    for (path, table) in
        [("", schema())].into_iter().chain(keys(schema()).iter().map(|(path, s)| (path.as_str(), *s)))
    {
        let required: BTreeSet<&str> = table
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (key, schema) in table.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let leaf = schema.get("properties").is_none() && schema.get("additionalProperties").is_none();
            let said = schema["description"].as_str().is_some_and(|text| text.contains("Default: "));
            let known = required.contains(key.as_str()) || schema.get("default").is_some() || said;
            assert!(known || !leaf, "{path}.{key}");
        }
    }
}

#[test]
fn the_shipped_schema_is_the_derived_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tornello.schema.json");
    if std::env::var_os("TORNELLO_BLESS").is_some() {
        std::fs::write(&path, schema_text()).unwrap();
    }
    let shipped = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        shipped == schema_text(),
        "out of date: run TORNELLO_BLESS=1 cargo test --lib config::tests::shipped"
    );
}

#[test]
fn a_starter_is_good_whatever_the_operator_typed() {
    for (upstream, path, address) in [
        ("10.0.0.5:8080", None, "10.0.0.5:8080"),
        ("http://10.0.0.5:8080/", Some("/domanda/"), "10.0.0.5:8080"),
        ("http://app.internal", Some("domanda"), "app.internal:80"),
        ("127.0.0.1:80", Some("/"), "127.0.0.1:80"),
        ("localhost", Some("/a/*"), "localhost:80"),
        ("::1", None, "[::1]:80"),
    ] {
        let text = starter(upstream, path);
        let settings = clean(&text, "tornello.toml");
        assert_eq!(settings.upstreams["app"].addresses[0].address, address);
        let part = path.is_some_and(|path| path != "/");
        assert_eq!(settings.routes.len(), if part { 2 } else { 1 }, "{text}");
    }
    let found = parse(&starter("not \" an address", Some("/\n")), "t").unwrap_err();
    assert_eq!(found.len(), 2, "what cannot be mended is explained: {found:?}");
}
