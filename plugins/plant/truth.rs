//! What is true of a plant at a moment, for tests and for people who look behind the curtain. No sensor shows it.

/// What is true of a plant.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// The time of the plant.
    pub plant_s: f64,
    /// How full the tank is.
    pub tank_percent: f64,
    /// The pressure that the switch of the pump feels.
    pub vessel_kpa: f64,
    /// The pressure before the valves.
    pub mainline_kpa: f64,
    /// What enters the mainline; below 0 it comes back.
    pub mainline_flow_lpm: f64,
    /// What the pump draws.
    pub pump_w: f64,
    /// Whether its motor turns.
    pub is_pump_turning: bool,
    /// How clogged the filter is, 0 to 1.
    pub clog: f64,
    /// How warm the air is.
    pub temperature_c: f64,
    /// How fast the air moves.
    pub wind_mps: f64,
    /// What fell in the last hour.
    pub rain_of_last_hour_mm: f64,
    /// The zones, in the order of the file.
    pub zones: Vec<ZoneTruth>,
}

/// What is true of a zone.
#[derive(Debug, Clone, PartialEq)]
pub struct ZoneTruth {
    /// The zone of the site.
    pub zone: String,
    /// How far its valve is open, 0 to 1.
    pub valve: f64,
    /// The pressure behind the valve.
    pub line_kpa: f64,
    /// What reaches the ground.
    pub outflow_lpm: f64,
    /// The water in the layers of its soil, from the top down.
    pub layers_percent: Vec<f64>,
}
