//! What becomes of a node that has much to tell over a link that carries little.

use std::time::Duration;

use serde_json::{Value, json};

use crate::farm::{Farm, Host, PATIENCE};
use crate::looks::{beliefs, hears};
use crate::wait::{now, until};

/// Some 400 kB, which take longer than a node may be silent before it is lost.
const NOTES: usize = 800;
const BYTES_PER_SECOND: usize = 10_000;

/// What the other is taken for.
fn liveness(host: &Host) -> Value {
    let peers = host.json(&["peers"]);
    peers["peers"][0]["liveness"].clone()
}

#[test]
fn whoever_catches_up_over_a_slow_link_gets_everything_and_takes_nobody_for_lost_meanwhile() {
    let mut farm = Farm::new("slow", "tls", &[("teller", "node"), ("hearer", "node")]);
    farm.start();
    for host in &farm.hosts {
        until(&format!("{} hears the other", host.name), PATIENCE, || (hears(host) == 1).then_some(()));
    }
    farm.network("partition teller|hearer");
    let text = "x".repeat(400);
    for at in 0..NOTES {
        farm.hosts[0].note(&format!("told/{at}"), &text);
    }
    until("the parted miss each other", PATIENCE, || (hears(&farm.hosts[1]) == 0).then_some(()));
    farm.network(&format!("set bytes-per-second={BYTES_PER_SECOND}"));
    let begun = now();
    farm.network("heal");
    let [teller, hearer] = [&farm.hosts[0], &farm.hosts[1]];
    until("they hear each other again", PATIENCE, || (hears(hearer) + hears(teller) == 2).then_some(()));
    until("the hearer believes everything", PATIENCE, || {
        for host in [teller, hearer] {
            assert_eq!(liveness(host), json!("alive"), "to {}, {:?} later", host.name, begun.elapsed());
        }
        (beliefs(hearer).len() == NOTES).then_some(())
    });
    assert!(begun.elapsed() > Duration::from_secs(30), "the link was not slow: {:?}", begun.elapsed());
    farm.hosts.iter_mut().for_each(Host::stop);
    farm.lab.end().expect("its namespaces are removed");
}
