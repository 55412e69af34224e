//! Rules of the house that a compiler does not check.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn under(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    sources(&root().join(folder), &mut found);
    let name = |path: &PathBuf| path.strip_prefix(root()).unwrap().display().to_string();
    found.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn the_core_is_pure() {
    let forbidden = [
        "crate::store",
        "crate::proxy",
        "crate::edge",
        "crate::pages",
        "crate::config",
        "crate::admin",
        "crate::app",
        "crate::cli",
        "crate::lab",
        "crate::metrics",
        "crate::clock",
        "tokio",
        "hyper",
        "http::",
        "tracing",
        "prometheus",
        "Mutex",
        "Atomic",
        "Instant",
        "SystemTime",
        "getrandom",
        "async fn",
    ];
    for (name, text) in under("src/admission") {
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for word in forbidden {
            assert!(!code.contains(word), "{name} uses {word}");
        }
    }
}

#[test]
fn arrows_point_inward() {
    let rules: [(&str, &[&str]); 4] = [
        ("src/store", &["proxy", "edge", "pages", "config", "admin", "app", "cli", "lab"]),
        ("src/pages", &["store", "proxy", "edge", "config", "admin", "app", "cli", "lab"]),
        ("src/config", &["store", "proxy", "edge", "admin", "app", "cli", "lab"]),
        ("src/proxy", &["edge", "admin", "app", "cli", "lab"]),
    ];
    for (folder, outer) in rules {
        for (name, text) in under(folder) {
            for other in outer {
                assert!(!text.contains(&format!("crate::{other}::")), "{name} reaches out to {other}");
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_for_and_none_is_called_by_nothing() {
    for (name, text) in under("src").into_iter().chain(under("tests")).chain(under("benches")) {
        assert!(text.starts_with("//!"), "{name} does not begin with what it decides or moves");
        for nothing in ["util", "common", "helper", "manager"] {
            assert!(!name.to_lowercase().contains(nothing), "{name} is named by nothing");
        }
    }
}

#[test]
fn every_metric_stands_in_the_readme_and_every_registered_one_in_the_list() {
    let readme = read("README.md");
    for name in tornello::metrics::NAMES {
        assert!(readme.contains(&format!("`{name}`")), "{name} is not in the README");
    }
    let code = read("src/metrics.rs");
    let named = code.matches("\"tornello_").count();
    assert_eq!(named, 2 * tornello::metrics::NAMES.len(), "each stands in NAMES and is registered once");
    let text = String::from_utf8(tornello::metrics::Metrics::new().unwrap().text()).unwrap();
    assert!(text.contains("tornello_build_info") && text.contains("process_"), "{text}");
}

#[test]
fn every_promise_of_the_readme_names_a_test_that_exists() {
    let readme = read("README.md");
    let tests: String = under("tests").into_iter().chain(under("src")).map(|(_, text)| text).collect();
    let promises = readme.split("## What it promises").nth(1).expect("a part on promises");
    let promises = promises.split("\n## ").next().unwrap();
    let named: Vec<&str> = promises
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.contains('_') && !word.contains(' '))
        .collect();
    assert!(named.len() >= 6, "a test a promise: {named:?}");
    for name in named {
        assert!(tests.contains(&format!("fn {name}(")), "no test is called {name}");
    }
}

#[test]
fn the_unit_starts_what_there_is() {
    let unit = read("systemd/tornello.service");
    for line in [
        "Type=notify",
        "ExecStart=/usr/bin/tornello run",
        "ExecReload=/usr/bin/tornello reload",
        "DynamicUser=yes",
    ] {
        assert!(unit.contains(line), "{line}");
    }
}
