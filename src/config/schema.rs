//! The JSON schema of the file, derived from the raw types: for editors, and for our own shape check.
//!
//! Draft 7 without references, because editors understand that best. TOML has no null, so none of the
//! schema's optional keys may be null.

use std::sync::LazyLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use toml::de::DeValue;

use super::raw::Raw;
use super::scalar::plain_number;
use super::text;

/// The schema, generated once.
pub(super) fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(generate::<Raw>);
    &SCHEMA
}

/// The schema of any raw type.
pub(crate) fn generate<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    remove_null(&mut schema);
    schema
}

/// The JSON schema of the configuration file, as `config/tornello.schema.json` holds it.
#[must_use]
pub fn schema_text() -> String {
    let mut text = serde_json::to_string_pretty(schema()).unwrap_or_default();
    text.push('\n');
    text
}

/// Takes null out of types and defaults, and unwraps alternatives of which only one is left.
fn remove_null(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(remove_null),
        Value::Object(object) => {
            remove_null_here(object);
            object.values_mut().for_each(remove_null);
        }
        _ => {}
    }
}

fn remove_null_here(object: &mut Map<String, Value>) {
    // Defaults of tables are the defaults of their keys, and are said there.
    if object.get("default").is_some_and(|default| default.is_null() || default.is_object()) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(alternatives)) = object.get_mut("anyOf") else { return };
    alternatives.retain(|alternative| alternative.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(only)] = alternatives.as_slice() {
        let only = only.clone();
        object.remove("anyOf");
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
    }
}

/// The values that a schema allows, if it lists them.
pub(super) fn choices(schema: &Value) -> Option<Vec<&Value>> {
    if let Some(list) = schema.get("enum").and_then(Value::as_array) {
        return Some(list.iter().collect());
    }
    let alternatives = schema.get("oneOf")?.as_array()?;
    alternatives
        .iter()
        .map(|alternative| {
            let listed = alternative.get("enum").and_then(Value::as_array).and_then(|list| list.first());
            alternative.get("const").or(listed)
        })
        .collect()
}

/// Tables of several kinds, told apart by one key: that key, and the kinds by its value, as in
/// `{ law = "exp", mean_s = 1 }`.
pub(super) fn kinds(schema: &Value) -> Option<(&str, Vec<(&str, &Value)>)> {
    let alternatives = schema.get("oneOf")?.as_array()?;
    let told_apart = |one: &Value, key: &str| one.pointer(&format!("/properties/{key}/const")).is_some();
    let keys = alternatives.first()?.get("properties")?.as_object()?.keys();
    let key = { keys }.find(|key| alternatives.iter().all(|one| told_apart(one, key)))?;
    alternatives
        .iter()
        .map(|one| Some((one.pointer(&format!("/properties/{key}/const"))?.as_str()?, one)))
        .collect::<Option<Vec<_>>>()
        .map(|kinds| (key.as_str(), kinds))
}

/// A value that fits the schema, as TOML text.
pub(super) fn example(schema: &Value) -> String {
    if let Some(example) = schema.pointer("/examples/0").or(schema.get("default")) {
        return example.to_string();
    }
    if let Some(first) = choices(schema).and_then(|choices| choices.first().copied()) {
        return first.to_string();
    }
    if let Some(only) = schema.get("const") {
        return only.to_string();
    }
    if let Some(first) = schema.pointer("/anyOf/0").or(schema.pointer("/oneOf/0")) {
        return example(first);
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => format!("{:?}", example_text(schema)),
        Some("integer" | "number") => schema.get("minimum").map_or_else(|| "1".to_owned(), plain_number),
        Some("boolean") => "true".to_owned(),
        Some("array") => format!("[{}]", schema.get("items").map(example).unwrap_or_default()),
        _ => {
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            let keys = required
                .filter_map(Value::as_str)
                .filter_map(|key| Some(format!("{key} = {}", example(schema.get("properties")?.get(key)?))));
            let keys = keys.collect::<Vec<_>>().join(", ");
            if keys.is_empty() { "{}".to_owned() } else { format!("{{ {keys} }}") }
        }
    }
}

/// A text that fits the schema of a text.
pub(super) fn example_text(schema: &Value) -> &str {
    let format = schema.get("format").and_then(Value::as_str).and_then(text::format);
    let example = schema.pointer("/examples/0").and_then(Value::as_str);
    example.or(format.map(|format| format.example)).unwrap_or("...")
}

/// Whether a value has the schema's type; a float may be written as an integer.
pub(super) fn is_a(schema: &Value, value: &DeValue<'_>) -> bool {
    let name = match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
        DeValue::Datetime(_) => return false,
    };
    let kind = schema.pointer("/oneOf/0").unwrap_or(schema);
    let wanted = kind.get("type").and_then(Value::as_str).unwrap_or_default();
    wanted == name || (wanted == "number" && name == "integer")
}

/// What a key is for: its sentence, without how a change takes effect.
pub(super) fn description(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
    let what = text.split(" Default: ").next().unwrap_or_default();
    what.trim_end_matches(" Hot.").trim_end_matches(" Restart.").trim_end_matches('.').to_owned()
}

/// Every key that a file may have, with its schema: `room.NAME.poll.min`.
pub(crate) fn keys(schema: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    walk(schema, "", &mut found);
    found
}

fn walk<'s>(schema: &'s Value, path: &str, found: &mut Vec<(String, &'s Value)>) {
    let inside = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (key, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        found.push((inside(key), inner));
        walk(inner, &inside(key), found);
    }
    if let Some(entry) = schema.get("additionalProperties").filter(|entry| entry.is_object()) {
        walk(entry, &inside("NAME"), found);
    }
    let several = ["anyOf", "oneOf"].into_iter().filter_map(|name| schema.get(name)?.as_array());
    for inner in several.flatten().chain(schema.get("items")) {
        walk(inner, path, found);
    }
}

/// The tables that have a key of this name.
pub(super) fn tables_with(schema: &Value, key: &str) -> Vec<String> {
    let tables = keys(schema).into_iter().filter_map(|(path, _)| {
        let (table, last) = path.rsplit_once('.')?;
        (last == key)
            .then(|| if is_list(schema, table) { format!("[[{table}]]") } else { format!("[{table}]") })
    });
    let mut tables: Vec<String> = tables.collect();
    tables.sort_by_key(|table| (table.matches('.').count(), table.clone()));
    tables.dedup();
    tables
}

/// Whether a table of the file stands there as often as one likes: `[[name]]`.
pub(super) fn is_list(schema: &Value, table: &str) -> bool {
    schema.pointer(&format!("/properties/{table}/type")).is_some_and(|name| name == "array")
}
