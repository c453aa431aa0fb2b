//! The text files of the repository, in memory, so that checks never touch the disk.

use std::path::Path;

use anyhow::Context;
use walkdir::{DirEntry, WalkDir};

use super::source;

/// Folders that hold what tools made, not what people wrote.
const SKIPPED_NAMES: &[&str] = &["target", ".git", "node_modules", ".venv", "__pycache__"];

/// Larger files are assets, not text to check.
const TEXT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// One text file.
pub struct SourceFile {
    /// Relative to the top of the repository, with forward slashes.
    pub path: String,
    /// The text as it stands.
    pub text: String,
    /// Rust only: the text with comments and strings blanked, line for line. Empty for other files.
    pub code: String,
}

impl SourceFile {
    fn new(path: String, text: String) -> Self {
        let code = if path.ends_with(".rs") { source::masked(&text) } else { String::new() };
        Self { path, text, code }
    }

    /// The part of the path after the last slash.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Whether the file lies, at any depth, in a folder called `folder`.
    pub fn is_within(&self, folder: &str) -> bool {
        let mut parts = self.path.split('/').rev();
        parts.next();
        parts.any(|part| part == folder)
    }
}

/// All text files, sorted by path.
pub struct Tree {
    files: Vec<SourceFile>,
}

impl Tree {
    /// Reads every text file below `root`.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        let walk = WalkDir::new(root).sort_by_file_name().into_iter();
        for entry in walk.filter_entry(|entry| entry.depth() == 0 || !is_skipped(entry)) {
            let entry = entry.context("cannot walk the repository")?;
            if let Some(file) = read_text(root, &entry)? {
                files.push(file);
            }
        }
        Ok(Self { files })
    }

    /// A tree out of snippets, for tests.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| SourceFile::new(path.to_owned(), text.to_owned());
        Self { files: files.iter().map(file).collect() }
    }

    /// Every text file.
    pub fn all(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter()
    }

    /// The Rust files.
    pub fn rust(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// The manifests of the crates under `src/`, `plugins/` and `tools/`, and that of `fuzz`.
    pub fn manifests(&self) -> impl Iterator<Item = &SourceFile> {
        let is_ours =
            |path: &str| ["src/", "plugins/", "tools/", "fuzz/"].iter().any(|top| path.starts_with(top));
        self.files.iter().filter(move |file| file.name() == "Cargo.toml" && is_ours(&file.path))
    }

    /// The file at exactly this path.
    pub fn get(&self, path: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

fn is_skipped(entry: &DirEntry) -> bool {
    entry.file_name().to_str().is_some_and(|name| SKIPPED_NAMES.contains(&name))
}

fn read_text(root: &Path, entry: &DirEntry) -> anyhow::Result<Option<SourceFile>> {
    if !entry.file_type().is_file() || entry.metadata()?.len() > TEXT_BYTES_MAX {
        return Ok(None);
    }
    let bytes =
        std::fs::read(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
    let Ok(text) = String::from_utf8(bytes) else { return Ok(None) };
    if text.contains('\0') {
        return Ok(None);
    }
    let path = entry.path().strip_prefix(root).expect("the walk starts at the root");
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    Ok(Some(SourceFile::new(parts.join("/"), text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_finds_this_file_and_nothing_that_tools_made() {
        let tree = Tree::read(&crate::repository_root().unwrap()).unwrap();
        assert!(tree.get("tools/xtask/tidy/tree.rs").is_some());
        assert!(tree.all().all(|file| !SKIPPED_NAMES.iter().any(|name| file.is_within(name))));
    }

    #[test]
    fn a_file_is_within_its_folders_but_not_within_itself() {
        let tree = Tree::of(&[("src/core/tests/mesh.rs", "")]);
        let file = tree.get("src/core/tests/mesh.rs").unwrap();
        assert!(file.is_within("core") && file.is_within("tests"));
        assert!(!file.is_within("mesh.rs") && !file.is_within("test"));
        assert_eq!(file.name(), "mesh.rs");
    }

    #[test]
    fn only_crates_under_the_four_tops_count_as_manifests() {
        let tree = Tree::of(&[
            ("Cargo.toml", ""),
            ("examples/Cargo.toml", ""),
            ("fuzz/Cargo.toml", ""),
            ("src/core/Cargo.toml", ""),
        ]);
        assert_eq!(
            tree.manifests().map(|file| file.path.as_str()).collect::<Vec<_>>(),
            ["fuzz/Cargo.toml", "src/core/Cargo.toml"]
        );
    }
}
