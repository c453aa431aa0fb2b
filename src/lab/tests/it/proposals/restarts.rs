//! What a journal holds and what it does not hold yet: a node that is killed and started again knows what it knew, and
//! repeats nothing; and nothing moves before it is written down.

use clawmesh_authority::approval::{self, Approval};
use clawmesh_authority::request;
use clawmesh_authority::transition::{Cause, State};
use clawmesh_authority::{AskKind, Code, Decision, ProposalId, RequestBody, Setpoint, Value};
use clawmesh_core::intake::{InputBody, SourceId};
use clawmesh_core::replay::{KeptRecord, Record};
use clawmesh_lab::Lab;

use super::rig::{CENTER, FIELD, Farm, JOURNAL_LAG_TICKS, ann, bo, code, pump, step, valve};

#[test]
fn s12_what_ran_when_the_node_was_killed_has_an_unknown_outcome_and_is_never_repeated() {
    // Before the driver heard of it, when it had taken it, and while both are on.
    for ticks in [0, 2, 100] {
        let mut farm = Farm::brief();
        let id = farm.approved();
        farm.lab.run_ticks(ticks);
        let on = farm.switched_on();
        farm.restart();
        farm.run_seconds(3);
        assert_eq!(
            farm.report(id).state,
            State::Failed { cause: Cause::OutcomeUnknown },
            "after {ticks} ticks"
        );
        assert!(farm.last_words(id).contains("what has happened is unknown"));
        assert_eq!(farm.switched_on(), on, "nothing is switched on again");
        assert!(!farm.hardware.is_on(&pump()) && !farm.hardware.is_on(&valve()));
        assert_eq!(farm.report_at(CENTER, id).state, farm.report(id).state, "the copy follows");
        let good = farm.proposal();
        farm.assert_goes_through(&good);
        assert_eq!(farm.lab.replay(FIELD).difference, None);
    }
}

#[test]
fn s12_a_dispatch_is_written_down_before_the_hardware_hears_of_it() {
    let mut farm = Farm::brief();
    let (id, _) = farm.approved_offer();
    assert_eq!(farm.hardware.writes(), [], "the answer came in the tick of the dispatch");
    let kept = farm.lab.records(FIELD).into_iter().rev().find_map(|record| match record {
        Record::Kept(kept) if kept.subject == "proposal/0" => Some(kept.bytes),
        _ => None,
    });
    let kept = kept.expect("it is in the journal");
    let holds = |words: &str| kept.windows(words.len()).any(|part| part == words.as_bytes());
    assert!(holds("the gate lets it through") && holds("dispatched"), "{id}");
}

#[test]
fn s12_what_waited_for_a_yes_is_simulated_and_offered_anew_and_the_old_yes_is_void() {
    let mut farm = Farm::brief();
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(1);
    let old = farm.offer(proposal.id());
    let kept = Approval::answering(&old, Decision::Approve, None, farm.lab.now_ms());
    let kept = approval::seal(&ann(), &kept);
    farm.restart();
    let answer = farm.lab.ask(FIELD, AskKind::Approval, kept.clone());
    farm.assert_refused(&answer, Code::ApprovalReplayed, "approval.nonce");
    // As long as sensors are silent there is no world to simulate.
    farm.lab.run_seconds(3);
    assert_eq!(farm.state(proposal.id()), "simulating");
    farm.run_seconds(1);
    let new = farm.offer(proposal.id());
    assert!(new.nonce != old.nonce && new.card != old.card);
    assert_eq!(
        farm.story(proposal.id()),
        ["simulating", "awaiting_approval", "simulating", "awaiting_approval"]
    );
    let answer = farm.lab.ask(FIELD, AskKind::Approval, kept);
    farm.assert_refused(&answer, Code::ApprovalReplayed, "approval.nonce");
    assert_eq!(farm.report_at(CENTER, proposal.id()).offer.map(|offer| offer.nonce), Some(new.nonce));
    farm.assert_carried_out(&new);
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn s12_a_request_is_taken_once_also_across_a_restart() {
    let mut farm = Farm::brief();
    let proposal = farm.proposal();
    let taken = farm.request(RequestBody::Propose(proposal.clone()));
    let taken = request::seal(&Lab::key_of(1), &taken);
    assert_eq!(code(&farm.lab.ask(FIELD, AskKind::Request, taken.clone())), None);
    let refused = farm.proposal_of(vec![step(valve(), "toggle", None)]);
    let refused = farm.request(RequestBody::Propose(refused));
    let refused = request::seal(&ann(), &refused);
    let answer = farm.lab.ask(FIELD, AskKind::Request, refused.clone());
    assert_eq!(code(&answer), Some((Code::NotAuthorized, "request.maker")));
    let rejected =
        farm.ask_as(&bo(), RequestBody::Withdraw { proposal: proposal.id(), why: "rain".to_owned() });
    assert_eq!(code(&rejected), None);
    farm.run_seconds(1);
    farm.restart();
    let answer = farm.lab.ask(FIELD, AskKind::Request, taken);
    farm.assert_refused(&answer, Code::Replayed, "request.once");
    let answer = farm.lab.ask(FIELD, AskKind::Request, refused);
    farm.assert_refused(&answer, Code::NotAuthorized, "request.maker");
    farm.run_seconds(1);
    assert_eq!(farm.state(proposal.id()), "cancelled", "what has ended stays as it is");
    let again = farm.propose(&proposal);
    farm.assert_refused(&again, Code::Duplicate, "proposal.once");
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}

#[test]
fn s12_what_was_called_off_before_a_restart_stays_so_and_a_stop_that_is_left_ends_the_rest() {
    let mut farm = Farm::brief();
    let (called_off, waits) = (farm.proposal(), farm.proposal_of(vec![step(valve(), "open", Some(9.0))]));
    for proposal in [&called_off, &waits] {
        assert_eq!(code(&farm.propose(proposal)), None);
    }
    farm.run_seconds(1);
    let offer = farm.offer(called_off.id());
    assert_eq!(code(&farm.answer(&bo(), &offer, Decision::Reject)), None);
    // The tick never hears of it. The file of the latch says it at the start, in the tick in which everything is recalled.
    farm.lab.stop(FIELD, "smoke");
    farm.lab.crash(FIELD);
    farm.lab.start(FIELD);
    farm.run_seconds(1);
    assert_eq!(farm.state(called_off.id()), "rejected");
    assert_eq!(farm.state(waits.id()), "cancelled");
    assert_eq!(farm.switched_on(), []);
}

#[test]
fn s12_what_is_left_where_a_sensor_does_not_speak_again_fails_and_says_what_nobody_knows() {
    let mut farm = Farm::brief();
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(1);
    farm.weather.is_tank_silent = true;
    farm.restart();
    farm.run_seconds(29);
    assert_eq!(farm.state(proposal.id()), "simulating");
    farm.run_seconds(2);
    assert_eq!(farm.state(proposal.id()), "failed");
    assert!(farm.last_words(proposal.id()).contains("nobody knows how full tank-01 is"));
    assert_eq!(farm.switched_on(), []);
}

#[test]
fn s12_what_is_left_where_no_site_is_any_more_fails_and_holds_no_place() {
    let mut farm = Farm::brief();
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(1);
    let kept = farm.lab.records(FIELD).into_iter().rev().find_map(|record| match record {
        Record::Kept(KeptRecord { subject, bytes, .. }) if subject.starts_with("proposal/") => {
            Some(InputBody::Recalled { subject, bytes })
        }
        _ => None,
    });
    let mut bare = Lab::seeded(3).with_nodes([CENTER, FIELD]);
    bare.offer(FIELD, SourceId::Journal, kept.expect("it was kept"));
    bare.run_ticks(10);
    let snapshot = bare.snapshot(FIELD);
    let report = &snapshot.proposals.first().expect("it is there").report;
    let last = report.story.last().expect("it has a story");
    assert_eq!((last.state.as_str(), last.code), ("failed", Some(Code::CardRequired)), "{last:?}");
}

#[test]
fn s8_after_a_restart_nothing_is_told_before_its_state_was_read_back() {
    let mut farm = Farm::brief();
    farm.approved();
    farm.run_seconds(2);
    assert!(farm.hardware.is_on(&pump()));
    let (on, before) = (farm.switched_on(), farm.hardware.writes().len());
    farm.restart();
    let safed: Vec<_> = farm.hardware.writes().into_iter().skip(before).collect();
    assert_eq!(safed, [(pump(), Setpoint::Off), (valve(), Setpoint::Off)], "in the order of the site");
    for _ in 0..4 {
        farm.speak();
        farm.lab.run_ticks(4);
    }
    // The parts are on their way to their safe state.
    let proposal = farm.proposal();
    let answer = farm.propose(&proposal);
    assert_eq!(code(&answer), Some((Code::StateUnknown, "known-state")), "{answer:?}");
    farm.assert_shown(Code::StateUnknown, "known-state");
    assert_eq!(farm.switched_on(), on);
    farm.run_seconds(1);
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}

#[test]
fn s15_an_actuator_whose_driver_has_not_said_a_word_is_listed_and_not_as_safe() {
    let mut farm = Farm::brief();
    farm.hardware.mute();
    farm.restart();
    farm.run_seconds(1);
    let rows = farm.lab.snapshot(FIELD).actuators.clone();
    assert_eq!(rows.len(), 5, "{rows:?}");
    assert!(rows.iter().all(|row| !row.answers && !row.is_safe && row.position.is_none()), "{rows:?}");
}

#[test]
fn s8_what_does_not_answer_after_a_restart_is_left_alone_and_refused() {
    let mut farm = Farm::brief();
    farm.hardware.cut(&valve(), true);
    farm.restart();
    farm.run_seconds(1);
    let proposal = farm.proposal();
    let answer = farm.propose(&proposal);
    farm.assert_refused(&answer, Code::InterlockOpen, "known-comms");
    assert_eq!(farm.hardware.writes(), []);
    farm.hardware.cut(&valve(), false);
    farm.run_seconds(1);
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}

impl Farm {
    /// The journal stands still, and the yes comes to something that was offered before: the tick decides, and nothing of it is
    /// durable.
    fn approved_while_the_journal_stands(&mut self) -> ProposalId {
        let proposal = self.proposal();
        assert_eq!(code(&self.propose(&proposal)), None);
        self.run_seconds(1);
        let offer = self.offer(proposal.id());
        self.lab.halt_journal(FIELD);
        self.answer_unheard(&ann(), &offer);
        proposal.id()
    }

    /// The journal goes on, and whatever waited for it is given time to move.
    #[track_caller]
    fn assert_nothing_moves_when_the_journal_goes_on(&mut self) {
        assert_eq!(self.hardware.writes(), []);
        self.lab.resume_journal(FIELD);
        self.run_seconds(3);
        assert_eq!(self.hardware.writes(), []);
    }
}

#[test]
fn s12_what_waits_for_the_journal_moves_as_soon_as_it_is_written_down_and_not_before() {
    let mut farm = Farm::brief();
    let id = farm.approved_while_the_journal_stands();
    farm.run_seconds(3);
    assert_eq!(farm.state(id), "dispatched", "nothing was wrong");
    assert_eq!(farm.hardware.writes(), []);
    farm.lab.resume_journal(FIELD);
    farm.run_seconds(1);
    assert_eq!(farm.state(id), "executing");
    assert_eq!(farm.switched_on(), [valve(), pump()]);
}

#[test]
fn s13_what_was_ordered_and_not_carried_out_yet_is_judged_as_what_runs() {
    let tagged = Value::Flag(true);
    let tag = "out-of-service/actuator:valve:valve-food-forest";
    for (is_tagged, cause, code) in
        [(true, Cause::LocalControl, Code::OutOfService), (false, Cause::Interlock, Code::InterlockOpen)]
    {
        let mut farm = Farm::brief();
        let id = farm.approved_while_the_journal_stands();
        farm.run_seconds(1);
        assert_eq!(farm.state(id), "dispatched", "the journal stands still");
        if is_tagged {
            farm.lab.record(FIELD, tag, tagged.clone());
        } else {
            farm.weather.tank_percent = 5.0;
        }
        farm.run_seconds(2);
        let report = farm.report(id);
        assert_eq!(report.state, State::Failed { cause }, "{:#?}", report.story);
        assert_eq!(report.story.last().and_then(|entry| entry.code), Some(code));
        farm.assert_nothing_moves_when_the_journal_goes_on();
    }
}

#[test]
fn s13_what_is_called_off_while_it_waits_for_the_journal_never_moves() {
    // In the tick of the yes, before its drivers have heard of it, and while they wait.
    for after_ticks in [0, 1, 2, 100] {
        let mut farm = Farm::brief();
        let id = farm.approved_while_the_journal_stands();
        farm.lab.run_ticks(after_ticks);
        farm.ask_unheard(&bo(), RequestBody::Withdraw { proposal: id, why: "it rains".to_owned() });
        farm.run_seconds(1);
        assert_eq!(farm.state(id), "cancelled", "after {after_ticks} ticks");
        farm.assert_nothing_moves_when_the_journal_goes_on();
        let good = farm.proposal();
        farm.assert_goes_through(&good);
    }
}

#[test]
fn s6_what_waited_for_the_journal_when_the_stop_came_never_moves_also_after_a_re_arm() {
    for after_ticks in [0, 1, 2, 100] {
        let mut farm = Farm::brief();
        let id = farm.approved_while_the_journal_stands();
        farm.lab.run_ticks(after_ticks);
        farm.lab.stop(FIELD, "smoke");
        farm.run_seconds(1);
        farm.ask_unheard(&ann(), RequestBody::Rearm { why: "the fire is out".to_owned() });
        farm.run_seconds(1);
        assert!(farm.lab.snapshot(FIELD).stop.is_some(), "nothing ends before that is written down");
        farm.assert_nothing_moves_when_the_journal_goes_on();
        assert_eq!(farm.lab.snapshot(FIELD).stop, None, "after {after_ticks} ticks");
        let last = farm.report(id).story.last().expect("it has a story").clone();
        let ended = if after_ticks == 0 { "cancelled" } else { "failed" };
        assert_eq!((last.state.as_str(), last.code), (ended, Some(Code::StopLatched)), "{last:?}");
        let good = farm.proposal();
        farm.assert_goes_through(&good);
    }
}

#[test]
fn s12_what_waits_for_a_journal_that_fails_never_moves() {
    // Before its drivers have heard of it, while they wait, and when its own cause was still written.
    for (stands_still, after_ticks) in [(true, 1), (true, 2), (true, 100), (false, JOURNAL_LAG_TICKS + 1)] {
        let mut farm = Farm::brief();
        let id = farm.approved_while_the_journal_stands();
        if !stands_still {
            farm.lab.resume_journal(FIELD);
        }
        farm.lab.run_ticks(after_ticks);
        farm.lab.fail_journal(FIELD, "the disk is full");
        farm.run_seconds(3);
        assert_eq!(farm.hardware.writes(), [], "after {after_ticks} ticks");
        let State::Failed { cause: Cause::Driver(why) } = farm.report(id).state else {
            panic!("{:#?}", farm.report(id).story);
        };
        assert!(why.contains("the journal"), "{why}");
        farm.restart();
        farm.run_seconds(5);
        assert_eq!(farm.hardware.writes(), []);
        if stands_still {
            // The yes was never written down: somebody is asked anew.
            let offer = farm.offer(id);
            farm.assert_carried_out(&offer);
        } else {
            assert_eq!(farm.report(id).state, State::Failed { cause: Cause::OutcomeUnknown });
            let good = farm.proposal();
            farm.assert_goes_through(&good);
        }
    }
}
