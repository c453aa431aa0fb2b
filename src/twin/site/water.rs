//! The water of a site: what stores, moves, cleans and spreads it, and which line leads from what to what.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ground::Point;
use super::name::Name;

/// The water of a site.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Water {
    /// What the lines join.
    pub parts: Vec<Part>,
    /// What leads from one part to the next, in the direction of the flow.
    pub lines: Vec<Line>,
}

/// Something that water passes, comes from or ends in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name.
    pub name: Name,
    /// Where it stands.
    pub at: Point,
    /// What it is.
    pub kind: PartKind,
}

/// What a part does to the water.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum PartKind {
    /// Water comes from here.
    Source {
        /// What it gives at most.
        yield_lpm: f64,
    },
    /// Water waits here.
    Tank {
        /// What it holds when full.
        capacity_l: f64,
        /// How high the water stands when it is full.
        depth_m: f64,
    },
    /// Water is lifted here.
    Pump {
        /// What it moves at most, without any resistance.
        flow_lpm_max: f64,
        /// How high it lifts at most, without any flow.
        head_m_max: f64,
        /// What it draws when it runs.
        power_w: f64,
    },
    /// Water is cleaned here.
    Filter {
        /// What it costs in height when clean, at the flow of `rated_lpm`.
        loss_m: f64,
        /// The flow it is made for.
        rated_lpm: f64,
    },
    /// Water is divided here.
    Manifold,
    /// Water is let into a zone here.
    Valve {
        /// The zone it waters.
        zone: Name,
    },
    /// Water ends in the soil here, drop by drop.
    DripRow {
        /// The zone it lies in.
        zone: Name,
        /// How long it is.
        length_m: f64,
        /// From one emitter to the next.
        spacing_m: f64,
        /// What one emitter gives.
        emitter_lph: f64,
    },
}

/// A pipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its name.
    pub name: Name,
    /// The part it begins at.
    pub from: Name,
    /// The part it ends at.
    pub to: Name,
    /// Its inner width.
    pub diameter_mm: f64,
    /// How long it is.
    pub length_m: f64,
    /// What it is made of.
    pub material: Material,
}

/// What a pipe is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Material {
    /// High-density polyethylene.
    Hdpe,
    /// Low-density polyethylene, as drip lines are.
    Ldpe,
    /// Polyvinyl chloride.
    Pvc,
    /// Galvanised steel.
    Steel,
}

impl PartKind {
    /// What is wrong with its numbers.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let numbers: &[(&str, f64)] = match self {
            Self::Source { yield_lpm } => &[("yield_lpm", *yield_lpm)],
            Self::Tank { capacity_l, depth_m } => &[("capacity_l", *capacity_l), ("depth_m", *depth_m)],
            Self::Pump { flow_lpm_max, head_m_max, power_w } => {
                &[("flow_lpm_max", *flow_lpm_max), ("head_m_max", *head_m_max), ("power_w", *power_w)]
            }
            Self::Filter { loss_m, rated_lpm } => &[("loss_m", *loss_m), ("rated_lpm", *rated_lpm)],
            Self::Manifold | Self::Valve { .. } => &[],
            Self::DripRow { length_m, spacing_m, emitter_lph, .. } => {
                &[("length_m", *length_m), ("spacing_m", *spacing_m), ("emitter_lph", *emitter_lph)]
            }
        };
        numbers.iter().find_map(|(key, number)| not_above_zero(key, *number))
    }

    /// The zone it serves, if it is of one.
    #[must_use]
    pub fn zone(&self) -> Option<&Name> {
        match self {
            Self::Valve { zone } | Self::DripRow { zone, .. } => Some(zone),
            _ => None,
        }
    }
}

impl Line {
    /// What is wrong with its numbers.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        not_above_zero("diameter_mm", self.diameter_mm).or_else(|| not_above_zero("length_m", self.length_m))
    }
}

fn not_above_zero(key: &str, number: f64) -> Option<String> {
    (!(number.is_finite() && number > 0.0)).then(|| format!("`{key}` is {number}, it must be above 0"))
}

impl Water {
    /// The first thing wrong with the way of the water: a line without an end, a circle, a valve or a row that no
    /// source reaches, a row that is reached past no valve of its zone, a pump that no tank or source feeds.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let parts: BTreeMap<&Name, &PartKind> =
            self.parts.iter().map(|part| (&part.name, &part.kind)).collect();
        let loose = self.lines.iter().find_map(|line| {
            let missing = [&line.from, &line.to].into_iter().find(|end| !parts.contains_key(end))?;
            Some(format!("the line {} leads to {missing}, which is no part of the water", line.name))
        });
        loose.or_else(|| self.circle()).or_else(|| {
            self.parts.iter().find_map(|part| match &part.kind {
                PartKind::Pump { .. } => self.unfed_pump(&part.name, &parts),
                PartKind::Valve { .. } => self.dry(&part.name, &parts),
                PartKind::DripRow { zone, .. } => {
                    self.dry(&part.name, &parts).or_else(|| self.past_its_valve(&part.name, zone, &parts))
                }
                _ => None,
            })
        })
    }

    /// Everything that water may have passed before it is at `name`, without it.
    #[must_use]
    pub fn upstream<'a>(&'a self, name: &'a Name) -> BTreeSet<&'a Name> {
        let (mut found, mut open) = (BTreeSet::new(), vec![name]);
        while let Some(at) = open.pop() {
            let above = self.lines.iter().filter(|line| line.to == *at).map(|line| &line.from);
            open.extend(above.filter(|from| found.insert(*from)));
        }
        found
    }

    fn circle(&self) -> Option<String> {
        let in_circle = self.parts.iter().find(|part| self.upstream(&part.name).contains(&part.name))?;
        Some(format!("water that leaves {} comes back to it; a line leads the wrong way", in_circle.name))
    }

    fn unfed_pump(&self, name: &Name, parts: &BTreeMap<&Name, &PartKind>) -> Option<String> {
        let feeds =
            |from: &&Name| matches!(parts.get(from), Some(PartKind::Tank { .. } | PartKind::Source { .. }));
        let is_fed = self.upstream(name).iter().any(feeds);
        (!is_fed).then(|| format!("the pump {name} draws from no tank and no source"))
    }

    fn dry(&self, name: &Name, parts: &BTreeMap<&Name, &PartKind>) -> Option<String> {
        let is_source = |from: &&Name| matches!(parts.get(from), Some(PartKind::Source { .. }));
        let is_wet = self.upstream(name).iter().any(is_source);
        (!is_wet).then(|| format!("no line leads from a source to {name}"))
    }

    fn past_its_valve(&self, name: &Name, zone: &Name, parts: &BTreeMap<&Name, &PartKind>) -> Option<String> {
        let is_its_valve =
            |from: &&Name| matches!(parts.get(from), Some(PartKind::Valve { zone: of }) if of == zone);
        let is_behind = self.upstream(name).iter().any(is_its_valve);
        (!is_behind).then(|| format!("the row {name} of {zone} is behind no valve of that zone"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn part(text: &str, kind: PartKind) -> Part {
        Part { name: name(text), at: Point(0.0, 0.0), kind }
    }

    fn line(from: &str, to: &str) -> Line {
        Line {
            name: name(&format!("{from}-{to}")),
            from: name(from),
            to: name(to),
            diameter_mm: 40.0,
            length_m: 10.0,
            material: Material::Hdpe,
        }
    }

    /// A well, a tank, a pump, a valve and one row.
    fn water() -> Water {
        let row = PartKind::DripRow { zone: name("z"), length_m: 30.0, spacing_m: 0.3, emitter_lph: 2.0 };
        let pump = PartKind::Pump { flow_lpm_max: 120.0, head_m_max: 30.0, power_w: 1_500.0 };
        Water {
            parts: vec![
                part("well", PartKind::Source { yield_lpm: 100.0 }),
                part("tank", PartKind::Tank { capacity_l: 5_000.0, depth_m: 2.0 }),
                part("pump", pump),
                part("valve", PartKind::Valve { zone: name("z") }),
                part("row", row),
            ],
            lines: vec![
                line("well", "tank"),
                line("tank", "pump"),
                line("pump", "valve"),
                line("valve", "row"),
            ],
        }
    }

    #[test]
    fn water_comes_from_a_source_past_a_valve_to_the_rows() {
        let water = water();
        assert_eq!(water.fault(), None);
        let valve = name("valve");
        let above: Vec<&str> = water.upstream(&valve).into_iter().map(Name::as_str).collect();
        assert_eq!(above, ["pump", "tank", "well"]);
    }

    #[test]
    fn what_leads_nowhere_in_a_circle_or_past_the_valve_is_named() {
        let without = |at: usize| {
            let mut water = water();
            water.lines.remove(at);
            water
        };
        let with = |more: Line| {
            let mut water = water();
            water.lines.push(more);
            water
        };
        let mut behind_another = water();
        behind_another.parts[3].kind = PartKind::Valve { zone: name("y") };
        for (broken, words) in [
            (without(1), "the pump pump draws from no tank"),
            (without(2), "no line leads from a source to valve"),
            (without(3), "no line leads from a source to row"),
            (with(line("row", "drain")), "leads to drain, which is no part"),
            (with(line("valve", "tank")), "comes back to it"),
            (behind_another, "the row row of z is behind no valve of that zone"),
        ] {
            let fault = broken.fault().unwrap_or_default();
            assert!(fault.contains(words), "{words:?} is not in {fault:?}");
        }
    }

    #[test]
    fn numbers_are_above_zero() {
        assert!(PartKind::Source { yield_lpm: 0.0 }.fault().unwrap().contains("`yield_lpm` is 0"));
        assert!(PartKind::Tank { capacity_l: 1.0, depth_m: f64::NAN }.fault().unwrap().contains("`depth_m`"));
        assert!(Line { length_m: -1.0, ..line("a", "b") }.fault().unwrap().contains("`length_m` is -1"));
        assert_eq!(PartKind::Manifold.fault(), None);
    }
}
