//! A guest as an entity, what guests have told, and the mock actuator.

use bevy::prelude::{Component, Resource};
use clawmesh_authority::NodeId;
use clawmesh_wire::log::WorldLog;
use clawmesh_wire::mock::MockActuator;
use minicbor::encode::Write;
use minicbor::{Decode, Encode, Encoder};
use serde::{Deserialize, Serialize};

use super::lifecycle::{GuestContact, GuestState};

/// A guest that is connected, or was a while ago, by the hash of its key.
#[derive(
    Component, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode,
)]
#[component(immutable)]
#[require(GuestContact, GuestState)]
pub struct Guest(#[n(0)] pub NodeId);

/// What a guest said of itself when it connected. Only its id is proven.
#[derive(Component, Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct GuestProfile {
    /// What people call it.
    #[n(0)]
    pub name: Option<String>,
    /// Its role.
    #[n(1)]
    pub role: String,
    /// What it can do.
    #[n(2)]
    pub capabilities: Vec<String>,
    /// True when we have called it.
    #[n(3)]
    pub is_outbound: bool,
    /// The label of the way to it, such as `mdns`, if it has one.
    #[n(4)]
    pub label: Option<String>,
    /// When it connected, Unix milliseconds by our clock.
    #[n(5)]
    pub connected_ms: u64,
    /// When it has signed its handshake, by its own clock, Unix milliseconds.
    #[n(6)]
    pub signed_ms: Option<u64>,
}

/// Context frames of guests: the newest, and the newest about each thing.
#[derive(Resource, Debug, Clone, Default)]
pub struct GuestLog(pub WorldLog);

impl<C> Encode<C> for GuestLog {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        // What a frame says was hashed once, when it came: a digest does not read megabytes again.
        e.array(2)?.array(self.0.frames().len() as u64)?;
        for told in self.0.frames() {
            e.array(4)?.bytes(&told.content.0)?.bytes(&told.from.0)?;
            // How often it was relayed is not part of what it says.
            e.u64(told.frame.hops)?.u64(told.received_ms)?;
        }
        e.array(self.0.entries().len() as u64)?;
        for (key, entry) in self.0.entries() {
            e.array(6)?
                .str(key)?
                .bytes(&entry.told.content.0)?
                .bytes(&entry.told.from.0)?
                .u64(entry.told.frame.hops)?
                .u64(entry.told.received_ms)?
                .u64(entry.update_count)?;
        }
        Ok(())
    }
}

/// The mock actuator, if this node has one.
#[derive(Resource, Debug, Clone, Default)]
pub struct MockBench {
    /// The actuator.
    pub actuator: MockActuator,
    /// When this node came from a backup, if it did, Unix milliseconds: what was carried out since the backup nobody knows.
    pub restored_ms: Option<u64>,
}

impl<C> Encode<C> for MockBench {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let state =
            serde_json::to_string(&self.actuator.state(None)).map_err(minicbor::encode::Error::message)?;
        e.array(3)?.str(&state)?.encode(self.restored_ms)?.map(self.actuator.remembered().len() as u64)?;
        for (place, done) in self.actuator.remembered() {
            e.u16(place)?.array(2)?.str(&done.command_id)?.u64(done.counts_until_ms)?;
        }
        Ok(())
    }
}
