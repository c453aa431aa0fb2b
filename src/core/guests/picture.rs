//! What readers see of guests. It is drawn anew only in a tick in which something of it has changed.

use std::sync::Arc;

use bevy::prelude::Resource;
use clawmesh_authority::NodeId;
use clawmesh_wire::log::{Entry, Told};
use clawmesh_wire::mock::MockState;

use super::components::{GuestLog, GuestProfile, MockBench};

/// A connected guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestRow {
    /// Its id.
    pub id: NodeId,
    /// What it says of itself.
    pub profile: GuestProfile,
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
    /// Who is connected, by id.
    #[must_use]
    pub fn guests(&self) -> &[GuestRow] {
        &self.0.guests
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
