//! The steady flow of a network: heads and flows that agree with every pipe, pump and outlet.
//!
//! The global gradient algorithm (Todini and Pilati, 1988), as in EPANET: flows and heads take one Newton step
//! together. In a tree the linear system of a step needs no matrix; it is eliminated from the leaves up and put in from
//! the roots down.

use super::emitter::{self, Given};
use super::loss::HAZEN_WILLIAMS_EXPONENT;
use super::network::{Element, Outlet};

/// A round is so many full steps. Where they jump to and fro over a bend, the next round begins with as many shorter
/// ones, each time half as long: short enough, they cannot miss.
const STEPS_OF_ROUND: u32 = 16;
const ROUNDS_MAX: u32 = 12;
/// No pipe is taken as smoother than this: at no flow its slope would be zero.
const SLOPE_MIN: f64 = 1e-7;
const FLOW_ERROR_MAX_LPM: f64 = 1e-11;
const HEAD_ERROR_MAX_M: f64 = 1e-9;

/// What flows, node by node. One value serves many calls: each begins where the last one ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// The head behind a node; 0 where no water stands.
    pub head_m: Vec<f64>,
    /// What comes into a node, and what leaves a tank or a source.
    pub through_lpm: Vec<f64>,
    /// What leaves the network at a node.
    pub out_lpm: Vec<f64>,
    /// False where a shut valve or an empty tank is before it.
    pub is_wet: Vec<bool>,
    /// True if every equation holds.
    pub is_solved: bool,
    is_sucking: Vec<bool>,
    links: Vec<Link>,
}

/// One node's part of the linear system: `through = constant + slope · (head of its parent - its head)`, and what
/// leaves it, `demand + grade · its head`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Link {
    constant: f64,
    slope: f64,
    demand: f64,
    grade: f64,
}

impl Flow {
    /// Nothing flows yet, through `nodes` nodes.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        Self {
            head_m: vec![0.0; nodes],
            through_lpm: vec![1.0; nodes],
            out_lpm: vec![0.0; nodes],
            is_wet: vec![false; nodes],
            is_solved: true,
            is_sucking: vec![false; nodes],
            links: vec![Link::default(); nodes],
        }
    }
}

/// Solves the network. `is_on` says which pumps run and which valves are open; `root_head_m` the head of each tank and
/// source, `None` for one that is empty.
pub fn solve(elements: &[Element], is_on: &[bool], root_head_m: &[Option<f64>], flow: &mut Flow) {
    wet(elements, is_on, root_head_m, flow);
    // A pump may pull the head before it below that of the air. What would come in there is air, so such an outlet is
    // shut; heads only fall by that, so none of those shut now would open again. One that was shut before may.
    for _ in 0..=elements.len() + 1 {
        settle(elements, is_on, flow);
        let may_open =
            |index: usize| flow.is_sucking[index] && gives(&elements[index], flow.head_m[index]) > 0.0;
        if (0..elements.len()).any(may_open) {
            flow.is_sucking.fill(false);
        } else if !shut_sucking(elements, flow) {
            break;
        }
    }
    let is_finite = flow.head_m.iter().chain(&flow.through_lpm).all(|number| number.is_finite());
    if !is_finite {
        *flow = Flow { is_solved: false, ..Flow::new(elements.len()) };
    }
    add_up(elements, flow);
}

/// Steps until nothing moves any more.
fn settle(elements: &[Element], is_on: &[bool], flow: &mut Flow) {
    flow.is_solved = false;
    let mut shorter = 1.0;
    'rounds: for round in 0..ROUNDS_MAX {
        for step in 0..2 * STEPS_OF_ROUND {
            let share = if step < STEPS_OF_ROUND && round > 0 { shorter } else { 1.0 };
            eliminate(elements, is_on, flow);
            if put_in(elements, flow, share) {
                flow.is_solved = true;
                break 'rounds;
            }
        }
        shorter *= 0.5;
    }
}

/// True if an outlet that let water in was shut.
fn shut_sucking(elements: &[Element], flow: &mut Flow) -> bool {
    let mut is_any = false;
    for (index, element) in elements.iter().enumerate().filter(|(index, _)| flow.is_wet[*index]) {
        if !flow.is_sucking[index] && gives(element, flow.head_m[index]) < 0.0 {
            flow.is_sucking[index] = true;
            is_any = true;
        }
    }
    is_any
}

fn wet(elements: &[Element], is_on: &[bool], root_head_m: &[Option<f64>], flow: &mut Flow) {
    for (index, element) in elements.iter().enumerate() {
        flow.is_wet[index] = match element.parent {
            None => root_head_m[index].is_some(),
            Some(parent) => flow.is_wet[parent] && (is_on[index] || !element.is_valve),
        };
        if !flow.is_wet[index] {
            (flow.head_m[index], flow.through_lpm[index], flow.is_sucking[index]) = (0.0, 0.0, false);
        } else if element.parent.is_none() {
            flow.head_m[index] = root_head_m[index].unwrap_or(0.0);
        }
    }
}

/// What a node gives out at a head.
fn given(outlet: Outlet, head_m: f64) -> Given {
    match outlet {
        Outlet::Shut => Given { flow_lpm: 0.0, slope_lpm_per_m: 0.0 },
        Outlet::Row { rated_lpm } => emitter::row(rated_lpm, head_m),
        Outlet::Open { at_one_metre_lpm, height_m } => emitter::orifice(at_one_metre_lpm, head_m - height_m),
    }
}

fn gives(element: &Element, head_m: f64) -> f64 {
    given(element.outlet, head_m).flow_lpm
}

/// The head lost on the way into a node, and its slope.
fn lost(element: &Element, is_on: bool, flow_lpm: f64) -> (f64, f64) {
    let size = flow_lpm.abs();
    let rough = element.friction * libm::pow(size, HAZEN_WILLIAMS_EXPONENT - 1.0);
    let square = element.square * size;
    let lift_m = if is_on { element.lift_m } else { 0.0 };
    let slope = HAZEN_WILLIAMS_EXPONENT * rough + 2.0 * square;
    ((rough + square) * flow_lpm - lift_m, slope.max(SLOPE_MIN))
}

/// From the leaves up: what a node and all behind it take, as a straight line of its head.
fn eliminate(elements: &[Element], is_on: &[bool], flow: &mut Flow) {
    flow.links.fill(Link::default());
    for (index, element) in elements.iter().enumerate().rev().filter(|(index, _)| flow.is_wet[*index]) {
        let head_m = flow.head_m[index];
        let outlet = if flow.is_sucking[index] { Outlet::Shut } else { element.outlet };
        let out = given(outlet, head_m);
        flow.links[index].demand += out.flow_lpm - out.slope_lpm_per_m * head_m;
        flow.links[index].grade += out.slope_lpm_per_m;
        let Some(parent) = element.parent else { continue };
        let (lost_m, slope) = lost(element, is_on[index], flow.through_lpm[index]);
        let link = &mut flow.links[index];
        link.slope = 1.0 / slope;
        link.constant = flow.through_lpm[index] - lost_m * link.slope;
        let Link { constant, slope, demand, grade } = *link;
        let share = grade / (grade + slope);
        flow.links[parent].demand += demand + share * (constant - demand);
        flow.links[parent].grade += share * slope;
    }
}

/// From the roots down: the new heads and flows. True if they are the old ones.
fn put_in(elements: &[Element], flow: &mut Flow, share: f64) -> bool {
    let mut is_still = true;
    for (index, element) in elements.iter().enumerate().filter(|(index, _)| flow.is_wet[*index]) {
        let Some(parent) = element.parent else { continue };
        let Link { constant, slope, demand, grade } = flow.links[index];
        let head_m = (constant + slope * flow.head_m[parent] - demand) / (grade + slope);
        let through_lpm = demand + grade * head_m;
        let head_step = head_m - flow.head_m[index];
        let flow_step = through_lpm - flow.through_lpm[index];
        is_still &= head_step.abs() <= HEAD_ERROR_MAX_M * (1.0 + head_m.abs())
            && flow_step.abs() <= FLOW_ERROR_MAX_LPM * (1.0 + through_lpm.abs());
        flow.head_m[index] += share * head_step;
        flow.through_lpm[index] += share * flow_step;
    }
    is_still
}

/// What leaves at the outlets is what flows: the sums upstream of them are made of it, so that no litre is lost.
fn add_up(elements: &[Element], flow: &mut Flow) {
    flow.through_lpm.fill(0.0);
    for (index, element) in elements.iter().enumerate().rev() {
        let is_open = flow.is_wet[index] && !flow.is_sucking[index];
        let out_lpm = if is_open { gives(element, flow.head_m[index]) } else { 0.0 };
        flow.out_lpm[index] = out_lpm.max(0.0);
        flow.through_lpm[index] += flow.out_lpm[index];
        if let Some(parent) = element.parent {
            flow.through_lpm[parent] += flow.through_lpm[index];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pipe(parent: usize, friction: f64) -> Element {
        Element {
            parent: Some(parent),
            friction,
            square: 1e-6,
            lift_m: 0.0,
            is_valve: false,
            outlet: Outlet::Shut,
        }
    }

    fn tank() -> Element {
        Element {
            parent: None,
            friction: 0.0,
            square: 0.0,
            lift_m: 0.0,
            is_valve: false,
            outlet: Outlet::Shut,
        }
    }

    fn pump(lift_m: f64) -> Element {
        Element { lift_m, square: lift_m.max(1.0) / 48_400.0, ..pipe(0, 1e-5) }
    }

    fn valve(parent: usize) -> Element {
        Element { is_valve: true, ..pipe(parent, 1e-4) }
    }

    fn row(parent: usize, rated_lpm: f64) -> Element {
        Element { outlet: Outlet::Row { rated_lpm }, ..pipe(parent, 1e-3) }
    }

    fn end(parent: usize, at_one_metre_lpm: f64) -> Element {
        Element { outlet: Outlet::Open { at_one_metre_lpm, height_m: 0.0 }, ..pipe(parent, 1e-4) }
    }

    fn solved(elements: &[Element], is_on: &[bool]) -> Flow {
        let mut roots = vec![None; elements.len()];
        roots[0] = Some(1.25);
        let mut flow = Flow::new(elements.len());
        solve(elements, is_on, &roots, &mut flow);
        flow
    }

    /// A tank, a pump, two valves with a row each.
    fn two_rows(lift_m: f64) -> [Element; 6] {
        [tank(), pump(lift_m), valve(1), valve(1), row(2, 100.0), row(3, 60.0)]
    }

    const PUMP_AND_FIRST: [bool; 6] = [true, true, true, false, true, true];

    #[test]
    fn a_second_open_valve_lowers_the_flow_of_the_first() {
        let alone = solved(&two_rows(6.0), &PUMP_AND_FIRST);
        let both = solved(&two_rows(6.0), &[true; 6]);
        assert!(alone.is_solved && both.is_solved);
        assert!(both.out_lpm[4] < alone.out_lpm[4] - 0.1, "{} {}", both.out_lpm[4], alone.out_lpm[4]);
        assert!(both.through_lpm[0] > alone.through_lpm[0]);
    }

    #[test]
    fn a_pump_against_shut_valves_moves_nothing_and_stands_under_its_full_head() {
        let flow = solved(&two_rows(30.0), &[true, true, false, false, true, true]);
        assert!(flow.is_solved);
        assert_eq!(flow.through_lpm[0], 0.0);
        assert!((flow.head_m[1] - 31.25).abs() < 1e-6, "{}", flow.head_m[1]);
        assert!(!flow.is_wet[4]);
    }

    #[test]
    fn without_the_pump_the_tank_alone_gives_a_trickle_and_an_empty_one_nothing() {
        let flow = solved(&two_rows(30.0), &[true, false, true, false, true, true]);
        assert!(flow.is_solved && flow.out_lpm[4] > 1.0 && flow.out_lpm[4] < 60.0, "{}", flow.out_lpm[4]);
        let mut dry = Flow::new(6);
        solve(&two_rows(30.0), &[true; 6], &[None; 6], &mut dry);
        assert_eq!(dry.through_lpm[0], 0.0);
    }

    /// Trees of any shape: each element hangs on an earlier one.
    fn trees() -> impl Strategy<Value = (Vec<Element>, Vec<bool>)> {
        let one = (0..1_000_usize, 0..5_u8, -6.0..0.0_f64, 0.0..60.0_f64, any::<bool>());
        proptest::collection::vec(one, 1..24).prop_map(|rows| {
            let (mut elements, mut is_on) = (vec![tank()], vec![true]);
            for (parent, kind, magnitude, size, on) in rows {
                let parent = parent % elements.len();
                let made = match kind {
                    0 => pump(size),
                    1 => valve(parent),
                    2 => row(parent, size + 0.1),
                    3 => end(parent, 5.0 * size + 0.1),
                    _ => pipe(parent, 1.0),
                };
                elements.push(Element { parent: Some(parent), friction: libm::pow(10.0, magnitude), ..made });
                is_on.push(on);
            }
            (elements, is_on)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn every_pipe_and_every_junction_agrees_in_any_tree((elements, is_on) in trees()) {
            let flow = solved(&elements, &is_on);
            prop_assert!(flow.is_solved, "{flow:?}");
            let out: f64 = flow.out_lpm.iter().sum();
            prop_assert!((out - flow.through_lpm[0]).abs() <= 1e-9 * (1.0 + out));
            for (index, element) in elements.iter().enumerate().filter(|(index, _)| flow.is_wet[*index]) {
                let Some(parent) = element.parent else { continue };
                let (lost_m, _) = lost(element, is_on[index], flow.through_lpm[index]);
                let left_m = flow.head_m[parent] - lost_m - flow.head_m[index];
                prop_assert!(left_m.abs() < 1e-5, "{index}: {left_m} m {flow:?}");
            }
        }

        #[test]
        fn a_flow_that_begins_anywhere_ends_at_the_same_place((elements, is_on) in trees()) {
            let turned: Vec<bool> = is_on.iter().enumerate().map(|(index, on)| *on != (index % 3 == 1)).collect();
            let mut flow = solved(&elements, &turned);
            let mut roots = vec![None; elements.len()];
            roots[0] = Some(1.25);
            solve(&elements, &is_on, &roots, &mut flow);
            let fresh = solved(&elements, &is_on);
            prop_assert!(flow.is_solved);
            for (begun, out) in flow.out_lpm.iter().zip(&fresh.out_lpm) {
                prop_assert!((begun - out).abs() < 1e-6 * (1.0 + out), "{} {}", begun, out);
            }
        }

        #[test]
        fn more_pump_head_never_gives_less_flow(
            lift in 0.0..60.0_f64, more in 0.0..40.0_f64, rated in 0.1..300.0_f64, is_second_open: bool,
        ) {
            let with = |lift_m| {
                let mut elements = two_rows(lift_m);
                // The curve keeps its shape, it is lifted as a whole.
                elements[1].square = 30.0 / 48_400.0;
                elements[4] = row(2, rated);
                solved(&elements, &[true, true, true, is_second_open, true, true])
            };
            let (low, high) = (with(lift), with(lift + more));
            prop_assert!(high.through_lpm[0] >= low.through_lpm[0] - 1e-9);
        }
    }
}
