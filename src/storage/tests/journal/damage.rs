//! Whatever is done to the bytes, nothing is read that was not written, and the row is named.

use std::path::Path;

use clawmesh_storage::{Journal, JournalError, JournalOptions, JournalReader};
use rusqlite::Connection;

use super::fixture::*;

const ROWS: u64 = 40;

fn alter(path: &Path, sql: &str) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(sql).unwrap();
}

fn broken_at(path: &Path) -> u64 {
    match read(path) {
        Err(JournalError::ChainBroken { sequence }) => sequence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_change_in_any_column_of_any_row_is_found_with_its_sequence() {
    let (folder, path) = folder();
    written(&path, &story(ROWS));
    let changes = [
        "sequence = sequence + 1000",
        "sequence = -sequence",
        "tick = tick + 1",
        "tick = -1",
        "lane = 1 - lane",
        "lane = 700",
        "kind = 'samplex'",
        "kind = ''",
        "source = source || 'x'",
        "source = ''",
        "record = cast(substr(record, 1, length(record) - 1) || x'77' AS BLOB)",
        "record = x''",
        "chain = zeroblob(32)",
        "chain = x'00'",
        "kind = cast(x'ff' AS TEXT)",
    ];
    for change in changes {
        for sequence in [1, 2, 3, 17, ROWS - 1, ROWS] {
            let copy = folder.path().join("copy.sqlite");
            std::fs::copy(&path, &copy).unwrap();
            alter(&copy, &format!("UPDATE journal SET {change} WHERE sequence = {sequence}"));
            let found = broken_at(&copy);
            // A row moved before the first takes the first place.
            let expected = if change == "sequence = -sequence" { 1 } else { sequence };
            assert_eq!(found, expected, "{change}");
        }
    }
}

#[test]
fn missing_swapped_and_added_rows_are_found() {
    let (folder, path) = folder();
    written(&path, &story(ROWS));
    let add = "INSERT INTO journal SELECT 41, tick, lane, kind, source, record, chain FROM journal WHERE sequence = 2";
    let swap = "UPDATE journal SET sequence = 99 WHERE sequence = 5; \
                UPDATE journal SET sequence = 5 WHERE sequence = 6; UPDATE journal SET sequence = 6 WHERE sequence = 99";
    for (sql, expected) in [
        ("DELETE FROM journal WHERE sequence = 1", 1),
        ("DELETE FROM journal WHERE sequence = 20", 20),
        ("DELETE FROM journal WHERE sequence > 30", 31),
        ("DELETE FROM journal", 1),
        ("DELETE FROM journal_head", 1),
        (swap, 5),
        (add, 41),
    ] {
        let copy = folder.path().join("copy.sqlite");
        std::fs::copy(&path, &copy).unwrap();
        alter(&copy, sql);
        assert_eq!(broken_at(&copy), expected, "{sql}");
    }
}

#[test]
fn the_sentence_names_the_sequence_and_nothing_else() {
    assert_eq!(JournalError::ChainBroken { sequence: 12 }.to_string(), "chain broken at sequence 12");
}

#[test]
fn a_flipped_byte_of_a_record_in_the_file_is_found_with_its_sequence() {
    let (_folder, path) = folder();
    written(&path, &story(ROWS));
    let whole = std::fs::read(&path).unwrap();
    for sequence in [2, 10, 39] {
        let record = clawmesh_authority::canonical::encode(&story(ROWS)[sequence as usize - 1]);
        let mut bytes = whole.clone();
        // A page that was split keeps a stale copy of the rows that moved; only one of the places counts.
        for at in 0..whole.len() - record.len() {
            if whole[at..].starts_with(&record) {
                bytes[at + record.len() / 2] ^= 0x10;
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(broken_at(&path), sequence);
    }
}

/// A reader may refuse a damaged file in any words, but what it yields must be true.
fn reads_nothing_untrue(path: &Path, what: &str) -> bool {
    let Ok(reader) = JournalReader::open(path) else { return true };
    let rows: Vec<_> = reader.records().collect();
    let has_failed = rows.iter().any(Result::is_err);
    let truth = story(ROWS);
    for (at, row) in rows.iter().enumerate() {
        match row {
            Ok((_, _, record)) => assert_eq!(record, &truth[at], "{what}"),
            Err(_) => assert_eq!(at + 1, rows.len(), "{what}"),
        }
    }
    assert!(has_failed || rows.len() == truth.len(), "{what}: the end is missing and nobody said so");
    has_failed
}

#[test]
fn a_flipped_byte_anywhere_in_the_file_never_shows_another_story() {
    let (_folder, path) = folder();
    written(&path, &story(ROWS));
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(17) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&path, &bytes).unwrap();
        reads_nothing_untrue(&path, &format!("byte {at}"));
    }
}

#[test]
fn a_truncated_file_never_shows_another_story_and_never_panics_a_writer() {
    let (_folder, path) = folder();
    written(&path, &story(ROWS));
    let whole = std::fs::read(&path).unwrap();
    for length in (1..whole.len()).step_by(1_777) {
        std::fs::write(&path, &whole[..length]).unwrap();
        reads_nothing_untrue(&path, &format!("{length} bytes"));
        drop(Journal::open(&path, JournalOptions::default()));
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
        }
    }
}

#[test]
fn a_journal_without_its_end_is_not_written_on() {
    let (_folder, path) = folder();
    written(&path, &story(ROWS));
    alter(&path, "DELETE FROM journal WHERE sequence > 30");
    let refused = Journal::open(&path, JournalOptions::default()).unwrap_err();
    let said = refused.to_string();
    assert!(said.starts_with("the journal is damaged (its last row is 30, but 40 was committed)"), "{said}");
}
