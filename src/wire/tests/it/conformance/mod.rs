//! One test or more for each numbered vector of the protocol; the number stands in the name.
//! Reads the files of this folder and of the tests over sockets, to see that no number is without a test.
//! Invariant: a number has a test, or it stands in [`TO_COME`], and never both.
//! Not here: bounds and odd inputs of single files, which have their tests at their foot.

mod handshake;
mod identity;
mod leaders;
mod models;
mod safety;
mod ways;
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// The vectors that are about the wire.
const NUMBERS: [u32; 15] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 19, 20, 21];

/// Vectors that are still to come: none.
const TO_COME: [u32; 0] = [];
/// Where the tests are, from the folder of this package.
const FOLDERS: [&str; 4] =
    ["tests/it/conformance", "../wire-link/tests/it", "../wire-link/benches", "../../tests/peers"];

/// Now, in Unix milliseconds.
const NOW_MS: u64 = 1_730_000_000_000;

fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).unwrap()
}

/// The numbers of the tests in `text`; of a bench, which has none, those of what it measures.
fn numbers_in(text: &str, is_bench: bool) -> BTreeSet<u32> {
    let (mut numbers, mut is_test) = (BTreeSet::new(), is_bench);
    for line in text.lines().map(str::trim_start) {
        let name = line.trim_start_matches("async ").strip_prefix("fn ");
        let number: Option<u32> =
            name.and_then(|name| name.strip_prefix('c')?.split_once('_')?.0.parse().ok());
        numbers.extend(number.filter(|_| is_test));
        let is_attribute = line.starts_with("#[") || line.starts_with("//");
        is_test = is_bench || (is_attribute && (is_test || line.contains("test]") || line.contains("test(")));
    }
    numbers
}

/// What is wrong with the numbers that have a test.
fn faults(tested: &BTreeSet<u32>, to_come: &[u32]) -> Vec<String> {
    let mut faults = Vec::new();
    for number in NUMBERS {
        match (tested.contains(&number), to_come.contains(&number)) {
            (false, false) => faults.push(format!("vector {number} has no test c{number:02}_…")),
            (true, true) => faults.push(format!("vector {number} has a test and still stands in TO_COME")),
            _ => {}
        }
    }
    let unknown = tested.iter().chain(to_come).filter(|number| !NUMBERS.contains(number));
    faults.extend(unknown.map(|number| format!("there is no vector {number} about the wire")));
    faults
}

#[test]
fn every_vector_has_a_test_or_is_named_as_still_to_come() {
    // Tests run in the folder of their package.
    let files = FOLDERS.iter().flat_map(|folder| fs::read_dir(Path::new(folder)).unwrap());
    let paths = files.map(|file| file.unwrap().path());
    let is_rust = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    let is_bench = |path: &Path| path.iter().any(|part| part == "benches");
    let numbers = |path: std::path::PathBuf| numbers_in(&fs::read_to_string(&path).unwrap(), is_bench(&path));
    let tested = paths.filter(is_rust).flat_map(numbers).collect();
    assert_eq!(faults(&tested, &TO_COME), [] as [String; 0]);
}

#[test]
fn a_vector_without_a_test_and_one_that_is_no_longer_to_come_are_found() {
    let all = BTreeSet::from(NUMBERS);
    assert!(faults(&all, &[]).is_empty());
    let without_three: BTreeSet<u32> = all.iter().copied().filter(|number| *number != 3).collect();
    assert!(faults(&without_three, &[3]).is_empty());
    assert_eq!(faults(&without_three, &[]), ["vector 3 has no test c03_…"]);
    assert_eq!(faults(&all, &[3]), ["vector 3 has a test and still stands in TO_COME"]);
    let with_thirty = all.iter().copied().chain([30]).collect();
    assert_eq!(faults(&with_thirty, &[]), ["there is no vector 30 about the wire"]);
    let text = "fn c07_x() {}\n    #[tokio::test(start_paused = true)]\n    // why\n    async fn c12_y() {\n// c13_\n#[test]\nfn cold() {}\n\
                #[test]\n\nfn c08_z() {}\n#[test]\n#[cfg(unix)]\nfn c09_w() {}";
    assert_eq!((numbers_in(text, false), numbers_in(text, true)), ([9, 12].into(), [7, 8, 9, 12].into()));
}
