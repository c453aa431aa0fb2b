//! Changes of a text by its words and signs, so that brackets and keys stay what they are more often than not.

use clawmesh_lab::SplitMix64;

use super::INPUT_BYTES_MAX;
use crate::pool::index;

/// Numbers that readers turn at.
const NUMBERS: [&str; 16] = [
    "0",
    "-0",
    "-1",
    "0.1",
    "1e999",
    "-1e999",
    "NaN",
    "inf",
    "-inf",
    "1e-400",
    "255",
    "65535",
    "65536",
    "4294967296",
    "18446744073709551616",
    "-9223372036854775809",
];

/// Words that readers of texts turn at.
const WORDS: [&str; 18] = [
    "",
    "true",
    "None",
    "Some(",
    "()",
    "\"\"",
    "\"\\u{0}\"",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "\u{200b}",
    "é",
    "🜨",
    "r#\"",
    "/*",
    "//",
    "::1",
    "%",
];

/// Changes `input` once.
pub fn changed(input: &[u8], donor: &[u8], rng: &mut SplitMix64) -> Vec<u8> {
    let (input, donor) = (String::from_utf8_lossy(input), String::from_utf8_lossy(donor));
    let mut words = words_of(&input);
    if words.is_empty() {
        return donor.into_owned().into_bytes();
    }
    let others = words_of(&donor);
    let of_donor = others.get(index(rng, others.len())).copied().unwrap_or_default();
    if rng.chance(20) {
        change_number(&mut words, rng);
    } else if rng.chance(10) {
        return grown(&words, rng).into_bytes();
    } else {
        change_words(&mut words, of_donor, rng);
    }
    words.concat().into_bytes()
}

fn change_words<'a>(words: &mut Vec<&'a str>, of_donor: &'a str, rng: &mut SplitMix64) {
    let (at, other) = (index(rng, words.len()), index(rng, words.len()));
    let until = (at + 1 + index(rng, 12)).min(words.len());
    match rng.below(8) {
        0 => drop(words.remove(at)),
        1 => drop(words.drain(at..until)),
        2 => {
            let again = words[at..until].to_vec();
            words.splice(until..until, again);
        }
        3 => words.swap(at, other),
        4 => words[at] = of_donor,
        5 => words.insert(at, of_donor),
        6 => words[at] = WORDS[index(rng, WORDS.len())],
        _ => words.insert(at, WORDS[index(rng, WORDS.len())]),
    }
}

/// Numbers are few among the words, and much depends on them.
fn change_number(words: &mut [&str], rng: &mut SplitMix64) {
    let begins_as_number = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let numbers: Vec<usize> = (0..words.len()).filter(|at| begins_as_number(&words[*at])).collect();
    if let Some(at) = numbers.get(index(rng, numbers.len())) {
        words[*at] = NUMBERS[index(rng, NUMBERS.len())];
    }
}

/// One word many times, or much around it.
fn grown(words: &[&str], rng: &mut SplitMix64) -> String {
    let at = index(rng, words.len());
    let (before, word, after) = (words[..at].concat(), words[at], words[at + 1..].concat());
    let times = [2, 60, 130, 600, 5_000][index(rng, 5)].min(INPUT_BYTES_MAX / (5 * word.len().max(1)));
    let brackets = [("(", ")"), ("[", "]"), ("{", "}"), ("Some(", ")")];
    let grown = match brackets.get(index(rng, 2 * brackets.len())) {
        Some((open, close)) => [&open.repeat(times), word, &close.repeat(times)].concat(),
        None => word.repeat(times),
    };
    [before, grown, after].concat()
}

/// Runs of letters, digits and underscores, numbers with their points, and everything else by itself.
fn words_of(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_number = first.is_ascii_digit();
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || (is_number && c == '.');
        let end =
            if is_part(first) { rest.find(|c| !is_part(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        let (word, behind) = rest.split_at(end);
        words.push(word);
        rest = behind;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_text_are_the_text() {
        assert_eq!(words_of("(port: 18_789)"), ["(", "port", ":", " ", "18_789", ")"]);
        assert_eq!(words_of("[20.5,a.b"), ["[", "20.5", ",", "a", ".", "b"]);
        assert_eq!(words_of("é🜨é").concat(), "é🜨é");
    }
}
