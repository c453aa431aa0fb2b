//! Units a value may have: a closed list, written as UCUM codes. A number without a unit is no reading.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! units {
    ($($index:literal $name:ident $code:literal $doc:literal;)*) => {
        /// A unit of measure.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(index_only)]
        pub enum Unit { $(#[doc = $doc] #[n($index)] $name,)* }

        impl Unit {
            /// Every unit, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The UCUM code, for example `Cel`.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

units! {
    0 One "1" "A count, or a ratio without a dimension.";
    1 Percent "%" "Hundredths.";
    2 Celsius "Cel" "Degrees Celsius.";
    3 Byte "By" "Bytes.";
    4 BytePerSecond "By/s" "Bytes per second.";
    5 Second "s" "Seconds.";
    6 Metre "m" "Metres.";
    7 Millimetre "mm" "Millimetres, also of rain.";
    8 Litre "L" "Litres.";
    9 LitrePerMinute "L/min" "Litres per minute.";
    10 Kilopascal "kPa" "Kilopascals.";
    11 Bar "bar" "Bars.";
    12 Volt "V" "Volts.";
    13 Ampere "A" "Amperes.";
    14 Watt "W" "Watts.";
    15 WattHour "W.h" "Watt hours.";
    16 Hertz "Hz" "Hertz.";
    17 MetrePerSecond "m/s" "Metres per second.";
    18 Degree "deg" "Degrees of arc.";
    19 WattPerSquareMetre "W/m2" "Watts per square metre.";
}

/// The text is no code of the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown unit {found:?}; known are {known}")]
pub struct UnknownUnit {
    /// What was given.
    pub found: String,
    known: String,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Unit {
    type Err = UnknownUnit;
    fn from_str(text: &str) -> Result<Self, UnknownUnit> {
        Self::ALL.iter().copied().find(|unit| unit.code() == text).ok_or_else(|| UnknownUnit {
            found: text.to_owned(),
            known: Self::ALL.iter().map(|unit| unit.code()).collect::<Vec<_>>().join(", "),
        })
    }
}

impl Serialize for Unit {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Unit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_from_its_own_code() {
        for unit in Unit::ALL {
            assert_eq!(unit.code().parse(), Ok(*unit));
        }
    }

    #[test]
    fn an_unknown_unit_names_the_known_ones() {
        let fault = "furlong".parse::<Unit>().unwrap_err().to_string();
        assert!(fault.contains("\"furlong\"") && fault.contains("kPa"), "{fault}");
    }
}
