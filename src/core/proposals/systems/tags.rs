//! Notes about actuators that are out of service.

use bevy::prelude::*;
use clawmesh_authority::{Capability, Code, Refused, canonical};

use super::now::{Now, OUT_OF_SERVICE};
use super::shared::Mover;
use crate::proposals::kept;
use crate::proposals::tags::{Noted, Tags};
use crate::replay::Keeping;
use crate::site::Actuator;
use crate::world::{Belief, BeliefIndex};

/// Heeds what is noted about the actuators of this owner.
pub fn heed_notes(
    actuators: Query<&Actuator>,
    beliefs: Res<BeliefIndex>,
    held: Query<&Belief>,
    mut tags: ResMut<Tags>,
    mut now: ResMut<Now>,
    mut keeping: ResMut<Keeping>,
    mut mover: Mover,
) {
    let mut noted: Vec<(&Capability, &Belief)> = actuators
        .iter()
        .filter_map(|actuator| {
            let entity = beliefs.0.get(&format!("{OUT_OF_SERVICE}{}", actuator.0))?;
            Some((&actuator.0, held.get(*entity).ok()?))
        })
        .collect();
    noted.sort_by_key(|(actuator, _)| *actuator);
    for (actuator, belief) in noted {
        let before = tags.clone();
        match tags.bypass_change_detection().note(actuator, &belief.value, belief.hlc) {
            Noted::Nothing => {}
            Noted::Set => set_now(&mut now, actuator),
            Noted::Refused => {
                let sentence = format!(
                    "a note does not put {actuator} back into service; whoever has looked at it does: clawmesh untag"
                );
                let refused = Refused::new(Code::NotAuthorized, "tag.person", sentence);
                mover.show(&belief.source.to_string(), &refused);
            }
        }
        if *tags != before {
            tags.set_changed();
            keeping.keep(kept::TAGS, canonical::encode(&*tags));
        }
    }
}

/// It holds in this tick, too.
pub fn set_now(now: &mut Now, actuator: &Capability) {
    now.live.actuators.entry(actuator.clone()).or_default().out_of_service = true;
}
