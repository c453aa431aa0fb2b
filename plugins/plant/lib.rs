//! The stand-in plant: a farm with pump, valves, pipes, soil and weather, for runs without a farm.
//! Reads/Writes: nothing; it is told how much time passed and what was switched, and says what its sensors show.
//! Invariant: a run is a function of the file, the seed, the faults and the calls; no water appears or vanishes.
//! Not here: the model it is compared with (`twin`), clocks, files and sockets (whoever runs it), what may be switched
//! (`core`). It shares no equation with the twin: pressures are states that move, flows follow from openings, the pump
//! obeys a pressure switch, and the soil has layers.

mod breaking;
mod device;
mod error;
mod fault;
mod file;
mod ledger;
mod lot;
mod measures;
mod mock;
mod motor;
mod opening;
mod outlet;
mod plant;
mod rng;
mod sensor;
mod soil;
mod station;
mod time;
mod truth;
mod validity;
mod valve;
mod walker;
mod weather;
mod zone;

pub use device::{DeviceState, Hands, WriteFault};
pub use error::PlantError;
pub use fault::{Fault, Lie, PlannedFault, UnknownFault};
pub use file::{
    Filter, Layer, Mainline, OnSilence, Outlet, Person, PlantFile, Pump, Rover, Soil, Source, Tank, Weather,
    Zone,
};
pub use ledger::Ledger;
pub use measures::{Measures, Sensor};
pub use mock::MockSoil;
pub use plant::Plant;
pub use sensor::PlantSensor;
pub use time::{SPEED_MAX, STEP_S};
pub use truth::{Truth, ZoneTruth};
