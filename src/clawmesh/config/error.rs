//! Everything that can be wrong with the state dir and with what people wrote there.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use clawmesh_authority::NodeId;

/// Why the configuration could not be used. Each message is one sentence that names the file and the repair.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The key of a person has no text form; only an encoder without memory says so.
    #[error("the operator key cannot be encoded: {why}; nothing was written, try again")]
    OperatorKeyEncoding {
        /// What the encoder said.
        why: String,
    },
    /// Neither flag, environment nor home folder says where the state dir is.
    #[error("there is no home folder to keep the state in; name a folder with --state-dir")]
    NoHome,
    /// A flag or variable names a state dir, with nothing in it.
    #[error("the state dir is given as an empty text; name a folder with --state-dir")]
    BlankStateDir,
    /// The operating system refused.
    #[error("cannot {doing}: {fault}; check {}", path.display())]
    Io {
        /// What we were about to do, for example `write the file`.
        doing: &'static str,
        /// What the system said. Not called `source`: the sentence already holds it.
        fault: io::Error,
        /// The file or folder.
        path: PathBuf,
    },
    /// Another node holds the lock of this state dir; two would spoil one journal.
    #[error("another node is running on this state dir; stop it or name another with --state-dir: {}", dir.display())]
    Locked {
        /// The state dir.
        dir: PathBuf,
    },
    /// We read small files only; this one cannot be what it should be.
    #[error("the file has {found} bytes, more than the {max} it may have; check {}", path.display())]
    TooLarge {
        /// Its size.
        found: u64,
        /// The most it may have.
        max: u64,
        /// The file.
        path: PathBuf,
    },
    /// The identity file exists and holds no key. A new one would be another node, so we never make it here.
    #[error(
        "identity file is damaged: {why}; restore it from a backup, or move it away to get a new identity \
         (peers must then trust the new id): {}", path.display()
    )]
    DamagedIdentity {
        /// What is wrong with it.
        why: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The papers are there and are none of this node, or of this mesh.
    #[error(
        "the papers of this node are damaged: {why}; restore the file from a backup, or move it away and pair again: {}",
        path.display()
    )]
    DamagedPapers {
        /// What is wrong with them.
        why: String,
        /// The file.
        path: PathBuf,
    },
    /// The certificate is there and serves nothing. A new one would be refused by all who pinned the old one.
    #[error(
        "the TLS certificate of this node is damaged: {why}; restore it from a backup, or move it away to get a new one \
         (nodes that dial this one must then pin the new fingerprint): {}", path.display()
    )]
    DamagedCertificate {
        /// What is wrong with it.
        why: String,
        /// The file.
        path: PathBuf,
    },
    /// The files that people have named serve nothing.
    #[error(
        "the certificate that `tls` of node.ron names is of no use: {why}; name a certificate and its key, both PEM: {} and {}",
        cert.display(), key.display()
    )]
    UselessCertificate {
        /// What is wrong with them.
        why: String,
        /// The certificate.
        cert: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// A secret that other users of the machine can read is no secret.
    #[error("other users can read the {what} (mode {mode:o}); run: chmod 600 {}", path.display())]
    ExposedSecret {
        /// Which secret.
        what: &'static str,
        /// The permissions it has.
        mode: u32,
        /// The file.
        path: PathBuf,
    },
    /// The gateway token is no token of ours; programs may still use the old one.
    #[error("gateway token is damaged: {why}; restore it, or move it away to get a new one: {}", path.display())]
    DamagedToken {
        /// What is wrong with it.
        why: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The credentials are there and cannot be read; what is written over them is lost.
    #[error(
        "credentials are damaged: {why}; mend the file, or move it away and set them again: {}", path.display()
    )]
    DamagedCredentials {
        /// What is wrong, without anything of what stands there.
        why: String,
        /// The file.
        path: PathBuf,
    },
    /// Neither flag, environment nor home folder says where the key of this person is.
    #[error("there is no home folder to keep the operator key in; name a file with --key")]
    NoOperatorHome,
    /// The flag names a key file, with nothing in it.
    #[error("the key file is given as an empty text; name a file with --key")]
    BlankOperatorKey,
    /// A key that a node could read would let the node approve.
    #[error(
        "an operator key never lives in a node's state dir, because no program approves; name a file outside of {} \
         with --key: {}", dir.display(), path.display()
    )]
    OperatorKeyInStateDir {
        /// The state dir.
        dir: PathBuf,
        /// The file.
        path: PathBuf,
    },
    /// A key that is overwritten cannot be brought back, and everything it was enrolled for goes with it.
    #[error("there is a file already, and a key is never overwritten; name another with --key: {}", path.display())]
    OperatorKeyExists {
        /// The file.
        path: PathBuf,
    },
    /// Nobody made a key there.
    #[error("there is no operator key; make one with `clawmesh operator new`, or name its file with --key: {}", path.display())]
    NoOperatorKey {
        /// The file.
        path: PathBuf,
    },
    /// A node is to be trusted whose key is that of a person.
    #[error(
        "the key of node {node} is that of {name}, who is enrolled here, and no program approves; nothing was written, revoke \
         that key with `clawmesh operator revoke` or trust another node: {}", path.display()
    )]
    KeyOfPerson {
        /// The node.
        node: NodeId,
        /// The person.
        name: String,
        /// Where people stand.
        path: PathBuf,
    },
    /// The key file of a person exists and holds no key.
    #[error(
        "operator key is damaged: {why}; restore it from a backup, or move it away, make a new one and have that \
         enrolled: {}", path.display()
    )]
    DamagedOperatorKey {
        /// What is wrong with it.
        why: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Whoever can write such a list can give themselves, or their node, any right it gives.
    #[error("other users can change {who_is} (mode {mode:o}); look through it, then run: chmod 600 {}", path.display())]
    OpenList {
        /// What they could change, for example `who is enrolled`.
        who_is: &'static str,
        /// The permissions it has.
        mode: u32,
        /// The file.
        path: PathBuf,
    },
    /// Another command holds a list for longer than it should need.
    #[error("another command is changing {who_is}; try again when it is done: {}", path.display())]
    ListBusy {
        /// What it changes, for example `who is enrolled`.
        who_is: &'static str,
        /// The lock file.
        path: PathBuf,
    },
    /// Without the last epoch, peers could take new statements for old ones.
    #[error(
        "epoch file is damaged: {why}; restore it from a backup, or write into it a number larger than any epoch \
         peers have seen of this node: {}", path.display()
    )]
    DamagedEpoch {
        /// What is wrong with it.
        why: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The system has no randomness to give; a guessable secret is worse than none.
    #[error("the system gives no random bytes for the {what}: {fault}")]
    NoRandomness {
        /// Which secret.
        what: &'static str,
        /// What the system said.
        fault: getrandom::Error,
    },
    /// A key nobody knows: most often a slip of the pen.
    #[error("{place}: unknown key `{key}`, known keys are {}{}", known.join(", "), did_you_mean(suggestion))]
    UnknownKey {
        /// Where it stands.
        place: Place,
        /// The key.
        key: String,
        /// What could stand there.
        known: &'static [&'static str],
        /// The known key that looks most like it.
        suggestion: Option<&'static str>,
    },
    /// A text that is no RON, or a value that does not fit its key.
    #[error("{place}: {sentence}")]
    Refused {
        /// Where it stands.
        place: Place,
        /// What is wrong and what would be right.
        sentence: String,
    },
}

impl ConfigError {
    /// For `map_err` around a call of the operating system.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |fault| Self::Io { doing, fault, path: path.to_owned() }
    }

    /// The file and the position it is about, as far as they are known.
    #[must_use]
    pub fn place(&self) -> (Option<&Path>, Option<Position>) {
        match self {
            Self::UnknownKey { place: Place::File { path, position }, .. }
            | Self::Refused { place: Place::File { path, position }, .. } => (Some(path), *position),
            _ => (None, None),
        }
    }
}

fn did_you_mean(suggestion: &Option<&'static str>) -> String {
    suggestion.map_or_else(String::new, |known| format!("; did you mean `{known}`?"))
}

/// A line and a column of a text, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// Where a faulty value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file, at a position if we found it.
    File {
        /// The file.
        path: PathBuf,
        /// The position.
        position: Option<Position>,
    },
    /// On the command line, under this flag.
    Flag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, position: Some(at) } => {
                write!(f, "{}:{}:{}", path.display(), at.line, at.column)
            }
            Self::File { path, position: None } => write!(f, "{}", path.display()),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_sentence_that_names_place_and_repair() {
        let place = Place::File { path: "node.ron".into(), position: Some(Position { line: 3, column: 5 }) };
        let known = &["name", "role"];
        let slip = ConfigError::UnknownKey { place, key: "nmae".into(), known, suggestion: Some("name") };
        assert_eq!(
            slip.to_string(),
            "node.ron:3:5: unknown key `nmae`, known keys are name, role; did you mean `name`?"
        );
        let locked = ConfigError::Locked { dir: "state".into() };
        assert_eq!(
            locked.to_string(),
            "another node is running on this state dir; stop it or name another with --state-dir: state"
        );
        let exposed = ConfigError::ExposedSecret { what: "identity", mode: 0o644, path: "node.pem".into() };
        assert_eq!(
            exposed.to_string(),
            "other users can read the identity (mode 644); run: chmod 600 node.pem"
        );
    }

    #[test]
    fn an_io_error_says_what_was_tried() {
        let fault = io::Error::from(io::ErrorKind::NotFound);
        let error = ConfigError::io("write the file", Path::new("epoch"))(fault);
        assert_eq!(error.to_string(), "cannot write the file: entity not found; check epoch");
    }
}
