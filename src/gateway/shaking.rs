//! How many connections may be before the end of their TLS handshake at a time: in all, and from one address. Pure, but for the
//! lock around it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most of them, well below the most connections: who knows how to speak here finds a place.
const SHAKING_MAX: usize = 512;
/// The most from one address of another machine.
const PER_ADDRESS_MAX: usize = 64;
/// The most from this machine; the rest is for others, and neither can take the places of the other.
const LOCAL_MAX: usize = SHAKING_MAX / 2;

/// Who is before the end of the handshake. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shaking(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    taken: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    of: Shaking,
    address: IpAddr,
}

impl Shaking {
    /// A place for a connection from `from`, if there is one.
    pub(crate) fn enter(&self, from: IpAddr) -> Option<Place> {
        let address = counted_as(from);
        let mut places = self.lock();
        let held = places.by_address.get(&address).copied().unwrap_or(0);
        let local = places.by_address.get(&IpAddr::from(Ipv4Addr::LOCALHOST)).copied().unwrap_or(0);
        let has_room = match address.is_loopback() {
            // Whoever stands before this machine stops it, however many knock from elsewhere.
            true => held < LOCAL_MAX,
            false => held < PER_ADDRESS_MAX && places.taken - local < SHAKING_MAX - LOCAL_MAX,
        };
        if !has_room {
            return None;
        }
        places.taken += 1;
        places.by_address.insert(address, held + 1);
        drop(places);
        Some(Place { of: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.of.lock();
        places.taken = places.taken.saturating_sub(1);
        let held = places.by_address.remove(&self.address).unwrap_or(0);
        if held > 1 {
            places.by_address.insert(self.address, held - 1);
        }
    }
}

/// Of IPv6 the half that somebody was given counts, since the other half is theirs to choose, and all addresses of this machine
/// are one.
fn counted_as(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        local if local.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_few_places_and_gets_them_back() {
        let shaking = Shaking::default();
        let one = address("192.0.2.1");
        let mut held: Vec<Place> = (0..PER_ADDRESS_MAX).map(|_| shaking.enter(one).unwrap()).collect();
        assert!(shaking.enter(one).is_none());
        assert!(shaking.enter(address("::ffff:192.0.2.1")).is_none(), "the same address");
        assert!(shaking.enter(address("192.0.2.2")).is_some());
        held.pop();
        held.push(shaking.enter(one).unwrap());
        drop(held);
        let places = shaking.lock();
        assert_eq!((places.taken, places.by_address.len()), (0, 0));
    }

    #[test]
    fn whoever_has_half_of_the_addresses_of_ipv6_has_one() {
        let shaking = Shaking::default();
        let held: Vec<Option<Place>> =
            (0..=PER_ADDRESS_MAX).map(|n| shaking.enter(address(&format!("2001:db8::{n:x}")))).collect();
        assert_eq!(held.iter().flatten().count(), PER_ADDRESS_MAX);
    }

    #[test]
    fn this_machine_and_all_others_have_half_of_the_places_each_whoever_comes_first() {
        let shaking = Shaking::default();
        let mut held: Vec<Place> = (0..LOCAL_MAX).map(|_| shaking.enter(address("::1")).unwrap()).collect();
        assert!(shaking.enter(address("127.0.0.9")).is_none());
        for n in 0..SHAKING_MAX - LOCAL_MAX {
            let far = IpAddr::from([10, 0, 0, u8::try_from(n / 32).unwrap()]);
            held.push(shaking.enter(far).unwrap());
        }
        assert!(shaking.enter(address("10.9.9.9")).is_none());
        let (shaking, mut held) = (Shaking::default(), Vec::new());
        for n in 0..SHAKING_MAX {
            held.extend(shaking.enter(IpAddr::from([10, 0, 0, u8::try_from(n / 32).unwrap()])));
        }
        assert_eq!(held.len(), SHAKING_MAX - LOCAL_MAX);
        assert!(shaking.enter(address("127.0.0.1")).is_some(), "the stop of this machine is heard");
    }
}
