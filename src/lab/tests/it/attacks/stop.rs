//! Before, during and after a stop.

use clawmesh_authority::approval::{self, Approval};
use clawmesh_authority::request;
use clawmesh_authority::{AskKind, Code, Decision, RequestBody};
use clawmesh_core::intake::{InputBody, SourceId};
use clawmesh_lab::Lab;

use crate::proposals::rig::{FIELD, Farm, ann, bo, code, cy, gus};

fn rearm() -> RequestBody {
    RequestBody::Rearm { why: "the fire is out".to_owned() }
}

impl Farm {
    fn kept_yes(&self, offer: &clawmesh_authority::Offer) -> Vec<u8> {
        approval::seal(&ann(), &Approval::answering(offer, Decision::Approve, None, self.lab.now_ms()))
    }

    fn rearmed(&mut self) {
        assert_eq!(code(&self.ask_as(&ann(), rearm())), None);
        self.run_seconds(1);
        assert_eq!(self.lab.snapshot(FIELD).stop, None);
    }
}

#[test]
fn an_approval_from_before_the_stop() {
    for ticks in 0..=4 {
        let mut farm = Farm::brief();
        let offer = farm.asked();
        farm.answer_unheard(&ann(), &offer);
        farm.lab.run_ticks(ticks);
        farm.press_stop();
        farm.run_seconds(1);
        farm.rearmed();
        farm.run_seconds(2);
        assert_eq!(farm.switched_on(), [], "after {ticks} ticks");
        let yes = farm.kept_yes(&offer);
        farm.repels(Code::ApprovalReplayed, "approval.nonce", |farm| farm.submit(AskKind::Approval, yes));
        let good = farm.proposal();
        farm.carries_out(&good);
    }
}

#[test]
fn an_approval_during_the_stop() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    farm.press_stop();
    farm.run_seconds(1);
    let yes = farm.kept_yes(&offer);
    farm.repels(Code::ApprovalReplayed, "approval.nonce", |farm| farm.submit(AskKind::Approval, yes));
    let proposal = farm.proposal();
    farm.repels(Code::StopLatched, "stop-holds", |farm| farm.propose(&proposal));
    farm.rearmed();
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn approvals_that_waited_for_the_re_arm() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    let yes = farm.kept_yes(&offer);
    farm.press_stop();
    farm.run_seconds(1);
    farm.rearmed();
    for _ in 0..3 {
        farm.repels(Code::ApprovalReplayed, "approval.nonce", |farm| {
            farm.submit(AskKind::Approval, yes.clone())
        });
    }
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_re_arm_by_whoever_may_not() {
    let mut farm = Farm::brief();
    farm.press_stop();
    farm.run_seconds(1);
    let of_node = farm.request(rearm());
    let of_node = request::seal(&Lab::key_of(1), &of_node);
    farm.repels(Code::NotAuthorized, "request.person", |farm| farm.submit(AskKind::Request, of_node));
    // There is a pump here, and that is more than an operator or an approver answers for.
    for key in [bo(), cy()] {
        farm.repels(Code::NotAuthorized, "operator.role", |farm| farm.ask_as(&key, rearm()));
    }
    for source in [SourceId::Gateway, SourceId::Bridge, SourceId::Journal, SourceId::Drivers] {
        farm.lab.offer(FIELD, source, InputBody::Rearmed);
    }
    farm.run_seconds(1);
    assert!(farm.lab.snapshot(FIELD).stop.is_some());
    farm.rearmed();
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_re_arm_from_before_the_stop() {
    let mut farm = Farm::brief();
    let early = farm.request(rearm());
    let early = request::seal(&gus(), &early);
    farm.run_seconds(1);
    farm.press_stop();
    farm.run_seconds(1);
    farm.repels(Code::StopLatched, "stop.newest", |farm| farm.submit(AskKind::Request, early));
    farm.rearmed();
    let good = farm.proposal();
    farm.carries_out(&good);
}
