//! What is in the corpus, and that all of it is run.

use std::path::{Path, PathBuf};

use clawmesh_fuzz::run::{corpus_of, judged};
use clawmesh_fuzz::targets::{ALL, seed_file};

/// Larger inputs slow down everything that comes of them, and the repository.
const INPUT_BYTES_MAX: usize = 64 * 1_024;

pub fn corpus() -> PathBuf {
    Path::new("corpus").to_owned()
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let folders =
        std::fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut folders: Vec<String> = folders.collect();
    let mut names: Vec<String> = ALL.iter().map(|target| target.name.to_owned()).collect();
    folders.sort();
    names.sort();
    assert_eq!(folders, names);
    for target in ALL {
        let inputs = corpus_of(&corpus(), target.name).unwrap();
        assert!(inputs.len() >= 2, "{} has {} inputs", target.name, inputs.len());
        for (name, input) in inputs {
            assert!(input.len() <= INPUT_BYTES_MAX, "{}/{name} has {} bytes", target.name, input.len());
        }
    }
}

#[test]
fn seeds_are_what_the_code_makes_today() {
    for target in ALL {
        let held = corpus_of(&corpus(), target.name).unwrap();
        let mut made: Vec<(String, Vec<u8>)> =
            (target.seeds)().into_iter().map(|(name, input)| (seed_file(name), input)).collect();
        made.sort();
        let seeds: Vec<_> = held.into_iter().filter(|(name, _)| name.starts_with(&seed_file(""))).collect();
        let is_same = seeds == made;
        assert!(
            is_same,
            "the seeds of {} have changed; write them anew with fuzz --write-seeds",
            target.name
        );
    }
}

#[test]
fn every_input_of_the_corpus_keeps_the_promise_of_its_target() {
    for target in ALL {
        for (name, input) in corpus_of(&corpus(), target.name).unwrap() {
            let judged = judged(target, &input);
            assert!(judged.is_ok(), "{}/{name}: {}", target.name, judged.unwrap_err());
        }
    }
}

#[test]
fn ci_runs_every_target() {
    for (script, command) in [("run", "fuzz\" --all --for 10s"), ("full", "fuzz\" --all --for 10m")] {
        let text = std::fs::read_to_string(Path::new("../.ci").join(script)).unwrap();
        assert!(text.contains(command), ".ci/{script} does not run the fuzzer: {command}");
    }
}
