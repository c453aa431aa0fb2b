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

/// Of all connections, this part is for programs of this machine that show nothing; the rest is left to nodes.
const LOCAL_PART: usize = 2;

/// A place that was given, and by which name it has to be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The address, while it has shown nothing; `None` for a connection that we make ourselves.
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
        let who = Who::at(from.ip());
        let unproven_max = match is_loopback(from) {
            true => (self.connections_max / LOCAL_PART).max(self.unproven_per_address_max),
            false => self.unproven_per_address_max,
        };
        let held = self.unproven.get(&who).copied().unwrap_or(0);
        if held >= unproven_max {
            let sentence = format!("{held} connections from your address have shown nothing yet");
            return Err(TurnedAway::new(503, sentence));
        }
        self.take_place()?;
        self.unproven.insert(who, held + 1);
        Ok(Place { unproven_at: Some(who) })
    }

    /// Gives a place to a connection that we make ourselves.
    ///
    /// # Errors
    /// 503 when there is none.
    pub fn enter_outbound(&mut self) -> Result<Place, TurnedAway> {
        self.take_place()?;
        Ok(Place { unproven_at: None })
    }

    fn take_place(&mut self) -> Result<(), TurnedAway> {
        if self.connections >= self.connections_max {
            let sentence = format!("all {} connections of this node are taken", self.connections_max);
            return Err(TurnedAway::new(503, sentence));
        }
        self.connections += 1;
        Ok(())
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
    fn programs_of_this_machine_leave_half_of_the_places_to_nodes() {
        let mut admissions = Admissions::new(6, 1);
        let here = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut local: Vec<Place> = (0..3).map(|_| admissions.enter(here).unwrap()).collect();
        assert_eq!(admissions.enter(here).unwrap_err().status, 503);
        admissions.enter(from(1)).unwrap();
        admissions.proven(&mut local[0]);
        admissions.enter(here).unwrap();
        assert_eq!((admissions.connections(), admissions.unproven.len()), (5, 2));
    }

    #[test]
    fn all_places_together_are_bounded_also_for_our_own_calls() {
        let mut admissions = Admissions::new(3, 1);
        let places = [admissions.enter(from(1)), admissions.enter(from(2)), admissions.enter_outbound()];
        assert_eq!(admissions.enter(from(3)).unwrap_err().status, 503);
        assert_eq!(admissions.enter_outbound().unwrap_err().status, 503);
        for place in places {
            admissions.leave(place.unwrap());
        }
        assert_eq!((admissions.connections(), admissions.unproven.len()), (0, 0));
    }
}
