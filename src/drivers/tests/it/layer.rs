//! The order of the site, the commit, the stop, the deadline, the lease, the hand.

use clawmesh_authority::Setpoint;
use clawmesh_core::intake::{DriverReport, SafeBecause};
use clawmesh_core::site::DriverPort as _;

use crate::allowed::{command, plan, pump, valve};
use crate::wire::Rig;

/// A lease that lasts as long as the test.
const LONG_MS: u64 = 3_600_000;

#[test]
fn at_the_start_everything_is_made_safe_in_the_order_of_the_site_and_read_back() {
    let rig = Rig::start(&[valve(), pump()], &[], LONG_MS);
    assert_eq!(rig.next_write(), ("make_safe", pump(), Setpoint::Off));
    assert_eq!(rig.next_write(), ("make_safe", valve(), Setpoint::Off));
    for actuator in [pump(), valve()] {
        rig.wait_told(|report| {
            matches!(report, DriverReport::Seen { actuator: of, seen }
                if *of == actuator && seen.position == Some(Setpoint::Off))
        });
    }
    assert_eq!(rig.close().0, [], "what is safe is not written again");
}

#[test]
fn what_is_safe_already_is_not_written_and_what_a_hand_holds_is_left_alone() {
    let rig = Rig::start(&[valve()], &[valve()], LONG_MS);
    let left = rig.wait_told(|report| matches!(report, DriverReport::MadeSafe { fault: Some(_), .. }));
    let DriverReport::MadeSafe { actuator, fault, .. } = left else { unreachable!() };
    assert_eq!(actuator, valve());
    assert!(fault.unwrap().contains("under local control"));
    assert_eq!(rig.positions()[&valve()], Some(Setpoint::On), "hands win");
    assert_eq!(rig.close().0, []);
}

#[test]
fn nothing_is_driven_before_its_cause_is_durable() {
    let rig = Rig::start(&[], &[], LONG_MS);
    rig.orders.carry(command(&valve(), 60.0), 7, rig.latch.stops()).unwrap();
    rig.orders.make_safe([pump()].into(), "a write that is not waited for").unwrap();
    rig.commits.commit(6);
    // The order to make the pump safe came later and was taken: the command before it waits for row 7.
    rig.wait_told(|report| matches!(report, DriverReport::MadeSafe { because: SafeBecause::Ordered(_), .. }));
    assert_eq!(rig.positions()[&valve()], Some(Setpoint::Off));
    rig.commits.commit(7);
    assert_eq!(rig.next_write(), ("drive", valve(), Setpoint::On));
    rig.wait_told(|report| matches!(report, DriverReport::Carried { step: 0, .. }));
    assert_eq!(rig.close().0, [("make_safe", valve(), Setpoint::Off)], "when the node ends, it is made safe");
}

#[test]
fn when_the_journal_fails_what_waits_for_it_is_never_driven() {
    let rig = Rig::start(&[], &[], LONG_MS);
    rig.orders.carry(command(&valve(), 60.0), 7, rig.latch.stops()).unwrap();
    rig.commits.fail("the disk is full");
    let told = rig.wait_told(|report| matches!(report, DriverReport::NotCarried { .. }));
    let DriverReport::NotCarried { why, .. } = told else { unreachable!() };
    assert!(why.contains("did not write its cause down"), "{why}");
    assert_eq!(rig.close().0, []);
}

#[test]
fn when_the_journal_fails_what_runs_is_made_safe() {
    let rig = Rig::start(&[], &[], LONG_MS);
    rig.commits.commit(1);
    rig.orders.carry(command(&valve(), 60.0), 1, rig.latch.stops()).unwrap();
    assert_eq!(rig.next_write(), ("drive", valve(), Setpoint::On));
    rig.commits.fail("the disk is full");
    assert_eq!(rig.next_write(), ("make_safe", valve(), Setpoint::Off));
    rig.wait_told(|report| {
        matches!(
            report,
            DriverReport::MadeSafe { because: SafeBecause::JournalFailed, proposal: Some(_), .. }
        )
    });
    assert_eq!(rig.close().0, []);
}

#[test]
fn a_stop_ends_what_runs_without_a_tick_and_after_the_rearm_nothing_goes_on() {
    let rig = Rig::start(&[], &[], LONG_MS);
    rig.commits.commit(9);
    rig.orders.carry(command(&valve(), 60.0), 1, rig.latch.stops()).unwrap();
    assert_eq!(rig.next_write(), ("drive", valve(), Setpoint::On));
    // Waits for a row that will come after the stop.
    rig.orders.carry(command(&pump(), 60.0), 10, rig.latch.stops()).unwrap();
    rig.latch.set("a person pressed it").unwrap();
    assert_eq!(rig.next_write(), ("make_safe", valve(), Setpoint::Off));
    // Ordered while it is latched, and taken by the layer at any time from now on.
    rig.orders.carry(command(&valve(), 60.0), 1, rig.latch.stops()).unwrap();
    rig.latch.rearm().unwrap();
    rig.commits.commit(10);
    rig.orders.carry(command(&pump(), 0.05), 1, rig.latch.stops()).unwrap();
    assert_eq!(rig.next_write(), ("drive", pump(), Setpoint::On), "a new command, not an old one");
    assert_eq!(rig.next_write(), ("make_safe", pump(), Setpoint::Off));
    let (writes, told) = rig.close();
    assert_eq!(writes, []);
    let not_carried = told.iter().filter(|report| matches!(report, DriverReport::NotCarried { .. }));
    assert_eq!(not_carried.count(), 2, "{told:?}");
}

#[test]
fn a_stop_that_is_over_before_the_layer_looks_still_voids_what_was_ordered_before_it() {
    for _ in 0..50 {
        let rig = Rig::start(&[], &[], LONG_MS);
        rig.orders.carry(command(&valve(), 60.0), 1, rig.latch.stops()).unwrap();
        rig.latch.set("pressed").unwrap();
        rig.latch.rearm().unwrap();
        rig.commits.commit(1);
        let told = rig.wait_told(|report| matches!(report, DriverReport::NotCarried { .. }));
        let DriverReport::NotCarried { why, .. } = told else { unreachable!() };
        assert!(why.contains("before the last stop"), "{why}");
        assert_eq!(rig.close().0, []);
    }
}

#[test]
fn what_the_tick_decided_before_it_had_heard_of_a_stop_is_void() {
    let rig = Rig::start(&[], &[], LONG_MS);
    rig.commits.commit(1);
    let heard = rig.latch.stops();
    rig.latch.set("pressed").unwrap();
    rig.latch.rearm().unwrap();
    rig.orders.carry(command(&valve(), 60.0), 1, heard).unwrap();
    rig.wait_told(|report| matches!(report, DriverReport::NotCarried { .. }));
    // Its twin, decided by a tick that had heard of it.
    rig.orders.carry(command(&valve(), 60.0), 1, rig.latch.stops()).unwrap();
    assert_eq!(rig.next_write(), ("drive", valve(), Setpoint::On));
    rig.close();
}

#[test]
fn what_one_proposal_switched_on_ends_together_and_in_the_order_of_the_site() {
    let rig = Rig::start(&[], &[], LONG_MS);
    rig.commits.commit(1);
    for command in plan(&[(&valve(), 0.2), (&pump(), 60.0)]) {
        rig.orders.carry(command, 1, 0).unwrap();
    }
    assert_eq!(rig.next_write(), ("drive", valve(), Setpoint::On));
    assert_eq!(rig.next_write(), ("drive", pump(), Setpoint::On));
    // The time of the valve is over; the pump is stopped first, as the site says.
    assert_eq!(rig.next_write(), ("make_safe", pump(), Setpoint::Off));
    assert_eq!(rig.next_write(), ("make_safe", valve(), Setpoint::Off));
    assert_eq!(rig.close().0, []);
}

#[test]
fn what_could_not_be_made_safe_is_tried_until_it_is() {
    let rig = Rig::start(&[], &[], LONG_MS);
    rig.commits.commit(1);
    rig.orders.carry(command(&valve(), 60.0), 1, 0).unwrap();
    assert_eq!(rig.next_write(), ("drive", valve(), Setpoint::On));
    rig.wire.hardware.lock().unwrap().set_local_control(&valve(), true);
    rig.orders.make_safe([valve()].into(), "drill").unwrap();
    rig.wait_told(|report| matches!(report, DriverReport::MadeSafe { fault: Some(_), .. }));
    rig.wire.hardware.lock().unwrap().set_local_control(&valve(), false);
    assert_eq!(rig.next_write(), ("make_safe", valve(), Setpoint::Off));
    assert_eq!(rig.close().0, []);
}

#[test]
fn what_runs_ends_when_its_time_is_over() {
    let rig = Rig::start(&[], &[], LONG_MS);
    rig.commits.commit(1);
    rig.orders.carry(command(&valve(), 0.05), 1, rig.latch.stops()).unwrap();
    assert_eq!(rig.next_write(), ("drive", valve(), Setpoint::On));
    assert_eq!(rig.next_write(), ("make_safe", valve(), Setpoint::Off));
    let told = rig.wait_told(|report| matches!(report, DriverReport::MadeSafe { proposal: Some(_), .. }));
    let DriverReport::MadeSafe { because, proposal, fault, .. } = told else { unreachable!() };
    assert_eq!((because, fault), (SafeBecause::TimeIsOver, None));
    assert_eq!(proposal, Some(command(&valve(), 0.05).proposal()));
    rig.close();
}

#[test]
fn what_the_tick_does_not_renew_in_time_is_made_safe_without_it() {
    let rig = Rig::start(&[], &[], 50);
    rig.commits.commit(1);
    rig.orders.renew();
    rig.orders.carry(command(&valve(), 60.0), 1, rig.latch.stops()).unwrap();
    assert_eq!(rig.next_write(), ("drive", valve(), Setpoint::On));
    assert_eq!(rig.next_write(), ("make_safe", valve(), Setpoint::Off));
    rig.wait_told(|report| matches!(report, DriverReport::MadeSafe { because: SafeBecause::LeaseLost, .. }));
    rig.close();
}

#[test]
fn a_command_against_a_hand_is_not_carried() {
    let rig = Rig::start(&[], &[], LONG_MS);
    rig.commits.commit(1);
    rig.wire.hardware.lock().unwrap().set_local_control(&valve(), true);
    rig.orders.carry(command(&valve(), 60.0), 1, rig.latch.stops()).unwrap();
    rig.wait_told(|report| {
        matches!(report, DriverReport::NotCarried { why, .. } if why.contains("under local control"))
    });
    rig.wait_told(|report| matches!(report, DriverReport::Seen { seen, .. } if seen.local_control));
    assert_eq!(rig.close().0, []);
}
