//! What a node may set: bounds, times and who may come from a browser.

use std::collections::BTreeSet;
use std::time::Duration;

use clawmesh_authority::NodeId;

use crate::limits::Rates;

/// Settings of all links of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Origins of web pages that may connect, as `scheme://host[:port]`.
    pub allowed_origins: Vec<String>,
    /// The most connections, ours included.
    pub connections_max: usize,
    /// The most connections from one address beyond this machine that have not shown who they are.
    pub unproven_per_address_max: usize,
    /// The most nodes that are dialled, configured or discovered.
    pub dialled_max: usize,
    /// Nodes that must answer our calls: an existing node answers none on a link that it has opened itself, so these are
    /// dialled, and a link of theirs is refused.
    pub dialled_only: BTreeSet<NodeId>,
    /// The most frames and other news in a minute for a node that we have dialled: an existing node takes a hundred messages
    /// a minute from us, and calls must find room among them.
    pub news_per_minute_max: u32,
    /// How much may come.
    pub rates: Rates,
    /// How long things take.
    pub timing: Timing,
}

/// How long things take at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From one ping to the next.
    pub keepalive: Duration,
    /// Silence after which a connection is over.
    pub silence_max: Duration,
    /// For the upgrade, and again for the handshake; when we dial, for everything together.
    pub handshake_max: Duration,
    /// For the answer of a node that others say is down.
    pub probe_max: Duration,
    /// From one such question to the next to the same node.
    pub probe_rest: Duration,
    /// For the answer to `context.sync`.
    pub sync_max: Duration,
    /// For the last words of a connection.
    pub goodbye_max: Duration,
    /// From one dial of a node to the next at least, whatever is wanted.
    pub dial_rest: Duration,
    /// How long a connection that we have dialled has to last before the waits begin anew.
    pub settled: Duration,
    /// From one `peer.down` about a node to the next.
    pub down_rest: Duration,
    /// The first wait before a node is dialled again.
    pub redial_first: Duration,
    /// The longest wait before a node is dialled again.
    pub redial_longest: Duration,
    /// The first wait after a node has refused us, or has not shown who it is: somebody may be about to trust us.
    pub refused_first: Duration,
    /// The longest wait after that.
    pub refused_longest: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allowed_origins: Vec::new(),
            connections_max: 2_048,
            unproven_per_address_max: 64,
            dialled_max: 256,
            dialled_only: BTreeSet::new(),
            news_per_minute_max: 60,
            rates: Rates::default(),
            timing: Timing::default(),
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            keepalive: seconds(10),
            silence_max: seconds(30),
            handshake_max: seconds(10),
            probe_max: seconds(3),
            probe_rest: seconds(10),
            sync_max: seconds(10),
            goodbye_max: seconds(2),
            dial_rest: seconds(1),
            settled: seconds(30),
            down_rest: seconds(10),
            redial_first: seconds(1),
            redial_longest: seconds(30),
            refused_first: seconds(5),
            refused_longest: seconds(300),
        }
    }
}
