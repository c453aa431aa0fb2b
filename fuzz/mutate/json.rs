//! Changes of a JSON document at its nodes: fields dropped, doubled, renamed; values of another type, huge, deep, at a bound.
//!
//! Nodes keep the text they came as, so that what no writer of JSON would write goes through: doubled keys, half surrogates,
//! numbers that no machine has.

use clawmesh_lab::SplitMix64;

use crate::pool::index;

/// Documents that nest deeper are changed as bytes.
const DEPTH_MAX: usize = 100;

/// Values that readers turn at. The times are around the one that every target takes for now.
const VALUES: [&str; 44] = [
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "[[]]",
    "\"\"",
    "0",
    "-0",
    "1",
    "2",
    "-1",
    "1.5",
    "0.1",
    "1e0",
    "1e308",
    "1e999",
    "-1e999",
    "1e-999",
    "255",
    "65536",
    "4294967296",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "NaN",
    "1800000000000",
    "1799999700000",
    "1799999699999",
    "1800000300000",
    "1800000300001",
    "1800086400000",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\u{202e}\u{200b}\"",
    "\"\\\"\"",
    "\"null\"",
    "\"1\"",
    "\"__proto__\"",
];

/// Lengths around the bounds of the protocol.
const LENGTHS: [usize; 12] = [1, 63, 64, 65, 127, 128, 129, 256, 512, 4_097, 8_193, 66_000];

enum Json {
    /// A text, a number, a word, as it stands.
    Leaf(String),
    List(Vec<Json>),
    /// Keys with their quotes.
    Object(Vec<(String, Json)>),
}

/// Changes `input` once; `None` when it is no JSON.
pub fn changed(input: &[u8], donor: &[u8], rng: &mut SplitMix64) -> Option<Vec<u8>> {
    let mut document = parse(std::str::from_utf8(input).ok()?)?;
    let donor = std::str::from_utf8(donor).ok().and_then(parse);
    let mut at = index(rng, document.count());
    let mut gift = donor.as_ref().map(|donor| donor.nth(&mut index(rng, donor.count())).copy());
    let name = donor.as_ref().and_then(|donor| donor.any_key(rng));
    document.change(&mut at, &mut |node| node.altered(gift.take(), name.clone(), rng));
    let mut text = String::new();
    document.write(&mut text);
    Some(text.into_bytes())
}

impl Json {
    fn count(&self) -> usize {
        1 + match self {
            Self::Leaf(_) => 0,
            Self::List(items) => items.iter().map(Self::count).sum(),
            Self::Object(fields) => fields.iter().map(|(_, value)| value.count()).sum::<usize>(),
        }
    }

    fn children(&self) -> Box<dyn Iterator<Item = &Self> + '_> {
        match self {
            Self::Leaf(_) => Box::new(std::iter::empty()),
            Self::List(items) => Box::new(items.iter()),
            Self::Object(fields) => Box::new(fields.iter().map(|(_, value)| value)),
        }
    }

    /// The node at this place, counted from the outside in; the last one when there are less.
    fn nth(&self, at: &mut usize) -> &Self {
        if *at == 0 {
            return self;
        }
        *at -= 1;
        for child in self.children() {
            let count = child.count();
            if *at < count {
                return child.nth(at);
            }
            *at -= count;
        }
        self
    }

    fn change(&mut self, at: &mut usize, change: &mut dyn FnMut(&mut Self)) -> bool {
        if *at == 0 {
            change(self);
            return true;
        }
        *at -= 1;
        match self {
            Self::Leaf(_) => false,
            Self::List(items) => items.iter_mut().any(|item| item.change(at, change)),
            Self::Object(fields) => fields.iter_mut().any(|(_, value)| value.change(at, change)),
        }
    }

    fn copy(&self) -> Self {
        match self {
            Self::Leaf(text) => Self::Leaf(text.clone()),
            Self::List(items) => Self::List(items.iter().map(Self::copy).collect()),
            Self::Object(fields) => {
                Self::Object(fields.iter().map(|(key, value)| (key.clone(), value.copy())).collect())
            }
        }
    }

    fn any_key(&self, rng: &mut SplitMix64) -> Option<String> {
        let node = self.nth(&mut index(rng, self.count()));
        let Self::Object(fields) = node else { return None };
        fields.get(index(rng, fields.len())).map(|(key, _)| key.clone())
    }

    fn altered(&mut self, gift: Option<Self>, name: Option<String>, rng: &mut SplitMix64) {
        if rng.chance(20) {
            *self = Self::Leaf(VALUES[index(rng, VALUES.len())].to_owned());
            return;
        }
        if rng.chance(4) {
            *self = self.nested(rng);
            return;
        }
        match self {
            Self::Leaf(text) => match gift {
                Some(gift) if rng.chance(35) => *self = gift,
                _ => *text = altered_leaf(text, rng),
            },
            Self::List(items) => alter_list(items, gift, rng),
            Self::Object(fields) => alter_object(fields, gift, name, rng),
        }
    }

    fn nested(&self, rng: &mut SplitMix64) -> Self {
        let deep = [1, 2, 60, 63, 64, 65, 127, 128, 200, 20_000][index(rng, 10)];
        let (open, close) = [("[", "]"), ("{\"x\":", "}")][index(rng, 2)];
        let mut text = open.repeat(deep);
        self.write(&mut text);
        text.push_str(&close.repeat(deep));
        Self::Leaf(text)
    }

    fn write(&self, to: &mut String) {
        match self {
            Self::Leaf(text) => to.push_str(text),
            Self::List(items) => {
                to.push('[');
                for (at, item) in items.iter().enumerate() {
                    to.push_str(if at == 0 { "" } else { "," });
                    item.write(to);
                }
                to.push(']');
            }
            Self::Object(fields) => {
                to.push('{');
                for (at, (key, value)) in fields.iter().enumerate() {
                    to.push_str(if at == 0 { "" } else { "," });
                    to.push_str(key);
                    to.push(':');
                    value.write(to);
                }
                to.push('}');
            }
        }
    }
}

fn alter_list(items: &mut Vec<Json>, gift: Option<Json>, rng: &mut SplitMix64) {
    if items.is_empty() {
        items.extend(gift);
        return;
    }
    let (at, other) = (index(rng, items.len()), index(rng, items.len()));
    match rng.below(7) {
        0 => drop(items.remove(at)),
        1 => items.swap(at, other),
        2 => items.reverse(),
        3 => items.truncate(at),
        4 => {
            let again = items[at].copy();
            items.insert(other, again);
        }
        5 => {
            let times = [1, 2, 5, 70, 300][index(rng, 5)];
            let again: Vec<Json> = (0..times).map(|_| items[at].copy()).collect();
            items.splice(at..at, again);
        }
        _ => items.splice(at..at, gift).for_each(drop),
    }
}

fn alter_object(
    fields: &mut Vec<(String, Json)>,
    gift: Option<Json>,
    name: Option<String>,
    rng: &mut SplitMix64,
) {
    let gift = gift.unwrap_or_else(|| Json::Leaf("1".to_owned()));
    let name = name.unwrap_or_else(|| "\"x\"".to_owned());
    if fields.is_empty() {
        fields.push((name, gift));
        return;
    }
    let (at, other) = (index(rng, fields.len()), index(rng, fields.len()));
    match rng.below(7) {
        0 | 1 => drop(fields.remove(at)),
        2 => {
            let again = (fields[at].0.clone(), fields[at].1.copy());
            fields.insert(other, again);
        }
        3 => fields[at].0 = name,
        4 => fields[at].0 = altered_leaf(&fields[at].0, rng),
        5 => fields[at].1 = Json::Leaf("null".to_owned()),
        _ => fields.insert(at, (name, gift)),
    }
}

fn altered_leaf(text: &str, rng: &mut SplitMix64) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return altered_number(text, rng);
    };
    let inner = match rng.below(9) {
        0 => inner.to_uppercase(),
        1 => format!(" {inner}\\t"),
        2 => format!("\u{200b}{inner}"),
        3 => inner.chars().skip(1).collect(),
        4 => format!("{inner}x"),
        5 => format!("{inner}\\ud800"),
        6 => inner.chars().rev().collect(),
        7 => "é".repeat(LENGTHS[index(rng, LENGTHS.len())] / 2),
        _ => "x".repeat(LENGTHS[index(rng, LENGTHS.len())]),
    };
    format!("\"{inner}\"")
}

fn altered_number(text: &str, rng: &mut SplitMix64) -> String {
    let Ok(number) = text.parse::<i128>() else { return VALUES[index(rng, VALUES.len())].to_owned() };
    let by = [1, -1, 1_000, -1_000, 300_000, -300_000, 300_001, -300_001, 86_400_000][index(rng, 9)];
    match rng.below(4) {
        0 => format!("{number}.0"),
        1 => format!("-{number}"),
        _ => number.saturating_add(by).to_string(),
    }
}

fn parse(text: &str) -> Option<Json> {
    let mut rest = text;
    let document = value(&mut rest, 0)?;
    rest.trim_start().is_empty().then_some(document)
}

fn value(rest: &mut &str, depth: usize) -> Option<Json> {
    *rest = rest.trim_start();
    match rest.chars().next()? {
        _ if depth > DEPTH_MAX => None,
        '[' => {
            let mut items = Vec::new();
            while begins_item(rest, items.is_empty(), ']')? {
                items.push(value(rest, depth + 1)?);
            }
            Some(Json::List(items))
        }
        '{' => {
            let mut fields = Vec::new();
            while begins_item(rest, fields.is_empty(), '}')? {
                *rest = rest.trim_start();
                let key = quoted(rest)?;
                *rest = rest.trim_start().strip_prefix(':')?;
                fields.push((key, value(rest, depth + 1)?));
            }
            Some(Json::Object(fields))
        }
        '"' => quoted(rest).map(Json::Leaf),
        _ => {
            let end = rest.find([',', ']', '}', ':']).unwrap_or(rest.len());
            let (leaf, behind) = rest.split_at(end);
            *rest = behind;
            (!leaf.is_empty()).then(|| Json::Leaf(leaf.trim_end().to_owned()))
        }
    }
}

/// Goes past the bracket or the comma before an item; false, past the closing bracket, when there is none.
fn begins_item(rest: &mut &str, is_first: bool, close: char) -> Option<bool> {
    *rest = rest.trim_start();
    if is_first {
        *rest = rest.get(1..)?;
    }
    let begin = rest.trim_start();
    if let Some(behind) = begin.strip_prefix(close) {
        *rest = behind;
        return Some(false);
    }
    *rest = if is_first { begin } else { begin.strip_prefix(',')? };
    Some(true)
}

/// A text with its quotes.
fn quoted(rest: &mut &str) -> Option<String> {
    rest.strip_prefix('"')?;
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find_map(|(at, c)| match c {
        _ if escaped => {
            escaped = false;
            None
        }
        '\\' => {
            escaped = true;
            None
        }
        '"' => Some(at + 1),
        _ => None,
    })?;
    let (text, behind) = rest.split_at(end);
    *rest = behind;
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_as_it_was() {
        for text in [
            r#"{"a":[1,{"a":null,"a":"x\"y"},[]],"b":{}}"#,
            r#"[NaN,1e999,"\ud800",[[["é"]]]]"#,
            r#""text""#,
            "17",
        ] {
            let mut written = String::new();
            parse(text).expect(text).write(&mut written);
            assert_eq!(written, text);
        }
        for no in ["", "[1", "{\"a\"}", "[1]]", "{1:2}", "\"x"] {
            assert!(parse(no).is_none(), "{no}");
        }
    }

    #[test]
    fn every_field_is_dropped_and_doubled_sooner_or_later() {
        let input = br#"{"one":1,"two":{"three":[2]}}"#;
        let mut rng = SplitMix64::new(5);
        let made: Vec<String> = (0..3_000)
            .filter_map(|_| changed(input, b"{\"four\":4}", &mut rng))
            .filter_map(|made| String::from_utf8(made).ok())
            .collect();
        for wanted in [
            r#"{"two":{"three":[2]}}"#,
            r#"{"one":1,"one":1,"two":{"three":[2]}}"#,
            r#"{"one":1,"two":{}}"#,
            r#"{"one":null,"two":{"three":[2]}}"#,
            r#"{"one":1,"two":[]}"#,
        ] {
            assert!(made.iter().any(|made| made == wanted), "{wanted}");
        }
    }
}
