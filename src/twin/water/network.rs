//! The water of a plan as a tree for each tank and source: every part once, after what feeds it.

use std::collections::{BTreeMap, BTreeSet};

use super::loss;
use crate::site::{Line, Name, Part, PartKind, Plan, Point};

/// A part, or the inlet of a tank that something fills.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The part.
    pub name: Name,
    /// Where it stands.
    pub at: Point,
    /// What it does to the water.
    pub role: Role,
    /// The zone that the water of its outlet goes to.
    pub zone: Option<Name>,
}

/// What a node does to the water.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Role {
    /// Water waits here.
    Tank {
        /// What it holds.
        capacity_l: f64,
        /// How high it stands when full.
        depth_m: f64,
    },
    /// Water comes from here, at no pressure.
    Source {
        /// What it gives at most.
        yield_lpm: f64,
    },
    /// Water is lifted here while it is on.
    Pump {
        /// What it draws.
        power_w: f64,
    },
    /// Water passes while it is on.
    Valve,
    /// Water passes.
    Way,
    /// Water pours into a tank, whose node this is.
    Inlet {
        /// The tank.
        tank: usize,
    },
}

/// The numbers of a node, in the same order: what a rollout perturbs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Element {
    /// What feeds it; `None` for a tank or a source.
    pub parent: Option<usize>,
    /// Coefficient of `Q^1.852`, from what feeds it.
    pub friction: f64,
    /// Coefficient of `Q²`.
    pub square: f64,
    /// What it lifts while it is on.
    pub lift_m: f64,
    /// True if it stops the water while it is off.
    pub is_valve: bool,
    /// Where water leaves the network here.
    pub outlet: Outlet,
}

/// How water leaves the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outlet {
    /// It does not.
    Shut,
    /// Through emitters.
    Row {
        /// What they give at the head they are rated for.
        rated_lpm: f64,
    },
    /// Through an open end.
    Open {
        /// What it gives under one metre.
        at_one_metre_lpm: f64,
        /// How high it is.
        height_m: f64,
    },
}

/// The water of a plan, ready to be solved.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Every part, what feeds it before it.
    pub nodes: Vec<Node>,
    /// Their numbers.
    pub elements: Vec<Element>,
    /// What the network leaves out, in sentences.
    pub left_out: Vec<String>,
}

impl Network {
    /// The network of the water of `plan`.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let mut network = Self { nodes: Vec::new(), elements: Vec::new(), left_out: Vec::new() };
        let parts: BTreeMap<&Name, &Part> = plan.water.parts.iter().map(|part| (&part.name, part)).collect();
        let lines: BTreeMap<&Name, &Line> = plan.water.lines.iter().map(|line| (&line.name, line)).collect();
        let mut placed: BTreeMap<&Name, usize> = BTreeMap::new();
        for part in parts.values().filter(|part| is_root(&part.kind)) {
            placed.insert(&part.name, network.push(part, None));
        }
        network.spread(&parts, &lines, &mut placed);
        network.open_ends(&lines);
        network
    }

    /// Places what is fed by what is placed, until nothing is left; the first line by name counts.
    fn spread<'a>(
        &mut self,
        parts: &BTreeMap<&'a Name, &'a Part>,
        lines: &BTreeMap<&'a Name, &'a Line>,
        placed: &mut BTreeMap<&'a Name, usize>,
    ) {
        let mut used: BTreeSet<&Name> = BTreeSet::new();
        while let Some((line, part, parent)) = lines.values().find_map(|line| {
            let (from, part) = (placed.get(&line.from)?, parts.get(&line.to)?);
            let is_next = is_root(&part.kind) || !placed.contains_key(&line.to);
            (is_next && !used.contains(&line.name)).then_some((*line, *part, *from))
        }) {
            used.insert(&line.name);
            if let Some(tank) = placed.get(&part.name).copied() {
                self.push_inlet(part, tank, line, parent);
            } else {
                placed.insert(&part.name, self.push(part, Some((line, parent))));
            }
        }
        let unused = lines.values().filter(|line| !used.contains(&line.name));
        let sentence = |line: &&Line| format!("what the line {} adds to {}", line.name, line.to);
        self.left_out.extend(unused.map(sentence));
    }

    fn push(&mut self, part: &Part, fed: Option<(&Line, usize)>) -> usize {
        let role = match part.kind {
            PartKind::Source { yield_lpm } => Role::Source { yield_lpm },
            PartKind::Tank { capacity_l, depth_m } => Role::Tank { capacity_l, depth_m },
            PartKind::Pump { power_w, .. } => Role::Pump { power_w },
            PartKind::Valve { .. } => Role::Valve,
            _ => Role::Way,
        };
        let zone = part.kind.zone().cloned();
        self.nodes.push(Node { name: part.name.clone(), at: part.at, role, zone });
        self.elements.push(element(part, fed));
        self.nodes.len() - 1
    }

    fn push_inlet(&mut self, part: &Part, tank: usize, line: &Line, parent: usize) {
        let height_m = match part.kind {
            PartKind::Tank { depth_m, .. } => depth_m,
            _ => 0.0,
        };
        if let Role::Source { .. } = self.nodes[parent].role {
            self.left_out.push(format!("what {} adds to {} by itself", line.from, line.to));
        }
        let role = Role::Inlet { tank };
        self.nodes.push(Node { name: part.name.clone(), at: part.at, role, zone: None });
        let at_one_metre_lpm = loss::open_end_lpm(line.diameter_mm);
        let outlet = Outlet::Open { at_one_metre_lpm, height_m };
        self.elements.push(Element { outlet, ..element(part, Some((line, parent))) });
    }

    /// A valve that leads to nothing lets its water out into its zone.
    fn open_ends(&mut self, lines: &BTreeMap<&Name, &Line>) {
        let fed: BTreeSet<usize> = self.elements.iter().filter_map(|element| element.parent).collect();
        for (index, node) in self.nodes.iter().enumerate().filter(|(index, _)| !fed.contains(index)) {
            let line = lines.values().find(|line| line.to == node.name);
            if let (Role::Valve, Some(line)) = (node.role, line) {
                let at_one_metre_lpm = loss::open_end_lpm(line.diameter_mm);
                self.elements[index].outlet = Outlet::Open { at_one_metre_lpm, height_m: 0.0 };
            }
        }
    }

    /// The node of a part; of a tank the tank, not its inlet.
    #[must_use]
    pub fn index(&self, name: &Name) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == *name)
    }

    /// The tank or source that feeds a node.
    #[must_use]
    pub fn root(&self, mut index: usize) -> usize {
        while let Some(parent) = self.elements[index].parent {
            index = parent;
        }
        index
    }
}

fn is_root(kind: &PartKind) -> bool {
    matches!(kind, PartKind::Tank { .. } | PartKind::Source { .. })
}

fn element(part: &Part, fed: Option<(&Line, usize)>) -> Element {
    let diameter_mm = fed.map_or(f64::MAX, |(line, _)| line.diameter_mm);
    let mut length_m = fed.map_or(0.0, |(line, _)| line.length_m);
    let (mut square, mut lift_m, mut outlet) = (0.0, 0.0, Outlet::Shut);
    match part.kind {
        // H = H0 - k Q², with k from the flow at which nothing of the head is left.
        PartKind::Pump { flow_lpm_max, head_m_max, .. } => {
            square = head_m_max / (flow_lpm_max * flow_lpm_max);
            lift_m = head_m_max;
        }
        PartKind::Filter { loss_m, rated_lpm } => square = loss_m / (rated_lpm * rated_lpm),
        PartKind::Valve { .. } => square = loss::fitting(diameter_mm, loss::VALVE_VELOCITY_HEADS),
        PartKind::DripRow { length_m: row_m, spacing_m, emitter_lph, .. } => {
            let emitters = (row_m / spacing_m).round().max(1.0);
            outlet = Outlet::Row { rated_lpm: emitters * emitter_lph / 60.0 };
            length_m = fed.map_or(0.0, |(line, _)| loss::row_length_m(line, row_m, emitters));
        }
        PartKind::Source { .. } | PartKind::Tank { .. } | PartKind::Manifold => {}
    }
    let friction = fed.map_or(0.0, |(line, _)| loss::friction(line, length_m));
    let is_valve = matches!(part.kind, PartKind::Valve { .. });
    Element { parent: fed.map(|(_, parent)| parent), friction, square, lift_m, is_valve, outlet }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{Material, Origin, Water};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn part(text: &str, kind: PartKind) -> Part {
        Part { name: name(text), at: Point(0.0, 0.0), kind }
    }

    fn line(from: &str, to: &str) -> Line {
        let name_of_line = name(&format!("{from}-{to}"));
        Line {
            name: name_of_line,
            from: name(from),
            to: name(to),
            diameter_mm: 40.0,
            length_m: 10.0,
            material: Material::Hdpe,
        }
    }

    /// A well that fills a tank, a manifold, a valve with a row and one without; and a second way to the manifold.
    fn network() -> Network {
        let valve = || PartKind::Valve { zone: name("z") };
        let row = PartKind::DripRow { zone: name("z"), length_m: 30.0, spacing_m: 0.3, emitter_lph: 2.0 };
        let parts = vec![
            part("well", PartKind::Source { yield_lpm: 100.0 }),
            part("tank", PartKind::Tank { capacity_l: 5_000.0, depth_m: 2.0 }),
            part("manifold", PartKind::Manifold),
            part("valve-a", valve()),
            part("valve-b", valve()),
            part("row", row),
        ];
        let ends = [
            ("well", "tank"),
            ("tank", "manifold"),
            ("manifold", "valve-a"),
            ("manifold", "valve-b"),
            ("valve-a", "row"),
            ("well", "manifold"),
        ];
        let lines = ends.map(|(from, to)| line(from, to)).into();
        let origin = Origin { lat_deg: 0.0, lon_deg: 0.0, height_m: 0.0 };
        let water = Water { parts, lines };
        Network::new(&Plan {
            origin,
            needs_field_validation: false,
            nodes: Vec::new(),
            zones: Vec::new(),
            water,
            sensors: Vec::new(),
            actuators: Vec::new(),
            safe_order: Vec::new(),
            rovers: Vec::new(),
            people: Vec::new(),
            keep_outs: Vec::new(),
            operations: Vec::new(),
        })
    }

    #[test]
    fn every_part_comes_after_what_feeds_it_and_a_filled_tank_twice() {
        let network = network();
        assert_eq!(network.nodes.len(), 7);
        for (index, element) in network.elements.iter().enumerate() {
            assert!(element.parent.is_none_or(|parent| parent < index), "{index}");
        }
        let tank = network.index(&name("tank")).unwrap();
        assert!(matches!(network.nodes[tank].role, Role::Tank { .. }));
        let is_inlet = |node: &Node| node.role == Role::Inlet { tank };
        assert_eq!(network.nodes.iter().filter(|node| is_inlet(node)).count(), 1);
        assert_eq!(network.nodes[network.root(network.index(&name("row")).unwrap())].name, name("tank"));
    }

    #[test]
    fn a_valve_without_a_row_is_an_open_end_and_one_with_a_row_is_none() {
        let network = network();
        let outlet = |text| network.elements[network.index(&name(text)).unwrap()].outlet;
        assert_eq!(outlet("valve-a"), Outlet::Shut);
        assert!(matches!(outlet("valve-b"), Outlet::Open { height_m: 0.0, .. }));
        // A hundred emitters of 2 L/h.
        assert!(
            matches!(outlet("row"), Outlet::Row { rated_lpm } if (rated_lpm - 200.0 / 60.0).abs() < 1e-12)
        );
    }

    #[test]
    fn a_second_way_to_a_part_is_left_out_and_said_to_be() {
        assert_eq!(
            network().left_out,
            ["what well adds to tank by itself", "what the line well-manifold adds to manifold"]
        );
    }
}
