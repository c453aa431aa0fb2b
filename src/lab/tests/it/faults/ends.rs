//! How a watering may end with each fault, and nothing else.

use clawmesh_plant::Fault;

use super::watering::{Case, FOREST, NURSERY};

/// The names of all kinds of faults, as a person writes them.
pub const KINDS: [&str; 10] = [
    "leak",
    "clogged-filter",
    "stuck-valve",
    "never-moves",
    "dead-device",
    "manual-switch",
    "lying-sensor",
    "dropout",
    "worn-pump",
    "dry-source",
];

/// The kind of a fault. Without a wildcard: whoever adds one says how it may end.
pub fn kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::Leak { .. } => KINDS[0],
        Fault::CloggedFilter => KINDS[1],
        Fault::StuckValve { .. } => KINDS[2],
        Fault::NeverMoves { .. } => KINDS[3],
        Fault::DeadDevice { .. } => KINDS[4],
        Fault::ManualSwitch { .. } => KINDS[5],
        Fault::LyingSensor { .. } => KINDS[6],
        Fault::Dropout { .. } => KINDS[7],
        Fault::WornPump => KINDS[8],
        Fault::DrySource => KINDS[9],
    }
}

const DIVERGED: &str = "failed Divergence";
const CONTRADICTED: &str = "failed Contradicted UNVERIFIED";
const UNVERIFIED: &str = "failed Unverified UNVERIFIED";
const INTERLOCK: &str = "failed Interlock INTERLOCK_OPEN";
const REFUSED: &str = "refused INTERLOCK_OPEN";
const UNRESOLVED: &str = "refused EVIDENCE_UNRESOLVED";

/// How a watering of the forest may end if this breaks by lot, early in the run or before it.
pub fn may_end(fault: &Fault) -> &'static [&'static str] {
    match (fault, hit(fault).as_str()) {
        (Fault::Leak { .. } | Fault::CloggedFilter, _) => &[DIVERGED],
        // Found closed or open.
        (Fault::StuckValve { .. }, _) => &[UNVERIFIED, "failed Driver"],
        (Fault::NeverMoves { .. }, _) => &[CONTRADICTED, DIVERGED],
        (Fault::DeadDevice { .. }, _) => &[REFUSED, INTERLOCK],
        (Fault::ManualSwitch { .. }, _) => &["refused LOCAL_CONTROL", "failed LocalControl LOCAL_CONTROL"],
        (Fault::LyingSensor { .. }, "flow") => &[DIVERGED, CONTRADICTED],
        (Fault::LyingSensor { .. }, "pressure") => &["completed", DIVERGED, INTERLOCK],
        // It does not change what reaches the zone; too wet a soil is not watered.
        (Fault::LyingSensor { .. }, "soil-moisture") => &["completed", "vetoed"],
        (Fault::LyingSensor { .. }, _) => &["completed", INTERLOCK],
        (Fault::Dropout { .. }, "flow") => &[UNVERIFIED],
        (Fault::Dropout { .. }, "soil-moisture") => &["completed", UNRESOLVED],
        (Fault::Dropout { .. }, _) => &[INTERLOCK, REFUSED, UNRESOLVED],
        // The water still gets there.
        (Fault::WornPump | Fault::DrySource, _) => &["completed"],
    }
}

/// The quantity of the sensor that is hit, such as `flow`.
fn hit(fault: &Fault) -> String {
    let (Fault::LyingSensor { sensor, .. } | Fault::Dropout { sensor }) = fault else { return String::new() };
    sensor.as_str().split(':').nth(1).unwrap_or_default().to_owned()
}

/// What is broken, how it ends, and what a person is told.
pub struct Row {
    pub case: Case,
    pub end: &'static str,
    pub words: &'static str,
}

/// Each kind, before the watering and in its middle, on everything that it can hit; and some that come together.
pub fn table() -> Vec<Row> {
    [pipes_and_valves(), devices_and_hands(), sensors(), source_and_pump()].into_iter().flatten().collect()
}

fn row(faults: &[&str], end: &'static str, words: &'static str) -> Row {
    Row { case: Case::of(faults), end, words }
}

const SAYS: &str = "sensor:flow:mainline-01 says";
const HELD: &str = "is under local control";
const DEAD: &str = "does not answer; see to its driver and its cable";

fn pipes_and_valves() -> Vec<Row> {
    vec![
        row(&[], "completed", "a sensor confirmed it"),
        row(&["leak@100"], DIVERGED, SAYS),
        // Within the band of the policy, and the zone gets its water.
        row(&["leak:2@100"], "completed", "a sensor confirmed it"),
        row(&["leak:valve-food-forest"], DIVERGED, SAYS),
        row(&["clogged-filter"], DIVERGED, SAYS),
        row(
            &["stuck-valve:valve-food-forest"],
            UNVERIFIED,
            "valve-food-forest was told to and did not arrive",
        ),
        row(
            &["stuck-valve:valve-food-forest@300"],
            "failed Driver",
            "valve-food-forest was told to be safe and is not shown to be",
        ),
        row(&["never-moves:valve-food-forest"], DIVERGED, SAYS),
        row(
            &["never-moves:valve-food-forest@300"],
            CONTRADICTED,
            "valve-food-forest is off by its driver, and",
        ),
        row(&["never-moves:pump-main-01"], CONTRADICTED, "must be at least 4 to show it"),
        row(&["never-moves:pump-main-01@300"], DIVERGED, SAYS),
    ]
}

fn devices_and_hands() -> Vec<Row> {
    vec![
        row(&["dead-device:valve-food-forest"], REFUSED, DEAD),
        row(&["dead-device:pump-main-01"], REFUSED, DEAD),
        row(&["dead-device:pump-main-01@300"], INTERLOCK, DEAD),
        row(&["manual-switch:valve-food-forest:on"], "refused LOCAL_CONTROL", HELD),
        row(&["manual-switch:valve-food-forest:on@300"], "failed LocalControl LOCAL_CONTROL", HELD),
        row(&["manual-switch:pump-main-01:on"], "refused LOCAL_CONTROL", HELD),
        // Of another zone: it is none of this watering, and the owner shows the hand.
        row(&["manual-switch:valve-flower:on"], "completed", "a sensor confirmed it"),
    ]
}

fn sensors() -> Vec<Row> {
    vec![
        row(&["lying-sensor:sensor:flow:mainline-01"], CONTRADICTED, "must be at least 4 to show it"),
        row(&["lying-sensor:sensor:flow:mainline-01@300"], CONTRADICTED, "is off by its driver, and"),
        row(&["lying-sensor:sensor:flow:mainline-01~5@300"], DIVERGED, SAYS),
        // The sensor says what it should, and the valve lets nothing pass.
        row(
            &["lying-sensor:sensor:flow:mainline-01=8.4", "never-moves:valve-food-forest"],
            CONTRADICTED,
            "is off by its driver, and sensor:flow:mainline-01 still says 8.4",
        ),
        row(
            &["lying-sensor:sensor:pressure:mainline-01=430@300"],
            INTERLOCK,
            "a line over its pressure bursts",
        ),
        row(&["lying-sensor:sensor:tank-level:tank-01=15"], REFUSED, "a pump that runs dry is ruined"),
        row(
            &["lying-sensor:sensor:soil-moisture:food-forest=40"],
            "vetoed",
            "the soil of z-food-forest-core",
        ),
        row(&["dropout:sensor:flow:mainline-01"], UNVERIFIED, "has not spoken"),
        row(&["dropout:sensor:flow:mainline-01@300"], UNVERIFIED, "is stale"),
        row(
            &["dropout:sensor:tank-level:tank-01"],
            UNRESOLVED,
            "needs 1 readings of sensor:tank-level:tank-01",
        ),
        row(&["dropout:sensor:pressure:mainline-01"], REFUSED, "has not spoken"),
        row(
            &["dropout:sensor:soil-moisture:food-forest"],
            UNRESOLVED,
            "needs 1 readings of sensor:soil-moisture",
        ),
    ]
}

fn source_and_pump() -> Vec<Row> {
    vec![
        row(&["worn-pump"], "completed", "a sensor confirmed it"),
        Row {
            case: Case { tank_percent: Some(21.5), ..Case::of(&["dry-source"]) },
            end: INTERLOCK,
            words: "a pump that runs dry is ruined",
        },
        // The tank is empty, its sensor says otherwise, and the float of the pump keeps it from turning.
        Row {
            case: Case {
                tank_percent: Some(5.0),
                ..Case::of(&["lying-sensor:sensor:tank-level:tank-01=70", "dry-source"])
            },
            end: CONTRADICTED,
            words: "must be at least 4 to show it",
        },
        Row {
            case: Case { zone: NURSERY, ..Case::of(&[]) },
            end: "completed",
            words: "a sensor confirmed it",
        },
        // Nothing closes this valve but a person: it holds when nobody speaks to it.
        Row {
            case: Case { zone: NURSERY, ..Case::of(&["dead-device:valve-nursery@300"]) },
            end: INTERLOCK,
            words: DEAD,
        },
    ]
}

/// A row of the table in the documents.
pub fn name(case: &Case) -> String {
    let faults: Vec<String> = case.faults.iter().map(|fault| format!("`{fault}`")).collect();
    let faults = if faults.is_empty() { "none".to_owned() } else { faults.join(", ") };
    let zone = if case.zone.name == FOREST.name { "" } else { ", the nursery" };
    let tank = case.tank_percent.map(|percent| format!(", tank at {percent} %")).unwrap_or_default();
    format!("{faults}{zone}{tank}")
}
