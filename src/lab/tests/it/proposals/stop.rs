//! The stop ends everything, and after it nothing goes on by itself.

use clawmesh_authority::request;
use clawmesh_authority::{AskKind, Code, Decision, Offer, ProposalId, RequestBody, Setpoint};
use clawmesh_core::intake::{DriverReport, InputBody, SafeBecause, SourceId};
use clawmesh_lab::Lab;

use super::rig::{
    CENTER, FIELD, Farm, JOURNAL_LAG_TICKS, ann, bo, code, eve, flo, gus, pump, stranger, valve,
};

fn rearm() -> RequestBody {
    RequestBody::Rearm { why: "the fire is out".to_owned() }
}

fn stop() -> RequestBody {
    RequestBody::Stop { why: "smoke".to_owned() }
}

impl Farm {
    /// Somebody presses the button.
    pub fn press_stop(&mut self) {
        self.lab.stop(FIELD, "smoke");
    }

    /// The button was pressed, and everything that could go on after the re-arm is given time to.
    #[track_caller]
    fn assert_nothing_resumes(&mut self, id: ProposalId, offer: Option<&Offer>) {
        let on = self.switched_on();
        for _ in 0..2 {
            self.run_seconds(1);
            if let Some(offer) = offer {
                let answer = self.answer(&ann(), offer, Decision::Approve);
                assert_eq!(code(&answer), Some((Code::ApprovalReplayed, "approval.nonce")));
            }
            // The first time it is refused or taken, according to whether it is latched still.
            self.ask_as(&ann(), rearm());
        }
        self.run_seconds(2);
        assert_eq!(self.lab.snapshot(FIELD).stop, None);
        let last = self.report(id).story.last().expect("it has a story").clone();
        assert_eq!(last.code, Some(Code::StopLatched), "{last:?}");
        assert!(["cancelled", "failed"].contains(&last.state.as_str()), "{last:?}");
        assert_eq!(self.switched_on(), on, "nothing is switched on any more");
        assert!(!self.hardware.is_on(&pump()) && !self.hardware.is_on(&valve()));
    }
}

#[test]
fn s6_a_stop_voids_what_is_simulated_and_what_waits_and_nothing_resumes() {
    let mut farm = Farm::brief();
    let proposal = farm.proposal();
    farm.propose_unheard(&proposal);
    farm.press_stop();
    farm.assert_nothing_resumes(proposal.id(), None);
    assert_eq!(farm.story(proposal.id()), ["simulating", "cancelled"]);
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(1);
    let offer = farm.offer(proposal.id());
    farm.press_stop();
    farm.assert_nothing_resumes(proposal.id(), Some(&offer));
    assert_eq!(farm.switched_on(), []);
    let good = farm.proposal();
    farm.assert_goes_through(&good);
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn s6_a_re_arm_that_was_signed_before_the_newest_stop_ends_nothing() {
    let mut farm = Farm::brief();
    farm.press_stop();
    farm.run_seconds(1);
    // Ann's never arrived: somebody kept it, and Gus ended that stop.
    let early = farm.request(rearm());
    let early = request::seal(&ann(), &early);
    assert_eq!(code(&farm.ask_as(&gus(), rearm())), None);
    farm.run_seconds(60);
    farm.press_stop();
    farm.run_seconds(1);
    let answer = farm.lab.ask(FIELD, AskKind::Request, early);
    farm.assert_refused(&answer, Code::StopLatched, "stop.newest");
    assert!(farm.lab.snapshot(FIELD).stop.is_some());
    assert_eq!(code(&farm.ask_as(&ann(), rearm())), None, "what she signs now counts");
    farm.run_seconds(1);
    assert_eq!(farm.lab.snapshot(FIELD).stop, None);
}

#[test]
fn s15_during_a_stop_only_what_was_looked_at_since_counts_as_safe() {
    let mut farm = Farm::brief();
    let safe = |farm: &Farm| farm.lab.snapshot(FIELD).actuators.iter().filter(|row| row.is_safe).count();
    assert_eq!(safe(&farm), 5, "everything is off");
    farm.hardware.mute();
    farm.press_stop();
    farm.run_seconds(1);
    assert_eq!(safe(&farm), 0, "a driver that hangs has not said a word since");
    for (stops, expected) in [(0, 0), (1, 1)] {
        let because = SafeBecause::Stopped { stops };
        let report = DriverReport::MadeSafe { actuator: pump(), because, proposal: None, fault: None };
        farm.lab.offer(FIELD, SourceId::Drivers, InputBody::Driver(report));
        farm.run_seconds(1);
        assert_eq!(safe(&farm), expected, "after an answer to stop {stops}");
    }
    farm.ask_as(&ann(), rearm());
    farm.run_seconds(1);
    assert_eq!(safe(&farm), 5, "no stop, no question");
}

#[test]
fn s6_a_stop_ends_what_runs_and_nothing_resumes() {
    let mut farm = Farm::brief();
    let (id, offer) = farm.approved_offer();
    farm.run_seconds(2);
    assert_eq!(farm.state(id), "executing");
    farm.press_stop();
    farm.assert_nothing_resumes(id, Some(&offer));
    let off: Vec<_> = farm.told().into_iter().skip(2).collect();
    assert_eq!(off, [(pump(), Setpoint::Off), (valve(), Setpoint::Off)], "in the order of the site");
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}

#[test]
fn s6_a_stop_between_the_yes_and_the_first_movement_lets_nothing_move() {
    for after_ticks in 0..=JOURNAL_LAG_TICKS + 1 {
        let mut farm = Farm::brief();
        let proposal = farm.proposal();
        assert_eq!(code(&farm.propose(&proposal)), None);
        farm.run_seconds(1);
        let offer = farm.offer(proposal.id());
        farm.answer_unheard(&ann(), &offer);
        farm.lab.run_ticks(after_ticks);
        farm.press_stop();
        farm.assert_nothing_resumes(proposal.id(), Some(&offer));
        assert_eq!(farm.switched_on(), [], "after {after_ticks} ticks");
    }
}

#[test]
fn s6_a_stop_and_a_yes_in_one_tick_are_a_stop() {
    let mut farm = Farm::brief();
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(1);
    let offer = farm.offer(proposal.id());
    farm.ask_unheard(&ann(), stop());
    farm.answer_unheard(&ann(), &offer);
    farm.run_seconds(1);
    assert_eq!(farm.switched_on(), [], "nothing leaves in the tick of the stop");
    farm.assert_nothing_resumes(proposal.id(), Some(&offer));
}

#[test]
fn s6_a_stop_that_is_ended_in_the_same_tick_has_voided_everything() {
    let mut farm = Farm::brief();
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(1);
    let offer = farm.offer(proposal.id());
    farm.ask_unheard(&bo(), stop());
    farm.ask_unheard(&ann(), rearm());
    farm.assert_nothing_resumes(proposal.id(), Some(&offer));
    // The same by those who tell the tick of the latch.
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(1);
    let offer = farm.offer(proposal.id());
    let stop = InputBody::StopLatched { reason: "smoke".to_owned(), stops: 1 };
    for body in [stop, InputBody::Rearmed] {
        farm.lab.offer(FIELD, SourceId::Runner, body);
    }
    farm.assert_nothing_resumes(proposal.id(), Some(&offer));
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}

#[test]
fn s6_while_the_stop_is_latched_nothing_is_taken() {
    let mut farm = Farm::brief();
    farm.press_stop();
    let proposal = farm.proposal();
    let answer = farm.propose(&proposal);
    farm.assert_refused(&answer, Code::StopLatched, "stop-holds");
    assert_eq!(code(&farm.ask_as(&ann(), rearm())), None);
    farm.run_seconds(1);
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}

#[test]
fn s6_whoever_is_known_stops_and_only_a_person_who_may_ends_it_once() {
    let mut farm = Farm::brief();
    let id = farm.approved();
    farm.run_seconds(1);
    let answer = farm.ask_as(&stranger(), stop());
    assert_eq!(code(&answer), Some((Code::NotAuthorized, "request.signer")));
    farm.run_seconds(1);
    assert_eq!(farm.state(id), "executing");
    // Who only sees may stop.
    assert_eq!(code(&farm.ask_as(&flo(), stop())), None);
    farm.run_seconds(1);
    assert_eq!(farm.lab.snapshot(FIELD).stop.as_deref(), Some("smoke"));
    assert!(!farm.hardware.is_on(&pump()));
    for (key, expected, rule) in [
        (flo(), Code::NotAuthorized, "operator.role"),
        (eve(), Code::OperatorRevoked, "operator.not_revoked"),
        (stranger(), Code::NotAuthorized, "request.signer"),
    ] {
        let answer = farm.ask_as(&key, rearm());
        assert_eq!(code(&answer), Some((expected, rule)));
    }
    let by_a_node = farm.request(rearm());
    let answer = farm.lab.ask(FIELD, AskKind::Request, request::seal(&Lab::key_of(1), &by_a_node));
    assert_eq!(code(&answer), Some((Code::NotAuthorized, "request.person")));
    assert!(farm.lab.snapshot(FIELD).stop.is_some());
    let good = farm.request(rearm());
    let good = request::seal(&ann(), &good);
    assert_eq!(code(&farm.lab.ask(FIELD, AskKind::Request, good.clone())), None);
    farm.run_seconds(1);
    assert_eq!(farm.lab.snapshot(FIELD).stop, None);
    // A re-arm that somebody has kept ends no later stop; a node may stop as well.
    let by_a_node = farm.request(stop());
    let answer = farm.lab.ask(FIELD, AskKind::Request, request::seal(&Lab::key_of(1), &by_a_node));
    assert_eq!(code(&answer), None);
    let answer = farm.lab.ask(FIELD, AskKind::Request, good);
    assert_eq!(code(&answer), Some((Code::Replayed, "request.once")));
    farm.run_seconds(1);
    assert!(farm.lab.snapshot(FIELD).stop.is_some());
    assert_eq!(farm.report_at(CENTER, id).state, farm.report(id).state, "the command center shows it");
}
