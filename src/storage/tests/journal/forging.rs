//! Whoever can write the file can make the chain fit; only the replay finds that.

use clawmesh_core::intake::InputBody;
use clawmesh_core::replay::Record;
use clawmesh_storage::{JournalError, forge};

use super::fixture::*;

fn falsify(record: &mut Record) -> bool {
    let Record::Input(stamped) = record else { return false };
    let InputBody::Sampled(samples) = &mut stamped.input.body else { return false };
    samples[0].value += 1.0;
    true
}

#[test]
fn a_changed_reading_with_its_chain_made_to_fit_reads_as_if_it_were_true() {
    let (_folder, path) = folder();
    written(&path, &story(1_200));
    let rewritten =
        forge::rewrite(&path, |sequence, record| (600..603).contains(&sequence) && falsify(record)).unwrap();
    let read = read(&path).unwrap();
    let changed: Vec<usize> =
        (0..1_200).filter(|at| read[*at] != story(1_200)[*at]).map(|at| at + 1).collect();
    assert_eq!((rewritten, changed), (1, vec![602]));
    assert_eq!(open(&path).next_sequence, 1_201, "even a node goes on with it");
}

#[test]
fn an_input_moved_to_another_place_is_still_found() {
    let (_folder, path) = folder();
    written(&path, &story(20));
    forge::rewrite(&path, |sequence, record| {
        let Record::Input(stamped) = record else { return false };
        stamped.journal_sequence += 1;
        sequence == 7
    })
    .unwrap();
    assert!(matches!(read(&path), Err(JournalError::ChainBroken { sequence: 7 })));
}

#[test]
fn the_journal_of_a_running_node_is_left_alone() {
    let (_folder, path) = folder();
    let _journal = open(&path);
    assert!(matches!(forge::rewrite(&path, |_, _| true), Err(JournalError::InUse { .. })));
}
