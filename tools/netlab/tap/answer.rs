//! What a lab says: one line of JSON when it is ready, and one for each command.

use std::net::Ipv4Addr;

use serde::Serialize;

use super::host::Host;
use crate::switch::{LinkCounts, PortCounts, Switch};

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Answer {
    Ready { ready: bool, hosts: Vec<HostRow> },
    Done { ok: bool },
    Counts { hosts: Vec<HostCounts>, links: Vec<LinkRow> },
    Refused { error: String },
}

#[derive(Serialize)]
pub(super) struct HostRow {
    name: String,
    netns: String,
    address: Ipv4Addr,
}

#[derive(Serialize)]
pub(super) struct HostCounts {
    name: String,
    address: Ipv4Addr,
    #[serde(flatten)]
    counts: PortCounts,
    /// Frames that arrived and that the kernel of the host did not take.
    refused: u64,
}

#[derive(Serialize)]
pub(super) struct LinkRow {
    from: String,
    to: String,
    #[serde(flatten)]
    counts: LinkCounts,
}

impl Answer {
    pub fn ready(hosts: &[Host]) -> Self {
        let row = |host: &Host| HostRow {
            name: host.name().to_owned(),
            netns: host.netns().to_owned(),
            address: host.address(),
        };
        Self::Ready { ready: true, hosts: hosts.iter().map(row).collect() }
    }

    pub fn done() -> Self {
        Self::Done { ok: true }
    }

    pub fn counts(hosts: &[Host], switch: &Switch) -> Self {
        let of_host = |(port, host): (usize, &Host)| HostCounts {
            name: host.name().to_owned(),
            address: host.address(),
            counts: switch.port_counts(port),
            refused: host.refused(),
        };
        let ports = 0..hosts.len();
        let ends = ports.clone().flat_map(|from| ports.clone().map(move |to| (from, to)));
        let of_link = |(from, to): (usize, usize)| LinkRow {
            from: hosts[from].name().to_owned(),
            to: hosts[to].name().to_owned(),
            counts: switch.link_counts((from, to)),
        };
        Self::Counts {
            hosts: hosts.iter().enumerate().map(of_host).collect(),
            links: ends.filter(|(from, to)| from != to).map(of_link).collect(),
        }
    }

    /// One line, with its end.
    pub fn line(&self) -> String {
        let json = serde_json::to_string(self).expect("an answer has string keys and finite numbers only");
        json + "\n"
    }
}
