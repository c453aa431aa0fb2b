//! How nodes that were told no address find each other.

use crate::farm::{Farm, Host, PATIENCE};
use crate::looks::hears;
use crate::wait::until;

/// Where mDNS speaks.
const MDNS_PORT: u16 = 5_353;
/// Where zenoh scouts.
const SCOUTING_PORT: u16 = 7_446;

#[test]
fn nodes_find_each_other_by_mdns_where_nobody_can_scout_and_by_scouting_where_nobody_hears_mdns() {
    for (lab, blocked) in [("mdns", SCOUTING_PORT), ("scouting", MDNS_PORT)] {
        let mut farm = Farm::new(lab, "tls", &[("one", "node"), ("two", "node")]);
        farm.network(&format!("set udp-port-blocked={blocked}"));
        farm.start_unacquainted();
        for host in &farm.hosts {
            let what = format!("{} hears the other where port {blocked} is closed", host.name);
            until(&what, PATIENCE, || (hears(host) == 1).then_some(()));
        }
        let counts = farm.lab.ask("counts").expect("the lab goes on");
        let links = counts["links"].as_array().expect("a row for each direction");
        assert!(links.iter().all(|link| link["blocked"].as_u64() > Some(0)), "nobody tried: {counts}");
        farm.hosts.iter_mut().for_each(Host::stop);
        farm.lab.end().expect("its namespaces are removed");
    }
}
