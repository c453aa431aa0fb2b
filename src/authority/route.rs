//! Who of those that can do something is asked for it, best first; and to whom an actuator belongs. Pure.
//!
//! Whoever can do it here comes first. Of the others the score of [`pattern`] decides, then the way there, then
//! how much already waits there, then the id, so that equals are told apart in the same way everywhere. A viewer is never
//! asked, nor is one that is lost. A command is no question of who is best: it goes to its owner or nowhere.

use std::cmp::Reverse;

use crate::ids::NodeId;
use crate::node_role::NodeRole;
use crate::pattern::{self, CapabilityKind, Health};

/// How far away whoever can do something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It is this very node.
    Own,
    /// It is there.
    Alive,
    /// It is silent, not for long.
    Suspect,
    /// It is silent for too long, or has gone.
    Lost,
}

/// The way to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Way {
    /// How long a ping takes there and back, milliseconds; nothing when nobody knows.
    pub round_trip_ms: Option<u64>,
    /// Calls of ours that wait there for an answer.
    pub waiting_calls: usize,
}

/// Something that somebody can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ability<'a> {
    /// Who.
    pub node: NodeId,
    /// What it says it is for.
    pub role: NodeRole,
    /// What it can do, as it says.
    pub capability: &'a str,
    /// How far away it is.
    pub reach: Reach,
    /// How well it works.
    pub health: Health,
    /// The way there.
    pub way: Way,
}

/// An ability that fits, and what it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranked<'a> {
    /// What is offered; its health is what counts, so one that is suspect is not healthy.
    pub ability: Ability<'a>,
    /// Its points.
    pub points: u32,
}

/// To whom an actuator belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// To nobody we know.
    Nobody,
    /// To this node.
    Own,
    /// To another one.
    Node(NodeId),
    /// Several say that it is theirs, so it is nobody's.
    Several,
}

/// Round trips up to so many milliseconds are equally good; what a network does by chance decides nothing.
const BANDS_MS: [u64; 4] = [20, 100, 400, 1_600];

/// What fits `pattern`, the best first.
#[must_use]
pub fn rank<'a>(abilities: impl IntoIterator<Item = Ability<'a>>, pattern: &str) -> Vec<Ranked<'a>> {
    let mut ranked: Vec<Ranked<'a>> =
        abilities.into_iter().filter_map(|ability| fits(ability, pattern)).collect();
    ranked.sort_by(|a, b| order(a).cmp(&order(b)));
    ranked
}

fn fits<'a>(ability: Ability<'a>, pattern: &str) -> Option<Ranked<'a>> {
    let health = match ability.reach {
        Reach::Lost => return None,
        Reach::Suspect => ability.health.min(Health::Degraded),
        Reach::Own | Reach::Alive => ability.health,
    };
    // This node is asked for what it has, whatever it is for.
    if ability.reach != Reach::Own && !ability.role.is_target() {
        return None;
    }
    let points = pattern::score(ability.capability, pattern, health)?;
    Some(Ranked { ability: Ability { health, ..ability }, points })
}

/// Smaller is better.
fn order<'a>(ranked: &Ranked<'a>) -> impl Ord + use<'a> {
    let Ability { node, capability, reach, way, .. } = ranked.ability;
    let band = way.round_trip_ms.map(|ms| BANDS_MS.iter().position(|most| ms <= *most));
    // One that is slower than all bands, and then one that nobody has measured.
    let band = band.map_or(BANDS_MS.len() + 1, |band| band.unwrap_or(BANDS_MS.len()));
    (reach != Reach::Own, Reverse(ranked.points), band, way.waiting_calls, node, capability)
}

/// To whom the actuator `target` belongs: to whoever offers it by its whole name, or else to whoever offers the two parts it
/// begins with, as existing nodes do. Neither health nor way makes an owner, and silence ends no ownership.
#[must_use]
pub fn owner<'a>(abilities: impl IntoIterator<Item = Ability<'a>> + Clone, target: &str) -> Owner {
    let parts = pattern::parts(target);
    if parts.kind != CapabilityKind::Actuator {
        return Owner::Nobody;
    }
    let begin = &target[..target.len() - parts.sub.map_or(0, |sub| sub.len() + 1)];
    match offering(abilities.clone(), target) {
        Owner::Nobody => offering(abilities, begin),
        found => found,
    }
}

fn offering<'a>(abilities: impl IntoIterator<Item = Ability<'a>>, capability: &str) -> Owner {
    let mut owner = Owner::Nobody;
    for ability in abilities {
        if ability.capability != capability || !ability.role.is_target() {
            continue;
        }
        owner = match (ability.reach, owner) {
            // What is ours is ours, whatever others say of themselves.
            (Reach::Own, _) => return Owner::Own,
            (_, Owner::Nobody) => Owner::Node(ability.node),
            (_, known) if known == Owner::Node(ability.node) => known,
            _ => Owner::Several,
        };
    }
    owner
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ability(node: u8, capability: &str) -> Ability<'_> {
        Ability {
            node: NodeId([node; 32]),
            role: NodeRole::Field,
            capability,
            reach: Reach::Alive,
            health: Health::Healthy,
            way: Way::default(),
        }
    }

    fn way(round_trip_ms: u64, waiting_calls: usize) -> Way {
        Way { round_trip_ms: Some(round_trip_ms), waiting_calls }
    }

    fn nodes(abilities: &[Ability<'_>], pattern: &str) -> Vec<(u8, u32)> {
        let ranked = rank(abilities.iter().copied(), pattern);
        ranked.iter().map(|ranked| (ranked.ability.node.0[0], ranked.points)).collect()
    }

    #[test]
    fn here_comes_first_then_the_score_then_the_way_then_the_load_then_the_id() {
        let telegram = "channel:telegram";
        let abilities = [
            ability(6, telegram),
            Ability { way: way(90, 0), ..ability(5, telegram) },
            Ability { way: way(15, 3), ..ability(4, telegram) },
            Ability { way: way(3, 4), ..ability(2, telegram) },
            Ability { way: way(19, 3), ..ability(3, telegram) },
            Ability { health: Health::Degraded, way: way(1, 0), ..ability(1, telegram) },
            Ability { health: Health::Unhealthy, reach: Reach::Own, ..ability(9, telegram) },
        ];
        let expected = [(9, 5), (3, 15), (4, 15), (2, 15), (5, 15), (6, 15), (1, 10)];
        assert_eq!(nodes(&abilities, telegram), expected);
        assert_eq!(nodes(&abilities, "channel:*")[1], (3, 10), "a pattern is worth less than the text");
        assert_eq!(nodes(&abilities, "channel:sms"), []);
    }

    #[test]
    fn a_viewer_and_one_that_is_lost_are_never_asked_and_one_that_is_suspect_is_not_healthy() {
        let abilities = [
            Ability { role: NodeRole::Viewer, ..ability(1, "skill:look") },
            Ability { reach: Reach::Lost, ..ability(2, "skill:look") },
            Ability { reach: Reach::Suspect, ..ability(3, "skill:look") },
            Ability { reach: Reach::Suspect, health: Health::Unknown, ..ability(4, "skill:look") },
        ];
        assert_eq!(nodes(&abilities, "skill:look"), [(3, 10), (4, 8)]);
    }

    #[test]
    fn an_actuator_belongs_to_one_node_or_to_nobody_and_silence_does_not_give_it_away() {
        let pump = "actuator:pump:p1";
        let lost = Ability { reach: Reach::Lost, ..ability(1, pump) };
        let own = Ability { reach: Reach::Own, ..ability(9, "actuator:valve:v1") };
        let begins = ability(2, "actuator:pump");
        let viewer = Ability { role: NodeRole::Viewer, ..ability(4, pump) };
        let owner_among = |abilities: &[Ability<'_>], target| owner(abilities.iter().copied(), target);
        assert_eq!(owner_among(&[lost, own, begins, viewer], pump), Owner::Node(NodeId([1; 32])));
        assert_eq!(owner_among(&[begins, own], pump), Owner::Node(NodeId([2; 32])));
        assert_eq!(owner_among(&[begins, own], "actuator:valve:v1"), Owner::Own);
        assert_eq!(owner_among(&[lost, lost, ability(3, pump)], pump), Owner::Several);
        let ours = Ability { reach: Reach::Own, ..ability(9, pump) };
        assert_eq!(owner_among(&[lost, ability(3, pump), ours], pump), Owner::Own, "others claim it in vain");
        for nobodys in ["actuator:fan:f1", "sensor:pump:p1", "actuator:*", "channel:telegram"] {
            assert_eq!(owner_among(&[ability(1, "sensor:pump:p1"), begins, own], nobodys), Owner::Nobody);
        }
    }

    proptest! {
        #[test]
        fn the_order_does_not_follow_from_the_order_of_the_offers(
            rows in prop::collection::vec((any::<u8>(), 0_u64..3_000, 0_usize..3, 0_u8..3), 0..12),
            turn in 0_usize..12,
        ) {
            let mut abilities: Vec<Ability<'_>> = rows.iter().map(|(node, ms, waiting_calls, reach)| Ability {
                way: way(*ms, *waiting_calls),
                reach: [Reach::Own, Reach::Alive, Reach::Suspect][usize::from(*reach)],
                ..ability(*node, "skill:a")
            }).collect();
            let ranked = nodes(&abilities, "skill:*");
            let turn = turn.min(abilities.len());
            abilities.rotate_left(turn);
            prop_assert_eq!(nodes(&abilities, "skill:*"), ranked);
        }

        #[test]
        fn no_text_panics(capability in ".{0,12}", target in "(actuator:)?.{0,12}") {
            let abilities = [ability(1, &capability)];
            let _ = (owner(abilities, &target), nodes(&abilities, &target));
        }
    }
}
