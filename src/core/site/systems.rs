//! Systems that follow what the driver layer says.

use bevy::prelude::*;

use super::components::{Actuator, DriversPort, Stands};
use crate::clock::Tick;
use crate::intake::{DriverReport, InputBody, TickBatch};
use crate::replay::DomainId;

/// An actuator is met when its driver first speaks of it.
pub(super) fn meet_actuators(batch: Res<TickBatch>, known: Query<&Actuator>, mut commands: Commands) {
    let mut met: Vec<&Actuator> = known.iter().collect();
    let mut new: Vec<Actuator> = Vec::new();
    for stamped in batch.iter() {
        if let InputBody::Driver(DriverReport::Seen { actuator, .. }) = &stamped.input.body {
            new.push(Actuator(actuator.clone()));
        }
    }
    met.sort();
    new.sort();
    new.dedup();
    for actuator in new {
        if met.binary_search(&&actuator).is_err() {
            let id = DomainId::of("actuator", &[actuator.0.as_str().as_bytes()]);
            commands.spawn((actuator, id));
        }
    }
}

/// Takes over what the hardware said.
pub(super) fn follow_drivers(
    tick: Res<Tick>,
    batch: Res<TickBatch>,
    mut actuators: Query<(&Actuator, &mut Stands)>,
) {
    for stamped in batch.iter() {
        let InputBody::Driver(report) = &stamped.input.body else { continue };
        let about = match report {
            DriverReport::Seen { actuator, .. } | DriverReport::MadeSafe { actuator, .. } => actuator,
            DriverReport::Carried { .. } | DriverReport::NotCarried { .. } => continue,
        };
        // A node has a handful of actuators; which of them it is does not depend on the order of the query.
        let found = actuators.iter_mut().find(|(actuator, _)| actuator.0 == *about);
        let Some((_, mut stands)) = found else { continue };
        match report {
            DriverReport::Seen { seen, .. } => {
                stands.seen = *seen;
                stands.since_tick = tick.0;
            }
            DriverReport::MadeSafe { fault, .. } => stands.unsafe_because.clone_from(fault),
            DriverReport::Carried { .. } | DriverReport::NotCarried { .. } => {}
        }
    }
}

/// As long as ticks come, what runs may go on.
pub(super) fn renew_leases(port: Res<DriversPort>) {
    port.0.renew();
}
