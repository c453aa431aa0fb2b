//! Every crate is a member of the workspace and stands on the map, `ARCHITECTURE.md`.

use super::Finding;
use super::tree::Tree;

const MAP: &str = "ARCHITECTURE.md";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let workspace = tree.get("Cargo.toml").map_or("", |file| file.text.as_str());
    let members = list(workspace, "members");
    let excluded = list(workspace, "exclude");
    let map = tree.get(MAP).map_or("", |file| file.text.as_str());
    let mut findings = Vec::new();
    for manifest in tree.manifests() {
        let folder = manifest.path.trim_end_matches("/Cargo.toml");
        if !is_listed(&members, folder) && !is_listed(&excluded, folder) {
            let sentence =
                format!("`{folder}` is not a member of the workspace; add it to the top `Cargo.toml`");
            findings.push(Finding::new(&manifest.path, 1, sentence));
        }
        if !is_on_map(map, folder) {
            let sentence = format!("`{folder}` is not on the map; give it a row in {MAP}");
            findings.push(Finding::new(&manifest.path, 1, sentence));
        }
    }
    findings
}

/// The strings of a top-level `key = [ … ]`, over one line or many.
fn list(manifest: &str, key: &str) -> Vec<String> {
    let opens = |line: &&str| line.split_once('=').is_some_and(|(name, _)| name.trim() == key);
    let mut items = Vec::new();
    for line in
        manifest.lines().map(|line| line.split('#').next().unwrap_or_default()).skip_while(|l| !opens(l))
    {
        items.extend(line.split('"').skip(1).step_by(2).map(str::to_owned));
        if line.contains(']') {
            break;
        }
    }
    items
}

/// Whether a list names the folder, itself or as `parent/*`.
fn is_listed(items: &[String], folder: &str) -> bool {
    items.iter().any(|item| match item.strip_suffix("/*") {
        Some(parent) => folder.rsplit_once('/').is_some_and(|(above, _)| above == parent),
        None => item == folder,
    })
}

/// Whether the map names the folder as a folder or crate: `` `core` ``, `core/`, `src/core` or `clawmesh-core`.
fn is_on_map(map: &str, folder: &str) -> bool {
    let name = folder.rsplit('/').next().unwrap_or(folder);
    map.match_indices(name).any(|(at, _)| {
        let (head, tail) = (&map[..at], &map[at + name.len()..]);
        let is_start = !head.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-');
        let is_end = !tail.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-');
        let is_code = head.ends_with(['`', '/']) || tail.starts_with('/');
        is_end && (head.ends_with("clawmesh-") || (is_start && is_code))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(workspace: &str, map: &str) -> Vec<String> {
        let tree = Tree::of(&[("Cargo.toml", workspace), (MAP, map), ("src/core/Cargo.toml", "[package]\n")]);
        check(&tree).into_iter().map(|finding| finding.sentence).collect()
    }

    #[test]
    fn a_crate_outside_of_the_workspace_is_found() {
        let found =
            sentences("[workspace]\nmembers = [\n    \"src/authority\", # \"src/core\"\n]\n", "`core`");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("not a member"), "{}", found[0]);
    }

    #[test]
    fn a_member_passes_however_it_is_listed() {
        for list in ["members = [\"src/core\"]", "members = [\n  \"src/core\",\n]", "members = [\"src/*\"]"] {
            assert!(sentences(&format!("[workspace]\n{list}\n"), "`core`").is_empty(), "{list}");
        }
        let excluded = "[workspace]\nmembers = [\"src/authority\"]\nexclude = [\"src/core\"]\n";
        assert!(sentences(excluded, "`core`").is_empty());
    }

    #[test]
    fn a_crate_that_is_not_on_the_map_is_found() {
        for map in ["", "The core decides.", "`scores`", "`core-site`", "encore/"] {
            let found = sentences("members = [\"src/core\"]", map);
            assert_eq!(found.len(), 1, "{map}");
            assert!(found[0].contains("not on the map"), "{}", found[0]);
        }
    }

    #[test]
    fn a_crate_on_the_map_passes() {
        for map in
            ["| `core` | the tick |", "  core/   the tick", "[the tick](src/core)", "clawmesh-core: the tick"]
        {
            assert!(sentences("members = [\"src/core\"]", map).is_empty(), "{map}");
        }
    }
}
