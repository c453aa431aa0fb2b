//! Whose an actuator is.

use std::collections::BTreeSet;

use clawmesh_authority::envelope::{self, Body, Statement};
use clawmesh_authority::transition::State;
use clawmesh_authority::{
    Code, Decision, Frame, Hlc, Lane, Maker, MeshId, Mind, ProposalId, ProposalReport, RequestBody, Step,
};
use clawmesh_core::intake::{InputBody, SourceId};
use clawmesh_lab::Lab;

use crate::proposals::rig::{FIELD, Farm, ann, bo, capability, code, pump};

impl Farm {
    /// The command center says that it has a proposal for this actuator.
    fn claims(&mut self, sequence: u64, actuator: &str, state: State) {
        let actuator = capability(actuator);
        let step = Step { actuator, operation: "start".to_owned(), parameters: Default::default() };
        let home = Lab::id_of(1);
        let report = ProposalReport {
            slot: 0,
            id: ProposalId([0xab; 32]),
            maker: Maker { node: home, mind: Mind::Utility { name: "another".to_owned() }, term: None },
            steps: vec![step],
            reason: "by a site file of its own".to_owned(),
            made: Hlc::default(),
            state,
            story: Vec::new(),
            card: None,
            offer: None,
            approved_by: Vec::new(),
            blocked: None,
        };
        let hlc = Hlc { wall_ms: self.lab.now_ms(), logical: 0 };
        let body = Body::Frame(Frame::Proposal(Box::new(report)));
        let statement = Statement { mesh: MeshId::of_name("lab"), epoch: 99, sequence, hlc, body };
        let bytes = envelope::seal(&Lab::key_of(1), &statement);
        self.lab.offer(FIELD, SourceId::Node(home), InputBody::Envelope { lane: Lane::State, bytes });
        self.run_seconds(1);
    }
}

#[test]
fn two_owners_that_claim_one_actuator() {
    let mut farm = Farm::brief();
    let pump = pump().to_string();
    farm.claims(1, &pump, State::Executing { step: 0 });
    farm.repels(Code::AmbiguousOwner, "one-owner", |farm| {
        let proposal = farm.proposal();
        farm.propose(&proposal)
    });
    assert!(
        farm.log_says(Code::AmbiguousOwner, "give both nodes the same site file"),
        "it was told when it came"
    );
    // The other one is done with it, and what it has an open proposal for now is its own.
    farm.claims(2, &pump, State::Completed);
    farm.claims(3, "actuator:pump:of-the-center", State::Executing { step: 0 });
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn an_owner_that_claims_it_between_the_question_and_the_yes() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    farm.claims(1, pump().as_str(), State::Dispatched);
    assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None);
    farm.run_seconds(1);
    farm.ends(offer.proposal, Code::AmbiguousOwner, "(one-owner)");
    assert_eq!(farm.switched_on(), []);
}

#[test]
fn a_claim_of_a_node_that_is_gone_or_not_trusted_any_more() {
    let mut farm = Farm::brief_with(|policy| policy.proposal_expires_s = 60);
    farm.claims(1, pump().as_str(), State::Executing { step: 0 });
    farm.run_seconds(50);
    farm.repels(Code::AmbiguousOwner, "one-owner", |farm| farm.propose_with(|_| {}));
    farm.run_seconds(12);
    let good = farm.proposal();
    farm.carries_out(&good);

    let mut farm = Farm::brief();
    farm.claims(1, pump().as_str(), State::Executing { step: 0 });
    let mut own = farm.proposal();
    own.maker = Maker::person(own.maker.node, bo().id());
    farm.repels(Code::AmbiguousOwner, "one-owner", |farm| {
        farm.ask_as(&bo(), RequestBody::Propose(own.clone()))
    });
    farm.lab.offer(FIELD, SourceId::Runner, InputBody::TrustChanged(BTreeSet::new()));
    farm.lab.run_ticks(2);
    farm.speak();
    assert_eq!(code(&farm.ask_as(&bo(), RequestBody::Propose(own))), None);
}
