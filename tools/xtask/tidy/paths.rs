//! The repository names no machine: no absolute path of somebody's disk, no private mirror of a registry.

use super::Finding;
use super::source::is_word;
use super::tree::{SourceFile, Tree};

/// Where machines keep people's files. Written in two halves, or this file would find itself.
const MACHINE_FOLDERS: &[&str] = &[concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/")];

/// The one registry address that belongs here: Cargo writes it into the lock file.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Words that turn an address into the address of a registry.
const REGISTRY_WORDS: &[&str] = &[
    "registry",
    "index-url",
    "index_url",
    "sparse+",
    "replace-with",
    "goproxy",
    "artifactory",
    "nexus/repository",
    "/simple",
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.all().flat_map(findings_in).collect()
}

fn findings_in(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        if let Some(folder) = MACHINE_FOLDERS.iter().find(|folder| names_folder(line, folder)) {
            let sentence = format!("`{folder}` is a path of one machine; derive it, or use a relative path");
            findings.push(Finding::new(&file.path, index + 1, sentence));
        }
        if names_mirror(line) {
            let sentence = "the address of a package registry; leave it to the user's own configuration";
            findings.push(Finding::new(&file.path, index + 1, sentence));
        }
    }
    findings
}

/// Whether the folder is named from the top of the disk: `a/home/b`, `~/home/b` and `$X/home/b` are not.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !is_word(c) && !matches!(c, '.' | '-' | '~' | '}' | ')' | '*' | '/'))
    })
}

fn names_mirror(line: &str) -> bool {
    let line = line.replace(CRATES_IO, "").to_lowercase();
    let has_address = line.contains("http://") || line.contains("https://");
    has_address && REGISTRY_WORDS.iter().any(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_path_of_one_machine_is_found_in_any_text_file() {
        for folder in MACHINE_FOLDERS {
            assert_eq!(lines("docs/a.md", &format!("Look\ninto `{folder}me/notes`.\n")), [2], "{folder}");
            assert_eq!(lines("src/core/a.rs", &format!("const A: &str = \"{folder}a\";\n")), [1], "{folder}");
            assert_eq!(lines(".ci/run", &format!("cd {folder}\n")), [1], "{folder}");
        }
    }

    #[test]
    fn a_relative_path_with_the_same_words_passes() {
        for before in ["~", "$HOME", "${CACHE}", "docs", "./..", "https://example.org"] {
            for folder in MACHINE_FOLDERS {
                assert!(
                    lines("docs/a.md", &format!("see {before}{folder}x\n")).is_empty(),
                    "{before}{folder}"
                );
            }
        }
    }

    #[test]
    fn a_mirror_of_a_registry_is_found() {
        let host = concat!("https:", "//mirror.example");
        for line in [
            format!("pip install --index-url {host}/pypi x"),
            format!("pip install -i {host}/simple x"),
            format!("registry = \"sparse+{host}/crates/\""),
            format!("export GOPROXY={host}"),
            format!("source = \"registry+{host}/index\""),
        ] {
            assert_eq!(lines("docs/a.md", &line), [1], "{line}");
        }
    }

    #[test]
    fn the_lock_file_and_ordinary_links_pass() {
        assert!(lines("Cargo.lock", &format!("source = \"{CRATES_IO}\"\n")).is_empty());
        assert!(lines("README.md", &format!("See {}.\n", concat!("https:", "//zenoh.io/docs"))).is_empty());
    }
}
