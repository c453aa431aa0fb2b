//! Whether a node plans: who may lead does, unless somebody says otherwise or this build has no planner.

use clawmesh_authority::NodeRole;
use clawmesh_twin::site::Plan;

use super::{Layers, NodeConfig, Setting, checks};
use crate::config::error::ConfigError;

/// Whether this program was built with a planner.
pub const IS_BUILT: bool = cfg!(feature = "planner");

impl NodeConfig {
    /// True when a node with these settings is to plan at this site.
    pub fn plans_at(&self, plan: &Plan) -> bool {
        self.planner.value && plan.is_watered()
    }
}

impl Layers<'_> {
    pub(super) fn planner(&self, role: &str) -> Result<Setting<bool>, ConfigError> {
        let obstacle = obstacle(role, IS_BUILT);
        let planner = self.pick("planner", obstacle.is_none(), |l| l.planner.as_ref(), checks::any)?;
        match obstacle {
            Some(sentence) if planner.value => Err(self.fault_of(&planner.source, "planner", sentence)),
            _ => Ok(planner),
        }
    }
}

/// Why a node of this role does not plan, whatever its settings say; nothing if it may.
fn obstacle(role: &str, is_built: bool) -> Option<String> {
    if NodeRole::of_name(role).planner_rank() == 0 {
        return Some(format!(
            "`planner` is on, and the role {role:?} does not lead the planning; use the role `command-center`, \
             `planner` or `standby-planner`"
        ));
    }
    let sentence = "`planner` is on, and this program was built without a planner; remove it, or build the program with \
                    its default features";
    (!is_built).then(|| sentence.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::config::node_file::NodeFile;
    use crate::config::{farm, site_file};

    fn resolve(text: &str, command_line: NodeFile) -> Result<NodeConfig, String> {
        NodeConfig::resolve(Path::new("node.ron"), Some(text), command_line, "barn")
            .map_err(|error| error.to_string())
    }

    #[test]
    fn who_may_lead_plans_unless_somebody_says_otherwise_and_nobody_else_can() {
        let plans = |text| resolve(text, NodeFile::default()).unwrap().planner.value;
        for (text, expected) in [
            ("()", false),
            ("(role: \"field\")", false),
            ("(role: \"command-center\")", true),
            ("(role: \"command-center\", planner: false)", false),
            ("(role: \"planner\")", true),
            ("(role: \"standby-planner\")", true),
        ] {
            assert_eq!(plans(text), expected && IS_BUILT, "{text}");
        }
        let command_line = NodeFile { role: Some("command-center".into()), ..NodeFile::default() };
        assert_eq!(resolve("()", command_line).unwrap().planner.value, IS_BUILT);
        let error = resolve("(role: \"field\",\n planner: true)", NodeFile::default()).unwrap_err();
        assert!(
            error.starts_with("node.ron:2:2: `planner` is on, and the role \"field\" does not"),
            "{error}"
        );
    }

    #[test]
    fn a_build_without_a_planner_says_so_to_whoever_wants_one() {
        assert_eq!(obstacle("command-center", true), None);
        let sentence = obstacle("command-center", false).unwrap();
        assert!(sentence.contains("built without a planner"), "{sentence}");
        let asked = resolve("(role: \"command-center\", planner: true)", NodeFile::default());
        assert_eq!(asked.is_ok(), IS_BUILT, "{asked:?}");
    }

    #[test]
    fn a_command_center_plans_at_a_site_that_tells_how_to_water() {
        let config = |text: &str| resolve(text, NodeFile::default()).unwrap();
        let center = config("(role: \"command-center\")");
        let site = site_file::parse(Path::new("farm.ron"), &farm::site_with(&[])).unwrap();
        let mut plan = site.plan.unwrap();
        assert_eq!(center.plans_at(&plan), IS_BUILT);
        assert!(!config("(role: \"field\")").plans_at(&plan));
        plan.zones.iter_mut().for_each(|zone| zone.irrigation = None);
        assert!(!center.plans_at(&plan), "nothing is to be watered");
    }
}
