//! Every test that the map names as the proof of an invariant, or a page as that of an absent weakness, is there.

use std::collections::BTreeSet;

use super::Finding;
use super::source::{text_at, tokens};
use super::tree::Tree;

const PAGES: [&str; 2] = ["ARCHITECTURE.md", "docs/weaknesses.md"];

/// A name with fewer words is a function or a module; tests are named as sentences.
const UNDERSCORES_OF_A_SENTENCE: usize = 3;

pub fn check(tree: &Tree) -> Vec<Finding> {
    let functions = functions(tree);
    let mut findings = Vec::new();
    for (page, file) in PAGES.iter().filter_map(|page| Some((page, tree.get(page)?))) {
        let named =
            file.text.lines().enumerate().flat_map(|(at, line)| sentences(line).map(move |name| (at, name)));
        for (at, name) in named.filter(|(_, name)| !functions.contains(*name)) {
            let sentence = format!("no test is called `{name}`; name the one that proves it, or write it");
            findings.push(Finding::new(page, at + 1, sentence));
        }
    }
    findings
}

/// The names in backticks that read as a sentence.
fn sentences(line: &str) -> impl Iterator<Item = &str> {
    let is_name = |name: &&str| {
        let of_a_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        name.chars().all(of_a_name) && name.matches('_').count() >= UNDERSCORES_OF_A_SENTENCE
    };
    line.split('`').skip(1).step_by(2).filter(is_name)
}

fn functions(tree: &Tree) -> BTreeSet<&str> {
    let named = |code| {
        let words = tokens(code);
        let at: Vec<usize> = (0..words.len()).filter(|at| words[*at].text == "fn").collect();
        at.into_iter().map(move |at| text_at(&words, at + 1)).collect::<Vec<&str>>()
    };
    tree.rust().flat_map(|file| named(&file.code)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_on(page: &str, text: &str) -> Vec<String> {
        let code = "#[test]\nfn a_flood_is_refused_by_name() {}\n// fn a_flood_is_only_in_a_comment\n";
        let tree = Tree::of(&[(page, text), ("src/core/tests/all.rs", code)]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_test_that_is_nowhere_is_found_at_its_line() {
        for page in PAGES {
            for name in ["a_flood_is_refused_by_nobody", "a_flood_is_only_in_a_comment"] {
                let found = found_on(page, &format!("# Map\n\n| a flood is refused | lab `{name}` |\n"));
                assert_eq!(found.len(), 1, "{name}");
                assert!(
                    found[0].starts_with(&format!("{page}:3: ")) && found[0].contains(name),
                    "{}",
                    found[0]
                );
            }
        }
    }

    #[test]
    fn a_test_that_is_there_and_shorter_names_pass() {
        assert_eq!(
            found_on(PAGES[0], "| lab `a_flood_is_refused_by_name`, `take_batch`, `Core::live` |"),
            [] as [&str; 0]
        );
    }
}
