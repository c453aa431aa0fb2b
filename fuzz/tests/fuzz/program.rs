//! The program, as CI runs it.

use std::process::{Command, Output};

use clawmesh_fuzz::targets::ALL;

fn fuzz(arguments: &[&str]) -> Output {
    let program = Command::new(env!("CARGO_BIN_EXE_fuzz")).args(arguments).output();
    program.expect("the program can be started")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_target_is_named_with_what_it_promises() {
    let listed = said(&fuzz(&["--list"]));
    for target in ALL {
        assert!(listed.contains(target.name) && listed.contains(target.promise), "{listed}");
    }
}

#[test]
fn a_run_is_told_with_its_seed_and_its_pace() {
    let output = fuzz(&["texts", "--for", "100ms", "--seed", "7", "--corpus", "corpus"]);
    let told = said(&output);
    assert!(output.status.success() && told.contains("seed 7") && told.contains("texts"), "{told}");
    assert!(told.contains("runs in") && told.contains("ways to answer"), "{told}");
}

#[test]
fn an_input_is_replayed_alone() {
    let output = fuzz(&["texts", "--replay", "corpus/texts/seed-id"]);
    assert!(output.status.success() && said(&output).contains("promise kept"), "{}", said(&output));
}

#[test]
fn what_is_missing_is_told() {
    for (arguments, expected) in [
        (&["nothing"][..], "there is no target nothing; there are envelope"),
        (&[], "name a target, or say --all"),
        (&["texts", "--replay", "corpus/none"], "cannot read corpus/none"),
    ] {
        let output = fuzz(arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(expected), "{told}");
    }
}
