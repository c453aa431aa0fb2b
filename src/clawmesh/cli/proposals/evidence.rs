//! What a proposal of a person rests on: the newest signed readings that speak for it.

use std::collections::BTreeSet;

use anyhow::Context as _;
use clawmesh_authority::proposal::{EVIDENCE_BYTES_MAX, EVIDENCE_MAX};
use clawmesh_authority::{Capability, NodeId, Policy};
use clawmesh_gateway::{Evidence, SENSORS_MAX, SignedReading};
use clawmesh_twin::site::{Actuator, Name, PartKind, Plan};

use crate::cli::client::Client;

/// A sensor that should speak for a proposal, and the node it is mounted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceSensor {
    /// Its capability.
    pub capability: String,
    /// The node; absent while the site does not say its id.
    pub node: Option<NodeId>,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// Signed envelopes, each once, at most [`EVIDENCE_MAX`].
    pub envelopes: Vec<Vec<u8>>,
    /// The sensors for which there is none.
    pub missing: Vec<String>,
}

/// The sensors that should speak for switching these actuators: those the policy names, or without a policy those about
/// the zones behind them and the tanks before them.
pub fn sensors_for(actuators: &[&Actuator], plan: &Plan, policy: Option<&Policy>) -> Vec<EvidenceSensor> {
    let named: Vec<(&str, &str)> = match policy {
        Some(policy) => actuators.iter().flat_map(|actuator| by_policy(actuator, policy)).collect(),
        None => actuators.iter().flat_map(|actuator| by_plan(actuator, plan)).collect(),
    };
    let mut seen = BTreeSet::new();
    let once = named.into_iter().filter(|(sensor, _)| seen.insert(*sensor));
    once.map(|(sensor, node)| EvidenceSensor { capability: sensor.to_owned(), node: id_of(node, plan) })
        .collect()
}

fn by_policy<'a>(actuator: &Actuator, policy: &'a Policy) -> Vec<(&'a str, &'a str)> {
    let rules = Capability::new(&actuator.capability).ok();
    let rules = rules.and_then(|capability| policy.rules_of(&capability));
    let rules = rules.into_iter().flat_map(|rules| &rules.evidence);
    rules.flat_map(|rule| rule.sensors.iter().map(|sensor| (sensor.as_str(), rule.node.as_str()))).collect()
}

fn by_plan<'a>(actuator: &Actuator, plan: &'a Plan) -> Vec<(&'a str, &'a str)> {
    let parts = &plan.water.parts;
    let above = plan.water.upstream(&actuator.of);
    let zone = parts.iter().find(|part| part.name == actuator.of).and_then(|part| part.kind.zone());
    let tanks = parts.iter().filter(|part| matches!(part.kind, PartKind::Tank { .. }));
    let tanks = tanks.map(|part| &part.name).filter(|name| above.contains(name));
    let about: Vec<&Name> = zone.into_iter().chain(tanks).collect();
    let telling = plan.sensors.iter().filter(|sensor| about.contains(&&sensor.of));
    telling.map(|sensor| (sensor.capability.as_str(), sensor.node.as_str())).collect()
}

fn id_of(node: &str, plan: &Plan) -> Option<NodeId> {
    let entry = plan.nodes.iter().find(|entry| entry.name.as_str() == node)?;
    entry.id.as_deref()?.parse().ok()
}

/// Asks a node for the newest signed readings of the sensors.
pub async fn gather(client: &Client, sensors: &[EvidenceSensor]) -> anyhow::Result<Gathered> {
    let asked: Vec<String> =
        sensors.iter().take(SENSORS_MAX).map(|sensor| format!("sensor={}", sensor.capability)).collect();
    if asked.is_empty() {
        return Ok(Gathered::default());
    }
    let found: Evidence = client.get(&format!("/api/evidence?{}", asked.join("&"))).await?;
    chosen(sensors, &found)
}

/// One envelope a sensor, of the node it is mounted on; an envelope with readings of several sensors is taken once.
fn chosen(sensors: &[EvidenceSensor], found: &Evidence) -> anyhow::Result<Gathered> {
    let mut evidence = Gathered::default();
    for sensor in sensors {
        let speaks = |envelope: &&SignedReading| {
            envelope.sensor == sensor.capability && sensor.node.is_none_or(|node| node == envelope.node)
        };
        let Some(envelope) = found.envelopes.iter().find(speaks) else {
            evidence.missing.push(sensor.capability.clone());
            continue;
        };
        let bytes = bytes_of(&envelope.envelope)
            .with_context(|| format!("the reading of {} is no hexadecimal text", sensor.capability))?;
        if evidence.envelopes.contains(&bytes) {
            continue;
        }
        if evidence.envelopes.len() < EVIDENCE_MAX && bytes.len() <= EVIDENCE_BYTES_MAX {
            evidence.envelopes.push(bytes);
        } else {
            evidence.missing.push(sensor.capability.clone());
        }
    }
    Ok(evidence)
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = hex.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{farm, policy_file, site_file};
    use std::path::Path;

    const POLICY: &str = include_str!("../../../../assets/sites/farm.policy.ron");
    const OWNER: NodeId = NodeId([7; 32]);

    fn farm() -> (Plan, Policy) {
        let text = farm::site_with(&[(farm::FIELD_NODE, OWNER)]);
        let plan = site_file::parse(Path::new("site.ron"), &text).unwrap().plan.unwrap();
        (plan, policy_file::examine(Path::new("policy.ron"), POLICY, None).0.unwrap())
    }

    fn sensors_named_for(parts: &[&str], with_policy: bool) -> Vec<String> {
        let (plan, policy) = farm();
        let is_meant = |actuator: &&Actuator| parts.contains(&actuator.of.as_str());
        let actuators: Vec<&Actuator> = plan.actuators.iter().filter(is_meant).collect();
        let found = sensors_for(&actuators, &plan, with_policy.then_some(&policy));
        assert!(found.iter().all(|sensor| sensor.node == Some(OWNER)), "{found:?}");
        found.into_iter().map(|sensor| sensor.capability).collect()
    }

    #[test]
    fn the_policy_names_who_speaks_and_without_one_the_zone_and_the_tank_do() {
        let (soil, tank) = ("sensor:soil-moisture:food-forest", "sensor:tank-level:tank-01");
        let both = ["pump-main-01", "valve-food-forest"];
        assert_eq!(sensors_named_for(&both, true), [tank, soil]);
        assert_eq!(sensors_named_for(&["valve-food-forest"], true), [soil]);
        assert_eq!(sensors_named_for(&["valve-food-forest"], false), [tank, soil]);
        assert_eq!(sensors_named_for(&["pump-main-01"], false), [tank]);
        assert_eq!(sensors_named_for(&both, false), [tank, soil]);
    }

    fn mounted(sensor: &str) -> EvidenceSensor {
        EvidenceSensor { capability: sensor.to_owned(), node: Some(OWNER) }
    }

    fn envelope(sensor: &str, node: NodeId, hex: &str) -> SignedReading {
        SignedReading { node, sensor: sensor.to_owned(), envelope: hex.to_owned() }
    }

    #[test]
    fn an_envelope_counts_once_and_only_from_the_node_the_sensor_is_on() {
        let stranger = NodeId([8; 32]);
        let envelopes = vec![
            envelope("a", stranger, "ff"),
            envelope("a", OWNER, "00ab"),
            envelope("b", OWNER, "00AB"),
            envelope("c", stranger, "ee"),
        ];
        let evidence = chosen(&["a", "b", "c", "d"].map(mounted), &Evidence { envelopes }).unwrap();
        assert_eq!(evidence.envelopes, [[0x00, 0xab]]);
        assert_eq!(evidence.missing, ["c", "d"]);
    }

    #[test]
    fn what_is_more_than_a_proposal_holds_is_told_as_missing() {
        let names: Vec<String> = (0..=EVIDENCE_MAX).map(|at| format!("s{at}")).collect();
        let envelopes =
            names.iter().enumerate().map(|(at, name)| envelope(name, OWNER, &format!("{at:02x}")));
        let found = Evidence { envelopes: envelopes.collect() };
        let sensors: Vec<EvidenceSensor> = names.iter().map(|name| mounted(name)).collect();
        let evidence = chosen(&sensors, &found).unwrap();
        assert_eq!((evidence.envelopes.len(), evidence.missing), (EVIDENCE_MAX, vec!["s8".to_owned()]));
        let large = "00".repeat(EVIDENCE_BYTES_MAX + 1);
        let large = Evidence { envelopes: vec![envelope("a", OWNER, &large)] };
        assert_eq!(chosen(&[mounted("a")], &large).unwrap().missing, ["a"]);
        for damaged in ["0", "0g", "é"] {
            let found = Evidence { envelopes: vec![envelope("a", OWNER, damaged)] };
            assert!(chosen(&[mounted("a")], &found).is_err(), "{damaged}");
        }
    }
}
