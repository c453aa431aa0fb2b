//! Secrets for services outside of the mesh: kept for their owner only, and shown to nobody by accident.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use crate::bad_input::{empty, expect_sentence};
use crate::support::cli::{Said, id_of, json_on, program, run_on};

const SECRET: &str = "sk-hunter2-of-the-farm";

/// Runs a command with this on its standard input.
fn typed(dir: &Path, args: &[&str], input: &[u8]) -> Said {
    let mut command = program();
    command.arg("--state-dir").arg(dir).args(args);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built for this test");
    // Whoever refuses before it has read everything closes its end.
    let _ = child.stdin.take().expect("it has one").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the binary prints UTF-8");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn a_secret_is_kept_for_its_owner_only_and_shown_only_to_whoever_says_so() {
    let (_folder, dir) = empty();
    let set = ["credential", "set", "provider/openai", "--from-stdin", "--label", "the farm's"];
    let said = typed(&dir, &set, format!("{SECRET}\n").as_bytes());
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert!(!said.out.contains(SECRET), "{said:?}");
    let file = dir.join("credentials.ron");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    for args in [
        &["credential", "list"][..],
        &["credential", "list", "--json"],
        &["cred", "get", "provider/openai"],
        &["cred", "get", "provider/openai", "--json"],
        &["config", "show"],
        &["info"],
        &["doctor"],
    ] {
        let said = run_on(&dir, args);
        assert!(!said.out.contains(SECRET) && !said.err.contains(SECRET), "{args:?}: {said:?}");
    }
    let listed = run_on(&dir, &["credential", "list"]).out;
    assert!(
        listed.contains("provider/openai  the farm's") && listed.contains("[redacted, 22 bytes]"),
        "{listed}"
    );
    assert_eq!(run_on(&dir, &["cred", "get", "provider/openai", "--reveal"]).out, format!("{SECRET}\n"));
    let shown = json_on(&dir, &["cred", "get", "provider/openai", "--reveal"]);
    assert_eq!((&shown["value"], &shown["label"]), (&json!(SECRET), &json!("the farm's")));

    let said = run_on(&dir, &["credential", "set", "channel/telegram", "t0ken", "--json"]);
    assert!(said.code == Some(0) && said.err.contains("--from-stdin is better"), "{said:?}");
    assert_eq!(json_on(&dir, &["cred", "list"])["credentials"].as_array().map(Vec::len), Some(2));
    assert_eq!(run_on(&dir, &["credential", "rm", "channel/telegram"]).code, Some(0));
    expect_sentence(
        &run_on(&dir, &["cred", "delete", "channel/telegram"]),
        &["no credential is kept as channel"],
    );
}

#[test]
fn what_is_wrong_with_a_credential_is_one_sentence_without_the_secret() {
    let (_folder, dir) = empty();
    expect_sentence(
        &run_on(&dir, &["cred", "get", "provider/openai"]),
        &["no credential is kept as provider"],
    );
    assert!(!dir.join("credentials.ron").exists(), "commands that only look make nothing");
    let set = |key: &str, value: &[u8]| typed(&dir, &["cred", "set", key, "--from-stdin"], value);
    for (key, value, words) in [
        ("provider/OpenAI", SECRET.as_bytes(), "is no key; a key has small letters"),
        ("../trust", SECRET.as_bytes(), "is no key"),
        ("provider/openai", b"", "the value is empty"),
        ("provider/openai", b"\xff\xfe", "is no text"),
        ("provider/openai", b"a\x00b", "control characters"),
        ("provider/openai", &[b'x'; 100_000], "at most 8192 are kept"),
    ] {
        let said = set(key, value);
        expect_sentence(&said, &[words]);
        assert!(!said.err.contains(SECRET), "{said:?}");
    }
    for args in [
        &["cred", "set", "a"][..],
        &["cred", "set", "a", "b", "--from-stdin"],
        &["cred"],
        &["cred", "get"],
        &["cred", "show", "a"],
    ] {
        assert_eq!(run_on(&dir, args).code, Some(2), "{args:?}");
    }
    assert!(!dir.join("credentials.ron").exists());

    assert_eq!(set("provider/openai", SECRET.as_bytes()).code, Some(0));
    let file = dir.join("credentials.ron");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    expect_sentence(&run_on(&dir, &["cred", "list"]), &["other users can read the credentials", "chmod 600"]);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let damaged = fs::read_to_string(&file).unwrap().replace("value", "valeu");
    fs::write(&file, &damaged).unwrap();
    for args in
        [&["cred", "list"][..], &["cred", "get", "a", "--reveal"], &["cred", "delete", "provider/openai"]]
    {
        let said = run_on(&dir, args);
        expect_sentence(&said, &["credentials are damaged: ", "move it away and set them again: "]);
        assert!(!said.err.contains(SECRET), "{said:?}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), damaged, "it stays as it is");
}

#[test]
fn a_backup_holds_no_secret_for_others_and_says_so() {
    let (folder, dir) = empty();
    id_of(&dir);
    let backup = |name: &str| {
        let target = folder.path().join(name);
        (run_on(&dir, &["backup", target.to_str().unwrap()]), target)
    };
    let (said, _) = backup("without");
    assert!(said.code == Some(0) && !said.out.contains("left out"), "{said:?}");
    typed(&dir, &["cred", "set", "provider/openai", "--from-stdin"], SECRET.as_bytes());
    let (said, target) = backup("with");
    assert!(said.out.contains("left out    credentials.ron: "), "{said:?}");
    assert!(!target.join("credentials.ron").exists());
    let new = folder.path().join("new");
    json_on(&new, &["restore", target.to_str().unwrap()]);
    assert_eq!(json_on(&new, &["cred", "list"])["credentials"], json!([]));
}
