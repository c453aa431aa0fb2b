//! `audit`: the safety log of a node that carried something out, proved, shown, handed to a stranger, and lied about.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bad_input::{complaints, empty, expect_sentence};
use crate::support::cli::{Said, end_of, id_of, json_on, program, run_on};

/// Two nodes and a proposal that was approved and carried out; the folder goes with the first.
fn farm() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("the system has room for temporary files");
    let said = end_of(program().args(["demo", "--approve", "--for", "60s", "--keep"]).arg(folder.path()));
    assert_eq!(said.code, Some(0), "{said:?}");
    let node = folder.path().join("field-node");
    (folder, node)
}

/// What a stranger says of a bundle, on a machine with nothing else.
fn check(file: &Path, more: &[&str]) -> Said {
    end_of(program().args(["audit", "check"]).arg(file).args(more))
}

fn lines(log: &Value) -> &Vec<Value> {
    log["lines"].as_array().expect("a log has lines")
}

#[test]
fn what_was_carried_out_is_in_the_log_and_a_stranger_finds_whatever_was_altered() {
    let (folder, node) = farm();
    let log = json_on(&node, &["audit", "show"]);
    let numbers: Vec<_> = lines(&log).iter().map(|line| line["number"].as_u64().expect("a number")).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
    let ordered = lines(&log).iter().find(|line| line["happened"]["kind"] == "ordered").expect("an order");
    let id = ordered["happened"]["proposal"].as_str().expect("an id");

    let proved = json_on(&node, &["audit", "verify"]);
    assert_eq!((proved["orders"].as_u64(), proved["starts"].as_u64()), (Some(2), Some(1)), "{proved}");
    let head = format!("{}:{}", numbers.len(), proved["head"]["value"].as_str().expect("a value"));
    let known = run_on(&node, &["audit", "verify", "--head", &head]);
    assert!(known.out.contains("the head that was given stands in it"), "{known:?}");
    let later = format!("{}{head}", 9);
    expect_sentence(&run_on(&node, &["audit", "verify", "--head", &later]), &["its end is missing"]);
    let another = format!("{}:{}", numbers.len(), "0".repeat(64));
    expect_sentence(&run_on(&node, &["audit", "verify", "--head", &another]), &["is not what it was"]);

    let file = folder.path().join("shown.audit");
    let out = file.to_str().expect("a path in UTF-8");
    let told = json_on(&node, &["audit", "export", &id[..8], "--out", out]);
    assert_eq!(told["proposal"].as_str(), Some(id));
    expect_sentence(&run_on(&node, &["audit", "export", id, "--out", out]), &["is there already"]);
    expect_sentence(&run_on(&node, &["audit", "export", &id[..7]]), &["is too short"]);
    expect_sentence(&run_on(&node, &["audit", "export", &"0".repeat(64)]), &["has no line about a proposal"]);
    let center = folder.path().join("command-center");
    expect_sentence(&run_on(&center, &["audit", "export", id]), &["the owner of its actuators has it"]);

    let said = check(&file, &["--node", &id_of(&node)]);
    assert_eq!((said.code, complaints(&said)), (Some(0), vec![]), "{said:?}");
    for words in
        ["completed: a sensor confirmed it", "after the yes of the demo's operator", "everything holds"]
    {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    let said = check(&file, &["--node", &id_of(&center)]);
    assert!(said.code == Some(1) && said.out.contains("1 thing FAILS"), "{said:?}");

    let shown = fs::read(&file).expect("it was written");
    for at in (0..shown.len()).step_by(shown.len() / 20) {
        let mut altered = shown.clone();
        altered[at] ^= 1;
        fs::write(&file, altered).expect("the folder is ours");
        expect_sentence(&check(&file, &[]), &["is not believed"]);
    }
}

#[test]
fn what_is_no_bundle_and_no_log_is_told_in_one_sentence() {
    let (_folder, dir) = empty();
    expect_sentence(&run_on(&dir, &["audit", "verify"]), &["there is no journal here"]);
    expect_sentence(&run_on(&dir, &["audit", "export", "0123456789"]), &["there is no node in"]);
    expect_sentence(&check(&dir.join("nothing"), &[]), &["cannot read"]);
    let file = dir.with_file_name("text");
    fs::write(&file, "a text").expect("the folder is ours");
    expect_sentence(&check(&file, &[]), &["is not believed", "no COSE_Sign1"]);
    expect_sentence(&check(file.parent().expect("a folder"), &[]), &["is no regular file"]);
}
