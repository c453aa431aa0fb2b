//! Each rule of leadership by itself.

use super::*;

const OWN: NodeId = NodeId([5; 32]);

fn id(id: u8) -> NodeId {
    NodeId([id; 32])
}

fn claim(term: u64, holder: u8) -> Claim {
    Claim { term: Term(term), holder: id(holder) }
}

/// Node 5 at time 0, with these others.
fn started(role: NodeRole, peers: &[(u8, NodeRole)]) -> Leadership {
    let mut node = Leadership::start(OWN, role, None, 0);
    peers.iter().for_each(|(peer, role)| node.appeared(id(*peer), *role).unwrap());
    node
}

/// A planner that leads in term 1 since [`LEASE_MS`], heard by a sensor.
fn leading() -> Leadership {
    let mut node = started(NodeRole::Planner, &[(9, NodeRole::Sensor)]);
    assert_eq!(node.pass(LEASE_MS), Some(Say::Claim(claim(1, 5))));
    node
}

/// When it claims, looked at every 100 ms until `until_ms`.
fn claims_at(node: &mut Leadership, from_ms: u64, until_ms: u64) -> Option<u64> {
    (from_ms..until_ms).step_by(100).find(|now_ms| matches!(node.pass(*now_ms), Some(Say::Claim(_))))
}

#[test]
fn who_starts_listens_for_a_lease_and_then_its_place_in_the_row() {
    use NodeRole::{Planner, Sensor, StandbyPlanner, Viewer};
    for (role, peers, expected) in [
        (Planner, vec![], Some(LEASE_MS)),
        (Planner, vec![(9, Planner), (1, StandbyPlanner), (2, Sensor)], Some(LEASE_MS)),
        (Planner, vec![(1, Planner), (2, Planner)], Some(LEASE_MS + 2 * STAGGER_MS)),
        (StandbyPlanner, vec![(9, Planner)], Some(LEASE_MS + STAGGER_MS)),
        (Sensor, vec![], None),
        (Viewer, vec![(1, Viewer)], None),
    ] {
        let mut node = started(role, &peers);
        assert_eq!(claims_at(&mut node, 0, 60_000), expected, "{role} {peers:?}");
        assert_eq!(node.activity(0) == Activity::Ineligible, expected.is_none(), "{role}");
    }
    let mut many = started(Planner, &[]);
    (10..60).for_each(|peer| many.appeared(NodeId([peer - 9; 32]), Planner).unwrap_or(()));
    assert_eq!(claims_at(&mut many, 0, 60_000), Some(LEASE_MS + 4 * STAGGER_MS), "ids below ours");
}

#[test]
fn a_leader_renews_and_one_that_was_not_run_leads_no_more() {
    let mut node = leading();
    assert_eq!((node.pass(LEASE_MS + 1_900), node.leads(LEASE_MS + 1_900)), (None, Some(claim(1, 5))));
    let renewed_ms = LEASE_MS + RENEW_MS;
    assert_eq!(node.pass(renewed_ms), Some(Say::Claim(claim(1, 5))));
    assert_eq!(node.leads(renewed_ms + HOLD_MS - 1), Some(claim(1, 5)));
    assert_eq!(node.leads(renewed_ms + HOLD_MS), None, "before anybody has called pass");
    assert_eq!(node.leader(renewed_ms + HOLD_MS), Leader::None);
    assert_eq!(node.pass(renewed_ms + HOLD_MS), None);
    assert_eq!(node.activity(renewed_ms + HOLD_MS), Activity::Standby);
    let again_ms = renewed_ms + LEASE_MS;
    assert_eq!(claims_at(&mut node, renewed_ms + HOLD_MS, 60_000), Some(again_ms));
    assert_eq!(node.leads(again_ms), Some(claim(2, 5)), "in a new term");
}

#[test]
fn who_is_heard_by_nobody_any_more_begins_anew_and_who_was_always_alone_goes_on() {
    let mut node = leading();
    node.lost(id(9));
    assert_eq!(node.pass(LEASE_MS + RENEW_MS), None, "it renews for nobody");
    assert_eq!(claims_at(&mut node, LEASE_MS + RENEW_MS, 60_000), Some(2 * LEASE_MS));
    assert_eq!(node.highest_seen(), Some(claim(2, 5)));
    let mut alone = started(NodeRole::Planner, &[]);
    for now_ms in (0..600_000).step_by(500) {
        let _ = alone.pass(now_ms);
    }
    assert_eq!(alone.leads(600_000), Some(claim(1, 5)));
    alone.appeared(id(9), NodeRole::Sensor).unwrap();
    assert_eq!(alone.pass(602_000), Some(Say::Claim(claim(1, 5))), "now it is heard");
    alone.lost(id(9));
    assert_eq!(claims_at(&mut alone, 604_000, 700_000), Some(602_000 + LEASE_MS));
}

#[test]
fn a_higher_term_is_followed_at_once_and_asked_to_rise_above_both() {
    let mut node = leading();
    node.appeared(id(9), NodeRole::Planner).unwrap();
    let now_ms = LEASE_MS + 10;
    assert_eq!(node.hear(claim(4, 9), now_ms), Ok(Some(Say::Outdated(Term(4)))));
    assert!(matches!(node.leader(now_ms), Leader::Peer(leader) if leader.node() == id(9)));
    assert_eq!(node.leads(now_ms), None);
    assert_eq!(node.hear(claim(4, 9), now_ms), Ok(Some(Say::Outdated(Term(4)))), "until it does");
    assert_eq!(node.hear(claim(5, 9), now_ms), Ok(None));
    assert_eq!(node.hear(claim(5, 9), now_ms), Ok(None));
}

#[test]
fn of_two_in_one_term_the_lower_id_goes_on_in_a_new_one() {
    let mut node = leading();
    for peer in [4, 6] {
        node.appeared(id(peer), NodeRole::Planner).unwrap();
    }
    let now_ms = LEASE_MS + RENEW_MS;
    assert_eq!(node.hear(claim(1, 6), now_ms), Ok(Some(Say::Claim(claim(1, 5)))), "we go on");
    assert_eq!(node.hear_outdated(Term(1), now_ms - 1), None, "it has just begun");
    assert_eq!(node.hear_outdated(Term(1), now_ms), Some(Say::Claim(claim(2, 5))));
    assert_eq!(node.hear_outdated(Term(1), now_ms), None, "we have done so");
    assert_eq!(node.hear(claim(2, 4), now_ms), Ok(Some(Say::Outdated(Term(2)))), "we stand down");
    assert_eq!((node.leads(now_ms), node.leader(now_ms)), (None, Leader::None));
    assert_eq!(claims_at(&mut node, now_ms, now_ms + LEASE_MS), None, "and give it the time to rise");
    assert_eq!(node.hear(claim(3, 4), now_ms), Ok(None));
    assert!(matches!(node.leader(now_ms), Leader::Peer(leader) if leader.node() == id(4)));
}

#[test]
fn who_was_asleep_asks_whoever_leads_now_to_rise_too() {
    let mut node = leading();
    node.appeared(id(9), NodeRole::Planner).unwrap();
    let now_ms = LEASE_MS + HOLD_MS;
    assert_eq!(node.hear(claim(2, 9), now_ms), Ok(Some(Say::Outdated(Term(2)))));
    assert_eq!(node.hear(claim(3, 9), now_ms), Ok(None));
}

#[test]
fn a_planner_takes_over_from_a_standby_and_an_equal_from_nobody() {
    for (leader_role, expected) in
        [(NodeRole::StandbyPlanner, Some(LEASE_MS + SETTLE_MS)), (NodeRole::Planner, None)]
    {
        let mut node = started(NodeRole::Planner, &[(9, leader_role)]);
        let mut run = |now_ms| {
            let _ = node.hear(claim(3, 9), now_ms);
            matches!(node.pass(now_ms), Some(Say::Claim(_)))
        };
        let taken = (LEASE_MS..60_000).step_by(100).find(|now_ms| run(*now_ms));
        assert_eq!(taken, expected, "{leader_role}");
    }
}

#[test]
fn a_link_that_is_lost_changes_nothing_before_the_lease_is_over() {
    let mut node = started(NodeRole::Planner, &[(4, NodeRole::Planner)]);
    node.hear(claim(1, 4), 100).unwrap();
    node.lost(id(4));
    assert_eq!(node.leader(200), Leader::None, "it cannot be asked");
    node.appeared(id(4), NodeRole::Planner).unwrap();
    assert!(matches!(node.leader(300), Leader::Peer(_)));
    assert_eq!(claims_at(&mut node, 300, 60_000), Some(100 + LEASE_MS + STAGGER_MS));
}

#[test]
fn who_gives_up_says_so_and_the_next_one_waits_no_longer() {
    let mut node = leading();
    assert_eq!(node.wish(false, LEASE_MS + 1), Some(Say::Released(claim(1, 5))));
    assert_eq!(node.wish(false, LEASE_MS + 2), None);
    assert_eq!(claims_at(&mut node, LEASE_MS + 2, 90_000), None);
    let mut other = started(NodeRole::Planner, &[(4, NodeRole::Planner)]);
    other.hear(claim(1, 4), 20_000).unwrap();
    other.hear_released(claim(7, 4), 20_100);
    assert!(matches!(other.leader(20_100), Leader::Peer(_)), "of another term");
    other.hear_released(claim(1, 4), 20_100);
    assert_eq!(claims_at(&mut other, 20_100, 60_000), Some(20_100 + STAGGER_MS));
}

#[test]
fn who_may_not_lead_is_not_heard_and_a_term_from_nowhere_is_refused() {
    let mut node = started(NodeRole::Planner, &[(4, NodeRole::Viewer), (6, NodeRole::Planner)]);
    let refused = |node: &mut Leadership, claim| node.hear(claim, 0).unwrap_err().code;
    assert_eq!(refused(&mut node, claim(3, 4)), Code::NotAuthorized);
    assert_eq!(refused(&mut node, claim(3, 8)), Code::NotAuthorized, "not there");
    assert_eq!(refused(&mut node, claim(TERM_JUMP_MAX + 1, 4)), Code::InvalidParams);
    assert_eq!(node.highest_seen(), None);
    assert_eq!(node.appeared(OWN, NodeRole::Planner).unwrap_err().code, Code::InvalidParams);
    let mut leading = leading();
    let later_ms = LEASE_MS + RENEW_MS;
    let taken = leading.hear_outdated(Term(u64::MAX), later_ms);
    assert_eq!(taken, Some(Say::Claim(claim(1 + TERM_JUMP_MAX, 5))), "as far as everybody can follow");
    for peer in 1..PEERS_MAX {
        let mut peer_id = [0; 32];
        peer_id[..8].copy_from_slice(&peer.to_be_bytes());
        leading.appeared(NodeId(peer_id), NodeRole::Field).unwrap();
    }
    assert_eq!(leading.appeared(id(77), NodeRole::Field).unwrap_err().code, Code::LimitExceeded);
    leading.appeared(id(9), NodeRole::Viewer).unwrap();
}

#[test]
fn a_term_that_is_over_is_objected_to_unless_a_better_leader_is_there() {
    let mut node = Leadership::start(OWN, NodeRole::Field, Some(claim(9, 4)), 0);
    for peer in [4, 6, 7] {
        node.appeared(id(peer), NodeRole::Planner).unwrap();
    }
    assert_eq!(node.hear(claim(7, 6), 100), Ok(Some(Say::Outdated(Term(9)))));
    assert_eq!(node.hear(claim(9, 6), 100), Ok(Some(Say::Outdated(Term(9)))), "the term of another");
    assert_eq!(node.hear(claim(9, 4), 100), Ok(None), "whose term it is");
    assert_eq!(node.hear(claim(7, 6), 200), Ok(None), "it hears that from node 4");
    assert_eq!(node.hear(claim(7, 6), 100 + LEASE_MS), Ok(Some(Say::Outdated(Term(9)))));
}

#[test]
fn no_term_is_used_twice_even_when_what_was_stored_is_lost() {
    let mut node = Leadership::start(OWN, NodeRole::Planner, Some(claim(6, 5)), 0);
    assert_eq!(node.pass(LEASE_MS), Some(Say::Claim(claim(7, 5))));
    assert_eq!(node.hear(claim(7, 5), LEASE_MS), Ok(None), "an echo");
    let at_ms = LEASE_MS + RENEW_MS;
    assert_eq!(node.hear(claim(11, 5), at_ms), Ok(Some(Say::Claim(claim(12, 5)))), "of an earlier run");
    assert_eq!(node.hear_outdated(Term(20), at_ms + 1), None, "it has just taken one");
    assert_eq!(node.hear_outdated(Term(20), at_ms + RENEW_MS), Some(Say::Claim(claim(21, 5))));
}

#[test]
fn whoever_was_away_while_terms_rose_far_comes_after_in_steps_and_no_liar_ends_the_planning() {
    let mut node = started(NodeRole::Field, &[(4, NodeRole::Planner), (8, NodeRole::Sensor)]);
    let far = claim(3 * (TERM_JUMP_MAX - 1), 4);
    for renewal in 0..2 {
        assert_eq!(node.hear(far, renewal * RENEW_MS).unwrap_err().code, Code::InvalidParams);
    }
    assert_eq!(node.hear(far, 2 * RENEW_MS), Ok(None));
    assert_eq!(node.highest_seen(), Some(far));
    // A sensor says for hours that every term is over, as far as it is believed.
    let mut leading = leading();
    leading.appeared(id(6), NodeRole::Planner).unwrap();
    let mut other = Leadership::start(id(6), NodeRole::StandbyPlanner, None, 0);
    other.appeared(OWN, NodeRole::Planner).unwrap();
    let mut rises = 0;
    for now_ms in (LEASE_MS..LEASE_MS + 3_600_000).step_by(100) {
        let (seen, _) = (leading.highest_seen().unwrap(), leading.pass(now_ms));
        if let Some(Say::Claim(taken)) =
            leading.hear_outdated(Term(seen.term.0.saturating_mul(now_ms)), now_ms)
        {
            rises += 1;
            assert_eq!(other.hear(taken, now_ms), Ok(None), "everybody else follows");
        }
    }
    assert_eq!(rises, 3_600_000 / RENEW_MS - 1);
    let seen = other.highest_seen().unwrap();
    assert_eq!(admit(Some(seen), leading.highest_seen().unwrap()), Ok(()), "an owner takes what it asks");
}

#[test]
fn what_was_said_in_an_earlier_run_renews_nothing_and_leaves_no_term_free() {
    let mut node = started(NodeRole::Planner, &[(4, NodeRole::Planner)]);
    node.remember(claim(3, 4));
    node.remember(claim(2, 9));
    node.remember(claim(3 + TERM_JUMP_MAX + 1, 9));
    assert_eq!((node.highest_seen(), node.leader(0)), (Some(claim(3, 4)), Leader::None));
    assert_eq!(claims_at(&mut node, 0, 60_000), Some(LEASE_MS + STAGGER_MS));
    assert_eq!(node.highest_seen(), Some(claim(4, 5)));
}

#[test]
fn of_two_that_hear_each_other_only_through_us_we_follow_one_and_set_nobody_on_the_other() {
    let mut node = started(NodeRole::Field, &[(4, NodeRole::Planner), (6, NodeRole::Planner)]);
    assert_eq!(node.hear(claim(1, 6), 0), Ok(None));
    for now_ms in (0..60_000).step_by(RENEW_MS as usize) {
        assert_eq!(node.hear(claim(1, 4), now_ms), Ok(None), "they would rise for ever");
        assert_eq!(node.hear(claim(1, 6), now_ms), Ok(None));
    }
    assert_eq!(node.highest_seen(), Some(claim(1, 6)));
}
