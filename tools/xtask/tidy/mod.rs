//! Checks the house rules that neither the compiler nor clippy can: purity, names, sizes, arrows, portability.
//! Reads every text file of the repository once. Writes a list of findings.
//! Invariant: a check is a function of paths and texts, so each one is seen failing on a snippet in its own file.
//! Not here: formatting (`rustfmt.toml`), banned functions (`clippy.toml`), licences (`deny.toml`).

use std::fmt;
use std::path::Path;

mod arrows;
mod files;
mod members;
mod paths;
mod promises;
mod purity;
mod sizes;
mod source;
mod testing;
mod tree;

use tree::Tree;

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, relative to the top of the repository, with forward slashes.
    pub path: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong and what to do about it.
    pub sentence: String,
}

impl Finding {
    fn new(path: &str, line: usize, sentence: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, sentence: sentence.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.sentence)
    }
}

/// Every finding in the repository at `root`, in order of path and line.
///
/// # Errors
/// When a folder or file cannot be read.
pub fn tidy(root: &Path) -> anyhow::Result<Vec<Finding>> {
    Ok(findings(&Tree::read(root)?))
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let checks = [
        purity::check,
        files::check,
        sizes::check,
        testing::check,
        arrows::check,
        paths::check,
        promises::check,
        members::check,
    ];
    let mut findings: Vec<Finding> = checks.iter().flat_map(|check| check(tree)).collect();
    findings.sort();
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let findings = tidy(&crate::repository_root().unwrap()).unwrap();
        let report: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(report.is_empty(), "{} finding(s)\n{}", report.len(), report.join("\n"));
    }

    #[test]
    fn findings_of_all_checks_come_sorted_and_read_as_path_line_sentence() {
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace]\nmembers = []\n"),
            ("src/core/mesh/liveness.rs", "fn f(world: &World) {}\n"),
            ("src/core/helpers.rs", "\n"),
        ]);
        let found = findings(&tree);
        assert!(found.is_sorted());
        let report: Vec<String> = found.iter().map(ToString::to_string).collect();
        for place in ["src/core/helpers.rs:1: ", "src/core/mesh/liveness.rs:1: a pure file"] {
            assert_eq!(
                report.iter().filter(|line| line.starts_with(place)).count(),
                1,
                "{place}: {report:?}"
            );
        }
    }
}
