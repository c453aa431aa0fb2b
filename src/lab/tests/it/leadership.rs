//! Who leads the planning on a mesh that loses, parts and restarts nodes, and whose proposals an owner takes.

use std::collections::BTreeSet;

use clawmesh_authority::leadership::{Activity, CHOSEN_MS_MAX, Claim, Say, TERM_JUMP_MAX, Term};
use clawmesh_authority::request::{self, RequestBody};
use clawmesh_authority::{
    Answer, AskKind, Body, Code, Frame, Hlc, KeyId as _, Lane, Maker, MeshId, Mind, NodeId, OperatorId,
    Proposal, Statement, envelope,
};
use clawmesh_core::intake::{InputBody, SourceId, Thought};
use clawmesh_core::leadership::{Lead, SUBJECT};
use clawmesh_core::publish::LeadView;
use clawmesh_lab::{Lab, LinkFaults};

use crate::proposals::rig::{CENTER, FIELD, Farm, SPARE, ann, code, step, valve};
use crate::refusals;

const BARN: &str = "barn";
const HOUSE: &str = "house";
const PUMP: &str = "pump";
const GATE: &str = "gate";
const ALL: [&str; 4] = [BARN, HOUSE, PUMP, GATE];
/// How long a mesh may need to choose, with what it takes to see that somebody is lost.
const CHOSEN_S: u64 = CHOSEN_MS_MAX / 1_000 + 8;

/// Two that may lead, a planner and its standby, and two that may not.
fn mesh() -> Lab {
    Lab::seeded(17)
        .ticking(10)
        .with_roles([(BARN, "command-center"), (HOUSE, "standby-planner"), (PUMP, "field")])
        .with_nodes(ALL)
}

fn lead_at(lab: &Lab, name: &str) -> LeadView {
    lab.snapshot(name).lead.clone()
}

/// Whom each of these nodes follows, and in which term: one answer if they agree.
fn leaders(lab: &Lab, names: &[&str]) -> BTreeSet<Option<(NodeId, Term)>> {
    let leader_of = |name: &&str| {
        let leader = lead_at(lab, name).leader?;
        Some((leader.id, leader.term.expect("who leads does so in a term")))
    };
    names.iter().map(leader_of).collect()
}

fn led_by(lab: &Lab, name: &str, term: u64) -> BTreeSet<Option<(NodeId, Term)>> {
    BTreeSet::from([Some((lab.id(name), Term(term)))])
}

fn activities(lab: &Lab) -> [Activity; 4] {
    ALL.map(|name| lead_at(lab, name).activity)
}

/// The `n`-th node of the lab says this, in a run of its own that nobody else knows of.
fn say(lab: &mut Lab, at: &str, n: usize, say: Say) {
    let bytes = signed(lab, n, say);
    lab.offer(at, SourceId::Node(Lab::id_of(n)), InputBody::Envelope { lane: Lane::State, bytes });
}

fn signed(lab: &Lab, n: usize, say: Say) -> Vec<u8> {
    let hlc = Hlc { wall_ms: lab.now_ms(), logical: 0 };
    let body = Body::Frame(Frame::Leadership(say));
    let statement =
        Statement { mesh: MeshId::of_name("lab"), epoch: 1_000, sequence: lab.now_ms(), hlc, body };
    envelope::seal(&Lab::key_of(n), &statement)
}

fn claim(term: u64, n: usize) -> Claim {
    Claim { term: Term(term), holder: Lab::id_of(n) }
}

#[test]
fn a_planner_leads_before_its_standby_and_every_node_knows_who() {
    let mut lab = mesh();
    lab.run_seconds(8);
    assert_eq!(leaders(&lab, &ALL), BTreeSet::from([None]), "whoever starts listens first");
    lab.run_seconds(5);
    assert_eq!(leaders(&lab, &ALL), led_by(&lab, BARN, 1));
    use Activity::{Active, Ineligible, Standby};
    assert_eq!(activities(&lab), [Active, Standby, Ineligible, Ineligible]);
    assert_eq!(lead_at(&lab, PUMP).leader.and_then(|leader| leader.name).as_deref(), Some(BARN));
    lab.run_seconds(60);
    assert_eq!(leaders(&lab, &ALL), led_by(&lab, BARN, 1), "who leads and is heard goes on");
    for name in ALL {
        assert_eq!(lab.replay(name).difference, None, "{name}");
    }
}

#[test]
fn a_standby_takes_over_from_a_leader_that_is_lost_and_gives_way_when_it_is_back() {
    let mut lab = mesh();
    lab.run_seconds(13);
    lab.crash(BARN);
    lab.run_seconds(CHOSEN_S);
    let others = [HOUSE, PUMP, GATE];
    assert_eq!(leaders(&lab, &others), led_by(&lab, HOUSE, 2));
    lab.start(BARN);
    lab.run_seconds(5);
    assert_eq!(leaders(&lab, &ALL), led_by(&lab, HOUSE, 2), "nothing changes at once");
    lab.run_seconds(CHOSEN_S);
    // Whoever led until it heard of term 3 asks for one above both.
    assert_eq!(leaders(&lab, &ALL), led_by(&lab, BARN, 4));
    for name in ALL {
        assert_eq!(lab.replay(name).difference, None, "{name}");
    }
}

#[test]
fn each_part_of_a_divided_mesh_has_a_leader_and_one_of_them_remains_for_every_seed() {
    for seed in 0..4 {
        let faults =
            LinkFaults { delay_ms_min: 20, delay_ms_max: 250, loss_percent: 5, duplicate_percent: 2 };
        let mut lab = Lab::seeded(seed)
            .ticking(10)
            .with_roles([(BARN, "planner"), (HOUSE, "planner")])
            .with_faults(faults)
            .with_nodes(ALL);
        lab.run_seconds(CHOSEN_S);
        let before = leaders(&lab, &ALL);
        assert!(before.len() == 1 && !before.contains(&None), "seed {seed}: {before:?}");
        lab.partition(&[BARN, PUMP], &[HOUSE, GATE]);
        lab.run_seconds(CHOSEN_S);
        for (part, holder) in [([BARN, PUMP], BARN), ([HOUSE, GATE], HOUSE)] {
            let leaders: Vec<_> = leaders(&lab, &part).into_iter().flatten().map(|(id, _)| id).collect();
            assert_eq!(leaders, [lab.id(holder)], "seed {seed}");
        }
        lab.heal();
        lab.run_seconds(CHOSEN_S);
        let after = leaders(&lab, &ALL);
        assert!(after.len() == 1 && !after.contains(&None), "seed {seed}: {after:?}");
        let term = |leaders: &BTreeSet<Option<(NodeId, Term)>>| {
            leaders.iter().flatten().map(|(_, term)| *term).max()
        };
        assert!(term(&after) > term(&before), "seed {seed}: terms only grow: {before:?}, {after:?}");
        for name in ALL {
            assert_eq!(lab.replay(name).difference, None, "seed {seed}, {name}");
        }
    }
}

#[test]
fn terms_grow_over_a_restart_of_everybody() {
    let mut lab = mesh();
    lab.run_seconds(13);
    ALL.into_iter().for_each(|name| lab.crash(name));
    ALL.into_iter().for_each(|name| lab.start(name));
    lab.run_seconds(5);
    assert_eq!(leaders(&lab, &ALL), BTreeSet::from([None]), "what was said in an earlier run renews nothing");
    lab.run_seconds(8);
    assert_eq!(leaders(&lab, &ALL), led_by(&lab, BARN, 2));
}

#[test]
fn a_claim_that_an_earlier_run_has_acknowledged_leaves_no_term_free_and_renews_nothing() {
    let mut lab = mesh();
    lab.run_seconds(1);
    // The node was killed between the receipt of a claim and what it keeps of it.
    let bytes = signed(&lab, 2, Say::Claim(claim(9, 2)));
    lab.offer(PUMP, SourceId::Journal, InputBody::Recovered { bytes, newest: None });
    let bytes = signed(&lab, 4, Say::Claim(claim(12, 4)));
    lab.offer(PUMP, SourceId::Journal, InputBody::Recovered { bytes, newest: None });
    lab.run_seconds(1);
    let terms = lab.core(PUMP).world().resource::<Lead>().terms();
    assert_eq!(terms.highest_seen, Some(claim(9, 2)), "the role of the other one does not lead");
    assert_eq!(leaders(&lab, &[PUMP]), BTreeSet::from([None]));
}

#[test]
fn while_the_time_is_not_known_nobody_leads() {
    let settings =
        clawmesh_core::Settings { plans: true, role: CENTER.to_owned(), ..clawmesh_lab::lone_settings() };
    let mut core = clawmesh_core::Core::replaying(settings, 1);
    for _ in 0..50 * 60 {
        core.tick();
    }
    assert_eq!(*core.world().resource::<Lead>(), Lead::default());
}

#[test]
fn who_may_lead_and_has_nothing_to_plan_does_not() {
    // Its role may lead, and it was told not to plan.
    let idle =
        clawmesh_core::Settings { plans: false, role: CENTER.to_owned(), ..clawmesh_lab::lone_settings() };
    let mut core = clawmesh_core::Core::replaying(idle, 1);
    for n in 1..60 * 50 {
        let clock = InputBody::ClockSampled { unix_ms: clawmesh_lab::START_MS + n * 20, up_ms: n * 20 };
        let input = clawmesh_core::intake::Input { source: SourceId::Clock, sequence: n, body: clock };
        core.feed(vec![clawmesh_core::intake::StampedInput { journal_sequence: n, tick: n, input }]);
        core.tick();
    }
    assert_eq!(core.world().resource::<Lead>().leads(60_000), None);
}

#[test]
fn nobody_claims_in_the_name_of_another_and_no_role_that_does_not_lead_claims_at_all() {
    let mut lab = mesh();
    lab.run_seconds(13);
    // The pump says that the house leads, in a later term.
    say(&mut lab, GATE, 3, Say::Claim(claim(7, 2)));
    lab.run_seconds(1);
    assert_eq!(refusals(&lab, GATE, "SOURCE_MISMATCH").len(), 1);
    // The pump says that it leads itself.
    say(&mut lab, GATE, 3, Say::Claim(claim(7, 3)));
    lab.run_seconds(1);
    let refused = refusals(&lab, GATE, "NOT_AUTHORIZED");
    assert!(refused[0].sentence.contains("its role does not lead"), "{}", refused[0].sentence);
    // The house says that the barn leads no more.
    say(&mut lab, GATE, 2, Say::Released(claim(1, 1)));
    lab.run_ticks(1);
    assert_eq!(leaders(&lab, &[GATE]), led_by(&lab, BARN, 1));
    lab.run_seconds(1);
    assert_eq!(refusals(&lab, GATE, "SOURCE_MISMATCH")[0].count, 1, "of each sender");
    assert_eq!(refusals(&lab, GATE, "SOURCE_MISMATCH").len(), 2);
    assert_eq!(leaders(&lab, &ALL), led_by(&lab, BARN, 1));
}

#[test]
fn only_the_journal_recalls_terms_and_only_once() {
    let mut lab = mesh();
    lab.run_seconds(13);
    let kept = || InputBody::Recalled { subject: SUBJECT.to_owned(), bytes: vec![0xf6] };
    for (source, expected) in
        [(SourceId::Bridge, "MALFORMED_ENVELOPE"), (SourceId::Journal, "MALFORMED_ENVELOPE")]
    {
        lab.offer(PUMP, source, kept());
        lab.run_seconds(1);
        assert!(!refusals(&lab, PUMP, expected).is_empty(), "{source}");
    }
    let terms = clawmesh_core::leadership::KeptTerms { highest_seen: Some(claim(9, 2)) };
    let bytes = clawmesh_authority::canonical::encode(&terms);
    for (source, expected) in [(SourceId::Bridge, "NOT_AUTHORIZED"), (SourceId::Journal, "DUPLICATE")] {
        let body = InputBody::Recalled { subject: SUBJECT.to_owned(), bytes: bytes.clone() };
        lab.offer(PUMP, source, body);
        lab.run_seconds(1);
        assert_eq!(refusals(&lab, PUMP, expected).len(), 1, "{source}");
    }
    assert_eq!(leaders(&lab, &ALL), led_by(&lab, BARN, 1));
}

#[test]
fn only_the_node_that_leads_wishes() {
    let mut lab = Lab::seeded(3)
        .at_site(crate::site::farm())
        .with_roles([(CENTER, CENTER), (FIELD, "standby-planner")])
        .with_nodes([CENTER, FIELD]);
    let dry = |zone: &str| Thought {
        zone: zone.to_owned(),
        irrigate: true,
        urgency_permille: 650,
        moisture_permille: Some(142),
    };
    for _ in 0..10 {
        for name in [CENTER, FIELD] {
            lab.offer(name, SourceId::Planner, InputBody::Thoughts(vec![dry("z-food-forest-core")]));
        }
        lab.run_seconds(2);
    }
    let wishes = lab.wishes(CENTER);
    assert_eq!((wishes.len(), wishes[0].term), (1, Term(1)));
    assert_eq!(lab.wishes(FIELD), [], "it stands by, and thinks along");
    lab.crash(CENTER);
    for _ in 0..20 {
        lab.offer(FIELD, SourceId::Planner, InputBody::Thoughts(vec![dry("z-food-forest-core")]));
        lab.run_seconds(2);
    }
    let wishes = lab.wishes(FIELD);
    assert_eq!((wishes.len(), wishes[0].term), (1, Term(2)));
}

/// A program of the `n`-th node proposes in a term.
fn propose_as(farm: &mut Farm, n: usize, term: Option<Term>) -> (Proposal, Answer) {
    farm.for_s += 1.0;
    // A valve may open whoever is missed.
    let mut proposal = farm.proposal_of(vec![step(valve(), "open", Some(farm.for_s))]);
    proposal.maker = Maker { node: Lab::id_of(n), term, ..proposal.maker };
    let request = farm.request(RequestBody::Propose(proposal.clone()));
    let answer = farm.lab.ask(FIELD, AskKind::Request, request::seal(&Lab::key_of(n), &request));
    (proposal, answer)
}

fn led_term(farm: &Farm) -> Option<(NodeId, Term)> {
    let snapshot = farm.lab.snapshot(FIELD);
    let leader = snapshot.lead.leader.as_ref()?;
    Some((leader.id, leader.term?))
}

#[test]
fn s2_an_owner_takes_proposals_of_the_newest_leader_only_also_after_a_restart() {
    let mut farm = Farm::with_a_spare_planner();
    let (center, spare) = (Lab::id_of(1), Lab::id_of(3));
    assert_eq!(led_term(&farm), Some((center, Term(1))));
    let (_, answer) = propose_as(&mut farm, 1, Some(Term(1)));
    assert_eq!(code(&answer), None, "{answer:?}");
    // The other planner has not led, whatever it says: nobody has heard it claim.
    for (term, expected) in [(1, Code::StaleTerm), (2, Code::Busy), (TERM_JUMP_MAX, Code::Busy)] {
        let (_, answer) = propose_as(&mut farm, 3, Some(Term(term)));
        assert_eq!(code(&answer), Some((expected, "proposal.term")), "{answer:?}");
    }
    let (_, answer) = propose_as(&mut farm, 1, Some(Term(1)));
    assert_eq!(code(&answer), None, "and by asking it has kept nobody out: {answer:?}");
    // Now it does lead: the command center is cut off, and goes on as it was.
    farm.lab.partition(&[CENTER], &[FIELD, SPARE]);
    farm.run_seconds(CHOSEN_S);
    assert_eq!(led_term(&farm), Some((spare, Term(2))));
    for _ in 0..2 {
        let (_, answer) = propose_as(&mut farm, 1, Some(Term(1)));
        farm.assert_refused(&answer, Code::StaleTerm, "proposal.term");
        farm.restart();
        farm.run_seconds(1);
    }
    let (_, answer) = propose_as(&mut farm, 3, Some(Term(2)));
    assert_eq!(code(&answer), None, "{answer:?}");
}

#[test]
fn s2_a_program_that_names_no_term_or_one_nobody_has_heard_of_asks_in_vain_whatever_it_calls_itself() {
    let mut farm = Farm::brief();
    let (_, answer) = propose_as(&mut farm, 1, None);
    farm.assert_refused(&answer, Code::StaleTerm, "proposal.term");
    let (_, answer) = propose_as(&mut farm, 1, Some(Term(2)));
    farm.assert_refused(&answer, Code::Busy, "proposal.term");
    // A field node leads nothing, and so has claimed nothing.
    let (_, answer) = propose_as(&mut farm, 2, Some(Term(1)));
    farm.assert_refused(&answer, Code::StaleTerm, "proposal.term");
    // Nobody shows here that the person is in that session.
    let mut proposal = farm.proposal();
    let mind = Mind::Model { name: "some-model".to_owned(), session_of: Some(ann().id()) };
    proposal.maker = Maker { mind, term: None, ..proposal.maker };
    let answer = farm.propose(&proposal);
    farm.assert_refused(&answer, Code::StaleTerm, "proposal.term");
    // A person asks whoever leads, and in no term.
    let mut proposal = farm.proposal();
    proposal.maker = Maker { term: Some(Term(1)), ..Maker::person(proposal.maker.node, ann().id()) };
    let answer = farm.ask_as(&ann(), RequestBody::Propose(proposal.clone()));
    farm.assert_refused(&answer, Code::InvalidParams, "request.content");
    proposal.maker.term = None;
    assert_eq!(code(&farm.ask_as(&ann(), RequestBody::Propose(proposal.clone()))), None);
    farm.run_seconds(1);
    let offer = farm.offer(proposal.id());
    farm.assert_carried_out(&offer);
}

#[test]
fn s2_a_node_that_poses_as_a_person_with_its_own_key_asks_in_vain() {
    let mut farm = Farm::brief();
    let mut proposal = farm.proposal();
    // The hash of a key is the same for whoever it belongs to.
    let person = OperatorId::of_public_key(Lab::key_of(1).public().raw());
    proposal.maker = Maker::person(proposal.maker.node, person);
    let answer = farm.propose(&proposal);
    farm.assert_refused(&answer, Code::NotAuthorized, "request.person");
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}

#[test]
fn a_sensor_that_says_all_the_time_that_the_term_is_over_does_not_end_the_planning() {
    let mut lab = mesh();
    lab.run_seconds(13);
    for _ in 0..60 {
        let term = lead_at(&lab, BARN).leader.and_then(|leader| leader.term).expect("the barn leads");
        say(&mut lab, BARN, 3, Say::Outdated(Term(term.0.saturating_mul(2))));
        lab.run_ticks(1);
    }
    lab.run_seconds(3);
    let after = leaders(&lab, &ALL);
    assert_eq!(after.len(), 1, "all follow: {after:?}");
    let (leader, term) = after.into_iter().flatten().next().expect("somebody leads");
    assert_eq!(leader, lab.id(BARN));
    assert!(term <= Term(1 << 5), "a term is taken every 2 s at most: {term}");
}

#[test]
fn two_planners_that_hear_each_other_only_through_others_set_nobody_on_each_other() {
    let mut lab =
        Lab::seeded(17).ticking(10).with_roles([(BARN, "planner"), (HOUSE, "planner")]).with_nodes(ALL);
    lab.partition(&[BARN], &[HOUSE]);
    lab.run_seconds(60);
    for name in [BARN, HOUSE] {
        assert_eq!(lead_at(&lab, name).activity, Activity::Active, "neither hears the other");
    }
    let between = leaders(&lab, &[PUMP, GATE]);
    assert!(!between.contains(&None), "{between:?}");
    let terms: Vec<Term> = ALL.iter().filter_map(|name| lead_at(&lab, name).leader?.term).collect();
    assert!(terms.iter().all(|term| *term <= Term(2)), "nobody rises for ever: {terms:?}");
    lab.heal();
    lab.run_seconds(CHOSEN_S);
    let after = leaders(&lab, &ALL);
    assert!(after.len() == 1 && !after.contains(&None), "{after:?}");
}

#[test]
fn whoever_stands_down_takes_back_that_it_leads_so_that_nobody_who_comes_later_follows_it() {
    let mut lab = mesh();
    lab.run_seconds(13);
    lab.partition(&[BARN, GATE], &[HOUSE, PUMP]);
    lab.run_seconds(CHOSEN_S);
    lab.crash(PUMP);
    lab.heal();
    lab.run_seconds(CHOSEN_S);
    let led = leaders(&lab, &[BARN, HOUSE, GATE]);
    assert_eq!(led.len(), 1, "{led:?}");
    // It hears whoever led before, and not who leads now.
    lab.partition(&[BARN], &[PUMP]);
    lab.start(PUMP);
    // Frames of before are brought one by one; a claim alone would count for 10 s from then on.
    lab.run_seconds(6);
    for _ in 0..20 {
        assert_eq!(leaders(&lab, &[PUMP]), BTreeSet::from([None]), "led by {led:?}");
        lab.run_seconds(1);
    }
    lab.heal();
    lab.run_seconds(15);
    assert_eq!(leaders(&lab, &ALL), led);
}
