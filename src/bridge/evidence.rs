//! The evidence shelf: the newest signed readings of every sensor, ours and those of nodes we trust, as they were signed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use clawmesh_authority::proposal::EVIDENCE_BYTES_MAX;
use clawmesh_authority::reading::SENSORS_PER_NODE_MAX;
use clawmesh_authority::{Body, Capability, NodeId, Statement};

use crate::edge::lock;

/// The newest envelope of each node and sensor. Only nodes whose statements are taken have a place.
#[derive(Debug, Default)]
pub struct EvidenceShelf(Mutex<BTreeMap<NodeId, BTreeMap<Capability, Held>>>);

#[derive(Debug)]
struct Held {
    /// Epoch and sequence of the statement.
    at: (u64, u64),
    envelope: Arc<[u8]>,
}

impl EvidenceShelf {
    /// Keeps `envelope`, the signed `statement` of `node`, for every sensor it has a reading of. What no proposal could
    /// hold, and a sensor more than a node can have, finds no place.
    pub fn put(&self, node: NodeId, statement: &Statement, envelope: &[u8]) {
        let Body::Readings(batch) = &statement.body else { return };
        if batch.0.is_empty() || envelope.len() > EVIDENCE_BYTES_MAX {
            return;
        }
        let at = (statement.epoch, statement.sequence);
        let envelope: Arc<[u8]> = Arc::from(envelope);
        let mut nodes = lock(&self.0);
        let sensors = nodes.entry(node).or_default();
        for reading in &batch.0 {
            let is_full = sensors.len() >= SENSORS_PER_NODE_MAX;
            match sensors.get_mut(&reading.sensor) {
                // Two threads may bring two batches of one node at once.
                Some(held) if held.at > at => {}
                Some(held) => *held = Held { at, envelope: Arc::clone(&envelope) },
                None if is_full => {}
                None => {
                    sensors.insert(reading.sensor.clone(), Held { at, envelope: Arc::clone(&envelope) });
                }
            }
        }
    }

    /// The newest envelope of each node that holds a reading of `sensor`; by node.
    pub fn of(&self, sensor: &Capability) -> Vec<(NodeId, Arc<[u8]>)> {
        let nodes = lock(&self.0);
        let held = nodes.iter().filter_map(|(node, sensors)| Some((*node, sensors.get(sensor)?)));
        held.map(|(node, held)| (node, Arc::clone(&held.envelope))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_authority::{Hlc, MeshId, Reading, ReadingBatch, Tier, Unit};

    fn sensor(name: &str) -> Capability {
        Capability::new(&format!("sensor:level:{name}")).unwrap()
    }

    fn batch(epoch: u64, sequence: u64, sensors: &[&str]) -> Statement {
        let reading = |name: &&str| Reading {
            sensor: sensor(name),
            value: 1.0,
            unit: Unit::Percent,
            origin_ms: 0,
            sequence,
            tier: Tier::T2,
        };
        let body = Body::Readings(ReadingBatch(sensors.iter().map(reading).collect()));
        Statement { mesh: MeshId::of_name("barn"), epoch, sequence, hlc: Hlc::default(), body }
    }

    fn held(shelf: &EvidenceShelf, name: &str) -> Vec<(u8, Vec<u8>)> {
        shelf.of(&sensor(name)).into_iter().map(|(node, bytes)| (node.0[0], bytes.to_vec())).collect()
    }

    #[test]
    fn the_newest_of_each_node_and_sensor_is_kept_in_whatever_order_they_come() {
        let (shelf, one, two) = (EvidenceShelf::default(), NodeId([1; 32]), NodeId([2; 32]));
        shelf.put(one, &batch(1, 5, &["a", "b"]), b"5");
        shelf.put(one, &batch(1, 4, &["a", "c"]), b"4");
        shelf.put(two, &batch(9, 0, &["a"]), b"0");
        assert_eq!(held(&shelf, "a"), [(1, b"5".to_vec()), (2, b"0".to_vec())]);
        assert_eq!(held(&shelf, "b"), [(1, b"5".to_vec())]);
        assert_eq!(held(&shelf, "c"), [(1, b"4".to_vec())]);
        shelf.put(one, &batch(2, 0, &["a"]), b"of the next run");
        assert_eq!(held(&shelf, "a")[0], (1, b"of the next run".to_vec()));
        assert_eq!(held(&shelf, "d"), []);
    }

    #[test]
    fn what_no_proposal_could_hold_and_sensors_beyond_the_bound_find_no_place() {
        let (shelf, one) = (EvidenceShelf::default(), NodeId([1; 32]));
        shelf.put(one, &batch(1, 0, &["a"]), &[0; EVIDENCE_BYTES_MAX + 1]);
        assert_eq!(held(&shelf, "a"), []);
        shelf.put(one, &batch(1, 0, &["a"]), &[0; EVIDENCE_BYTES_MAX]);
        assert_eq!(held(&shelf, "a").len(), 1);
        for at in 1..=SENSORS_PER_NODE_MAX {
            shelf.put(one, &batch(1, 1, &[&*at.to_string()]), b"1");
        }
        assert_eq!(held(&shelf, &(SENSORS_PER_NODE_MAX - 1).to_string()).len(), 1);
        assert_eq!(held(&shelf, &SENSORS_PER_NODE_MAX.to_string()), []);
        shelf.put(one, &batch(1, 2, &["a"]), b"2");
        assert_eq!(held(&shelf, "a"), [(1, b"2".to_vec())], "who has a place keeps it");
    }
}
