//! How what a node can do is asked for: the kind of a capability, patterns with `*`, and how well one fits.
//!
//! Existing nodes advertise texts that [`Capability`](crate::Capability) would not take, for example `llm:openai/gpt`, so
//! everything here works on the text as it came.

use std::fmt;

/// What the first part of a capability says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapabilityKind {
    /// A way to talk to people or programs.
    Channel,
    /// Something a node knows how to do.
    Skill,
    /// Something that adds energy, motion or flow.
    Actuator,
    /// Something that measures.
    Sensor,
    /// Any other text; its name is the whole of it.
    Custom,
}

/// A capability taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapabilityParts<'a> {
    /// What it is.
    pub kind: CapabilityKind,
    /// Which one: the second part, or the whole text of a custom one.
    pub name: &'a str,
    /// Which part of it: everything after the name.
    pub sub: Option<&'a str>,
}

/// How a node that offers a capability is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// It does not work.
    Unhealthy,
    /// Nobody has said.
    Unknown,
    /// It works, but not as it should.
    Degraded,
    /// It works.
    Healthy,
}

/// What an exact match is worth more than one by a pattern.
const EXACT_POINTS: u32 = 5;

impl Health {
    /// What it is worth when one of several is chosen.
    #[must_use]
    pub fn points(self) -> u32 {
        match self {
            Self::Healthy => 10,
            Self::Degraded => 5,
            Self::Unknown => 3,
            Self::Unhealthy => 0,
        }
    }
}

impl fmt::Display for CapabilityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Channel => "channel",
            Self::Skill => "skill",
            Self::Actuator => "actuator",
            Self::Sensor => "sensor",
            Self::Custom => "custom",
        })
    }
}

/// Takes `kind:name[:sub…]` apart; a text of another kind is custom as a whole.
#[must_use]
pub fn parts(capability: &str) -> CapabilityParts<'_> {
    let custom = CapabilityParts { kind: CapabilityKind::Custom, name: capability, sub: None };
    let Some((kind, rest)) = capability.split_once(':') else { return custom };
    let kind = match kind {
        "channel" => CapabilityKind::Channel,
        "skill" => CapabilityKind::Skill,
        "actuator" => CapabilityKind::Actuator,
        "sensor" => CapabilityKind::Sensor,
        _ => return custom,
    };
    match rest.split_once(':') {
        Some((name, sub)) => CapabilityParts { kind, name, sub: Some(sub) },
        None => CapabilityParts { kind, name: rest, sub: None },
    }
}

/// True when `capability` is what `pattern` asks for: the same text, or the same parts up to a `*`, which takes at least
/// one part and all after it.
///
/// Only the pattern has wildcards: who advertises `actuator:*` does not thereby offer every actuator.
#[must_use]
pub fn matches(capability: &str, pattern: &str) -> bool {
    if capability == pattern {
        return true;
    }
    let mut offered = capability.split(':');
    for asked in pattern.split(':') {
        match offered.next() {
            None => return false,
            Some(_) if asked == "*" => return true,
            Some(part) if part != asked => return false,
            Some(_) => {}
        }
    }
    offered.next().is_none()
}

/// How well `capability` fits `pattern`, in points; `None` when it does not.
#[must_use]
pub fn score(capability: &str, pattern: &str, health: Health) -> Option<u32> {
    let exact = if capability == pattern { EXACT_POINTS } else { 0 };
    matches(capability, pattern).then(|| health.points() + exact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_capability_comes_apart_into_kind_name_and_the_rest() {
        let relay = parts("actuator:relay:board:3:pin:7");
        assert_eq!(
            (relay.kind, relay.name, relay.sub),
            (CapabilityKind::Actuator, "relay", Some("board:3:pin:7"))
        );
        let channel = parts("channel:telegram");
        assert_eq!((channel.kind, channel.name, channel.sub), (CapabilityKind::Channel, "telegram", None));
        for custom in ["llm:openai/gpt", "weather", "", "ACTUATOR:pump"] {
            let found = parts(custom);
            assert_eq!((found.kind, found.name, found.sub), (CapabilityKind::Custom, custom, None));
        }
    }

    #[test]
    fn a_pattern_takes_what_it_says_and_a_star_takes_the_rest() {
        for (capability, pattern, expected) in [
            ("actuator:pump:p1", "actuator:pump:p1", true),
            ("actuator:pump:p1", "actuator:*", true),
            ("actuator:pump:p1", "*", true),
            ("actuator:pump:p1", "actuator:pump:*", true),
            ("actuator:pump:p1", "actuator:pump", false),
            ("actuator:pump", "actuator:pump:p1", false),
            ("actuator", "actuator:*", false),
            ("sensor:pump", "actuator:*", false),
            ("actuator:pump:p1", "actuator:*:p9", true),
            ("actuator:*", "actuator:pump", false),
            ("*", "actuator:pump", false),
            ("actuator:*", "actuator:*", true),
        ] {
            assert_eq!(matches(capability, pattern), expected, "{capability} for {pattern}");
        }
    }

    #[test]
    fn points_are_those_of_the_health_and_five_more_for_the_exact_text() {
        for (health, by_pattern) in
            [(Health::Healthy, 10), (Health::Degraded, 5), (Health::Unknown, 3), (Health::Unhealthy, 0)]
        {
            assert_eq!(score("sensor:a", "sensor:*", health), Some(by_pattern));
            assert_eq!(score("sensor:a", "sensor:a", health), Some(by_pattern + 5));
            assert_eq!(score("sensor:a", "sensor:b", health), None);
        }
    }

    proptest! {
        #[test]
        fn every_text_matches_itself_and_the_lone_star(text in ".{0,40}") {
            prop_assert!(matches(&text, &text) && matches(&text, "*"));
        }

        #[test]
        fn no_text_panics(capability in "[a:*]{0,12}", pattern in "[a:*]{0,12}") {
            let _ = (matches(&capability, &pattern), parts(&capability));
        }
    }
}
