//! The folder a node lives in: where it is, what stands where, and that only one node uses it.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::config::durable_file::create_folder;
use crate::config::error::ConfigError;

/// The variable that names the state dir when no flag does.
pub const STATE_DIR_VARIABLE: &str = "CLAWMESH_STATE_DIR";

/// A look at the lock takes microseconds; a node that starts just then tries again instead of giving up.
const LOCK_TRIES: usize = 20;
const LOCK_NAP: Duration = Duration::from_millis(10);
/// A change of a list waits for the disk once; a few may queue up.
const LIST_LOCK_TRIES: usize = 500;

/// The state dir of this node; an absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// Finds the state dir (flag, then environment, then `~/.clawmesh`) and creates it, for its owner only.
    pub fn locate(flag: Option<PathBuf>) -> Result<Self, ConfigError> {
        let found = Self::find(flag)?;
        create_folder(&found.root.join("identity"))?;
        Ok(found)
    }

    /// Like [`StateDir::locate`], without touching the disk: for commands that only look.
    pub fn find(flag: Option<PathBuf>) -> Result<Self, ConfigError> {
        let (variable, home) = from_environment();
        let root = choose(flag, variable, home)?;
        // Relative paths would name another folder after the first change of directory.
        let root = std::path::absolute(&root).map_err(ConfigError::io("find the folder", &root))?;
        Ok(Self { root })
    }

    /// The state dirs that need no flag: the one the environment names, and `~/.clawmesh`. Nothing is created.
    #[must_use]
    pub fn without_flag() -> Vec<Self> {
        let (variable, home) = from_environment();
        let roots = [choose(None, variable, home.clone()), choose(None, None, home)];
        let absolute = roots.into_iter().flatten().filter_map(|root| std::path::absolute(root).ok());
        absolute.map(|root| Self { root }).collect()
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The secret key of the node, PKCS#8 PEM.
    #[must_use]
    pub fn identity_file(&self) -> PathBuf {
        self.root.join("identity").join("node.pem")
    }

    /// The certificates of the node and of its mesh, PEM.
    #[must_use]
    pub fn papers_file(&self) -> PathBuf {
        self.root.join("identity").join("papers.pem")
    }

    /// The key and the certificate that the gateway shows, PEM.
    #[must_use]
    pub fn certificate_file(&self) -> PathBuf {
        self.root.join("identity").join("tls.pem")
    }

    /// The secret key of the mesh, PKCS#8 PEM; only at the node that issues papers.
    #[must_use]
    pub fn mesh_key_file(&self) -> PathBuf {
        self.root.join("identity").join("mesh.pem")
    }

    /// What people set for this node.
    #[must_use]
    pub fn node_file(&self) -> PathBuf {
        self.root.join("node.ron")
    }

    /// What stands at this site.
    #[must_use]
    pub fn site_file(&self) -> PathBuf {
        self.root.join("site.ron")
    }

    /// What the owner of actuators allows.
    #[must_use]
    pub fn policy_file(&self) -> PathBuf {
        self.root.join("policy.ron")
    }

    /// The true numbers of a stand-in plant.
    #[must_use]
    pub fn plant_file(&self) -> PathBuf {
        self.root.join("plant.ron")
    }

    /// The record of inputs and decisions.
    #[must_use]
    pub fn journal_file(&self) -> PathBuf {
        self.root.join("journal.db")
    }

    /// The secret that local programs show to the gateway.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.root.join("gateway.token")
    }

    /// Where the gateway of the running node listens; there only while one runs, or after it was killed.
    #[must_use]
    pub fn address_file(&self) -> PathBuf {
        self.root.join("gateway.address")
    }

    /// The number of the last run.
    #[must_use]
    pub fn epoch_file(&self) -> PathBuf {
        self.root.join("epoch")
    }

    /// There while a stop is latched.
    #[must_use]
    pub fn stop_file(&self) -> PathBuf {
        self.root.join("stop")
    }

    /// There when the node came from a backup.
    #[must_use]
    pub fn restored_file(&self) -> PathBuf {
        self.root.join("restored.ron")
    }

    /// The people who may operate here.
    #[must_use]
    pub fn operators_file(&self) -> PathBuf {
        self.root.join("operators.ron")
    }

    /// The nodes that people here trust, and those they no longer do.
    #[must_use]
    pub fn trust_file(&self) -> PathBuf {
        self.root.join("trust.ron")
    }

    /// Secrets for services outside of the mesh.
    #[must_use]
    pub fn credentials_file(&self) -> PathBuf {
        self.root.join("credentials.ron")
    }

    /// The OpenClaw gateways that people here have saved.
    #[must_use]
    pub fn gateways_file(&self) -> PathBuf {
        self.root.join("gateways.ron")
    }

    /// Takes the state dir for this process until the lock is dropped, or the process ends in any way.
    pub fn lock(&self) -> Result<StateLock, ConfigError> {
        let busy = ConfigError::Locked { dir: self.root.clone() };
        self.take("lock the state dir", &self.lock_file(), LOCK_TRIES, busy)
    }

    /// Takes a list that commands change until the lock is dropped. It is a lock of its own: lists are also changed while
    /// a node runs. `name` is that of the list, and `who_is` what it says, for example `who is enrolled`.
    pub fn lock_list(&self, name: &str, who_is: &'static str) -> Result<StateLock, ConfigError> {
        let path = self.root.join(format!("{name}.lock"));
        let busy = ConfigError::ListBusy { who_is, path: path.clone() };
        self.take("lock the list", &path, LIST_LOCK_TRIES, busy)
    }

    fn take(
        &self,
        doing: &'static str,
        path: &Path,
        tries: usize,
        busy: ConfigError,
    ) -> Result<StateLock, ConfigError> {
        create_folder(&self.root)?;
        let failed = |fault| ConfigError::io(doing, path)(fault);
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(failed)?;
        match try_lock_patiently(&file, tries, || thread::sleep(LOCK_NAP)) {
            Ok(()) => Ok(StateLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(busy),
            Err(TryLockError::Error(fault)) => Err(failed(fault)),
        }
    }

    /// True while a node runs on this state dir. Files can stay behind a node that was killed; its lock cannot.
    pub fn is_in_use(&self) -> Result<bool, ConfigError> {
        let path = self.lock_file();
        let failed = |fault| ConfigError::io("look at the lock of the state dir", &path)(fault);
        let file = match File::open(&path) {
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            opened => opened.map_err(failed)?,
        };
        // Shared, so that two commands that look do not take each other for a node.
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(fault)) => Err(failed(fault)),
        }
    }

    fn lock_file(&self) -> PathBuf {
        self.root.join("lock")
    }
}

fn try_lock_patiently(file: &File, tries: usize, mut nap: impl FnMut()) -> Result<(), TryLockError> {
    for _ in 1..tries {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => nap(),
            outcome => return outcome,
        }
    }
    file.try_lock()
}

/// The right to run a node on a state dir, or to change one of its lists. The file stays; the system forgets the lock
/// with the process.
#[derive(Debug)]
#[must_use = "what was locked is free again when the lock is dropped"]
pub struct StateLock {
    _file: File,
}

#[expect(clippy::disallowed_methods, reason = "where state dirs are is read from the environment here")]
fn from_environment() -> (Option<OsString>, Option<PathBuf>) {
    (std::env::var_os(STATE_DIR_VARIABLE), std::env::home_dir())
}

fn choose(
    flag: Option<PathBuf>,
    variable: Option<OsString>,
    home: Option<PathBuf>,
) -> Result<PathBuf, ConfigError> {
    if let Some(flag) = flag {
        return if flag.as_os_str().is_empty() { Err(ConfigError::BlankStateDir) } else { Ok(flag) };
    }
    if let Some(folder) = variable.map(trimmed).filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let home = home.filter(|home| !home.as_os_str().is_empty()).ok_or(ConfigError::NoHome)?;
    Ok(home.join(".clawmesh"))
}

/// Unit files and shells leave blanks around values; a name that is no text is taken as it is.
fn trimmed(value: OsString) -> OsString {
    value.to_str().map(|text| text.trim().into()).unwrap_or(value)
}

#[cfg(test)]
impl StateDir {
    /// A new state dir for one test; it goes with the folder.
    pub fn temporary() -> (tempfile::TempDir, Self) {
        let folder = tempfile::tempdir().expect("the system has room for temporary files");
        let state = Self::locate(Some(folder.path().join("state"))).expect("the folder is ours");
        (folder, state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_over_the_variable_over_the_home_folder() {
        let choose = |flag: Option<&str>, variable: Option<&str>, home: Option<&str>| {
            choose(flag.map(Into::into), variable.map(Into::into), home.map(Into::into))
                .map(|path| path.display().to_string())
                .map_err(|error| error.to_string())
        };
        assert_eq!(choose(Some("flag"), Some("variable"), Some("barn")).unwrap(), "flag");
        assert_eq!(choose(None, Some(" variable \n"), Some("barn")).unwrap(), "variable");
        for blank in [None, Some(""), Some("  ")] {
            assert_eq!(choose(None, blank, Some("barn")).unwrap(), "barn/.clawmesh");
            assert!(choose(None, blank, None).unwrap_err().contains("--state-dir"));
        }
        assert!(choose(Some(""), Some("variable"), Some("barn")).unwrap_err().contains("--state-dir"));
    }

    #[test]
    fn looking_creates_nothing_and_locating_does() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/state");
        assert_eq!(StateDir::find(Some(root.clone())).unwrap().root(), root);
        assert!(!dir.path().join("a").exists());
        let state = StateDir::locate(Some(root.clone())).unwrap();
        assert!(root.join("identity").is_dir());
        assert_eq!(StateDir::locate(Some(root)).unwrap(), state);
    }

    #[cfg(unix)]
    #[test]
    fn the_folders_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::locate(Some(dir.path().join("state"))).unwrap();
        for folder in [state.root(), &state.root().join("identity")] {
            assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn every_file_has_its_own_name() {
        let state = StateDir::find(Some("state".into())).unwrap();
        let files = [
            state.identity_file(),
            state.papers_file(),
            state.mesh_key_file(),
            state.node_file(),
            state.site_file(),
            state.policy_file(),
            state.plant_file(),
            state.journal_file(),
            state.token_file(),
            state.epoch_file(),
            state.stop_file(),
            state.restored_file(),
            state.operators_file(),
            state.trust_file(),
            state.credentials_file(),
            state.gateways_file(),
        ];
        let names: Vec<_> = files.iter().map(|file| file.strip_prefix(state.root()).unwrap()).collect();
        let expected = [
            "identity/node.pem",
            "identity/papers.pem",
            "identity/mesh.pem",
            "node.ron",
            "site.ron",
            "policy.ron",
            "plant.ron",
            "journal.db",
            "gateway.token",
            "epoch",
            "stop",
            "restored.ron",
            "operators.ron",
            "trust.ron",
            "credentials.ron",
            "gateways.ron",
        ];
        assert_eq!(names, expected.map(Path::new));
    }

    #[test]
    fn a_relative_state_dir_becomes_absolute() {
        assert!(StateDir::find(Some("state".into())).unwrap().node_file().is_absolute());
    }

    #[test]
    fn a_second_node_on_one_state_dir_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::locate(Some(dir.path().join("state"))).unwrap();
        let first = state.lock().unwrap();
        let error = state.lock().unwrap_err().to_string();
        assert!(error.contains("another node is running"), "{error}");
        assert!(error.ends_with(&state.root().display().to_string()), "{error}");
        drop(first);
        let _again = state.lock().unwrap();
    }

    #[test]
    fn a_state_dir_is_in_use_while_its_lock_is_held_and_looking_neither_makes_nor_takes_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::find(Some(dir.path().join("state"))).unwrap();
        assert!(!state.is_in_use().unwrap());
        assert!(!state.root().exists(), "looking makes nothing");
        let held = state.lock().unwrap();
        assert!(state.is_in_use().unwrap());
        drop(held);
        assert!(!state.is_in_use().unwrap(), "the file stays, the lock does not");
        let _again = state.lock().unwrap();
    }

    #[test]
    fn a_look_at_the_lock_does_not_keep_a_node_from_starting() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::locate(Some(dir.path().join("state"))).unwrap();
        drop(state.lock().unwrap());
        let mut looking = Some(File::open(state.lock_file()).unwrap());
        looking.as_ref().unwrap().try_lock_shared().unwrap();
        let starting = File::open(state.lock_file()).unwrap();
        assert!(starting.try_lock().is_err());
        try_lock_patiently(&starting, LOCK_TRIES, || drop(looking.take())).unwrap();
        assert!(looking.is_none());
    }
}
