//! Files that are no journal, or not one for this build: one sentence, the path, what to do.

use std::path::Path;

use clawmesh_core::replay::JOURNAL_FORMAT;
use clawmesh_storage::{Journal, JournalError, JournalOptions, JournalReader};
use rusqlite::Connection;

use super::fixture::*;

/// What a reader and a writer say, which is the same; the file stays as it was.
fn refusal(path: &Path) -> String {
    let before = std::fs::read(path).unwrap();
    let to_reader = JournalReader::open(path).unwrap_err().to_string();
    let to_writer = Journal::open(path, JournalOptions::default()).unwrap_err().to_string();
    assert_eq!(to_reader, to_writer);
    assert_eq!(std::fs::read(path).unwrap(), before);
    assert!(to_reader.ends_with(&format!(": {}", path.display())), "{to_reader}");
    assert!(!to_reader.contains('\n'), "{to_reader}");
    to_reader
}

#[test]
fn a_file_of_something_else_is_refused() {
    let (folder, path) = folder();
    std::fs::write(&path, "not a database, but long enough to look at. ".repeat(50)).unwrap();
    assert!(refusal(&path).starts_with("this is not a clawmesh journal: it is no SQLite file"));
    let other = folder.path().join("other.sqlite");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
    assert!(refusal(&other).contains("the SQLite file of another application"));
}

#[test]
fn a_newer_journal_is_refused_with_both_numbers() {
    let (_folder, path) = folder();
    written(&path, &story(3));
    let alter = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    alter(&format!("PRAGMA user_version = {}", JOURNAL_FORMAT + 1));
    let said = refusal(&path);
    let expected =
        format!("journal format {} is newer than supported {JOURNAL_FORMAT}; use ", JOURNAL_FORMAT + 1);
    assert!(said.starts_with(&expected), "{said}");
    alter(&format!("PRAGMA user_version = {JOURNAL_FORMAT}"));
    alter("INSERT INTO refinery_schema_history VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')");
    let said = refusal(&path);
    assert!(said.starts_with("journal schema 99 is newer than supported 2; use "), "{said}");
}

#[test]
fn a_journal_of_the_first_schema_is_read_as_it_is_and_brought_up_to_date_by_a_writer() {
    let (_folder, path) = folder();
    written(&path, &story(3));
    let first = "DELETE FROM refinery_schema_history WHERE version > 1";
    Connection::open(&path).unwrap().execute_batch(first).unwrap();
    let newest = || {
        let conn = Connection::open(&path).unwrap();
        let select = "SELECT max(version) FROM refinery_schema_history";
        conn.query_row(select, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    drop(JournalReader::open(&path).unwrap());
    assert_eq!(newest(), 1);
    drop(Journal::open(&path, JournalOptions::default()).unwrap());
    assert_eq!(newest(), 2);
}

#[test]
fn an_empty_file_is_no_journal_to_a_reader_and_a_new_one_to_a_writer() {
    let (_folder, path) = folder();
    std::fs::write(&path, "").unwrap();
    let refused = JournalReader::open(&path).unwrap_err();
    assert!(matches!(refused, JournalError::NotAJournal { .. }), "{refused}");
    written(&path, &story(3));
    assert_eq!(read(&path).unwrap(), story(3));
}

#[test]
fn a_node_that_died_while_making_its_journal_can_start_again() {
    let (_folder, path) = folder();
    let stamp = format!("PRAGMA application_id = {}; PRAGMA user_version = {JOURNAL_FORMAT};", 0x434c_4d4a);
    Connection::open(&path).unwrap().execute_batch(&stamp).unwrap();
    assert!(JournalReader::open(&path).is_err());
    written(&path, &story(3));
    assert_eq!(read(&path).unwrap(), story(3));
}

#[test]
fn a_missing_file_and_a_missing_folder_are_named() {
    let (folder, path) = folder();
    let said = JournalReader::open(&path).unwrap_err().to_string();
    assert!(said.starts_with("there is no journal here; "), "{said}");
    assert!(JournalReader::open(folder.path()).unwrap_err().to_string().contains("or no file"));
    let nowhere = folder.path().join("nowhere").join("journal.sqlite");
    let said = Journal::open(&nowhere, JournalOptions::default()).unwrap_err().to_string();
    assert!(said.contains("check that the folder exists"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "reading made nothing");
}
