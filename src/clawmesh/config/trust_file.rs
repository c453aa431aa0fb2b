//! `trust.ron`: the nodes that people here trust, and those they no longer do. One change at a time, and no change is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::SystemTime;

use clawmesh_authority::{KeyId as _, NodeId};
use clawmesh_bridge::Part;
use serde::{Deserialize, Serialize};

use crate::config::error::ConfigError;
use crate::config::kept_list;
use crate::config::operators_file;
use crate::config::ron_text::{self, wrong_value};
use crate::config::settings::checks;
use crate::config::state_dir::StateDir;

/// The most nodes the list has, those that were removed among them.
pub const NODES_MAX: usize = 1_024;

const WHO_IS: &str = "which nodes are trusted";
const HEAD: &str = "\
// The nodes this one trusts. `clawmesh trust add` and `clawmesh trust remove` change this list and write it anew. The id is
// the hash of the key of the node, so it says all. An entry is never dropped: what was removed must not come back with an old
// configuration.
";

/// What the list says of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// What people here call it; what it calls itself counts for nothing.
    pub name: Option<String>,
    /// When it was last added or removed, to the second.
    pub since: SystemTime,
    /// True once somebody has removed it.
    pub is_removed: bool,
    /// What it is for our links.
    pub part: Part,
}

/// The list: what it says of each node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustList(BTreeMap<NodeId, Peer>);

/// What adding a node changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It was not in the list.
    New,
    /// It had been removed.
    Again,
    /// It was there; at most its name is another.
    Known,
}

impl TrustList {
    /// Every node of the list, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &Peer)> {
        self.0.iter()
    }

    /// What the list says of a node.
    #[must_use]
    pub fn get(&self, id: &NodeId) -> Option<&Peer> {
        self.0.get(id)
    }

    /// The nodes that are trusted: those `configured` elsewhere and those of the list. What was removed here is trusted
    /// nowhere, and neither is a router, which is nobody.
    #[must_use]
    pub fn applied_to(&self, mut configured: BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        for (id, peer) in &self.0 {
            if peer.is_removed || peer.part == Part::Router {
                configured.remove(id);
            } else {
                configured.insert(*id);
            }
        }
        configured
    }

    /// What those of the list that were not removed are for our links, as far as it is anything but a node.
    #[must_use]
    pub fn parts(&self) -> BTreeMap<NodeId, Part> {
        let parts = self.0.iter().filter(|(_, peer)| !peer.is_removed && peer.part != Part::Node);
        parts.map(|(id, peer)| (*id, peer.part)).collect()
    }

    /// A node of the list is this for our links from now on; false if it is so already.
    pub fn set_part(&mut self, id: NodeId, part: Part) -> bool {
        self.0.get_mut(&id).is_some_and(|peer| std::mem::replace(&mut peer.part, part) != part)
    }

    /// Trusts a node from now on. Without a name it keeps the one it has.
    ///
    /// # Errors
    /// A sentence, when the list is full.
    pub fn add(&mut self, id: NodeId, name: Option<String>, now: SystemTime) -> Result<Added, String> {
        if let Some(peer) = self.0.get_mut(&id) {
            peer.name = name.or(peer.name.take());
            if !std::mem::take(&mut peer.is_removed) {
                return Ok(Added::Known);
            }
            peer.since = now;
            return Ok(Added::Again);
        }
        self.has_place()?;
        self.0.insert(id, Peer { name, since: now, is_removed: false, part: Part::Node });
        Ok(Added::New)
    }

    /// Trusts a node no longer, wherever it is named; false if the list says so already.
    ///
    /// # Errors
    /// A sentence, when the list is full.
    pub fn remove(&mut self, id: NodeId, now: SystemTime) -> Result<bool, String> {
        if let Some(peer) = self.0.get_mut(&id) {
            let was_trusted = !std::mem::replace(&mut peer.is_removed, true);
            if was_trusted {
                peer.since = now;
            }
            return Ok(was_trusted);
        }
        self.has_place()?;
        self.0.insert(id, Peer { name: None, since: now, is_removed: true, part: Part::Node });
        Ok(true)
    }

    /// Trusts a node no longer because another takes its place, and tells the name that is free now.
    ///
    /// # Errors
    /// A sentence, when the list is full.
    pub fn retire(&mut self, id: NodeId, now: SystemTime) -> Result<Option<String>, String> {
        self.remove(id, now)?;
        Ok(self.0.get_mut(&id).and_then(|peer| peer.name.take()))
    }

    fn has_place(&self) -> Result<(), String> {
        if self.0.len() < NODES_MAX {
            return Ok(());
        }
        Err(format!(
            "the list has {NODES_MAX} nodes, those that were removed among them, and takes no more; begin a new state dir"
        ))
    }
}

/// A node as the file has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    since: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    removed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<String>,
}

impl Entry {
    fn of((id, peer): (&NodeId, &Peer)) -> Self {
        Self {
            id: id.to_string(),
            name: peer.name.clone(),
            since: time_text(peer.since),
            removed: peer.is_removed,
            part: peer.part.beyond_node().map(|part| part.as_str().to_owned()),
        }
    }

    fn into_peer(self) -> Result<(NodeId, Peer), (&'static str, String)> {
        let id = self.id.parse().map_err(|fault| ("id", format!("{fault}")))?;
        let name = self.name.map(|name| name_of(&name)).transpose().map_err(|why| ("name", why))?;
        let since = humantime::parse_rfc3339(&self.since)
            .map_err(|fault| ("since", format!("{:?} is no time: {fault}", self.since)))?;
        let part = self.part.map(|word| Part::of_word(&word).ok_or(("part", no_part(&word)))).transpose()?;
        Ok((id, Peer { name, since, is_removed: self.removed, part: part.unwrap_or_default() }))
    }
}

fn no_part(word: &str) -> String {
    let words: Vec<&str> = Part::ALL.into_iter().map(Part::as_str).collect();
    format!("{word:?} is no part; write one of {}", words.join(", "))
}

/// A moment as the file and people have it, for example `2026-11-21T23:05:00Z`.
#[must_use]
pub fn time_text(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// A name as people may give one.
///
/// # Errors
/// A sentence that names the rule.
pub fn name_of(text: &str) -> Result<String, String> {
    checks::name("name", text).map_err(|fault| fault.sentence)
}

/// Reads the list; without a file it is empty.
pub fn load(dir: &StateDir) -> Result<TrustList, ConfigError> {
    let path = dir.trust_file();
    let Some(text) = kept_list::read(&path, WHO_IS)? else { return Ok(TrustList::default()) };
    parse(&path, &text).map_err(kept_list::with_repair)
}

/// Changes the list: reads, changes and writes while nobody else does. When `change` fails nothing is written.
pub fn update<T, E: From<ConfigError>>(
    dir: &StateDir,
    change: impl FnOnce(&mut TrustList) -> Result<T, E>,
) -> Result<T, E> {
    let _alone = dir.lock_list("trust", WHO_IS)?;
    let mut list = load(dir)?;
    let before = list.applied_to(BTreeSet::new());
    let outcome = change(&mut list)?;
    let after = list.applied_to(BTreeSet::new());
    nobody_is_enrolled_with(dir, after.difference(&before))?;
    let entries: Vec<Entry> = list.iter().map(Entry::of).collect();
    kept_list::write(&dir.trust_file(), HEAD, &entries)?;
    Ok(outcome)
}

/// Refuses a node whose key somebody is enrolled with: no program approves.
fn nobody_is_enrolled_with<'a>(
    dir: &StateDir,
    mut new: impl Iterator<Item = &'a NodeId>,
) -> Result<(), ConfigError> {
    let people = operators_file::load(dir)?;
    let of_person: BTreeMap<NodeId, &str> = people
        .iter()
        .filter(|person| !person.revoked)
        .map(|person| (NodeId::of_public_key(&person.key), person.name.as_str()))
        .collect();
    new.try_for_each(|id| {
        of_person.get(id).map_or(Ok(()), |name| {
            Err(ConfigError::KeyOfPerson { node: *id, name: (*name).to_owned(), path: dir.operators_file() })
        })
    })
}

fn parse(path: &Path, text: &str) -> Result<TrustList, ConfigError> {
    let entries: Vec<Entry> = ron_text::parse(path, text, hint)?;
    if entries.len() > NODES_MAX {
        let found = entries.len();
        let sentence = format!("{found} nodes are listed, at most {NODES_MAX} are allowed");
        return Err(wrong_value(path, text, &format!("[{NODES_MAX}]"), sentence));
    }
    let mut list = TrustList::default();
    for (index, entry) in entries.into_iter().enumerate() {
        let wrong = |at: String, why: &str| wrong_value(path, text, &at, format!("`{at}`: {why}"));
        let (id, peer) = entry.into_peer().map_err(|(key, why)| wrong(format!("[{index}].{key}"), &why))?;
        if list.0.insert(id, peer).is_some() {
            return Err(wrong(
                format!("[{index}].id"),
                "this node is in the list already; keep one of the two",
            ));
        }
    }
    Ok(list)
}

fn hint(key: &str) -> Option<&'static str> {
    Some(match key.trim_start_matches('.') {
        "id" => "the 64 characters that `clawmesh identity` prints on that node",
        "name" => "a text in quotes",
        "since" => "a time like \"2026-11-21T23:05:00Z\"",
        "removed" => "true or false",
        "part" => "\"node\", \"relay\", \"router\" or \"viewer\"",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::config::durable_file::write_atomic;
    use clawmesh_authority::{Operator, OperatorKey, Role};

    fn node(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + second)
    }

    fn set(ids: &[u8]) -> BTreeSet<NodeId> {
        ids.iter().map(|n| node(*n)).collect()
    }

    fn add(state: &StateDir, n: u8) -> Result<Added, ConfigError> {
        update(state, |list| Ok(list.add(node(n), None, at(0)).expect("there is room")))
    }

    fn said(text: &str) -> String {
        parse(Path::new("trust.ron"), text).map_err(kept_list::with_repair).unwrap_err().to_string()
    }

    #[test]
    fn a_node_whose_key_is_that_of_a_person_is_not_trusted_until_they_are_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::locate(Some(dir.path().join("state"))).unwrap();
        let key = *OperatorKey::from_secret(&[7; 32]).public().raw();
        let person = Operator::of_key(key, "Ann", Role::Approver);
        let (id, node_id) = (person.id, NodeId::of_public_key(&key));
        operators_file::update(&state, |people| {
            people.enroll(person, &BTreeSet::new()).unwrap();
            Ok::<_, ConfigError>(())
        })
        .unwrap();
        let add = || update(&state, |list| Ok(list.add(node_id, None, at(0)).unwrap()));
        let refused: Result<Added, ConfigError> = add();
        let words = refused.unwrap_err().to_string();
        assert!(words.contains("is that of Ann") && words.contains("no program approves"), "{words}");
        assert_eq!(load(&state).unwrap(), TrustList::default(), "nothing is written");
        operators_file::update(&state, |people| {
            people.revoke(&id).unwrap();
            Ok::<_, ConfigError>(())
        })
        .unwrap();
        assert_eq!(add().unwrap(), Added::New);
    }

    #[test]
    fn what_is_added_is_trusted_and_what_is_removed_is_trusted_nowhere() {
        let mut list = TrustList::default();
        assert_eq!(list.add(node(1), Some("pump".to_owned()), at(1)), Ok(Added::New));
        assert_eq!(list.add(node(1), None, at(2)), Ok(Added::Known));
        let pump = Peer { name: Some("pump".to_owned()), since: at(1), is_removed: false, part: Part::Node };
        assert_eq!(list.get(&node(1)), Some(&pump));
        assert_eq!(list.applied_to(set(&[2])), set(&[1, 2]));
        assert_eq!(list.remove(node(1), at(3)), Ok(true));
        assert_eq!(list.remove(node(1), at(4)), Ok(false));
        assert_eq!(list.remove(node(2), at(4)), Ok(true), "also what only another file names");
        assert_eq!(list.applied_to(set(&[1, 2, 3])), set(&[3]));
        let gone = Peer { is_removed: true, since: at(3), ..pump };
        assert_eq!(list.get(&node(1)), Some(&gone), "its name stays, so that people know who it was");
        assert_eq!(list.add(node(1), None, at(5)), Ok(Added::Again));
        assert_eq!(list.applied_to(set(&[])), set(&[1]));
    }

    #[test]
    fn a_router_brings_what_others_say_and_is_trusted_nowhere() {
        let mut list = TrustList::default();
        for (n, part) in [(1, Part::Router), (2, Part::Viewer), (3, Part::Relay), (4, Part::Node)] {
            list.add(node(n), None, at(0)).unwrap();
            assert_eq!(list.set_part(node(n), part), part != Part::Node);
        }
        assert_eq!(list.applied_to(set(&[1])), set(&[2, 3, 4]));
        let named = |nodes: &[(u8, Part)]| nodes.iter().map(|(n, part)| (node(*n), *part)).collect();
        assert_eq!(list.parts(), named(&[(1, Part::Router), (2, Part::Viewer), (3, Part::Relay)]));
        list.remove(node(1), at(1)).unwrap();
        assert_eq!(
            list.parts(),
            named(&[(2, Part::Viewer), (3, Part::Relay)]),
            "what was removed brings nothing"
        );
    }

    #[test]
    fn a_full_list_takes_no_more_and_can_still_be_changed() {
        let mut list = TrustList::default();
        let numbered = |n: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(n as u64).to_le_bytes());
            NodeId(id)
        };
        (0..NODES_MAX).for_each(|n| assert_eq!(list.add(numbered(n), None, at(0)), Ok(Added::New)));
        assert!(list.add(numbered(NODES_MAX), None, at(0)).unwrap_err().contains("takes no more"));
        assert!(list.remove(numbered(NODES_MAX), at(0)).is_err());
        assert_eq!(list.remove(numbered(3), at(0)), Ok(true));
        assert_eq!(list.add(numbered(3), None, at(0)), Ok(Added::Again));
    }

    #[test]
    fn without_a_file_nobody_is_trusted_and_looking_makes_nothing() {
        let (_dir, state) = StateDir::temporary();
        assert_eq!(load(&state).unwrap(), TrustList::default());
        assert!(!state.trust_file().exists());
    }

    #[test]
    fn a_fault_is_told_with_line_column_entry_and_repair() {
        let entry = format!("(id: \"{}\", since: \"2026-11-21T23:05:00Z\")", node(1));
        let repair = "; mend it, or restore the file from a backup";
        for (text, begins, ends) in [
            (
                format!("[\n {}]", entry.replace("since", "sinze")),
                "trust.ron:2:75: unknown key `sinze`, known keys are id, name, since, removed, part",
                "; did you mean `since`?",
            ),
            (format!("[\n {}]", entry.replace("01", "0x")), "trust.ron:2:3: `[0].id`: ", repair),
            (format!("[\n {}]", entry.replace("T23", "T25")), "trust.ron:2:75: `[0].since`: ", repair),
            (
                format!("[\n {}]", entry.replace("(id", "(name: \"a\\u{7}b\", id")),
                "trust.ron:2:3: `[0].name`: ",
                repair,
            ),
            (
                format!("[\n {}]", entry.replace("(id", "(part: \"king\", id")),
                "trust.ron:2:3: `[0].part`: \"king\" is no part; write one of node, relay, router, viewer",
                repair,
            ),
            (format!("[{entry},\n {entry}]"), "trust.ron:2:3: `[1].id`: this node is in the list", repair),
            (String::new(), "trust.ron: the file is empty; mend it", repair),
            (format!("[{entry}"), "trust.ron:1:", repair),
        ] {
            let error = said(&text);
            assert!(error.starts_with(begins) && error.ends_with(ends), "{error}");
        }
        let many = vec![entry; NODES_MAX + 1].join(",");
        assert!(said(&format!("[{many}]")).contains("1025 nodes are listed, at most 1024"));
    }

    #[test]
    fn a_damaged_list_is_never_replaced() {
        let (_dir, state) = StateDir::temporary();
        for damage in [&b""[..], b"[", b"[(id: \"x\")]", b"\xff\xfe"] {
            write_atomic(&state.trust_file(), damage).unwrap();
            let error = add(&state, 1).unwrap_err().to_string();
            assert!(error.contains("trust.ron") && error.contains("restore the file"), "{error}");
            assert_eq!(fs::read(state.trust_file()).unwrap(), damage);
        }
    }

    #[test]
    fn eight_changes_at_once_lose_none() {
        let (_dir, state) = StateDir::temporary();
        thread::scope(|scope| {
            for n in 1..=8 {
                let state = &state;
                scope.spawn(move || add(state, n).unwrap());
            }
        });
        assert_eq!(load(&state).unwrap().applied_to(set(&[])), set(&[1, 2, 3, 4, 5, 6, 7, 8]));
    }

    #[cfg(unix)]
    #[test]
    fn a_list_that_others_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, state) = StateDir::temporary();
        add(&state, 1).unwrap();
        let path = state.trust_file();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o662)).unwrap();
        let error = load(&state).unwrap_err().to_string();
        assert!(error.contains("which nodes are trusted") && error.contains("chmod 600"), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            rows in prop::collection::btree_map(any::<[u8; 32]>(), (any::<bool>(), prop::option::of("[a-z\"\\\\ äß]{1,9}x"), 0_u64..4_000_000_000, 0_usize..4), 0..20),
        ) {
            let (_dir, state) = StateDir::temporary();
            let rows = rows.into_iter().map(|(id, (is_removed, name, second, part))| {
                let name = name.map(|name| name_of(&name).unwrap_or_else(|_| "x".to_owned()));
                let since = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
                (NodeId(id), Peer { name, since, is_removed, part: Part::ALL[part] })
            });
            let rows = TrustList(rows.collect());
            let wanted = rows.clone();
            update::<_, ConfigError>(&state, |list| { *list = wanted; Ok(()) }).unwrap();
            prop_assert_eq!(load(&state).unwrap(), rows);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = parse(Path::new("trust.ron"), &text);
        }
    }
}
