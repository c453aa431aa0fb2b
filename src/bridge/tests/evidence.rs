//! The evidence shelf: signed bytes that anybody can open again, ours and those of nodes we trust.

use clawmesh_authority::{Body, Capability, Code, Reading, ReadingBatch, Tier, Unit, envelope};

use crate::support::{NOW_MS, Node, Setup, Stranger, id, mesh, outgoing, sealed};

fn soil() -> Capability {
    Capability::new("sensor:soil-moisture:zone-1").unwrap()
}

fn soil_reading(value: f64) -> Body {
    let reading = Reading {
        sensor: soil(),
        value,
        unit: Unit::Percent,
        origin_ms: NOW_MS,
        sequence: 0,
        tier: Tier::T2,
    };
    Body::Readings(ReadingBatch(vec![reading]))
}

/// Who signed what is on the shelf for the sensor, and the value it holds.
fn held(node: &Node) -> Vec<(clawmesh_authority::NodeId, f64)> {
    let open = |(node, bytes): (_, std::sync::Arc<[u8]>)| {
        let opened = envelope::open(&bytes, mesh()).unwrap();
        assert_eq!(opened.source, node);
        let Body::Readings(batch) = opened.statement.body else { panic!("no readings") };
        (node, batch.0.iter().find(|reading| reading.sensor == soil()).unwrap().value)
    };
    node.neighbours().evidence(&soil()).into_iter().map(open).collect()
}

#[test]
fn the_newest_readings_of_trusted_nodes_can_be_opened_again_and_nothing_else_is_kept() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let stranger = Stranger::connecting(&listen);
    assert_eq!(held(&a), []);
    for (sequence, value) in [(0, 20.0), (1, 21.0)] {
        stranger.say_as(2, sealed(2, sequence, soil_reading(value)));
        a.expect_envelope(id(2));
        assert_eq!(held(&a), [(id(2), value)]);
    }
    stranger.say_as(2, sealed(2, 0, soil_reading(9.0)));
    a.expect_refused(Code::Replayed);
    stranger.say_as(3, sealed(3, 0, soil_reading(9.0)));
    a.expect_refused(Code::UntrustedPeer);
    assert_eq!(held(&a), [(id(2), 21.0)]);
}

#[test]
fn our_own_readings_are_on_the_shelf_once_their_cause_is_durable_and_not_before() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let (mut b, _) = Node::open(2, Setup::trusting(&[]).connecting(&listen));
    b.expect_peer(a.id);
    assert_eq!(b.outbox.offer(outgoing(7, 0, soil_reading(20.0))), Ok(()));
    b.commits.commit(6);
    b.expect_none("anything", |_| false);
    assert_eq!(held(&b), []);
    b.commits.commit(7);
    a.expect_envelope(id(2));
    assert_eq!(held(&b), [(id(2), 20.0)]);
    assert_eq!(held(&b), held(&a), "the bytes that were said");
}
