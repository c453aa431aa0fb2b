//! Brings a message to the one node that has its channel best; and how much may be brought.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clawmesh_authority::NodeId;
use clawmesh_wire::gate::Forward;
use clawmesh_wire::relay::Relayed;
use clawmesh_wire::{Code, Refusal};
use clawmesh_wire_link::{CallFault, Links};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::host::lock;
use crate::moments::up_ms;

/// How long the node that has the channel may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The most messages that are on their way at a time.
const UNDER_WAY_MAX: usize = 16;
/// The time for which messages are counted, milliseconds.
const COUNTED_MS: u64 = 60_000;
/// The most messages of one node that are passed on in that time.
const OF_ONE_MAX: usize = 10;
/// The most messages that are passed on to one node in that time: it takes 100 of us and drops the rest without a word.
const TO_ONE_MAX: usize = 20;
/// How long a message with the name its maker gave it counts as the same, milliseconds.
const SAME_MS: u64 = 300_000;

/// The way of messages to other nodes.
pub struct Relay {
    /// What whoever takes a message has, for each channel of which somebody has said that it is passed on.
    channels: BTreeSet<String>,
    allowance: Mutex<Allowance>,
    said: Arc<Mutex<Said>>,
    under_way: Arc<Semaphore>,
    /// What became of the messages.
    pub tally: Arc<Tally>,
}

/// How many messages were passed on and taken, and how many not.
#[derive(Debug, Default)]
pub struct Tally {
    /// Those that were taken.
    pub passed_on: AtomicU64,
    /// Those that were refused here or there, or not answered.
    pub refused: AtomicU64,
}

impl Relay {
    /// Passes on what is for these channels, `channel:…`, and nothing else.
    pub fn of(channels: &[String]) -> Self {
        Self {
            channels: channels.iter().cloned().collect(),
            allowance: Mutex::default(),
            said: Arc::default(),
            under_way: Arc::new(Semaphore::new(UNDER_WAY_MAX)),
            tally: Arc::default(),
        }
    }

    /// Whether somebody has said that what is for `channel:…` is passed on.
    pub fn passes_on(&self, capability: &str) -> bool {
        self.channels.contains(capability)
    }

    /// A place for a message of `maker`.
    ///
    /// # Errors
    /// `RATE_LIMITED` or `BUSY`.
    pub fn enter(&self, maker: NodeId) -> Result<OwnedSemaphorePermit, Refusal> {
        if !lock(&self.allowance).of.spend(maker, OF_ONE_MAX, up_ms()) {
            let sentence = format!("{OF_ONE_MAX} messages a minute of one node are passed on; send fewer");
            return Err(Refusal::new(Code::RateLimited, sentence));
        }
        let busy = |_| Refusal::new(Code::Busy, "too many messages are on their way already; try again");
        Arc::clone(&self.under_way).try_acquire_owned().map_err(busy)
    }

    /// Brings a message to `best`, once. The answer is whether it was taken there.
    ///
    /// # Errors
    /// `RATE_LIMITED` and `DUPLICATE`, before anything is sent; `DELIVERY_FAILED`.
    pub fn bring(
        &self,
        place: OwnedSemaphorePermit,
        message: Relayed,
        best: NodeId,
        links: Links,
    ) -> Result<impl Future<Output = Result<(), Refusal>> + Send + use<>, Refusal> {
        if !lock(&self.allowance).to.spend(best, TO_ONE_MAX, up_ms()) {
            let sentence = format!("{TO_ONE_MAX} messages a minute are passed on to one node; send fewer");
            return Err(Refusal::new(Code::RateLimited, sentence));
        }
        let name = message.idempotency_key.clone().map(|key| (message.origin_gateway_id.clone(), key));
        if name.as_ref().is_some_and(|name| !lock(&self.said).begin(name, up_ms())) {
            let sentence = "a message of yours with this idempotencyKey was passed on before";
            return Err(Refusal::new(Code::Duplicate, sentence));
        }
        let said = Arc::clone(&self.said);
        Ok(async move {
            let _place = place;
            let answered = links.call(best, "mesh.message.forward", &message, ANSWER_WITHIN).await;
            answered.map(drop).map_err(|fault| {
                if let Some(name) = name.filter(|_| !may_be_delivered(&fault)) {
                    lock(&said).forget(&name);
                }
                not_brought(best, &fault)
            })
        })
    }
}

fn may_be_delivered(fault: &CallFault) -> bool {
    matches!(
        fault,
        CallFault::Ours(refusal) if matches!(refusal.code, Code::Timeout | Code::PeerDisconnected)
    )
}

fn not_brought(best: NodeId, fault: &CallFault) -> Refusal {
    let outcome = if may_be_delivered(fault) {
        "was sent the message, and whether it was delivered is not known"
    } else {
        "has not taken the message"
    };
    let sentence = format!("{}, which has the channel, {outcome}: {fault}", best.short());
    Refusal::new(Code::DeliveryFailed, sentence)
}

/// Whether a message says that it began at `node`, or was made there.
pub fn is_from(forward: &Forward, maker: NodeId, node: NodeId) -> bool {
    node == maker || forward.origin_gateway_id.trim().eq_ignore_ascii_case(&node.to_string())
}

/// What was passed on of whom and to whom, lately.
#[derive(Debug, Default)]
struct Allowance {
    of: Spent,
    to: Spent,
}

/// When something was counted for each node, lately.
#[derive(Debug, Default)]
struct Spent(BTreeMap<NodeId, VecDeque<u64>>);

impl Spent {
    /// Counts a message for `node`; false when that makes more than `most`. `now_ms` is of a clock that only goes forward.
    fn spend(&mut self, node: NodeId, most: usize, now_ms: u64) -> bool {
        self.0.retain(|_, times| {
            times.retain(|at_ms| now_ms.saturating_sub(*at_ms) < COUNTED_MS);
            !times.is_empty()
        });
        if self.0.get(&node).is_some_and(|times| times.len() >= most) {
            return false;
        }
        self.0.entry(node).or_default().push_back(now_ms);
        true
    }
}

/// Messages that were passed on lately, by their maker and the name it gave them. How many there are is bounded by how many are
/// passed on in that time.
#[derive(Debug, Default)]
struct Said(BTreeMap<(String, String), u64>);

impl Said {
    /// Notes a message; false when the same was noted before.
    fn begin(&mut self, name: &(String, String), now_ms: u64) -> bool {
        self.0.retain(|_, at_ms| now_ms.saturating_sub(*at_ms) < SAME_MS);
        let is_new = !self.0.contains_key(name);
        if is_new {
            self.0.insert(name.clone(), now_ms);
        }
        is_new
    }

    /// It was not delivered, so it may be sent again.
    fn forget(&mut self, name: &(String, String)) {
        self.0.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_a_name_is_said_once_until_it_is_known_not_to_be_delivered_or_was_long_ago() {
        let name = |maker: &str, key: &str| (maker.to_owned(), key.to_owned());
        let mut said = Said::default();
        assert!(said.begin(&name("a", "k"), 0) && !said.begin(&name("a", "k"), SAME_MS - 1));
        assert!(said.begin(&name("b", "k"), 1) && said.begin(&name("a", "l"), 1));
        said.forget(&name("b", "k"));
        assert!(said.begin(&name("b", "k"), 2));
        assert!(said.begin(&name("a", "k"), SAME_MS));
        assert!(said.begin(&name("c", "k"), 9 * SAME_MS));
        assert_eq!(said.0.len(), 1);
    }

    const NODE: NodeId = NodeId([1; 32]);
    const OTHER: NodeId = NodeId([2; 32]);

    #[test]
    fn so_much_is_counted_for_each_node_and_forgotten_in_time() {
        let mut spent = Spent::default();
        assert!((0..5).all(|_| spent.spend(NODE, 5, 0)));
        assert!(!spent.spend(NODE, 5, 1) && spent.spend(OTHER, 5, 1));
        assert!(spent.spend(NODE, 5, COUNTED_MS));
        assert!(spent.spend(OTHER, 5, 3 * COUNTED_MS));
        assert_eq!(spent.0.len(), 1, "who is quiet takes no room");
    }

    #[test]
    fn what_was_sent_and_not_answered_may_have_been_delivered() {
        for (code, is_known) in [
            (Code::Timeout, false),
            (Code::PeerDisconnected, false),
            (Code::NotConnected, true),
            (Code::SendFailed, true),
            (Code::Busy, true),
        ] {
            let refusal = not_brought(NODE, &CallFault::Ours(Refusal::new(code, "so it is")));
            assert_eq!(refusal.code, Code::DeliveryFailed);
            assert_eq!(refusal.message.contains("has not taken"), is_known, "{refusal}");
            assert_eq!(refusal.message.contains("is not known"), !is_known, "{refusal}");
        }
    }
}
