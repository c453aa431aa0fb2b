//! Whatever comes in: nothing but a proposal that people have approved leads to a command.

use std::collections::BTreeSet;

use clawmesh_authority::envelope::{self, Body, Statement};
use clawmesh_authority::transition::{Round, State};
use clawmesh_authority::{
    AskKind, Code, Decision, Frame, Hlc, Lane, LaneMark, MeshId, Observation, Proposal, ProposalReport,
    Refusal, Roster, Setpoint, StoryEntry, Tier, Unit, Value, canonical,
};
use clawmesh_core::guests::GuestEnd;
use clawmesh_core::intake::{
    ActuatorReport, AlarmAct, DriverReport, InputBody, LinkState, SafeBecause, Sample, SourceId, Thought,
};
use clawmesh_core::replay::{KeptRecord, Record};
use clawmesh_lab::{Lab, START_MS, replay};
use minicbor::Encode;

use crate::guests;

use super::rig::{CENTER, FIELD, Farm, ann, bo, code, pump, valve};
use crate::site;

/// A proposal as it is kept, in any state somebody likes.
#[derive(Encode)]
struct Kept {
    #[n(0)]
    proposal: Proposal,
    #[n(1)]
    state: State,
    #[n(2)]
    story: Vec<StoryEntry>,
}

fn recalled(slot: &str, proposal: &Proposal, state: State) -> InputBody {
    let kept = Kept { proposal: proposal.clone(), state, story: Vec::new() };
    InputBody::Recalled { subject: format!("proposal/{slot}"), bytes: canonical::encode(&kept) }
}

/// The place of a kind in the list of kinds. A new kind is asked for here.
fn kind(body: &InputBody) -> usize {
    match body {
        InputBody::ClockSampled { .. } => 0,
        InputBody::Envelope { .. } => 1,
        InputBody::Recovered { .. } => 2,
        InputBody::MarkRestored { .. } => 3,
        InputBody::SensorsDeclared(_) => 4,
        InputBody::Sampled(_) => 5,
        InputBody::PeerAppeared(_) => 6,
        InputBody::PeerVanished(_) => 7,
        InputBody::Recorded { .. } => 8,
        InputBody::Refused { .. } => 9,
        InputBody::LinkChanged(_) => 10,
        InputBody::StopLatched { .. } => 11,
        InputBody::Driver(_) => 12,
        InputBody::Asked { .. } => 13,
        InputBody::Simulated { .. } => 14,
        InputBody::Recalled { .. } => 15,
        InputBody::Rearmed => 16,
        InputBody::AlarmHandled { .. } => 17,
        InputBody::Thoughts(_) => 18,
        InputBody::TrustChanged(_) => 19,
        InputBody::Restored { .. } => 20,
        InputBody::GuestJoined { .. } => 21,
        InputBody::GuestLeft { .. } => 22,
        InputBody::GuestFrame { .. } => 23,
        InputBody::GuestCommand { .. } => 24,
        InputBody::GuestsHeard(_) => 25,
        InputBody::NodeEnds => 26,
        InputBody::PeopleChanged(_) => 27,
        InputBody::PolicyChanged(_) => 28,
    }
}

const KINDS: usize = 29;

/// What the command center says of the field node's proposal: that it is carried out, and later that it is done.
fn claim(farm: &Farm, proposal: &Proposal, (sequence, state): (u64, State)) -> Vec<u8> {
    let Proposal { maker, steps, reason, made, .. } = proposal.clone();
    let report = ProposalReport {
        slot: 0,
        id: proposal.id(),
        maker,
        steps,
        reason,
        made,
        state,
        story: Vec::new(),
        card: None,
        offer: None,
        approved_by: vec![ann().id()],
        blocked: None,
    };
    let now_ms = farm.lab.now_ms();
    let statement = Statement {
        mesh: MeshId::of_name("lab"),
        epoch: 99,
        sequence,
        hlc: Hlc { wall_ms: now_ms, logical: 0 },
        body: Body::Frame(Frame::Proposal(Box::new(report))),
    };
    envelope::seal(&Lab::key_of(1), &statement)
}

/// Somebody has looked at an alarm about the proposal.
fn acknowledged(id: clawmesh_authority::ProposalId) -> InputBody {
    let (key, by) = (format!("failed/{id}"), "nobody".to_owned());
    InputBody::AlarmHandled { key, act: AlarmAct::Acknowledge, by }
}

/// The planner thinks that the food forest wants water.
fn thirst() -> Thought {
    let zone = "z-food-forest-core".to_owned();
    Thought { zone, irrigate: true, urgency_permille: 900, moisture_permille: Some(120) }
}

/// How a run ends and stops.
fn orders_of_the_runner() -> [(SourceId, InputBody); 4] {
    let stop = InputBody::StopLatched { reason: "smoke".to_owned(), stops: 0 };
    [
        (SourceId::Bridge, InputBody::NodeEnds),
        (SourceId::Runner, InputBody::NodeEnds),
        (SourceId::Runner, stop),
        (SourceId::Runner, InputBody::Rearmed),
    ]
}

/// What only the runner may say.
fn files(farm: &Farm) -> [(SourceId, InputBody); 2] {
    let lax = farm.policy_with(|policy| policy.actuators.clear());
    [
        (SourceId::Gateway, InputBody::PeopleChanged(Roster::default())),
        (SourceId::Bridge, InputBody::PolicyChanged(lax)),
    ]
}

/// Something of every kind, all of it made up, about a proposal that nobody has approved.
fn forged(farm: &Farm, proposal: &Proposal, sequence: u64) -> Vec<(SourceId, InputBody)> {
    let (id, center) = (proposal.id(), farm.lab.id(CENTER));
    let on = ActuatorReport { answers: true, position: Some(Setpoint::On), local_control: false };
    let driver = |report| (SourceId::Drivers, InputBody::Driver(report));
    let asked = |kind, bytes: &[u8]| (SourceId::Gateway, InputBody::Asked { kind, bytes: bytes.to_vec() });
    let snapshot = farm.lab.snapshot(FIELD);
    let mut cards = snapshot.proposals.iter().filter_map(|row| row.report.card.clone());
    let outcome = Ok(cards.next_back().unwrap_or_default());
    let note =
        |key: String, value| Observation { key, value, unit: None, origin_ms: START_MS, tier: Tier::T3 };
    let observation = note(format!("proposal/{id}"), Value::Text("approved".to_owned()));
    let sample = Sample {
        sensor: valve(),
        value: 1.0,
        unit: Unit::LitrePerMinute,
        origin_ms: START_MS,
        tier: Tier::T3,
    };
    let mark = LaneMark { epoch: 1, next: 1, skipped: 0 };
    let now_ms = farm.lab.now_ms();
    let moist = guests::observation("f-1", 4.0, now_ms).to_string();
    let plain = guests::opening(valve().as_str(), "c-1", now_ms).to_string();
    let carried_out = claim(farm, proposal, (sequence, State::Executing { step: 0 }));
    let running = [State::Approved { round: Round::FIRST }, State::Dispatched, State::Executing { step: 0 }];
    let mut all = vec![
        (SourceId::Bridge, InputBody::Envelope { lane: Lane::State, bytes: carried_out.clone() }),
        (SourceId::Journal, InputBody::Recovered { bytes: carried_out, newest: None }),
        (SourceId::Journal, InputBody::MarkRestored { node: center, state: mark, stream: mark }),
        (SourceId::HostSensors, site::specs()),
        (SourceId::HostSensors, InputBody::Sampled(vec![sample])),
        (SourceId::Bridge, InputBody::PeerVanished(center)),
        (SourceId::Bridge, InputBody::PeerAppeared(center)),
        (SourceId::Gateway, InputBody::Recorded { observation, hlc: None }),
        (SourceId::Bridge, InputBody::Refused { refusal: Refusal::new(Code::Busy, "x", "y"), count: 1 }),
        (SourceId::Bridge, InputBody::LinkChanged(LinkState::Open { listen: Vec::new() })),
        driver(DriverReport::Seen { actuator: valve(), seen: on }),
        driver(DriverReport::Carried { proposal: id, step: 0 }),
        driver(DriverReport::Carried { proposal: id, step: 1 }),
        driver(DriverReport::NotCarried { proposal: id, step: 0, why: "so".to_owned(), in_doubt: None }),
        asked(AskKind::Approval, b"yes"),
        asked(AskKind::Request, b"please"),
        (SourceId::Simulator, InputBody::Simulated { proposal: id, round: Round::FIRST, outcome }),
        (
            SourceId::Simulator,
            InputBody::Simulated { proposal: id, round: Round(2), outcome: Ok(Vec::new()) },
        ),
        (
            SourceId::Clock,
            InputBody::ClockSampled { unix_ms: farm.lab.now_ms() + 400, up_ms: farm.lab.now_ms() },
        ),
        (SourceId::Gateway, acknowledged(id)),
        (SourceId::Planner, InputBody::Thoughts(vec![thirst()])),
        (SourceId::Runner, InputBody::TrustChanged(BTreeSet::from([center, Lab::id_of(9)]))),
        (SourceId::Bridge, InputBody::TrustChanged(BTreeSet::from([Lab::id_of(9)]))),
        (SourceId::Guests, InputBody::GuestJoined { guest: center, profile: guests::profile() }),
        (SourceId::Guests, InputBody::GuestFrame { from: center, json: moist }),
        (SourceId::Guests, InputBody::GuestCommand { from: center, json: plain }),
        (SourceId::Guests, InputBody::GuestsHeard(vec![center])),
        (SourceId::Guests, guests::left(center, GuestEnd::Ended)),
        (SourceId::Gateway, InputBody::Restored { at_unix_ms: u64::MAX }),
    ];
    all.extend([SafeBecause::Started, SafeBecause::TimeIsOver].map(|because| {
        driver(DriverReport::MadeSafe { actuator: valve(), because, proposal: Some(id), fault: None })
    }));
    for (slot, state) in (7..).zip(running) {
        let body = recalled(&slot.to_string(), proposal, state);
        all.extend([SourceId::Gateway, SourceId::Journal].map(|source| (source, body.clone())));
    }
    all.extend(files(farm));
    all.extend(orders_of_the_runner());
    all
}

#[test]
fn s1_no_input_but_a_yes_of_a_person_leads_to_a_command() {
    let mut farm = Farm::brief();
    let mut kinds = BTreeSet::new();
    for (sequence, ticks) in [(1, 0), (3, 1), (5, 25)] {
        let proposal = farm.proposal();
        assert_eq!(code(&farm.propose(&proposal)), None);
        farm.lab.run_ticks(ticks);
        // One by one, so that none of them hides what the next one would do.
        for (source, body) in forged(&farm, &proposal, sequence) {
            kinds.insert(kind(&body));
            farm.lab.offer(FIELD, source, body);
            farm.lab.run_ticks(2);
            assert_eq!(farm.switched_on(), []);
        }
        // Who claims what is ours keeps it from moving until they say that they are done.
        let bytes = claim(&farm, &proposal, (sequence + 1, State::Completed));
        let center = SourceId::Node(farm.lab.id(CENTER));
        farm.lab.offer(FIELD, center, InputBody::Envelope { lane: Lane::State, bytes });
        farm.run_seconds(2);
        assert_eq!(farm.switched_on(), []);
    }
    assert_eq!(kinds, (0..KINDS).collect(), "every kind was forged");
    assert_eq!(farm.lab.replay(FIELD).difference, None);
    // What was made up about the valve is put right, and the one thing that is missing is given.
    farm.hardware.hold(&valve(), true);
    farm.run_seconds(1);
    farm.hardware.hold(&valve(), false);
    farm.run_seconds(1);
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}

#[test]
fn s1_what_a_journal_claims_was_approved_or_ran_is_not_carried_out() {
    for state in [
        State::Simulating { round: Round::FIRST },
        State::AwaitingApproval { round: Round::FIRST },
        State::Approved { round: Round::FIRST },
        State::Stale { round: Round(64) },
        State::Dispatched,
        State::Executing { step: 1 },
        State::Executing { step: 200 },
        State::Verifying,
    ] {
        let mut farm = Farm::brief();
        let proposal = farm.proposal();
        farm.lab.offer(FIELD, SourceId::Journal, recalled("7", &proposal, state.clone()));
        farm.run_seconds(2);
        assert_eq!(farm.switched_on(), [], "{state:?}");
        let became = farm.state(proposal.id());
        let expected = match state {
            State::Stale { .. } => "expired",
            State::Dispatched | State::Executing { .. } | State::Verifying => "failed",
            _ => "awaiting_approval",
        };
        assert_eq!(became, expected, "{state:?}");
        if became == "awaiting_approval" {
            let offer = farm.offer(proposal.id());
            farm.assert_carried_out(&offer);
        }
    }
}

#[test]
fn s12_what_is_here_already_is_not_recalled_a_second_time() {
    let mut farm = Farm::brief();
    let id = farm.approved();
    farm.run_seconds(1);
    let (report, other) = (farm.report(id), farm.proposal());
    let kept: Vec<InputBody> = farm
        .lab
        .records(FIELD)
        .into_iter()
        .filter_map(|record| match record {
            Record::Kept(KeptRecord { subject, bytes, .. }) => Some(InputBody::Recalled { subject, bytes }),
            _ => None,
        })
        .collect();
    let in_its_place = recalled("0", &other, State::Dispatched);
    for body in kept.iter().cloned().chain([in_its_place]) {
        farm.lab.offer(FIELD, SourceId::Journal, body);
    }
    // What the gateway brings is no memory of ours, wherever it came from.
    farm.lab.offer(FIELD, SourceId::Gateway, recalled("9", &other, State::Dispatched));
    farm.run_seconds(1);
    assert_eq!(farm.report(id).story, report.story, "what runs is left alone");
    assert_eq!(farm.lab.snapshot(FIELD).proposals.len(), 1);
    farm.run_seconds(10);
    assert_eq!(farm.state(id), "completed");
    assert_eq!(farm.lab.replay(FIELD).difference, None);
    let journal = |row: &&clawmesh_core::publish::RefusalView| row.from == "journal" || row.from == "gateway";
    let snapshot = farm.lab.snapshot(FIELD);
    assert!(snapshot.refusals.iter().filter(journal).count() >= 2, "{:#?}", snapshot.refusals);
}

#[test]
fn s12_what_was_kept_is_part_of_the_proof_of_a_recording() {
    let mut farm = Farm::brief();
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(1);
    let offer = farm.offer(proposal.id());
    assert_eq!(code(&farm.answer(&bo(), &offer, Decision::Reject)), None);
    farm.lab.run_ticks(5);
    let records = farm.lab.records(FIELD);
    assert_eq!(replay(records.clone()).difference, None);
    let kept: Vec<usize> = (0..records.len()).filter(|at| matches!(records[*at], Record::Kept(_))).collect();
    assert!(kept.len() >= 4, "each change of the proposal, and how far its maker was heard");
    for at in kept {
        let mut altered = records.clone();
        let Record::Kept(record) = &mut altered[at] else { continue };
        let subject = record.subject.clone();
        if let Some(byte) = record.bytes.last_mut() {
            *byte ^= 1;
        }
        let difference = replay(altered).difference.expect("it must differ");
        assert_eq!(difference.types, [format!("kept {subject}")]);
        let mut short = records.clone();
        short.remove(at);
        let said = std::panic::catch_unwind(|| replay(short)).map(|report| report.difference.is_some());
        assert!(said.is_err() || said.is_ok_and(|differs| differs), "nobody missed {subject}");
    }
}

#[test]
fn s1_a_yes_is_all_that_is_missing() {
    let mut farm = Farm::brief();
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(2);
    assert_eq!(farm.switched_on(), [], "without a yes nothing moves, however long it waits");
    let offer = farm.offer(proposal.id());
    assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None);
    farm.run_seconds(1);
    assert_eq!(farm.switched_on(), [valve(), pump()]);
}
