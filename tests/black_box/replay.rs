//! The recording as evidence: equal in every process, and no change to it goes unseen.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use clawmesh_core::intake::InputBody;
use clawmesh_core::replay::{JOURNAL_FORMAT, Record};
use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use tempfile::TempDir;

use crate::support::cli::{Said, json_on, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

/// A journal with host readings and a digest at every tick, recorded once for all tests of this file.
fn recording() -> &'static [u8] {
    static RECORDING: OnceLock<Vec<u8>> = OnceLock::new();
    RECORDING.get_or_init(|| {
        let folder = tempfile::tempdir().expect("the system has room for temporary files");
        let dir = folder.path().join("node");
        fs::create_dir(&dir).expect("the folder is ours");
        fs::write(dir.join("node.ron"), "(digest_every_ticks: 1)").expect("the folder is ours");
        let mut node = Node::start(&dir, &["--host-sensors"]);
        node.endpoint();
        until("the second sample of each sensor", Duration::from_secs(30), || {
            let world = node.ask(&["world"]);
            let sensors = world["sensors"].as_array()?;
            let is_there = sensors.iter().any(|row| row["samples"].as_u64() >= Some(2));
            is_there.then_some(())
        });
        node.stop();
        fs::read(dir.join("journal.db")).expect("a node that stopped leaves one file")
    })
}

/// A copy of the recording that a test may spoil.
fn copy() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("the system has room for temporary files");
    let journal = folder.path().join("journal.db");
    fs::write(&journal, recording()).expect("the folder is ours");
    (folder, journal)
}

fn verify(journal: &Path) -> Said {
    let path = journal.to_str().expect("temporary folders have plain names");
    run_on(Path::new("unused"), &["replay", path, "--verify"])
}

fn rows(journal: &Path) -> i64 {
    let conn = Connection::open(journal).expect("the journal is an SQLite file");
    conn.query_row("SELECT count(*) FROM journal", [], |row| row.get(0)).expect("it has the table")
}

#[test]
fn a_recording_replays_to_the_same_digest_in_two_processes() {
    let (_folder, journal) = copy();
    let path = journal.to_str().unwrap();
    let replays = [0, 1].map(|_| json_on(Path::new("unused"), &["replay", path, "--verify"]));
    for replay in &replays {
        assert_eq!((&replay["verified"], &replay["difference"]), (&true.into(), &serde_json::Value::Null));
        assert_eq!(replay["rows"].as_i64(), Some(rows(&journal)));
        assert!(replay["digests_compared"].as_u64() > Some(50), "{replay:#}");
    }
    assert_eq!(replays[0]["total_digest"].as_str().map(str::len), Some(16));
    assert_eq!(replays[0]["total_digest"], replays[1]["total_digest"]);
    assert_eq!(fs::read(&journal).unwrap(), recording(), "a replay changes nothing");
}

#[test]
fn a_flipped_bit_in_any_column_of_any_row_breaks_the_chain_at_that_row() {
    let (_folder, journal) = copy();
    let last = rows(&journal);
    for column in ["record", "chain", "kind", "source", "tick", "lane"] {
        for sequence in [1, 2, last / 2, last] {
            flip(&journal, column, sequence);
            expect_broken(&verify(&journal), sequence, column);
            fs::write(&journal, recording()).unwrap();
        }
    }
}

/// Flips the lowest bit of a number, or of the last byte of anything else.
fn flip(journal: &Path, column: &str, sequence: i64) {
    let conn = Connection::open(journal).expect("the journal is an SQLite file");
    let select = format!("SELECT {column} FROM journal WHERE sequence = ?1");
    let mut cell: Cell = conn.query_row(&select, [sequence], |row| row.get(0)).expect("the row is there");
    match &mut cell {
        Cell::Integer(number) => *number ^= 1,
        Cell::Text(text) => {
            let flipped = text.pop().map(|last| char::from(last as u8 ^ 1));
            text.extend(flipped);
        }
        Cell::Blob(bytes) => bytes.iter_mut().last().into_iter().for_each(|last| *last ^= 1),
        other => panic!("{column} holds {other:?}"),
    }
    let update = format!("UPDATE journal SET {column} = ?1 WHERE sequence = ?2");
    let changed = conn.execute(&update, (cell, sequence)).expect("the row can be changed");
    assert_eq!(changed, 1);
}

fn expect_broken(said: &Said, sequence: i64, how: &str) {
    let expected = format!("clawmesh: chain broken at sequence {sequence}\n");
    assert_eq!((said.code, said.err.as_str()), (Some(1), expected.as_str()), "{how}");
}

#[test]
fn a_row_that_was_taken_out_or_moved_breaks_the_chain_at_its_place() {
    let (_folder, journal) = copy();
    let last = rows(&journal);
    let changes = [
        ("DELETE FROM journal WHERE sequence = 1", 1),
        ("DELETE FROM journal WHERE sequence = 7", 7),
        ("DELETE FROM journal WHERE sequence = (SELECT max(sequence) FROM journal)", last),
        ("UPDATE journal SET sequence = sequence + 1000000 WHERE sequence = 9", 9),
        ("UPDATE journal SET sequence = 0 WHERE sequence = 9", 1),
    ];
    for (change, sequence) in changes {
        Connection::open(&journal).unwrap().execute(change, []).unwrap();
        expect_broken(&verify(&journal), sequence, change);
        fs::write(&journal, recording()).unwrap();
    }
}

#[test]
fn a_reading_changed_with_a_new_chain_makes_the_replay_differ_at_its_tick() {
    let (_folder, journal) = copy();
    let tick = forge_a_reading(&journal);
    let path = journal.to_str().unwrap();
    let said = run_on(Path::new("unused"), &["replay", path, "--verify", "--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let answer: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(answer["verified"], false);
    assert_eq!(answer["difference"]["tick"].as_u64(), Some(tick), "{answer:#}");
    assert_eq!(answer["difference"]["equal_until_tick"].as_u64(), Some(tick - 1), "{answer:#}");
    let said = verify(&journal);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains(&format!("DIFFERS at tick {tick} ")), "{said:?}");
}

/// Makes the first number of the second host sample a little larger, and the chain fit again; gives its tick.
fn forge_a_reading(journal: &Path) -> u64 {
    let (mut seen, mut tick) = (0, 0);
    let rewritten = clawmesh_storage::forge::rewrite(journal, |_, record| {
        let Record::Input(stamped) = record else { return false };
        let InputBody::Sampled(samples) = &mut stamped.input.body else { return false };
        seen += 1;
        if seen == 2 {
            samples[0].value += 1.0;
            tick = stamped.tick;
        }
        seen == 2
    });
    assert_eq!(rewritten.expect("the journal can be forged"), 1);
    tick
}

#[test]
fn a_journal_of_a_newer_format_is_refused_with_both_numbers() {
    let (_folder, journal) = copy();
    let newer = "INSERT INTO refinery_schema_history SELECT 88, name, applied_on, checksum FROM refinery_schema_history WHERE version = 1";
    for (change, words) in [
        ("PRAGMA user_version = 99", format!("journal format 99 is newer than supported {JOURNAL_FORMAT};")),
        (newer, "journal schema 88 is newer than supported 2;".to_owned()),
    ] {
        Connection::open(&journal).unwrap().execute_batch(change).unwrap();
        let before = fs::read(&journal).unwrap();
        expect_one_sentence(&verify(&journal), &words);
        assert_eq!(fs::read(&journal).unwrap(), before, "what we do not know we do not touch");
        fs::write(&journal, recording()).unwrap();
    }
}

#[test]
fn what_is_no_journal_gets_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("text"), "dear journal, today it rained\n".repeat(200)).unwrap();
    fs::write(path("empty"), "").unwrap();
    Connection::open(path("other.db")).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    fs::create_dir(path("folder")).unwrap();
    fs::write(path("cut"), &recording()[..recording().len() / 2]).unwrap();
    for (name, words) in [
        ("text", "this is not a clawmesh journal"),
        ("empty", "this is not a clawmesh journal"),
        ("other.db", "this is not a clawmesh journal"),
        ("folder", "there is no journal here"),
        ("missing", "there is no journal here"),
        ("cut", "clawmesh: "),
    ] {
        expect_one_sentence(&verify(&path(name)), words);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5, "nothing was made");
}

fn expect_one_sentence(said: &Said, words: &str) {
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    assert!(said.err.starts_with("clawmesh: ") && said.err.contains(words), "{said:?}");
    assert!(said.err.lines().count() == 1 && !said.err.contains("panicked"), "{said:?}");
}
