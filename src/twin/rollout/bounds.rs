//! Which plans the twin can calculate with: numbers so small or so large that no site has them are refused, because
//! sums and powers of them would be nothing or infinite.

use crate::site::{Name, PartKind, Plan, Point};
use crate::trial::METRES_MAX;

/// The first number of the plan that is out of all bounds.
#[must_use]
pub fn fault(plan: &Plan) -> Option<String> {
    let mut rows: Vec<(&Name, &str, f64, f64, f64)> = Vec::new();
    for part in &plan.water.parts {
        rows.extend(
            of_part(&part.kind)
                .into_iter()
                .map(|(key, number, low, high)| (&part.name, key, number, low, high)),
        );
    }
    for line in &plan.water.lines {
        rows.push((&line.name, "diameter_mm", line.diameter_mm, 1.0, 5_000.0));
        rows.push((&line.name, "length_m", line.length_m, 0.01, 100_000.0));
    }
    for rover in &plan.rovers {
        let (length, width, height) = rover.size_m;
        rows.extend([length, width, height].map(|side| (&rover.name, "size_m", side, 0.05, 50.0)));
        rows.push((&rover.name, "mass_kg", rover.mass_kg, 0.1, 100_000.0));
        rows.push((&rover.name, "speed_mps_max", rover.speed_mps_max, 0.01, 30.0));
    }
    for person in &plan.people {
        rows.push((&person.name, "speed_mps_max", person.speed_mps_max, 0.01, 30.0));
    }
    for keep_out in &plan.keep_outs {
        rows.push((&keep_out.name, "floor_m", keep_out.floor_m, -1_000.0, 1_000.0));
        rows.push((&keep_out.name, "ceiling_m", keep_out.ceiling_m, keep_out.floor_m + 0.01, 1_000.0));
    }
    for (name, point) in points(plan) {
        rows.push((name, "east", point.0, -METRES_MAX, METRES_MAX));
        rows.push((name, "north", point.1, -METRES_MAX, METRES_MAX));
    }
    rows.into_iter().find_map(|(name, key, number, low, high)| {
        let is_within = (low..=high).contains(&number);
        let sentence = || format!("`{key}` of {name} is {number}, the twin calculates with {low} to {high}");
        (!is_within).then(sentence)
    })
}

fn of_part(kind: &PartKind) -> Vec<(&'static str, f64, f64, f64)> {
    match kind {
        PartKind::Source { yield_lpm } => vec![("yield_lpm", *yield_lpm, 0.01, 1e6)],
        PartKind::Tank { capacity_l, depth_m } => {
            vec![("capacity_l", *capacity_l, 1.0, 1e9), ("depth_m", *depth_m, 0.01, 100.0)]
        }
        PartKind::Pump { flow_lpm_max, head_m_max, power_w } => vec![
            ("flow_lpm_max", *flow_lpm_max, 0.1, 1e6),
            ("head_m_max", *head_m_max, 0.1, 1_000.0),
            ("power_w", *power_w, 0.1, 1e7),
        ],
        PartKind::Filter { loss_m, rated_lpm } => {
            vec![("loss_m", *loss_m, 0.001, 1_000.0), ("rated_lpm", *rated_lpm, 0.1, 1e6)]
        }
        PartKind::Manifold | PartKind::Valve { .. } => Vec::new(),
        PartKind::DripRow { length_m, spacing_m, emitter_lph, .. } => vec![
            ("length_m", *length_m, 0.1, 10_000.0),
            ("spacing_m", *spacing_m, 0.01, 1_000.0),
            ("emitter_lph", *emitter_lph, 0.01, 1_000.0),
        ],
    }
}

/// Everything that has a place.
fn points(plan: &Plan) -> impl Iterator<Item = (&Name, Point)> {
    let zones = plan.zones.iter().map(|zone| (&zone.name, &zone.outline));
    let keep_outs = plan.keep_outs.iter().map(|keep_out| (&keep_out.name, &keep_out.outline));
    let outlines = zones.chain(keep_outs);
    let corners = outlines.flat_map(|(name, outline)| outline.0.iter().map(move |corner| (name, *corner)));
    let parts = plan.water.parts.iter().map(|part| (&part.name, part.at));
    let rovers = plan.rovers.iter().map(|rover| (&rover.name, rover.home));
    let people = plan.people.iter().map(|person| (&person.name, person.usually_at));
    corners.chain(parts).chain(rovers).chain(people)
}

/// From one end of the site to the other.
#[must_use]
pub fn diagonal_m(plan: &Plan) -> f64 {
    let (mut low, mut high) = (Point(f64::MAX, f64::MAX), Point(f64::MIN, f64::MIN));
    for (_, point) in points(plan) {
        low = Point(low.0.min(point.0), low.1.min(point.1));
        high = Point(high.0.max(point.0), high.1.max(point.1));
    }
    if low.0 > high.0 { 0.0 } else { libm::hypot(high.0 - low.0, high.1 - low.1) }
}
