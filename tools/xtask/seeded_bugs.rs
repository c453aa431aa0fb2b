//! Faults that are put in on purpose: a check that nobody has seen fail may be one that cannot.
//!
//! Each is put into a copy of the tree behind a switch, all of them are built once, and with each of them alone the test of
//! whatever order has to find it. None of them is ever in the tree itself.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail, ensure};

/// The test that has to fail.
const TEST: &str = "interleavings::nothing_is_driven_without_a_valid_live_unused_yes_whatever_happens_1";
/// What it says when it has found something.
const FOUND: &str = "seed ";
/// The variable that switches one of them on.
const SWITCH: &str = "CLAWMESH_SEEDED_BUG";
/// So many run at a time.
const AT_ONCE: usize = 2;

/// One fault.
struct Bug {
    name: &'static str,
    path: &'static str,
    /// What stands there, once.
    right: &'static str,
    /// What stands there instead; `{on}` is true when it is switched on.
    wrong: &'static str,
}

const BUGS: [Bug; 5] = [
    Bug {
        name: "expiry-is-not-asked",
        path: "src/authority/offer.rs",
        right: "        now_ms >= self.dies_at_ms\n",
        wrong: "        !{on} && now_ms >= self.dies_at_ms\n",
    },
    Bug {
        name: "nonce-is-not-asked",
        path: "src/authority/judgement.rs",
        right: "    let Some(live) = book.get(&nonce) else {\n",
        wrong: "    let of_it = |live: &&LiveOffer| {on} && live.offer.proposal == signed.approval().proposal;\n    \
                let Some(live) = book.get(&nonce).or_else(|| book.iter().find(of_it)) else {\n",
    },
    Bug {
        name: "interlock-is-not-asked",
        path: "src/authority/gate/now.rs",
        right: "    rules.interlocks.iter().try_for_each(|interlock| {\n",
        wrong: "    rules.interlocks.iter().filter(|_| !{on}).try_for_each(|interlock| {\n",
    },
    Bug {
        name: "command-is-given-twice",
        path: "src/core/proposals/systems/guard.rs",
        right: "        mover.due.commands.push(command);\n",
        wrong: "        if {on} {\n            mover.due.commands.push(command.clone());\n        }\n        \
                mover.due.commands.push(command);\n",
    },
    Bug {
        name: "stop-voids-nothing",
        path: "src/core/proposals/systems/approvals.rs",
        right: "    let Some(reason) = stop.reason.as_ref().or(latched) else { return };\n",
        wrong: "    let Some(reason) = stop.reason.as_ref().or(latched).filter(|_| !{on}) else { return };\n",
    },
];

/// The nonce is compared a second time, and a fault that is to be found must not be caught by that.
const SECOND_LOOK: [(&str, &str, &str); 1] = [(
    "src/authority/judgement.rs",
    "    if approval.nonce != offer.nonce {\n",
    "    if !{nonce} && approval.nonce != offer.nonce {\n",
)];

/// Puts all of them into a copy of `root` below `target`, and has each found.
///
/// # Errors
/// When one of them has no place any more, does not build, or is not found.
pub fn find_all(root: &Path, target: &Path) -> anyhow::Result<Vec<String>> {
    let tree = target.join("seeded-bugs");
    copy(root, &tree)?;
    for bug in &BUGS {
        put(&tree, bug.path, bug.right, &bug.wrong.replace("{on}", &switch(bug.name)))
            .with_context(|| format!("the fault {:?}", bug.name))?;
    }
    for (path, right, wrong) in SECOND_LOOK {
        put(&tree, path, right, &wrong.replace("{nonce}", &switch("nonce-is-not-asked")))?;
    }
    // Under another version, or what is built of the copy would take the place of what is built of the tree.
    put(&tree, "Cargo.toml", &version(env!("CARGO_PKG_VERSION")), &version("0.0.0-seeded-bugs"))?;
    let built = test(&tree, target).arg("--no-run").status()?;
    ensure!(built.success(), "the tree with its faults does not build; mend tools/xtask/seeded_bugs.rs");
    let mut found = Vec::new();
    for bugs in BUGS.chunks(AT_ONCE) {
        let running: Vec<(&Bug, Child)> = bugs
            .iter()
            .map(|bug| {
                let mut command = test(&tree, target);
                command.args([TEST, "--", "--exact"]).env(SWITCH, bug.name);
                Ok((bug, command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?))
            })
            .collect::<anyhow::Result<_>>()?;
        for (bug, child) in running {
            found.push(verdict(bug, child)?);
        }
    }
    std::fs::remove_dir_all(&tree)?;
    Ok(found)
}

fn verdict(bug: &Bug, child: Child) -> anyhow::Result<String> {
    let end = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&end.stdout) + String::from_utf8_lossy(&end.stderr);
    let line = said.lines().find(|line| line.starts_with(FOUND));
    match line {
        Some(line) if !end.status.success() => Ok(format!("{}: {line}", bug.name)),
        _ => bail!("nobody has found the fault {:?}:\n{said}", bug.name),
    }
}

/// The one build that all of them share.
fn test(tree: &Path, target: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(tree).args(["test", "--workspace", "--offline", "--test", "it", "--target-dir"]);
    command.arg(target);
    command
}

/// The line of the manifest that says the version of all crates.
fn version(version: &str) -> String {
    format!("\nversion = \"{version}\"\n")
}

/// The expression that is true when a fault is switched on.
fn switch(name: &str) -> String {
    format!("(std::env::var_os({SWITCH:?}).is_some_and(|it| it == {name:?}))")
}

fn put(tree: &Path, path: &str, right: &str, wrong: &str) -> anyhow::Result<()> {
    let path = tree.join(path);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let places = text.matches(right).count();
    ensure!(places == 1, "{} has {places} places for it, and should have one: {right:?}", path.display());
    std::fs::write(&path, text.replace(right, wrong))?;
    Ok(())
}

/// Copies the tree without what is built and without its history.
fn copy(root: &Path, to: &Path) -> anyhow::Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    let is_source = |entry: &walkdir::DirEntry| {
        let is_at_the_top = entry.depth() == 1;
        !(is_at_the_top && [".git", "target"].iter().any(|name| entry.file_name() == *name))
    };
    for entry in walkdir::WalkDir::new(root).into_iter().filter_entry(is_source) {
        let entry = entry?;
        let copied = to.join(entry.path().strip_prefix(root)?);
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(&copied)?;
        } else {
            std::fs::copy(entry.path(), &copied)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_place_in_the_tree() {
        let root = crate::repository_root().unwrap();
        let places =
            BUGS.iter().map(|bug| (bug.path, bug.right)).chain(SECOND_LOOK.map(|(at, it, _)| (at, it)));
        for (path, right) in places {
            let text = std::fs::read_to_string(root.join(path)).unwrap();
            assert_eq!(text.matches(right).count(), 1, "{path}: {right:?}");
        }
    }
}
