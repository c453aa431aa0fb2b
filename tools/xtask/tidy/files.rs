//! Files say what they hold: by their name, and by their first lines.

use super::Finding;
use super::tree::{SourceFile, Tree};

/// Names under which anything could be put, and then is.
const EMPTY_NAMES: &[&str] = &["utils.rs", "helpers.rs", "types.rs", "manager.rs", "misc.rs"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .flat_map(|file| [empty_name(file), missing_page(file), missing_promise(file)])
        .flatten()
        .collect()
}

fn empty_name(file: &SourceFile) -> Option<Finding> {
    let sentence = || format!("`{}` says nothing; name the file after the noun it holds", file.name());
    EMPTY_NAMES.contains(&file.name()).then(|| Finding::new(&file.path, 1, sentence()))
}

fn missing_page(file: &SourceFile) -> Option<Finding> {
    let is_front = matches!(file.name(), "mod.rs" | "lib.rs");
    let sentence = "open with `//!`: purpose, what it reads and writes, `Invariant:`, `Not here:`";
    (is_front && !file.text.starts_with("//!")).then(|| Finding::new(&file.path, 1, sentence))
}

fn missing_promise(file: &SourceFile) -> Option<Finding> {
    if !is_feature_page(&file.path) {
        return None;
    }
    let page: Vec<&str> = file.text.lines().take_while(|line| line.starts_with("//!")).collect();
    let has = |word: &str| page.iter().any(|line| line.contains(word));
    let missing: Vec<&str> = ["Invariant:", "Not here:"].into_iter().filter(|word| !has(word)).collect();
    let sentence = format!("the page of a feature needs a line with `{}`", missing.join("` and one with `"));
    (!page.is_empty() && !missing.is_empty()).then(|| Finding::new(&file.path, 1, sentence))
}

/// `src/core/<feature>/mod.rs`, and no deeper.
fn is_feature_page(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts.as_slice(), ["src", "core", feature, "mod.rs"] if !["tests", "benches"].contains(feature))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|finding| finding.sentence).collect()
    }

    #[test]
    fn names_that_say_nothing_are_refused_everywhere() {
        for name in EMPTY_NAMES {
            assert_eq!(sentences(&format!("src/bridge/{name}"), "//! Things.\n").len(), 1, "{name}");
        }
        assert!(sentences("src/bridge/envelope.rs", "").is_empty());
        assert!(sentences("src/bridge/link_types.rs", "").is_empty());
    }

    #[test]
    fn the_front_file_of_a_folder_opens_with_its_page() {
        assert_eq!(sentences("src/bridge/lib.rs", "use a::b;\n//! Late.\n").len(), 1);
        assert_eq!(sentences("src/bridge/zenoh/mod.rs", "").len(), 1);
        assert!(sentences("src/bridge/zenoh/mod.rs", "//! The session.\n").is_empty());
        assert!(sentences("src/bridge/zenoh/session.rs", "use a::b;\n").is_empty());
    }

    #[test]
    fn a_feature_of_the_core_states_its_invariant_and_what_is_not_here() {
        let good = "//! Who is on the mesh.\n//! Invariant: silence is ticks.\n//! Not here: sockets.\n";
        assert!(sentences("src/core/mesh/mod.rs", good).is_empty());
        let found = sentences("src/core/mesh/mod.rs", "//! Who is on the mesh.\n//! Not here: sockets.\n");
        assert_eq!(found, ["the page of a feature needs a line with `Invariant:`"]);
        let found =
            sentences("src/core/mesh/mod.rs", "//! Mesh.\n\n// Invariant: late.\n// Not here: late.\n");
        assert_eq!(found, ["the page of a feature needs a line with `Invariant:` and one with `Not here:`"]);
        assert!(sentences("src/core/mesh/systems/mod.rs", "//! Systems.\n").is_empty());
        assert!(sentences("src/core/tests/mod.rs", "//! Tests.\n").is_empty());
    }
}
