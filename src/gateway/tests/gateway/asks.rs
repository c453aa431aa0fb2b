//! Signed requests and approvals at the door.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use clawmesh_authority::answer::name_of_asked;
use clawmesh_authority::approval::{self, APPROVAL_BYTES_MAX};
use clawmesh_authority::request::{self, REQUEST_BYTES_MAX};
use clawmesh_authority::signed::{self, Purpose};
use clawmesh_authority::{
    Answer, Approval, AskKind, Code, ContentHash, Decision, Hlc, Level, MeshId, NodeId, OperatorKey,
    ProposalId, Refusal, Refused as RuleRefused, RequestBody, canonical,
};
use clawmesh_core::intake::{InboxLimits, InputBody, SourceId};
use clawmesh_core::proposals::{Place, WAITING_MAX};
use clawmesh_gateway::Refused;

use crate::rig::{NOW_MS, Rig, config, post, read, rig, rig_with};

const REQUESTS: &str = "/api/requests";
const APPROVALS: &str = "/api/approvals";

fn ann() -> OperatorKey {
    OperatorKey::from_secret(&[7; 32])
}

fn here() -> NodeId {
    config().node.id
}

fn asking(owner: NodeId, body: RequestBody) -> Vec<u8> {
    let made = Hlc { wall_ms: NOW_MS, logical: 0 };
    request::seal(&ann(), &request::Request { mesh: MeshId::of_name("farm"), owner, body, made })
}

fn withdrawal(owner: NodeId) -> Vec<u8> {
    let why = "it rains".to_owned();
    asking(owner, RequestBody::Withdraw { proposal: ProposalId([3; 32]), why })
}

fn answering(owner: NodeId) -> Approval {
    Approval {
        mesh: MeshId::of_name("farm"),
        owner,
        site: ContentHash([1; 32]),
        policy: ContentHash([2; 32]),
        proposal: ProposalId([3; 32]),
        card: ContentHash([4; 32]),
        decision: Decision::Approve,
        level: Level::L2,
        steps: Vec::new(),
        nonce: [5; 32],
        reason: None,
        signed_ms: NOW_MS,
    }
}

fn approval(owner: NodeId) -> Vec<u8> {
    approval::seal(&ann(), &answering(owner))
}

fn taken() -> Answer {
    Answer::Taken { proposal: Some(ProposalId([3; 32])), words: "it is withdrawn".to_owned() }
}

fn veto() -> Answer {
    Answer::Refused {
        code: Code::CardVeto,
        rule: "card.veto".to_owned(),
        sentence: "the tank would run dry; ask for less".to_owned(),
    }
}

/// What was asked of the tick, once it has come.
async fn asked_of(rig: &Rig) -> (AskKind, Vec<u8>) {
    loop {
        if let Some((input, ticket)) = rig.inboxes.take_state(1).pop() {
            assert!(input.source == SourceId::Gateway && ticket.is_none(), "{input:?}");
            let InputBody::Asked { kind, bytes } = input.body else { panic!("{input:?}") };
            return (kind, bytes);
        }
        tokio::task::yield_now().await;
    }
}

/// Posts, and plays the tick and the journal.
async fn post_and_answer(
    rig: &Rig,
    path: &str,
    bytes: &[u8],
    answer: &Answer,
    outcome: Result<(), Refusal>,
) -> (StatusCode, serde_json::Value) {
    let played = async {
        let (_, bytes) = asked_of(rig).await;
        for ticket in rig.desk.tickets(name_of_asked(&bytes), answer) {
            ticket.answer(outcome.clone());
        }
    };
    let (response, ()) = tokio::join!(rig.send(post(path, bytes.to_vec())), played);
    read(response).await
}

async fn refused_at_the_door(rig: &Rig, request: Request<Body>) -> (StatusCode, Refused) {
    let refused = read(rig.send(request).await).await;
    assert!(rig.inboxes.take_state(9).is_empty(), "what was refused reached the tick");
    assert!(rig.mesh.asked.lock().unwrap().is_empty(), "what was refused was passed on");
    refused
}

/// Places at the desk, so many that `free` are left.
fn fill(rig: &Rig, free: usize) -> Vec<Place> {
    let wait = |at: usize| rig.desk.wait_for(name_of_asked(&at.to_le_bytes()), |_| ()).ok().unwrap();
    (0..WAITING_MAX - free).map(wait).collect()
}

fn has_place(rig: &Rig) -> bool {
    rig.desk.wait_for(name_of_asked(b"one more"), |_| ()).is_ok()
}

#[tokio::test]
async fn what_the_tick_answers_comes_back_when_the_journal_holds_it_and_not_before() {
    for (path, bytes, kind) in
        [(REQUESTS, withdrawal(here()), AskKind::Request), (APPROVALS, approval(here()), AskKind::Approval)]
    {
        let rig = Arc::new(rig());
        let (asking, sent) = (Arc::clone(&rig), post(path, bytes.clone()));
        let response = tokio::spawn(async move { asking.send(sent).await });
        assert_eq!(asked_of(&rig).await, (kind, bytes.clone()));
        let tickets = rig.desk.tickets(name_of_asked(&bytes), &taken());
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert!(!response.is_finished(), "answered before the journal held it");
        tickets.into_iter().for_each(|ticket| ticket.answer(Ok(())));
        let (status, answer) = read::<Answer>(response.await.unwrap()).await;
        assert_eq!((status, answer), (StatusCode::OK, taken()), "{path}");
    }
}

#[tokio::test]
async fn what_the_owner_refuses_comes_with_its_code_its_rule_and_its_sentence() {
    let (status, answer) = post_and_answer(&rig(), APPROVALS, &approval(here()), &veto(), Ok(())).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let expected = serde_json::json!({
        "code": "CARD_VETO", "rule": "card.veto", "sentence": "the tank would run dry; ask for less"
    });
    assert_eq!(answer, expected);
    let (status, answer) = post_and_answer(&rig(), REQUESTS, &withdrawal(here()), &taken(), Ok(())).await;
    assert_eq!((status, &answer["outcome"]), (StatusCode::OK, &serde_json::json!("taken")));
}

#[tokio::test]
async fn what_the_journal_did_not_take_is_not_taken() {
    let full = Refusal::new(Code::JournalUnavailable, "journal", "the disk is full");
    let (status, answer) = post_and_answer(&rig(), REQUESTS, &withdrawal(here()), &taken(), Err(full)).await;
    assert_eq!((status, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, &"JOURNAL_UNAVAILABLE".into()));
}

#[tokio::test]
async fn what_is_broken_is_refused_at_the_door_in_the_words_of_the_rules() {
    let rule_of = |refused: RuleRefused| (refused.code.as_str(), refused.rule, refused.sentence);
    let flipped = |mut bytes: Vec<u8>| {
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    };
    let wrong_purpose = signed::seal(&ann(), Purpose::APPROVAL, canonical::encode(&answering(here())));
    let blank = asking(here(), RequestBody::Rearm { why: " ".to_owned() });
    let requests = [b"open the gate".to_vec(), flipped(withdrawal(here())), wrong_purpose, blank];
    for bytes in requests {
        let (code, rule, sentence) = rule_of(request::open(&bytes).unwrap_err());
        let (status, refusal) = refused_at_the_door(&rig(), post(REQUESTS, bytes)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!((&*refusal.code, refusal.rule.as_deref(), refusal.sentence), (code, Some(rule), sentence));
    }
    let as_request = signed::seal(&ann(), Purpose::REQUEST, canonical::encode(&answering(here())));
    for bytes in [withdrawal(here()), flipped(approval(here())), as_request] {
        let (code, rule, _) = rule_of(approval::open(&bytes).unwrap_err());
        let (status, refusal) = refused_at_the_door(&rig(), post(APPROVALS, bytes)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!((&*refusal.code, refusal.rule.as_deref()), (code, Some(rule)));
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_the_largest_is_read() {
    for (path, rule, max) in
        [(REQUESTS, "request", REQUEST_BYTES_MAX), (APPROVALS, "approval", APPROVAL_BYTES_MAX)]
    {
        let (status, refusal) = refused_at_the_door(&rig(), post(path, vec![0; max + 1])).await;
        assert_eq!((status, &*refusal.code), (StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE"), "{path}");
        assert_eq!(refusal.rule, Some(format!("{rule}.size")));
        assert!(refusal.sentence.contains(&max.to_string()), "{refusal:?}");
        let (status, refusal) = refused_at_the_door(&rig(), post(path, vec![0; max])).await;
        assert_eq!((status, &*refusal.code), (StatusCode::UNPROCESSABLE_ENTITY, "MALFORMED_ENVELOPE"));
        assert_eq!(refusal.rule, Some(format!("{rule}.form")));
    }
}

#[tokio::test]
async fn what_is_for_another_owner_is_passed_on_and_its_answer_comes_back() {
    let pump = NodeId([9; 32]);
    for (path, bytes, kind) in
        [(REQUESTS, withdrawal(pump), AskKind::Request), (APPROVALS, approval(pump), AskKind::Approval)]
    {
        for (says, expected) in [(taken(), StatusCode::OK), (veto(), StatusCode::UNPROCESSABLE_ENTITY)] {
            let rig = rig();
            *rig.mesh.says.lock().unwrap() = Some(says.clone());
            let (status, answer) = read::<serde_json::Value>(rig.send(post(path, bytes.clone())).await).await;
            assert_eq!(status, expected);
            match says {
                Answer::Taken { words, .. } => assert_eq!(answer["words"], *words),
                Answer::Refused { rule, .. } => assert_eq!(answer["rule"], *rule),
            }
            assert_eq!(*rig.mesh.asked.lock().unwrap(), [(pump, kind, bytes.clone())]);
            assert!(rig.inboxes.take_state(9).is_empty(), "it is not ours to judge");
        }
    }
}

#[tokio::test]
async fn a_full_inbox_a_full_desk_and_a_failed_journal_refuse_at_once() {
    let busy = rig_with(InboxLimits { state_inputs_max: 0, ..InboxLimits::default() });
    let _places = fill(&busy, 1);
    let (status, refusal) = refused_at_the_door(&busy, post(REQUESTS, withdrawal(here()))).await;
    assert_eq!((status, &*refusal.code), (StatusCode::SERVICE_UNAVAILABLE, "BUSY"));
    assert!(has_place(&busy), "who found no way in keeps no place");

    let crowded = rig();
    let places = fill(&crowded, 0);
    let (status, refusal) = refused_at_the_door(&crowded, post(REQUESTS, withdrawal(here()))).await;
    assert_eq!((status, &*refusal.code), (StatusCode::SERVICE_UNAVAILABLE, "BUSY"));
    drop(places);
    let (status, _) = post_and_answer(&crowded, REQUESTS, &withdrawal(here()), &taken(), Ok(())).await;
    assert_eq!(status, StatusCode::OK);

    let failed = rig();
    failed.commits.fail("the disk is full");
    let (status, refusal) = refused_at_the_door(&failed, post(REQUESTS, withdrawal(here()))).await;
    assert_eq!((status, &*refusal.code), (StatusCode::SERVICE_UNAVAILABLE, "JOURNAL_UNAVAILABLE"));
    assert_eq!(refusal.sentence, "the disk is full");
}

#[tokio::test]
async fn a_caller_who_hangs_up_leaves_a_free_place_and_nobody_else_without_an_answer() {
    let rig = Arc::new(rig());
    let _places = fill(&rig, 2);
    let send = || {
        let (rig, sent) = (Arc::clone(&rig), post(REQUESTS, withdrawal(here())));
        tokio::spawn(async move { rig.send(sent).await })
    };
    let (stays, goes) = (send(), send());
    asked_of(&rig).await;
    asked_of(&rig).await;
    assert!(!has_place(&rig));
    goes.abort();
    assert!(goes.await.unwrap_err().is_cancelled());
    assert!(has_place(&rig));
    for ticket in rig.desk.tickets(name_of_asked(&withdrawal(here())), &taken()) {
        ticket.answer(Ok(()));
    }
    assert_eq!(read::<Answer>(stays.await.unwrap()).await, (StatusCode::OK, taken()));
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_never_answers_is_not_waited_for_forever() {
    let rig = rig();
    let _places = fill(&rig, 1);
    let (status, refusal) = read::<Refused>(rig.send(post(REQUESTS, withdrawal(here()))).await).await;
    assert_eq!((status, &*refusal.code), (StatusCode::SERVICE_UNAVAILABLE, "JOURNAL_UNAVAILABLE"));
    assert!(refusal.sentence.contains("may or may not"), "{}", refusal.sentence);
    assert!(has_place(&rig));
}

#[tokio::test(start_paused = true)]
async fn a_signed_stop_for_this_node_is_latched_although_the_tick_stands_still() {
    let stop = |owner| asking(owner, RequestBody::Stop { why: "smoke".to_owned() });
    let rig = rig();
    rig.commits.fail("the disk is full");
    let (status, _) = read::<Refused>(rig.send(post(REQUESTS, stop(here()))).await).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "the journal cannot hold who it was");
    assert_eq!(rig.latch.reason.lock().unwrap().as_deref(), Some("smoke"));

    *rig.mesh.says.lock().unwrap() = Some(taken());
    rig.send(post(REQUESTS, stop(NodeId([9; 32])))).await;
    assert_eq!(rig.latch.stops.load(Ordering::SeqCst), 1, "a stop for another node is not ours");
}
