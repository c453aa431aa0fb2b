//! Tests run, all of them, every time, and none of them waits for a clock.

use super::Finding;
use super::source::{Token, line_naming, tests_begin, text_at, tokens};
use super::tree::{SourceFile, Tree};

pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust().flat_map(|file| [ignored(file), sleeping(file)]).flatten().collect()
}

fn ignored(file: &SourceFile) -> Option<Finding> {
    let words = tokens(&file.code);
    let line = (0..words.len()).find_map(|at| ignored_at(&words, at))?;
    Some(Finding::new(
        &file.path,
        line,
        "an ignored test tests nothing; run it, move it to `.ci/full`, or delete it",
    ))
}

/// `#[ignore…]`, or `ignore` anywhere inside a `#[cfg_attr(…)]`.
fn ignored_at(words: &[Token<'_>], at: usize) -> Option<usize> {
    let opens = words[at].text == "#" && text_at(words, at + 1) == "[";
    match text_at(words, at + 2) {
        "ignore" if opens => Some(words[at].line),
        "cfg_attr" if opens => {
            let attribute = words[at..].iter().take_while(|word| word.text != "]");
            attribute.filter(|word| word.text == "ignore").map(|word| word.line).next()
        }
        _ => None,
    }
}

/// Black-box tests in the top `tests/` talk to real processes and may poll; everything else has virtual time.
fn sleeping(file: &SourceFile) -> Option<Finding> {
    if file.path.starts_with("tests/") {
        return None;
    }
    let words = tokens(&file.code);
    let first = if file.is_within("tests") { 1 } else { tests_begin(&words)? };
    let tests: Vec<Token<'_>> = words.into_iter().filter(|word| word.line >= first).collect();
    let line = line_naming(&tests, "thread", "sleep")?;
    Some(Finding::new(&file.path, line, "a test sleeps; step virtual time, or wait for the event itself"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn an_ignored_test_is_found_in_every_spelling() {
        assert_eq!(lines("src/core/a.rs", "#[test]\n#[ignore]\nfn f() {}\n"), [2]);
        assert_eq!(lines("tests/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}\n"), [2]);
        assert_eq!(lines("tests/a.rs", "#[test]\n#[cfg_attr(not(unix),\n    ignore)]\nfn f() {}\n"), [3]);
    }

    #[test]
    fn a_word_that_only_looks_ignored_passes() {
        assert!(lines("src/core/a.rs", "// #[ignore]\nfn f() { ignore(\"#[ignore]\"); }\n").is_empty());
        assert!(lines("src/core/a.rs", "#[cfg_attr(unix, inline)]\nfn ignore() {}\n").is_empty());
    }

    #[test]
    fn a_sleeping_test_is_found_in_test_folders_and_test_modules() {
        assert_eq!(lines("src/storage/tests/a.rs", "fn f() {\n    std::thread::sleep(d);\n}\n"), [2]);
        assert_eq!(lines("src/storage/tests/a.rs", "use std::thread::{self, sleep};\n"), [1]);
        assert_eq!(
            lines("src/storage/a.rs", "#[cfg(test)]\nmod tests {\n    fn f() { thread::sleep(d); }\n}\n"),
            [3]
        );
    }

    #[test]
    fn black_box_tests_may_poll_and_an_edge_may_sleep() {
        assert!(lines("tests/peers.rs", "fn f() { std::thread::sleep(d); }\n").is_empty());
        assert!(
            lines("src/storage/a.rs", "fn f() { thread::sleep(d); }\n#[cfg(test)]\nmod tests {\n}\n")
                .is_empty()
        );
    }
}
