//! The true numbers of a plant, as they stand in its file. They are nobody's business but the plant's.

use clawmesh_authority::Capability;
use serde::{Deserialize, Serialize};

use crate::measures::Sensor;

/// A plant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlantFile {
    /// The site it stands in for.
    pub site: String,
    /// What fills the tank.
    pub source: Source,
    /// What stores the water.
    pub tank: Tank,
    /// What presses it into the pipes.
    pub pump: Pump,
    /// What cleans it.
    pub filter: Filter,
    /// What leads to the valves.
    pub mainline: Mainline,
    /// What is watered, one valve each.
    pub zones: Vec<Zone>,
    /// The sky above it.
    pub weather: Weather,
    /// What could drive and stands at home.
    #[serde(default)]
    pub rovers: Vec<Rover>,
    /// Who walks around.
    #[serde(default)]
    pub people: Vec<Person>,
    /// What senses.
    pub sensors: Vec<Sensor>,
}

/// What fills the tank, through a float that opens low and closes high.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What it gives while the float is open.
    pub yield_lpm: f64,
    /// The float opens below this level.
    pub opens_below_percent: f64,
    /// The float closes at this level.
    pub closes_at_percent: f64,
}

/// What stores the water.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tank {
    /// What it holds.
    pub capacity_l: f64,
    /// How high the water stands in it when it is full.
    pub depth_m: f64,
    /// How high its floor is above the valves.
    pub floor_m: f64,
    /// Its level at the beginning.
    pub level_percent: f64,
}

/// The pump with its motor, its pressure switch and the small vessel that the switch feels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pump {
    /// The relay that enables it.
    pub device: Capability,
    /// What the relay does when its node vanishes.
    pub on_silence: OnSilence,
    /// What it moves against no pressure.
    pub flow_lpm_max: f64,
    /// The pressure against which it moves nothing.
    pub shut_kpa: f64,
    /// How its flow falls with the pressure: 1 is a straight line, more keeps the flow longer.
    pub slip_exponent: f64,
    /// What it draws at its full flow.
    pub power_w: f64,
    /// How many times that it draws when it begins to turn.
    pub inrush_times: f64,
    /// How long the motor takes for two thirds of its speed.
    pub starts_in_s: f64,
    /// What it loses of its strength in an hour of running, in hundredths.
    pub wear_percent_per_hour: f64,
    /// What is left of its strength when the fault says that it is worn, in hundredths.
    pub worn_percent: f64,
    /// The switch starts the motor below this.
    pub cut_in_kpa: f64,
    /// The switch stops the motor at this.
    pub cut_out_kpa: f64,
    /// Below this level of the tank the motor is kept from running dry.
    pub dry_below_percent: f64,
    /// From this level on it may run again.
    pub dry_until_percent: f64,
    /// What passes through it while it stands, at a loss of 100 kPa.
    pub standing_lpm_at_100_kpa: f64,
    /// What the vessel takes for each kilopascal.
    pub vessel_l_per_kpa: f64,
}

/// What cleans the water.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// What passes through it at a loss of 100 kPa when it is clean.
    pub clean_lpm_at_100_kpa: f64,
    /// How many litres clog it for good.
    pub clogs_after_l: f64,
}

/// What leads from the filter to the valves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mainline {
    /// What passes through it at a loss of 100 kPa.
    pub lpm_at_100_kpa: f64,
    /// What it takes for each kilopascal: its walls give way, and there is always some air.
    pub l_per_kpa: f64,
}

/// A valve, the line behind it, where the line ends, and the soil there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// The zone of the site.
    pub zone: String,
    /// The valve.
    pub device: Capability,
    /// What the valve does when its node vanishes.
    pub on_silence: OnSilence,
    /// How long it takes from end to end.
    pub stroke_s: f64,
    /// What passes through the open valve and its line at a loss of 100 kPa.
    pub line_lpm_at_100_kpa: f64,
    /// What the line takes for each kilopascal.
    pub line_l_per_kpa: f64,
    /// Where the line ends.
    pub outlet: Outlet,
    /// The soil there.
    pub soil: Soil,
}

/// Where a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Outlet {
    /// In emitters that keep their flow from some pressure on.
    Emitters {
        /// How many are not blocked.
        count: u32,
        /// What one gives at the pressure from which it is full.
        lph: f64,
        /// The pressure from which it is full.
        full_from_kpa: f64,
        /// How its flow grows below that pressure.
        exponent_below: f64,
        /// How much more it gives for 100 kPa above that pressure, as a share.
        creep_per_100_kpa: f64,
    },
    /// In an open end.
    OpenEnd {
        /// What leaves it at 100 kPa.
        lpm_at_100_kpa: f64,
    },
}

/// The watered strip of soil under an outlet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Soil {
    /// How large the strip is.
    pub area_m2: f64,
    /// How fast water enters the soil.
    pub infiltration_mm_per_h: f64,
    /// How high water stands before it runs off.
    pub ponds_mm: f64,
    /// What plants take here, against what the air asks for.
    pub crop_factor: f64,
    /// From the top down; the probe is in the second one.
    pub layers: Vec<Layer>,
}

/// A layer of soil.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// How thick it is.
    pub thickness_mm: f64,
    /// Its water at the beginning.
    pub at_start_percent: f64,
    /// Below this, plants get nothing out of it.
    pub wilting_percent: f64,
    /// Above this, water sinks out of it by its weight.
    pub field_capacity_percent: f64,
    /// It takes no more than this.
    pub saturated_percent: f64,
    /// How long two thirds of the water above the field capacity take to sink.
    pub sinks_in_s: f64,
    /// How fast water spreads to the layer below for each hundredth that this one is wetter, and back.
    pub spreads_mm_per_h: f64,
    /// The share of the roots that is in it.
    pub roots: f64,
}

/// The sky.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weather {
    /// The hour of the day at the beginning.
    pub begins_at_hour: f64,
    /// The middle between day and night.
    pub mean_c: f64,
    /// How far day and night are from the middle.
    pub swing_c: f64,
    /// How far one day differs from the next.
    pub day_to_day_c: f64,
    /// The wind of the afternoon.
    pub wind_mps: f64,
    /// How far gusts and lulls are from it.
    pub gust_mps: f64,
    /// How often a day has a shower.
    pub rain_days_percent: f64,
    /// What the heaviest shower brings.
    pub shower_mm_max: f64,
    /// What the air takes from the ground at noon of a middling day.
    pub takes_at_noon_mm_per_h: f64,
}

/// A machine that could drive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rover {
    /// Its name.
    pub name: String,
    /// Where it stands, metres east and north.
    pub home: (f64, f64),
}

/// A person who wears a tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The name on the tag.
    pub name: String,
    /// Where there is something to do, metres east and north; it begins at the first.
    pub places: Vec<(f64, f64)>,
    /// How fast the person walks.
    pub speed_mps: f64,
    /// How long there is something to do at a place, at most.
    pub stays_s_max: f64,
}

/// What the hardware does by itself when its node vanishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum OnSilence {
    /// It goes to off after so many seconds of the wall.
    ClosesAfter {
        /// How long that takes.
        seconds: u32,
    },
    /// It stays as it is.
    Holds,
}

/// The last part of the capability of a device, by which a fault names it.
pub(crate) fn short_name(device: &Capability) -> &str {
    device.as_str().rsplit(':').next().unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The file that ships with the site of the demo.
    pub(crate) fn shipped() -> PlantFile {
        ron::from_str(include_str!("../../assets/sites/farm.plant.ron")).unwrap()
    }

    #[test]
    fn a_word_that_means_nothing_is_refused() {
        let text = include_str!("../../assets/sites/farm.plant.ron");
        assert!(ron::from_str::<PlantFile>(&text.replacen("yield_lpm", "yield_lph", 1)).is_err());
        assert!(ron::from_str::<PlantFile>(&text.replacen("bias:", "byas:", 1)).is_err());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let file = shipped();
        let text = ron::to_string(&file).unwrap();
        assert_eq!(ron::from_str::<PlantFile>(&text), Ok(file));
    }

    #[test]
    fn a_device_is_called_by_the_last_part_of_its_capability() {
        assert_eq!(short_name(&Capability::new("actuator:valve:valve-grain").unwrap()), "valve-grain");
    }
}
