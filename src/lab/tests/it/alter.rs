//! Every way to alter one value of a component, through serde.
//!
//! Digests are computed from the CBOR encoding; altering goes through serde, which knows the same fields from
//! a derive of its own. A field that one of them skips is seen by the other.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Copies of `value` that differ from it in one place, each with the place.
pub fn altered<T: Serialize + DeserializeOwned + PartialEq>(value: &T) -> Vec<(String, T)> {
    let json = serde_json::to_value(value).expect("every component has a serde form");
    let mut found = Vec::new();
    for place in places(&json, "") {
        let candidates = candidates(json.pointer(&place).expect("the place is in the value"), &place, value);
        let altered = candidates.into_iter().find_map(|candidate| {
            let mut json = json.clone();
            *json.pointer_mut(&place)? = candidate;
            serde_json::from_value::<T>(json).ok().filter(|altered| altered != value)
        });
        found.push((
            place.clone(),
            altered.unwrap_or_else(|| panic!("{place:?} of {json} cannot be altered")),
        ));
    }
    found
}

/// JSON pointers to every leaf and every list and map: each is a value somebody could alter.
fn places(json: &Value, at: &str) -> Vec<String> {
    match json {
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().flat_map(|(n, item)| places(item, &format!("{at}/{n}"))).collect()
        }
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().flat_map(|(name, field)| places(field, &format!("{at}/{name}"))).collect()
        }
        _ => vec![at.to_owned()],
    }
}

fn candidates<T: Serialize + DeserializeOwned>(leaf: &Value, place: &str, whole: &T) -> Vec<Value> {
    match leaf {
        Value::Null => vec![
            json!(1),
            json!("x"),
            json!("BUSY"),
            json!("left"),
            json!("Date"),
            json!("00"),
            json!("kPa"),
            json!([0.0, 1.0]),
            json!(-1),
            json!(true),
        ],
        Value::Bool(flag) => vec![json!(!flag)],
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(n), _) => vec![json!(n + 1), json!(n as f64 + 1.0), json!(n.saturating_sub(1))],
            (_, Some(n)) => vec![json!(n + 1)],
            _ => vec![json!(number.as_f64().expect("a float") + 1.0)],
        },
        Value::String(text) => {
            let mut texts = vec![flip_last(text), format!("{text}x"), "kPa".to_owned(), "BUSY".to_owned()];
            texts.extend(expected_variants(place, whole));
            texts.into_iter().map(Value::String).collect()
        }
        // An empty list or map is altered by one more entry, of whatever kind it takes.
        Value::Array(_) => vec![
            json!([1]),
            json!([null]),
            json!(["ff".repeat(32)]),
            json!([{"of": "x", "act": {"Drive": {"to": [0.0, 0.0]}}}]),
        ],
        Value::Object(_) => vec![
            Value::Object(Map::from_iter([("ff".repeat(32), json!({}))])),
            json!({"x": {"at": [0.0, 0.0], "age_s": 1.0}}),
            json!({"x": {"at": [0.0, 0.0], "heading_deg": 1.0, "sigma_m": 1.0}}),
            json!({"x": {"7": {"litres": 1.0, "seconds": 1.0}}}),
        ],
    }
}

/// Another hexadecimal digit at the end, so that ids stay ids.
fn flip_last(text: &str) -> String {
    let mut flipped = text.to_owned();
    let last = flipped.pop();
    flipped.push(if last == Some('0') { '1' } else { '0' });
    flipped
}

/// serde says which variants it expects when it is given one that is none.
fn expected_variants<T: Serialize + DeserializeOwned>(place: &str, whole: &T) -> Vec<String> {
    let mut json = serde_json::to_value(whole).expect("every component has a serde form");
    *json.pointer_mut(place).expect("the place is in the value") = json!("no such variant");
    let Err(fault) = serde_json::from_value::<T>(json) else { return Vec::new() };
    fault.to_string().split('`').skip(1).step_by(2).skip(1).map(str::to_owned).collect()
}
