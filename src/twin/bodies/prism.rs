//! Volumes over an outline, as convex pieces that rapier can collide.

use rapier3d::prelude::{SharedShape, Vector};

use crate::site::{KeepOut, Point};

/// The volume of a keep-out: prisms over the triangles of its outline, or one prism if it is convex.
#[must_use]
pub fn prisms(keep_out: &KeepOut) -> Vec<SharedShape> {
    let corners = counter_clockwise(&keep_out.outline.0);
    let is_convex = (0..corners.len()).all(|at| turn(&corners, at) >= 0.0);
    let pieces = if is_convex { vec![corners] } else { triangles(corners) };
    let (floor, ceiling) = (keep_out.floor_m as f32, keep_out.ceiling_m as f32);
    let points = |piece: &Vec<Point>| -> Vec<Vector> {
        let at =
            |height| piece.iter().map(move |corner| Vector::new(corner.0 as f32, corner.1 as f32, height));
        at(floor).chain(at(ceiling)).collect()
    };
    pieces.iter().filter_map(|piece| SharedShape::convex_hull(&points(piece))).collect()
}

fn counter_clockwise(corners: &[Point]) -> Vec<Point> {
    let next = corners.iter().cycle().skip(1);
    let doubled: f64 = corners.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum();
    let mut corners = corners.to_vec();
    if doubled < 0.0 {
        corners.reverse();
    }
    corners
}

/// Above zero where the outline turns left.
fn turn(corners: &[Point], at: usize) -> f64 {
    let count = corners.len();
    side(corners[(at + count - 1) % count], corners[at], corners[(at + 1) % count])
}

fn side(a: Point, b: Point, c: Point) -> f64 {
    (b.0 - a.0) * (c.1 - a.1) - (b.1 - a.1) * (c.0 - a.0)
}

/// Cuts off one ear after the other (Meisters, 1975): a corner that turns left and whose triangle holds no other.
fn triangles(mut corners: Vec<Point>) -> Vec<Vec<Point>> {
    let mut pieces = Vec::new();
    while corners.len() > 3 {
        let count = corners.len();
        let ear = (0..count).find(|at| is_ear(&corners, *at));
        // Of an outline without fault there is always one; corners on one line may hide it.
        let at = ear.unwrap_or(0);
        pieces.push(vec![corners[(at + count - 1) % count], corners[at], corners[(at + 1) % count]]);
        corners.remove(at);
    }
    pieces.push(corners);
    pieces
}

fn is_ear(corners: &[Point], at: usize) -> bool {
    let count = corners.len();
    let (before, after) = ((at + count - 1) % count, (at + 1) % count);
    let (a, b, c) = (corners[before], corners[at], corners[after]);
    let is_within =
        |point: Point| side(a, b, point) >= 0.0 && side(b, c, point) >= 0.0 && side(c, a, point) >= 0.0;
    let mut others = (0..count).filter(|other| ![before, at, after].contains(other));
    side(a, b, c) > 0.0 && !others.any(|other| is_within(corners[other]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{Name, Outline};

    fn keep_out(corners: &[(f64, f64)]) -> KeepOut {
        KeepOut {
            name: Name::new("keep-out").unwrap(),
            outline: Outline(corners.iter().map(|(east, north)| Point(*east, *north)).collect()),
            floor_m: 0.0,
            ceiling_m: 3.0,
            why: String::new(),
        }
    }

    fn area_m2(pieces: &[Vec<Point>]) -> f64 {
        pieces.iter().map(|piece| Outline(piece.clone()).area_m2()).sum()
    }

    #[test]
    fn a_convex_outline_is_one_piece() {
        assert_eq!(prisms(&keep_out(&[(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)])).len(), 1);
    }

    #[test]
    fn a_hook_is_cut_into_triangles_that_leave_its_bay_open() {
        // A U, listed clockwise: its bay is no part of it.
        let hook = keep_out(&[
            (0.0, 0.0),
            (0.0, 10.0),
            (3.0, 10.0),
            (3.0, 3.0),
            (7.0, 3.0),
            (7.0, 10.0),
            (10.0, 10.0),
            (10.0, 0.0),
        ]);
        let pieces = triangles(counter_clockwise(&hook.outline.0));
        assert_eq!(pieces.len(), 6);
        assert!((area_m2(&pieces) - hook.outline.area_m2()).abs() < 1e-9, "{}", area_m2(&pieces));
        assert_eq!(prisms(&hook).len(), 6);
        let bay = Point(5.0, 8.0);
        assert!(!pieces.iter().any(|piece| Outline(piece.clone()).holds(bay)));
    }
}
