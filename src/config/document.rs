//! The file as a tree with positions: from a key path to the bytes that an operator must look at.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One step into the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// Where a value stands: `room.main.poll.min`, `upstream.app.addresses[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyPath(Vec<Step>);

/// The path of these keys.
pub(crate) fn at(keys: &[&str]) -> KeyPath {
    KeyPath(keys.iter().map(|key| Step::Key((*key).to_owned())).collect())
}

impl KeyPath {
    pub(crate) fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// The last key, without its path.
    pub(crate) fn last_key(&self) -> &str {
        match self.0.last() {
            Some(Step::Key(key)) => key,
            _ => "",
        }
    }

    /// The path of the table around.
    pub(crate) fn parent(&self) -> Self {
        Self(self.0.split_last().map_or_else(Vec::new, |(_, rest)| rest.to_vec()))
    }

    /// The table at this path, as a sentence speaks of it: `[edge]`, `[[class]]`, or its path.
    pub(crate) fn table(&self) -> String {
        match self.0.as_slice() {
            [] => "the file".to_owned(),
            [Step::Key(list), Step::Index(_)] => format!("`[[{}]]`", bare_or_quoted(list)),
            steps if steps.iter().any(|step| matches!(step, Step::Index(_))) => format!("`{self}`"),
            _ => format!("`[{self}]`"),
        }
    }

    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the two contains the other.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(one, two)| one == two)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position > 0 => write!(f, ".{}", bare_or_quoted(key))?,
                Step::Key(key) => write!(f, "{}", bare_or_quoted(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A key as TOML writes it.
fn bare_or_quoted(key: &str) -> Cow<'_, str> {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) { key.into() } else { format!("{key:?}").into() }
}

/// The parsed file.
#[derive(Clone, Debug)]
pub(crate) struct Document<'t>(pub(crate) Spanned<DeTable<'t>>);

impl Document<'_> {
    /// The bytes of the value at `path`, or of the key if the value is a table.
    ///
    /// What is not in the file (a default) is shown at the nearest table around it; the root is the
    /// empty span at the start.
    pub(crate) fn locate(&self, path: &KeyPath) -> Range<usize> {
        let mut span = 0..0;
        let mut table = Some(self.0.get_ref());
        let mut list: Option<&[Spanned<DeValue<'_>>]> = None;
        for step in &path.0 {
            let (key, value) = match step {
                Step::Key(key) => {
                    let Some((key, value)) = table.and_then(|table| table.get_key_value(key.as_str())) else {
                        return span;
                    };
                    (Some(key.span()), value)
                }
                Step::Index(index) => {
                    let Some(value) = list.and_then(|list| list.get(*index)) else { return span };
                    (None, value)
                }
            };
            (table, list, span) = match value.get_ref() {
                DeValue::Table(inner) => (Some(inner), None, key.unwrap_or_else(|| value.span())),
                DeValue::Array(inner) => (None, Some(&**inner), value.span()),
                _ => (None, None, value.span()),
            };
        }
        span
    }

    /// Whether the file itself says something at `path`.
    pub(crate) fn says(&self, path: &KeyPath) -> bool {
        let mut table = Some(self.0.get_ref());
        for step in &path.0 {
            let Step::Key(key) = step else { return false };
            let Some(value) = table.and_then(|table| table.get(key.as_str())) else { return false };
            table = match value.get_ref() {
                DeValue::Table(inner) => Some(inner),
                _ => None,
            };
        }
        true
    }

    /// The file as a value of `T`, or what serde says and where.
    pub(crate) fn read<T: for<'de> Deserialize<'de>>(&self) -> Result<T, (String, Range<usize>)> {
        T::deserialize(toml::de::Deserializer::from(self.0.clone()))
            .map_err(|error| (error.message().to_owned(), error.span().unwrap_or(0..0)))
    }
}
