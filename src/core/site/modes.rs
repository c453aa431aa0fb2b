//! The ways in which a site is out of order now.

use std::collections::BTreeSet;

use clawmesh_authority::policy::Mode;

/// What the modes of a site follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signs {
    /// Command centers of the site, this node among them if it is one.
    pub command_centers: usize,
    /// How many of them are heard.
    pub command_centers_heard: usize,
    /// Other field nodes of the site.
    pub field_nodes: usize,
    /// How many of them are heard.
    pub field_nodes_heard: usize,
    /// True when a sensor that a rule names cannot be relied on.
    pub sensor_doubted: bool,
    /// True when somebody noted that the supply is not steady.
    pub power_unstable: bool,
}

/// The modes that follow. Of a kind of node that the site does not have none is away.
#[must_use]
pub fn modes(signs: Signs) -> BTreeSet<Mode> {
    let is_away = [
        (Mode::CommandCenterAway, signs.command_centers > 0 && signs.command_centers_heard == 0),
        (Mode::FieldNodeAway, signs.field_nodes_heard < signs.field_nodes),
        (Mode::SensorFault, signs.sensor_doubted),
        (Mode::PowerUnstable, signs.power_unstable),
    ];
    is_away.into_iter().filter(|(_, holds)| *holds).map(|(mode, _)| mode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_has_its_own_sign() {
        let calm = Signs {
            command_centers: 2,
            command_centers_heard: 1,
            field_nodes: 2,
            field_nodes_heard: 2,
            ..Signs::default()
        };
        assert_eq!(modes(calm), BTreeSet::new(), "one of two command centers is enough");
        for (signs, mode) in [
            (Signs { command_centers_heard: 0, ..calm }, Mode::CommandCenterAway),
            (Signs { field_nodes_heard: 1, ..calm }, Mode::FieldNodeAway),
            (Signs { sensor_doubted: true, ..calm }, Mode::SensorFault),
            (Signs { power_unstable: true, ..calm }, Mode::PowerUnstable),
        ] {
            assert_eq!(modes(signs), BTreeSet::from([mode]));
        }
        assert_eq!(modes(Signs::default()), BTreeSet::new(), "who is not there is not away");
    }
}
