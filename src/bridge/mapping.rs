//! The mapping table: which key expression of a foreign program becomes which sensor, and how.

use std::fmt;

use clawmesh_authority::{Capability, Code, Refusal, SensorSpec, Unit};
use serde::{Deserialize, Serialize};
use zenoh::key_expr::keyexpr;

use crate::keys;

/// One row of the mapping table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Which samples, as a zenoh key expression outside of `clawmesh/`.
    pub key_expr: String,
    /// The sensor of this node that they become.
    pub sensor: Capability,
    /// How a number is found in them.
    pub decoder: Decoder,
    /// The quantity in words, for example `soil moisture`.
    pub quantity: String,
    /// The unit of the number; nothing is converted.
    pub unit: Unit,
    /// The time between two samples when all is well, milliseconds.
    pub period_ms: u32,
    /// The physically possible values, lowest and highest.
    #[serde(default)]
    pub range: Option<(f64, f64)>,
    /// A value that has not changed for this long is stuck, milliseconds; absent if it may rest.
    #[serde(default)]
    pub stuck_after_ms: Option<u32>,
    /// The belief the readings feed; absent means one of their own.
    #[serde(default)]
    pub about: Option<String>,
}

/// How a number is found in a payload. Nothing is guessed: what does not fit is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decoder {
    /// The payload is the text of one number, for example `23.5`.
    Number,
    /// The payload is a JSON document, the number stands where this pointer (RFC 6901) leads.
    JsonPointer(String),
}

impl fmt::Display for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number => f.write_str("the text of one number"),
            Self::JsonPointer(pointer) => write!(f, "a JSON document with a number at {pointer:?}"),
        }
    }
}

impl Mapping {
    /// Says what is wrong with this row, if anything is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let expression = match keyexpr::new(self.key_expr.as_str()) {
            Ok(expression) => expression,
            Err(why) => return Some(format!("`key_expr` is no zenoh key expression: {why}")),
        };
        if keyexpr::new(keys::OURS).is_ok_and(|ours| ours.intersects(expression)) {
            return Some(
                "`key_expr` takes in keys of clawmesh itself; name keys outside of `clawmesh/`".to_owned(),
            );
        }
        self.decoder.fault().or_else(|| self.spec().fault())
    }

    /// The sensor this row makes.
    #[must_use]
    pub fn spec(&self) -> SensorSpec {
        SensorSpec {
            sensor: self.sensor.clone(),
            quantity: self.quantity.clone(),
            unit: self.unit,
            period_ms: self.period_ms,
            range: self.range,
            stuck_after_ms: self.stuck_after_ms,
            about: self.about.clone(),
        }
    }

    /// The number in `payload`, which came under `key`. Of many programs under one expression, the refusal names
    /// the one that was wrong; `tally` cuts a long key.
    pub(crate) fn decode(&self, key: &str, payload: &[u8]) -> Result<f64, Refusal> {
        let number = self.decoder.number_in(payload).map_err(|why| {
            let sentence = format!("{why}; the mapping of `{}` wants {}", self.key_expr, self.decoder);
            Refusal::new(Code::UndecodableSample, key, sentence)
        })?;
        if number.is_finite() {
            return Ok(number);
        }
        let sentence = format!(
            "a sample for the mapping of `{}` is {number}; send nothing while there is no measurement",
            self.key_expr
        );
        Err(Refusal::new(Code::NotANumber, key, sentence))
    }

    /// Refuses a payload of `bytes` bytes under `key` when more than `bytes_max` are too many.
    pub(crate) fn judge_size(&self, key: &str, bytes: usize, bytes_max: usize) -> Result<(), Refusal> {
        if bytes <= bytes_max {
            return Ok(());
        }
        let sentence = format!(
            "a sample for the mapping of `{}` has {bytes} bytes, at most {bytes_max} are taken; \
             send the measurement alone",
            self.key_expr
        );
        Err(Refusal::new(Code::TooLarge, key, sentence))
    }
}

impl Decoder {
    fn fault(&self) -> Option<String> {
        let Self::JsonPointer(pointer) = self else { return None };
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Some(format!("the JSON pointer {pointer:?} does not begin with `/`"));
        }
        let is_whole = |rest: &str| rest.starts_with('0') || rest.starts_with('1');
        (!pointer.split('~').skip(1).all(is_whole))
            .then(|| format!("the JSON pointer {pointer:?} has a `~` that is neither `~0` nor `~1`"))
    }

    fn number_in(&self, payload: &[u8]) -> Result<f64, String> {
        match self {
            Self::Number => number_in_text(payload),
            Self::JsonPointer(pointer) => number_in_json(payload, pointer),
        }
    }
}

fn number_in_text(payload: &[u8]) -> Result<f64, String> {
    let text = std::str::from_utf8(payload).map_err(|_| "the payload is not UTF-8 text".to_owned())?;
    let text = text.trim_ascii();
    text.parse().map_err(|_| format!("the payload {} is no number", quoted(text)))
}

fn number_in_json(payload: &[u8], pointer: &str) -> Result<f64, String> {
    let document: serde_json::Value =
        serde_json::from_slice(payload).map_err(|why| format!("the payload is no JSON document ({why})"))?;
    let found =
        document.pointer(pointer).ok_or_else(|| format!("the document has nothing at {pointer:?}"))?;
    found.as_f64().ok_or_else(|| format!("at {pointer:?} stands {}", quoted(&found.to_string())))
}

/// The beginning of a text from outside.
fn quoted(text: &str) -> String {
    let mut beginning: String = text.chars().take(32).collect();
    if beginning.len() < text.len() {
        beginning.push('…');
    }
    format!("{beginning:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One of the keys that a wider key expression may take in.
    const KEY: &str = "farm/tank/level/left";

    fn mapping(decoder: Decoder) -> Mapping {
        Mapping {
            key_expr: "farm/tank/level".to_owned(),
            sensor: Capability::new("sensor:level:tank").unwrap(),
            decoder,
            quantity: "level".to_owned(),
            unit: Unit::Percent,
            period_ms: 1_000,
            range: Some((0.0, 100.0)),
            stuck_after_ms: None,
            about: None,
        }
    }

    fn pointer(pointer: &str) -> Mapping {
        mapping(Decoder::JsonPointer(pointer.to_owned()))
    }

    #[test]
    fn numbers_are_found_where_the_mapping_says() {
        for (mapping, payload, number) in [
            (mapping(Decoder::Number), "23.5", 23.5),
            (mapping(Decoder::Number), " -4e-2\n", -0.04),
            (pointer(""), "7", 7.0),
            (pointer("/t"), r#"{"t": 21.25, "u": "C"}"#, 21.25),
            (pointer("/zones/1/a~1b"), r#"{"zones": [{}, {"a/b": 3}]}"#, 3.0),
        ] {
            assert_eq!(mapping.decode(KEY, payload.as_bytes()), Ok(number), "{payload}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_says_what_would() {
        for (mapping, payload, code, words) in [
            (
                mapping(Decoder::Number),
                &b"warm"[..],
                Code::UndecodableSample,
                "\"warm\" is no number; the mapping of `farm/tank/level` wants the text",
            ),
            (mapping(Decoder::Number), b"", Code::UndecodableSample, "\"\" is no number"),
            (mapping(Decoder::Number), &[0xff; 8], Code::UndecodableSample, "not UTF-8"),
            (mapping(Decoder::Number), b"NaN", Code::NotANumber, "is NaN"),
            (mapping(Decoder::Number), b"-inf", Code::NotANumber, "is -inf"),
            (mapping(Decoder::Number), b"1e999", Code::NotANumber, "is inf"),
            (pointer("/t"), br#"{"t": NaN}"#, Code::UndecodableSample, "no JSON document"),
            (pointer("/t"), br#"{"t": "21"}"#, Code::UndecodableSample, "stands"),
            (pointer("/t"), br#"{"u": 21}"#, Code::UndecodableSample, "nothing at \"/t\""),
        ] {
            let refusal = mapping.decode(KEY, payload).unwrap_err();
            assert_eq!((refusal.code, refusal.from.as_str()), (code, KEY), "{refusal}");
            assert!(refusal.sentence.contains(words), "{refusal}");
        }
    }

    #[test]
    fn size_is_named_with_its_bound() {
        let mapping = mapping(Decoder::Number);
        assert_eq!(mapping.judge_size(KEY, 64, 64), Ok(()));
        let refusal = mapping.judge_size(KEY, 10_000_000, 65_536).unwrap_err();
        assert_eq!((refusal.code, refusal.from.as_str()), (Code::TooLarge, KEY));
        assert!(refusal.sentence.contains("10000000") && refusal.sentence.contains("65536"), "{refusal}");
    }

    #[test]
    fn a_row_that_makes_no_sense_says_which_part() {
        assert_eq!(mapping(Decoder::Number).fault(), None);
        assert_eq!(pointer("").fault(), None);
        let key = |key_expr: &str| Mapping { key_expr: key_expr.to_owned(), ..mapping(Decoder::Number) };
        assert_eq!(key("farm/*/level").fault(), None);
        for (broken, words) in [
            (key(""), "key_expr"),
            (key("farm//level"), "key_expr"),
            (key("/farm"), "key_expr"),
            (key("clawmesh/x/level"), "clawmesh"),
            (key("**"), "clawmesh"),
            (key("*/x"), "clawmesh"),
            (pointer("t"), "begin with"),
            (pointer("/a~2"), "`~`"),
            (Mapping { period_ms: 0, ..mapping(Decoder::Number) }, "period"),
            (Mapping { range: Some((1.0, 0.0)), ..mapping(Decoder::Number) }, "range"),
        ] {
            let fault = broken.fault().unwrap();
            assert!(fault.contains(words), "{fault}");
        }
    }

    #[test]
    fn optional_columns_may_be_left_out_and_unknown_ones_are_named() {
        let row = r#"{"key_expr": "farm/t", "sensor": "sensor:t", "decoder": {"JsonPointer": "/t"},
                      "quantity": "temperature", "unit": "Cel", "period_ms": 500}"#;
        let read: Mapping = serde_json::from_str(row).unwrap();
        assert_eq!((read.range, read.stuck_after_ms, read.about.clone()), (None, None, None));
        let again: Mapping = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
        assert_eq!(again, read);
        let fault =
            serde_json::from_str::<Mapping>(&row.replace("period_ms", "periode")).unwrap_err().to_string();
        assert!(fault.contains("periode"), "{fault}");
    }

    proptest! {
        #[test]
        fn every_finite_number_survives_its_text(number in prop::num::f64::NORMAL | prop::num::f64::ZERO) {
            prop_assert_eq!(mapping(Decoder::Number).decode(KEY, number.to_string().as_bytes()), Ok(number));
            let document = serde_json::json!({ "t": number }).to_string();
            prop_assert_eq!(pointer("/t").decode(KEY, document.as_bytes()), Ok(number));
        }

        #[test]
        fn no_payload_panics_or_gives_a_number_that_is_none(payload: Vec<u8>, at in "(/[a-z~01]{0,3}){0,3}") {
            for mapping in [mapping(Decoder::Number), pointer(&at)] {
                if let Ok(number) = mapping.decode(KEY, &payload) {
                    prop_assert!(number.is_finite());
                }
            }
        }

        #[test]
        fn no_key_expression_panics(key_expr in ".{0,40}") {
            let _ = Mapping { key_expr, ..mapping(Decoder::Number) }.fault();
        }
    }
}
