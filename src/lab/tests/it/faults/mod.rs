//! Whatever breaks in the plant: a watering ends as the policy says, refused, failed with its cause, or completed, and never
//! silently wrong.
//! Reads the shipped farm, its policy and the stand-in plant with all its faults. Writes a row for each case, to be seen with
//! `--nocapture`; those rows are the table of `docs/faults.md`.
//! Invariant: the judge asks the plant what really happened, and never the node; every fault is shown to be in force.
//! Not here: the threads that give plant and drivers their time in a node; `tests/black_box/faults.rs` has two real runs.
//!
//! This is done here and not with processes, because here a case takes seconds instead of minutes, ends the same way every
//! time, and the truth of the plant can be asked, which no process shows. The core, the driver layer, the twin and the plant
//! are those of a node; what the lab has instead of one is the time, the network and the journal in memory.

mod autopsy;
mod ends;
mod judge;
mod machinery;
mod watering;

use std::collections::BTreeSet;

use clawmesh_plant::Fault;

use ends::{KINDS, kind, may_end, name, table};
use watering::{Case, Outcome, run};

/// Lets a case come to its end, prints its row, and says what is wrong with it.
#[expect(clippy::print_stdout, reason = "the rows are the table of the documents")]
fn judged(label: &str, case: &Case, is_fitting: impl Fn(&Outcome) -> bool) -> Option<String> {
    let outcome = run(case);
    let (end, name, percent) = (&outcome.end, name(case), judge::share(case, &outcome) * 100.0);
    println!("| {label}{name} | {} | {percent:.0} % | {} |", end.short(), end.words);
    let mut found = judge::breaches(case, &outcome);
    if !is_fitting(&outcome) {
        found.push(format!("it must not end as {}: {}", end.short(), end.words));
    }
    (!found.is_empty()).then(|| format!("{label}{name}: {}", found.join("; ")))
}

#[track_caller]
fn expect_fitting_ends(seeds: std::ops::Range<u64>) {
    let wrong = seeds.filter_map(|seed| {
        let case = Case::of_seed(seed);
        judged(&format!("{seed}: "), &case, |outcome| match &case.faults[..] {
            [] => outcome.end.state == "completed",
            [planned] => may_end(&planned.fault).contains(&outcome.end.short().as_str()),
            _ => false,
        })
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn ten_seeds_of_faults_end_as_the_policy_says_and_the_calm_one_is_completed() {
    let calm: Vec<u64> = (0..10).filter(|seed| Case::of_seed(*seed).faults.is_empty()).collect();
    assert_eq!(calm, [0]);
    expect_fitting_ends(0..10);
}

#[test]
fn twenty_more_seeds_of_faults_end_as_the_policy_says() {
    expect_fitting_ends(10..30);
}

#[test]
fn every_fault_ends_as_the_policy_says_and_a_person_is_told_why() {
    let wrong = table().into_iter().filter_map(|row| {
        judged("", &row.case, |outcome| {
            outcome.end.short() == row.end && outcome.end.words.contains(row.words)
        })
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_kind_of_fault_is_left_out() {
    let cases = table().into_iter().map(|row| row.case).chain((0..30).map(Case::of_seed));
    let met = |faults: Vec<&Fault>| faults.into_iter().map(kind).collect::<BTreeSet<_>>();
    let cases: Vec<Case> = cases.collect();
    let seen = met(cases.iter().flat_map(|case| &case.faults).map(|planned| &planned.fault).collect());
    assert_eq!(seen, KINDS.into_iter().collect());
}
