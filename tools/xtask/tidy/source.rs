//! Rust text as the checks see it: comments and strings blanked, then words with their lines.

/// One identifier, number, `::` or single sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// The characters of the token.
    pub text: &'a str,
    /// The line, counted from 1.
    pub line: usize,
}

/// The text with comments, strings and character literals replaced by spaces; lines stay where they are.
pub fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let blank = opaque_length(rest);
        if blank == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.extend(rest[..blank].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[blank..];
        }
    }
    out
}

/// How many bytes at the start of `rest` are a comment, a string or a character; zero for code.
fn opaque_length(rest: &str) -> usize {
    if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        block_comment_length(rest)
    } else if rest.starts_with('"') {
        string_length(rest)
    } else if rest.starts_with('r') {
        raw_string_length(rest)
    } else if rest.starts_with('\'') {
        character_length(rest)
    } else {
        0
    }
}

fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < rest.len() {
        let ahead = &rest.as_bytes()[at..];
        if ahead.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if ahead.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn string_length(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `r"…"` and `r#"…"#`; `br` and `cr` arrive here at their `r`. Zero for a raw identifier or a plain word.
fn raw_string_length(rest: &str) -> usize {
    let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
    let start = 1 + hashes + 1;
    if rest.as_bytes().get(start - 1) != Some(&b'"') {
        return 0;
    }
    let closing = format!("\"{}", "#".repeat(hashes));
    rest[start..].find(&closing).map_or(rest.len(), |at| start + at + closing.len())
}

/// `'x'` and `'\n'`; zero for a lifetime.
fn character_length(rest: &str) -> usize {
    let mut inner = rest[1..].chars();
    match inner.next() {
        Some('\\') => rest.get(3..).and_then(|tail| tail.find('\'')).map_or(0, |at| 3 + at + 1),
        Some(c) if inner.next() == Some('\'') => 1 + c.len_utf8() + 1,
        _ => 0,
    }
}

/// The words of masked code.
pub fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (index, text) in code.lines().enumerate() {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = token_length(rest, first);
            tokens.push(Token { text: &rest[..length], line: index + 1 });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

fn token_length(rest: &str, first: char) -> usize {
    if is_word(first) {
        rest.find(|c| !is_word(c)).unwrap_or(rest.len())
    } else if rest.starts_with("::") {
        2
    } else {
        first.len_utf8()
    }
}

/// Whether a character can stand in an identifier or a number.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether a token is an identifier or a keyword.
pub fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The first line that names `parent::child`, also as `parent::{…, child, …}`.
pub fn line_naming(tokens: &[Token<'_>], parent: &str, child: &str) -> Option<usize> {
    tokens.iter().enumerate().find_map(|(at, token)| {
        let is_path = token.text == parent && text_at(tokens, at + 1) == "::";
        if !is_path {
            return None;
        }
        match text_at(tokens, at + 2) {
            "{" => line_in_group(&tokens[at + 2..], child),
            text if text == child => Some(token.line),
            _ => None,
        }
    })
}

/// The line of `child` among the direct items of the group whose `{` comes first.
fn line_in_group(group: &[Token<'_>], child: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut is_item_start = false;
    for token in group {
        match token.text {
            "{" => depth += 1,
            "}" if depth == 1 => return None,
            "}" => depth -= 1,
            text if is_item_start && text == child => return Some(token.line),
            _ => {}
        }
        is_item_start = depth == 1 && matches!(token.text, "{" | ",");
    }
    None
}

/// The line of the first `#[cfg(test)]` that opens a module, where the tests of a file begin.
pub fn tests_begin(tokens: &[Token<'_>]) -> Option<usize> {
    let opening = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    tokens.windows(opening.len() + 2).find_map(|window| {
        let is_module = window.iter().zip(opening).all(|(token, text)| token.text == text);
        (is_module && window[opening.len() + 1].text == "{").then(|| window[0].line)
    })
}

/// The text of the token at `at`, or nothing past the end.
pub fn text_at<'a>(tokens: &[Token<'a>], at: usize) -> &'a str {
    tokens.get(at).map_or("", |token| token.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(&masked(text)).iter().map(|token| token.text.to_owned()).collect()
    }

    #[test]
    fn comments_strings_and_characters_are_not_code() {
        assert_eq!(words("a // World\nb"), ["a", "b"]);
        assert_eq!(words("a /* { /* World */ } */ b"), ["a", "b"]);
        assert_eq!(words(r#"a("World \" }", '{', '\'', '"', 'é')"#), ["a", "(", ",", ",", ",", ",", ")"]);
        assert_eq!(words("a(r##\"World \"# {\"##, br\"}\", b\"{\")"), ["a", "(", ",", "b", ",", "b", ")"]);
    }

    #[test]
    fn lifetimes_raw_identifiers_and_words_in_r_stay_code() {
        assert_eq!(words("fn f<'a>(x: &'a str)").join(" "), "fn f < ' a > ( x : & ' a str )");
        assert_eq!(words("r#type radius r"), ["r", "#", "type", "radius", "r"]);
    }

    #[test]
    fn an_unclosed_literal_ends_with_the_text() {
        for text in ["\"abc", "r#\"abc", "/* abc", "'\\", "'", "// abc"] {
            assert_eq!(masked(text).chars().count(), text.chars().count(), "{text}");
        }
    }

    #[test]
    fn masking_keeps_every_line_where_it_is() {
        let text = "let a = \"x\ny\"; /* 1\n2 */ World\n";
        let code = masked(text);
        assert_eq!(code.lines().count(), text.lines().count());
        assert_eq!(tokens(&code).last(), Some(&Token { text: "World", line: 3 }));
    }

    #[test]
    fn a_path_is_found_direct_and_in_a_group() {
        let find = |text: &str| line_naming(&tokens(text), "std", "fs");
        assert_eq!(find("\nuse std::fs::File;"), Some(2));
        assert_eq!(find("use std::{\n    fmt::{self, Write},\n    fs,\n};"), Some(3));
        assert_eq!(find("use std::fmt; fs();"), None);
        assert_eq!(find("use std::{fmt::fs, io}; use other::{fs};"), None);
    }

    #[test]
    fn tests_begin_at_the_module_not_at_a_lone_attribute() {
        let code =
            "#[cfg(test)]\nuse a::b;\n#[cfg(test)]\nmod samples;\nfn f() {}\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(tests_begin(&tokens(code)), Some(6));
        assert_eq!(tests_begin(&tokens("fn f() {}")), None);
    }
}
