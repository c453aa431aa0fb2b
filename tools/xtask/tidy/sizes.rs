//! Files and functions stay small enough to be read at once.

use super::Finding;
use super::source::{Token, is_identifier, tests_begin, text_at, tokens};
use super::tree::{SourceFile, Tree};

/// Lines of a file before its tests.
const FILE_LINES_MAX: usize = 800;

/// Lines between the braces of a function. Lower it when the longest one becomes shorter, never raise it.
const FUNCTION_LINES_MAX: usize = 70;

pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust().flat_map(too_long).collect()
}

fn too_long(file: &SourceFile) -> Vec<Finding> {
    let words = tokens(&file.code);
    let mut findings: Vec<Finding> = functions(&words)
        .filter(|function| function.lines > FUNCTION_LINES_MAX)
        .map(|function| {
            let Function { name, lines, line } = function;
            let sentence =
                format!("`{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}; give its parts names");
            Finding::new(&file.path, line, sentence)
        })
        .collect();
    let lines = tests_begin(&words).map_or(file.text.lines().count(), |line| line - 1);
    if lines > FILE_LINES_MAX && !file.is_within("tests") {
        let sentence = format!("{lines} lines before the tests, at most {FILE_LINES_MAX}; split the concept");
        findings.push(Finding::new(&file.path, FILE_LINES_MAX + 1, sentence));
    }
    findings
}

struct Function<'a> {
    name: &'a str,
    /// Lines strictly between the opening and the closing brace.
    lines: usize,
    /// The line of the `fn`.
    line: usize,
}

/// Every function with a body, nested ones too.
fn functions<'a>(words: &'a [Token<'a>]) -> impl Iterator<Item = Function<'a>> {
    let starts =
        (0..words.len()).filter(|at| words[*at].text == "fn" && is_identifier(text_at(words, at + 1)));
    starts.filter_map(|at| {
        let open = body_start(words, at)?;
        let close = body_end(words, open)?;
        let lines = (words[close].line - words[open].line).saturating_sub(1);
        Some(Function { name: words[at + 1].text, lines, line: words[at].line })
    })
}

/// The `{` of the body: the first one outside of parentheses and brackets. None for a declaration.
fn body_start(words: &[Token<'_>], at: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (index, word) in words.iter().enumerate().skip(at) {
        match word.text {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.checked_sub(1)?,
            "{" if depth == 0 => return Some(index),
            ";" | "}" if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn body_end(words: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (index, word) in words.iter().enumerate().skip(open) {
        match word.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        check(&Tree::of(&[(path, text)]))
            .into_iter()
            .map(|finding| (finding.line, finding.sentence))
            .collect()
    }

    fn function_of(lines: usize) -> String {
        format!(
            "/// Long.\nfn long(x: [u8; 4]) -> u8 {{\n{}}}\n",
            "    step('}', \"}\"); // }\n".repeat(lines)
        )
    }

    #[test]
    fn a_function_of_seventy_one_lines_fails_and_one_of_seventy_passes() {
        assert!(found("src/core/a.rs", &function_of(70)).is_empty());
        let report = found("src/core/a.rs", &function_of(71));
        assert_eq!(report, [(2, "`long` has 71 lines, at most 70; give its parts names".to_owned())]);
    }

    #[test]
    fn a_long_function_is_found_in_an_impl_and_in_tests() {
        let text = format!("impl A {{\n    type F = fn(u8);\n    fn short();\n{}}}\n", function_of(90));
        assert_eq!(found("src/core/tests/a.rs", &text).len(), 1);
        let text = format!("macro_rules! m {{ ($n:ident) => {{ fn $n() {{}} }} }}\n{}", function_of(90));
        assert_eq!(found("src/core/a.rs", &text).len(), 1);
    }

    #[test]
    fn a_long_impl_of_short_functions_passes() {
        let text = format!("impl A {{\n{}}}\n", "    fn f() {\n        g();\n    }\n".repeat(100));
        assert!(found("src/core/a.rs", &text).is_empty());
    }

    #[test]
    fn a_file_of_more_than_eight_hundred_lines_before_its_tests_fails() {
        let lines = |count: usize| "const A: u8 = 0;\n".repeat(count);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(900));
        assert!(found("src/core/a.rs", &lines(800)).is_empty());
        assert!(found("src/core/a.rs", &(lines(800) + &tests)).is_empty());
        assert_eq!(found("src/core/a.rs", &(lines(801) + &tests))[0].0, 801);
        assert!(found("src/core/tests/a.rs", &lines(900)).is_empty());
    }

    #[test]
    fn a_test_attribute_on_an_import_does_not_hide_a_long_file() {
        let text = format!("#[cfg(test)]\nuse a::b;\n{}", "const A: u8 = 0;\n".repeat(801));
        assert_eq!(found("src/core/a.rs", &text).len(), 1);
    }
}
