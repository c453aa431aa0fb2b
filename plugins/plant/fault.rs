//! What can break in a plant, and how a person writes it on a command line.

use std::fmt;
use std::str::FromStr;

use clawmesh_authority::Capability;

use crate::device::Hands;

/// What a leak loses at 200 kPa if nobody says how much.
const LEAK_LPM: f64 = 12.0;

/// Something that breaks. Devices go by the last part of their capability, for example `valve-flower`.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// Water is lost after the filter, or in the line behind a valve.
    Leak {
        /// How much at 200 kPa.
        lpm_at_200_kpa: f64,
        /// The valve, if the leak is behind one.
        behind: Option<String>,
    },
    /// The filter clogs within minutes.
    CloggedFilter,
    /// A valve stays where it is.
    StuckValve {
        /// The valve.
        device: String,
    },
    /// A device says that it has done what it was told, and what it drives does not move.
    NeverMoves {
        /// The device.
        device: String,
    },
    /// A device answers nobody.
    DeadDevice {
        /// The device.
        device: String,
    },
    /// Somebody turns the local switch of a device.
    ManualSwitch {
        /// The device.
        device: String,
        /// Where to.
        hands: Hands,
    },
    /// A sensor shows something else than it senses.
    LyingSensor {
        /// The sensor.
        sensor: Capability,
        /// What it shows.
        lie: Lie,
    },
    /// A sensor says nothing any more.
    Dropout {
        /// The sensor.
        sensor: Capability,
    },
    /// The pump has lost much of its strength.
    WornPump,
    /// The source gives nothing any more.
    DrySource,
}

/// How a sensor lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lie {
    /// It shows for ever what it showed first.
    Frozen,
    /// It shows this.
    Stuck(f64),
    /// It is off by this.
    Offset(f64),
}

/// A fault and when it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedFault {
    /// What breaks.
    pub fault: Fault,
    /// After how many seconds of the plant.
    pub from_s: u32,
}

impl From<Fault> for PlannedFault {
    fn from(fault: Fault) -> Self {
        Self { fault, from_s: 0 }
    }
}

/// The text is no fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFault(String);

impl fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no fault; known are leak[:LPM][:VALVE], clogged-filter, stuck-valve:VALVE, \
             never-moves:DEVICE, dead-device:DEVICE, manual-switch:DEVICE[:on|off|auto], \
             lying-sensor:SENSOR[=VALUE|~OFFSET], dropout:SENSOR, worn-pump and dry-source, \
             each with @SECONDS if it begins later",
            self.0
        )
    }
}

impl std::error::Error for UnknownFault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leak { lpm_at_200_kpa, behind: None } => write!(f, "leak:{lpm_at_200_kpa}"),
            Self::Leak { lpm_at_200_kpa, behind: Some(valve) } => write!(f, "leak:{lpm_at_200_kpa}:{valve}"),
            Self::CloggedFilter => f.write_str("clogged-filter"),
            Self::StuckValve { device } => write!(f, "stuck-valve:{device}"),
            Self::NeverMoves { device } => write!(f, "never-moves:{device}"),
            Self::DeadDevice { device } => write!(f, "dead-device:{device}"),
            Self::ManualSwitch { device, hands } => {
                let hands = match hands {
                    Hands::Auto => "auto",
                    Hands::HeldOn => "on",
                    Hands::HeldOff => "off",
                };
                write!(f, "manual-switch:{device}:{hands}")
            }
            Self::LyingSensor { sensor, lie: Lie::Frozen } => write!(f, "lying-sensor:{sensor}"),
            Self::LyingSensor { sensor, lie: Lie::Stuck(at) } => write!(f, "lying-sensor:{sensor}={at}"),
            Self::LyingSensor { sensor, lie: Lie::Offset(by) } => write!(f, "lying-sensor:{sensor}~{by}"),
            Self::Dropout { sensor } => write!(f, "dropout:{sensor}"),
            Self::WornPump => f.write_str("worn-pump"),
            Self::DrySource => f.write_str("dry-source"),
        }
    }
}

impl fmt::Display for PlannedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from_s {
            0 => write!(f, "{}", self.fault),
            from_s => write!(f, "{}@{from_s}", self.fault),
        }
    }
}

impl FromStr for Fault {
    type Err = UnknownFault;
    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        read(text).ok_or_else(|| UnknownFault(text.to_owned()))
    }
}

impl FromStr for PlannedFault {
    type Err = UnknownFault;
    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let Some((fault, from_s)) = text.split_once('@') else { return Ok(text.parse::<Fault>()?.into()) };
        let from_s = from_s.parse().map_err(|_| UnknownFault(text.to_owned()))?;
        Ok(Self { fault: fault.parse()?, from_s })
    }
}

fn read(text: &str) -> Option<Fault> {
    let (kind, rest) = match text.split_once(':') {
        Some((kind, rest)) => (kind, Some(rest)),
        None => (text, None),
    };
    Some(match (kind, rest) {
        ("leak", rest) => leak(rest)?,
        ("clogged-filter", None) => Fault::CloggedFilter,
        ("stuck-valve", Some(rest)) => Fault::StuckValve { device: device(rest)? },
        ("never-moves", Some(rest)) => Fault::NeverMoves { device: device(rest)? },
        ("dead-device", Some(rest)) => Fault::DeadDevice { device: device(rest)? },
        ("manual-switch", Some(rest)) => manual_switch(rest)?,
        ("lying-sensor", Some(rest)) => lying_sensor(rest)?,
        ("dropout", Some(rest)) => Fault::Dropout { sensor: Capability::new(rest).ok()? },
        ("worn-pump", None) => Fault::WornPump,
        ("dry-source", None) => Fault::DrySource,
        _ => return None,
    })
}

fn leak(rest: Option<&str>) -> Option<Fault> {
    let Some(rest) = rest else { return Some(Fault::Leak { lpm_at_200_kpa: LEAK_LPM, behind: None }) };
    let (first, more) = match rest.split_once(':') {
        Some((first, more)) => (first, Some(more)),
        None => (rest, None),
    };
    let Some(lpm_at_200_kpa) = number(first) else {
        return Some(Fault::Leak { lpm_at_200_kpa: LEAK_LPM, behind: Some(device(rest)?) });
    };
    let behind = match more {
        Some(more) => Some(device(more)?),
        None => None,
    };
    (lpm_at_200_kpa > 0.0).then_some(Fault::Leak { lpm_at_200_kpa, behind })
}

fn manual_switch(rest: &str) -> Option<Fault> {
    let (name, hands) = match rest.rsplit_once(':') {
        Some((name, "on")) => (name, Hands::HeldOn),
        Some((name, "off")) => (name, Hands::HeldOff),
        Some((name, "auto")) => (name, Hands::Auto),
        _ => (rest, Hands::HeldOff),
    };
    Some(Fault::ManualSwitch { device: device(name)?, hands })
}

fn lying_sensor(rest: &str) -> Option<Fault> {
    let (sensor, lie) = if let Some((sensor, at)) = rest.split_once('=') {
        (sensor, Lie::Stuck(number(at)?))
    } else if let Some((sensor, by)) = rest.split_once('~') {
        (sensor, Lie::Offset(number(by)?))
    } else {
        (rest, Lie::Frozen)
    };
    Some(Fault::LyingSensor { sensor: Capability::new(sensor).ok()?, lie })
}

/// A device by its name, or by its whole capability.
fn device(text: &str) -> Option<String> {
    let name = match text.strip_prefix("actuator:") {
        Some(_) => text.rsplit(':').next()?,
        None => text,
    };
    let is_name = !name.contains(':') && Capability::new(&format!("actuator:{name}")).is_ok();
    is_name.then(|| name.to_owned())
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is(text: &str, fault: Fault) {
        assert_eq!(text.parse(), Ok(fault), "{text}");
    }

    #[test]
    fn a_person_may_write_it_short() {
        let sensor = Capability::new("sensor:flow:mainline-01").unwrap();
        let leak = |lpm_at_200_kpa, behind: Option<&str>| Fault::Leak {
            lpm_at_200_kpa,
            behind: behind.map(str::to_owned),
        };
        is("leak", leak(LEAK_LPM, None));
        is("leak:5.5", leak(5.5, None));
        is("leak:valve-flower", leak(LEAK_LPM, Some("valve-flower")));
        is("leak:5.5:valve-flower", leak(5.5, Some("valve-flower")));
        is("stuck-valve:valve-flower", Fault::StuckValve { device: "valve-flower".into() });
        is("stuck-valve:actuator:valve:valve-flower", Fault::StuckValve { device: "valve-flower".into() });
        is("manual-switch:pump", Fault::ManualSwitch { device: "pump".into(), hands: Hands::HeldOff });
        is("manual-switch:pump:on", Fault::ManualSwitch { device: "pump".into(), hands: Hands::HeldOn });
        let lying = |lie| Fault::LyingSensor { sensor: sensor.clone(), lie };
        is("lying-sensor:sensor:flow:mainline-01", lying(Lie::Frozen));
        is("lying-sensor:sensor:flow:mainline-01=40", lying(Lie::Stuck(40.0)));
        is("lying-sensor:sensor:flow:mainline-01~-4", lying(Lie::Offset(-4.0)));
        let planned = PlannedFault { fault: Fault::WornPump, from_s: 600 };
        assert_eq!("worn-pump@600".parse(), Ok(planned));
    }

    #[test]
    fn what_means_nothing_is_refused_with_what_would() {
        for text in [
            "",
            "flood",
            "leak:",
            "leak:-1",
            "leak:5:",
            "worn-pump:now",
            "stuck-valve",
            "stuck-valve:",
            "stuck-valve:a b",
            "dropout:flow",
            "lying-sensor:sensor:flow=much",
            "lying-sensor:sensor:flow~inf",
            "worn-pump@soon",
            "worn-pump@-1",
        ] {
            let refusal = text.parse::<PlannedFault>().expect_err(text).to_string();
            assert!(refusal.contains("clogged-filter"), "{refusal}");
        }
    }

    fn name() -> impl Strategy<Value = String> {
        "[a-z][a-z0-9-]{0,12}x"
    }

    fn sensor() -> impl Strategy<Value = Capability> {
        "sensor:[a-z]{1,8}:[a-z0-9-]{1,8}".prop_map(|text| Capability::new(&text).unwrap())
    }

    fn finite() -> impl Strategy<Value = f64> {
        prop_oneof![-1e6..1e6, any::<f64>().prop_filter("finite", |x| x.is_finite())]
    }

    fn fault() -> impl Strategy<Value = Fault> {
        let hands = prop_oneof![Just(Hands::Auto), Just(Hands::HeldOn), Just(Hands::HeldOff)];
        let lie =
            prop_oneof![Just(Lie::Frozen), finite().prop_map(Lie::Stuck), finite().prop_map(Lie::Offset)];
        prop_oneof![
            (1e-9..1e6, prop::option::of(name()))
                .prop_map(|(lpm_at_200_kpa, behind)| Fault::Leak { lpm_at_200_kpa, behind }),
            Just(Fault::CloggedFilter),
            name().prop_map(|device| Fault::StuckValve { device }),
            name().prop_map(|device| Fault::NeverMoves { device }),
            name().prop_map(|device| Fault::DeadDevice { device }),
            (name(), hands).prop_map(|(device, hands)| Fault::ManualSwitch { device, hands }),
            (sensor(), lie).prop_map(|(sensor, lie)| Fault::LyingSensor { sensor, lie }),
            sensor().prop_map(|sensor| Fault::Dropout { sensor }),
            Just(Fault::WornPump),
            Just(Fault::DrySource),
        ]
    }

    proptest! {
        #[test]
        fn every_fault_is_read_from_its_own_text(fault in fault(), from_s in any::<u32>()) {
            let planned = PlannedFault { fault, from_s };
            prop_assert_eq!(planned.to_string().parse::<PlannedFault>(), Ok(planned));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = text.parse::<PlannedFault>();
        }
    }
}
