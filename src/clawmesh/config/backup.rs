//! A backup: a folder with copies of what a node keeps, and a list of them, which is written last. Without the list it is none.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clawmesh_authority::NodeId;
use serde::{Deserialize, Serialize};

use crate::config::durable_file::{
    FILE_BYTES_MAX, create_folder, read_bounded, sync_folder_of, write_atomic,
};
use crate::config::error::{ConfigError, Place};
use crate::config::ron_text;
use crate::config::state_dir::StateDir;
use crate::config::trust_file;

/// The list.
pub const LIST: &str = "backup.ron";
/// The journal, in a backup that has one.
pub const JOURNAL: &str = "journal.db";
/// What makes the node itself: its key, its certificates, and the key of the mesh it may have founded.
pub const ITSELF: [&str; 4] =
    ["identity/node.pem", "identity/papers.pem", "identity/mesh.pem", "identity/tls.pem"];
/// What people wrote for it.
pub const SETTINGS: [&str; 5] = ["node.ron", "site.ron", "policy.ron", "plant.ron", "gateways.ron"];
/// Whom it trusts, and who may operate it.
pub const LISTS: [&str; 2] = ["trust.ron", "operators.ron"];
/// What stays out of every backup: whoever took a secret away must not find it back.
pub const CREDENTIALS: &str = "credentials.ron";
/// The number of its last run.
pub const EPOCH: &str = "epoch";

const FORMAT: u32 = 1;
const HEAD: &str = "\
// What is in this backup; `clawmesh restore` reads it. The folder holds the secret keys of the node: guard it as you guard the node.
";

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    bytes: u64,
    blake3: String,
}

/// The list as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    format: u32,
    node: NodeId,
    made: String,
    version: String,
    files: BTreeMap<String, Entry>,
}

/// A backup that is being made.
#[derive(Debug)]
pub struct Making {
    folder: PathBuf,
    files: BTreeMap<String, Entry>,
}

impl Making {
    /// Begins a backup in a folder that is new or empty.
    pub fn begin(folder: &Path) -> Result<Self, ConfigError> {
        let folder = std::path::absolute(folder).map_err(ConfigError::io("find the folder", folder))?;
        if !is_empty(&folder)? {
            let sentence =
                "there is something in this folder already, and nothing is overwritten; name a new one";
            return Err(refused(&folder, sentence));
        }
        create_folder(&folder)?;
        Ok(Self { folder, files: BTreeMap::new() })
    }

    /// Copies a small file of the state dir; nothing when it has none of this name.
    pub fn copy(&mut self, dir: &StateDir, name: &str) -> Result<(), ConfigError> {
        let Some(content) = read_bounded(&dir.root().join(name))? else { return Ok(()) };
        write_atomic(&self.folder.join(name), &content)?;
        self.add(name)
    }

    /// Where a file of the backup stands.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Takes a file into the list that was written to its place.
    pub fn add(&mut self, name: &str) -> Result<(), ConfigError> {
        let entry = measured(&self.path_of(name), u64::MAX - 1, &mut io::sink())?;
        self.files.insert(name.to_owned(), entry);
        Ok(())
    }

    /// Writes the list. From here on it is a backup.
    pub fn finish(self, node: NodeId, now: SystemTime) -> Result<Backup, ConfigError> {
        let made = trust_file::time_text(now);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let list = List { format: FORMAT, node, made, version, files: self.files };
        let path = self.folder.join(LIST);
        let text = ron::ser::to_string_pretty(&list, ron::ser::PrettyConfig::default());
        let text = text.map_err(|fault| ConfigError::io("encode", &path)(io::Error::other(fault)))?;
        write_atomic(&path, format!("{HEAD}{text}\n").as_bytes())?;
        Ok(Backup { folder: self.folder, made: now, list })
    }
}

/// A backup that was made.
#[derive(Debug)]
pub struct Backup {
    folder: PathBuf,
    made: SystemTime,
    list: List,
}

impl Backup {
    /// Opens a backup. Each file is checked when it is read.
    pub fn open(folder: &Path) -> Result<Self, ConfigError> {
        let folder = std::path::absolute(folder).map_err(ConfigError::io("find the folder", folder))?;
        let path = folder.join(LIST);
        let Some(content) = read_bounded(&path)? else {
            let sentence =
                "this is no backup: it has no backup.ron, which is written last; name another folder";
            return Err(refused(&folder, sentence));
        };
        let list: List = ron_text::parse_bytes(&path, &content)?;
        if list.format != FORMAT {
            let found = list.format;
            let sentence = format!(
                "the backup has format {found}, and this version reads {FORMAT}; use version {}",
                list.version
            );
            return Err(refused(&path, &sentence));
        }
        let made = humantime::parse_rfc3339(&list.made);
        let made = made.map_err(|fault| refused(&path, &format!("{:?} is no time: {fault}", list.made)))?;
        Ok(Self { folder, made, list })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whose it is.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.list.node
    }

    /// When it was made, by the clock of that machine.
    #[must_use]
    pub fn made(&self) -> SystemTime {
        self.made
    }

    /// The BLAKE3 hash of the list. Whoever can write to the folder can change files and list; nobody can keep this.
    pub fn fingerprint(&self) -> Result<String, ConfigError> {
        Ok(measured(&self.folder.join(LIST), FILE_BYTES_MAX, &mut io::sink())?.blake3)
    }

    /// The files and their sizes in bytes.
    pub fn files(&self) -> impl Iterator<Item = (&str, u64)> {
        self.list.files.iter().map(|(name, entry)| (name.as_str(), entry.bytes))
    }

    /// Puts a file of the backup at `to`; false when the backup has none of this name.
    ///
    /// # Errors
    /// When it is not as it was backed up, or the disk refuses.
    pub fn restore(&self, name: &str, to: &Path) -> Result<bool, ConfigError> {
        let Some(expected) = self.list.files.get(name) else { return Ok(false) };
        if let Some(folder) = to.parent() {
            create_folder(folder)?;
        }
        let failed = |fault| ConfigError::io("write the file", to)(fault);
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut copy = options.open(to).map_err(failed)?;
        let path = self.folder.join(name);
        if measured(&path, expected.bytes, &mut copy)? != *expected {
            return Err(refused(&path, "the file is not as it was backed up; use another backup"));
        }
        copy.sync_all().map_err(failed)?;
        // A key whose name is lost is a new key at the next start.
        sync_folder_of(to)?;
        Ok(true)
    }
}

/// Reads a file to its end, or a little beyond `bytes_max`, writes it to `copy`, and tells what it is.
fn measured(path: &Path, bytes_max: u64, copy: &mut impl Write) -> Result<Entry, ConfigError> {
    let failed = |fault| ConfigError::io("copy the file", path)(fault);
    // Opening a pipe would wait for its writer, for ever.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is not a regular file")));
    }
    let mut file = File::open(path).map_err(failed)?.take(bytes_max + 1);
    let (mut hasher, mut bytes, mut buffer) = (blake3::Hasher::new(), 0, vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            return Ok(Entry { bytes, blake3: hasher.finalize().to_hex().to_string() });
        }
        bytes += read as u64;
        hasher.update(&buffer[..read]);
        copy.write_all(&buffer[..read]).map_err(failed)?;
    }
}

/// True when there is nothing in a folder, or no folder.
pub fn is_empty(folder: &Path) -> Result<bool, ConfigError> {
    match fs::read_dir(folder) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(true),
        found => Ok(found.map_err(ConfigError::io("look into the folder", folder))?.next().is_none()),
    }
}

fn refused(path: &Path, sentence: &str) -> ConfigError {
    ConfigError::Refused {
        place: Place::File { path: path.to_owned(), position: None },
        sentence: sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId([7; 32]);

    fn noon() -> SystemTime {
        humantime::parse_rfc3339("2026-11-22T12:00:00Z").unwrap()
    }

    /// A backup of a state dir with two files.
    fn backup() -> (tempfile::TempDir, Backup) {
        let (folder, state) = StateDir::temporary();
        write_atomic(&state.node_file(), b"(name: \"barn\")").unwrap();
        write_atomic(&state.epoch_file(), b"7\n").unwrap();
        let mut making = Making::begin(&folder.path().join("backup")).unwrap();
        for name in ["node.ron", EPOCH, "site.ron"] {
            making.copy(&state, name).unwrap();
        }
        let made = making.finish(NODE, noon()).unwrap();
        (folder, made)
    }

    #[test]
    fn what_was_backed_up_is_restored_byte_for_byte() {
        let (folder, made) = backup();
        let opened = Backup::open(made.folder()).unwrap();
        assert_eq!((opened.node(), opened.made(), &opened.list), (NODE, noon(), &made.list));
        let names: Vec<_> = opened.files().collect();
        assert_eq!(names, [("epoch", 2), ("node.ron", 14)]);
        let to = folder.path().join("new/node.ron");
        assert!(opened.restore("node.ron", &to).unwrap());
        assert_eq!(fs::read(&to).unwrap(), b"(name: \"barn\")");
        assert!(!opened.restore("site.ron", &folder.path().join("new/site.ron")).unwrap(), "there was none");
        assert!(opened.restore("node.ron", &to).is_err(), "nothing is overwritten");
    }

    #[test]
    fn a_backup_is_made_into_a_new_or_empty_folder_only() {
        let (_folder, made) = backup();
        let error = Making::begin(made.folder()).unwrap_err().to_string();
        assert!(error.contains("nothing is overwritten; name a new one"), "{error}");
    }

    #[test]
    fn a_backup_without_its_list_or_with_a_changed_file_is_refused() {
        let (folder, made) = backup();
        fs::write(made.folder().join("node.ron"), "(name: \"bark\")").unwrap();
        let error = made.restore("node.ron", &folder.path().join("x")).unwrap_err().to_string();
        assert!(error.contains("node.ron: the file is not as it was backed up"), "{error}");
        let list = made.folder().join(LIST);
        let good = fs::read_to_string(&list).unwrap();
        for (bad, words) in [
            (good.replacen("format: 1", "format: 2", 1), "format 2, and this version reads 1"),
            (good.replacen("12:00:00", "12:00:61", 1), "is no time"),
            (good.replacen("files", "fils", 1), "unknown key `fils`"),
            (String::new(), "backup.ron"),
        ] {
            fs::write(&list, bad).unwrap();
            let error = Backup::open(made.folder()).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        fs::remove_file(&list).unwrap();
        let error = Backup::open(made.folder()).unwrap_err().to_string();
        assert!(error.contains("this is no backup"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn copies_of_secrets_are_secret() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, made) = backup();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(made.folder()), mode(&made.folder().join("epoch"))), (0o700, 0o600));
        let to = folder.path().join("epoch");
        made.restore(EPOCH, &to).unwrap();
        assert_eq!(mode(&to), 0o600);
    }
}
