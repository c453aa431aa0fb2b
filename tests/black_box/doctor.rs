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
