//! Reads JSON objects field by field, so that whoever sends a wrong one is told which field it was.
//!
//! Every object is read once; its values stay text until somebody asks for them. A key that stands twice refuses the whole
//! object: two readers would believe different halves of it. `null` counts as not there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::code::{Code, Refusal, quoted};

/// Whole numbers beyond this one are not exact in existing nodes.
const WHOLE_NUMBER_MAX: u64 = (1 << 53) - 1;

/// A text that is not copied unless it has to be.
#[derive(Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// The fields of one object, for questions.
pub(crate) struct Fields<'a> {
    entries: BTreeMap<Cow<'a, str>, &'a RawValue>,
    /// What the object is, for sentences: `mesh.connect`, `the command`.
    what: &'static str,
    /// With which code a wrong field is refused.
    code: Code,
}

struct Entries<'a> {
    entries: BTreeMap<Cow<'a, str>, &'a RawValue>,
    twice: Option<String>,
}

impl<'a> Fields<'a> {
    /// Reads `raw` as an object without a key that stands twice.
    pub fn read(raw: &'a RawValue, what: &'static str, code: Code) -> Result<Self, Refusal> {
        let object: Entries<'a> = serde_json::from_str(raw.get())
            .map_err(|_| Refusal::new(code, format!("{what} must be a JSON object")))?;
        if let Some(key) = object.twice {
            return Err(Refusal::new(code, format!("{what}: {} stands there twice", quoted(&key))));
        }
        Ok(Self { entries: object.entries, what, code })
    }

    /// Reads parameters, which have to be there.
    pub fn of_params(params: Option<&'a RawValue>, what: &'static str) -> Result<Self, Refusal> {
        let missing = || Refusal::new(Code::InvalidParams, format!("{what} needs parameters"));
        Self::read(params.ok_or_else(missing)?, what, Code::InvalidParams)
    }

    /// The JSON of a field; `None` when it is missing or `null`.
    pub fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.entries.get(name).copied().filter(|raw| raw.get() != "null")
    }

    /// A refusal that names the field.
    pub fn wrong(&self, name: &str, must: impl fmt::Display) -> Refusal {
        Refusal::new(self.code, format!("{}: `{name}` {must}", self.what))
    }

    /// A text of at most `bytes_max` bytes.
    pub fn text(&self, name: &str, bytes_max: usize) -> Result<Option<Cow<'a, str>>, Refusal> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let text = text_of(raw).ok_or_else(|| self.wrong(name, "must be a text"))?;
        if text.len() > bytes_max {
            return Err(self.wrong(name, format_args!("has at most {bytes_max} bytes, not {}", text.len())));
        }
        Ok(Some(text))
    }

    /// A text that is there and not empty.
    pub fn required_text(&self, name: &str, bytes_max: usize) -> Result<Cow<'a, str>, Refusal> {
        match self.text(name, bytes_max)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.wrong(name, "is missing")),
        }
    }

    /// A text for people: no control characters, at most `characters_max` characters.
    pub fn name(&self, name: &str, characters_max: usize) -> Result<Option<String>, Refusal> {
        let Some(text) = self.text(name, characters_max.saturating_mul(4))? else { return Ok(None) };
        if text.chars().count() > characters_max || text.chars().any(char::is_control) {
            let must = format_args!("has at most {characters_max} characters and no control characters");
            return Err(self.wrong(name, must));
        }
        Ok(Some(text.into_owned()))
    }

    /// A whole number from 0 to 2^53 − 1, however it is written.
    pub fn whole_number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let must = || self.wrong(name, "must be a whole number from 0 to 9007199254740991");
        whole_number_of(raw).map(Some).ok_or_else(must)
    }

    /// A whole number that is there.
    pub fn required_whole_number(&self, name: &str) -> Result<u64, Refusal> {
        self.whole_number(name)?.ok_or_else(|| self.wrong(name, "is missing"))
    }

    /// A number, whole or not.
    pub fn number(&self, name: &str) -> Result<Option<f64>, Refusal> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|_| self.wrong(name, "must be a number"))
    }

    /// A list of at most `count_max` texts of at most `bytes_max` bytes each.
    pub fn texts(
        &self,
        name: &str,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Option<Vec<String>>, Refusal> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let texts: Vec<Text<'_>> =
            serde_json::from_str(raw.get()).map_err(|_| self.wrong(name, "must be a list of texts"))?;
        if texts.len() > count_max || texts.iter().any(|text| text.0.len() > bytes_max) {
            let must = format_args!("has at most {count_max} texts of at most {bytes_max} bytes each");
            return Err(self.wrong(name, must));
        }
        Ok(Some(texts.into_iter().map(|text| text.0.into_owned()).collect()))
    }

    /// The keys, in order, with their JSON.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.entries.iter().map(|(key, raw)| (&**key, *raw))
    }
}

/// The text that `raw` is; `None` when it is something else.
pub(crate) fn text_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

fn whole_number_of(raw: &RawValue) -> Option<u64> {
    let text = raw.get();
    if let Ok(number) = text.parse::<u64>() {
        return (number <= WHOLE_NUMBER_MAX).then_some(number);
    }
    let number: f64 = serde_json::from_str(text).ok()?;
    let is_whole = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and in range, see above"
    )]
    let whole = number as u64;
    is_whole.then_some(whole)
}

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OfObject;

        impl<'de> Visitor<'de> for OfObject {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut object = Entries { entries: BTreeMap::new(), twice: None };
                while let Some((Text(key), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    if object.entries.contains_key(&key) {
                        object.twice.get_or_insert_with(|| key.clone().into_owned());
                    }
                    object.entries.insert(key, value);
                }
                Ok(object)
            }
        }

        from.deserialize_map(OfObject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).unwrap()
    }

    fn refused<T>(result: Result<T, Refusal>) -> String {
        let Err(refusal) = result else { panic!("taken") };
        assert_eq!(refusal.code, Code::InvalidParams);
        refusal.message
    }

    #[test]
    fn a_wrong_field_is_named_with_what_it_must_be() {
        let object = raw(r#"{"a":5,"b":"four","c":["x",1],"d":-1,"e":"","f":"tab\t","g":null}"#);
        let fields = Fields::read(&object, "it", Code::InvalidParams).unwrap();
        assert_eq!(refused(fields.text("a", 9)), "it: `a` must be a text");
        assert_eq!(refused(fields.text("b", 3)), "it: `b` has at most 3 bytes, not 4");
        assert_eq!(refused(fields.texts("c", 9, 9)), "it: `c` must be a list of texts");
        assert!(refused(fields.whole_number("d")).contains("`d` must be a whole number"));
        for missing in ["e", "g", "nowhere"] {
            assert_eq!(refused(fields.required_text(missing, 9)), format!("it: `{missing}` is missing"));
        }
        assert!(refused(fields.name("f", 9)).contains("no control characters"));
        assert!(refused(Fields::of_params(None, "it")).contains("needs parameters"));
    }

    #[test]
    fn an_object_with_a_key_twice_and_what_is_no_object_are_refused() {
        for (text, why) in [
            (r#"{"a":1,"b":2,"a":3}"#, r#""a" stands there twice"#),
            (r#"{"a":1,"\u0061":3}"#, r#""a" stands there twice"#),
            ("[1]", "must be a JSON object"),
            ("7", "must be a JSON object"),
        ] {
            let object = raw(text);
            assert!(refused(Fields::read(&object, "it", Code::InvalidParams)).contains(why), "{text}");
        }
    }

    #[test]
    fn a_whole_number_is_taken_however_it_is_written() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1730000000000", Some(1_730_000_000_000)),
            ("1.73e12", Some(1_730_000_000_000)),
            ("5.0", Some(5)),
            ("9007199254740991", Some(9_007_199_254_740_991)),
            ("9007199254740992", None),
            ("5.5", None),
            ("-1", None),
            ("1e300", None),
            ("\"5\"", None),
            ("true", None),
        ] {
            assert_eq!(whole_number_of(&raw(text)), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_object_panics(text in r#"\{("[ab]":(1|-1|"x"|\[\]|\{\}|null|1e9),?){0,6}\}"#) {
            if let Ok(object) = serde_json::from_str::<Box<RawValue>>(&text)
                && let Ok(fields) = Fields::read(&object, "it", Code::InvalidParams)
            {
                let _ = (fields.text("a", 1), fields.texts("a", 1, 1), fields.whole_number("a"), fields.name("b", 1));
            }
        }
    }
}
