//! Proof that the world is a function of its inputs: digests, the journal's records, the replayer.
//! Reads every component. Writes digest records.
//! Invariant: altering any component of the core changes the digest, or its type is excluded with a reason.
//! Not here: the journal file and its chain (`storage`).

mod commit;
mod digest;
mod domain;
mod journal;
mod kept;
mod replayer;
mod resimulate;
mod systems;

use bevy::prelude::*;

pub use commit::{CommitWatch, Ticket};
pub use digest::{DigestApp, DigestRegistry};
pub use domain::DomainId;
pub use journal::{Batch, DigestRecord, JOURNAL_FORMAT, JournalWriter, KeptRecord, Record};
pub use kept::Keeping;
pub use replayer::{Difference, ReplayReport, Replayer};
pub use systems::LastDigest;
pub(crate) use systems::{take_digest, write_kept};

use crate::clock::TickSystems;
use crate::publish::ComposeSystems;

/// Takes digests at the cadence of the settings.
pub struct ReplayPlugin;

impl Plugin for ReplayPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<DigestRegistry>()
            .init_resource::<LastDigest>()
            .init_resource::<Keeping>()
            .exclude_from_digest::<Keeping>("on its way into the journal, where a replay compares it")
            .exclude_from_digest::<DigestRegistry>("it holds the digests")
            .exclude_from_digest::<LastDigest>("it is the digest")
            .exclude_from_digest::<DomainId>("the name under which everything else is digested")
            .exclude_from_digest::<crate::settings::Settings>("constant for a run, in the journal's header")
            .add_systems(
                FixedUpdate,
                systems::begin_keeping.before(crate::intake::IntakeSystems).in_set(TickSystems::Ingest),
            )
            .add_systems(
                FixedUpdate,
                systems::keep_digest
                    .run_if(systems::is_digest_due)
                    .after(ComposeSystems)
                    .in_set(TickSystems::Record),
            );
    }
}
