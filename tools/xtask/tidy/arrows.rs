//! The arrows between our crates: clawmesh → edges → core → authority, twin and wire.
//! Development dependencies are free: a test may put together what the product keeps apart.

use super::Finding;
use super::tree::{SourceFile, Tree};

/// Which of our crates a crate may depend on.
enum MayUse {
    /// These and no others.
    Only(&'static [&'static str]),
    /// All but these.
    AllBut(&'static [&'static str]),
    /// Everything: the one place where the parts are put together.
    Anything,
}

const EDGE: MayUse = MayUse::Only(&["authority", "core"]);

/// One row per crate, by its name without `clawmesh-`.
const ARROWS: &[(&str, MayUse)] = &[
    ("authority", MayUse::Only(&[])),
    ("twin", MayUse::Only(&[])),
    ("core", MayUse::Only(&["authority", "twin", "wire"])),
    // It imitates what is around a core, but not the one edge that moves something.
    ("lab", MayUse::Only(&["authority", "core", "twin", "drivers", "wire"])),
    ("bridge", EDGE),
    ("storage", EDGE),
    ("gateway", EDGE),
    ("drivers", EDGE),
    ("wire", MayUse::Only(&["authority"])),
    // It knows no world: what it drives is the protocol, what it hands over goes through one trait.
    ("wire-link", MayUse::Only(&["authority", "wire"])),
    ("telemetry", EDGE),
    ("models", EDGE),
    ("viewer", EDGE),
    ("brain", MayUse::Only(&[])),
    // The stand-in plant shares no code with the model it is compared with.
    ("plant", MayUse::AllBut(&["twin", "clawmesh"])),
    // It stands beside, as the lab does: what it throws bytes at is what has no edge.
    ("fuzz", MayUse::Only(&["authority", "core", "lab", "twin", "wire"])),
    ("netlab", MayUse::Only(&[])),
    ("xtask", MayUse::Only(&[])),
    ("clawmesh", MayUse::Anything),
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.manifests().flat_map(wrong_arrows).collect()
}

fn wrong_arrows(manifest: &SourceFile) -> Vec<Finding> {
    let Some(package) = package_name(&manifest.text) else { return Vec::new() };
    let Some((_, may_use)) = ARROWS.iter().find(|(name, _)| *name == package) else {
        let sentence =
            format!("`{package}` has no row in the table of arrows (`tools/xtask/tidy/arrows.rs`)");
        return vec![Finding::new(&manifest.path, 1, sentence)];
    };
    let wrong = dependencies(&manifest.text).into_iter().filter(|(_, name)| !may_use.allows(name));
    wrong.map(|(line, name)| Finding::new(&manifest.path, line, refusal(package, &name, may_use))).collect()
}

impl MayUse {
    fn allows(&self, name: &str) -> bool {
        match self {
            Self::Only(names) => names.contains(&name),
            Self::AllBut(names) => !names.contains(&name),
            Self::Anything => true,
        }
    }
}

fn refusal(package: &str, name: &str, may_use: &MayUse) -> String {
    let rule = match may_use {
        MayUse::Only([]) => "it may depend on none of our crates".to_owned(),
        MayUse::Only(names) => format!("of our crates it may depend on {} only", names.join(", ")),
        MayUse::AllBut(_) | MayUse::Anything => "this arrow is forbidden".to_owned(),
    };
    format!("`{package}` depends on `{name}`; {rule}")
}

/// The name in `[package]`, without `clawmesh-`.
fn package_name(manifest: &str) -> Option<&str> {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[package]").skip(1);
    let name = lines.find_map(|line| line.strip_prefix("name")?.trim_start().strip_prefix('='))?;
    Some(short(name.trim().trim_matches(['"', '\''])))
}

/// Our crates among the normal and build dependencies, with their lines.
fn dependencies(manifest: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_dependency = false;
    for (index, line) in manifest.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.starts_with('[') {
            is_dependency = is_dependency_header(line);
        }
        if is_dependency {
            found.extend(our_crates(line).map(|name| (index + 1, name.to_owned())));
        }
    }
    found
}

/// `[dependencies]`, `[build-dependencies]`, `[target.….dependencies]`, `[dependencies.name]`.
fn is_dependency_header(header: &str) -> bool {
    header.rsplit_once("dependencies").is_some_and(|(before, _)| !before.ends_with("dev-"))
}

fn our_crates(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_');
    words.filter(|word| *word == "clawmesh" || word.starts_with("clawmesh-")).map(short)
}

fn short(name: &str) -> &str {
    name.strip_prefix("clawmesh-").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(package: &str, rest: &str) -> Vec<(usize, String)> {
        let manifest = format!("[package]\nname = \"{package}\"\nversion.workspace = true\n{rest}");
        let tree = Tree::of(&[("src/some/Cargo.toml", manifest.as_str())]);
        check(&tree).into_iter().map(|finding| (finding.line, finding.sentence)).collect()
    }

    fn with_dependency(package: &str, on: &str) -> usize {
        found(package, &format!("[dependencies]\nserde.workspace = true\n{on}.workspace = true\n")).len()
    }

    #[test]
    fn each_forbidden_arrow_is_found() {
        let forbidden = [
            ("clawmesh-authority", "clawmesh-core"),
            ("clawmesh-twin", "clawmesh-core"),
            ("clawmesh-core", "clawmesh-storage"),
            ("clawmesh-core", "clawmesh-lab"),
            ("clawmesh-lab", "clawmesh-bridge"),
            ("clawmesh-brain", "clawmesh-authority"),
            ("clawmesh-plant", "clawmesh-twin"),
            ("clawmesh-wire-link", "clawmesh-core"),
            ("clawmesh-fuzz", "clawmesh-bridge"),
            ("xtask", "clawmesh-core"),
        ];
        for (package, on) in forbidden {
            assert_eq!(with_dependency(package, on), 1, "{package} -> {on}");
        }
        for edge in ["bridge", "storage", "gateway", "drivers", "wire", "telemetry", "models", "viewer"] {
            for on in ["clawmesh-lab", "clawmesh-twin", "clawmesh-brain", "clawmesh-models2", "clawmesh"] {
                assert_eq!(with_dependency(&format!("clawmesh-{edge}"), on), 1, "{edge} -> {on}");
            }
            let other = if edge == "bridge" { "clawmesh-storage" } else { "clawmesh-bridge" };
            assert_eq!(with_dependency(&format!("clawmesh-{edge}"), other), 1, "{edge} -> {other}");
        }
    }

    #[test]
    fn arrows_that_point_down_pass() {
        let allowed = [
            ("clawmesh-core", "clawmesh-authority"),
            ("clawmesh-lab", "clawmesh-core"),
            ("clawmesh-lab", "clawmesh-drivers"),
            ("clawmesh-storage", "clawmesh-core"),
            ("clawmesh-bridge", "clawmesh-authority"),
            ("clawmesh-plant", "clawmesh-authority"),
            ("clawmesh-wire-link", "clawmesh-wire"),
            ("clawmesh", "clawmesh-gateway"),
            ("clawmesh", "clawmesh-brain"),
        ];
        for (package, on) in allowed {
            assert_eq!(with_dependency(package, on), 0, "{package} -> {on}");
        }
    }

    #[test]
    fn an_arrow_is_found_in_every_way_to_write_it() {
        let name = "clawmesh-authority";
        for rest in [
            "[dependencies.clawmesh-core]\nworkspace = true\n",
            "[build-dependencies]\nclawmesh-core = { path = \"../core\" }\n",
            "[target.'cfg(unix)'.dependencies]\nclawmesh-core.workspace = true\n",
            "[dependencies]\ninner = { package = \"clawmesh-core\", path = \"../core\" }\n",
        ] {
            assert_eq!(found(name, rest).len(), 1, "{rest}");
        }
        let report = found(name, "[dependencies]\nclawmesh-core.workspace = true\n");
        assert_eq!(
            report,
            [(5, "`authority` depends on `core`; it may depend on none of our crates".to_owned())]
        );
    }

    #[test]
    fn tests_features_and_comments_draw_no_arrow() {
        let rest = "[dependencies]\n# clawmesh-core.workspace = true\n[dev-dependencies]\nclawmesh-core.workspace = \
                    true\n[features]\nall = [\"clawmesh-core/all\"]\n";
        assert!(found("clawmesh-authority", rest).is_empty());
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        let report = found("clawmesh-surprise", "");
        assert_eq!(report.len(), 1);
        assert!(report[0].1.contains("`surprise` has no row"), "{}", report[0].1);
    }
}
