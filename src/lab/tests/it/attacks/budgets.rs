//! What is used up stays used up.

use clawmesh_authority::{Code, Proposal};
use clawmesh_core::intake::{InputBody, SourceId};

use crate::proposals::rig::{FIELD, Farm};

/// A farm whose food forest may have eight seconds of water a day, of which six are used.
fn nearly_used_up() -> (Farm, Proposal) {
    let mut farm = Farm::brief_with(|policy| {
        let zone = policy.budgets.iter_mut().find(|budget| budget.of == "z-food-forest-core");
        zone.expect("it has a budget").seconds_per_day_max = 8.0;
    });
    let first = farm.proposal();
    farm.carries_out(&first);
    farm.run_seconds(12);
    assert_eq!(farm.state(first.id()), "completed");
    (farm, first)
}

fn is_used_up(farm: &mut Farm) {
    let proposal = farm.proposal();
    farm.repels(Code::BudgetExceeded, "zone-bounds", |farm| farm.propose(&proposal));
    farm.for_s = 1.0;
    let less = farm.proposal();
    farm.carries_out(&less);
}

#[test]
fn a_budget_that_is_used_up() {
    let (mut farm, _) = nearly_used_up();
    is_used_up(&mut farm);
}

#[test]
fn a_budget_that_a_restart_would_fill() {
    let (mut farm, _) = nearly_used_up();
    farm.restart();
    farm.run_seconds(3);
    is_used_up(&mut farm);
}

#[test]
fn a_budget_that_a_clock_would_fill() {
    let (mut farm, _) = nearly_used_up();
    farm.set_clocks_forward(26 * 3_600_000);
    farm.run_seconds(4);
    is_used_up(&mut farm);
}

#[test]
fn a_budget_that_a_backup_would_fill() {
    let (mut farm, _) = nearly_used_up();
    let at_unix_ms = farm.lab.now_ms();
    farm.restart();
    farm.lab.offer(FIELD, SourceId::Journal, InputBody::Restored { at_unix_ms });
    for actuator in [crate::proposals::rig::pump(), crate::proposals::rig::valve()] {
        farm.run_seconds(2);
        farm.untag(&actuator);
    }
    farm.run_seconds(2);
    farm.for_s = 1.0;
    let proposal = farm.proposal();
    farm.repels(Code::BudgetExceeded, "zone-bounds", |farm| farm.propose(&proposal));
}
