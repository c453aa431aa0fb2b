//! Readers see everything that is committed and leave no trace.

use std::collections::BTreeMap;
use std::path::Path;

use clawmesh_core::Settings;
use clawmesh_core::replay::{JournalWriter as _, Record};
use clawmesh_storage::{JournalError, JournalReader, NEWEST_WALL_ROWS_MAX};

use super::fixture::*;

/// Every file of a folder with its bytes; the index of a live log belongs to nobody.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.is_file() && !path.to_string_lossy().ends_with("-shm"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect()
}

#[test]
fn a_reader_follows_a_node_that_writes() {
    let (folder, path) = folder();
    let mut journal = open(&path);
    let reader = JournalReader::open(&path).unwrap();
    for sequence in 1..=50 {
        journal.writer.append(batch(sequence, vec![state(sequence)]));
        wait(&journal.watch, sequence);
        assert_eq!(reader.records().map(Result::unwrap).count() as u64, sequence);
    }
    let before = contents(folder.path());
    assert_eq!(read(&path).unwrap().len(), 50);
    drop(reader);
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn a_reader_that_has_begun_sees_rows_that_come_meanwhile() {
    let (_folder, path) = folder();
    let mut journal = open(&path);
    journal.writer.append(batch(1, story(600)));
    wait(&journal.watch, 600);
    let reader = JournalReader::open(&path).unwrap();
    let mut records = reader.records();
    assert!(records.next().unwrap().is_ok());
    journal.writer.append(batch(601, vec![state(601)]));
    wait(&journal.watch, 601);
    assert_eq!(records.map(Result::unwrap).last().unwrap().0, 601);
}

#[test]
fn a_reader_of_a_closed_journal_creates_and_changes_nothing() {
    let (folder, path) = folder();
    let odd = folder.path().join("a b%20?mode=rwc#é.sqlite");
    for path in [path, odd] {
        written(&path, &story(20));
        let before = contents(folder.path());
        assert_eq!(read(&path).unwrap(), story(20));
        assert_eq!(contents(folder.path()), before);
    }
}

#[test]
fn a_reader_of_a_copy_with_its_log_creates_and_changes_nothing() {
    let (folder, path) = folder();
    let mut journal = open(&path);
    journal.writer.append(batch(1, story(20)));
    wait(&journal.watch, 20);
    let copies = folder.path().join("copies");
    std::fs::create_dir(&copies).unwrap();
    std::fs::copy(&path, copies.join("journal.sqlite")).unwrap();
    std::fs::copy(folder.path().join("journal.sqlite-wal"), copies.join("journal.sqlite-wal")).unwrap();
    let names = || std::fs::read_dir(&copies).unwrap().count();
    let before = contents(&copies);
    assert_eq!(read(&copies.join("journal.sqlite")).unwrap(), story(20));
    assert_eq!((contents(&copies), names()), (before, 2));
}

#[test]
fn what_a_killed_node_leaves_is_read_as_it_is() {
    let (folder, path) = folder();
    let mut journal = open(&path);
    journal.writer.append(batch(1, story(20)));
    wait(&journal.watch, 20);
    let left = folder.path().join("left");
    std::fs::create_dir(&left).unwrap();
    for name in ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"] {
        std::fs::copy(folder.path().join(name), left.join(name)).unwrap();
    }
    let before = contents(&left);
    assert_eq!(read(&left.join("journal.sqlite")).unwrap(), story(20));
    assert_eq!(contents(&left), before);
}

#[test]
fn a_reader_of_a_journal_at_rest_does_not_call_a_node_that_starts_damage() {
    let (_folder, path) = folder();
    written(&path, &story(1_000));
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let reader = JournalReader::open(&path).unwrap();
    let mut records = reader.records();
    assert!(records.next().unwrap().is_ok());
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute("UPDATE journal SET tick = 999 WHERE sequence = 900", []).unwrap();
    drop(conn);
    let fault = records.find_map(Result::err).unwrap();
    assert!(matches!(fault, JournalError::WrittenMeanwhile { .. }), "{fault}");
    assert!(matches!(read(&path), Err(JournalError::ChainBroken { sequence: 900 })));
}

#[test]
fn info_counts_what_is_there() {
    let (_folder, path) = folder();
    written(&path, &story(20));
    let info = JournalReader::open(&path).unwrap().info().unwrap();
    assert_eq!((info.rows, info.runs), (20, 1));
    assert_eq!((info.first_tick, info.last_tick), (Some(0), Some(20)));
    assert_eq!(info.bytes, path.metadata().unwrap().len());
    let kinds: Vec<(&str, u64)> = info.kinds.iter().map(|(kind, rows)| (kind.as_str(), *rows)).collect();
    assert_eq!(kinds, [("digest", 5), ("peer_appeared", 4), ("run_started", 1), ("sampled", 10)]);
}

#[test]
fn a_reader_ends_at_its_first_error() {
    let (_folder, path) = folder();
    written(&path, &story(20));
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute("UPDATE journal SET tick = 999 WHERE sequence = 7", []).unwrap();
    drop(conn);
    let reader = JournalReader::open(&path).unwrap();
    let rows: Vec<_> = reader.records().collect();
    assert_eq!(rows.len(), 7);
    assert!(rows[..6].iter().all(Result::is_ok) && rows[6].is_err());
}

#[test]
fn a_copy_holds_what_was_committed_also_while_a_node_writes_and_overwrites_nothing() {
    let (folder, path) = folder();
    let journal = open(&path);
    let mut writer = journal.writer;
    let answers = Answers::default();
    append(&mut writer, 1, story(20), answers.ticket("first", &path));
    wait(&journal.watch, 20);
    let copy = folder.path().join("copy.db");
    JournalReader::open(&path).unwrap().copy_to(&copy).unwrap();
    append(&mut writer, 21, vec![state(21)], answers.ticket("later", &path));
    wait(&journal.watch, 21);
    assert_eq!(read(&copy).unwrap(), read(&path).unwrap()[..20]);
    let error = JournalReader::open(&path).unwrap().copy_to(&copy).unwrap_err().to_string();
    assert!(error.contains("copy of the journal") && error.contains("copy.db"), "{error}");
    drop(writer);
    // A node goes on where the copy ends.
    assert_eq!(open(&copy).next_sequence, 21);
}

#[test]
fn the_last_time_that_a_run_knew_is_found_behind_those_that_knew_none() {
    let (_folder, path) = folder();
    let newest = |path: &Path| JournalReader::open(path).unwrap().newest_wall_ms().unwrap();
    written(&path, &[sampled(1, 0), state(2)]);
    assert_eq!(newest(&path), 0, "nobody knew it");
    let (_folder, path) = folder();
    // A clock that was set back counts as it stood last.
    written(
        &path,
        &[sampled(1, 9_000), sampled(2, 7_000), state(3), sampled(4, 0), stream(5), sampled(6, 0)],
    );
    assert_eq!(newest(&path), 7_000);
}

#[test]
fn the_last_time_is_looked_for_in_so_many_rows_and_a_run_that_was_told_of_it_passes_it_on() {
    let newest = |records: &[Record]| {
        let (_folder, path) = folder();
        written(&path, records);
        JournalReader::open(&path).unwrap().newest_wall_ms().unwrap()
    };
    let told = Record::RunStarted(Settings { wall_before_ms: 8_000, ..settings(2) });
    assert_eq!(newest(&[sampled(1, 9_000), told, sampled(3, 0)]), 8_001, "later than that run");
    let mut many = vec![sampled(1, 9_000)];
    many.extend((2..=NEWEST_WALL_ROWS_MAX.unsigned_abs()).map(state));
    assert_eq!(newest(&many), 9_000);
    many.push(state(many.len() as u64 + 1));
    assert_eq!(newest(&many), 0, "too far back");
}
