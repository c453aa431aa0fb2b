//! A node that was restored from a backup has forgotten what it did since that was made. It revives nothing of it.

use clawmesh_authority::request;
use clawmesh_authority::{AskKind, Code, RequestBody};
use clawmesh_core::intake::{InputBody, SourceId};
use clawmesh_lab::Lab;

use super::rig::{CENTER, FIELD, Farm, code, gus, pump, valve};

const DAY_AND_AN_HOUR_MS: i64 = 25 * 3_600_000;

fn rearm() -> RequestBody {
    RequestBody::Rearm { why: "everything was looked at".to_owned() }
}

/// The field node starts, as a node does whose state dir says that it was restored at this moment.
fn start_restored(farm: &mut Farm, at_unix_ms: u64) {
    farm.restart();
    farm.lab.offer(FIELD, SourceId::Journal, InputBody::Restored { at_unix_ms });
}

/// Somebody has looked at the actuators and says so.
fn in_service(farm: &mut Farm) {
    for actuator in [pump(), valve()] {
        farm.untag(&actuator);
    }
    farm.run_seconds(1);
}

#[test]
fn s4_what_was_signed_before_a_restore_passes_neither_for_the_first_time_nor_again() {
    let mut farm = Farm::brief();
    let proposal = farm.proposal();
    // The backup was made before these came, so the journal that comes back has no mark of them.
    let asked = farm.request(RequestBody::Propose(proposal.clone()));
    let asked = request::seal(&Lab::key_of(1), &asked);
    let rearmed = farm.request(rearm());
    let rearmed = request::seal(&gus(), &rearmed);
    let at_unix_ms = farm.lab.now_ms();
    start_restored(&mut farm, at_unix_ms);
    let stop = InputBody::StopLatched { reason: "restored from a backup".to_owned(), stops: 0 };
    farm.lab.offer(FIELD, SourceId::Journal, stop);
    farm.run_seconds(3);
    for bytes in [rearmed, asked] {
        let answer = farm.lab.ask(FIELD, AskKind::Request, bytes);
        farm.assert_refused(&answer, Code::Replayed, "request.restored");
    }
    // A clock that was behind at the restore is set right: what was signed and used in between is no longer too early.
    let between = farm.request(rearm());
    let between = request::seal(&gus(), &between);
    let lost = farm.proposal();
    let lost = farm.request(RequestBody::Propose(lost));
    farm.set_clocks_forward(600_000);
    let answer = farm.lab.ask(FIELD, AskKind::Request, between);
    farm.assert_refused(&answer, Code::Replayed, "request.restored");
    assert_eq!(code(&farm.ask_as(&gus(), rearm())), None, "a new one ends the stop");
    let answer = farm.lab.ask(FIELD, AskKind::Request, request::seal(&Lab::key_of(1), &lost));
    farm.assert_refused(&answer, Code::Replayed, "request.restored");
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

/// The twin of the attack.
#[test]
fn without_a_restore_what_was_signed_earlier_passes_once() {
    for is_rearm in [false, true] {
        let mut farm = Farm::brief();
        let proposal = farm.proposal();
        let body = if is_rearm { rearm() } else { RequestBody::Propose(proposal) };
        farm.restart();
        if is_rearm {
            let stop = InputBody::StopLatched { reason: "smoke".to_owned(), stops: 0 };
            farm.lab.offer(FIELD, SourceId::Journal, stop);
        }
        farm.run_seconds(3);
        let request = farm.request(body);
        if is_rearm {
            farm.set_clocks_forward(600_000);
        }
        let (node, person) = (request::seal(&Lab::key_of(1), &request), request::seal(&gus(), &request));
        let bytes = if is_rearm { person } else { node };
        assert_eq!(code(&farm.lab.ask(FIELD, AskKind::Request, bytes)), None, "{is_rearm}");
    }
}

#[test]
fn s14_after_a_restore_an_actuator_is_in_service_only_when_somebody_says_so_again() {
    let mut farm = Farm::brief();
    // It was in service when the backup was made, and is tagged since; the tag is lost with the disk.
    let at_unix_ms = farm.lab.now_ms();
    start_restored(&mut farm, at_unix_ms);
    farm.set_clocks_forward(DAY_AND_AN_HOUR_MS);
    start_restored(&mut farm, at_unix_ms);
    farm.run_seconds(3);
    let eager = farm.proposal();
    let answer = farm.propose(&eager);
    farm.assert_refused(&answer, Code::OutOfService, "out-of-service");
    in_service(&mut farm);
    let good = farm.proposal();
    farm.assert_goes_through(&good);
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn s11_after_a_restore_every_budget_is_used_up_for_a_day_and_not_for_longer() {
    let mut farm = Farm::brief();
    let at_unix_ms = farm.lab.now_ms();
    start_restored(&mut farm, at_unix_ms);
    farm.run_seconds(3);
    in_service(&mut farm);
    let eager = farm.proposal();
    let answer = farm.propose(&eager);
    farm.assert_refused(&answer, Code::BudgetExceeded, "zone-bounds");
    farm.set_clocks_forward(DAY_AND_AN_HOUR_MS);
    // What was kept of it outlives the next start, which says the same again: nothing is used up twice.
    start_restored(&mut farm, at_unix_ms);
    farm.run_seconds(3);
    let patient = farm.proposal();
    farm.assert_goes_through(&patient);
    for node in [CENTER, FIELD] {
        assert_eq!(farm.lab.replay(node).difference, None);
    }
}

#[test]
fn nobody_but_the_journal_says_that_a_node_was_restored() {
    let mut farm = Farm::brief();
    for source in [SourceId::Gateway, SourceId::Runner, SourceId::Bridge] {
        farm.lab.offer(FIELD, source, InputBody::Restored { at_unix_ms: u64::MAX });
    }
    farm.run_seconds(1);
    farm.assert_shown(Code::NotAuthorized, "recall.journal");
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}
