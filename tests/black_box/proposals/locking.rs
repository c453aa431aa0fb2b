//! The passphrase of a person's key: what a program that has only the file cannot do, and the person can.

use std::io::Write as _;
use std::process::Stdio;

use clawmesh_authority::{Decision, approval};

use super::scene::{ann, awaiting, center_showing, key_file};
use super::stand_in::StandIn;
use crate::bad_input::expect_sentence;
use crate::support::cli::{Said, at_terminal, program};

const PASSPHRASE: &str = "a quiet barn";

/// Ann's key, to which she gave a passphrase.
fn locked_key(stand: &StandIn) -> String {
    let key = key_file(stand);
    let said = passphrase(&key, &[], &format!("{PASSPHRASE}\n{PASSPHRASE}\n"));
    assert_eq!(said.code, Some(0), "{said:?}");
    key
}

fn passphrase(key: &str, more: &[&str], typed: &str) -> Said {
    at_terminal(program().args(["operator", "passphrase", "--key", key]).args(more), typed)
}

/// A program with the key file: it answers whatever is asked by a pipe.
fn by_program(stand: &StandIn, args: &[&str], answers: &str) -> Said {
    let mut command = stand.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary was built for this test");
    // It may be over before it reads anything.
    let _ = child.stdin.take().expect("it is piped").write_all(answers.as_bytes());
    let done = child.wait_with_output().expect("a command of ours ends");
    let text = |bytes| String::from_utf8(bytes).expect("the binary prints UTF-8");
    Said { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
}

#[test]
fn a_program_with_the_key_file_signs_nothing_and_the_person_at_a_terminal_does() {
    let stand = center_showing(&[awaiting()]);
    let key = locked_key(&stand);
    let yes = ["approve", "2b8a75c7", "--key", &key];
    let no = ["reject", "2b8a75c7", "--why", "it rains", "--key", &key];
    // A program, even one that knows the passphrase.
    for answers in ["", "yes\n", &format!("yes\n{PASSPHRASE}\n")] {
        let said = by_program(&stand, &yes, answers);
        expect_sentence(&said, &["nobody is at a terminal", "no program approves", "nothing was signed"]);
    }
    for answers in ["", &format!("{PASSPHRASE}\n")] {
        let said = by_program(&stand, &no, answers);
        expect_sentence(&said, &["typed at a terminal", "nothing was signed"]);
    }
    // Somebody at a terminal who does not know it.
    let said = stand.run_at_terminal(&yes, "yes\na loud barn\n");
    assert!(said.code == Some(1) && said.err.contains("this is not its passphrase"), "{said:?}");
    assert_eq!(stand.posted().len(), 0);
    // The twin: a terminal, and the passphrase.
    let said = stand.run_at_terminal(&yes, &format!("yes\n{PASSPHRASE}\n"));
    assert_eq!(said.code, Some(0), "{said:?}");
    let posted = stand.posted();
    let [one] = &posted[..] else { panic!("not one post: {posted:?}") };
    let signed = approval::open(&one.body).expect("an owner opens it");
    assert_eq!((signed.operator(), signed.approval().decision), (ann().id(), Decision::Approve));
}

#[test]
fn a_passphrase_is_set_changed_and_removed_and_the_key_stays_the_same() {
    let stand = center_showing(&[awaiting()]);
    let key = locked_key(&stand);
    let before = std::fs::read(&key).expect("it is there");
    for (typed, why) in [
        ("a loud barn\n", "this is not its passphrase"),
        (&format!("{PASSPHRASE}\none\nanother\n"), "the two are not the same"),
        (&format!("{PASSPHRASE}\n\n"), "nothing was typed"),
    ] {
        let said = passphrase(&key, &[], typed);
        assert!(said.code == Some(1) && said.err.contains(why), "{typed:?}: {said:?}");
        assert_eq!(std::fs::read(&key).expect("it is there"), before, "{typed:?}");
    }
    let said = passphrase(&key, &[], &format!("{PASSPHRASE}\nnew\nnew\n"));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains(&ann().id().to_string()), "{said:?}");
    let said = passphrase(&key, &["--no-passphrase"], "new\n");
    assert!(said.code == Some(0) && said.out.contains("every program that can read the file"), "{said:?}");
    let rejected = stand.run(&["reject", "2b8a75c7", "--why", "it rains", "--key", &key]);
    assert_eq!(rejected.code, Some(0), "{rejected:?}");
}

#[test]
fn a_new_key_without_a_terminal_is_made_only_where_no_passphrase_is_wanted() {
    let folder = tempfile::tempdir().expect("the system has room for temporary files");
    let file = folder.path().join("ann.key");
    let said = crate::support::cli::end_of(program().args(["operator", "new", "--key"]).arg(&file));
    expect_sentence(&said, &["typed at a terminal"]);
    assert!(!file.exists());
    let said = at_terminal(program().args(["operator", "new", "--key"]).arg(&file), "barn\nbarn\n");
    assert!(said.code == Some(0) && !said.err.contains("Shall"), "{said:?}");
    let text = std::fs::read_to_string(&file).expect("it was made");
    assert!(text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"), "{text:?}");
}
