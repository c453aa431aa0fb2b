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
    /// `RATE_LIMITED`, `DUPLICATE` and `BUSY`, before anything is sent; `DELIVERY_FAILED`.
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
        let name = Name::of(&message);
        if let Some(name) = &name {
            lock(&self.said).begin(name, up_ms())?;
        }
        let said = Arc::clone(&self.said);
        Ok(async move {
            let _place = place;
            let answered = links.call(best, "mesh.message.forward", &message, ANSWER_WITHIN).await;
            let answered = answered.map(drop);
            if let Some(name) = name {
                lock(&said).end(&name, answered.as_ref().err().is_none_or(may_be_delivered));
            }
            answered.map_err(|fault| not_brought(best, &fault))
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

/// What a message is known by, if its maker has named it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    maker: String,
    channel: String,
    to: String,
    key: String,
}

impl Name {
    fn of(message: &Relayed) -> Option<Self> {
        Some(Self {
            maker: message.origin_gateway_id.clone(),
            channel: message.channel.clone(),
            to: message.to.clone(),
            key: message.idempotency_key.clone()?,
        })
    }
}

/// Messages that were passed on lately, each with when, and whether it is known to be over. How many there are is bounded by how
/// many are passed on in that time.
#[derive(Debug, Default)]
struct Said(BTreeMap<Name, (u64, bool)>);

impl Said {
    /// Notes a message that is about to leave.
    ///
    /// # Errors
    /// `DUPLICATE` when the same has left before; `BUSY` while nobody knows what becomes of it.
    fn begin(&mut self, name: &Name, now_ms: u64) -> Result<(), Refusal> {
        self.0.retain(|_, (at_ms, _)| now_ms.saturating_sub(*at_ms) < SAME_MS);
        let (code, sentence) = match self.0.get(name) {
            Some((_, true)) => {
                (Code::Duplicate, "a message of yours with this idempotencyKey was passed on before")
            }
            Some((_, false)) => {
                (Code::Busy, "a message of yours with this idempotencyKey is on its way; ask again later")
            }
            None => {
                self.0.insert(name.clone(), (now_ms, false));
                return Ok(());
            }
        };
        Err(Refusal::new(code, sentence))
    }

    /// It was delivered, or may have been; or else it may be sent again.
    fn end(&mut self, name: &Name, may_be_delivered: bool) {
        if !may_be_delivered {
            self.0.remove(name);
        } else if let Some((_, is_over)) = self.0.get_mut(name) {
            *is_over = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_a_name_is_said_once_until_it_is_known_not_to_be_delivered_or_was_long_ago() {
        let name = |maker: &str, key: &str, channel: &str| {
            let [maker, key, channel, to] = [maker, key, channel, "chat:7"].map(str::to_owned);
            Name { maker, channel, to, key }
        };
        let (one, two) = (name("a", "k", "telegram"), name("b", "k", "telegram"));
        let mut said = Said::default();
        let mut begin = |name: &Name, now_ms| said_of(said.begin(name, now_ms));
        assert_eq!((begin(&one, 0), begin(&one, 1)), (None, Some(Code::Busy)));
        for other in [&two, &name("a", "l", "telegram"), &name("a", "k", "slack")] {
            assert_eq!(begin(other, 1), None);
        }
        said.end(&one, true);
        said.end(&two, false);
        let mut begin = |name: &Name, now_ms| said_of(said.begin(name, now_ms));
        assert_eq!((begin(&one, SAME_MS - 1), begin(&two, 2)), (Some(Code::Duplicate), None));
        assert_eq!((begin(&one, SAME_MS), begin(&name("c", "k", "telegram"), 9 * SAME_MS)), (None, None));
        assert_eq!(said.0.len(), 1);
    }

    fn said_of(begun: Result<(), Refusal>) -> Option<Code> {
        begun.err().map(|refusal| refusal.code)
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
