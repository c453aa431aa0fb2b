//! The farm that is shipped: a site, its policy, and the true numbers of its stand-in plant.

use clawmesh_authority::NodeId;

use crate::config::durable_file::create_atomic;
use crate::config::error::ConfigError;
use crate::config::state_dir::StateDir;

/// The name of the field node in the shipped site.
pub const FIELD_NODE: &str = "field-node";
/// The name of the command center in the shipped site.
pub const COMMAND_CENTER: &str = "command-center";

const SITE: &str = include_str!("../../../assets/sites/farm.ron");
const POLICY: &str = include_str!("../../../assets/sites/farm.policy.ron");
/// The true numbers of the plant.
pub const PLANT: &str = include_str!("../../../assets/sites/farm.plant.ron");

/// The text of the shipped site, with the ids of its nodes filled in.
#[must_use]
pub fn site_with(ids: &[(&str, NodeId)]) -> String {
    ids.iter().fold(SITE.to_owned(), |text, (name, id)| {
        let planned = format!("(name: \"{name}\", ");
        text.replacen(&planned, &format!("{planned}id: \"{id}\", "), 1)
    })
}

/// Puts the shipped site and its policy into a state dir that has none; what is there stays.
pub fn create_missing(dir: &StateDir, ids: &[(&str, NodeId)]) -> Result<(), ConfigError> {
    if create_atomic(&dir.site_file(), site_with(ids).as_bytes())? {
        create_atomic(&dir.policy_file(), POLICY.as_bytes())?;
    }
    Ok(())
}

/// How long the demo waters a zone, seconds.
const DEMO_FOR_S: u32 = 20;

/// Puts the farm of the demo into a state dir: the shipped one, whose zones are watered for seconds instead of minutes.
pub fn create_for_demo(dir: &StateDir, ids: &[(&str, NodeId)]) -> Result<(), ConfigError> {
    let site = watered_for(&site_with(ids), DEMO_FOR_S);
    create_atomic(&dir.site_file(), site.as_bytes())?;
    create_atomic(&dir.policy_file(), POLICY.as_bytes())?;
    Ok(())
}

/// The site with another number of seconds in every irrigation.
fn watered_for(site: &str, seconds: u32) -> String {
    const KEY: &str = "for_s: ";
    let mut parts = site.split(KEY);
    let before = parts.next().unwrap_or_default().to_owned();
    parts.fold(before, |text, rest| {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        format!("{text}{KEY}{seconds}{rest}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::site_file;
    use std::path::Path;

    #[test]
    fn the_shipped_site_takes_the_ids_of_its_nodes() {
        let ids = [(COMMAND_CENTER, NodeId([1; 32])), (FIELD_NODE, NodeId([2; 32]))];
        let site = site_file::parse(Path::new("site.ron"), &site_with(&ids)).unwrap();
        let nodes = site.plan.unwrap().nodes;
        let found: Vec<_> = nodes.iter().map(|node| (node.name.as_str(), node.id.clone())).collect();
        assert_eq!(found, ids.map(|(name, id)| (name, Some(id.to_string()))));
    }

    #[test]
    fn every_zone_of_the_demo_is_watered_for_seconds() {
        let (_folder, dir) = StateDir::temporary();
        create_for_demo(&dir, &[]).unwrap();
        let path = dir.site_file();
        let site = site_file::parse(&path, &std::fs::read_to_string(&path).unwrap()).unwrap();
        let seconds: Vec<u32> = site
            .plan
            .unwrap()
            .zones
            .iter()
            .filter_map(|zone| Some(zone.irrigation.as_ref()?.for_s))
            .collect();
        assert_eq!(seconds, [DEMO_FOR_S; 4]);
    }
}
