//! Where the keys of a RON text stand, so that a value which parses and still is wrong can be pointed at.
//!
//! RON itself reports positions only for what it cannot parse. This scanner takes any text; on one that is no
//! RON it finds what it can.

use crate::config::error::Position;

/// Brackets deeper than this are not followed; our files need five.
const DEPTH_MAX: usize = 16;

/// A longer key is none of ours and is passed over, in bytes.
pub const KEY_BYTES_MAX: usize = 64;

/// One key, or one element of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// From the top, for example `limits.envelopes_per_second_max` or `mappings[2].range`.
    pub path: String,
    /// Where it begins.
    pub at: Position,
}

/// All keys and elements in the order of the text.
#[must_use]
pub fn marks(text: &str) -> Vec<Mark> {
    let mut scan =
        Scan { rest: text, at: Position { line: 1, column: 1 }, open: Vec::new(), found: Vec::new() };
    while let Some(next) = scan.rest.chars().next() {
        scan.step(next);
    }
    scan.found
}

/// Where the key or element with this path stands; where its nearest parent does, when it does not.
#[must_use]
pub fn find(text: &str, path: &str) -> Option<Position> {
    let marks = marks(text);
    let mut path = path;
    loop {
        if let Some(mark) = marks.iter().find(|mark| mark.path == path) {
            return Some(mark.at);
        }
        path = &path[..path.rfind(['.', '['])?];
    }
}

/// The last key or element that begins at or before `at`: what an error found there is about.
#[must_use]
pub fn enclosing(text: &str, at: Position) -> Option<String> {
    marks(text).into_iter().take_while(|mark| mark.at <= at).last().map(|mark| mark.path)
}

/// One open bracket.
struct Open {
    path: String,
    is_list: bool,
    /// The elements of a list so far.
    elements: usize,
    /// True until the next element of a list begins.
    awaits_element: bool,
    /// The path of the last key of a struct.
    key: Option<String>,
}

struct Scan<'a> {
    rest: &'a str,
    at: Position,
    open: Vec<Open>,
    found: Vec<Mark>,
}

impl Scan<'_> {
    fn step(&mut self, next: char) {
        match next {
            _ if next.is_whitespace() => self.advance(next.len_utf8()),
            '/' if self.rest.starts_with("//") => {
                self.advance(self.rest.find('\n').unwrap_or(self.rest.len()))
            }
            '/' if self.rest.starts_with("/*") => self.skip_comment(),
            ']' | ')' | '}' => {
                self.open.pop();
                self.advance(1);
            }
            ',' => {
                if let Some(open) = self.open.last_mut() {
                    open.awaits_element = open.is_list;
                }
                self.advance(1);
            }
            _ => self.value(next),
        }
    }

    fn value(&mut self, next: char) {
        self.begin_element();
        match next {
            '[' | '(' | '{' => self.open(next == '['),
            '"' => self.skip_string(),
            '\'' => self.skip_character(),
            _ if next.is_alphabetic() || next == '_' => self.word(),
            _ => self.advance(next.len_utf8()),
        }
    }

    fn begin_element(&mut self) {
        let at = self.at;
        if let Some(open) = self.open.last_mut().filter(|open| open.awaits_element) {
            open.awaits_element = false;
            let path = format!("{}[{}]", open.path, open.elements);
            open.elements += 1;
            open.key = Some(path.clone());
            self.found.push(Mark { path, at });
        }
    }

    fn open(&mut self, is_list: bool) {
        let path = match self.open.last() {
            // Deeper paths would only cost memory: a hostile file may hold a million brackets.
            Some(_) if self.open.len() >= DEPTH_MAX => String::new(),
            Some(open) => open.key.as_ref().unwrap_or(&open.path).clone(),
            None => String::new(),
        };
        self.open.push(Open { path, is_list, elements: 0, awaits_element: is_list, key: None });
        self.advance(1);
    }

    fn word(&mut self) {
        let length = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, after) = self.rest.split_at(length);
        if matches!(word, "r" | "br") && after.trim_start_matches('#').starts_with('"') {
            return self.skip_raw_string(length);
        }
        if after.trim_start().starts_with(':') {
            self.key(word.to_owned());
        }
        self.advance(length);
    }

    fn key(&mut self, word: String) {
        if self.open.len() > DEPTH_MAX || word.len() > KEY_BYTES_MAX {
            return;
        }
        let Some(open) = self.open.last_mut().filter(|open| !open.is_list) else { return };
        let path = if open.path.is_empty() { word } else { format!("{}.{word}", open.path) };
        open.key = Some(path.clone());
        self.found.push(Mark { path, at: self.at });
    }

    fn skip_comment(&mut self) {
        let mut depth = 0_usize;
        while !self.rest.is_empty() {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.advance(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.advance(2);
            } else {
                self.advance_one();
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        self.advance(1);
        while let Some(next) = self.rest.chars().next() {
            self.advance_one();
            match next {
                '"' => return,
                '\\' => self.advance_one(),
                _ => {}
            }
        }
    }

    fn skip_raw_string(&mut self, prefix: usize) {
        let hashes = self.rest[prefix..].chars().take_while(|c| *c == '#').count();
        let end = format!("\"{}", "#".repeat(hashes));
        self.advance(prefix + hashes + 1);
        self.advance(self.rest.find(&end).map_or(self.rest.len(), |found| found + end.len()));
    }

    /// `'x'` or `'\n'`; a lone quote is passed over.
    fn skip_character(&mut self) {
        self.advance(1);
        let escaped = self.rest.starts_with('\\');
        let mut ahead = self.rest.chars().skip(usize::from(escaped));
        if ahead.next().is_some() && (escaped || ahead.next() == Some('\'')) {
            self.advance(usize::from(escaped));
            self.advance_one();
        }
        if self.rest.starts_with('\'') {
            self.advance(1);
        }
    }

    fn advance_one(&mut self) {
        self.advance(self.rest.chars().next().map_or(0, char::len_utf8));
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        for c in passed.chars() {
            self.at.column += 1;
            if c == '\n' {
                self.at = Position { line: self.at.line + 1, column: 1 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn listing(text: &str) -> Vec<String> {
        marks(text).iter().map(|mark| format!("{}:{} {}", mark.at.line, mark.at.column, mark.path)).collect()
    }

    #[test]
    fn keys_and_elements_are_found_where_they_stand() {
        let text = "(\n  hz: 50,\n  listen: [\"a\", \"b\"],\n  limits: (max: 3),\n)";
        assert_eq!(
            listing(text),
            ["2:3 hz", "3:3 listen", "3:12 listen[0]", "3:17 listen[1]", "4:3 limits", "4:12 limits.max"]
        );
        let site = "(mappings: [\n(a: Pointer(\"/x\"), range: (0, 1)),\n(a: None),])";
        assert_eq!(
            listing(site)[1..],
            [
                "2:1 mappings[0]",
                "2:2 mappings[0].a",
                "2:20 mappings[0].range",
                "3:1 mappings[1]",
                "3:2 mappings[1].a"
            ]
        );
    }

    #[test]
    fn what_only_looks_like_a_key_is_none() {
        let text = "NodeFile( // hz: 1\n /* hz: /* 2 */ hz: 3 */ name: \"hz: \\\" 4\", \
                    role: r#\"\" hz: 5\"#, c: '\"', d: '\\'', e: 'hz', hz : 6)";
        let paths: Vec<String> = marks(text).into_iter().map(|mark| mark.path).collect();
        assert_eq!(paths, ["name", "role", "c", "d", "e", "hz"]);
    }

    #[test]
    fn a_missing_element_is_sought_at_its_parent() {
        let text = "(\n trusted: [])";
        assert_eq!(find(text, "trusted[3]"), Some(Position { line: 2, column: 2 }));
        assert_eq!(find(text, "hz"), None);
        assert_eq!(enclosing(text, Position { line: 2, column: 9 }).unwrap(), "trusted");
        assert_eq!(enclosing(text, Position { line: 1, column: 1 }), None);
    }

    #[test]
    fn a_million_brackets_cost_little() {
        let text = "(a:[".repeat(100_000);
        assert!(marks(&text).len() <= 200_000);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[(){}\\[\\],:/*\"'\\\\r#ab \n]{0,60}|\\PC{0,60}") {
            for mark in marks(&text) {
                prop_assert!(find(&text, &mark.path).is_some());
            }
        }
    }
}
