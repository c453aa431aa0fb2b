//! What `doctor` finds in a state dir, and that it says so with its exit code.

use std::fs;

use serde_json::Value;

use crate::bad_input::{START, empty, expect_sentence, start_and_stop};
use crate::support::cli::{Said, run_on};
use crate::support::node::Node;

/// What doctor says of one thing: how it is, and the sentence.
fn finding(said: &Said, check: &str) -> (String, String) {
    let findings: Value = serde_json::from_str(&said.out).unwrap_or_else(|why| panic!("{why}: {said:?}"));
    let rows = findings.as_array().expect("doctor lists findings");
    let row = rows.iter().find(|row| row["check"] == check).unwrap_or_else(|| panic!("{check}: {said:?}"));
    let text = |key: &str| row[key].as_str().expect("a text").to_owned();
    (text("outcome"), text("sentence"))
}

#[test]
fn doctor_tells_a_node_that_runs_from_one_that_was_killed() {
    let (_folder, dir) = empty();
    fs::write(dir.join("node.ron"), "(port: 0)").unwrap();
    let mut node = Node::start(&dir, &[]);
    node.endpoint();
    let of_gateway = || finding(&run_on(&dir, &["doctor", "--json"]), "gateway");
    assert_eq!(of_gateway().1, "a node of this state dir runs; see `clawmesh status`");
    // As `kill -9` does; the address stays behind.
    drop(node);
    assert!(dir.join("gateway.address").exists());
    assert_eq!(of_gateway(), ("good".to_owned(), "127.0.0.1:0 is free".to_owned()));
}

#[test]
fn doctor_names_the_row_at_which_a_journal_is_broken_and_ends_with_one() {
    let (_folder, dir) = empty();
    start_and_stop(&dir);
    let journal = rusqlite::Connection::open(dir.join("journal.db")).unwrap();
    journal.execute("UPDATE journal SET record = zeroblob(length(record)) WHERE sequence = 2", []).unwrap();
    drop(journal);
    let said = run_on(&dir, &["doctor", "--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(finding(&said, "journal"), ("bad".to_owned(), "chain broken at sequence 2".to_owned()));
    let page = run_on(&dir, &["doctor"]);
    assert!(page.code == Some(1) && page.out.contains("BAD   chain broken at sequence 2"), "{page:?}");
}

#[test]
fn a_journal_of_a_newer_format_is_refused_with_what_to_do_and_stays_as_it_is() {
    let (_folder, dir) = empty();
    start_and_stop(&dir);
    let path = dir.join("journal.db");
    let journal = rusqlite::Connection::open(&path).unwrap();
    journal.pragma_update(None, "user_version", 7_000).unwrap();
    journal.pragma_update(None, "journal_mode", "DELETE").unwrap();
    drop(journal);
    let before = fs::read(&path).unwrap();
    let words = ["journal format 7000 is newer than supported", "use the clawmesh version that wrote it"];
    expect_sentence(&run_on(&dir, &START), &words);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(finding(&run_on(&dir, &["doctor", "--json"]), "journal").0, "bad");
}

#[test]
fn doctor_says_whether_links_are_encrypted_and_what_they_lack() {
    let (_folder, dir) = empty();
    let of_links = || finding(&run_on(&dir, &["doctor", "--json"]), "links");
    crate::support::cli::id_of(&dir);
    for (listen, outcome, words) in [
        (
            "tcp/127.0.0.1:7447\"], discovery: false, connect: [\"tcp/127.0.0.1:7448",
            "good",
            "within this machine only",
        ),
        ("tcp/127.0.0.1:7447", "note", "with whatever other node is found on this network"),
        ("tcp/0.0.0.0:7447", "note", "tcp/0.0.0.0:7447 is in clear"),
        ("tls/0.0.0.0:7447", "bad", "has no papers; pair it with `clawmesh pair`"),
        (
            "tls/0.0.0.0:7447\", \"tcp/0.0.0.0:7448",
            "bad",
            "tcp/0.0.0.0:7448 is in clear while other endpoints",
        ),
    ] {
        fs::write(dir.join("node.ron"), format!("(listen: [\"{listen}\"])")).unwrap();
        let found = of_links();
        assert!(found.0 == outcome && found.1.contains(words), "{listen}: {found:?}");
    }
    fs::write(dir.join("identity/papers.pem"), "none").unwrap();
    let found = of_links();
    assert!(found.0 == "bad" && found.1.contains("move it away and pair again"), "{found:?}");
}
