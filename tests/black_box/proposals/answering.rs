//! `approve` and `reject`: what a person signs, and what they are kept from signing.

use clawmesh_authority::{Approval, Decision, SignedApproval, approval};
use clawmesh_core::publish::ProposalView;
use serde_json::json;

use super::scene::{ann, asked_id, awaiting, card, center, center_showing, hash_of, key_file, unix_ms};
use super::stand_in::StandIn;
use crate::bad_input::expect_sentence;
use crate::support::cli::Said;

/// The one approval that was posted, judged as an owner judges it.
fn posted(stand: &StandIn) -> SignedApproval {
    let posted = stand.posted();
    let [one] = &posted[..] else { panic!("not one post: {posted:?}") };
    assert_eq!((one.path.as_str(), one.content_type.as_str()), ("/api/approvals", "application/cbor"));
    let signed = approval::open(&one.body).expect("an owner opens it");
    assert_eq!((signed.operator(), signed.key()), (ann().id(), &ann().public()), "Ann signed it");
    signed
}

/// Ann at her terminal, who types yes to what she is asked.
fn approve(stand: &StandIn, more: &[&str]) -> Said {
    let key = key_file(stand);
    stand.run_at_terminal(&[&["approve", "2b8a75c7", "--key", &key], more].concat(), "yes\n")
}

/// What was shown and asked before goes; what remains is an end without a question.
fn last_line(said: Said) -> Said {
    let last = said.err.lines().last().unwrap_or_default();
    let err = last.rsplit("anything else not to: ").next().unwrap_or(last).to_owned();
    Said { err, ..said }
}

fn seen() -> String {
    hash_of(&card(166.0)).to_string()
}

#[test]
fn a_yes_answers_the_offer_field_by_field_with_the_key_of_the_person() {
    let before_ms = unix_ms();
    for seen in [&seen()[..], &seen()[..8], &seen().to_uppercase()[..12]] {
        let stand = center_showing(&[awaiting()]);
        let said = approve(&stand, &["--card", seen, "--why", "seen, it is dry"]);
        let words = "approved, it is judged again before it moves\n";
        assert_eq!((said.code, said.out.as_str()), (Some(0), words), "{seen}: {said:?}");
        assert!(said.err.contains("Shall it be done?"), "{said:?}");
        let signed = posted(&stand);
        let offer = awaiting().report.offer.unwrap();
        let signed_ms = signed.approval().signed_ms;
        assert!((before_ms..=unix_ms()).contains(&signed_ms), "{signed_ms}");
        let why = Some("seen, it is dry".to_owned());
        let expected = Approval::answering(&offer, Decision::Approve, why, signed_ms);
        assert_eq!(signed.approval(), &expected);
    }
}

#[test]
fn a_no_needs_no_card_and_says_why() {
    let mut view = awaiting();
    view.report.card = None;
    let stand = center_showing(&[view]);
    let key = key_file(&stand);
    let answer = stand.json(&["reject", "2b8a75c7", "--key", &key, "--why", "it rains this evening"]);
    assert_eq!((&answer["outcome"], &answer["proposal"]), (&"taken".into(), &json!(asked_id())));
    let signed = posted(&stand);
    let offer = awaiting().report.offer.unwrap();
    let why = Some("it rains this evening".to_owned());
    let expected = Approval::answering(&offer, Decision::Reject, why, signed.approval().signed_ms);
    assert_eq!(signed.approval(), &expected);
}

#[test]
fn a_refusal_of_the_owner_is_told_with_code_rule_and_sentence_and_fails() {
    let stand = center_showing(&[awaiting()]);
    let no = json!({"code": "SELF_APPROVAL", "rule": "approval.not_own", "sentence": "ask somebody else"});
    stand.answers("/api/approvals", 422, no.clone());
    let seen = ["--card", &seen()[..8]];
    expect_sentence(
        &last_line(approve(&stand, &seen)),
        &["clawmesh: SELF_APPROVAL by approval.not_own: ask somebody else"],
    );
    let said = approve(&stand, &[&seen[..], &["--json"]].concat());
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &told["outcome"], &told["code"]), (Some(1), &"refused".into(), &no["code"]));
    // A refusal of the door itself has no rule.
    stand.answers("/api/approvals", 503, json!({"code": "BUSY", "sentence": "ask again in a moment"}));
    expect_sentence(&last_line(approve(&stand, &seen)), &["clawmesh: BUSY: ask again in a moment"]);
    stand.answers("/api/approvals", 500, json!("?"));
    expect_sentence(&last_line(approve(&stand, &seen)), &["it answered 500"]);
}

/// What nobody may sign: the proposal as it is shown, the arguments, and the words of the refusal.
fn refused() -> Vec<(ProposalView, Vec<String>, Vec<&'static str>)> {
    let with = |change: fn(&mut ProposalView)| {
        let mut view = awaiting();
        change(&mut view);
        view
    };
    let args = |args: &[&str]| args.iter().map(ToString::to_string).collect::<Vec<String>>();
    let good = || vec!["--card".to_owned(), seen()];
    let other = hash_of(&card(1.0)).to_string();
    let another_card = vec!["the card of 2b8a75c7 is ", "nothing was signed", "clawmesh show 2b8a75c7"];
    vec![
        (awaiting(), args(&["--card", &other]), another_card.clone()),
        (awaiting(), args(&["--card", &(seen() + "00")]), another_card),
        (awaiting(), args(&["--card", &seen()[..7]]), vec!["too short to name a card", "8 characters"]),
        (awaiting(), args(&["--card", ""]), vec!["too short to name a card"]),
        (awaiting(), args(&["--card", "the green one"]), vec!["0-9 and a-f"]),
        (awaiting(), [good(), args(&["--why", " "])].concat(), vec!["a reason has 1 to 1024 bytes"]),
        (
            with(|view| view.report.offer = None),
            good(),
            vec!["nobody is asked about 2b8a75c7", "awaiting_approval"],
        ),
        (
            with(|view| view.report.card = Some(card(1.0).to_bytes())),
            good(),
            vec!["the offer is about ", "nothing was signed"],
        ),
        (with(|view| view.report.card = None), good(), vec!["came without its card"]),
        (
            with(|view| view.report.card.as_mut().expect("it has one").push(0)),
            good(),
            vec!["the card of 2b8a75c7 cannot be read", "canonical form"],
        ),
        (with(|view| drop(view.report.steps.pop())), good(), vec!["is for something else"]),
        (with(|view| view.home = center().id()), good(), vec!["is for something else"]),
        (with(|view| view.report.id.0[31] ^= 1), good(), vec!["is for something else"]),
    ]
}

#[test]
fn what_was_not_seen_or_does_not_fit_its_offer_is_refused_and_nothing_is_posted() {
    for (view, args, words) in refused() {
        let stand = center_showing(&[view]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        expect_sentence(&last_line(approve(&stand, &args)), &words);
        assert_eq!(stand.posted().len(), 0, "{args:?}");
    }
}

#[test]
fn another_steps_number_is_another_step_even_where_numbers_compare_equal() {
    let mut view = awaiting();
    let zero = |number: f64| clawmesh_authority::Value::Number(number);
    view.report.steps[0].parameters.insert("for_s".to_owned(), zero(-0.0));
    let offer = view.report.offer.as_mut().unwrap();
    offer.steps[0].parameters.insert("for_s".to_owned(), zero(0.0));
    let stand = center_showing(&[view]);
    expect_sentence(&last_line(approve(&stand, &["--card", &seen()])), &["is for something else"]);
    assert_eq!(stand.posted().len(), 0);
}

#[test]
fn without_a_key_nothing_is_posted_and_the_way_to_one_is_told() {
    let stand = center_showing(&[awaiting()]);
    let missing = stand.folder.path().join("nobody.key");
    let key = ["--key", missing.to_str().unwrap()];
    let seen = seen();
    for command in [
        &["approve", "2b8a75c7", "--card", &seen][..],
        &["reject", "2b8a75c7", "--why", "no"],
        &["withdraw", "2b8a75c7", "--why", "no"],
        &["rearm", "--why", "it is mended"],
    ] {
        let said = last_line(stand.run_at_terminal(&[command, &key].concat(), "yes\n"));
        expect_sentence(&said, &["there is no operator key", "clawmesh operator new"]);
    }
    assert_eq!(stand.posted().len(), 0);
}

#[test]
fn nothing_but_the_word_typed_at_a_terminal_is_a_yes() {
    let stand = center_showing(&[awaiting()]);
    let key = key_file(&stand);
    let ask = ["approve", "2b8a75c7", "--key", &key, "--card", &seen()];
    for typed in ["", "no\n", "y\n", "\nyes\n"] {
        let said = last_line(stand.run_at_terminal(&ask, typed));
        assert!(said.code == Some(1) && said.err.contains("nothing was signed"), "{typed:?}: {said:?}");
    }
    assert_eq!(stand.posted().len(), 0);
}
