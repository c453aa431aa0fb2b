//! How many may be at something at a time: from one address elsewhere, from this machine, and from everywhere else together.
//! Pure, but for the lock around it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many places there are. Those of this machine and those of others are apart, so that neither can take the places of the
/// other: whoever stands before this machine stops it, however many knock from elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    /// The most from this machine.
    pub local: usize,
    /// The most from all other machines.
    pub elsewhere: usize,
    /// The most from one address of another machine.
    pub per_address: usize,
}

/// Who is at it. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    caps: Caps,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    of: Places,
    address: IpAddr,
}

impl Places {
    /// As many places, all of them free.
    pub(crate) fn of(caps: Caps) -> Self {
        Self { caps, taken: Arc::default() }
    }

    /// A place for a connection from `from`, if there is one.
    pub(crate) fn enter(&self, from: IpAddr) -> Option<Place> {
        let address = counted_as(from);
        let mut taken = self.lock();
        let held = taken.by_address.get(&address).copied().unwrap_or(0);
        let local = taken.by_address.get(&IpAddr::from(Ipv4Addr::LOCALHOST)).copied().unwrap_or(0);
        let has_room = match address.is_loopback() {
            true => held < self.caps.local,
            false => held < self.caps.per_address && taken.all - local < self.caps.elsewhere,
        };
        if !has_room {
            return None;
        }
        taken.all += 1;
        taken.by_address.insert(address, held + 1);
        drop(taken);
        Some(Place { of: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.of.lock();
        taken.all = taken.all.saturating_sub(1);
        let held = taken.by_address.remove(&self.address).unwrap_or(0);
        if held > 1 {
            taken.by_address.insert(self.address, held - 1);
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

    const CAPS: Caps = Caps { local: 256, elsewhere: 256, per_address: 64 };

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_few_places_and_gets_them_back() {
        let places = Places::of(CAPS);
        let one = address("192.0.2.1");
        let mut held: Vec<Place> = (0..CAPS.per_address).map(|_| places.enter(one).unwrap()).collect();
        assert!(places.enter(one).is_none());
        assert!(places.enter(address("::ffff:192.0.2.1")).is_none(), "the same address");
        assert!(places.enter(address("192.0.2.2")).is_some());
        held.pop();
        held.push(places.enter(one).unwrap());
        drop(held);
        let taken = places.lock();
        assert_eq!((taken.all, taken.by_address.len()), (0, 0));
    }

    #[test]
    fn whoever_has_half_of_the_addresses_of_ipv6_has_one() {
        let places = Places::of(CAPS);
        let held: Vec<Option<Place>> =
            (0..=CAPS.per_address).map(|n| places.enter(address(&format!("2001:db8::{n:x}")))).collect();
        assert_eq!(held.iter().flatten().count(), CAPS.per_address);
    }

    #[test]
    fn this_machine_and_all_others_have_places_of_their_own_whoever_comes_first() {
        let places = Places::of(CAPS);
        let mut held: Vec<Place> = (0..CAPS.local).map(|_| places.enter(address("::1")).unwrap()).collect();
        assert!(places.enter(address("127.0.0.9")).is_none());
        for n in 0..CAPS.elsewhere {
            let far = IpAddr::from([10, 0, 0, u8::try_from(n / 32).unwrap()]);
            held.push(places.enter(far).unwrap());
        }
        assert!(places.enter(address("10.9.9.9")).is_none());
        let (places, mut held) = (Places::of(CAPS), Vec::new());
        for n in 0..CAPS.local + CAPS.elsewhere {
            held.extend(places.enter(IpAddr::from([10, 0, 0, u8::try_from(n / 32).unwrap()])));
        }
        assert_eq!(held.len(), CAPS.elsewhere);
        assert!(places.enter(address("127.0.0.1")).is_some(), "the stop of this machine is heard");
    }
}
