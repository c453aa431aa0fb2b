//! How many connections there are: in all, and from one address without a handshake.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::limits::Who;
use crate::origin::{TurnedAway, is_loopback};

/// Who holds a place.
#[derive(Debug)]
pub(crate) struct Admissions {
    connections_max: usize,
    unproven_per_address_max: usize,
    connections: usize,
    unproven: BTreeMap<Who, usize>,
}

/// A place that was given, and by which name it has to be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The address, while it has shown nothing and comes from beyond this machine.
    unproven_at: Option<Who>,
}

impl Admissions {
    /// Nobody is here yet.
    pub fn new(connections_max: usize, unproven_per_address_max: usize) -> Self {
        Self { connections_max, unproven_per_address_max, connections: 0, unproven: BTreeMap::new() }
    }

    /// Gives a place to a connection that has shown nothing yet.
    ///
    /// # Errors
    /// 503 when there is none.
    pub fn enter(&mut self, from: SocketAddr) -> Result<Place, TurnedAway> {
        if self.connections >= self.connections_max {
            let sentence = format!("all {} connections of this node are taken", self.connections_max);
            return Err(TurnedAway::new(503, sentence));
        }
        let unproven_at = (!is_loopback(from)).then(|| Who::at(from.ip()));
        if let Some(who) = unproven_at {
            let held = self.unproven.entry(who).or_default();
            if *held >= self.unproven_per_address_max {
                let sentence = format!("{held} connections from your address have shown nothing yet");
                return Err(TurnedAway::new(503, sentence));
            }
            *held += 1;
        }
        self.connections += 1;
        Ok(Place { unproven_at })
    }

    /// Gives a place to a connection that we make ourselves.
    ///
    /// # Errors
    /// 503 when there is none.
    pub fn enter_outbound(&mut self) -> Result<Place, TurnedAway> {
        self.enter(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The connection has shown who it is.
    pub fn proven(&mut self, place: &mut Place) {
        if let Some(who) = place.unproven_at.take() {
            let held = self.unproven.remove(&who).unwrap_or(0);
            if held > 1 {
                self.unproven.insert(who, held - 1);
            }
        }
    }

    /// Takes a place back.
    pub fn leave(&mut self, mut place: Place) {
        self.proven(&mut place);
        self.connections = self.connections.saturating_sub(1);
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.connections
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(last: u8) -> SocketAddr {
        ([10, 0, 0, last], 9).into()
    }

    #[test]
    fn an_address_has_few_places_until_it_shows_who_it_is() {
        let mut admissions = Admissions::new(10, 2);
        let mut first = admissions.enter(from(1)).unwrap();
        let second = admissions.enter(from(1)).unwrap();
        assert_eq!(admissions.enter(from(1)).unwrap_err().status, 503);
        admissions.enter(from(2)).unwrap();
        admissions.proven(&mut first);
        admissions.proven(&mut first);
        let third = admissions.enter(from(1)).unwrap();
        assert_eq!(admissions.enter(from(1)).unwrap_err().status, 503);
        for place in [first, second, third] {
            admissions.leave(place);
        }
        assert_eq!((admissions.connections(), admissions.unproven.len()), (1, 1));
    }

    #[test]
    fn all_places_together_are_bounded_also_for_this_machine() {
        let mut admissions = Admissions::new(3, 1);
        let here = SocketAddr::from(([127, 0, 0, 1], 9));
        let places = [admissions.enter(here), admissions.enter(here), admissions.enter_outbound()];
        assert_eq!(admissions.enter(here).unwrap_err().status, 503);
        assert_eq!(admissions.enter_outbound().unwrap_err().status, 503);
        for place in places {
            admissions.leave(place.unwrap());
        }
        assert_eq!(admissions.connections(), 0);
    }
}
