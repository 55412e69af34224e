//! The cases as the files hold them.

use std::path::Path;

use tornello::edge::head::{Flow, Limits, Step};

use crate::recorder::Request;

pub(crate) const LIMITS: Limits = Limits { head: 32 * 1024, target: 8 * 1024, fields: 100 };

/// One connection's bytes and what must become of them.
#[derive(Debug)]
pub(crate) struct Case {
    chapter: String,
    pub(crate) name: String,
    rule: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) want: Want,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} / {} ({})", self.chapter, self.name, self.rule)
    }
}

#[derive(Debug)]
pub(crate) struct Want {
    pub(crate) forwarded: usize,
    pub(crate) then: Then,
    pub(crate) checks: Vec<Check>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    Refused { status: u16, close: bool },
    Broken,
}

/// A property of the last forwarded request.
#[derive(Debug)]
pub(crate) enum Check {
    Body(String),
    Target(String),
    Has(String, String),
    Not(String),
}

impl Check {
    pub(crate) fn holds(&self, request: &Request) -> bool {
        match self {
            Self::Body(body) => request.body == body.as_bytes(),
            Self::Target(target) => request.target == *target,
            Self::Has(name, value) => request.fields.iter().any(|(n, v)| n == name && v == value),
            Self::Not(name) => request.fields.iter().all(|(n, _)| n != name),
        }
    }
}

impl Want {
    fn read(text: &str) -> Self {
        let mut want = Self { forwarded: 0, then: Then::Nothing, checks: Vec::new() };
        let mut words = text.split_whitespace().peekable();
        while let Some(word) = words.next() {
            match word {
                "ok" => want.forwarded = words.next().unwrap().parse().unwrap(),
                "then" => {}
                "broken" => want.then = Then::Broken,
                status if status.parse::<u16>().is_ok() => {
                    let close = words.next_if_eq(&"open").is_none();
                    want.then = Then::Refused { status: status.parse().unwrap(), close };
                }
                check => {
                    let (kind, value) = check.split_once('=').unwrap_or_else(|| panic!("{text}"));
                    want.checks.push(match kind {
                        "body" => Check::Body(value.to_owned()),
                        "target" => Check::Target(value.to_owned()),
                        "not" => Check::Not(value.to_owned()),
                        "has" => {
                            let (name, value) = value.split_once(':').unwrap();
                            Check::Has(name.to_owned(), value.to_owned())
                        }
                        _ => panic!("{text}"),
                    });
                }
            }
        }
        want
    }

    /// Answers to wait for. A broken body is answered by the close, at least.
    pub(crate) fn answers(&self) -> usize {
        self.forwarded + usize::from(matches!(self.then, Then::Refused { .. }))
    }

    pub(crate) fn closes(&self) -> bool {
        matches!(self.then, Then::Broken | Then::Refused { close: true, .. })
    }
}

impl Case {
    /// Which answers have no body, for the client that reads them.
    pub(crate) fn heads(&self) -> Vec<bool> {
        heads(&self.bytes).0
    }
}

/// For each request of a stream whether it is a HEAD; how many are whole; whether a fault ends it.
pub(crate) fn heads(mut bytes: &[u8]) -> (Vec<bool>, usize, bool) {
    let (mut flow, mut heads, mut whole) = (Flow::new(LIMITS), Vec::new(), 0);
    loop {
        let begins = flow.at_head();
        match flow.advance(bytes) {
            Step::Pass(length) => {
                if begins {
                    let head = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
                    heads.push(head.starts_with(b"HEAD "));
                }
                bytes = &bytes[length..];
            }
            Step::More => return (heads, whole, false),
            Step::Refuse(_) => {
                let head = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
                heads.push(flow.at_head() && head.starts_with(b"HEAD "));
                return (heads, whole, true);
            }
        }
        if flow.is_over() {
            whole += 1;
            flow.next();
        }
    }
}

/// All cases of all chapters.
pub(crate) fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/http1");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut cases: Vec<Case> = Vec::new();
    for file in files {
        let chapter = file.file_stem().unwrap().to_string_lossy().into_owned();
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            if let Some(head) = line.strip_prefix("== ") {
                let mut parts = head.split(" | ");
                let mut part = || parts.next().unwrap_or_else(|| panic!("{head}")).to_owned();
                let (name, rule) = (part(), part());
                let want = Want::read(&part());
                cases.push(Case { chapter: chapter.clone(), name, rule, bytes: Vec::new(), want });
            } else if !line.starts_with('#') && !line.is_empty() {
                cases.last_mut().unwrap().bytes.extend(unescape(line));
            }
        }
    }
    cases
}

fn unescape(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        if first != '\\' {
            bytes.push(u8::try_from(first).unwrap_or_else(|_| panic!("{line}")));
            rest = &rest[1..];
            continue;
        }
        let kind = rest.chars().nth(1).unwrap_or_else(|| panic!("{line}"));
        let mut taken = 2;
        match kind {
            'r' => bytes.push(b'\r'),
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            '\\' => bytes.push(b'\\'),
            'x' => {
                bytes.push(u8::from_str_radix(&rest[2..4], 16).unwrap());
                taken = 4;
            }
            '{' => {
                let end = rest.find('}').unwrap();
                let (text, times) = rest[2..end].rsplit_once('*').unwrap();
                bytes.extend(unescape(text).repeat(times.parse().unwrap()));
                taken = end + 1;
            }
            _ => panic!("{line}"),
        }
        rest = &rest[taken..];
    }
    bytes
}
