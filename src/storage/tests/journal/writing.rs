//! What is written, when it is committed, and what a new run finds.

use std::path::Path;

use clawmesh_core::replay::{JournalWriter as _, Record};
use clawmesh_storage::{Journal, JournalError, JournalOptions, JournalReader};

use super::fixture::*;

#[test]
fn what_was_written_is_read_back_in_order() {
    let (_folder, path) = folder();
    written(&path, &story(1_700));
    let rows: Vec<(u64, u64, Record)> =
        JournalReader::open(&path).unwrap().records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1_700);
    for (at, (sequence, tick, record)) in rows.iter().enumerate() {
        assert_eq!((*sequence, record), (at as u64 + 1, &story(1_700)[at]).clone());
        assert_eq!(*tick, if at == 0 { 0 } else { *sequence });
    }
}

#[test]
fn an_empty_journal_starts_at_one_and_closes_cleanly() {
    let (_folder, path) = folder();
    let journal = open(&path);
    assert_eq!((journal.next_sequence, journal.last_tick), (1, 0));
    assert_eq!((journal.watch.committed(), journal.recovered.inputs.len()), (0, 0));
    journal.writer.close().unwrap();
    assert_eq!(read(&path).unwrap(), []);
}

#[test]
fn a_new_run_continues_sequence_and_chain() {
    let (_folder, path) = folder();
    written(&path, &story(10));
    for run in 2..4 {
        let mut journal = open(&path);
        let first = journal.next_sequence;
        assert_eq!((first, journal.watch.committed()), (run * 10 - 9, run * 10 - 10));
        assert!(journal.last_tick > 0);
        let mut records = vec![Record::RunStarted(settings(run))];
        records.extend((first + 1..first + 10).map(state));
        journal.writer.append(batch(first, records));
        journal.writer.close().unwrap();
    }
    assert_eq!(read(&path).unwrap().len(), 30);
    assert_eq!(JournalReader::open(&path).unwrap().info().unwrap().runs, 3);
}

#[test]
fn a_state_row_is_in_the_file_when_its_ticket_is_answered_and_takes_earlier_rows_along() {
    let (_folder, path) = folder();
    let (mut journal, answers) = (Journal::open(&path, PATIENT).unwrap(), Answers::default());
    append(&mut journal.writer, 1, vec![stream(1)], answers.ticket("first", &path));
    append(&mut journal.writer, 2, vec![stream(2), digest(2)], answers.ticket("second", &path));
    append(&mut journal.writer, 4, vec![stream(4), state(5)], answers.ticket("third", &path));
    wait(&journal.watch, 5);
    assert_eq!(answers.take(), [("first", Ok(()), 5), ("second", Ok(()), 5), ("third", Ok(()), 5)]);
}

#[test]
fn stream_rows_are_committed_in_groups_and_no_batch_is_split() {
    let (_folder, path) = folder();
    let (mut journal, answers) = (Journal::open(&path, PATIENT).unwrap(), Answers::default());
    for first in [1, 3, 5] {
        append(
            &mut journal.writer,
            first,
            vec![stream(first), stream(first + 1)],
            answers.ticket("pair", &path),
        );
    }
    wait(&journal.watch, 6);
    assert_eq!(answers.take(), vec![("pair", Ok(()), 6); 3], "five rows are the limit, the pair stays whole");
    append(&mut journal.writer, 7, vec![stream(7)], answers.ticket("last", &path));
    journal.writer.close().unwrap();
    assert_eq!(answers.take(), [("last", Ok(()), 7)], "closing commits what waits");
}

#[test]
fn stream_rows_alone_are_committed_after_their_time() {
    let (_folder, path) = folder();
    let options = JournalOptions { stream_commit_ms: 5, ..PATIENT };
    let mut journal = Journal::open(&path, options).unwrap();
    for sequence in 1..4 {
        journal.writer.append(batch(sequence, vec![stream(sequence)]));
        wait(&journal.watch, sequence);
        assert_eq!(rows_in(&path), sequence);
    }
}

#[test]
fn a_batch_without_rows_is_answered_once_everything_before_it_is_durable() {
    let (_folder, path) = folder();
    let (mut journal, answers) = (Journal::open(&path, PATIENT).unwrap(), Answers::default());
    append(&mut journal.writer, 1, Vec::new(), answers.ticket("empty", &path));
    append(&mut journal.writer, 1, vec![state(1)], answers.ticket("full", &path));
    journal.writer.close().unwrap();
    assert_eq!(answers.take(), [("empty", Ok(()), 0), ("full", Ok(()), 1)]);
}

#[test]
fn an_asker_that_panics_does_not_stop_the_journal() {
    let (_folder, path) = folder();
    let (mut journal, answers) = (open(&path), Answers::default());
    let angry = clawmesh_core::replay::Ticket::new(|_| panic!("on purpose"));
    append(&mut journal.writer, 1, vec![state(1)], angry);
    append(&mut journal.writer, 2, vec![state(2)], answers.ticket("calm", &path));
    journal.writer.close().unwrap();
    assert_eq!(answers.take(), [("calm", Ok(()), 2)]);
}

/// Copies the file and its log as they are on disk, as a power cut would leave them.
fn copy_as_after_a_cut(path: &Path, copy: &Path) {
    for suffix in ["", "-wal"] {
        let of = |path: &Path| format!("{}{suffix}", path.display());
        std::fs::copy(of(path), of(copy)).unwrap();
    }
}

#[test]
fn whatever_was_acknowledged_is_there_after_a_cut() {
    let (folder, path) = folder();
    let mut journal = open(&path);
    for sequence in 1..=20 {
        journal.writer.append(batch(sequence, vec![state(sequence)]));
        wait(&journal.watch, sequence);
        let copy = folder.path().join(format!("cut-{sequence}.sqlite"));
        copy_as_after_a_cut(&path, &copy);
        assert_eq!(read(&copy).unwrap().len() as u64, sequence);
        assert_eq!(open(&copy).next_sequence, sequence + 1);
        assert_eq!(read(&copy).unwrap().len() as u64, sequence);
    }
}

#[test]
fn rows_that_were_not_committed_are_gone_after_a_cut_and_the_chain_holds() {
    let (folder, path) = folder();
    let mut journal = Journal::open(&path, PATIENT).unwrap();
    journal.writer.append(batch(1, vec![state(1)]));
    journal.writer.append(batch(2, vec![stream(2)]));
    wait(&journal.watch, 1);
    let copy = folder.path().join("cut.sqlite");
    copy_as_after_a_cut(&path, &copy);
    let mut after = open(&copy);
    assert_eq!(after.next_sequence, 2);
    after.writer.append(batch(2, vec![state(2)]));
    after.writer.close().unwrap();
    assert_eq!(read(&copy).unwrap(), [state(1), state(2)]);
}

fn log_bytes(path: &Path) -> u64 {
    std::fs::metadata(format!("{}-wal", path.display())).unwrap().len()
}

#[test]
fn the_log_is_copied_into_the_file_little_by_little_while_the_node_runs() {
    let (folder, path) = folder();
    let mut journal = open(&path);
    for sequence in 1..=400 {
        journal.writer.append(batch(sequence, vec![state(sequence)]));
        wait(&journal.watch, sequence);
        assert!(log_bytes(&path) < 2 << 20, "row {sequence}");
    }
    // The file alone, as if the log were lost.
    let alone = folder.path().join("alone.sqlite");
    std::fs::copy(&path, &alone).unwrap();
    assert!((300..=400).contains(&rows_in(&alone)));
}

#[test]
fn the_log_has_a_bound_where_more_is_always_waiting() {
    let (_folder, path) = folder();
    let mut journal = open(&path);
    for first in (1..=4_000).step_by(1_000) {
        for sequence in first..first + 1_000 {
            journal.writer.append(batch(sequence, vec![state(sequence)]));
        }
        wait(&journal.watch, first + 999);
    }
    assert!(log_bytes(&path) < 16 << 20, "{}", log_bytes(&path));
}

#[test]
fn the_log_has_a_bound_where_every_run_is_cut_short() {
    let (folder, path) = folder();
    let mut from = path;
    for run in 0..40_u64 {
        let mut journal = open(&from);
        for sequence in (run * 10 + 1)..=(run * 10 + 10) {
            journal.writer.append(batch(sequence, vec![state(sequence)]));
            wait(&journal.watch, sequence);
        }
        let next = folder.path().join(format!("run-{run}.sqlite"));
        copy_as_after_a_cut(&from, &next);
        from = next;
        assert!(log_bytes(&from) < 2 << 20, "{} bytes after run {run}", log_bytes(&from));
    }
}

#[test]
fn one_journal_has_one_writer_at_a_time() {
    let (_folder, path) = folder();
    let journal = open(&path);
    let refused = Journal::open(&path, JournalOptions::default()).unwrap_err();
    assert!(matches!(refused, JournalError::InUse { .. }));
    assert!(refused.to_string().starts_with("another process writes this journal; stop it"), "{refused}");
    assert!(refused.to_string().ends_with(&path.display().to_string()), "{refused}");
    drop(journal);
    open(&path);
}
