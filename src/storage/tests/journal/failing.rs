//! When the journal cannot commit: refusals for everybody, nothing written out of order, no panic.

use clawmesh_authority::Code;
use clawmesh_core::replay::JournalWriter as _;
use clawmesh_storage::{Journal, JournalOptions, OpenJournal};

use super::fixture::*;

fn refused(answers: &Answers, expected: usize) -> String {
    let given = answers.take();
    assert_eq!(given.len(), expected);
    let refusals: Vec<_> = given.into_iter().map(|(_, outcome, _)| outcome.unwrap_err()).collect();
    assert!(refusals.iter().all(|refusal| refusal.code == Code::JournalUnavailable), "{refusals:?}");
    assert!(refusals.windows(2).all(|pair| pair[0] == pair[1]), "{refusals:?}");
    refusals[0].sentence.clone()
}

#[test]
fn a_full_disk_refuses_what_does_not_fit_and_everything_after_it() {
    let (_folder, path) = folder();
    let options = JournalOptions { pages_max: Some(40), ..JournalOptions::default() };
    let OpenJournal { mut writer, watch, .. } = Journal::open(&path, options).unwrap();
    let answers = Answers::default();
    append(&mut writer, 1, vec![state(1)], answers.ticket("fits", &path));
    wait(&watch, 1);
    assert_eq!(answers.take(), [("fits", Ok(()), 1)]);
    append(&mut writer, 2, (2..5_000).map(stream).collect(), answers.ticket("too much", &path));
    append(&mut writer, 5_000, vec![state(5_000)], answers.ticket("after", &path));
    append(&mut writer, 2, vec![state(2)], answers.ticket("would fit", &path));
    assert!(!watch.wait_for(2, PATIENCE));
    let refusal = writer.close().unwrap_err();
    let sentence = refused(&answers, 3);
    assert!(sentence.starts_with("the disk of the journal is full; free some space"), "{sentence}");
    assert_eq!((refusal.sentence, watch.committed()), (sentence, 1));
    assert_eq!(read(&path).unwrap(), [state(1)]);
    assert_eq!(open(&path).next_sequence, 2, "after a restart the journal goes on where it was durable");
}

#[test]
fn a_failed_batch_takes_the_uncommitted_rows_before_it_along() {
    let (_folder, path) = folder();
    let options = JournalOptions { pages_max: Some(40), ..PATIENT };
    let OpenJournal { mut writer, watch, .. } = Journal::open(&path, options).unwrap();
    let answers = Answers::default();
    append(&mut writer, 1, vec![stream(1)], answers.ticket("waiting", &path));
    append(&mut writer, 2, (2..5_000).map(stream).collect(), answers.ticket("too much", &path));
    assert!(!watch.wait_for(1, PATIENCE));
    assert!(writer.close().is_err());
    refused(&answers, 2);
    assert_eq!(read(&path).unwrap(), []);
}

#[test]
fn a_gap_or_a_wrong_claim_is_never_written() {
    for (first, record) in [(3, state(3)), (1, state(1)), (2, state(7))] {
        let (_folder, path) = folder();
        let OpenJournal { mut writer, watch, .. } = open(&path);
        let answers = Answers::default();
        writer.append(batch(1, vec![state(1)]));
        wait(&watch, 1);
        append(&mut writer, first, vec![record], answers.ticket("wrong", &path));
        assert!(writer.close().is_err());
        let sentence = refused(&answers, 1);
        assert!(sentence.contains("where 2 is next"), "{sentence}");
        assert_eq!(read(&path).unwrap(), [state(1)]);
    }
}

#[cfg(unix)]
#[test]
fn a_journal_that_was_deleted_under_the_node_acknowledges_nothing() {
    let (folder, path) = folder();
    let OpenJournal { mut writer, watch, .. } = open(&path);
    writer.append(batch(1, vec![state(1)]));
    wait(&watch, 1);
    std::fs::remove_dir_all(folder.path()).unwrap();
    let answers = Answers::default();
    append(&mut writer, 2, vec![state(2)], answers.ticket("lost", &path));
    append(&mut writer, 3, vec![state(3)], answers.ticket("after", &path));
    assert!(writer.close().is_err());
    let sentence = refused(&answers, 2);
    assert!(sentence.starts_with("the journal was moved or deleted"), "{sentence}");
}

#[test]
fn a_full_queue_fails_the_journal_at_once_and_leaves_no_gap_in_the_file() {
    let (_folder, path) = folder();
    let options = JournalOptions { queue_batches: 2, ..JournalOptions::default() };
    let OpenJournal { mut writer, watch, .. } = Journal::open(&path, options).unwrap();
    // The thread stands still in the first ticket until every batch has been offered.
    let (go, gate) = crossbeam_channel::bounded::<()>(1);
    let (entered, inside) = crossbeam_channel::bounded::<()>(1);
    let stuck = clawmesh_core::replay::Ticket::new(move |_| {
        entered.send(()).unwrap();
        gate.recv().unwrap();
    });
    append(&mut writer, 1, vec![state(1)], stuck);
    inside.recv().unwrap();
    let answers = Answers::default();
    for sequence in 2..=6 {
        append(&mut writer, sequence, vec![state(sequence)], answers.ticket("queued", &path));
    }
    assert!(watch.failure().unwrap().starts_with("the journal cannot keep up"));
    assert_eq!(refused(&answers, 3), watch.failure().unwrap(), "refused by the tick itself, without waiting");
    go.send(()).unwrap();
    assert!(writer.close().is_err());
    let given = answers.take();
    assert!(given.iter().all(|(_, outcome, _)| outcome.is_ok()), "{given:?}");
    assert_eq!(read(&path).unwrap(), [state(1), state(2), state(3)]);
}
