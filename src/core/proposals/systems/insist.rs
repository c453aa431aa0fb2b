//! What a guest took proves nothing: it is told again until a sensor shows it, or a person sees to it.

use bevy::prelude::*;

use super::now::Known;
use super::shared::{Due, Here};

/// How often it is told, milliseconds: a guest takes a hundred messages a minute for everything.
const INSIST_EVERY_MS: u64 = 15_000;

/// Has what no sensor shows to be safe told again.
pub fn insist(here: Here, known: Known, mut due: ResMut<Due>) {
    if !here.tick.0.is_multiple_of(here.settings.ticks_of_ms(INSIST_EVERY_MS)) {
        return;
    }
    let unshown = known.unshown();
    if !unshown.is_empty() {
        due.safe.push((unshown, "no sensor shows that it is safe".to_owned()));
    }
}
