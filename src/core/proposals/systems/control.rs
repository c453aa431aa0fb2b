//! Control that ends by itself.

use bevy::prelude::*;

use super::now::Now;
use super::shared::Mover;
use crate::proposals::components::Spending;
use crate::proposals::control::Control;
use crate::replay::Keeping;
use crate::safety::StopState;

/// Ends control that is over, and hands over what somebody has asked for long enough ago.
pub fn settle_control(
    spending: Res<Spending>,
    mut control: ResMut<Control>,
    mut now: ResMut<Now>,
    mut keeping: ResMut<Keeping>,
    mover: Mover,
) {
    if !control.is_any() {
        return;
    }
    let counted_ms = mover.here.ledger_ms(&spending);
    if control.bypass_change_detection().settle(counted_ms) {
        control.set_changed();
        control.keep(&mut keeping);
    }
    now.live.controlled = control.in_force(mover.here.people());
}

/// A stop ends all control: after it nobody has more than anybody else.
pub fn end_control(
    stop: Res<StopState>,
    mut control: ResMut<Control>,
    mut now: ResMut<Now>,
    mut keeping: ResMut<Keeping>,
) {
    if stop.reason.is_some() && control.is_any() {
        control.end();
        control.keep(&mut keeping);
        now.live.controlled.clear();
    }
}
