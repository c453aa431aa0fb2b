//! Pure files of `src/core` speak domain nouns only: no ECS verbs, no clock, no disk, no network, no threads.

use super::Finding;
use super::source::{Token, line_naming, text_at, tokens};
use super::tree::{SourceFile, Tree};

/// A file of the core that looks pure by its name and is glue.
struct GlueFile {
    path: &'static str,
    reason: &'static str,
}

/// Keep it short: most of what wants to stand here wants to be two files.
const GLUE_FILES: &[GlueFile] = &[
    GlueFile { path: "src/core/node.rs", reason: "puts the plugins of the core together" },
    GlueFile { path: "src/core/replay/digest.rs", reason: "digests whatever components a world has" },
    GlueFile { path: "src/core/replay/commit.rs", reason: "edges wait here, on their own threads" },
];

/// Files that are glue by their name, in any folder of the core.
const GLUE_NAMES: &[&str] =
    &["mod.rs", "lib.rs", "components.rs", "messages.rs", "systems.rs", "observers.rs"];

/// Folders whose files are glue, or no part of the core's code.
const GLUE_FOLDERS: &[&str] = &["systems", "tests", "benches"];

const ECS_VERBS: &[&str] = &["Entity", "Query", "Commands", "Res", "ResMut", "World", "App"];
const CLOCKS: &[&str] = &["Instant", "SystemTime"];
const OUTSIDE: &[&str] = &["time", "fs", "net", "thread"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    check_with(tree, GLUE_FILES)
}

fn check_with(tree: &Tree, glue_files: &[GlueFile]) -> Vec<Finding> {
    let pure = tree.rust().filter(|file| is_pure(file, glue_files));
    let mut findings: Vec<Finding> = pure.flat_map(impurities).collect();
    findings.extend(glue_files.iter().filter_map(|glue| broken_entry(tree, glue)));
    findings
}

fn is_pure(file: &SourceFile, glue_files: &[GlueFile]) -> bool {
    file.path.starts_with("src/core/")
        && !GLUE_NAMES.contains(&file.name())
        && !GLUE_FOLDERS.iter().any(|folder| file.is_within(folder))
        && !glue_files.iter().any(|glue| glue.path == file.path)
}

fn impurities(file: &SourceFile) -> Vec<Finding> {
    let words = tokens(&file.code);
    let mut findings = Vec::new();
    let mut report = |line: Option<usize>, what: &str, instead: &str| {
        findings.extend(
            line.map(|line| Finding::new(&file.path, line, format!("a pure file names `{what}`; {instead}"))),
        );
    };
    for verb in ECS_VERBS {
        report(line_of(&words, verb), verb, "gather and apply in `systems.rs`, decide here");
    }
    for clock in CLOCKS {
        report(line_of(&words, clock), clock, "core time is `Tick`");
    }
    for module in OUTSIDE {
        let line = line_naming(&words, "std", module);
        report(line, &format!("std::{module}"), "clocks, disk, network and threads are for edges");
    }
    if line_naming(&words, "std", "thread").is_none() {
        report(line_of_thread(&words), "thread::", "clocks, disk, network and threads are for edges");
    }
    findings
}

fn line_of(words: &[Token<'_>], name: &str) -> Option<usize> {
    words.iter().find(|token| token.text == name).map(|token| token.line)
}

fn line_of_thread(words: &[Token<'_>]) -> Option<usize> {
    let at = (0..words.len()).find(|at| words[*at].text == "thread" && text_at(words, at + 1) == "::")?;
    Some(words[at].line)
}

fn broken_entry(tree: &Tree, glue: &GlueFile) -> Option<Finding> {
    if tree.get(glue.path).is_none() {
        return Some(Finding::new(
            glue.path,
            1,
            "listed in `GLUE_FILES` but not in the tree; drop the entry",
        ));
    }
    let sentence = "listed in `GLUE_FILES` without a reason";
    glue.reason.trim().is_empty().then(|| Finding::new(glue.path, 1, sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(path: &str, text: &str) -> Vec<String> {
        check_with(&Tree::of(&[(path, text)]), &[]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_forbidden_name_is_reported_at_its_line() {
        for name in ECS_VERBS.iter().chain(CLOCKS) {
            let found =
                sentences("src/core/mesh/liveness.rs", &format!("//! Liveness.\n\nfn f(x: &{name}) {{}}\n"));
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert!(found[0].starts_with("src/core/mesh/liveness.rs:3: "), "{}", found[0]);
            assert!(found[0].contains(&format!("`{name}`")), "{}", found[0]);
        }
    }

    #[test]
    fn the_outside_world_is_reported_direct_and_in_a_group() {
        for text in
            ["use std::time::Duration;", "use std::{fmt, fs};", "std::net::lookup();", "use std::thread;"]
        {
            assert_eq!(sentences("src/core/world/belief.rs", text).len(), 1, "{text}");
        }
        assert_eq!(sentences("src/core/world/belief.rs", "fn f() { thread::park(); }").len(), 1);
        assert_eq!(sentences("src/core/tick.rs", "fn f() { std::thread::park(); }").len(), 1);
    }

    #[test]
    fn domain_nouns_comments_and_derives_are_pure() {
        let text = "//! Not the World, see `Query`.\n#[derive(Component)]\npub struct WorldSize(u8);\n\
                    const NAME: &str = \"World\"; // Entity\nfn entity(app: u8) -> Result<u8, u8> { Ok(app) }\n";
        assert_eq!(sentences("src/core/world/belief.rs", text), Vec::<String>::new());
    }

    #[test]
    fn glue_by_name_or_folder_may_name_anything() {
        let paths =
            ["mesh/mod.rs", "mesh/systems.rs", "mesh/systems/track.rs", "mesh/observers.rs", "lib.rs"];
        for path in
            paths.iter().chain(&["mesh/components.rs", "mesh/messages.rs", "tests/all.rs", "benches/tick.rs"])
        {
            assert!(
                sentences(&format!("src/core/{path}"), "fn f(world: &mut World) {}").is_empty(),
                "{path}"
            );
        }
        assert!(sentences("src/lab/net.rs", "fn f(world: &mut World) {}").is_empty());
    }

    #[test]
    fn a_listed_glue_file_needs_a_reason_and_must_exist() {
        let tree = Tree::of(&[("src/core/clock/fault.rs", "fn f(world: &mut World) {}")]);
        let entry = |path, reason| check_with(&tree, &[GlueFile { path, reason }]);
        assert!(entry("src/core/clock/fault.rs", "the error handler is given the world").is_empty());
        assert_eq!(entry("src/core/clock/fault.rs", " ").len(), 1);
        assert_eq!(entry("src/core/clock/gone.rs", "it was needed once").len(), 2);
    }
}
