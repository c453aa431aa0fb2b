//! The papers of this node in its state dir, and the key of its mesh where they are issued.
//!
//! The first node at which a pairing is accepted makes the certificate of the mesh and keeps its key; only that node issues.

use std::path::Path;

use clawmesh_authority::{NodeKey, PublicKey};
use clawmesh_bridge::{MeshRoot, Papers};

use crate::config::durable_file::{read_bounded, write_atomic};
use crate::config::error::ConfigError;
use crate::config::key_file;
use crate::config::state_dir::StateDir;

const ROOT_KEY: &str = "key of the mesh";

/// Reads the papers of the node with this key; `None` when it was never paired.
pub fn load(dir: &StateDir, own: &PublicKey, mesh_name: &str) -> Result<Option<Papers>, ConfigError> {
    let path = dir.papers_file();
    let Some(content) = read_bounded(&path)? else { return Ok(None) };
    let papers = Papers::from_pem(&content, own, mesh_name);
    papers.map(Some).map_err(|why| ConfigError::DamagedPapers { why, path })
}

/// Keeps the papers of this node.
pub fn keep(dir: &StateDir, papers: &Papers) -> Result<(), ConfigError> {
    write_atomic(&dir.papers_file(), papers.as_pem().concat().as_bytes())
}

/// Whether this node issues papers, or would once it is asked to. False when it joined the mesh at another node.
pub fn may_issue(dir: &StateDir, own: &NodeKey, mesh_name: &str) -> Result<bool, ConfigError> {
    Ok(load(dir, &own.public(), mesh_name)?.is_none() || read_key(&dir.mesh_key_file())?.is_some())
}

/// The root of the mesh this node is in, made when the mesh has none; `None` when another node issues in this mesh.
pub fn root(dir: &StateDir, own: &NodeKey, mesh_name: &str) -> Result<Option<MeshRoot>, ConfigError> {
    let path = dir.mesh_key_file();
    let unmade = |why: String| ConfigError::io("make a certificate", &path)(std::io::Error::other(why));
    let key = read_key(&path)?;
    if let Some(papers) = load(dir, &own.public(), mesh_name)? {
        let Some(key) = key else { return Ok(None) };
        let why = "it is not the key of the mesh this node is paired with".to_owned();
        let root = MeshRoot::of(&papers, key, mesh_name);
        return root.map(Some).ok_or(ConfigError::DamagedPapers { why, path });
    }
    // A mesh without papers is a new one, also when a crash came between the key and the papers.
    let key = key.map_or_else(|| new_key(&path), Ok)?;
    let root = MeshRoot::found(key, mesh_name).map_err(unmade)?;
    keep(dir, &root.issue(&own.public()).map_err(unmade)?)?;
    Ok(Some(root))
}

fn read_key(path: &Path) -> Result<Option<NodeKey>, ConfigError> {
    let damaged = |why: &str| ConfigError::DamagedPapers { why: why.to_owned(), path: path.to_owned() };
    key_file::read(ROOT_KEY, path, damaged)
}

fn new_key(path: &Path) -> Result<NodeKey, ConfigError> {
    if let Some(key) = key_file::create(ROOT_KEY, path)? {
        return Ok(key);
    }
    // Another command made one in the meantime; theirs counts.
    read_key(path)?.ok_or_else(|| ConfigError::io("read the file", path)(std::io::ErrorKind::NotFound.into()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MESH: &str = "barn";

    fn key(n: u8) -> NodeKey {
        NodeKey::from_secret(&[n; 32])
    }

    fn root(state: &StateDir) -> MeshRoot {
        super::root(state, &key(1), MESH).unwrap().unwrap()
    }

    #[test]
    fn the_first_node_founds_the_mesh_once_and_issues_for_it() {
        let (_dir, state) = StateDir::temporary();
        assert!(load(&state, &key(1).public(), MESH).unwrap().is_none());
        assert!(may_issue(&state, &key(1), MESH).unwrap());
        let first = root(&state).issue(&key(2).public()).unwrap();
        let again = root(&state).issue(&key(2).public()).unwrap();
        assert_eq!(first.root, again.root);
        let own = load(&state, &key(1).public(), MESH).unwrap().unwrap();
        assert_eq!(own.root, first.root);
        assert!(may_issue(&state, &key(1), MESH).unwrap());
    }

    #[test]
    fn who_joined_keeps_papers_and_issues_none() {
        let ((_a, founder), (_b, member)) = (StateDir::temporary(), StateDir::temporary());
        let papers = root(&founder).issue(&key(2).public()).unwrap();
        keep(&member, &papers).unwrap();
        assert_eq!(load(&member, &key(2).public(), MESH).unwrap(), Some(papers));
        assert!(!may_issue(&member, &key(2), MESH).unwrap());
        assert!(super::root(&member, &key(2), MESH).unwrap().is_none());
        assert!(!member.mesh_key_file().exists());
    }

    #[test]
    fn a_crash_between_the_key_of_the_mesh_and_the_papers_is_made_good() {
        let ((_a, state), (_b, other)) = (StateDir::temporary(), StateDir::temporary());
        drop(root(&state));
        let key_before = fs::read(state.mesh_key_file()).unwrap();
        fs::remove_file(state.papers_file()).unwrap();
        let papers = root(&state).issue(&key(2).public()).unwrap();
        keep(&other, &papers).unwrap();
        assert!(load(&other, &key(2).public(), MESH).unwrap().is_some());
        assert_eq!(fs::read(state.mesh_key_file()).unwrap(), key_before);
    }

    #[test]
    fn damaged_papers_are_named_and_never_replaced() {
        let (_dir, state) = StateDir::temporary();
        drop(root(&state));
        let good = fs::read(state.papers_file()).unwrap();
        for (damage, words) in [
            (&b""[..], "0 certificates instead of two"),
            (&good[..good.len() / 2], ""),
            (b"garbage", "0 certificates"),
        ] {
            write_atomic(&state.papers_file(), damage).unwrap();
            let error = super::root(&state, &key(1), MESH).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("papers.pem"), "{error}");
            assert_eq!(fs::read(state.papers_file()).unwrap(), damage);
        }
        write_atomic(&state.papers_file(), &good).unwrap();
        write_atomic(&state.mesh_key_file(), key(9).to_pem().unwrap().as_bytes()).unwrap();
        let error = super::root(&state, &key(1), MESH).unwrap_err().to_string();
        assert!(error.contains("not the key of the mesh"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn the_key_of_the_mesh_is_secret_on_the_disk_or_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, state) = StateDir::temporary();
        drop(root(&state));
        let path = state.mesh_key_file();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = super::root(&state, &key(1), MESH).unwrap_err().to_string();
        assert!(error.contains("the key of the mesh") && error.contains("chmod 600"), "{error}");
    }
}
