//! The keys of people and who is enrolled, as people at two terminals do it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::bad_input::{empty, expect_sentence};
use crate::support::cli::{Said, end_of, id_of, json_on, program, run_on};
use crate::support::node::Node;
use crate::support::wait;

/// A person at a machine of their own: nothing of the surroundings of the test reaches the command.
fn as_person(home: &Path, args: &[&str]) -> Said {
    let mut command = program();
    command.env_remove("XDG_CONFIG_HOME").env_remove("CLAWMESH_STATE_DIR").env("HOME", home);
    end_of(command.arg("operator").args(args))
}

fn json_of(said: &Said) -> Value {
    assert_eq!(said.code, Some(0), "{said:?}");
    serde_json::from_str(&said.out).unwrap_or_else(|why| panic!("no JSON ({why}): {said:?}"))
}

fn text<'a>(answer: &'a Value, key: &str) -> &'a str {
    answer[key].as_str().unwrap_or_else(|| panic!("no text at {key}: {answer}"))
}

/// A person with a new key: their home, and what `operator new` answered.
fn person() -> (TempDir, Value) {
    let home = tempfile::tempdir().expect("the system has room for temporary files");
    let made = json_of(&as_person(home.path(), &["new", "--no-passphrase", "--json"]));
    (home, made)
}

/// Enrolls a new key; the id.
fn enrolled(dir: &Path, name: &str, role: &str) -> String {
    let made = person().1;
    let answer =
        json_on(dir, &["operator", "enroll", text(&made, "public_key"), "--name", name, "--role", role]);
    text(&answer["operator"], "id").to_owned()
}

fn mode_of(path: &Path) -> u32 {
    path.metadata().expect("the file is there").permissions().mode() & 0o777
}

fn people(dir: &Path) -> Vec<Value> {
    json_on(dir, &["operator", "list"])["operators"].as_array().expect("a list of people").clone()
}

#[test]
fn a_person_makes_a_key_is_enrolled_listed_and_revoked() {
    let (_folder, dir) = empty();
    let (home, made) = person();
    let key_file = home.path().join(".config/clawmesh/operator.key");
    assert_eq!(Path::new(text(&made, "key_file")), key_file);
    let shown = json_of(&as_person(home.path(), &["show", "--json"]));
    assert_eq!(shown, made);
    let page = as_person(home.path(), &["show"]).out;
    assert!(["id", "public_key", "enroll"].iter().all(|key| page.contains(text(&made, key))), "{page}");

    // The line that was printed is the line that works, once its two words are filled in.
    let line = text(&made, "enroll").replace("NAME", "Ann").replace("ROLE", "approver");
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    let said = run_on(&dir, &words);
    assert!(said.code == Some(0) && said.out.contains(text(&made, "id")), "{said:?}");
    let page = run_on(&dir, &["operator", "list"]).out;
    assert!(page.contains("Ann") && page.contains("approver") && page.contains("enrolled"), "{page}");

    let prefix = &text(&made, "id")[..8];
    let revoked = json_on(&dir, &["operator", "revoke", prefix]);
    assert_eq!(revoked["operator"]["is_revoked"], true);
    let [ann] = &people(&dir)[..] else { panic!("not one person") };
    assert_eq!((text(ann, "id"), &ann["is_revoked"]), (text(&made, "id"), &Value::Bool(true)));
    expect_sentence(&run_on(&dir, &words), &["OPERATOR_REVOKED", "make a new key"]);
}

#[test]
fn a_key_is_never_printed() {
    let home = tempfile::tempdir().unwrap();
    let made = as_person(home.path(), &["--log", "trace", "new", "--no-passphrase"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let pem = fs::read_to_string(home.path().join(".config/clawmesh/operator.key")).unwrap();
    let secrets: Vec<&str> = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let known = json_of(&as_person(home.path(), &["show", "--json"]));
    let again = as_person(home.path(), &["new", "--no-passphrase"]);
    let shown = as_person(home.path(), &["show", "--json", "--log", "trace"]);
    for said in [made, again, shown] {
        for told in [&said.out, &said.err] {
            assert!(
                !told.contains("PRIVATE") && !secrets.iter().any(|line| told.contains(line)),
                "the secret is in the output"
            );
            let long_words = told.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() > 40);
            let public = [text(&known, "id"), text(&known, "public_key")];
            assert!(long_words.into_iter().all(|word| public.contains(&word)), "what is this? {told}");
        }
    }
}

#[test]
fn the_configuration_folder_of_the_environment_is_used_and_modes_keep_the_key_to_its_owner() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("etc");
    let mut command = program();
    command.env_remove("CLAWMESH_STATE_DIR").env("HOME", home.path()).env("XDG_CONFIG_HOME", &config);
    assert_eq!(end_of(command.args(["operator", "new", "--no-passphrase"])).code, Some(0));
    let key = config.join("clawmesh/operator.key");
    assert_eq!((mode_of(&key), mode_of(key.parent().unwrap())), (0o600, 0o700));
    let (_folder, dir) = empty();
    enrolled(&dir, "Ann", "observer");
    assert_eq!(mode_of(&dir.join("operators.ron")), 0o600);
}

#[test]
fn a_key_that_is_there_is_never_overwritten_whatever_it_holds() {
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("ann.key");
    let path = key.to_str().unwrap();
    fs::write(&key, "not even a key").unwrap();
    expect_sentence(
        &as_person(home.path(), &["new", "--no-passphrase", "--key", path]),
        &["never overwritten", "--key", path],
    );
    assert_eq!(fs::read(&key).unwrap(), b"not even a key");
}

#[test]
fn a_key_file_in_a_state_dir_is_refused_with_the_reason() {
    let (folder, dir) = empty();
    id_of(&dir);
    let words = ["an operator key never lives in a node's state dir", "no program approves", "--key"];
    let expect_refused = |key: PathBuf| {
        let said = as_person(folder.path(), &["new", "--no-passphrase", "--key", key.to_str().unwrap()]);
        expect_sentence(&said, &words);
        assert!(!key.exists());
    };
    expect_refused(dir.join("operator.key"));
    expect_refused(dir.join("identity/deep/operator.key"));
    // The default state dir, which no node has touched yet.
    expect_refused(folder.path().join(".clawmesh/keys/operator.key"));
    let node_key = dir.join("identity/node.pem");
    expect_sentence(&as_person(folder.path(), &["show", "--key", node_key.to_str().unwrap()]), &words);
    // The variable adds a state dir; the usual one stays one.
    for inside in ["soon/operator.key", ".clawmesh/operator.key"] {
        let mut command = program();
        command.env("CLAWMESH_STATE_DIR", folder.path().join("soon")).env("HOME", folder.path());
        command.args(["operator", "new", "--no-passphrase", "--key"]).arg(folder.path().join(inside));
        expect_sentence(&end_of(&mut command), &words);
    }
    let said = run_on(&dir, &["operator", "new", "--no-passphrase"]);
    assert!(said.code == Some(2) && said.err.contains("no use for --state-dir"), "{said:?}");
}

#[test]
fn a_key_file_that_cannot_be_used_is_told_with_the_repair() {
    let home = tempfile::tempdir().unwrap();
    let show = || as_person(home.path(), &["show"]);
    expect_sentence(&show(), &["there is no operator key", "clawmesh operator new", "operator.key"]);
    as_person(home.path(), &["new", "--no-passphrase"]);
    let key = home.path().join(".config/clawmesh/operator.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    expect_sentence(&show(), &["mode 644", "run: chmod 600 "]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, "-----BEGIN PRIVATE KEY-----\n").unwrap();
    expect_sentence(&show(), &["operator key is damaged", "restore it from a backup", "operator.key"]);
}

#[test]
fn what_cannot_be_enrolled_or_revoked_is_told_in_one_sentence_and_nothing_is_written() {
    let (_folder, dir) = empty();
    let ann = enrolled(&dir, "Ann", "operator");
    let before = fs::read(dir.join("operators.ron")).unwrap();
    let key = text(&person().1, "public_key").to_owned();
    let (no_point, x) = ("02".to_owned() + &"00".repeat(31), "x".repeat(64));
    for (args, words) in [
        (&["enroll", &key, "--name", "Bo", "--role", "king"][..], ["\"king\" is no role", "supervisor"]),
        (&["enroll", "abc", "--name", "Bo", "--role", "operator"], ["64 characters", "this one has 3"]),
        (&["enroll", &x, "--name", "Bo", "--role", "operator"], ["0-9 and a-f", "this one has 'x'"]),
        (&["enroll", &no_point, "--name", "Bo", "--role", "operator"], ["INVALID_PARAMS", "no Ed25519"]),
        (&["enroll", &key, "--name", " ", "--role", "operator"], ["INVALID_PARAMS", "1 to 512 bytes"]),
        (&["enroll", &key, "--name", "B\x1b[2J", "--role", "operator"], ["control characters", "\\u{1b}"]),
        (
            &["enroll", &key, "--name", "Bo", "--role", "approver", "--stands-for", &ann],
            ["higher role", "Ann"],
        ),
        (
            &["enroll", &key, "--name", "Bo", "--role", "operator", "--stands-for", &key],
            ["nobody enrolled", "list"],
        ),
        (&["revoke", &ann[..7]], ["too short", "at least 8 characters"]),
        (&["revoke", "anniversary"], ["is no id", "operator list"]),
        (&["revoke", &"ab".repeat(32)], ["nobody enrolled here", "operator list"]),
    ] {
        expect_sentence(&run_on(&dir, &[&["operator"], args].concat()), &words);
        assert_eq!(fs::read(dir.join("operators.ron")).unwrap(), before, "{args:?}");
    }
}

#[test]
fn one_key_is_one_person_and_the_key_of_a_node_is_nobodys() {
    let (_folder, dir) = empty();
    id_of(&dir);
    // The key of the node, carried out of its state dir, still is the key of a node.
    let home = tempfile::tempdir().unwrap();
    fs::copy(dir.join("identity/node.pem"), home.path().join("stolen.key")).unwrap();
    let path = home.path().join("stolen.key");
    let stolen = json_of(&as_person(home.path(), &["show", "--json", "--key", path.to_str().unwrap()]));
    let enroll = |answer: &Value| {
        let key = text(answer, "public_key");
        run_on(&dir, &["operator", "enroll", key, "--name", "Bo", "--role", "approver"])
    };
    expect_sentence(&enroll(&stolen), &["NOT_AUTHORIZED", "the key of a node"]);
    assert!(people(&dir).is_empty());
    let made = person().1;
    assert_eq!(enroll(&made).code, Some(0));
    expect_sentence(&enroll(&made), &["DUPLICATE", "Bo is enrolled with this key"]);
    assert_eq!(people(&dir).len(), 1);
}

#[test]
fn who_stands_for_somebody_is_shown_with_them_and_is_revoked_with_them() {
    let (_folder, dir) = empty();
    let ann = enrolled(&dir, "Ann", "approver");
    let key = text(&person().1, "public_key").to_owned();
    let by_name = ["operator", "enroll", &key, "--name", "Bo", "--role", "approver"];
    let bo = json_on(&dir, &[&by_name[..], &["--stands-for", &ann[..8]]].concat())["operator"].clone();
    assert_eq!((text(&bo, "stands_for"), &bo["is_revoked"]), (ann.as_str(), &Value::Bool(false)));
    json_on(&dir, &["operator", "revoke", &ann]);
    assert!(people(&dir).iter().all(|person| person["is_revoked"] == true), "{:?}", people(&dir));
    let page = run_on(&dir, &["operator", "list"]).out;
    assert_eq!(page.matches("revoked").count(), 2, "{page}");
}

#[test]
fn enrolments_at_once_lose_none() {
    let (_folder, dir) = empty();
    let keys: Vec<String> = (0..6).map(|_| text(&person().1, "public_key").to_owned()).collect();
    let children: Vec<_> = keys
        .iter()
        .map(|key| {
            let mut command = program();
            command.arg("--state-dir").arg(&dir).args(["operator", "enroll", key, "--name", "Ann"]);
            command.args(["--role", "observer"]).stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(people(&dir).len(), keys.len());
}

#[test]
fn a_damaged_list_is_told_with_its_place_by_every_command_and_stays_as_it_is() {
    let (_folder, dir) = empty();
    let ann = enrolled(&dir, "Ann", "approver");
    let key = text(&person().1, "public_key").to_owned();
    let list = dir.join("operators.ron");
    let sound = fs::read_to_string(&list).unwrap();
    let line = 1 + sound[..sound.find("role: ").unwrap()].matches('\n').count();
    let unknown = sound.replacen("role: ", "rolle: ", 1);
    for (damage, words) in [
        (unknown.as_str(), [format!("operators.ron:{line}:"), "did you mean `role`?".to_owned()]),
        ("", ["the file is empty".to_owned(), "restore the file from a backup".to_owned()]),
        (
            &sound[..sound.len() / 2],
            ["operators.ron:".to_owned(), "restore the file from a backup".to_owned()],
        ),
    ] {
        fs::write(&list, damage).unwrap();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for args in
            [&["list"][..], &["revoke", &ann], &["enroll", &key, "--name", "Bo", "--role", "observer"]]
        {
            expect_sentence(&run_on(&dir, &[&["operator"], args].concat()), &words);
            assert_eq!(fs::read_to_string(&list).unwrap(), damage, "{args:?}");
        }
        assert_eq!(run_on(&dir, &["doctor"]).code, Some(1), "doctor sees it too");
    }
}

#[test]
fn doctor_counts_who_is_enrolled_and_who_may_approve() {
    let (_folder, dir) = empty();
    let told = || {
        let findings = serde_json::from_str::<Value>(&run_on(&dir, &["doctor", "--json"]).out).unwrap();
        let row =
            findings.as_array().unwrap().iter().find(|row| row["check"] == "operators").unwrap().clone();
        (text(&row, "outcome").to_owned(), text(&row, "sentence").to_owned())
    };
    let (outcome, sentence) = told();
    assert!(
        outcome == "note" && sentence.starts_with("nobody is enrolled and nobody may approve"),
        "{sentence}"
    );
    enrolled(&dir, "Ann", "operator");
    let (outcome, sentence) = told();
    assert!(outcome == "note" && sentence.starts_with("1 person is enrolled and nobody"), "{sentence}");
    let bo = enrolled(&dir, "Bo", "approver");
    assert_eq!(told(), ("good".to_owned(), "2 people are enrolled, 1 may approve".to_owned()));
    json_on(&dir, &["operator", "revoke", &bo]);
    assert_eq!(told().0, "note", "a revoked approver approves nothing");
}

#[test]
fn who_is_enrolled_or_revoked_while_a_node_runs_is_known_to_it_within_moments() {
    let (_folder, dir) = empty();
    let mut node = Node::start(&dir, &[]);
    node.endpoint();
    let key = text(&person().1, "public_key").to_owned();
    let answer = json_on(&dir, &["operator", "enroll", &key, "--name", "Ann", "--role", "supervisor"]);
    assert!(text(&answer, "note").contains("within a second"), "{answer}");
    let id = text(&answer["operator"], "id").to_owned();
    let shown = |wanted: &dyn Fn(&Value) -> bool| {
        wait::until("the node knows it", Duration::from_secs(10), || {
            Some(node.ask(&["status"])["people"].clone()).filter(|people| wanted(people))
        })
    };
    let people = shown(&|people| *people != Value::Array(Vec::new()));
    let ann = &people[0];
    assert_eq!(
        (text(ann, "id"), text(ann, "name"), text(ann, "role")),
        (&*id, "Ann", "supervisor"),
        "{people}"
    );
    json_on(&dir, &["operator", "revoke", &id]);
    shown(&|people| people[0]["is_revoked"] == true);
    node.stop();
}

#[test]
fn looking_and_a_slip_of_the_pen_make_no_state_dir() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("nobody");
    assert!(run_on(&dir, &["operator", "list"]).out.starts_with("nobody is enrolled in "));
    expect_sentence(&run_on(&dir, &["operator", "revoke", &"ab".repeat(32)]), &["nobody enrolled here"]);
    assert!(!dir.exists());
}
