//! `proposals` and `show`: what people see of what is proposed.

use clawmesh_authority::Hlc;
use clawmesh_authority::transition::{Round, State};
use clawmesh_core::publish::ProposalView;

use super::scene::{asked_id, awaiting, card, center_showing, hash_of, id, unix_ms};
use crate::bad_input::expect_sentence;

/// A proposal that was made and that ended so long ago.
fn completed(first: u8, before_ms: u64) -> ProposalView {
    let mut view = awaiting();
    let at_ms = unix_ms() - before_ms;
    let report = &mut view.report;
    (view.is_own, view.age_ms) = (true, 0);
    (report.id, report.state, report.made) =
        (id([first; 5]), State::Completed, Hlc { wall_ms: at_ms, logical: 0 });
    report.story[1].at_ms = at_ms;
    (report.offer, report.card) = (None, None);
    view.waiting = None;
    view
}

#[test]
fn the_table_has_the_newest_first_and_what_ended_long_ago_only_on_request() {
    let (fresh, old) = (completed(0xaa, 3_500_000), completed(0xbb, 3_700_000));
    let mut open = completed(0xcc, 7_200_000);
    open.report.state = State::Approved { round: Round::FIRST };
    let stand = center_showing(&[old.clone(), open.clone(), fresh.clone(), awaiting()]);
    let page = stand.run(&["proposals"]).out;
    let lines: Vec<&str> = page.lines().collect();
    let cells =
        |line: &str| line.split("  ").filter(|c| !c.is_empty()).map(str::trim).map(str::to_owned).collect();
    let rows: Vec<Vec<String>> = lines[..4].iter().copied().map(cells).collect();
    let what = "valve-food-forest open 20 min, pump-main-01 start 20 min";
    let waits = "the yes of one person; field-node was not heard for 3 min; its offer dies in 4 min";
    assert_eq!(rows[0], ["id", "home", "state", "what", "card", "waiting for", "copied"]);
    assert_eq!(rows[1], ["2b8a75c7", "field-node", "awaiting_approval", what, "pass", waits, "1.5 s ago"]);
    assert_eq!(rows[2], ["aaaaaaaa", "field-node", "completed", what, "-", "-", "-"]);
    assert_eq!(
        rows[3][..3],
        ["cccccccc", "field-node", "approved"],
        "what is open is shown however old it is"
    );
    assert_eq!(lines[4..], ["", "1 that ended more than an hour ago is left out; --all shows it"]);
    let all = stand.json(&["proposals", "--all"]);
    let ids: Vec<&str> =
        all["proposals"].as_array().unwrap().iter().map(|v| v["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        [awaiting().report.id, fresh.report.id, old.report.id, open.report.id].map(|id| id.to_string())
    );
    assert_eq!(stand.json(&["proposals"])["proposals"].as_array().unwrap().len(), 3);
    let said = center_showing(&[]).run(&["proposals"]);
    assert_eq!(said.out.trim(), "nothing is proposed; see `clawmesh propose --help`");
}

#[test]
fn a_page_tells_who_why_what_the_story_the_card_and_who_has_approved() {
    let mut view = awaiting();
    view.report.approved_by.push(super::scene::ann().id());
    let stand = center_showing(&[view]);
    let said = stand.run(&["show", "2B8A75C7"]);
    let hash = hash_of(&card(166.0)).to_string();
    for words in [
        format!("proposal  {}\n", asked_id()),
        "home      field-node, this is a copy of 1.5 s ago\n".to_owned(),
        "state     awaiting_approval\n".to_owned(),
        " by the planner dryness on command-center\n".to_owned(),
        "reason    the food forest is dry\n".to_owned(),
        "steps     1  valve-food-forest open 20 min\n          2  pump-main-01 start 20 min\n".to_owned(),
        "offer     L2, one person has to approve; it expires 15 min after it was made\n".to_owned(),
        format!("approved  Ann ({})\n", super::scene::ann().id().short()),
        "people are asked\n".to_owned(),
        format!("card {}  PASS: nothing speaks against it\n", &hash[..8]),
        "    people beside what is switched\n".to_owned(),
        format!("card hash  {hash}, as in the offer\n"),
    ] {
        assert!(said.out.contains(&words), "{words:?} is not in {}", said.out);
    }
    assert_eq!(said.out.matches("Z  ").count(), 2, "each entry of the story has its time: {}", said.out);
    let shown = stand.json(&["show", "2b8a75c7"]);
    assert_eq!(shown["card"]["hash"], hash.as_str());
    assert_eq!(
        (&shown["card"]["card"]["verdict"], &shown["card_is_as_offered"]),
        (&"Pass".into(), &true.into())
    );
    assert_eq!(shown["proposal"]["offer"]["level"], "L2");
}

#[test]
fn a_card_that_is_not_the_one_of_the_offer_is_told_by_its_own_bytes() {
    let mut view = awaiting();
    view.report.card = Some(card(1.0).to_bytes());
    let stand = center_showing(&[view.clone()]);
    let page = stand.run(&["show", "2b8a75c7"]).out;
    let (shown, offered) = (hash_of(&card(1.0)), hash_of(&card(166.0)));
    let words = format!("card hash  {shown}, NOT THE ONE OF THE OFFER, which is about {offered}");
    assert!(page.contains(&words), "{page}");
    assert_eq!(stand.json(&["show", "2b8a75c7"])["card_is_as_offered"], false);
    view.report.card = Some(vec![0x80]);
    let stand = center_showing(&[view]);
    let said = stand.run(&["show", "2b8a75c7"]);
    assert!(said.err.contains("the card of 2b8a75c7 cannot be read: "), "{said:?}");
    assert!(said.code == Some(0) && said.out.contains("state     awaiting_approval"), "{said:?}");
    assert!(stand.run(&["proposals"]).out.contains("unreadable"));
}

#[test]
fn a_proposal_is_named_by_eight_characters_that_no_other_shares() {
    let mut other = completed(0, 0);
    other.report.id = id([0x2b, 0x8a, 0x75, 0xc7, 0xff]);
    let stand = center_showing(&[awaiting(), other.clone()]);
    let (first, second) = (asked_id().to_string(), other.report.id.to_string());
    for (wanted, words) in [
        ("2b8a75c", &["give at least 8 characters", "clawmesh proposals --all"][..]),
        ("", &["give at least 8 characters"]),
        ("proposal-1", &["characters other than 0-9 and a-f"]),
        ("2b8a75c7", &["2 proposals", "give more of it", &first, &second]),
        ("deadbeef", &["no proposal known here", "clawmesh proposals --all"]),
    ] {
        for command in [&["show", wanted][..], &["reject", wanted, "--why", "it rains"]] {
            expect_sentence(&stand.run(command), words);
        }
    }
    assert!(stand.run(&["show", &first[..10]]).out.contains(&first));
    // Two homes that claim one proposal: only what the node says of its own is no hearsay.
    let mut claimed = awaiting();
    claimed.home = super::scene::center().id();
    let stand = center_showing(&[awaiting(), claimed.clone()]);
    expect_sentence(&stand.run(&["show", "2b8a75c7"]), &["several nodes claim", "--url"]);
    claimed.is_own = true;
    let stand = center_showing(&[awaiting(), claimed]);
    assert_eq!(stand.run(&["show", "2b8a75c7"]).code, Some(0));
}

#[test]
fn a_picture_that_stands_still_is_told() {
    let stand = center_showing(&[awaiting()]);
    let old = serde_json::json!({"snapshot_age_ms": 60_000, "proposals": [awaiting()]});
    stand.answers("/api/proposals", 200, old);
    let said = stand.run(&["proposals"]);
    assert!(said.err.contains("the node's tick stands still"), "{said:?}");
    assert!(said.out.contains("61 s ago"), "{said:?}");
}
