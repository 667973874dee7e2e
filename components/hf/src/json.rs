//! JSON looked at without building trees: members and elements as the slices of text they are.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object's members in order.
pub(crate) type Members<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// The members of an object that are not null; none when it is something else.
#[inline(never)]
pub(crate) fn members(json: &str) -> Option<Members<'_>> {
    serde_json::from_str::<Object<'_>>(json).ok().map(|object| object.0)
}

/// The member of that name among those found.
#[inline(never)]
pub(crate) fn get<'a>(members: &Members<'a>, name: &str) -> Option<&'a str> {
    members.iter().find(|(key, _)| key == name).map(|(_, value)| value.get())
}

#[inline(never)]
pub(crate) fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    get(&members(json)?, name)
}

#[inline(never)]
pub(crate) fn elements(json: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(json).ok()
}

/// The text of a JSON string, borrowed where nothing is escaped; none when it is something else.
#[inline(never)]
pub(crate) fn text(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(json).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

#[inline(never)]
pub(crate) fn number(json: &str) -> Option<f64> {
    serde_json::from_str(json).ok()
}

/// Appends `value` as a JSON string.
#[inline(never)]
pub(crate) fn push_text(out: &mut Vec<u8>, value: &str) {
    push(out, value);
}

/// `value` as a JSON string.
pub(crate) fn quoted(value: &str) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Appends a text or a number. Neither can fail, and memory takes it.
pub(crate) fn push<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let _ = serde_json::to_writer(out, value);
}

struct Object<'a>(Members<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;

        impl<'de> Visitor<'de> for Walk {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Members::new();
                while let Some(Key(key)) = map.next_key()? {
                    let value: &RawValue = map.next_value()?;
                    if value.get() != "null" {
                        members.push((key, value));
                    }
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Walk)
    }
}

#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_not_there_and_text_is_unescaped() {
        let json = r#"{"a": null, "b\n": "x\"y", "c": [1, {"d": "e"}]}"#;
        let found = members(json).expect("an object");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].0, "b\n");
        assert_eq!(text(found[0].1.get()).expect("text"), "x\"y");
        let list = elements(member(json, "c").expect("there")).expect("a list");
        assert_eq!(text(member(list[1].get(), "d").expect("there")), Some(Cow::Borrowed("e")));
        assert!(members("[]").is_none() && text("1").is_none() && elements("{}").is_none());
    }
}
