//! A person who walks from place to place and stays at each for a while.

use crate::file::Person;
use crate::rng::Stream;

/// A person and where the person is.
#[derive(Debug, Clone, PartialEq)]
pub struct Walker {
    file: Person,
    stream: Stream,
    at: (f64, f64),
    goes_to: usize,
    stays_s: f64,
}

impl Walker {
    /// A person at the first of the places.
    pub fn new(file: &Person, seed: u64) -> Self {
        let mut stream = Stream::named(seed, &format!("person {}", file.name));
        let stays_s = stream.between(0.0, file.stays_s_max);
        Self {
            at: file.places.first().copied().unwrap_or_default(),
            file: file.clone(),
            stream,
            goes_to: 0,
            stays_s,
        }
    }

    /// Stays or walks for a moment.
    pub fn step(&mut self, step_s: f64) {
        if self.stays_s > 0.0 {
            self.stays_s -= step_s;
            if self.stays_s <= 0.0 {
                self.goes_to = self.stream.below(self.file.places.len());
            }
            return;
        }
        let Some(goal) = self.file.places.get(self.goes_to) else { return };
        let (east, north) = (goal.0 - self.at.0, goal.1 - self.at.1);
        let (far_m, step_m) = (libm::hypot(east, north), self.file.speed_mps * step_s);
        if far_m <= step_m {
            self.at = *goal;
            self.stays_s = self.stream.between(0.2, 1.0) * self.file.stays_s_max;
        } else {
            self.at = (self.at.0 + east / far_m * step_m, self.at.1 + north / far_m * step_m);
        }
    }

    /// The name on the tag.
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// Where the person is, metres east and north.
    pub fn at(&self) -> (f64, f64) {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tests::shipped;

    #[test]
    fn a_person_goes_around_and_never_faster_than_a_person() {
        let file = shipped().people[0].clone();
        let mut walker = Walker::new(&file, 4);
        assert_eq!(walker.at(), file.places[0]);
        let mut walked_m = 0.0;
        for _ in 0..4 * 3600 {
            let before = walker.at();
            walker.step(1.0);
            let step_m = libm::hypot(walker.at().0 - before.0, walker.at().1 - before.1);
            assert!(step_m <= file.speed_mps + 1e-9, "{step_m}");
            walked_m += step_m;
        }
        assert!(walked_m > 100.0, "{walked_m} m in four hours");
    }

    #[test]
    fn a_person_without_places_stays() {
        let file = Person { places: Vec::new(), ..shipped().people[0].clone() };
        let mut walker = Walker::new(&file, 4);
        for _ in 0..10_000 {
            walker.step(1.0);
        }
        assert_eq!(walker.at(), (0.0, 0.0));
    }
}
