//! What a caller asks, read from a body: everything that is wrong with it is told at once.

pub(crate) mod edit;
pub(crate) mod embedding;
pub(crate) mod image;
pub(crate) mod llm;
pub(crate) mod stt;
pub(crate) mod tts;

use std::borrow::Cow;
use std::ops::RangeInclusive;

use hybrid_guest::json;
use hybrid_guest::table::Table;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::MODEL_BYTES;

/// More than this helps nobody, and 200 messages could have a thousand.
const MAX_PROBLEMS: usize = 50;

/// One thing wrong with one field, as the caller wrote it: `width`, `messages[2].role`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub field: String,
    /// What was wanted: "must be at most 2048".
    pub message: String,
}

/// Why a body cannot be taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is not JSON, or not a form. The text says where it ends being so.
    Unreadable(String),
    Invalid(Vec<Problem>),
}

/// A JSON object as it stands in the body: values are looked at when their field is asked for.
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Object<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Object<'a>, Wrong> {
        let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
        if let Some(object) = std::str::from_utf8(body).ok().and_then(Object::quickly) {
            return Ok(object);
        }
        if body.trim_ascii().is_empty() {
            return Err(Wrong::Unreadable("the body is empty; a JSON object is wanted".to_owned()));
        }
        // Who is refused is told where and why.
        serde_json::from_slice(body).map_err(|error| {
            if error.is_data() {
                return Wrong::Invalid(vec![problem("body", "must be a JSON object")]);
            }
            let (line, column) = (error.line(), error.column());
            Wrong::Unreadable(format!("the body is not JSON: it breaks off at line {line}, column {column}"))
        })
    }

    /// An object without oddities, as nearly all are.
    fn quickly(json: &'a str) -> Option<Object<'a>> {
        let members = json::all_members(json)?;
        Some(Object(members.into_iter().map(|(name, value)| (name, value.get())).collect()))
    }

    /// An object within a body.
    pub(crate) fn within(json: &'a str) -> Option<Object<'a>> {
        Object::quickly(json).or_else(|| serde_json::from_str(json).ok())
    }

    /// The value's JSON; none when the field is absent or null. Of two of one name the last counts, as everywhere.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().rfind(|(known, _)| known == name)?;
        Some(*value).filter(|json| *json != "null")
    }

    /// Every field that is there and not null, once, in order.
    fn all(&self) -> Vec<(&str, &'a str)> {
        let mut seen = std::collections::HashSet::new();
        let last = self.0.iter().rev().filter(|(name, _)| seen.insert(&**name));
        let mut all: Vec<_> = last.map(|(name, value)| (&**name, *value)).collect();
        all.retain(|(_, json)| *json != "null");
        all.reverse();
        all
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Vec<(Cow<'de, str>, &'de str)>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some((name, value)) = map.next_entry::<Name<'de>, &RawValue>()? {
                    fields.push((name.0, value.get()));
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Fields).map(Object)
    }
}

/// A field's name, borrowed where it holds no escape.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }

        deserializer.deserialize_str(Text).map(Name)
    }
}

/// Takes fields out of an object and gathers what is wrong with them.
pub(crate) struct Fields<'a> {
    object: Object<'a>,
    /// Which of the `messages` the object is; none for the body.
    turn: Option<usize>,
    problems: Vec<Problem>,
}

impl<'a> Fields<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Fields<'a>, Wrong> {
        Ok(Fields { object: Object::read(body)?, turn: None, problems: Vec::new() })
    }

    pub(crate) fn of_turn(object: Object<'a>, index: usize) -> Fields<'a> {
        Fields { object, turn: Some(index), problems: Vec::new() }
    }

    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
        self.object.get(name)
    }

    /// All fields but these, as one JSON object; none when there are none.
    pub(crate) fn others(&self, but: &[&str]) -> Option<String> {
        carried(self.object.all().into_iter().filter(|(name, _)| !but.contains(name)))
    }

    pub(crate) fn problem(&mut self, name: &str, message: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            let field = self.turn.map_or_else(|| name.to_owned(), |index| format!("messages[{index}].{name}"));
            self.problems.push(Problem { field, message: message.into() });
        }
    }

    pub(crate) fn adopt(&mut self, problems: Vec<Problem>) {
        let room = MAX_PROBLEMS.saturating_sub(self.problems.len());
        self.problems.extend(problems.into_iter().take(room));
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The value, unless something was wrong.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, Wrong> {
        if self.problems.is_empty() { Ok(value) } else { Err(Wrong::Invalid(self.problems)) }
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let json = self.raw(name)?;
        match json::text(json) {
            Some(text) => Some(text.into_owned()),
            // Half a surrogate pair is the one string that is JSON and no text.
            None if json.starts_with('"') => {
                self.problem(name, "must be a string of whole Unicode characters");
                None
            }
            None => {
                self.problem(name, "must be a string");
                None
            }
        }
    }

    /// A text with something in it.
    pub(crate) fn required_text(&mut self, name: &str, most: u64) -> String {
        if self.raw(name).is_none() {
            self.problem(name, "is required");
            return String::new();
        }
        let Some(text) = self.limited_text(name, most) else { return String::new() };
        if text.trim().is_empty() {
            self.problem(name, "must not be empty");
        }
        text
    }

    pub(crate) fn limited_text(&mut self, name: &str, most: u64) -> Option<String> {
        let text = self.text(name)?;
        if characters(&text) > most {
            self.problem(name, format!("must be at most {most} characters"));
        }
        Some(text)
    }

    pub(crate) fn integer(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let number = self.any_number(name, "must be an integer")?;
        // 512.0 is what some languages write for 512.
        if number.fract() != 0.0 {
            self.problem(name, "must be an integer");
            return None;
        }
        let (low, high) = (*range.start(), *range.end());
        if number < low as f64 || number > high as f64 {
            self.problem(name, outside(&low, &high));
            return None;
        }
        Some(number as u64)
    }

    pub(crate) fn number(&mut self, name: &str, range: RangeInclusive<f64>) -> Option<f32> {
        let number = self.any_number(name, "must be a number")?;
        if !range.contains(&number) {
            self.problem(name, outside(range.start(), range.end()));
            return None;
        }
        Some(number as f32)
    }

    fn any_number(&mut self, name: &str, wanted: &str) -> Option<f64> {
        let number = serde_json::from_str::<f64>(self.raw(name)?).ok().filter(|number| number.is_finite());
        if number.is_none() {
            self.problem(name, wanted);
        }
        number
    }

    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let flag = self.raw(name).map(serde_json::from_str::<bool>);
        if let Some(Err(_)) = flag {
            self.problem(name, "must be true or false");
        }
        matches!(flag, Some(Ok(true)))
    }

    /// `org/name`, `local/name` or an alias; `suffix` where `:suffix` may choose among those who serve it.
    pub(crate) fn model(&mut self, suffix: bool) -> Option<String> {
        let model = self.text("model")?;
        if let Err(message) = check_model(&model, suffix) {
            self.problem("model", message);
            return None;
        }
        Some(model)
    }

    /// As `model`, with what OpenAI's clients may have there: names without an owner, which may be the platform's own, and
    /// what some say where there is but one model.
    pub(crate) fn any_model(&mut self, suffix: bool) -> Option<String> {
        let model = self.text("model")?;
        match check_any_model(&model, suffix) {
            Ok(named) => named.then_some(model),
            Err(message) => {
                self.problem("model", message);
                None
            }
        }
    }
}

/// Whether the text names a model; it may also say that none is meant.
pub(crate) fn check_any_model(model: &str, suffix: bool) -> Result<bool, &'static str> {
    // Hugging Face's clients say so where they were given an address instead of a model.
    if matches!(model, "" | "dummy" | "tgi") || model.starts_with("http://") || model.starts_with("https://") {
        return Ok(false);
    }
    if model.contains('/') {
        return check_model(model, suffix).map(|()| true);
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':');
    let named = model.len() <= MODEL_BYTES
        && model.bytes().all(legal)
        && model.starts_with(|first: char| first.is_ascii_alphanumeric());
    if named { Ok(true) } else { Err("must be a model's name") }
}

/// One JSON object of these fields; none when there are none.
pub(crate) fn carried<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let mut object = String::new();
    for (name, json) in fields {
        object.push(if object.is_empty() { '{' } else { ',' });
        object.push_str(&serde_json::Value::from(name).to_string());
        object.push(':');
        object.push_str(json);
    }
    (!object.is_empty()).then(|| object + "}")
}

fn outside(low: &impl ToString, high: &impl ToString) -> String {
    format!("must be between {} and {}", low.to_string(), high.to_string())
}

pub(crate) fn problem(field: &str, message: impl Into<String>) -> Problem {
    Problem { field: field.to_owned(), message: message.into() }
}

pub(crate) fn characters(text: &str) -> u64 {
    text.chars().count() as u64
}

/// Whether a model's name may become part of a URL, or is one that the model table has for another.
pub(crate) fn check_model(model: &str, suffix: bool) -> Result<(), &'static str> {
    const WANTED: &str = "must be a model's name, `org/name` or `local/name`";
    let (path, choice) = match model.split_once(':') {
        Some((path, choice)) => (path, Some(choice)),
        None => (model, None),
    };
    let word = |word: &str, of: fn(u8) -> bool| {
        let starts = word.bytes().next().is_some_and(of);
        starts && word.bytes().all(|byte| of(byte) || matches!(byte, b'.' | b'_' | b'-'))
    };
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let Some((org, name)) = path.split_once('/') else {
        let known = model.len() <= MODEL_BYTES && Table::read().is_alias(model);
        return if known { Ok(()) } else { Err(WANTED) };
    };
    let good = model.len() <= MODEL_BYTES
        && !path.contains("..")
        && word(org, |byte| byte.is_ascii_alphanumeric())
        && word(name, |byte| byte.is_ascii_alphanumeric());
    match choice {
        _ if !good => Err(WANTED),
        Some(_) if !suffix => Err(WANTED),
        Some(choice) if choice.is_empty() || !choice.bytes().all(|byte| lower(byte) || byte == b'-') => {
            Err("must have a suffix of small letters, digits and hyphens")
        }
        _ => Ok(()),
    }
}

/// For the access log: `prompt=34 width=512 model=a/b`. Names, sizes and models; never content.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Parameters(pub String);

impl Parameters {
    #[expect(clippy::needless_pass_by_value, reason = "numbers and borrowed texts")]
    pub(crate) fn add(&mut self, name: &str, value: impl ToString) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(&value.to_string());
    }

    pub(crate) fn maybe(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_json_is_told_from_what_is_no_object() {
        for body in ["", "  ", "{", "{\"a\":}", "nul", "{\"a\":1}x", "hello", "{\"a\":\"\u{1}\"}"] {
            assert!(matches!(Object::read(body.as_bytes()), Err(Wrong::Unreadable(_))), "{body}");
        }
        assert!(matches!(Object::read(b"{\"a\":\"\xff\"}"), Err(Wrong::Unreadable(_))));
        for body in ["[]", "1", "\"text\"", "null", "true"] {
            assert!(matches!(Object::read(body.as_bytes()), Err(Wrong::Invalid(_))), "{body}");
        }
    }

    #[test]
    fn fields_are_found_by_name() {
        let object = Object::read(b"\xef\xbb\xbf{\"a\":1, \"b\":null, \"\\u0063\":\"x\", \"a\":2}").expect("an object");
        assert_eq!((object.get("a"), object.get("b"), object.get("c")), (Some("2"), None, Some("\"x\"")));
    }

    #[test]
    fn wrong_types_and_ranges_are_told_all_at_once() {
        let body = br#"{"a": 1, "b": "1", "c": 1.5, "d": 99, "e": "yes", "f": "\ud800", "g": 2e400}"#;
        let mut fields = Fields::read(body).expect("an object");
        fields.text("a");
        fields.integer("b", 0..=9);
        fields.integer("c", 0..=9);
        fields.number("d", 0.25..=4.0);
        fields.flag("e");
        fields.text("f");
        fields.number("g", 0.0..=1.0);
        fields.required_text("h", 5);
        let told: Vec<_> = fields.into_problems().into_iter().map(|it| (it.field, it.message)).collect();
        let wanted = [
            ("a", "must be a string"),
            ("b", "must be an integer"),
            ("c", "must be an integer"),
            ("d", "must be between 0.25 and 4"),
            ("e", "must be true or false"),
            ("f", "must be a string of whole Unicode characters"),
            ("g", "must be a number"),
            ("h", "is required"),
        ];
        assert_eq!(told, wanted.map(|(field, message)| (field.to_owned(), message.to_owned())));
    }

    #[test]
    fn whole_numbers_with_a_point_are_integers() {
        let mut fields = Fields::read(br#"{"a": 512.0, "b": 1e3}"#).expect("an object");
        assert_eq!((fields.integer("a", 0..=999), fields.integer("b", 0..=1000)), (Some(512), Some(1000)));
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        let mut fields = Fields::read("{\"a\":\"äöü😀\"}".as_bytes()).expect("an object");
        assert_eq!(fields.required_text("a", 4), "äöü😀");
        assert!(fields.into_problems().is_empty());
    }

    #[test]
    fn other_fields_are_carried_once_and_as_they_are() {
        let fields = Fields::read(br#"{"a": 1, "b\"": [1.50], "c": null, "a": {"x": 2}}"#).expect("an object");
        assert_eq!(fields.others(&[]).as_deref(), Some(r#"{"b\"":[1.50],"a":{"x": 2}}"#));
        assert_eq!(fields.others(&["a", "b\""]), None);
    }

    #[test]
    fn clients_of_openai_name_models_in_more_ways() {
        for model in ["a/b", "gpt-4o-mini", "llama3.1:8b", "text-embedding-3-small"] {
            assert_eq!(check_any_model(model, true), Ok(true), "{model}");
        }
        for model in ["", "dummy", "tgi", "http://127.0.0.1:1/v1"] {
            assert_eq!(check_any_model(model, true), Ok(false), "{model}");
        }
        for model in ["a/b/c", "../b", "a b", "-x", "a\\b", "ä"] {
            assert!(check_any_model(model, true).is_err(), "{model}");
        }
    }

    #[test]
    fn models_have_a_form() {
        for model in [
            "openai/whisper-base",
            "a/b",
            "local/klatt-en",
            "local/all-MiniLM-L6-v2",
            "meta-llama/Llama-3.1_8B",
            "local/x.y-z_1",
        ] {
            assert_eq!(check_model(model, false), Ok(()), "{model}");
        }
        let long = format!("a/{}", "x".repeat(200));
        for model in [
            "", "gpt2", "/b", "a/", "a/b/c", "../b", "a/..", "a/b..c", "a/.b", "-a/b", "a/b?x", "a/b#x", "a b/c",
            "a/b%2e", "local/-x", "a/b:fast", "a\\b/c", "ä/b", &long,
        ] {
            assert!(check_model(model, false).is_err(), "{model}");
        }
        assert_eq!(check_model("a/b:fastest", true), Ok(()));
        for model in ["a/b:", "a/b:Fast", "a/b:x/y", "a/b:a:b", "a:x/b"] {
            assert!(check_model(model, true).is_err(), "{model}");
        }
    }
}
