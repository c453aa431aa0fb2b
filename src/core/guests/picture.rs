//! What readers see of guests. It is drawn anew only in a tick in which something of it has changed.

use std::sync::Arc;

use bevy::prelude::Resource;
use clawmesh_authority::NodeId;
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::log::{Entry, Told, newest_in_turns};
use clawmesh_wire::mock::MockState;

use super::components::{GuestLog, GuestProfile, MockBench};
use super::lifecycle::GuestState;

/// A guest that is connected, or was a while ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestRow {
    /// Its id.
    pub id: NodeId,
    /// What it says of itself.
    pub profile: GuestProfile,
    /// How it stands.
    pub state: GuestState,
    /// True while it has a connection.
    pub is_connected: bool,
    /// When it was last known to be there, Unix milliseconds by our clock.
    pub heard_ms: u64,
}

/// Everything of guests, for readers. Clones share it.
#[derive(Resource, Debug, Clone, Default)]
pub struct GuestsPicture(Arc<Drawn>);

#[derive(Debug, Default)]
struct Drawn {
    guests: Vec<GuestRow>,
    frames: Vec<Arc<Told>>,
    entries: Vec<(String, Entry)>,
    mock: Option<MockState>,
}

impl GuestsPicture {
    /// Who is connected and who is gone, by id.
    #[must_use]
    pub fn guests(&self) -> &[GuestRow] {
        &self.0.guests
    }

    /// Who is connected, by id.
    pub fn connected(&self) -> impl Iterator<Item = &GuestRow> {
        self.0.guests.iter().filter(|row| row.is_connected)
    }

    /// What was told, oldest first by when it was made.
    #[must_use]
    pub fn frames(&self) -> &[Arc<Told>] {
        &self.0.frames
    }

    /// The newest frame about each thing, by key.
    #[must_use]
    pub fn entries(&self) -> &[(String, Entry)] {
        &self.0.entries
    }

    /// What was told last about each thing that is wanted, of each teller in turns the newest `limit` that fit into `bytes_max`,
    /// oldest first; and how many were left off.
    #[must_use]
    pub fn newest(
        &self,
        limit: usize,
        bytes_max: usize,
        is_wanted: impl Fn(&ContextFrame) -> bool,
    ) -> (Vec<&Told>, usize) {
        let wanted = || self.0.entries.iter().filter(|(_, entry)| is_wanted(&entry.told.frame));
        let mut chosen = newest_in_turns(wanted().map(|(_, entry)| &*entry.told), limit);
        let mut bytes = 0;
        let fits = |told: &&&Told| {
            bytes += told.frame.bytes();
            bytes <= bytes_max
        };
        let many = chosen.iter().rev().take_while(fits).count();
        chosen.drain(..chosen.len() - many);
        (chosen, wanted().count() - many)
    }

    /// The mock actuator; `None` before anything was drawn.
    #[must_use]
    pub fn mock(&self) -> Option<&MockState> {
        self.0.mock.as_ref()
    }
}

impl PartialEq for GuestsPicture {
    /// Two pictures are equal when they are the same drawing.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl GuestsPicture {
    /// A new drawing.
    pub(super) fn of(mut guests: Vec<GuestRow>, log: &GuestLog, bench: &MockBench) -> Self {
        guests.sort_by_key(|row| row.id);
        let entries = log.0.entries().map(|(key, entry)| (key.to_owned(), entry.clone())).collect();
        let frames = log.0.frames().cloned().collect();
        Self(Arc::new(Drawn { guests, frames, entries, mock: Some(bench.actuator.state(None)) }))
    }
}
