//! One proposal in the place of another.

use clawmesh_authority::{
    Answer, AskKind, Code, Decision, Maker, NodeId, Proposal, ProposalId, RequestBody, request,
};
use clawmesh_lab::Lab;

use crate::proposals::rig::{CENTER, FIELD, Farm, ann, bo, code, cy, flo};

impl Farm {
    /// The command center asks for `proposal` in the place of another.
    fn supersede(&mut self, proposal: &Proposal, instead_of: ProposalId) -> Answer {
        let body = RequestBody::Supersede { proposal: proposal.clone(), instead_of };
        let request = self.request(body);
        let signed = request::seal(&Lab::key_of(1), &request);
        self.submit(AskKind::Request, signed)
    }

    /// What a proposal waits for, as a node shows it.
    fn waits_for(&self, node: &str, id: ProposalId) -> Option<String> {
        let snapshot = self.lab.snapshot(node);
        let view = snapshot.proposals.iter().find(|view| view.report.id == id)?;
        view.waiting.as_ref().map(|waiting| waiting.what.clone())
    }
}

#[test]
fn a_yes_to_what_another_has_taken_the_place_of() {
    let mut farm = Farm::brief();
    let old = farm.asked();
    let newer = farm.proposal();
    farm.speak();
    assert_eq!(code(&farm.supersede(&newer, old.proposal)), None, "the same steps, and newer evidence");
    assert_eq!(farm.state(old.proposal), "cancelled");
    farm.repels(Code::ApprovalReplayed, "approval.nonce", |farm| {
        farm.answer(&ann(), &old, Decision::Approve)
    });
    farm.run_seconds(1);
    let offer = farm.offer(newer.id());
    farm.assert_carried_out(&offer);
    farm.replays();
}

#[test]
fn what_is_refused_takes_no_place() {
    let mut farm = Farm::brief();
    let old = farm.asked();
    farm.repels(Code::LlmOnlyActuationBlocked, "no-model-alone", |farm| {
        let bare = farm.changed(|proposal| proposal.evidence.clear());
        farm.supersede(&bare, old.proposal)
    });
    assert_eq!(farm.state(old.proposal), "awaiting_approval", "it stays");
    farm.assert_carried_out(&old);
    farm.replays();
}

#[test]
fn what_somebody_else_asked_for_or_what_runs_is_not_superseded() {
    let mut farm = Farm::brief();
    let mut own = farm.proposal();
    own.maker = Maker::person(own.maker.node, bo().id());
    farm.speak();
    own.maker.node = NodeId([7; 32]);
    assert_eq!(code(&farm.ask_as(&bo(), RequestBody::Propose(own.clone()))), None);
    farm.run_seconds(1);
    farm.repels(Code::NotAuthorized, "proposal.maker", |farm| {
        let newer = farm.proposal();
        farm.supersede(&newer, own.id())
    });
    farm.repels(Code::InvalidParams, "proposal.known", |farm| {
        let newer = farm.proposal();
        farm.supersede(&newer, ProposalId([7; 32]))
    });
    // A person may, and under the name of a program nobody does.
    farm.repels(Code::NotAuthorized, "request.maker", |farm| {
        let newer = farm.changed(|proposal| proposal.maker = Maker::person(proposal.maker.node, cy().id()));
        farm.ask_as(&bo(), RequestBody::Supersede { proposal: newer, instead_of: own.id() })
    });
    farm.repels(Code::NotAuthorized, "operator.role", |farm| {
        let newer = farm.changed(|proposal| proposal.maker = Maker::person(proposal.maker.node, flo().id()));
        farm.ask_as(&flo(), RequestBody::Supersede { proposal: newer, instead_of: own.id() })
    });
    let offer = farm.offer(own.id());
    farm.assert_carried_out(&offer);
    farm.repels(Code::InvalidParams, "proposal.waits", |farm| {
        let newer = farm.changed(|proposal| proposal.maker = Maker::person(proposal.maker.node, cy().id()));
        farm.ask_as(&cy(), RequestBody::Supersede { proposal: newer, instead_of: own.id() })
    });
    farm.replays();
}

#[test]
fn what_a_proposal_waits_for_is_shown_by_its_home_and_by_others() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    farm.run_seconds(1);
    for node in [FIELD, CENTER] {
        assert_eq!(farm.waits_for(node, offer.proposal).as_deref(), Some("the yes of one person"), "{node}");
    }
    let actuator = offer.steps[0].actuator.clone();
    let take = RequestBody::TakeControl {
        actuator: actuator.clone(),
        for_s: 600,
        is_forced: false,
        why: "we look at it".to_owned(),
    };
    assert_eq!(code(&farm.ask_as(&bo(), take)), None);
    farm.run_seconds(1);
    for node in [FIELD, CENTER] {
        let waits_for = farm.waits_for(node, offer.proposal).unwrap_or_default();
        assert!(waits_for.contains("Bo has control of"), "{node}: {waits_for:?}");
    }
    farm.lab.crash(FIELD);
    farm.run_seconds(60);
    let snapshot = farm.lab.snapshot(CENTER);
    let view = snapshot.proposals.iter().find(|view| view.report.id == offer.proposal).expect("a copy");
    let waiting = view.waiting.as_ref().expect("it waits");
    assert!(waiting.home_silent_ms.is_some_and(|silent_ms| silent_ms > 50_000), "{waiting:?}");
    let left_ms = waiting.left_ms.expect("its offer dies");
    assert!(left_ms < offer.expires_after_ms - 60_000, "{left_ms} ms");
}
