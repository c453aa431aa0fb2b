//! The system that takes digests.

use bevy::prelude::*;

use super::digest::DigestRegistry;
use super::journal::{DigestRecord, Record};
use super::kept::Keeping;
use crate::clock::Tick;
use crate::intake::{JournalCursor, JournalPort};
use crate::settings::Settings;

/// The digest taken last.
#[derive(Resource, Debug, Default)]
pub struct LastDigest(pub Option<DigestRecord>);

pub(super) fn is_digest_due(tick: Res<Tick>, settings: Res<Settings>) -> bool {
    tick.0.is_multiple_of(settings.digest_every_ticks.max(1))
}

/// Takes the digest that is due.
pub(super) fn keep_digest(world: &mut World) {
    take_digest(world);
}

/// Digests the world and writes it down. A replay has no journal port: it compares instead.
pub fn take_digest(world: &mut World) -> DigestRecord {
    // Whatever is changed after this point, in the same tick or by a test, must count as changed.
    world.increment_change_tick();
    let tick = world.resource::<Tick>().0;
    let record =
        world.resource_scope(|world, mut registry: Mut<DigestRegistry>| registry.refresh(world, tick));
    world.increment_change_tick();
    let entry = vec![Record::Digest(record.clone())];
    world.resource_scope(|world, mut cursor: Mut<JournalCursor>| {
        match world.get_resource_mut::<JournalPort>() {
            Some(mut journal) => journal.append(&mut cursor, entry, Vec::new()),
            None => cursor.next += 1,
        }
    });
    world.resource_mut::<LastDigest>().0 = Some(record.clone());
    record
}

/// A new tick has kept nothing.
pub(super) fn begin_keeping(mut keeping: ResMut<Keeping>) {
    keeping.begin();
}

/// Hands over what is due. A replay has no journal port: it compares instead.
pub fn write_kept(
    tick: Res<Tick>,
    mut keeping: ResMut<Keeping>,
    mut cursor: ResMut<JournalCursor>,
    journal: Option<ResMut<JournalPort>>,
) {
    if keeping.is_idle() {
        return;
    }
    let (records, tickets) = keeping.take(tick.0);
    match journal {
        Some(mut journal) => {
            journal.append(&mut cursor, records.into_iter().map(Record::Kept).collect(), tickets);
        }
        None => cursor.next += records.len() as u64,
    }
}
