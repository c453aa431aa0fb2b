//! What a lab is made of before there is one: names, addresses, seed, links.

use std::net::Ipv4Addr;

use crate::switch::LinkSettings;

/// Hosts of one lab.
pub const HOSTS_MAX: usize = 64;

/// A name becomes part of the name of a namespace and of a socket.
const NAME_BYTES_MAX: usize = 32;

/// All hosts of a lab are in this network, 10.77.0.0.
const NETWORK: [u8; 2] = [10, 77];

/// The bits of an address that name the network.
pub const NETWORK_BITS: u8 = 16;

/// A lab that may be started: its names are well-formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabPlan {
    lab: String,
    hosts: Vec<String>,
    /// What the fates of all frames follow from.
    pub seed: u64,
    /// Every link at the start.
    pub links: LinkSettings,
}

impl LabPlan {
    /// A plan with the seed 0 and links that do nothing to frames.
    ///
    /// # Errors
    /// One sentence that says which name cannot be used, and what could.
    pub fn new<S: Into<String>>(lab: &str, hosts: impl IntoIterator<Item = S>) -> Result<Self, String> {
        let hosts: Vec<String> = hosts.into_iter().map(Into::into).collect();
        if !is_name(lab) || lab.contains('-') {
            return Err(format!(
                "`{lab}` cannot name a lab; use 1 to {NAME_BYTES_MAX} letters a-z and digits, like `farm1`"
            ));
        }
        if let Some(host) = hosts.iter().find(|host| !is_name(host)) {
            return Err(format!(
                "`{host}` cannot name a host; use 1 to {NAME_BYTES_MAX} letters a-z, digits and `-`, like `field-1`"
            ));
        }
        if let Some(twice) = hosts.iter().enumerate().find(|(at, host)| hosts[..*at].contains(host)) {
            return Err(format!("the host `{}` is named twice; give every host its own name", twice.1));
        }
        if !(1..=HOSTS_MAX).contains(&hosts.len()) {
            return Err(format!(
                "a lab has 1 to {HOSTS_MAX} hosts, not {}; name them in `--hosts`",
                hosts.len()
            ));
        }
        Ok(Self { lab: lab.to_owned(), hosts, seed: 0, links: LinkSettings::default() })
    }

    /// The name of the lab.
    #[must_use]
    pub fn lab(&self) -> &str {
        &self.lab
    }

    /// The names of the hosts.
    #[must_use]
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// What the names of all namespaces of this lab begin with, and of no other lab: labs have no `-` in their name.
    #[must_use]
    pub fn netns_prefix(&self) -> String {
        format!("cm-{}-", self.lab)
    }

    /// The network namespace of a host.
    #[must_use]
    pub fn netns(&self, host: usize) -> String {
        format!("{}{}", self.netns_prefix(), self.hosts[host])
    }
}

/// The address of a host at the start: 10.77.0.1 for the first.
#[must_use]
pub fn first_address(host: usize) -> Ipv4Addr {
    let last = u8::try_from(host + 1).expect("a plan has at most HOSTS_MAX hosts");
    Ipv4Addr::new(NETWORK[0], NETWORK[1], 0, last)
}

/// Whether a host can have the address: in the network, and neither its first nor its last.
#[must_use]
pub fn is_host_address(address: Ipv4Addr) -> bool {
    let [a, b, host @ ..] = address.octets();
    [a, b] == NETWORK && host != [0, 0] && host != [255, 255]
}

fn is_name(name: &str) -> bool {
    let is_letter = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.starts_with('-') && name.bytes().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_follow_from_the_plan() {
        let plan = LabPlan::new("farm", ["one", "field-2"]).unwrap();
        assert_eq!([plan.netns(0), plan.netns(1)], ["cm-farm-one", "cm-farm-field-2"]);
        assert_eq!(first_address(0), Ipv4Addr::new(10, 77, 0, 1));
        assert_eq!(first_address(HOSTS_MAX - 1), Ipv4Addr::new(10, 77, 0, 64));
    }

    #[test]
    fn a_plan_that_cannot_be_says_why_and_what_to_do() {
        let many: Vec<String> = (0..=HOSTS_MAX).map(|host| format!("h{host}")).collect();
        for (lab, hosts, word) in [
            ("", vec!["one".to_owned()], "cannot name a lab"),
            ("a-b", vec!["one".to_owned()], "cannot name a lab"),
            ("../x", vec!["one".to_owned()], "cannot name a lab"),
            ("farm", vec!["One".to_owned()], "`One` cannot name a host"),
            ("farm", vec!["-one".to_owned()], "`-one` cannot name a host"),
            ("farm", vec!["a/b".to_owned()], "cannot name a host"),
            ("farm", vec!["one".to_owned(), "one".to_owned()], "`one` is named twice"),
            ("farm", vec![], "not 0"),
            ("farm", many, "not 65"),
        ] {
            let refusal = LabPlan::new(lab, hosts).unwrap_err();
            assert!(refusal.contains(word), "{refusal}");
        }
    }

    #[test]
    fn only_addresses_of_hosts_in_the_network_are_taken() {
        let is_taken = |text: &str| is_host_address(text.parse().unwrap());
        assert!(is_taken("10.77.0.99") && is_taken("10.77.1.0") && is_taken("10.77.255.254"));
        for bad in ["10.77.0.0", "10.77.255.255", "10.78.0.1", "127.0.0.1"] {
            assert!(!is_taken(bad), "{bad}");
        }
    }
}
