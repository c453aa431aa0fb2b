//! A key in an `ssh-agent`: asked by the agent protocol (draft-ietf-sshm-ssh-agent) which keys it holds, and for signatures.
//!
//! The signature of an `ssh-ed25519` key is a plain Ed25519 signature over the bytes that were handed over, so it is that of any
//! other operator key.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::time::Duration;

use clawmesh_authority::PublicKey;
use ssh_key::HashAlg;

/// How long an agent may take; to sign it may ask a person first.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// An answer has no more bytes; OpenSSH has the same bound.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Questions and answers of the protocol, by number.
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const FAILURE: u8 = 5;

/// How a key of this kind is called there.
const ED25519: &[u8] = b"ssh-ed25519";

/// Why an agent was of no use. Each message is one sentence with the repair.
#[derive(Debug, thiserror::Error)]
pub enum AgentFault {
    /// Nobody told where it listens.
    #[error(
        "no ssh-agent runs here: SSH_AUTH_SOCK is not set; start one with `eval $(ssh-agent)`, or name a key file with --key"
    )]
    NoAgent,
    /// It cannot be reached, or went away.
    #[error(
        "the ssh-agent at {socket} does not answer ({why}); nothing was signed, look whether it runs with `ssh-add -l`"
    )]
    Silent {
        /// Where it listens.
        socket: String,
        /// What the system said.
        why: io::Error,
    },
    /// It answered something that is not of the protocol.
    #[error("the ssh-agent answered what is not of its protocol: {why}; nothing was signed")]
    Nonsense {
        /// What is wrong.
        why: &'static str,
    },
    /// It said no: locked, the person said no when it asked for confirmation, or it holds the key no longer.
    #[error(
        "the ssh-agent refused to sign; nothing was signed, unlock it or say yes where it asks, and try again"
    )]
    Refused,
    /// It holds no key like that.
    #[error("the ssh-agent holds no Ed25519 key {wanted}; it holds {held}; add yours with `ssh-add -c FILE`")]
    NotHeld {
        /// What was asked for.
        wanted: String,
        /// What is there.
        held: String,
    },
    /// It holds more than one.
    #[error("the ssh-agent holds more than one such key, {held}; say which one with --key agent:SHA256:…")]
    Ambiguous {
        /// What is there.
        held: String,
    },
}

/// A key that an agent holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its public half.
    pub public: PublicKey,
    /// How `ssh-add -l` shows it: `SHA256:` and the fingerprint.
    pub fingerprint: String,
    /// What whoever added it wrote beside it.
    pub comment: String,
    /// Its public half as the protocol writes it.
    blob: Vec<u8>,
}

/// A key in the agent of whoever acts.
#[derive(Debug)]
pub struct AgentKey {
    socket: OsString,
    held: Held,
}

impl AgentKey {
    /// The key that is `wanted`, by its fingerprint or its comment, or the only one, in the agent that SSH_AUTH_SOCK names.
    ///
    /// # Errors
    /// A sentence with the repair, when there is no agent, or no such key in it.
    pub fn find(wanted: Option<&str>) -> Result<Self, AgentFault> {
        let socket = socket_of_environment().ok_or(AgentFault::NoAgent)?;
        let keys = connect(&socket).and_then(|mut stream| held(&mut stream));
        let held = choose(keys.map_err(|fault| fault.of(&socket.to_string_lossy()))?, wanted)?;
        Ok(Self { socket, held })
    }

    /// Which one it is.
    #[must_use]
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// A signature over `message`, which nobody has looked at yet.
    ///
    /// # Errors
    /// A sentence, when the agent says no, or is of no use.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AgentFault> {
        let signature = connect(&self.socket).and_then(|mut stream| sign(&mut stream, &self.held, message));
        signature.map_err(|fault| fault.of(&self.socket.to_string_lossy()))
    }
}

#[expect(clippy::disallowed_methods, reason = "where the agent listens is told by the environment")]
fn socket_of_environment() -> Option<OsString> {
    std::env::var_os("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty())
}

#[cfg(unix)]
fn connect(socket: &OsString) -> Result<impl Read + Write + use<>, AskFault> {
    let stream = std::os::unix::net::UnixStream::connect(socket).map_err(AskFault::Io)?;
    let patient = |stream: &std::os::unix::net::UnixStream| {
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_write_timeout(Some(ANSWER_WITHIN))
    };
    patient(&stream).map_err(AskFault::Io)?;
    Ok(stream)
}

#[cfg(not(unix))]
fn connect(_: &OsString) -> Result<io::Empty, AskFault> {
    Err(AskFault::Io(io::Error::other("agents are asked on Linux and macOS only")))
}

/// The Ed25519 keys that the agent at the other end of `stream` holds; it passes over others.
///
/// # Errors
/// When it does not answer, or not by the protocol.
fn held(stream: &mut (impl Read + Write)) -> Result<Vec<Held>, AskFault> {
    let answer = ask(stream, &[REQUEST_IDENTITIES])?;
    let mut rest = Rest(body_of(&answer, IDENTITIES_ANSWER)?);
    let count = rest.number()?;
    // Each takes eight bytes at least: a count that is larger than the answer ends at its end.
    let mut keys = Vec::new();
    for _ in 0..count {
        let (blob, comment) = (rest.string()?, rest.string()?);
        keys.extend(key_of(blob, comment));
    }
    Ok(keys)
}

/// A signature of `key` over `message`, which nobody has looked at yet.
///
/// # Errors
/// When the agent says no, does not answer, or not by the protocol.
fn sign(stream: &mut (impl Read + Write), key: &Held, message: &[u8]) -> Result<Vec<u8>, AskFault> {
    let mut question = vec![SIGN_REQUEST];
    put_string(&mut question, &key.blob);
    put_string(&mut question, message);
    question.extend_from_slice(&[0; 4]);
    let answer = ask(stream, &question)?;
    let mut signature = Rest(Rest(body_of(&answer, SIGN_RESPONSE)?).string()?);
    if signature.string()? != ED25519 {
        return Err(AskFault::Nonsense("a signature of another kind than Ed25519"));
    }
    Ok(signature.string()?.to_vec())
}

/// The one of `keys` that is `wanted`: by its fingerprint, or by its comment; the only one when nothing is said.
///
/// # Errors
/// When there is none, or more than one.
fn choose(keys: Vec<Held>, wanted: Option<&str>) -> Result<Held, AgentFault> {
    let told = |keys: &[Held]| match keys {
        [] => "none".to_owned(),
        keys => keys
            .iter()
            .map(|key| format!("{} ({})", key.fingerprint, key.comment))
            .collect::<Vec<_>>()
            .join(", "),
    };
    let fits = |key: &&Held| wanted.is_none_or(|wanted| key.fingerprint == wanted || key.comment == wanted);
    let fitting: Vec<Held> = keys.iter().filter(fits).cloned().collect();
    match <[Held; 1]>::try_from(fitting) {
        Ok([one]) => Ok(one),
        Err(none) if none.is_empty() => {
            Err(AgentFault::NotHeld { wanted: wanted.unwrap_or("at all").to_owned(), held: told(&keys) })
        }
        Err(several) => Err(AgentFault::Ambiguous { held: told(&several) }),
    }
}

/// Why one question went without an answer.
#[derive(Debug)]
enum AskFault {
    /// The stream broke, or nothing came in time.
    Io(io::Error),
    /// What came is not of the protocol.
    Nonsense(&'static str),
    /// It said no.
    Refused,
}

impl AskFault {
    /// The sentence about the agent that listens at `socket`.
    #[must_use]
    pub fn of(self, socket: &str) -> AgentFault {
        match self {
            Self::Io(why) => AgentFault::Silent { socket: socket.to_owned(), why },
            Self::Nonsense(why) => AgentFault::Nonsense { why },
            Self::Refused => AgentFault::Refused,
        }
    }
}

fn ask(stream: &mut (impl Read + Write), question: &[u8]) -> Result<Vec<u8>, AskFault> {
    let mut framed = Vec::with_capacity(question.len() + 4);
    put_string(&mut framed, question);
    stream.write_all(&framed).map_err(AskFault::Io)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).map_err(AskFault::Io)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > ANSWER_BYTES_MAX {
        return Err(AskFault::Nonsense("an answer of more than 256 KiB"));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).map_err(AskFault::Io)?;
    Ok(answer)
}

fn body_of(answer: &[u8], kind: u8) -> Result<&[u8], AskFault> {
    match answer.split_first() {
        Some((first, body)) if *first == kind => Ok(body),
        Some((&FAILURE, _)) => Err(AskFault::Refused),
        _ => Err(AskFault::Nonsense("an answer of another kind")),
    }
}

/// The key that an agent tells of, if it is of our kind.
fn key_of(blob: &[u8], comment: &[u8]) -> Option<Held> {
    let mut parts = Rest(blob);
    if parts.string().ok()? != ED25519 {
        return None;
    }
    let raw: &[u8; 32] = parts.string().ok()?.try_into().ok()?;
    let public = PublicKey::from_raw(raw)?;
    let fingerprint = ssh_key::PublicKey::from_bytes(blob).ok()?.fingerprint(HashAlg::Sha256).to_string();
    let comment = String::from_utf8_lossy(comment).into_owned();
    Some(Held { public, fingerprint, comment, blob: blob.to_vec() })
}

fn put_string(to: &mut Vec<u8>, bytes: &[u8]) {
    // What we hand over is shorter than a message of ours may be, which is far below this.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(bytes);
}

/// What is left to read of an answer.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn number(&mut self) -> Result<u32, AskFault> {
        let (first, rest) = self.0.split_first_chunk().ok_or(CUT)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*first))
    }

    fn string(&mut self) -> Result<&'a [u8], AskFault> {
        let length = usize::try_from(self.number()?).map_err(|_| CUT)?;
        let (string, rest) = self.0.split_at_checked(length).ok_or(CUT)?;
        self.0 = rest;
        Ok(string)
    }
}

const CUT: AskFault = AskFault::Nonsense("an answer that ends too early");

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_authority::OperatorKey;
    use proptest::prelude::*;

    /// An agent that gives one answer, and keeps what it was asked.
    struct Says {
        answer: io::Cursor<Vec<u8>>,
        asked: Vec<u8>,
    }

    impl Says {
        fn framed(body: &[u8]) -> Self {
            let mut answer = Vec::new();
            put_string(&mut answer, body);
            Self::raw(answer)
        }

        fn raw(answer: Vec<u8>) -> Self {
            Self { answer: io::Cursor::new(answer), asked: Vec::new() }
        }
    }

    impl Read for Says {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            self.answer.read(to)
        }
    }

    impl Write for Says {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.asked.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn blob(kind: &[u8], raw: &[u8]) -> Vec<u8> {
        let mut blob = Vec::new();
        put_string(&mut blob, kind);
        put_string(&mut blob, raw);
        blob
    }

    fn held_of(seed: u8, comment: &str) -> Held {
        let key = OperatorKey::from_secret(&[seed; 32]);
        key_of(&blob(ED25519, key.public().raw()), comment.as_bytes()).unwrap()
    }

    #[test]
    fn keys_of_other_kinds_are_passed_over() {
        let mut body = vec![IDENTITIES_ANSWER, 0, 0, 0, 3];
        for (blob, comment) in [
            (blob(b"ssh-rsa", b"12345"), "rsa"),
            (held_of(7, "").blob, "ann"),
            (blob(b"sk-ssh-ed25519@openssh.com", &[1; 32]), "stick"),
        ] {
            put_string(&mut body, &blob);
            put_string(&mut body, comment.as_bytes());
        }
        let mut agent = Says::framed(&body);
        assert_eq!(held(&mut agent).unwrap(), [held_of(7, "ann")]);
        assert_eq!(agent.asked, [0, 0, 0, 1, REQUEST_IDENTITIES]);
    }

    #[test]
    fn a_signature_is_asked_for_by_key_and_bytes_without_flags() {
        let key = held_of(7, "ann");
        let signature = blob(ED25519, &[9; 64]);
        let mut body = vec![SIGN_RESPONSE];
        put_string(&mut body, &signature);
        let mut agent = Says::framed(&body);
        assert_eq!(sign(&mut agent, &key, b"water").unwrap(), [9; 64]);
        let mut asked = vec![SIGN_REQUEST];
        put_string(&mut asked, &key.blob);
        put_string(&mut asked, b"water");
        asked.extend_from_slice(&[0; 4]);
        assert_eq!(agent.asked[4..], asked[..]);
    }

    #[test]
    fn a_key_is_chosen_by_fingerprint_by_comment_or_because_it_is_the_only_one() {
        let (ann, bo, twin) = (held_of(7, "ann"), held_of(8, "bo"), held_of(9, "bo"));
        let both = || vec![ann.clone(), bo.clone()];
        assert_eq!(choose(vec![ann.clone()], None).unwrap(), ann);
        assert_eq!(choose(both(), Some("bo")).unwrap(), bo);
        assert_eq!(choose(both(), Some(&ann.fingerprint)).unwrap(), ann);
        for (keys, wanted, words) in [
            (vec![], None, "holds none"),
            (both(), Some("cy"), "holds no Ed25519 key cy"),
            (both(), None, "more than one"),
            (vec![bo.clone(), twin.clone()], Some("bo"), "more than one"),
        ] {
            let fault = choose(keys, wanted).unwrap_err().to_string();
            assert!(fault.contains(words), "{fault}");
        }
    }

    #[test]
    fn a_no_an_endless_answer_and_silence_are_told_apart() {
        let fault = |mut agent: Says| {
            sign(&mut agent, &held_of(7, ""), b"x").unwrap_err().of("/run/agent").to_string()
        };
        assert!(fault(Says::framed(&[FAILURE])).contains("refused to sign"));
        assert!(fault(Says::raw(vec![0xff; 8])).contains("more than 256 KiB"));
        assert!(fault(Says::raw(vec![0, 0])).contains("/run/agent does not answer"));
        assert!(fault(Says::framed(&[IDENTITIES_ANSWER])).contains("of another kind"));
    }

    proptest! {
        #[test]
        fn no_answer_whatever_is_more_than_a_fault(body in proptest::collection::vec(any::<u8>(), 0..200), kind in 11u8..16) {
            let framed = [&[kind][..], &body].concat();
            let _ = held(&mut Says::framed(&framed));
            let _ = sign(&mut Says::framed(&framed), &held_of(7, ""), b"x");
            let _ = held(&mut Says::raw(body));
        }
    }
}
