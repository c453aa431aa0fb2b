//! How much may come from whom: token buckets for each identity and each kind of message, in bounded memory.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use clawmesh_authority::NodeId;
use clawmesh_wire::access::Method;

/// The most identities with buckets of their own; all others share one set.
const IDENTITIES_MAX: usize = 4_096;

/// One token, in the unit the level is counted in.
const TOKEN: u64 = 1_000_000_000;

/// How many of each kind may come in a second, and at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Attempts to show who one is, for each address.
    pub handshakes: u32,
    /// Calls that only look, and challenges.
    pub reads: u32,
    /// Calls whose answers are long, or look through everything that is known.
    pub queries: u32,
    /// Messages, commands, answers to proposals, questions to the model.
    pub messages: u32,
    /// Context frames and other events.
    pub frames: u32,
    /// Messages that are none, and events of those who have shown nothing. Who sends more is ended.
    pub bad: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Self { handshakes: 20, reads: 50_000, queries: 50, messages: 50, frames: 2_000, bad: 100 }
    }
}

/// Under whose name a message counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// Whoever comes from there and has shown nothing.
    Address(IpAddr),
    /// A node.
    Node(NodeId),
    /// All operators together.
    Operators,
}

impl Who {
    /// An address; of IPv6 the half that somebody was given, since the other half is theirs to choose, and one name for all
    /// addresses of this machine, which are anybody's here to choose.
    pub fn at(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self::Address(match address {
            local if local.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// What a message costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Handshake,
    Read,
    Query,
    Message,
    Frame,
    Bad,
}

impl Class {
    const COUNT: usize = 6;

    /// What a call costs.
    pub fn of(method: Method) -> Self {
        match method {
            Method::Connect => Self::Handshake,
            Method::Challenge => Self::Read,
            Method::WorldQuery
            | Method::ContextSync
            | Method::Events
            | Method::Trace
            | Method::Peers
            | Method::Status
            | Method::MockState => Self::Query,
            method if method.is_read() => Self::Read,
            _ => Self::Message,
        }
    }

    fn rate(self, rates: &Rates) -> u64 {
        u64::from(match self {
            Self::Handshake => rates.handshakes,
            Self::Read => rates.reads,
            Self::Query => rates.queries,
            Self::Message => rates.messages,
            Self::Frame => rates.frames,
            Self::Bad => rates.bad,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: u64,
    filled_at_ns: u64,
}

impl Bucket {
    fn fill(&mut self, rate: u64, now_ns: u64) {
        let gained = now_ns.saturating_sub(self.filled_at_ns).saturating_mul(rate);
        self.level = self.level.saturating_add(gained).min(rate * TOKEN);
        self.filled_at_ns = self.filled_at_ns.max(now_ns);
    }

    fn take(&mut self, rate: u64, now_ns: u64) -> bool {
        self.fill(rate, now_ns);
        let is_enough = self.level >= TOKEN;
        self.level -= if is_enough { TOKEN } else { 0 };
        is_enough
    }
}

type Set = [Bucket; Class::COUNT];

/// The buckets of everybody.
#[derive(Debug)]
pub(crate) struct Limits {
    rates: Rates,
    sets: BTreeMap<Who, Set>,
    others: Set,
}

impl Limits {
    /// Full buckets for everybody.
    pub fn new(rates: Rates) -> Self {
        Self { rates, sets: BTreeMap::new(), others: full(&rates, 0) }
    }

    /// Takes a token of `class` under the name of `who`; false when there is none at `elapsed`.
    pub fn take(&mut self, who: Who, class: Class, elapsed: Duration) -> bool {
        let now_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let rates = self.rates;
        if self.sets.len() >= IDENTITIES_MAX && !self.sets.contains_key(&who) {
            // Full buckets say nothing that a new set would not say.
            self.sets.retain(|_, set| !is_full(set, &rates, now_ns));
        }
        let set = if self.sets.len() < IDENTITIES_MAX {
            self.sets.entry(who).or_insert_with(|| full(&rates, now_ns))
        } else {
            self.sets.get_mut(&who).unwrap_or(&mut self.others)
        };
        set[class as usize].take(class.rate(&rates), now_ns)
    }
}

const CLASSES: [Class; Class::COUNT] =
    [Class::Handshake, Class::Read, Class::Query, Class::Message, Class::Frame, Class::Bad];

fn full(rates: &Rates, now_ns: u64) -> Set {
    CLASSES.map(|class| Bucket { level: class.rate(rates) * TOKEN, filled_at_ns: now_ns })
}

fn is_full(set: &mut Set, rates: &Rates, now_ns: u64) -> bool {
    CLASSES.iter().zip(set).all(|(class, bucket)| {
        bucket.fill(class.rate(rates), now_ns);
        bucket.level >= class.rate(rates) * TOKEN
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATES: Rates = Rates { handshakes: 2, reads: 10, queries: 3, messages: 5, frames: 7, bad: 4 };

    fn at(n: u32) -> Who {
        Who::at(IpAddr::from(n.to_be_bytes()))
    }

    fn takes(limits: &mut Limits, who: Who, class: Class, ms: u64) -> usize {
        (0..100).filter(|_| limits.take(who, class, Duration::from_millis(ms))).count()
    }

    #[test]
    fn each_identity_and_each_kind_has_its_own_rate() {
        let mut limits = Limits::new(RATES);
        for who in [at(1), at(2), Who::Node(NodeId([1; 32])), Who::Operators] {
            let found = CLASSES.map(|class| takes(&mut limits, who, class, 0));
            assert_eq!(found, [2, 10, 3, 5, 7, 4], "{who:?}");
        }
        assert_eq!(takes(&mut limits, at(1), Class::Read, 500), 5);
        assert_eq!(takes(&mut limits, at(1), Class::Read, 60_000), 10, "no more than a second's worth");
    }

    #[test]
    fn half_an_ipv6_address_and_a_mapped_one_buy_nothing() {
        let who = |text: &str| Who::at(text.parse().unwrap());
        assert_eq!(who("2001:db8::1"), who("2001:db8::ffff"));
        assert_ne!(who("2001:db8::1"), who("2001:db8:0:1::1"));
        assert_eq!(who("::ffff:10.0.0.1"), who("10.0.0.1"));
        for local in ["127.0.0.2", "127.255.0.1", "::1", "::ffff:127.0.0.9"] {
            assert_eq!(who(local), who("127.0.0.1"), "{local}");
        }
    }

    #[test]
    fn every_method_has_its_class() {
        assert_eq!(Class::of(Method::Connect), Class::Handshake);
        for read in [Method::Challenge, Method::Health] {
            assert_eq!(Class::of(read), Class::Read, "{read:?}");
        }
        for query in [Method::ContextSync, Method::WorldQuery, Method::Events, Method::Trace, Method::Status]
        {
            assert_eq!(Class::of(query), Class::Query, "{query:?}");
        }
        for message in [Method::Forward, Method::ProposalApprove, Method::LlmInfer, Method::ChatSubscribe] {
            assert_eq!(Class::of(message), Class::Message, "{message:?}");
        }
    }

    #[test]
    fn a_crowd_of_addresses_shares_what_is_left_and_is_forgotten_when_it_is_gone() {
        let mut limits = Limits::new(RATES);
        for n in 0..10_000 {
            limits.take(at(n), Class::Handshake, Duration::ZERO);
        }
        assert_eq!(limits.sets.len(), IDENTITIES_MAX);
        assert!(!limits.take(at(20_000), Class::Handshake, Duration::ZERO), "the others have used it up");
        assert!(limits.take(at(20_000), Class::Handshake, Duration::from_secs(9)));
        assert!(limits.sets.len() < 10, "{}", limits.sets.len());
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate(gaps in prop::collection::vec(0_u64..2_000, 1..200)) {
            let mut limits = Limits::new(RATES);
            let (mut now_ms, mut taken) = (0, 0);
            for gap in gaps {
                now_ms += gap;
                taken += u64::from(limits.take(at(1), Class::Read, Duration::from_millis(now_ms)));
            }
            prop_assert!(taken <= 10 + now_ms * 10 / 1_000 + 1);
        }
    }
}
