//! Vector 12: which planner leads, by the table of existing nodes, and what a lease adds to it.

use clawmesh_authority::leadership::{
    Activity, Candidate, Claim, LEASE_MS, Leader, Leadership, Say, Term, admit, choose,
};
use clawmesh_authority::{Code, NodeId, NodeRole};

fn id(id: u8) -> NodeId {
    NodeId([id; 32])
}

fn elected(own: (u8, &str), peers: &[(u8, &str)]) -> Option<(u8, &'static str)> {
    let candidate = |(id_of, role): (u8, &str)| Candidate::new(id(id_of), NodeRole::of_name(role));
    match choose(candidate(own), peers.iter().filter_map(|peer| candidate(*peer))) {
        Leader::None => None,
        Leader::Local => Some((own.0, "local")),
        Leader::Peer(peer) => Some((peer.node().0[0], "peer")),
    }
}

#[test]
fn c12_the_highest_rank_leads_and_then_the_lowest_id() {
    for (own, peers, expected) in [
        ((5, "planner"), vec![], Some((5, "local"))),
        ((5, "standby-planner"), vec![], Some((5, "local"))),
        ((5, "planner"), vec![(1, "standby-planner")], Some((5, "local"))),
        ((1, "standby-planner"), vec![(5, "planner")], Some((5, "peer"))),
        ((5, "planner"), vec![(4, "planner"), (6, "planner")], Some((4, "peer"))),
        ((3, "planner"), vec![(4, "planner"), (6, "planner")], Some((3, "local"))),
        ((5, "standby-planner"), vec![(4, "standby-planner")], Some((4, "peer"))),
        ((5, "node"), vec![(9, "planner"), (8, "standby-planner")], Some((9, "peer"))),
    ] {
        assert_eq!(elected(own, &peers), expected, "{own:?} {peers:?}");
    }
}

#[test]
fn c12_whoever_is_not_eligible_never_leads() {
    for role in ["node", "field", "sensor", "actuator", "viewer", "Planner", "king"] {
        assert_eq!(elected((1, role), &[(2, role), (3, role)]), None, "{role}");
        let node = Leadership::start(id(1), NodeRole::of_name(role), None, 0);
        assert_eq!(node.activity(0), Activity::Ineligible, "{role}");
    }
}

#[test]
fn c12_a_node_is_standby_until_its_lease_begins_and_when_somebody_else_leads() {
    let mut node = Leadership::start(id(5), NodeRole::Planner, None, 0);
    node.appeared(id(9), NodeRole::Planner).unwrap();
    assert_eq!((node.leader(0), node.activity(0)), (Leader::None, Activity::Standby));
    let Some(Say::Claim(claim)) = node.pass(LEASE_MS) else { panic!() };
    assert_eq!((node.leader(LEASE_MS), node.activity(LEASE_MS)), (Leader::Local, Activity::Active));
    let higher = Claim { term: claim.term.next(), holder: id(9) };
    node.hear(higher, LEASE_MS).unwrap();
    let peer = Candidate::new(id(9), NodeRole::Planner).unwrap();
    assert_eq!((node.leader(LEASE_MS), node.activity(LEASE_MS)), (Leader::Peer(peer), Activity::Standby));
}

#[test]
fn c12_an_owner_hears_nobody_of_a_term_that_is_over() {
    let claim = |term, holder| Claim { term: Term(term), holder: id(holder) };
    let mut owner = Leadership::start(id(5), NodeRole::Field, None, 0);
    owner.appeared(id(9), NodeRole::Planner).unwrap();
    owner.hear(claim(3, 9), 0).unwrap();
    for stale in [claim(2, 1), claim(3, 1)] {
        assert_eq!(admit(owner.highest_seen(), stale).unwrap_err().code, Code::StaleTerm);
    }
    admit(owner.highest_seen(), claim(3, 9)).unwrap();
}
