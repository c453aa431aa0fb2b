//! What becomes of a node that gets another address while it runs.

use crate::farm::{Farm, PATIENCE};
use crate::looks::{beliefs, hears};
use crate::wait::until;

#[test]
fn a_node_whose_address_has_changed_is_found_again_over_zenoh_by_those_who_were_told_no_address() {
    let mut farm = Farm::new("moving", "quic", &[("one", "node"), ("two", "node"), ("three", "node")]);
    farm.start_unacquainted();
    for host in &farm.hosts {
        until(&format!("{} hears the two others", host.name), PATIENCE, || (hears(host) == 2).then_some(()));
    }
    // First the one, then the other, so that both the lower and the higher of two ids are found.
    for (at, address) in [(1, "10.77.0.98"), (2, "10.77.0.99")] {
        let name = farm.hosts[at].name.clone();
        farm.network(&format!("readdress {name} {address}"));
        // What is noted now goes over new links only: nothing comes back to the old address.
        for host in &farm.hosts {
            host.note(&format!("moved/{name}/{}", host.name), "seen");
        }
        for host in &farm.hosts {
            let what = format!("{} believes what all noted since {name} has moved", host.name);
            until(&what, PATIENCE, || {
                let known =
                    beliefs(host).into_keys().filter(|key| key.starts_with(&format!("moved/{name}/")));
                (known.count() == 3).then_some(())
            });
        }
    }
    for host in &farm.hosts {
        until(&format!("{} hears the two others", host.name), PATIENCE, || (hears(host) == 2).then_some(()));
    }
    for host in &mut farm.hosts {
        host.stop();
        let replayed = host.replayed();
        assert_eq!(replayed["verified"], serde_json::json!(true), "{}: {replayed}", host.name);
    }
    farm.lab.end().expect("its namespaces are removed");
}
