//! OpenSSH itself: what a real `ssh-agent` signs and what it does not, and key files that `ssh-keygen` writes and reads.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::Builder;

use clawmesh_authority::{Decision, OperatorKey, approval};

use super::scene::{ann, awaiting, center_showing, key_file};
use super::stand_in::StandIn;
use crate::bad_input::expect_sentence;
use crate::support::cli::{Said, at_terminal, end_of, program};

/// A real agent, until it is dropped.
struct Agent {
    child: Child,
    socket: PathBuf,
    folder: tempfile::TempDir,
}

impl Agent {
    /// One that asks `confirms` whether a key that wants it may sign: a program that ends with yes (0) or no.
    fn whose_person(confirms: &str) -> Self {
        let folder = tempfile::tempdir().expect("the system has room for temporary files");
        let socket = folder.path().join("socket");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket).env("SSH_ASKPASS", confirms).env("DISPLAY", ":0");
        let mut child =
            command.stdout(Stdio::piped()).spawn().expect("install it: apt-get install openssh-client");
        // It tells where it listens once it does.
        let mut told = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut told).expect("it tells");
        assert!(told.contains("SSH_AUTH_SOCK"), "{told}");
        Self { child, socket, folder }
    }

    fn add(&self, args: &[&str]) {
        let mut command = Command::new("ssh-add");
        command.args(args).env("SSH_AUTH_SOCK", &self.socket).stdin(Stdio::null());
        let done = command.output().expect("install it: apt-get install openssh-client");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// A key of its own making.
    fn add_another(&self, comment: &str) {
        let file = self.folder.path().join(comment);
        keygen(&["-q", "-t", "ed25519", "-N", "", "-C", comment], &file);
        self.add(&[file.to_str().expect("a path in UTF-8")]);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ann's key as a file that `ssh-add` reads.
fn openssh_file(stand: &StandIn) -> String {
    let key = key_file(stand);
    let said = end_of(program().args(["operator", "passphrase", "--no-passphrase", "--key", &key]));
    assert_eq!(said.code, Some(0), "{said:?}");
    key
}

fn approve_by(stand: &StandIn, socket: &Path, key: &str) -> Said {
    let mut command = stand.command(&["approve", "2b8a75c7", "--key", key]);
    at_terminal(command.env("SSH_AUTH_SOCK", socket), "yes\n")
}

fn reject_by(stand: &StandIn, socket: &Path, key: &str) -> Said {
    let mut command = stand.command(&["reject", "2b8a75c7", "--why", "it rains", "--key", key]);
    end_of(command.env("SSH_AUTH_SOCK", socket))
}

#[test]
fn a_key_in_an_agent_signs_as_the_person_when_the_agent_was_told_yes_and_not_when_told_no() {
    for (confirms, goes_through) in [("/bin/true", true), ("/bin/false", false)] {
        let (stand, agent) = (center_showing(&[awaiting()]), Agent::whose_person(confirms));
        agent.add(&["-c", &openssh_file(&stand)]);
        let said = approve_by(&stand, &agent.socket, "agent");
        assert_eq!(said.code, Some(if goes_through { 0 } else { 1 }), "{said:?}");
        let posted = stand.posted();
        assert_eq!(posted.len(), usize::from(goes_through), "{said:?}");
        if !goes_through {
            assert!(said.err.contains("the ssh-agent refused to sign; nothing was signed"), "{said:?}");
            continue;
        }
        let signed = approval::open(&posted[0].body).expect("an owner opens it");
        assert_eq!((signed.operator(), signed.approval().decision), (ann().id(), Decision::Approve));
    }
}

#[test]
fn a_yes_by_a_key_in_an_agent_is_typed_at_a_terminal_too() {
    let (stand, agent) = (center_showing(&[awaiting()]), Agent::whose_person("/bin/true"));
    agent.add(&[&openssh_file(&stand)]);
    let mut command = stand.command(&["approve", "2b8a75c7", "--key", "agent"]);
    let said = end_of(command.env("SSH_AUTH_SOCK", &agent.socket));
    expect_sentence(&said, &["nobody is at a terminal", "no program approves"]);
    assert_eq!(stand.posted().len(), 0);
}

#[test]
fn which_key_of_an_agent_is_said_by_its_fingerprint_or_its_comment() {
    let (stand, agent) = (center_showing(&[awaiting()]), Agent::whose_person("/bin/true"));
    agent.add(&[&openssh_file(&stand)]);
    agent.add_another("bo");
    let by = |key: &str| reject_by(&stand, &agent.socket, key);
    expect_sentence(&by("agent"), &["more than one such key", "SHA256:", "(bo)"]);
    expect_sentence(&by("agent:cy"), &["holds no Ed25519 key cy", "(bo)", "ssh-add -c"]);
    let comment = format!("agent:clawmesh operator {}", ann().id().short());
    let mut show = program();
    show.args(["operator", "show", "--json", "--key", &comment]).env("SSH_AUTH_SOCK", &agent.socket);
    let shown: serde_json::Value = serde_json::from_str(&end_of(&mut show).out).expect("it answers in JSON");
    assert_eq!(shown["id"], ann().id().to_string());
    let fingerprint = shown["in_agent"].as_str().expect("it has one");
    let said = by(&format!("agent:{fingerprint}"));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(stand.posted().len(), 1);
}

#[test]
fn without_an_agent_or_with_one_that_is_gone_nothing_is_signed() {
    let stand = center_showing(&[awaiting()]);
    let nowhere = PathBuf::from("/nowhere/agent");
    expect_sentence(
        &reject_by(&stand, &nowhere, "agent"),
        &["/nowhere/agent does not answer", "nothing was signed"],
    );
    let mut command = stand.command(&["reject", "2b8a75c7", "--why", "it rains", "--key", "agent"]);
    expect_sentence(&end_of(command.env_remove("SSH_AUTH_SOCK")), &["no ssh-agent runs here", "--key"]);
    let said = end_of(program().args(["operator", "new", "--no-passphrase", "--key", "agent"]));
    expect_sentence(&said, &["ssh-keygen", "nothing was done", "./agent"]);
    assert_eq!(stand.posted().len(), 0);
}

fn keygen(args: &[&str], file: &Path) {
    let mut command = Command::new("ssh-keygen");
    let done =
        command.args(args).arg("-f").arg(file).output().expect("install it: apt-get install openssh-client");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn ssh_keygen_reads_a_key_file_of_ours_and_a_key_file_of_its_own_signs() {
    let stand = center_showing(&[awaiting()]);
    let folder = tempfile::tempdir().expect("the system has room for temporary files");
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    let made =
        at_terminal(program().args(["operator", "new", "--key"]).arg(&ours), "a quiet barn\na quiet barn\n");
    assert_eq!(made.code, Some(0), "{made:?}");
    keygen(&["-y", "-P", "a quiet barn"], &ours);
    keygen(&["-q", "-t", "ed25519", "-N", "their barn"], &theirs);
    let reject =
        ["reject", "2b8a75c7", "--why", "it rains", "--key", theirs.to_str().expect("a path in UTF-8")];
    let said = stand.run_at_terminal(&reject, "our barn\n");
    assert!(said.code == Some(1) && said.err.contains("not its passphrase"), "{said:?}");
    let said = stand.run_at_terminal(&reject, "their barn\n");
    assert_eq!((said.code, stand.posted().len()), (Some(0), 1), "{said:?}");
}

/// An agent that says it has Ann's key and signs with another one.
fn liar(listener: &UnixListener) {
    let string =
        |bytes: &[u8]| [&u32::try_from(bytes.len()).expect("short").to_be_bytes()[..], bytes].concat();
    let blob = [string(b"ssh-ed25519"), string(ann().public().raw())].concat();
    let keys = [&[12, 0, 0, 0, 1][..], &string(&blob), &string(b"ann")].concat();
    for answer_is_signature in [false, true] {
        let (mut stream, _) = listener.accept().expect("somebody asks");
        let mut length = [0; 4];
        stream.read_exact(&mut length).expect("a question has a length");
        let mut question = vec![0; usize::try_from(u32::from_be_bytes(length)).expect("short")];
        stream.read_exact(&mut question).expect("a question has a body");
        let signature =
            [string(b"ssh-ed25519"), string(&OperatorKey::from_secret(&[9; 32]).sign(&question))].concat();
        let answer =
            if answer_is_signature { [&[14][..], &string(&signature)].concat() } else { keys.clone() };
        stream.write_all(&string(&answer)).expect("it waits for an answer");
    }
}

#[test]
fn what_an_agent_signed_with_another_key_is_never_sent() {
    let stand = center_showing(&[awaiting()]);
    let folder = tempfile::tempdir().expect("the system has room for temporary files");
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).expect("a new socket is free");
    let lies =
        Builder::new().name("liar".to_owned()).spawn(move || liar(&listener)).expect("a thread starts");
    let said = reject_by(&stand, &socket, "agent:ann");
    lies.join().expect("it was asked twice");
    expect_sentence(&said, &["the signature is not one of this key", "nothing was sent"]);
    assert_eq!(stand.posted().len(), 0);
}
