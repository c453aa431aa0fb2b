//! What goes wrong at the command line and in the state dir: one clear sentence, and nothing is harmed.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::cli::{Said, id_of, run_on};
use crate::support::node::Node;

/// Ways to start a node that never reach the network of the machine.
pub const START: [&str; 7] =
    ["start", "--no-discovery", "--port", "0", "--listen", "tcp/127.0.0.1:0", "--stop-with-stdin"];

/// A folder for one state dir, and the state dir.
pub fn empty() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("the system has room for temporary files");
    let dir = folder.path().join("state");
    fs::create_dir(&dir).expect("the folder is ours");
    (folder, dir)
}

/// What people would call the error: everything but log lines, which begin with a time.
pub fn complaints(said: &Said) -> Vec<&str> {
    let is_log = |line: &&str| line.starts_with(|c: char| c.is_ascii_digit()) && line.contains("Z ");
    said.err.lines().filter(|line| !is_log(line)).collect()
}

/// One sentence on standard error that holds all `words`, and exit code 1.
pub fn expect_sentence(said: &Said, words: &[&str]) {
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    let [sentence] = complaints(said)[..] else { panic!("not one sentence: {said:?}") };
    assert!(sentence.starts_with("clawmesh: ") && !said.err.contains("panicked"), "{said:?}");
    for word in words {
        assert!(sentence.contains(word), "{word:?} is not in {sentence:?}");
    }
}

/// Every file under `dir` with its content; a secret is no matter for a failure message, so it is hashed.
fn files(dir: &Path) -> BTreeMap<PathBuf, u64> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let hash = |path: &PathBuf| {
        let mut hasher = DefaultHasher::new();
        fs::read(path).expect("a file of ours can be read").hash(&mut hasher);
        hasher.finish()
    };
    let deeper = folders.iter().flat_map(|folder| self::files(folder));
    files.into_iter().map(|path| (path.clone(), hash(&path))).chain(deeper).collect()
}

/// Every reading command and `start` on a state dir with this `node.ron`: refused, and nothing is written.
fn expect_refused_node_ron(text: &str, words: &[&str]) {
    let (_folder, dir) = empty();
    fs::write(dir.join("node.ron"), text).expect("the folder is ours");
    let before = files(&dir);
    for command in [&START[..], &["identity"], &["config", "show"]] {
        expect_sentence(&run_on(&dir, command), words);
        assert_eq!(files(&dir), before, "{command:?}");
    }
}

#[test]
fn an_unknown_key_in_node_ron_is_told_with_its_place_and_the_nearest_known_one() {
    let words = ["node.ron:3:2: unknown key `digest_evry_ticks`", "did you mean `digest_every_ticks`?"];
    expect_refused_node_ron("(\n name: \"pump\",\n digest_evry_ticks: 1,\n)", &words);
    expect_refused_node_ron("(nmae: \"pump\")", &["node.ron:1:2: ", "`nmae`", "did you mean `name`?"]);
}

#[test]
fn a_value_that_makes_no_sense_in_node_ron_is_told_with_its_place_and_what_would() {
    for (text, words) in [
        ("(\n hz: 500,\n)", ["node.ron:2:2: `hz` is 500", "1 to 200"]),
        ("(hz: 0)", ["node.ron:1:2: `hz` is 0", "1 to 200"]),
        ("(hz: \"fast\")", ["node.ron:1:", "1 to 200"]),
        ("(listen: [\"tcp:7447\"])", ["node.ron:1:", "tcp/host:port"]),
        ("(trusted: [\"abc\"])", ["node.ron:1:", "64 hexadecimal characters"]),
        ("(name: \"pump\"", ["node.ron:", ""]),
        ("(name: \"pump\", name: \"gate\")", ["node.ron:1:", "name"]),
    ] {
        expect_refused_node_ron(text, &words);
    }
}

#[test]
fn an_unknown_key_in_site_ron_is_told_with_its_place_and_nothing_else_is_written() {
    let (_folder, dir) = empty();
    let mapping = "(key_expr: \"a/b\", sensor: \"sensor:a:b\", decoder: Number,\n  quanttity: \"a\", unit: \"%\", period_ms: 9)";
    fs::write(dir.join("site.ron"), format!("(name: \"farm\", mappings: [\n {mapping}])")).unwrap();
    let before = files(&dir);
    let words = ["site.ron:3:3: unknown key `quanttity`", "did you mean `quantity`?"];
    expect_sentence(&run_on(&dir, &START), &words);
    let lock = dir.join("lock");
    let after: BTreeMap<_, _> = files(&dir).into_iter().filter(|(path, _)| *path != lock).collect();
    assert_eq!(after, before, "a start that fails begins nothing");
}

#[test]
fn damaged_files_of_a_node_are_named_and_stay_as_they_are() {
    let (_folder, dir) = empty();
    start_and_stop(&dir);
    for (file, damage, words) in [
        ("identity/node.pem", &b""[..], ["identity file is damaged", "restore it from a backup"]),
        ("identity/node.pem", b"-----BEGIN PRIVATE KEY-----\n", ["identity file is damaged", "node.pem"]),
        ("identity/node.pem", b"\xff\xfe\x00", ["identity file is damaged", "node.pem"]),
        ("gateway.token", b"short", ["gateway token is damaged", "gateway.token"]),
        ("epoch", b"yesterday\n", ["epoch file is damaged", "epoch"]),
        ("site.ron", b"\xff", ["site.ron: ", "UTF-8"]),
        ("journal.db", b"no SQLite file at all, but long enough to look like one", ["journal", "journal.db"]),
    ] {
        let path = dir.join(file);
        let sound = fs::read(&path).unwrap();
        fs::write(&path, damage).unwrap();
        expect_sentence(&run_on(&dir, &START), &words);
        assert_eq!(fs::read(&path).unwrap(), damage, "{file}");
        fs::write(&path, sound).unwrap();
    }
    start_and_stop(&dir);
}

#[test]
fn what_is_odd_or_wrong_about_peers_and_port_is_told_at_the_start_by_its_code() {
    let (_folder, dir) = empty();
    let (own, other) = (id_of(&dir), "ab".repeat(32));
    // `Node::start` turns discovery off.
    for (peers, codes) in [
        (&[][..], &["NO_STATIC_PEERS: ", "ISOLATED_NODE: ", "NO_CAPABILITIES: "][..]),
        (&[format!("{own}=ws://127.0.0.1:9||lan")], &["SELF_PEER: ", "STATIC_PEER_TRANSPORTS: "]),
        (
            &[format!("{other}=wss://127.0.0.1:9")],
            &["UNLABELED_STATIC_PEER_TRANSPORT: ", "MISSING_TLS_FINGERPRINT: "],
        ),
    ] {
        let _ = fs::remove_file(dir.with_extension("log"));
        let args: Vec<&str> = peers.iter().flat_map(|peer| ["--peer", peer]).collect();
        let mut node = Node::start(&dir, &args);
        node.endpoint();
        let log = node.log();
        assert!(codes.iter().all(|code| log.contains(code)), "{codes:?} are not all in {log}");
        node.stop();
    }
    for (args, code) in [
        (["--peer".to_owned(), format!("{other}=ftp://barn")], "INVALID_PEER_URL"),
        (["--peer".to_owned(), format!("{other}=ws://barn||relay")], "INSECURE_RELAY_TRANSPORT"),
        (["--peer".to_owned(), format!("{other}=wss://barn||relay")], "MISSING_TLS_FINGERPRINT"),
        (["--port".to_owned(), "65536".to_owned()], "INVALID_PORT"),
    ] {
        let said = run_on(&dir, &["start", &args[0], &args[1]]);
        assert!(said.code != Some(0) && said.err.contains(code), "{code}: {said:?}");
    }
}

pub fn start_and_stop(dir: &Path) {
    let mut node = Node::start(dir, &[]);
    node.endpoint();
    node.stop();
}

#[test]
fn an_identity_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let (_folder, dir) = empty();
    id_of(&dir);
    let key = dir.join("identity/node.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    for command in [&START[..], &["identity"]] {
        expect_sentence(&run_on(&dir, command), &["mode 644", "run: chmod 600 "]);
    }
}

#[test]
fn a_taken_port_is_named() {
    let (_folder, dir) = empty();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let here = ["--port", &port, "--listen", "tcp/127.0.0.1:0", "--stop-with-stdin"];
    let said = run_on(&dir, &[&["start", "--no-discovery"], &here[..]].concat());
    expect_sentence(&said, &[&format!("port {port} on 127.0.0.1 is taken"), "--port"]);
}

#[test]
fn a_second_node_on_one_state_dir_is_refused_and_the_first_goes_on() {
    let (_folder, dir) = empty();
    let mut node = Node::start(&dir, &[]);
    node.endpoint();
    let epoch = node.ask(&["status"])["node"]["epoch"].clone();
    expect_sentence(&run_on(&dir, &START), &["another node is running on this state dir", "--state-dir"]);
    let status = node.ask(&["status"]);
    assert_eq!((&status["state"], &status["node"]["epoch"]), (&"running".into(), &epoch));
    node.stop();
}

#[test]
fn a_peer_that_is_not_there_is_named() {
    let (_folder, dir) = empty();
    let mut node = Node::start(&dir, &[]);
    node.endpoint();
    let id = "ab".repeat(32);
    for json in [&[][..], &["--json"]] {
        let said = run_on(&dir, &[&["peers", &id], json].concat());
        expect_sentence(&said, &[&format!("no peer has an id that begins with \"{id}\"")]);
        expect_sentence(&run_on(&dir, &[&["peers", "pump"], json].concat()), &["\"pump\" is no id"]);
    }
}

#[test]
fn settings_on_the_command_line_are_judged_like_those_in_the_file() {
    let (_folder, dir) = empty();
    for (args, words) in [
        (["--listen", "tcp:7447"], ["--listen: `listen[1]` is \"tcp:7447\"", "tcp/host:port"]),
        (["--connect", "tls/a:1#verify_name_on_connect=false"], ["--connect: ", "settings of its own"]),
        (["--host", "localhost"], ["--host: ", "an IP address"]),
        (["--trust", "abc"], ["--trust: ", "64 hexadecimal characters"]),
        (["--mesh-name", " "], ["--mesh-name: ", "blank"]),
        (["--host", "192.0.2.7"], ["this machine has no address 192.0.2.7", "--host"]),
    ] {
        expect_sentence(&run_on(&dir, &[&START[..], &args].concat()), &words);
    }
}

#[test]
fn a_command_line_that_cannot_be_read_ends_with_code_two() {
    let (_folder, dir) = empty();
    for args in [
        &["start", "--port", "70000"][..],
        &["start", "--prot", "1"],
        &["begin"],
        &["demo", "--for", "soon"],
        &["replay"],
        &["demo", "--for", "1s"],
        &["status", "--token-file", "token"],
        &[],
    ] {
        let said = run_on(&dir, args);
        assert_eq!(said.code, Some(2), "{args:?}: {said:?}");
        assert!(!said.err.is_empty() && !said.err.contains("panicked"), "{said:?}");
    }
    assert!(files(&dir).is_empty(), "nothing was begun");
}

#[test]
fn the_address_a_killed_node_left_behind_leads_to_one_sentence_and_is_replaced_at_the_next_start() {
    let (_folder, dir) = empty();
    let mut node = Node::start(&dir, &[]);
    node.endpoint();
    // As `kill -9` does.
    drop(node);
    let left = fs::read_to_string(dir.join("gateway.address")).expect("kill -9 leaves the file");
    // Somebody else listens there now; the token is not for them.
    let stranger = TcpListener::bind(left.trim()).unwrap();
    stranger.set_nonblocking(true).unwrap();
    for command in ["status", "peers", "world"] {
        let said = run_on(&dir, &[command]);
        expect_sentence(&said, &[&format!("no node answers at http://{}", left.trim()), "clawmesh start"]);
    }
    assert!(stranger.accept().is_err(), "a command called a stranger");
    let mut node = Node::start(&dir, &[]);
    node.endpoint();
    assert_eq!(node.ask(&["status"])["state"], "running");
    node.stop();
}

#[test]
fn an_url_that_leads_nowhere_is_named() {
    let (_folder, dir) = empty();
    start_and_stop(&dir);
    for url in ["no url", "http://", "http://[::1", "127.0.0.1:1", "ftp://127.0.0.1:1", "http://127.0.0.1:1"]
    {
        expect_sentence(&run_on(&dir, &["status", "--url", url]), &[url.trim_end_matches('/')]);
    }
}

#[test]
fn a_state_dir_without_a_node_is_named_and_stays_away() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("nobody");
    for command in [&["status"][..], &["peers"], &["world"], &["status", "--json"]] {
        expect_sentence(&run_on(&dir, command), &["there is no node in ", "nobody", "clawmesh start"]);
    }
    assert!(!dir.exists(), "commands that only look make nothing");
}
