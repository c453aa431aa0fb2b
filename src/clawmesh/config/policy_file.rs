//! `policy.ron`: what the owner of actuators allows.

use std::path::{Path, PathBuf};

use clawmesh_authority::Policy;
use clawmesh_authority::policy::PolicyFault;
use clawmesh_core::site::disagreements;

use crate::config::durable_file::read_bounded;
use crate::config::error::ConfigError;
use crate::config::ron_text::{self, wrong_value};
use crate::config::site_file::SiteFile;

/// The policy that belongs to a site file: `policy.ron` beside `site.ron`, else `farm.policy.ron` beside `farm.ron`.
#[must_use]
pub fn beside(site: &Path) -> PathBuf {
    let stem = site.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = if stem == "site" { "policy.ron".to_owned() } else { format!("{stem}.policy.ron") };
    site.with_file_name(name)
}

/// The site that a policy stands beside.
#[must_use]
pub fn site_of(policy: &Path) -> PathBuf {
    let stem = policy.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = stem.strip_suffix(".policy").map_or("site.ron".to_owned(), |site| format!("{site}.ron"));
    policy.with_file_name(name)
}

/// Reads the policy of a state dir and refuses it with the first thing wrong; without a file there is none.
pub fn load(path: &Path, site: &SiteFile) -> Result<Option<Policy>, ConfigError> {
    let Some(content) = read_bounded(path)? else { return Ok(None) };
    let (policy, errors) = examine(path, ron_text::utf8(path, &content)?, Some(site));
    match errors.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(policy),
    }
}

/// Reads the text of a policy and tells everything that is wrong with it, alone and for this site; the policy is there
/// if it can be read at all.
pub fn examine(path: &Path, text: &str, site: Option<&SiteFile>) -> (Option<Policy>, Vec<ConfigError>) {
    let policy: Policy = match ron_text::parse(path, text, hint) {
        Err(unreadable) => return (None, vec![unreadable]),
        Ok(policy) => policy,
    };
    let mut faults = policy.faults();
    if let Some((site, plan)) = site.and_then(|site| Some((site, site.plan.as_ref()?))) {
        faults.extend(disagreements(&site.name, plan, &policy));
    }
    let told = |PolicyFault { at, sentence }| wrong_value(path, text, &at, format!("`{at}`: {sentence}"));
    let errors = faults.into_iter().map(told).collect();
    (Some(policy), errors)
}

fn hint(key: &str) -> Option<&'static str> {
    Some(match key {
        "actuators.class" => "Routine, Caution, Hazardous or Irreversible",
        "actuators.level" => "L1, L2 or L3",
        "actuators.tier_min" => "T2 or T3",
        "actuators.operations" => "for example {\"open\": (brings: On, serves: \"irrigation\", …)}",
        "actuators.interlocks.must" | "actuators.verified_by.must" => "for example BeAtLeast(20)",
        "actuators.shown_by" => {
            "for example (sensor: \"sensor:flow:line\", node: \"field-node\", on: BeAtLeast(4), off: BeAtMost(1), age_s_max: 5)"
        }
        "degraded" => "for example {PowerUnstable: (refuse_from: Caution)}",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::site_file;
    use clawmesh_core::settings::SiteText;
    use proptest::prelude::*;

    const FARM: &str = include_str!("../../../assets/sites/farm.ron");
    const POLICY: &str = include_str!("../../../assets/sites/farm.policy.ron");

    fn told(policy: &str, site: &str) -> Vec<String> {
        let (site, site_errors) = site_file::examine(Path::new("farm.ron"), site);
        let (_, policy_errors) = examine(Path::new("farm.policy.ron"), policy, site.as_ref());
        site_errors.iter().chain(&policy_errors).map(ToString::to_string).collect()
    }

    #[test]
    fn the_policy_stands_beside_its_site() {
        for (site, policy) in [("a/site.ron", "a/policy.ron"), ("a/farm.ron", "a/farm.policy.ron")] {
            assert_eq!(beside(Path::new(site)), Path::new(policy));
            assert_eq!(site_of(Path::new(policy)), Path::new(site));
        }
    }

    #[test]
    fn farm_and_policy_are_shipped_without_a_fault() {
        assert_eq!(told(POLICY, FARM), [""; 0]);
    }

    #[test]
    fn every_fault_of_both_files_is_told_with_its_line() {
        let site = FARM.replacen("zone: \"z-flower-production\"", "zone: \"z-nowhere\"", 1);
        let site = site.replacen("unit: \"kPa\"", "unit: \"psi\"", 1);
        let policy = POLICY.replacen("must: BeAtLeast(20)", "must: BeWithin(30, 20)", 1);
        let policy = policy.replacen("node: \"field-node\"", "node: \"barn\"", 1);
        let told = told(&policy, &site);
        let line = |text: &str, word: &str| 1 + text[..text.find(word).unwrap()].matches('\n').count();
        for (file, at, words) in [
            ("farm.ron", line(&site, "z-nowhere"), "z-nowhere is no zone of this site"),
            ("farm.ron", line(&site, "\"psi\""), "unknown unit \"psi\""),
            ("farm.policy.ron", line(&policy, "BeWithin(30, 20)"), "nothing is between 30 and 20"),
            ("farm.policy.ron", line(&policy, "node: \"barn\""), "barn is no node of this site"),
        ] {
            let begins = format!("{file}:{at}:");
            let found = told.iter().any(|line| line.starts_with(&begins) && line.contains(words));
            assert!(found, "{begins} {words:?} is not in {told:#?}");
        }
    }

    #[test]
    fn two_owners_of_one_valve_are_told() {
        let second = "(capability: \"actuator:valve:flower-again\", of: \"valve-flower\", owner: \"command-center\", \
                      safe_state: Off, on_silence: Unknown),\n        ],\n        safe_order: [\n            \
                      \"actuator:valve:flower-again\",";
        let site = FARM.replacen("],\n        safe_order: [", second, 1);
        let told = told(POLICY, &site);
        let words = "actuators[2] of field-node drives valve-flower already; one thing has one owner";
        assert!(told.iter().any(|line| line.contains(words)), "{told:#?}");
    }

    /// The farm with the flower valve on a guest, as `on_guest` says, and this id for its field node.
    fn on_guest(of_field_node: &str, on_guest: &str) -> String {
        let site = FARM.replacen(
            "(name: \"field-node\", role: \"field\"",
            &format!("(name: \"field-node\", role: \"field\", id: \"{of_field_node}\""),
            1,
        );
        let begin = site.find("(capability: \"actuator:valve:valve-flower\"").unwrap();
        let end = begin + site[begin..].find(")),").unwrap() + 1;
        let line = site[begin..end].replacen("ClosesAfter(seconds: 10)", "Unknown", 1);
        format!("{}{line}, on_guest: {on_guest}{}", &site[..begin], &site[end..])
    }

    #[test]
    fn an_actuator_on_a_guest_names_a_node_that_is_none_of_ours_and_what_ends_in_one_state() {
        let (own, peer) = ("cd".repeat(32), "ab".repeat(32));
        let guest = |peer: &str, target: &str, on: &str, off: &str| {
            let guest = format!("(peer: \"{peer}\", target: \"{target}\", on: \"{on}\", off: \"{off}\")");
            told(POLICY, &on_guest(&own, &guest))
        };
        let north = "actuator:valve:north";
        assert_eq!(guest(&peer, north, "open", "close"), [""; 0]);
        for (told, words) in [
            (guest("ab", north, "open", "close"), "an id has 64 hexadecimal characters"),
            (guest(&own, north, "open", "close"), "this is field-node, a node of this site and no guest"),
            (guest(&peer, "north", "open", "close"), "is not `kind:name`"),
            (guest(&peer, "valve:north", "open", "close"), "must begin with \"actuator:\""),
            (
                guest(&peer, north, "toggle", "close"),
                "`on` is \"toggle\", an existing node switches on by one of open, start, on, enable",
            ),
            (
                guest(&peer, north, "open", "open"),
                "`off` is \"open\", an existing node switches off by one of close",
            ),
        ] {
            assert!(
                told.len() == 1 && told[0].starts_with("farm.ron:") && told[0].contains(words),
                "{words:?} {told:#?}"
            );
        }
        let silent = on_guest(&own, "(peer: \"x\", target: \"y\", on: \"open\", off: \"close\")");
        let silent = silent.replacen(", on_silence: Unknown, on_guest", ", on_guest", 1);
        assert!(
            told(POLICY, &silent)[0].contains("the key `on_silence` is missing"),
            "{:#?}",
            told(POLICY, &silent)
        );
    }

    #[test]
    fn s2_two_guardians_of_one_actuator_on_a_guest_are_told() {
        let peer = "ab".repeat(32);
        let guest =
            |target: &str| format!("(peer: \"{peer}\", target: \"{target}\", on: \"open\", off: \"close\")");
        let site = on_guest(&"cd".repeat(32), &guest("actuator:valve:north"));
        let twice = site.replacen(
            "on_silence: Holds)",
            &format!("on_silence: Holds, on_guest: {})", guest("actuator:valve:NORTH")),
            1,
        );
        let told = told(POLICY, &twice);
        let words = "actuators[2] of field-node is actuator:valve:NORTH of that guest already; one thing has one guardian";
        assert!(told.iter().any(|line| line.contains(words)), "{told:#?}");
    }

    #[test]
    fn the_hash_is_of_what_is_said_and_not_of_how() {
        let site = site_file::examine(Path::new("farm.ron"), FARM).0.unwrap();
        let hash = |text: &str| {
            let policy = examine(Path::new("p"), text, None).0;
            let plan = site.plan.as_ref().unwrap();
            SiteText::of(&site.name, plan, policy.as_ref()).unwrap().policy_hash()
        };
        assert_eq!(hash(POLICY), hash(&format!("// another comment\n{POLICY}")));
        assert_ne!(hash(POLICY), hash(&POLICY.replacen("BeAtLeast(20)", "BeAtLeast(21)", 1)));
    }

    proptest! {
        #[test]
        fn no_damage_to_a_good_policy_panics(at in 0_usize..6_000, with in "\\PC{0,3}") {
            let at = POLICY.floor_char_boundary(at);
            let _ = told(&format!("{}{with}{}", &POLICY[..at], &POLICY[at..]), FARM);
            let _ = told(&POLICY[..at], FARM);
        }
    }
}
