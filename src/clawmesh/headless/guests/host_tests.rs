//! The host by itself: over an inbox that nobody empties, and pictures that nobody draws.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clawmesh_authority::transition::State;
use clawmesh_authority::{
    Code as TickCode, Hlc, Maker, MeshId, Mind, NodeId, NodeKey, NodeRole, ProposalId, ProposalReport,
};
use clawmesh_bridge::Trust;
use clawmesh_core::guests::GuestProfile;
use clawmesh_core::intake::{InboxLimits, Inboxes, Input, InputBody, SourceId, doors};
use clawmesh_core::proposals::AnswerDesk;
use clawmesh_core::publish::{ProposalView, Snapshot, SnapshotSink as _};
use clawmesh_gateway::{History, NoHistory, SnapshotFeeder, WantedChains, WantedEvents, snapshot_feed};
use clawmesh_lab::Lab;
use clawmesh_wire::access::{Caller, Method};
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::handshake::PeerTrust;
use clawmesh_wire::{Code, Refusal};
use clawmesh_wire_link::{Host as _, LinkQuality, Peer, Why};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::answers;
use super::budget::EACH;
use super::directory::{Directory, Qualities};
use super::host::{GuestFacts, GuestHost};
use crate::moments::unix_ms;

fn key(n: u8) -> NodeKey {
    NodeKey::from_secret(&[n; 32])
}

/// A host that trusts node 2, with nothing around it.
fn host(has_mock: bool) -> (GuestHost, Inboxes, SnapshotFeeder) {
    host_with(has_mock, &[], BTreeMap::new())
}

/// The same, which passes on what is for these channels, at a site with these owners.
fn host_with(
    has_mock: bool,
    relay: &[&str],
    owners: BTreeMap<String, Option<NodeId>>,
) -> (GuestHost, Inboxes, SnapshotFeeder) {
    let (inbox, inboxes) = doors(InboxLimits::default());
    let (feeder, snapshots) = snapshot_feed();
    let facts = GuestFacts {
        key: key(1),
        name: "barn".to_owned(),
        role: "field".to_owned(),
        mesh: MeshId::of_name("m"),
        has_mock,
        is_discovering: false,
        peers: Vec::new(),
        owners,
        relay: relay.iter().map(|channel| (*channel).to_owned()).collect(),
        token: "a token that is long enough".to_owned(),
    };
    let trust = Arc::new(Trust::of(key(1).id(), &[key(2).id()].into()));
    let desk = AnswerDesk::default();
    (GuestHost::new(facts, trust, snapshots, inbox, desk, &Handle::current()), inboxes, feeder)
}

fn peer(caller: Caller) -> Peer {
    Peer { connection: 1, caller, node: Some(key(2).id()), address: ([127, 0, 0, 1], 9).into() }
}

fn node() -> Peer {
    peer(Caller::Peer(NodeRole::of_name("field")))
}

fn boxed(value: &Value) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(value).ok()
}

fn frame(id: &str) -> ContextFrame {
    let json = json!({
        "gen": 1, "kind": "observation", "frameId": id, "sourceDeviceId": key(2).id(), "timestamp": unix_ms(),
        "data": {"zone": "z", "metric": "m", "value": 1},
        "trust": {"evidence_sources": ["sensor"], "evidence_trust_tier": "T2_operational_observation"},
    });
    ContextFrame::read(boxed(&json).as_deref(), unix_ms()).unwrap()
}

fn opening(id: &str, note: &str) -> Value {
    json!({
        "channel": "clawmesh", "to": "actuator:mock:valve-1", "originGatewayId": key(2).id(),
        "command": {
            "version": 1, "kind": "clawmesh.command", "commandId": id, "createdAtMs": unix_ms(), "note": note,
            "target": {"kind": "capability", "ref": "actuator:mock:valve-1"}, "operation": {"name": "open"},
            "trust": {
                "action_type": "actuation", "evidence_trust_tier": "T3_verified_action_evidence",
                "minimum_trust_tier": "T2_operational_observation", "verification_required": "human",
                "verification_satisfied": true, "evidence_sources": ["sensor", "human"],
                "approved_by": ["operator:local-cli"],
            },
        },
    })
}

/// What the tick is told, once the teller has brought it.
async fn told(inboxes: &Inboxes) -> Vec<InputBody> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    inboxes.take_state(99).into_iter().map(|(input, _)| input.body).collect()
}

async fn code_of(host: &GuestHost, from: Peer, method: Method, params: &Value) -> Code {
    host.call(&from, method, boxed(params)).await.expect_err("it is refused").code
}

#[tokio::test]
async fn before_the_first_picture_everything_that_reads_is_busy() {
    let (host, ..) = host(true);
    for method in [Method::Health, Method::Peers, Method::Status, Method::MockState] {
        let answer = host.read(&node(), method, None).expect("it is answered at once");
        assert_eq!(answer.unwrap_err().code, Code::Busy, "{method:?}");
    }
    for method in [Method::WorldQuery, Method::ContextSync, Method::Trace] {
        assert!(host.read(&node(), method, None).is_none(), "{method:?} is made elsewhere");
        assert_eq!(code_of(&host, node(), method, &json!({})).await, Code::Busy, "{method:?}");
    }
    assert!(host.newest_frame_ms(key(2).id()).is_none());
}

#[tokio::test]
async fn events_are_remembered_from_the_start() {
    let (host, ..) = host(false);
    host.left(key(2).id(), &Why::Silent);
    let answer = host.read(&node(), Method::Events, None).expect("it is answered at once").unwrap();
    let answer: Value = serde_json::from_str(answer.get()).unwrap();
    let kinds: Vec<&str> =
        answer["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["startup", "peer.disconnect"]);
    host.tell_end("asked to terminate");
    let kind = |kind: Option<&str>| {
        let wanted = WantedEvents { limit: 9, kind: kind.map(str::to_owned), within_ms: Some(60_000) };
        History::events(&host, &wanted).map(|found| (found.events.len(), found.total))
    };
    assert_eq!(
        (kind(None), kind(Some("shutdown"))),
        (Ok((3, 3)), Ok((1, 3))),
        "also that it is about to end"
    );
    assert!(matches!(kind(Some("hello")), Err(NoHistory::Unclear(_))));
    let wanted = WantedChains { limit: 9, id: None, stage: None, is_proposal: false };
    assert_eq!(host.chains(wanted).await, Err(NoHistory::Starting), "without a picture");
    let wrong = boxed(&json!({"type": "peer.hello"}));
    let refused = host.read(&node(), Method::Events, wrong.as_deref()).expect("it is answered at once");
    assert_eq!(refused.unwrap_err().code, Code::InvalidParams);
}

#[tokio::test(start_paused = true)]
async fn a_command_without_mock_without_name_too_large_or_unanswered_says_so() {
    let (without, ..) = host(false);
    assert_eq!(
        code_of(&without, node(), Method::Forward, &opening("c", "")).await,
        Code::NotFound,
        "there is no mock actuator"
    );
    let (host, inboxes, _feeder) = host(true);
    let stranger = code_of(&host, peer(Caller::Stranger), Method::Forward, &opening("c", "")).await;
    assert_eq!(stranger, Code::NotAuthorized);
    let nameless = Peer { node: None, ..peer(Caller::Operator) };
    assert_eq!(code_of(&host, nameless, Method::Forward, &opening("c", "")).await, Code::NotAuthorized);
    let large = opening("c", &"x".repeat(4_096));
    let mut larger = large.clone();
    larger["message"] = json!("x".repeat(8_192));
    assert_eq!(code_of(&host, node(), Method::Forward, &larger).await, Code::TooLarge);
    assert_eq!(told(&inboxes).await, [], "none of these came to the tick");
    // Nobody ticks here, so nobody answers: that it is unknown is what is said.
    let unanswered = code_of(&host, node(), Method::Forward, &opening("c", "")).await;
    assert_eq!(unanswered, Code::JournalUnavailable);
    assert!(matches!(&told(&inboxes).await[..], [InputBody::GuestCommand { .. }]));
}

#[tokio::test(start_paused = true)]
async fn who_says_too_much_has_no_room_and_the_tick_hears_of_it_by_name() {
    let (host, inboxes, _feeder) = host(true);
    let guest = key(2).id();
    assert!(host.has_room(guest, EACH.bytes_at_once as usize));
    for _ in 0..3 {
        assert!(!host.has_room(guest, EACH.bytes_at_once as usize));
    }
    assert!(host.has_room(key(3).id(), 300), "the others have theirs");
    host.tell_refusals([].into_iter().collect());
    let told_of = told(&inboxes).await;
    let [InputBody::Refused { refusal, count: 3 }] = &told_of[..] else { panic!("{told_of:?}") };
    assert_eq!((refusal.code, refusal.from.clone()), (TickCode::RateLimited, guest.short()));
    // Commands share the purse; more than what half a second gives back is refused.
    let large = opening("c", &"x".repeat(4_000));
    assert_eq!(code_of(&host, node(), Method::Forward, &large).await, Code::RateLimited);
}

#[tokio::test(start_paused = true)]
async fn what_the_gate_refuses_at_the_door_is_told_with_whose_it_was() {
    let (host, inboxes, _feeder) = host(true);
    let mut by_model = opening("c", "");
    by_model["command"]["trust"]["evidence_sources"] = json!(["llm"]);
    for _ in 0..2 {
        assert_eq!(code_of(&host, node(), Method::Forward, &by_model).await, Code::LlmOnlyActuationBlocked);
    }
    let stranger = Peer { node: None, ..peer(Caller::Stranger) };
    assert_eq!(code_of(&host, stranger, Method::Forward, &opening("c", "")).await, Code::NotAuthorized);
    host.tell_refusals([].into_iter().collect());
    let told_of: Vec<(TickCode, String, u64)> = told(&inboxes)
        .await
        .into_iter()
        .filter_map(|body| match body {
            InputBody::Refused { refusal, count } => Some((refusal.code, refusal.from, count)),
            _ => None,
        })
        .collect();
    assert_eq!(told_of.len(), 2, "{told_of:?}");
    assert!(told_of.contains(&(TickCode::LlmOnlyActuationBlocked, key(2).id().short(), 2)));
    assert!(told_of.contains(&(TickCode::NotAuthorized, "127.0.0.1".to_owned(), 1)));
}

#[tokio::test(start_paused = true)]
async fn refused_handshakes_are_counted_with_the_reason_of_the_last() {
    let (host, inboxes, _feeder) = host(true);
    for sentence in ["the first", "the last"] {
        let refusal = Refusal::new(Code::UntrustedPeer, sentence);
        let from = Peer { node: None, address: ([192, 0, 2, 7], 5).into(), ..peer(Caller::Stranger) };
        host.refused_handshake(&from, None, &refusal);
    }
    host.tell_refusals([].into_iter().collect());
    let told_of = told(&inboxes).await;
    let [InputBody::Refused { refusal, count: 2 }] = &told_of[..] else { panic!("{told_of:?}") };
    assert_eq!(refusal.code, TickCode::UntrustedPeer);
    assert!(refusal.sentence.contains("192.0.2.7") && refusal.sentence.contains("the last"), "{refusal}");
    host.tell_refusals([].into_iter().collect());
    assert_eq!(told(&inboxes).await, [], "once");
}

#[tokio::test]
async fn frames_of_one_guest_push_out_its_own_and_nobody_elses() {
    let (host, inboxes, _feeder) = host(true);
    host.frame(key(3).id(), frame("calm"));
    for n in 0..10_000 {
        host.frame(key(2).id(), frame(&n.to_string()));
    }
    let (streams, _dropped) = inboxes.take_stream();
    let of = |node: NodeId| {
        let is_of =
            |input: &&Input| matches!(&input.body, InputBody::GuestFrame { from, .. } if *from == node);
        streams.iter().filter(is_of).count()
    };
    assert_eq!(of(key(3).id()), 1);
    assert!((1..10_000).contains(&of(key(2).id())));
}

#[tokio::test]
async fn proposals_are_answered_by_how_to_sign_and_the_token_is_compared_whole() {
    let (host, ..) = host(true);
    for method in [Method::ProposalApprove, Method::ProposalReject] {
        assert_eq!(code_of(&host, node(), method, &json!({"taskId": "x"})).await, Code::ApprovalRequired);
    }
    assert_eq!(code_of(&host, node(), Method::LlmInfer, &json!({})).await, Code::UnknownMethod);
    assert!(host.is_operator_token("a token that is long enough"));
    assert!(!host.is_operator_token("a token that is long") && !host.is_operator_token(""));
    assert_eq!(host.trust(key(2).id()), PeerTrust::Trusted);
    assert_eq!(host.trust(key(3).id()), PeerTrust::Unknown);
}

#[tokio::test]
async fn words_for_the_planner_are_refused_by_name_while_it_takes_none() {
    let (host, ..) = host(true);
    let intent = json!({
        "channel": "clawmesh", "to": "agent:pi", "conversationId": "c-1",
        "commandDraft": {"operation": {"name": "intent:parse", "params": {"text": "water zone 1"}}},
    });
    assert_eq!(code_of(&host, peer(Caller::Operator), Method::Forward, &intent).await, Code::NoPlanner);
    assert_eq!(
        code_of(&host, node(), Method::Forward, &intent).await,
        Code::NotAuthorized,
        "only of a person"
    );
}

/// A proposal of this node in this state.
fn proposal(home: NodeId, state: State) -> ProposalView {
    let report = ProposalReport {
        slot: 0,
        id: ProposalId([5; 32]),
        maker: Maker { node: home, mind: Mind::Utility { name: "watering".to_owned() }, term: None },
        steps: Vec::new(),
        reason: "zone 1 is dry".to_owned(),
        made: Hlc::default(),
        state,
        story: Vec::new(),
        card: None,
        offer: None,
        approved_by: Vec::new(),
        blocked: None,
    };
    ProposalView { home, home_name: Some("barn".to_owned()), is_own: true, age_ms: 0, waiting: None, report }
}

#[test]
fn a_proposal_is_told_under_its_whole_name_and_as_pending_only_until_it_has_ended() {
    let mut snapshot = (*picture(&[])).clone();
    let (home, id) = (snapshot.node.id, ProposalId([5; 32]).to_string());
    let facts = answers::About {
        capabilities: Vec::new(),
        started_ms: 1,
        is_discovering: false,
        configured: Vec::new(),
        memory_bytes: None,
    };
    for (state, status, is_pending) in [
        (State::Draft, "proposed", true),
        (State::Dispatched, "approved", true),
        (State::Executing { step: 0 }, "executing", true),
        (State::Completed, "completed", false),
    ] {
        snapshot.proposals = vec![proposal(home, state)];
        let event = answers::proposal_event(&snapshot, &id).map(|event| serde_json::to_value(event).unwrap());
        let event = event.expect("it is shown");
        let expected = json!({
            "taskId": id, "summary": "zone 1 is dry", "approvalLevel": null, "status": status,
            "plannerDeviceId": home, "plannerRole": "planner", "plannerOwner": "barn",
        });
        assert_eq!((&event["gen"], &event["proposal"]), (&json!(1), &expected));
        let told = serde_json::to_value(answers::status(&snapshot, &facts)).unwrap();
        assert_eq!(
            told["pendingProposals"],
            if is_pending { json!([expected]) } else { json!([]) },
            "{status}"
        );
        let model = ["plannerMode", "plannerModelSpec", "plannerRuntime"].map(|field| told.get(field));
        assert_eq!(model, [Some(&Value::Null); 3], "existing consoles look for them");
    }
    assert!(answers::proposal_event(&snapshot, "another").is_none());
}

#[test]
fn a_node_is_degraded_that_can_do_nothing_and_has_nobody() {
    let facts = |capabilities: &[&str]| answers::About {
        capabilities: capabilities.iter().map(|text| (*text).to_owned()).collect(),
        started_ms: 1,
        is_discovering: false,
        configured: Vec::new(),
        memory_bytes: None,
    };
    let status = |snapshot: &Snapshot, capabilities: &[&str]| {
        serde_json::to_value(answers::health(snapshot, 0, &facts(capabilities))).unwrap()["status"].clone()
    };
    let mut alone = (*picture_of(&[], &[])).clone();
    assert_eq!(status(&alone, &[]), "degraded");
    assert_eq!(status(&alone, &["actuator:mock"]), "healthy");
    assert_eq!(status(&picture(&[]), &[]), "healthy", "a guest is there");
    let mut lab = Lab::seeded(1).with_nodes(["barn", "pump"]);
    lab.run_seconds(2);
    assert_eq!(status(&lab.snapshot("barn"), &[]), "healthy", "a node of ours is there");
    alone.stop = Some("smoke".to_owned());
    assert_eq!(status(&alone, &["actuator:mock"]), "degraded");
}

/// A picture of the world, from a core of its own.
fn picture(offers: &[&str]) -> Arc<Snapshot> {
    picture_of(&[(3, "node")], offers)
}

/// A picture with these guests, each with its role, who all offer the same.
fn picture_of(guests: &[(u8, &str)], offers: &[&str]) -> Arc<Snapshot> {
    let mut lab = Lab::seeded(1).with_nodes(["barn"]);
    let trusted = guests.iter().map(|(n, _)| key(*n).id()).collect();
    lab.offer("barn", SourceId::Runner, InputBody::TrustChanged(trusted));
    let profile = |role: &str| GuestProfile {
        name: Some("office".to_owned()),
        role: role.to_owned(),
        capabilities: offers.iter().map(|offer| (*offer).to_owned()).collect(),
        is_outbound: true,
        label: None,
        connected_ms: 0,
        signed_ms: None,
    };
    lab.run_ticks(1);
    for (n, role) in guests {
        let (guest, profile) = (key(*n).id(), profile(role));
        lab.offer("barn", SourceId::Guests, InputBody::GuestJoined { guest, profile });
    }
    lab.run_ticks(10);
    lab.snapshot("barn")
}

#[tokio::test]
async fn s2_a_command_for_what_another_node_has_is_refused_with_its_owner_and_goes_nowhere() {
    for has_mock in [true, false] {
        let (host, inboxes, feeder) = host(has_mock);
        feeder.publish(picture(&["actuator:pump", "actuator:mock"]));
        let mut pumping = opening("c-1", "");
        pumping["to"] = json!("actuator:pump:p1");
        pumping["command"]["target"]["ref"] = json!("actuator:pump:p1");
        let refusal = host.call(&node(), Method::Forward, boxed(&pumping)).await.unwrap_err();
        assert_eq!(refusal.code, Code::NotFound);
        let owner = key(3).id().to_string();
        assert!(refusal.message.contains(&owner) && refusal.message.contains("office"), "{refusal}");
        assert!(told(&inboxes).await.is_empty(), "nothing goes to the tick");
    }
    // Our own mock actuator is ours, whatever others say they have.
    let (host, inboxes, feeder) = host(true);
    feeder.publish(picture(&["actuator:mock"]));
    let waiting = host.call(&node(), Method::Forward, boxed(&opening("c-2", "")));
    assert!(matches!(&told(&inboxes).await[..], [InputBody::GuestCommand { .. }]));
    drop(waiting);
}

#[tokio::test]
async fn s2_the_owner_by_the_site_counts_for_its_parts_and_a_claim_is_told_as_a_claim() {
    let site = |owner| BTreeMap::from([("actuator:pump:p1".to_owned(), owner)]);
    let offers = ["actuator:pump", "actuator:valve"];
    let (one, two): (&[_], &[_]) = (&[(3, "node")], &[(3, "node"), (4, "node")]);
    for (owners, guests, target, words) in [
        (site(Some(key(9).id())), one, "actuator:pump:p1", "belongs to node"),
        (site(Some(key(9).id())), one, "actuator:pump:p1:motor", "belongs to node"),
        (site(None), one, "actuator:pump:p1:motor", "whose id site.ron does not say"),
        (site(None), one, "actuator:pump:p11", "says that it has"),
        (site(None), one, "actuator:valve:v1", "says that it has"),
        (site(None), two, "actuator:valve:v1", "several nodes say"),
        (site(None), one, "actuator:fan:f1", "no mock actuator"),
    ] {
        let (host, _inboxes, feeder) = host_with(false, &[], owners);
        feeder.publish(picture_of(guests, &offers));
        let mut moving = opening("c-1", "");
        moving["to"] = json!(target);
        moving["command"]["target"]["ref"] = json!(target);
        let refusal = host.call(&node(), Method::Forward, boxed(&moving)).await.unwrap_err();
        assert_eq!(refusal.code, Code::NotFound);
        assert!(refusal.message.contains(words), "{target}: {refusal}");
        assert_eq!(refusal.message.contains(&key(9).id().to_string()), words == "belongs to node");
    }
}

fn message(channel: &str) -> Value {
    json!({"channel": channel, "to": "chat:7", "originGatewayId": key(2).id(), "message": "the tank is full"})
}

#[tokio::test]
async fn nothing_is_passed_on_but_what_the_file_names_and_nobody_speaks_in_the_name_of_this_node() {
    let viewer = peer(Caller::Peer(NodeRole::Viewer));
    let nameless = Peer { node: None, ..peer(Caller::Operator) };
    for (relay, from, code, words) in [
        (&[][..], node(), Code::DeliveryFailed, "nobody listens"),
        (&["channel:telegra"][..], viewer, Code::DeliveryFailed, "nobody listens"),
        (&["channel:telegram"][..], viewer, Code::NotAuthorized, "a viewer"),
        (&["channel:telegram"][..], nameless, Code::NotAuthorized, "shown who it is"),
        // The office has it, and no connection with it is open here.
        (&["channel:telegram"][..], node(), Code::DeliveryFailed, "nobody listens"),
    ] {
        let (host, inboxes, feeder) = host_with(false, relay, BTreeMap::new());
        feeder.publish(picture(&["channel:telegram"]));
        let refusal = host.call(&from, Method::Forward, boxed(&message("telegram"))).await.unwrap_err();
        assert_eq!(refusal.code, code, "{refusal}");
        assert!(refusal.message.contains(words), "{refusal}");
        assert_eq!(host.routes().counts(), [("messages_passed_on", 0), ("messages_not_passed_on", 1)]);
        host.tell_refusals([].into_iter().collect());
        assert!(matches!(&told(&inboxes).await[..], [InputBody::Refused { .. }]), "it is told");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_too_often_is_refused_before_anybody_is_looked_for() {
    // There is no picture, so whoever was looked for would not be found.
    let (host, ..) = host_with(false, &["channel:telegram"], BTreeMap::new());
    for _ in 0..10 {
        assert_eq!(code_of(&host, node(), Method::Forward, &message("telegram")).await, Code::DeliveryFailed);
    }
    assert_eq!(code_of(&host, node(), Method::Forward, &message("telegram")).await, Code::RateLimited);
}

#[test]
fn a_channel_is_listened_to_by_its_name_and_by_nobody_who_is_far_silent_a_viewer_or_the_sender() {
    let owners = BTreeMap::new();
    let directory = Directory { own: key(1).id(), role: NodeRole::Field, capabilities: Vec::new(), owners };
    let (three, four) = (key(3).id(), key(4).id());
    let way = |takes_calls| LinkQuality { takes_calls, ..LinkQuality::default() };
    let both = |first, second| Qualities::from([(three, way(first)), (four, way(second))]);
    let telegram = "channel:telegram";
    for (offers, roles, qualities, channel, sender, found) in [
        (telegram, ["node"; 2], both(None, Some(true)), telegram, None, Some(four)),
        (telegram, ["node"; 2], both(Some(true), None), telegram, None, Some(three)),
        (telegram, ["node"; 2], both(Some(true), None), telegram, Some(three), Some(four)),
        (telegram, ["node"; 2], both(Some(false), None), telegram, Some(four), None),
        (telegram, ["node"; 2], both(Some(false), Some(false)), telegram, None, None),
        (telegram, ["node"; 2], Qualities::new(), telegram, None, None),
        (telegram, ["viewer", "node"], both(Some(true), None), telegram, None, Some(four)),
        (telegram, ["viewer"; 2], both(Some(true), Some(true)), telegram, None, None),
        // Who asks for a star would get anybody, and who offers one would get everything.
        (telegram, ["node"; 2], both(Some(true), Some(true)), "channel:*", None, None),
        ("channel:*", ["node"; 2], both(Some(true), Some(true)), telegram, None, None),
    ] {
        let snapshot = picture_of(&[(3, roles[0]), (4, roles[1])], &[offers]);
        let listener = directory.listener(&snapshot, &qualities, channel, |node| Some(node) == sender);
        assert_eq!(listener, found, "{offers} {roles:?} {qualities:?} {channel} {sender:?}");
    }
}

#[tokio::test]
async fn who_can_do_what_is_answered_with_points_and_reasons() {
    let (host, _inboxes, feeder) = host(true);
    assert_eq!(host.routes().who_can("*", 9), None, "nothing is known yet");
    feeder.publish(picture(&["channel:telegram", "actuator:mock"]));
    let (found, left_off) = host.routes().who_can("actuator:mock", 9).expect("there is a picture");
    let rows: Vec<_> = found.iter().map(|row| (&*row.reach, &*row.health, row.points)).collect();
    assert_eq!((rows, left_off), (vec![("here", "healthy", 15), ("alive", "unknown", 8)], 0));
    assert_eq!(found[1].name.as_deref(), Some("office"));
    let (best, left_off) = host.routes().who_can("actuator:mock", 1).expect("there is a picture");
    assert_eq!((&*best, left_off), (&found[..1], 1));
    let (found, _) = host.routes().who_can("channel:*", 9).expect("there is a picture");
    let rows: Vec<_> = found.iter().map(|row| (&*row.capability, row.points)).collect();
    assert_eq!(rows, [("channel:clawmesh", 10), ("channel:telegram", 3)]);
}
