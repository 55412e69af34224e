//! Checks one value against its schema: type, choice, format, bounds.

use serde_json::Value;
use toml::de::DeValue;

use super::document::KeyPath;
use super::findings::Finding;
use super::schema::{choices, example, is_a};
use super::spelling::did_you_mean;
use super::text;

/// What is wrong with a value, if something is.
pub(super) fn judge(value: &DeValue<'_>, schema: &Value, path: &KeyPath) -> Option<Finding> {
    if let Some(choices) = choices(schema) {
        return choose(value, &choices, path);
    }
    if !is_a(schema, value) {
        return Some(wrong_type(value, schema, path));
    }
    match value {
        DeValue::String(text) => judge_text(text, schema, path),
        DeValue::Integer(_) | DeValue::Float(_) => judge_number(value, schema, path),
        _ => None,
    }
}

fn choose(value: &DeValue<'_>, choices: &[&Value], path: &KeyPath) -> Option<Finding> {
    let written = match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(_) => {
            integer(value).and_then(|n| i64::try_from(n).ok()).map_or(Value::Null, Value::from)
        }
        _ => Value::Null,
    };
    if choices.contains(&&written) {
        return None;
    }
    let near =
        written.as_str().and_then(|word| did_you_mean(word, choices.iter().filter_map(|c| c.as_str())));
    let all = choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ");
    let help = match near {
        Some(near) => format!("did you mean `\"{near}\"`? The choices are {all}"),
        None => format!("write one of {all}"),
    };
    let message = match &written {
        Value::Null => format!("`{path}` is {}, which is not one of its choices", kind(value)),
        written => format!("`{path}` cannot be `{written}`"),
    };
    Some(Finding::error(path.clone(), message, help))
}

fn wrong_type(value: &DeValue<'_>, schema: &Value, path: &KeyPath) -> Finding {
    let key = path.last_key();
    let message = format!("`{path}` is {}, but must be {}", kind(value), wanted(schema));
    let help = match (value, type_of(schema)) {
        (DeValue::String(text), "boolean" | "integer" | "number")
            if text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok() =>
        {
            format!("write it without quotes: `{key} = {text}`")
        }
        (DeValue::String(text), "array") => format!("write a list: `{key} = [{text:?}]`"),
        (DeValue::Array(_), "object") if path.to_string().ends_with(key) => {
            format!("write `[{path}]` with one pair of brackets")
        }
        (DeValue::Integer(number), "string") => {
            let format = schema.get("format").and_then(Value::as_str).and_then(text::format);
            match format.map(|format| (format.judge)(number.as_str())) {
                Some(Err(misfit)) => misfit.remedy,
                _ => format!("write it in quotes: `{key} = \"{number}\"`"),
            }
        }
        (_, "object") => format!("write a table: `[{path}]`"),
        _ => format!("write it as in `{key} = {}`", example(schema)),
    };
    Finding::error(path.clone(), message, help)
}

fn judge_text(text: &str, schema: &Value, path: &KeyPath) -> Option<Finding> {
    let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
    if bound("minLength").is_some_and(|least| length < least) {
        let help = "write a text, or leave the key out";
        return Some(Finding::error(path.clone(), format!("`{path}` is empty"), help));
    }
    if let Some(most) = bound("maxLength").filter(|most| length > *most) {
        let message = format!("`{path}` has {length} characters");
        return Some(Finding::error(path.clone(), message, format!("write at most {most}")));
    }
    let format = schema.get("format").and_then(Value::as_str).and_then(text::format)?;
    let magnitude = match (format.judge)(text) {
        Ok(magnitude) => magnitude?,
        Err(misfit) => {
            return Some(Finding::error(path.clone(), format!("`{path}` {}", misfit.wrong), misfit.remedy));
        }
    };
    let bound = |name: &str| {
        let text = schema.get(name).and_then(Value::as_str)?;
        Some((text, (format.judge)(text).ok().flatten()?))
    };
    let ((low, least), (high, most)) = (bound("x-minimum")?, bound("x-maximum")?);
    if (least..=most).contains(&magnitude) {
        return None;
    }
    let wrong = if magnitude < least { "too small" } else { "too large" };
    let help = format!("write a value from `\"{low}\"` to `\"{high}\"`{}", no_zero(magnitude == 0));
    Some(Finding::error(path.clone(), format!("`{path}` is {wrong}"), help))
}

fn judge_number(value: &DeValue<'_>, schema: &Value, path: &KeyPath) -> Option<Finding> {
    let number = float(value);
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let above = bound("exclusiveMinimum").is_none_or(|limit| number > limit);
    let least = bound("minimum").is_none_or(|limit| number >= limit);
    let most = bound("maximum").is_none_or(|limit| number <= limit);
    if above && least && most {
        return None;
    }
    let written = |name: &str| schema.get(name).map_or_else(|| "any number".to_owned(), plain_number);
    let range = match schema.get("exclusiveMinimum") {
        Some(low) => format!("above {} and up to {}", plain_number(low), written("maximum")),
        None => format!("from {} to {}", written("minimum"), written("maximum")),
    };
    let wrong = if above && least { "too large" } else { "too small" };
    let help = format!("write a number {range}{}", no_zero(number.abs() < f64::EPSILON));
    Some(Finding::error(path.clone(), format!("`{path}` is {wrong}"), help))
}

fn no_zero(is_zero: bool) -> &'static str {
    if is_zero { "; 0 does not mean unlimited here" } else { "" }
}

/// A number of the schema without a superfluous `.0`.
pub(super) fn plain_number(number: &Value) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

fn integer(value: &DeValue<'_>) -> Option<i128> {
    let DeValue::Integer(integer) = value else { return None };
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// The value as a number; an integer beyond all bounds is infinite.
fn float(value: &DeValue<'_>) -> f64 {
    match value {
        DeValue::Float(float) => float.as_str().parse().unwrap_or(f64::NAN),
        #[expect(clippy::cast_precision_loss, reason = "compared with bounds far below 2^53")]
        other => integer(other).map_or(f64::INFINITY, |integer| integer as f64),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn type_of(schema: &Value) -> &str {
    schema.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn wanted(schema: &Value) -> String {
    if let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) {
        return alternatives.iter().map(wanted).collect::<Vec<_>>().join(" or ");
    }
    match (type_of(schema), schema.get("format").and_then(Value::as_str)) {
        ("string", Some(format)) => format!("a text ({})", format.replace('-', " ")),
        ("string", None) => "a text".to_owned(),
        ("integer", _) => "a whole number".to_owned(),
        ("number", _) => "a number".to_owned(),
        ("boolean", _) => "`true` or `false`".to_owned(),
        ("array", _) => "a list".to_owned(),
        _ => "a table".to_owned(),
    }
}
