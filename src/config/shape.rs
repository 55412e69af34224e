//! Checks the shape of a file against the schema: keys, types, choices, formats, bounds. All faults in
//! one pass, each at its place.
//!
//! Faulty values are taken out (the default then stands in) or, where a key is required, replaced by an
//! example; they are tainted in the findings, so that nobody speaks of them twice. After the check the
//! document fits the schema.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::document::{Document, KeyPath};
use super::findings::{Finding, Findings};
use super::scalar;
use super::schema::{description, example, example_text, is_a, kinds, tables_with};
use super::spelling::{did_you_mean, list};
use super::text;

/// Checks the document and mends it.
pub(super) fn check(document: &mut Document<'_>, schema: &Value, findings: &mut Findings<'_>) {
    Shape { root: schema, findings }.table(document.0.get_mut(), schema, &KeyPath::default(), &(0..0));
}

struct Shape<'f, 't> {
    root: &'f Value,
    findings: &'f mut Findings<'t>,
}

impl Shape<'_, '_> {
    /// Checks one table; `span` is where it is named.
    fn table(&mut self, table: &mut DeTable<'_>, schema: &Value, path: &KeyPath, span: &Range<usize>) {
        self.nameless(table, schema, path);
        let mut faulty: Vec<String> = Vec::new();
        for (key, node) in table.iter_mut() {
            let name = key.get_ref().as_ref();
            let here = path.key(name);
            let known = schema.pointer("/properties").and_then(|properties| properties.get(name));
            let entry = schema.get("additionalProperties").filter(|entry| entry.is_object());
            let fits = match (known, entry) {
                (Some(inner), _) => self.value(node, inner, &here, &key.span()),
                (None, Some(inner)) => {
                    self.name(name, schema, &here, key.span());
                    self.value(node, inner, &here, &key.span())
                }
                (None, None) => {
                    self.unknown_key(name, schema, path, key.span());
                    faulty.push(name.to_owned());
                    continue;
                }
            };
            if !fits {
                self.findings.taint(here);
                faulty.push(name.to_owned());
            }
        }
        for name in faulty {
            table.remove(name.as_str());
        }
        for name in required(schema) {
            let inner = schema.pointer("/properties").and_then(|properties| properties.get(name));
            let Some(inner) = inner.filter(|_| !table.contains_key(name)) else { continue };
            let here = path.key(name);
            if !self.findings.is_tainted(&here) {
                self.findings.add_at(missing_key(name, inner, path), span.clone());
                self.findings.taint(here);
            }
            if let Some(stand_in) = stand_in(inner) {
                table.insert(Spanned::new(0..0, Cow::Owned(name.to_owned())), stand_in);
            }
        }
    }

    /// Takes out keys that stand in `[room]` but belong into `[room.NAME]`: a name is easily forgotten.
    fn nameless(&mut self, table: &mut DeTable<'_>, schema: &Value, path: &KeyPath) {
        let inside = schema.pointer("/additionalProperties/properties");
        let belongs = |key: &str| inside.is_some_and(|properties| properties.get(key).is_some());
        let is_table = |node: &Spanned<DeValue<'_>>| matches!(node.get_ref(), DeValue::Table(_));
        let strays = table.iter().filter(|(key, node)| belongs(key.get_ref()) && !is_table(node));
        let Some((key, span)) =
            strays.map(|(key, _)| (key.get_ref().to_string(), key.span())).min_by_key(|(_, span)| span.start)
        else {
            return;
        };
        let help = format!("write `[{path}.main]` in place of `[{path}]`, with a name of your choice");
        let message = format!("`{key}` stands in `[{path}]`, which has no name");
        self.findings.add_at(Finding::error(path.key(&key), message, help), span);
        self.findings.taint(path.clone());
        let strays: Vec<String> =
            table.keys().map(|key| key.get_ref().to_string()).filter(|key| belongs(key)).collect();
        for key in strays {
            table.remove(key.as_str());
        }
    }

    /// Checks a value and says whether it may stay.
    fn value(
        &mut self,
        node: &mut Spanned<DeValue<'_>>,
        schema: &Value,
        path: &KeyPath,
        key: &Range<usize>,
    ) -> bool {
        let alternatives = schema.get("anyOf").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let schema = alternatives.iter().find(|one| is_a(one, node.get_ref())).unwrap_or(schema);
        let span = node.span();
        if let (DeValue::Table(table), Some((tag, kinds))) = (node.get_mut(), kinds(schema)) {
            return self.kind(table, tag, &kinds, path, key);
        }
        match node.get_mut() {
            DeValue::Table(table) if schema.get("type").is_some_and(|name| name == "object") => {
                self.table(table, schema, path, key);
                true
            }
            DeValue::Array(items) if schema.get("type").is_some_and(|name| name == "array") => {
                self.array(items, schema, path, span)
            }
            other => {
                let span = if matches!(other, DeValue::Table(_)) { key.clone() } else { span };
                match scalar::judge(other, schema, path) {
                    None => true,
                    Some(finding) => {
                        self.findings.add_at(finding, span);
                        false
                    }
                }
            }
        }
    }

    /// Checks a table of one of several kinds, by the schema of its own kind.
    fn kind(
        &mut self,
        table: &mut DeTable<'_>,
        tag: &str,
        kinds: &[(&str, &Value)],
        path: &KeyPath,
        key: &Range<usize>,
    ) -> bool {
        let names: Vec<String> = kinds.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let Some(node) = table.get(tag) else {
            let help = format!("add `{tag} = ...`, one of {}", list(&names));
            let message = format!("missing key `{tag}` in {}", path.table());
            self.findings.add_at(Finding::error(path.key(tag), message, help), key.clone());
            return false;
        };
        let said = node.get_ref().as_str().unwrap_or_default();
        if let Some((_, schema)) = kinds.iter().find(|(name, _)| *name == said) {
            self.table(table, schema, path, key);
            return true;
        }
        let help = match did_you_mean(said, kinds.iter().map(|(name, _)| *name)) {
            Some(near) => format!("did you mean `\"{near}\"`? The choices are {}", list(&names)),
            None => format!("write one of {}", list(&names)),
        };
        let here = path.key(tag);
        let message = format!("`{here}` cannot be {said:?}");
        self.findings.add_at(Finding::error(here, message, help), node.span());
        false
    }

    fn array(&mut self, items: &mut DeArray<'_>, schema: &Value, path: &KeyPath, span: Range<usize>) -> bool {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        if items.is_empty() && least > 0 {
            let help = format!("name at least one: `{} = {}`", path.last_key(), example(schema));
            self.findings.add_at(Finding::error(path.clone(), format!("`{path}` is empty"), help), span);
            return false;
        }
        let Some(inner) = schema.get("items") else { return true };
        for (position, item) in items.iter_mut().enumerate() {
            let (here, span) = (path.index(position), item.span());
            if !self.value(item, inner, &here, &span) {
                self.findings.taint(here);
                if let Some(stand_in) = stand_in(inner) {
                    *item = stand_in;
                }
            }
        }
        true
    }

    /// Checks a name that the operator gave.
    fn name(&mut self, name: &str, schema: &Value, path: &KeyPath, span: Range<usize>) {
        let format = schema.pointer("/propertyNames/format").and_then(Value::as_str).and_then(text::format);
        let Some(Err(misfit)) = format.map(|format| (format.judge)(name)) else { return };
        let message = format!("`{name}` {}", misfit.wrong);
        self.findings.add_at(Finding::error(path.clone(), message, misfit.remedy), span);
        self.findings.taint(path.clone());
        if let Some(meant) = misfit.meant {
            self.findings.taint(path.parent().key(&meant));
        }
    }

    fn unknown_key(&mut self, name: &str, schema: &Value, path: &KeyPath, span: Range<usize>) {
        let keys: Vec<&str> = schema
            .pointer("/properties")
            .and_then(Value::as_object)
            .map_or_else(Vec::new, |properties| properties.keys().map(String::as_str).collect());
        let elsewhere = tables_with(self.root, name);
        let help = if let Some(near) = did_you_mean(name, keys.iter().copied()) {
            self.findings.taint(path.key(near));
            format!("did you mean `{near}`?")
        } else if elsewhere.is_empty() {
            format!("remove it; the keys here are {}", list(&keys))
        } else {
            format!("move it: it is a key of {}", list(&elsewhere))
        };
        let message = format!("unknown key `{name}` in {}", path.table());
        self.findings.add_at(Finding::error(path.key(name), message, help), span);
    }
}

fn missing_key(name: &str, schema: &Value, path: &KeyPath) -> Finding {
    let what = format!("`{name}`: {}", description(schema));
    if path.is_root() && schema.get("type").is_some_and(|name| name == "array") {
        let keys = schema.get("items").map(example).unwrap_or_default();
        let help = format!("add `[[{name}]]` with `{}`", keys.trim_matches(['{', '}', ' ']));
        return Finding::error(path.key(name), format!("missing table `[[{name}]]`"), help).note(what);
    }
    if path.is_root() && schema.get("type").is_some_and(|name| name != "object") {
        let help = format!("add `{name} = {}`", example(schema));
        return Finding::error(path.key(name), format!("missing key `{name}`"), help).note(what);
    }
    if path.is_root() {
        let keys = example(schema);
        let keys =
            schema.get("x-example").and_then(Value::as_str).unwrap_or(keys.trim_matches(['{', '}', ' ']));
        let help = format!("add `[{name}]` with `{keys}`");
        return Finding::error(path.key(name), format!("missing table `[{name}]`"), help).note(what);
    }
    let help = format!("add `{name} = {}`", example(schema));
    Finding::error(path.key(name), format!("missing key `{name}` in {}", path.table()), help).note(what)
}

/// A value that fits, in place of one that does not.
///
/// A test checks that every required key and every element of a list has one.
fn stand_in(schema: &Value) -> Option<Spanned<DeValue<'static>>> {
    if let Some(only) = schema.get("const").and_then(Value::as_str) {
        return Some(Spanned::new(0..0, DeValue::String(Cow::Owned(only.to_owned()))));
    }
    let value = match schema.get("type").and_then(Value::as_str) {
        Some("integer" | "number") => one(),
        Some("boolean") => DeValue::Boolean(false),
        Some("string") => DeValue::String(Cow::Owned(example_text(schema).to_owned())),
        Some("array") => DeValue::Array(schema.get("items").and_then(stand_in).into_iter().collect()),
        Some("object") => {
            let mut table = DeTable::new();
            for name in required(schema) {
                let inner = schema.pointer("/properties").and_then(|properties| properties.get(name))?;
                table.insert(Spanned::new(0..0, Cow::Owned(name.to_owned())), stand_in(inner)?);
            }
            DeValue::Table(table)
        }
        _ => return stand_in(schema.pointer("/anyOf/0").or(schema.pointer("/oneOf/0"))?),
    };
    Some(Spanned::new(0..0, value))
}

/// The number 1, which lies within the bounds of every number that must be there.
fn one() -> DeValue<'static> {
    DeValue::parse("1").map_or(DeValue::Boolean(false), Spanned::into_inner)
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::{keys, schema};

    #[test]
    fn every_required_key_and_every_element_has_a_stand_in() {
        for (path, schema) in keys(schema()) {
            for name in required(schema) {
                assert!(stand_in(&schema["properties"][name]).is_some(), "{path}.{name}");
            }
            if let Some(items) = schema.get("items") {
                assert!(stand_in(items).is_some(), "{path}");
            }
        }
    }
}
