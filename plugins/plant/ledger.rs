//! Where the water is and where it went, in litres.

/// Where the water of a plant is, where it came from and where it went.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ledger {
    /// What was there at the beginning.
    pub began_with_l: f64,
    /// What the source has given.
    pub supplied_l: f64,
    /// What has rained on the watered ground.
    pub rained_l: f64,
    /// What is in the tank.
    pub tank_l: f64,
    /// What the pressure holds in the vessel and the pipes, beyond what they hold without pressure.
    pub pressed_l: f64,
    /// What stands on the ground.
    pub ponded_l: f64,
    /// What the soil holds.
    pub soil_l: f64,
    /// What plants and sun have taken.
    pub evaporated_l: f64,
    /// What has sunk below the lowest layer.
    pub drained_l: f64,
    /// What has run off the ground.
    pub ran_off_l: f64,
    /// What leaks have lost.
    pub leaked_l: f64,
}

impl Ledger {
    /// What is still there.
    #[must_use]
    pub fn held_l(&self) -> f64 {
        self.tank_l + self.pressed_l + self.ponded_l + self.soil_l
    }

    /// What came in, with what was there at the beginning.
    #[must_use]
    pub fn received_l(&self) -> f64 {
        self.began_with_l + self.supplied_l + self.rained_l
    }

    /// What nobody can account for: rounding, or an error in the plant.
    #[must_use]
    pub fn unaccounted_l(&self) -> f64 {
        let left_l = self.evaporated_l + self.drained_l + self.ran_off_l + self.leaked_l;
        self.received_l() - self.held_l() - left_l
    }
}
