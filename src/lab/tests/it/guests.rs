//! Nodes of the wire protocol: what they tell is shown and moves nothing, and their commands reach the mock actuator alone.

use clawmesh_authority::{Answer, Code, NodeId, Tier};
use clawmesh_core::guests::{
    GuestEnd, GuestProfile, GuestState, GuestsPicture, LOST_AFTER_MS, SUSPECT_AFTER_MS,
};
use clawmesh_core::intake::{InputBody, SourceId};
use clawmesh_lab::Lab;
use serde_json::{Value, json};

const NODE: &str = "barn";

/// A node with a mock actuator that trusts guest 7.
fn lab() -> Lab {
    let mut lab = Lab::seeded(3).with_mock_actuator().with_nodes([NODE]);
    lab.offer(NODE, SourceId::Runner, InputBody::TrustChanged([guest()].into()));
    lab.run_ticks(2);
    lab
}

fn guest() -> NodeId {
    Lab::id_of(7)
}

fn picture(lab: &mut Lab) -> GuestsPicture {
    lab.run_ticks(10);
    lab.snapshot(NODE).guests.clone()
}

fn join(lab: &mut Lab, guest: NodeId, source: SourceId) {
    lab.offer(NODE, source, InputBody::GuestJoined { guest, profile: profile() });
}

/// What a guest says of itself.
pub fn profile() -> GuestProfile {
    GuestProfile {
        name: Some("old field node".to_owned()),
        role: "field".to_owned(),
        capabilities: vec!["channel:clawmesh".to_owned()],
        is_outbound: false,
        label: Some("mdns".to_owned()),
        connected_ms: 0,
        signed_ms: None,
    }
}

/// The connection of a guest has ended.
pub fn left(guest: NodeId, end: GuestEnd) -> InputBody {
    InputBody::GuestLeft { guest, why: "it slept".to_owned(), end }
}

fn heard(lab: &mut Lab, source: SourceId) {
    lab.offer(NODE, source, InputBody::GuestsHeard(vec![guest(), Lab::id_of(8)]));
}

/// How the one guest stands after so much time more; nothing when it is not shown.
fn state_after(lab: &mut Lab, ms: u64) -> Option<GuestState> {
    // Ticks take 20 ms; some more for the input and the picture.
    lab.run_ticks(ms / 20);
    picture(lab).guests().first().map(|row| row.state)
}

fn frame(lab: &Lab, id: &str, moisture: f64, age_ms: u64) -> Value {
    observation(id, moisture, lab.now_ms() - age_ms)
}

/// A frame that says how moist zone 1 is, with everything right that a sender can claim.
pub fn observation(id: &str, moisture: f64, timestamp_ms: u64) -> Value {
    json!({
        "gen": 1, "kind": "observation", "frameId": id, "sourceDeviceId": guest().to_string(),
        "timestamp": timestamp_ms, "data": {"zone": "zone-1", "metric": "moisture", "value": moisture},
        "trust": {"evidence_sources": ["sensor", "human"], "evidence_trust_tier": "T3_verified_action_evidence"},
        "hops": 0,
    })
}

fn tell(lab: &mut Lab, from: NodeId, json: &Value) {
    lab.offer(NODE, SourceId::Guests, InputBody::GuestFrame { from, json: json.to_string() });
}

/// What an existing node sends to open the mock valve, on the word of a person.
fn open(lab: &Lab, id: &str) -> Value {
    opening("actuator:mock:valve-1", id, lab.now_ms())
}

/// What an existing node sends to open anything, with everything right that a sender can claim.
pub fn opening(target: &str, id: &str, now_ms: u64) -> Value {
    json!({
        "channel": "clawmesh", "to": target, "originGatewayId": guest().to_string(),
        "command": {
            "version": 1, "kind": "clawmesh.command", "commandId": id, "createdAtMs": now_ms,
            "target": {"kind": "capability", "ref": target}, "operation": {"name": "open"},
            "trust": {
                "action_type": "actuation", "evidence_trust_tier": "T3_verified_action_evidence",
                "minimum_trust_tier": "T2_operational_observation", "verification_required": "human",
                "verification_satisfied": true, "evidence_sources": ["sensor", "human"],
                "approved_by": ["operator:local-cli"],
            },
        },
    })
}

fn command(lab: &mut Lab, from: NodeId, json: &Value) -> Result<String, Code> {
    match lab.command_of_guest(NODE, from, json.to_string()) {
        Answer::Taken { words, .. } => Ok(words),
        Answer::Refused { code, .. } => Err(code),
    }
}

#[test]
fn a_guest_comes_once_and_goes_and_is_known_by_its_key_alone() {
    let mut lab = lab();
    join(&mut lab, guest(), SourceId::Guests);
    join(&mut lab, guest(), SourceId::Guests);
    join(&mut lab, Lab::id_of(8), SourceId::Guests);
    join(&mut lab, Lab::id_of(7), SourceId::Gateway);
    let drawn = picture(&mut lab);
    let ids: Vec<NodeId> = drawn.guests().iter().map(|row| row.id).collect();
    assert_eq!(ids, [guest()], "an untrusted one is not shown, and nobody is shown twice");
    assert!(lab.snapshot(NODE).refusals.iter().any(|row| row.code == Code::UntrustedPeer));
    lab.offer(NODE, SourceId::Guests, left(guest(), GuestEnd::Left));
    let drawn = picture(&mut lab);
    assert_eq!((drawn.connected().count(), drawn.guests()[0].state), (0, GuestState::Left));
    assert_eq!(lab.replay(NODE).difference, None);
}

#[test]
fn a_guest_is_alive_suspect_and_lost_by_its_silence_in_ticks_and_alive_again_when_it_is_heard() {
    let mut lab = lab();
    join(&mut lab, guest(), SourceId::Guests);
    assert_eq!(state_after(&mut lab, SUSPECT_AFTER_MS - 1_000), Some(GuestState::Alive));
    heard(&mut lab, SourceId::Gateway);
    assert_eq!(state_after(&mut lab, 2_000), Some(GuestState::Suspect), "only its own edge hears it");
    heard(&mut lab, SourceId::Guests);
    assert_eq!(state_after(&mut lab, SUSPECT_AFTER_MS - 1_000), Some(GuestState::Alive));
    assert_eq!(state_after(&mut lab, LOST_AFTER_MS - SUSPECT_AFTER_MS), Some(GuestState::Suspect));
    assert_eq!(state_after(&mut lab, 2_000), Some(GuestState::Lost));
    heard(&mut lab, SourceId::Guests);
    assert_eq!(state_after(&mut lab, 0), Some(GuestState::Alive));
    assert_eq!(lab.replay(NODE).difference, None);
}

#[test]
fn a_connection_that_ends_makes_suspect_and_then_lost_and_a_goodbye_neither() {
    let mut lab = lab();
    join(&mut lab, guest(), SourceId::Guests);
    lab.offer(NODE, SourceId::Guests, left(guest(), GuestEnd::Ended));
    heard(&mut lab, SourceId::Guests);
    assert_eq!(state_after(&mut lab, 0), Some(GuestState::Suspect), "what was heard was heard before");
    assert_eq!(state_after(&mut lab, LOST_AFTER_MS), Some(GuestState::Lost));
    join(&mut lab, guest(), SourceId::Guests);
    assert_eq!(state_after(&mut lab, 0), Some(GuestState::Alive), "it has come back");
    lab.offer(NODE, SourceId::Guests, left(guest(), GuestEnd::Down));
    assert_eq!(state_after(&mut lab, 0), Some(GuestState::Lost), "others said so, and it does not answer");
    join(&mut lab, guest(), SourceId::Guests);
    lab.offer(NODE, SourceId::Guests, left(guest(), GuestEnd::Left));
    assert_eq!(state_after(&mut lab, 0), Some(GuestState::Left));
    assert_eq!(lab.replay(NODE).difference, None);
}

#[test]
fn who_is_gone_is_forgotten_with_the_trust_in_it() {
    let mut lab = lab();
    join(&mut lab, guest(), SourceId::Guests);
    lab.offer(NODE, SourceId::Guests, left(guest(), GuestEnd::Down));
    assert_eq!(state_after(&mut lab, 0), Some(GuestState::Lost));
    lab.offer(NODE, SourceId::Runner, InputBody::TrustChanged([Lab::id_of(8)].into()));
    assert_eq!(state_after(&mut lab, 0), None);
    assert_eq!(lab.replay(NODE).difference, None);
}

/// A frame in which `source` says what it can do.
fn update(source: NodeId, id: &str, capabilities: &[&str], timestamp_ms: u64) -> Value {
    let mut json = observation(id, 0.0, timestamp_ms);
    json["kind"] = json!("capability_update");
    json["sourceDeviceId"] = json!(source);
    json["data"] = json!({"capabilities": capabilities});
    json
}

/// The guest connects with a clock that is so many milliseconds ahead of ours.
fn signs_in(lab: &mut Lab, ahead_ms: i64) {
    let signed_ms = Some(lab.now_ms().saturating_add_signed(ahead_ms));
    let profile = GuestProfile { signed_ms, ..profile() };
    lab.offer(NODE, SourceId::Guests, InputBody::GuestJoined { guest: guest(), profile });
}

#[test]
fn what_a_guest_says_of_itself_counts_by_its_own_clock_whether_that_is_slow_or_fast() {
    for ahead_ms in [-600_000, 0, 200_000] {
        let mut lab = lab();
        let can = |lab: &mut Lab| picture(lab).guests()[0].profile.capabilities.clone();
        let old =
            update(guest(), "old", &["skill:old"], lab.now_ms().saturating_add_signed(ahead_ms - 1_000));
        signs_in(&mut lab, ahead_ms);
        lab.run_ticks(5);
        tell(&mut lab, guest(), &old);
        assert_eq!(can(&mut lab), ["channel:clawmesh"], "{ahead_ms}: it was made before the handshake");
        for (id, skill) in [("a", "skill:a"), ("b", "skill:b")] {
            let made_ms = lab.now_ms().saturating_add_signed(ahead_ms);
            tell(&mut lab, guest(), &update(guest(), id, &[skill], made_ms));
            assert_eq!(can(&mut lab), [skill], "{ahead_ms}");
        }
        tell(&mut lab, guest(), &old);
        assert_eq!(can(&mut lab), ["skill:b"], "{ahead_ms}");
        assert_eq!(lab.replay(NODE).difference, None);
    }
}

#[test]
fn a_guest_says_what_it_can_do_and_nobody_else_says_it_and_nothing_older_counts() {
    let mut lab = lab();
    let can = |lab: &mut Lab| picture(lab).guests()[0].profile.capabilities.clone();
    let old = update(guest(), "old", &["skill:old"], lab.now_ms());
    lab.run_ticks(5);
    signs_in(&mut lab, 0);
    tell(&mut lab, guest(), &old);
    assert_eq!(can(&mut lab), ["channel:clawmesh"], "it was made before the handshake");
    let new = update(guest(), "new", &["channel:telegram"], lab.now_ms());
    tell(&mut lab, guest(), &new);
    assert_eq!(can(&mut lab), ["channel:telegram"]);
    lab.offer(NODE, SourceId::Runner, InputBody::TrustChanged([guest(), Lab::id_of(8)].into()));
    let of_another = update(guest(), "forged", &["skill:forged"], lab.now_ms());
    tell(&mut lab, Lab::id_of(8), &of_another);
    tell(&mut lab, guest(), &old);
    assert_eq!(can(&mut lab), ["channel:telegram"]);
    let viewer = GuestProfile { role: "viewer".to_owned(), capabilities: Vec::new(), ..profile() };
    lab.offer(NODE, SourceId::Guests, InputBody::GuestJoined { guest: guest(), profile: viewer });
    lab.run_ticks(2);
    let offers = update(guest(), "viewer", &["skill:look"], lab.now_ms());
    tell(&mut lab, guest(), &offers);
    assert_eq!(can(&mut lab), [""; 0], "a viewer offers nothing");
    assert_eq!(lab.replay(NODE).difference, None);
}

#[test]
fn what_guests_tell_is_shown_for_t2_at_most_by_when_it_was_made_and_supports_nothing() {
    let mut lab = lab();
    let (new, old) = (frame(&lab, "new", 31.0, 1_000), frame(&lab, "old", 12.0, 60_000));
    // The older one arrives later, as after a sync.
    for json in [&new, &old, &new] {
        tell(&mut lab, guest(), json);
        lab.run_ticks(2);
    }
    let drawn = picture(&mut lab);
    assert_eq!(drawn.frames().len(), 2, "what comes again is the same");
    let [(key, entry)] = drawn.entries() else { panic!("one thing is told of: {:?}", drawn.entries()) };
    assert!(key.ends_with(":observation:zone-1:moisture") && entry.told.frame.frame_id == "new", "{key}");
    assert_eq!(entry.told.frame.shown_tier(), Tier::T2);
    let snapshot = lab.snapshot(NODE);
    assert!(snapshot.sensors.is_empty() && snapshot.beliefs.is_empty(), "it is no reading and no belief");
    for wrong in [json!({"gen": 1}), json!(null), frame(&lab, &"x".repeat(200), 1.0, 0)] {
        tell(&mut lab, guest(), &wrong);
    }
    let stranger = frame(&lab, "stranger", 99.0, 0);
    tell(&mut lab, Lab::id_of(8), &stranger);
    assert_eq!(picture(&mut lab).frames().len(), 2);
    assert_eq!(lab.replay(NODE).difference, None);
}

#[test]
fn s1_a_plain_command_of_a_trusted_guest_moves_the_mock_actuator_once_and_nobody_elses_does() {
    let mut lab = lab();
    let good = open(&lab, "c-1");
    assert_eq!(command(&mut lab, Lab::id_of(8), &good), Err(Code::UntrustedPeer));
    let done = command(&mut lab, guest(), &good).expect("it is carried out");
    assert!(done.contains("actuator:mock:valve-1") && done.contains("active"), "{done}");
    assert_eq!(command(&mut lab, guest(), &good), Err(Code::Duplicate));
    let real = opening("actuator:pump:pump-main-01", "c-3", lab.now_ms());
    assert!(command(&mut lab, guest(), &real).is_err(), "a real one was not moved, and nobody says so");
    let mut by_model = open(&lab, "c-2");
    by_model["command"]["trust"]["evidence_sources"] = json!(["llm"]);
    assert_eq!(command(&mut lab, guest(), &by_model), Err(Code::LlmOnlyActuationBlocked));
    let drawn = picture(&mut lab);
    let mock = drawn.mock().expect("it was drawn");
    assert_eq!((mock.records.len(), mock.history.len(), mock.refused_count), (1, 1, 2));
    assert_eq!(lab.replay(NODE).difference, None);
}

#[test]
fn s12_a_command_is_not_carried_out_again_after_a_restart_whatever_the_clock_of_its_sender() {
    let mut lab = lab();
    // One whose sender is right, one whose sender is ahead, and one that does not come before the restart.
    let ahead = opening("actuator:mock:valve-1", "c-2", lab.now_ms() + 60_000);
    let late = opening("actuator:mock:valve-1", "c-3", lab.now_ms() - 60_000);
    let good = open(&lab, "c-1");
    for carried_out in [&good, &ahead] {
        assert!(command(&mut lab, guest(), carried_out).is_ok());
    }
    for _ in 0..2 {
        lab.crash(NODE);
        lab.run_ticks(2);
        lab.start(NODE);
        lab.offer(NODE, SourceId::Runner, InputBody::TrustChanged([guest()].into()));
        lab.run_ticks(2);
        for known in [&good, &ahead] {
            assert_eq!(command(&mut lab, guest(), known), Err(Code::Duplicate));
        }
    }
    assert!(command(&mut lab, guest(), &late).is_ok(), "nobody has carried it out, whenever it was made");
    let recalled = InputBody::Recalled { subject: "guest-command/7".to_owned(), bytes: Vec::new() };
    lab.offer(NODE, SourceId::Gateway, recalled);
    lab.run_ticks(10);
    assert!(lab.snapshot(NODE).refusals.iter().any(|row| row.sentence.contains("guest-command/7")));
    assert_eq!(lab.replay(NODE).difference, None);
}

#[test]
fn s12_after_a_restore_no_command_is_taken_that_may_have_been_carried_out_since_the_backup() {
    let mut lab = lab();
    let restored = InputBody::Restored { at_unix_ms: lab.now_ms() };
    lab.offer(NODE, SourceId::Journal, restored);
    lab.run_ticks(2);
    let ahead = opening("actuator:mock:valve-1", "c-1", lab.now_ms() + 290_000);
    for made in [&open(&lab, "c-2"), &ahead] {
        assert_eq!(command(&mut lab, guest(), made), Err(Code::Replayed));
    }
    assert!(picture(&mut lab).mock().is_none_or(|mock| mock.records.is_empty()));
    assert_eq!(lab.replay(NODE).difference, None);
}

#[test]
fn s6_nothing_moves_while_the_stop_is_latched_not_even_the_mock_actuator() {
    let mut lab = lab();
    let stop = InputBody::StopLatched { reason: "smoke".to_owned(), stops: 1 };
    lab.offer(NODE, SourceId::Runner, stop);
    lab.run_ticks(2);
    let good = open(&lab, "c-1");
    assert_eq!(command(&mut lab, guest(), &good), Err(Code::StopLatched));
    assert!(picture(&mut lab).mock().is_none_or(|mock| mock.records.is_empty()));
}

#[test]
fn a_machine_that_stands_in_1970_moves_nothing_of_a_node_that_does_not_know_the_time() {
    let mut lab = lab();
    lab.lose_the_time(NODE);
    lab.offer(NODE, SourceId::Runner, InputBody::TrustChanged([guest()].into()));
    lab.run_ticks(2);
    let early = opening("actuator:mock:valve-1", "c-1", 1_000);
    assert_eq!(command(&mut lab, guest(), &early), Err(Code::ClockUntrusted));
    assert!(picture(&mut lab).mock().is_none_or(|mock| mock.records.is_empty()));
    lab.tell_the_time(NODE);
    lab.run_ticks(2);
    let good = open(&lab, "c-1");
    assert!(command(&mut lab, guest(), &good).is_ok(), "it is no reason to stay silent for ever");
}

#[test]
fn a_node_without_a_mock_actuator_carries_no_plain_command_out() {
    let mut lab = Lab::seeded(3).with_nodes([NODE]);
    lab.offer(NODE, SourceId::Runner, InputBody::TrustChanged([guest()].into()));
    lab.run_ticks(2);
    let good = open(&lab, "c-1");
    assert_eq!(command(&mut lab, guest(), &good), Err(Code::UnknownOperation));
}
