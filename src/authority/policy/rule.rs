//! The names of the rules, so that a refusal says which one it was.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! rules {
    ($($index:literal $name:ident $text:literal $doc:literal;)*) => {
        /// A rule that can refuse. The texts are a contract: programs match on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(index_only)]
        pub enum Rule { $(#[doc = $doc] #[n($index)] $name,)* }

        impl Rule {
            /// Every rule, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The rule as people and programs see it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it demands, one sentence.
            #[must_use]
            pub fn demands(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }
        }
    };
}

rules! {
    0 StopHolds "stop-holds" "While the stop is latched nothing is begun and nothing goes on.";
    1 WrittenDown "written-down" "What cannot be written down is not done.";
    2 OneOwner "one-owner" "Only the one owner of an actuator commands it.";
    3 SameSite "same-site" "Owner and proposer have the same site in mind.";
    4 KnownOperation "known-operation" "Only what the policy lists may be told.";
    5 Parameters "parameters" "Every parameter is there, of its type and within its range.";
    6 BoundedIrrigation "bounded-irrigation" "What adds water says when it ends, and ends within its range.";
    7 NoModelAlone "no-model-alone" "What rests on no measurement, or on a model alone, moves nothing.";
    8 Evidence "evidence" "The readings that the policy names are there, signed, fresh and worth enough.";
    9 OutOfService "out-of-service" "What a person took out of service stays as it is.";
    10 ManualOverride "manual-override" "Hands win: what is under local control is left alone.";
    11 KnownState "known-state" "After a start nothing is told before its state was read back.";
    12 KnownComms "known-comms" "Nothing is told over a way that is not shown to work.";
    13 DegradedMode "degraded-mode" "A site that is not in order does less.";
    14 SourceBeforePump "source-before-pump" "No pump runs without water that is shown to be there.";
    15 Interlock "interlock" "Every condition of the policy is shown to hold.";
    16 ZoneBounds "zone-bounds" "Time and volume stay below what a zone or a tank may be given or give.";
    17 DosageFirst "dosage-first" "No substance goes out without a dosage in the policy.";
    18 Simulated "simulated" "What is done was simulated by somebody trusted, is still true, and was no veto.";
    19 Approved "approved" "As many people as the level demands approved exactly this.";
    20 Lease "lease" "What runs is renewed in time and ends in time.";
    21 PredictedBand "predicted-band" "What runs behaves as it was simulated.";
    22 VerifiedBySensor "verified-by-sensor" "Done means that a sensor says so.";
    23 OnePlan "one-plan-at-a-time" "What works for one proposal works for no other.";
    24 OnHold "on-hold" "What a person holds waits until a person releases it.";
    25 Control "control" "What a person has taken control of is commanded by that person alone.";
}

impl From<Rule> for &'static str {
    fn from(rule: Rule) -> Self {
        rule.as_str()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let found = Self::ALL.iter().copied().find(|rule| rule.as_str() == text);
        found.ok_or_else(|| serde::de::Error::custom(format!("unknown rule {text:?}")))
    }
}
