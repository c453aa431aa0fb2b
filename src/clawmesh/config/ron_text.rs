//! From RON text to values. What RON has to say about a fault becomes a sentence with file, line and key.

use std::path::Path;

use ron::error::{Error, SpannedError};
use ron::extensions::Extensions;
use serde::de::DeserializeOwned;

use crate::config::error::{ConfigError, Place, Position};
use crate::config::ron_marks;

/// What may stand behind a key, in words; the key as in [`ron_marks::Mark`], without element numbers.
pub type Hints = fn(&str) -> Option<&'static str>;

/// RON repeats what it found, which may be a whole file.
const SENTENCE_CHARACTERS_MAX: usize = 400;

/// Reads a value. `Some(..)` may be left out in the text: people write `port: 18789`.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str, hints: Hints) -> Result<T, ConfigError> {
    let text = without_mark(text);
    if text.trim().is_empty() {
        return Err(refused(path, None, "the file is empty; fill it, or remove it".to_owned()));
    }
    let options = ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME);
    options.from_str(text).map_err(|error| explain(path, text, error, hints))
}

/// Like [`parse`], from the bytes of a file.
pub fn parse_bytes<T: DeserializeOwned>(path: &Path, content: &[u8]) -> Result<T, ConfigError> {
    parse(path, utf8(path, content)?, |_| None)
}

/// The content as text.
pub fn utf8<'a>(path: &Path, content: &'a [u8]) -> Result<&'a str, ConfigError> {
    std::str::from_utf8(content).map_err(|fault| {
        let before = &content[..fault.valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        refused(path, None, format!("the file is not UTF-8 text (line {line}); save it as UTF-8"))
    })
}

/// The error for a value that parses and is wrong all the same; `path_in_text` like in [`ron_marks::Mark`].
#[must_use]
pub fn wrong_value(path: &Path, text: &str, path_in_text: &str, sentence: String) -> ConfigError {
    refused(path, ron_marks::find(without_mark(text), path_in_text), sentence)
}

/// Some editors put a byte order mark in front.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn refused(path: &Path, position: Option<Position>, sentence: String) -> ConfigError {
    ConfigError::Refused { place: Place::File { path: path.to_owned(), position }, sentence }
}

fn explain(path: &Path, text: &str, error: SpannedError, hints: Hints) -> ConfigError {
    let reached = Position { line: error.span.end.line, column: error.span.end.col };
    let about = ron_marks::enclosing(text, reached);
    let begins = about.as_deref().and_then(|key| ron_marks::find(text, key));
    match error.code {
        Error::NoSuchStructField { expected: known, found: key, .. } => {
            let position = last_mark(text, &key, reached).or(Some(reached));
            let suggestion = nearest(&key, known);
            let place = Place::File { path: path.to_owned(), position };
            ConfigError::UnknownKey { place, key: shortened(&key), known, suggestion }
        }
        Error::MissingStructField { field, .. } => missing_key(path, text, reached, field),
        Error::DuplicateStructField { field, .. } => {
            refused(path, Some(reached), format!("the key `{field}` is given twice; keep one"))
        }
        Error::NoSuchEnumVariant { expected, found, .. } => {
            refused(path, begins.or(Some(reached)), unknown_word(about.as_deref(), &found, expected))
        }
        Error::SuggestRawIdentifier(key) if key.contains('-') => {
            let key = shortened(&key);
            let right = key.replace('-', "_");
            refused(path, Some(reached), format!("`{key}` is no key; keys have underscores: `{right}`"))
        }
        Error::ExpectedComma => match run_on(text, reached) {
            Some(extra) => {
                refused(path, begins.or(Some(reached)), about_key(about.as_deref(), &extra, hints))
            }
            None => refused(path, Some(reached), missing_comma(ron_marks::enclosing(text, before(reached)))),
        },
        other if is_about_a_value(&other) => {
            let words = in_our_words(&other);
            refused(path, begins.or(Some(reached)), about_key(about.as_deref(), &words, hints))
        }
        other => refused(path, Some(reached), in_our_words(&other)),
    }
}

/// RON misses a key at the closing bracket, so what stands before it is in the same struct, or is it.
fn missing_key(path: &Path, text: &str, reached: Position, field: &str) -> ConfigError {
    let last = ron_marks::enclosing(text, reached).unwrap_or_default();
    let within =
        if last.ends_with(']') { &last } else { last.rsplit_once('.').map_or("", |(within, _)| within) };
    match ron_marks::find(text, within) {
        Some(at) => refused(path, Some(at), format!("the key `{field}` is missing in `{within}`")),
        None => refused(path, Some(reached), format!("the key `{field}` is missing")),
    }
}

/// The key as the last word of a path, at or before `reached`: RON reports an unknown key after reading it.
fn last_mark(text: &str, key: &str, reached: Position) -> Option<Position> {
    let named = |path: &str| path == key || path.strip_suffix(key).is_some_and(|rest| rest.ends_with('.'));
    let marks = ron_marks::marks(text);
    marks
        .iter()
        .take_while(|mark| mark.at <= reached)
        .filter(|mark| named(&mark.path))
        .last()
        .map(|mark| mark.at)
}

fn unknown_word(about: Option<&str>, found: &str, known: &'static [&'static str]) -> String {
    let hint = nearest(found, known).map_or_else(String::new, |word| format!("; did you mean `{word}`?"));
    let key = about.map_or_else(String::new, |key| format!("`{key}`: "));
    let found = shortened(found);
    format!("{key}unknown word `{found}`, known words are {}{hint}", known.join(", "))
}

fn before(at: Position) -> Position {
    Position { column: at.column.saturating_sub(1), ..at }
}

/// What goes on without a blank where RON takes a value for complete, like the fraction of `50.5`.
fn run_on(text: &str, reached: Position) -> Option<String> {
    let line = text.split('\n').nth(reached.line.checked_sub(1)?)?;
    let mut around = line.chars().skip(reached.column.checked_sub(2)?);
    let (last, next) = (around.next()?, around.next()?);
    let goes_on = !last.is_whitespace() && !matches!(last, '/' | '"') && !next.is_whitespace();
    goes_on.then(|| format!("unexpected {next:?} in the value"))
}

fn missing_comma(after: Option<String>) -> String {
    after.map_or_else(|| "a comma is missing".to_owned(), |key| format!("a comma is missing after `{key}`"))
}

/// False when the fault lies between the values, where a word about the last one would mislead.
fn is_about_a_value(error: &Error) -> bool {
    !matches!(
        error,
        Error::Eof
            | Error::TrailingCharacters
            | Error::ExpectedStringEnd
            | Error::ExpectedArrayEnd
            | Error::ExpectedStructLikeEnd
            | Error::ExpectedMapColon
            | Error::ExpectedIdentifier
            | Error::UnclosedBlockComment
            | Error::NoSuchExtension(_)
    )
}

fn about_key(about: Option<&str>, words: &str, hints: Hints) -> String {
    let Some(key) = about else { return words.to_owned() };
    let hint = hints(&without_numbers(key));
    let hint = hint.map_or_else(String::new, |hint| format!("; write {hint}"));
    format!("`{key}`: {words}{hint}")
}

/// `mappings[2].range` becomes `mappings.range`.
fn without_numbers(path: &str) -> String {
    path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect()
}

/// RON's own words begin with a capital, or are about our source; ours, which come through it, are not.
fn in_our_words(error: &Error) -> String {
    let words = match error {
        Error::ExpectedDifferentStructName { .. } | Error::ExpectedNamedStructLike(_) => {
            "expected opening `(`".to_owned()
        }
        Error::TrailingCharacters => "unexpected text after the closing bracket".to_owned(),
        Error::Eof => "the text ends before everything is closed".to_owned(),
        other => other.to_string().replace(|c: char| c.is_control(), " "),
    };
    let mut characters = words.chars();
    let first = characters.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(characters).take(SENTENCE_CHARACTERS_MAX).collect()
}

/// A word from the file as it can stand in a message.
fn shortened(word: &str) -> String {
    word.chars().take(ron_marks::KEY_BYTES_MAX).collect()
}

/// The known word that `found` is most likely meant to be; `None` when it looks like none of them.
fn nearest(found: &str, known: &[&'static str]) -> Option<&'static str> {
    let letters = found.chars().count();
    // A key longer than any of ours is not compared: the table below would grow with it.
    if letters > 64 {
        return None;
    }
    let near = known.iter().map(|word| (slips(found, word), *word));
    let (slips, word) = near.min_by_key(|(slips, _)| *slips)?;
    (slips <= 1 + letters / 4).then_some(word)
}

/// How many letters must be changed, added, left out or swapped with their neighbour to get from `a` to `b`.
fn slips(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut fewest = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                fewest = fewest.min(rows[i - 2][j - 2] + 1);
            }
            row.push(fewest);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    enum Kind {
        Pump,
        Valve(String),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        name: Option<String>,
        port: Option<u16>,
        kind: Kind,
    }

    fn said(text: &str) -> String {
        parse::<Sample>(Path::new("a.ron"), text, |key| (key == "port").then_some("a port"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn some_may_be_left_out() {
        let read: Sample =
            parse(Path::new("a.ron"), "\u{feff}( port: 5, kind: Valve(\"x\") )", |_| None).unwrap();
        assert_eq!(read, Sample { name: None, port: Some(5), kind: Kind::Valve("x".into()) });
    }

    #[test]
    fn a_fault_is_told_with_line_column_and_key() {
        for (text, sentence) in [
            (
                "(\n    port: 5,\n    nmae: \"x\",\n)",
                "a.ron:3:5: unknown key `nmae`, known keys are name, port, kind; did you mean `name`?",
            ),
            ("(zzzzzz: 1)", "a.ron:1:2: unknown key `zzzzzz`, known keys are name, port, kind"),
            ("(\n port: 70000)", "a.ron:2:2: `port`: integer is out of bounds; write a port"),
            (
                "(kind: Punp)",
                "a.ron:1:2: `kind`: unknown word `Punp`, known words are Pump, Valve; did you mean `Pump`?",
            ),
            ("(port: 1, port: 2)", "a.ron:1:15: the key `port` is given twice; keep one"),
            ("(\nport: 1)", "a.ron:2:8: the key `kind` is missing"),
            ("(name: \"x\" port: 1)", "a.ron:1:12: a comma is missing after `name`"),
            (" \n", "a.ron: the file is empty; fill it, or remove it"),
            ("(", "a.ron:1:2: the text ends before everything is closed"),
        ] {
            assert_eq!(said(text), sentence, "{text}");
        }
        let error = parse_bytes::<Sample>(Path::new("a.ron"), b"(\n\xff)").unwrap_err().to_string();
        assert_eq!(error, "a.ron: the file is not UTF-8 text (line 2); save it as UTF-8");
    }

    #[test]
    fn a_message_is_short_however_long_the_text() {
        let long = "x".repeat(100_000);
        for text in [
            format!("({long}: 1)"),
            format!("({long}-y: 1)"),
            format!("(kind: {long})"),
            format!("(kind: Valve(\"a\") {long})"),
            format!("(port: \"{long}\")"),
            format!("{long}(port: 1)"),
            format!("(name: \"{long}\", port: true)"),
        ] {
            let sentence = said(&text);
            assert!(sentence.len() < 600, "{} {}", &text[..9], sentence.len());
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_recognised_and_another_word_is_not() {
        let known = &["name", "mesh_name", "hz", "host", "discovery"];
        for (slip, meant) in [
            ("nmae", Some("name")),
            ("Name", Some("name")),
            ("meshname", Some("mesh_name")),
            ("hst", Some("host")),
            ("discvery", Some("discovery")),
            ("temperature", None),
        ] {
            assert_eq!(nearest(slip, known), meant, "{slip}");
        }
        assert_eq!(nearest(&"x".repeat(1_000_000), known), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[(){}\\[\\],:/*\"'\\\\r#ab nameportkindPump0-9.\n]{0,80}|\\PC{0,80}") {
            let _ = parse::<Sample>(Path::new("a.ron"), &text, |_| Some("x"));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = parse_bytes::<Sample>(Path::new("a.ron"), &bytes);
        }
    }
}
