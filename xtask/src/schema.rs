//! JSON Schema, as much of it as the schemas of `deploy/schemas` use. A word that is not known here is an error of the
//! schema, so that nothing is asked for and then not looked at.

use serde_json::{Map, Value};

/// Everything about `value` that the schema does not allow, each with the place where it stands.
pub fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Check { root: schema }.look(schema, value, "", &mut found);
    found
}

const WORDS: &[&str] = &[
    "$schema",
    "$comment",
    "$ref",
    "definitions",
    "title",
    "description",
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minItems",
    "minimum",
    "maximum",
    "minLength",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "format",
];

struct Check<'a> {
    root: &'a Value,
}

impl Check<'_> {
    fn look(&self, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
        let rules = match schema {
            Value::Bool(true) => return,
            Value::Object(rules) => rules,
            _ => return found.push(format!("{place}: nothing may stand here")),
        };
        for word in rules.keys().filter(|word| !WORDS.contains(&word.as_str())) {
            found.push(format!("the schema says `{word}`, which is not known"));
        }
        if let Some(name) = rules.get("$ref").and_then(Value::as_str) {
            match self.root.pointer(name.trim_start_matches('#')) {
                Some(other) => self.look(other, value, place, found),
                None => found.push(format!("the schema names {name}, which it does not have")),
            }
        }
        if let Some(kind) = rules.get("type")
            && !kinds(kind).any(|kind| is_a(kind, value))
        {
            return found.push(format!("{place}: {value} is no {kind}"));
        }
        if rules.get("const").is_some_and(|only| only != value) {
            found.push(format!("{place}: {value} is not {}", rules["const"]));
        }
        if let Some(values) = rules.get("enum").and_then(Value::as_array)
            && !values.contains(value)
        {
            found.push(format!("{place}: {value} is none of {}", rules["enum"]));
        }
        if let Some(format) = rules.get("format").and_then(Value::as_str)
            && let Some(text) = value.as_str()
            && !has_format(format, text)
        {
            found.push(format!("{place}: `{text}` is no {format}"));
        }
        self.numbers(rules, value, place, found);
        self.choices(rules, value, place, found);
        if let Some(object) = value.as_object() {
            self.object(rules, object, place, found);
        }
        if let Some(list) = value.as_array() {
            if rules.get("minItems").and_then(Value::as_u64).is_some_and(|least| (list.len() as u64) < least) {
                found.push(format!("{place}: too few"));
            }
            for (number, item) in list.iter().enumerate() {
                if let Some(schema) = rules.get("items") {
                    self.look(schema, item, &format!("{place}/{number}"), found);
                }
            }
        }
    }

    fn numbers(&self, rules: &Map<String, Value>, value: &Value, place: &str, found: &mut Vec<String>) {
        let limit = |word: &str| rules.get(word).and_then(Value::as_f64);
        if let Some(number) = value.as_f64()
            && (limit("minimum").is_some_and(|least| number < least)
                || limit("maximum").is_some_and(|most| number > most))
        {
            found.push(format!("{place}: {number} is too small or too large"));
        }
        if let (Some(text), Some(least)) = (value.as_str(), limit("minLength"))
            && (text.len() as f64) < least
        {
            found.push(format!("{place}: the text is too short"));
        }
    }

    fn choices(&self, rules: &Map<String, Value>, value: &Value, place: &str, found: &mut Vec<String>) {
        for (word, one_alone) in [("anyOf", false), ("oneOf", true)] {
            let Some(choices) = rules.get(word).and_then(Value::as_array) else { continue };
            let tried: Vec<Vec<String>> = choices
                .iter()
                .map(|schema| {
                    let mut problems = Vec::new();
                    self.look(schema, value, place, &mut problems);
                    problems
                })
                .collect();
            let fitting = tried.iter().filter(|problems| problems.is_empty()).count();
            if fitting == 0 {
                // What is nearly right says the most.
                found.extend(tried.into_iter().min_by_key(Vec::len).unwrap_or_default());
            } else if one_alone && fitting > 1 {
                found.push(format!("{place}: it could be more than one thing"));
            }
        }
    }

    fn object(&self, rules: &Map<String, Value>, object: &Map<String, Value>, place: &str, found: &mut Vec<String>) {
        for name in rules.get("required").and_then(Value::as_array).into_iter().flatten() {
            if !object.contains_key(name.as_str().unwrap_or_default()) {
                found.push(format!("{place}: {name} is missing"));
            }
        }
        let known = rules.get("properties").and_then(Value::as_object);
        for (name, value) in object {
            let place = format!("{place}/{name}");
            match (known.and_then(|known| known.get(name)), rules.get("additionalProperties")) {
                (Some(schema), _) => self.look(schema, value, &place, found),
                (None, Some(Value::Bool(false))) => found.push(format!("{place}: there is no such field")),
                (None, Some(schema)) => self.look(schema, value, &place, found),
                (None, None) => {}
            }
        }
    }
}

fn kinds(kind: &Value) -> impl Iterator<Item = &str> {
    let list = kind.as_array().into_iter().flatten().filter_map(Value::as_str);
    kind.as_str().into_iter().chain(list)
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}

/// `quantity` as Kubernetes writes them (`250m`, `1Gi`), `name` for its objects, `cidr`, and `duration` (`35s`).
fn has_format(format: &str, text: &str) -> bool {
    let digits_then = |endings: &[&str]| {
        let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
        text[..end].parse::<f64>().is_ok() && endings.contains(&&text[end..])
    };
    match format {
        "quantity" => digits_then(&["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"]),
        "duration" => digits_then(&["ms", "s", "m", "h"]),
        "name" => {
            let legal = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.".contains(letter);
            (1..=253).contains(&text.len()) && text.chars().all(legal) && !text.starts_with('-') && !text.ends_with('-')
        }
        "cidr" => text.split_once('/').is_some_and(|(address, bits)| {
            address.parse::<std::net::IpAddr>().is_ok() && bits.parse::<u8>().is_ok_and(|bits| bits <= 128)
        }),
        // Of numbers' sizes.
        "int32" | "uint" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_schema_does_not_allow_is_found() {
        let schema = json!({
            "type": "object",
            "required": ["a"],
            "additionalProperties": false,
            "properties": {
                "a": { "type": ["string", "null"], "enum": ["x", null] },
                "b": { "type": "array", "minItems": 1, "items": { "$ref": "#/definitions/number" } },
                "c": { "oneOf": [{ "type": "string" }, { "type": "integer", "minimum": 1 }] },
                "d": { "type": "string", "format": "quantity" }
            },
            "definitions": { "number": { "type": "integer" } }
        });
        let wrong = |value: Value| problems(&schema, &value);
        assert!(wrong(json!({"a": "x", "b": [1], "c": 1, "d": "250m"})).is_empty());
        for value in [
            json!({}),
            json!({"a": "y"}),
            json!({"a": 1}),
            json!({"a": null, "b": []}),
            json!({"a": null, "b": ["1"]}),
            json!({"a": null, "c": 0}),
            json!({"a": null, "d": "much"}),
            json!({"a": null, "e": 1}),
            json!([]),
        ] {
            assert!(!wrong(value.clone()).is_empty(), "{value}");
        }
        assert!(!problems(&json!({"patern": "x"}), &json!(1)).is_empty(), "a word that nobody knows");
        assert!(!problems(&json!({"$ref": "#/definitions/gone"}), &json!(1)).is_empty());
    }
}
