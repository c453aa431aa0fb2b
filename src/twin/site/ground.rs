//! Places: a point of the Earth, metres from it, areas on the ground, and who or what is where.

use serde::{Deserialize, Serialize};

use super::irrigation::Irrigation;
use super::name::Name;

/// The most corners of one outline.
pub const CORNERS_MAX: usize = 1_024;

/// A point of the Earth (WGS 84): where `(0, 0)` of a site is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Degrees north.
    pub lat_deg: f64,
    /// Degrees east.
    pub lon_deg: f64,
    /// Metres above the ellipsoid.
    pub height_m: f64,
}

impl Origin {
    /// What is wrong with it.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let Self { lat_deg, lon_deg, height_m } = self;
        let is_on_earth = lat_deg.abs() <= 90.0 && lon_deg.abs() <= 180.0 && height_m.abs() <= 10_000.0;
        (!is_on_earth).then(|| format!("({lat_deg}, {lon_deg}, {height_m} m) is no point of the Earth"))
    }
}

/// Metres east and north of the origin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point(
    /// Metres east.
    pub f64,
    /// Metres north.
    pub f64,
);

impl Point {
    /// What is wrong with it. A number that is none cannot be kept: JSON has no word for it.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let is_somewhere = self.0.is_finite() && self.1.is_finite();
        (!is_somewhere).then(|| format!("({}, {}) is no pair of numbers", self.0, self.1))
    }
}

/// The corners of an area in order, counter-clockwise or clockwise, the last one joined to the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Outline(pub Vec<Point>);

impl Outline {
    /// Square metres.
    #[must_use]
    pub fn area_m2(&self) -> f64 {
        (self.edges().map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum::<f64>() / 2.0).abs()
    }

    /// True for a point inside; on the edge itself it may be either.
    #[must_use]
    pub fn holds(&self, point: Point) -> bool {
        // A ray to the east crosses the outline of what holds its beginning an odd number of times.
        let crosses = |(a, b): &(Point, Point)| {
            (a.1 > point.1) != (b.1 > point.1) && point.0 < a.0 + (b.0 - a.0) * (point.1 - a.1) / (b.1 - a.1)
        };
        self.edges().filter(crosses).count() % 2 == 1
    }

    /// What is wrong with it.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let corners = self.0.len();
        if !(3..=CORNERS_MAX).contains(&corners) {
            return Some(format!("an outline has 3 to {CORNERS_MAX} corners, this one has {corners}"));
        }
        if self.0.iter().any(|corner| corner.fault().is_some()) {
            return Some("a corner is no pair of numbers".to_owned());
        }
        if self.crosses_itself() {
            return Some(
                "two sides of the outline cross; list the corners in their order around it".to_owned(),
            );
        }
        (self.area_m2() <= 0.0).then(|| "the outline has no area".to_owned())
    }

    fn edges(&self) -> impl Iterator<Item = (Point, Point)> + Clone {
        let ends = self.0.iter().cycle().skip(1);
        self.0.iter().zip(ends).map(|(a, b)| (*a, *b))
    }

    fn crosses_itself(&self) -> bool {
        let edges: Vec<(Point, Point)> = self.edges().collect();
        let pairs = (0..edges.len()).flat_map(|a| (a + 1..edges.len()).map(move |b| (a, b)));
        pairs.into_iter().any(|(a, b)| cross(edges[a], edges[b]))
    }
}

/// True when two sides meet other than at their ends.
fn cross((a, b): (Point, Point), (c, d): (Point, Point)) -> bool {
    let side = |p: Point, q: Point, r: Point| (q.0 - p.0) * (r.1 - p.1) - (q.1 - p.1) * (r.0 - p.0);
    side(a, b, c) * side(a, b, d) < 0.0 && side(c, d, a) * side(c, d, b) < 0.0
}

/// A part of the site that is treated as one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Its name.
    pub name: Name,
    /// What it is for.
    pub kind: ZoneKind,
    /// Where it is.
    pub outline: Outline,
    /// What grows there, from the canopy down.
    #[serde(default)]
    pub crops: Vec<Crop>,
    /// How it is watered when it is dry; absent for a zone that no planner looks after.
    #[serde(default)]
    pub irrigation: Option<Irrigation>,
}

/// What a zone is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ZoneKind {
    /// Water, power, paths.
    Infrastructure,
    /// Perennial crops.
    Production,
    /// Crops of one season.
    SeasonalProduction,
    /// Compost and preparations.
    InputsBiology,
    /// Seedlings, grafting, trials.
    NurseryTrial,
    /// Sorting, drying, packing.
    PostHarvest,
    /// Bees and what feeds them.
    PollinatorSupport,
}

/// A crop in its layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// What it is called.
    pub crop: String,
    /// Where it stands among the others.
    pub layer: Layer,
}

/// The layers of a food forest, from the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Layer {
    /// The tallest trees.
    Canopy,
    /// Trees below them.
    Subcanopy,
    /// Shrubs.
    Shrub,
    /// What covers the ground.
    Ground,
    /// What is harvested from the soil.
    Root,
    /// What helps the others: shade, nitrogen, mulch.
    Support,
}

/// A volume that nothing of ours may enter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepOut {
    /// Its name.
    pub name: Name,
    /// Its ground.
    pub outline: Outline,
    /// Where it begins, metres above the ground.
    pub floor_m: f64,
    /// Where it ends, metres above the ground.
    pub ceiling_m: f64,
    /// Why, for people.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outline(corners: &[(f64, f64)]) -> Outline {
        Outline(corners.iter().map(|(east, north)| Point(*east, *north)).collect())
    }

    #[test]
    fn an_outline_has_area_and_does_not_cross_itself() {
        let square = outline(&[(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)]);
        assert_eq!((square.fault(), square.area_m2()), (None, 100.0));
        for (bad, words) in [
            (outline(&[(0.0, 0.0), (1.0, 0.0)]), "3 to 1024 corners"),
            (outline(&[(0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 10.0)]), "cross"),
            (outline(&[(0.0, 0.0), (5.0, 0.0), (10.0, 0.0)]), "no area"),
            (outline(&[(0.0, 0.0), (f64::NAN, 0.0), (10.0, 5.0)]), "no pair of numbers"),
        ] {
            assert!(bad.fault().unwrap().contains(words), "{bad:?}");
        }
    }

    #[test]
    fn an_origin_is_on_the_earth() {
        let shamli = Origin { lat_deg: 29.45, lon_deg: 77.31, height_m: 248.0 };
        assert_eq!(shamli.fault(), None);
        assert!(Origin { lat_deg: 91.0, ..shamli }.fault().is_some());
        assert!(Origin { lon_deg: f64::NAN, ..shamli }.fault().is_some());
    }

    proptest! {
        #[test]
        fn a_rectangle_holds_what_is_between_its_sides(
            east in -50.0..50.0, north in -50.0..50.0, wide in 1.0..40.0, deep in 1.0..40.0,
            at_east in -100.0..100.0_f64, at_north in -100.0..100.0_f64,
        ) {
            let (far_east, far_north): (f64, f64) = (east + wide, north + deep);
            let rectangle = outline(&[(east, north), (far_east, north), (far_east, far_north), (east, far_north)]);
            let is_between = east < at_east && at_east < far_east && north < at_north && at_north < far_north;
            prop_assert_eq!(rectangle.holds(Point(at_east, at_north)), is_between);
            let area_m2: f64 = wide * deep;
            prop_assert!((rectangle.area_m2() - area_m2).abs() < 1e-9);
        }
    }
}
