//! Who has come, who has gone, and how each guest stands.

use std::collections::BTreeMap;

use bevy::prelude::*;
use clawmesh_authority::{Code, NodeId, Refused};

use super::trusted;
use crate::clock::{Tick, WallClock};
use crate::guests::GUESTS_MAX;
use crate::guests::components::{Guest, GuestProfile};
use crate::guests::lifecycle::{GuestContact, GuestState, assess, is_forgotten};
use crate::intake::{InputBody, SourceId, TickBatch};
use crate::mesh::Trust;
use crate::replay::DomainId;
use crate::safety;
use crate::settings::Settings;

/// The guests of a tick, by id, while they come and go.
type Here = BTreeMap<NodeId, (Entity, GuestContact)>;

/// Who has come, who has gone, and who was heard.
pub(in crate::guests) fn follow_guests(
    tick: Res<Tick>,
    settings: Res<Settings>,
    wall: Res<WallClock>,
    batch: Res<TickBatch>,
    trust: Res<Trust>,
    guests: Query<(Entity, &Guest, &GuestContact)>,
    mut refused: MessageWriter<safety::Refused>,
    mut commands: Commands,
) {
    let mut here: Here =
        guests.iter().map(|(entity, guest, contact)| (guest.0, (entity, *contact))).collect();
    for stamped in batch.iter() {
        if stamped.input.source != SourceId::Guests {
            continue;
        }
        match &stamped.input.body {
            InputBody::GuestJoined { guest, profile } => {
                if let Err(why) = may_come(&trust, &mut here, *guest, &mut commands) {
                    refused.write(safety::Refused::once(why.code, guest.short(), why.sentence));
                    continue;
                }
                let connected_ms = wall.at(*tick, &settings);
                let profile = GuestProfile { connected_ms, ..profile.clone() };
                let abilities_ms = profile.signed_ms.unwrap_or(0);
                let contact = GuestContact { heard_tick: tick.0, end: None, abilities_ms };
                // A newer connection of the same guest takes the place of the older one.
                let (entity, held) = here.entry(*guest).or_insert_with(|| {
                    let row = (Guest(*guest), DomainId::of("guest", &[&guest.0]));
                    (commands.spawn(row).id(), contact)
                });
                *held = contact;
                commands.entity(*entity).insert((profile, contact));
            }
            InputBody::GuestLeft { guest, end, .. } => {
                if let Some((entity, contact)) = here.get_mut(guest) {
                    contact.end = Some(*end);
                    commands.entity(*entity).insert(*contact);
                }
            }
            InputBody::GuestsHeard(heard) => {
                for guest in heard {
                    // Who has no connection was heard before it ended.
                    if let Some((entity, contact)) = here.get_mut(guest)
                        && contact.end.is_none()
                    {
                        contact.heard_tick = tick.0;
                        commands.entity(*entity).insert(*contact);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether a guest may come; one that is gone makes room for it, if there is no other.
fn may_come(trust: &Trust, here: &mut Here, guest: NodeId, commands: &mut Commands) -> Result<(), Refused> {
    trusted(trust, guest)?;
    if here.len() < GUESTS_MAX || here.contains_key(&guest) {
        return Ok(());
    }
    let gone = here.iter().filter(|(_, (_, contact))| contact.end.is_some());
    if let Some(oldest) = gone.min_by_key(|(id, (_, contact))| (contact.heard_tick, **id)).map(|(id, _)| *id)
        && let Some((entity, _)) = here.remove(&oldest)
    {
        commands.entity(entity).despawn();
        return Ok(());
    }
    let sentence = format!("{GUESTS_MAX} guests are here already; end the connection of another one");
    Err(Refused::new(Code::LimitExceeded, "guest.places", sentence))
}

/// How each guest stands. One that is gone is forgotten when nobody trusts it any more, or a while after it said goodbye.
pub(in crate::guests) fn assess_guests(
    tick: Res<Tick>,
    settings: Res<Settings>,
    trust: Res<Trust>,
    mut guests: Query<(Entity, &Guest, &GuestContact, &mut GuestState)>,
    mut commands: Commands,
) {
    for (entity, guest, contact, mut state) in &mut guests {
        let silent_ms = settings.ms_of_ticks(tick.0.saturating_sub(contact.heard_tick));
        state.set_if_neq(assess(contact.end, silent_ms));
        if is_forgotten(contact.end, silent_ms, trust.has(&guest.0)) {
            commands.entity(entity).despawn();
        }
    }
}
