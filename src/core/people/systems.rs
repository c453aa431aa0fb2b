//! Systems that follow what people at the console write down, and what they revoke over the mesh.

use bevy::prelude::*;
use clawmesh_authority::reading::PassedOn;
use clawmesh_authority::{
    Code, Frame, KeyId as _, NodeId, Operator, OperatorId, Refusal, Refused, canonical, revocation,
};

use super::components::People;
use super::messages::{KeyRevoked, RevocationHeard};
use super::revocations::{self, Revocations};
use crate::clock::{Tick, WallClock};
use crate::intake::{InputBody, SourceId, TickBatch};
use crate::mesh::Trust;
use crate::publish::FrameDue;
use crate::replay::Keeping;
use crate::safety;
use crate::settings::Settings;

/// Knows these people from now on. Only whoever runs this node may say so, and only its journal what was revoked before. What was
/// revoked over the mesh stays revoked, whatever the list says.
pub(super) fn follow_people(
    batch: Res<TickBatch>,
    mut people: ResMut<People>,
    mut revocations: ResMut<Revocations>,
    mut revoked: MessageWriter<KeyRevoked>,
    mut refused: MessageWriter<safety::Refused>,
) {
    for stamped in batch.iter() {
        let source = &stamped.input.source;
        match &stamped.input.body {
            InputBody::PeopleChanged(roster) if *source == SourceId::Runner => {
                people.set_if_neq(People(roster.clone()));
            }
            InputBody::Recalled { subject, bytes } => match revocations::read(subject, bytes) {
                None => continue,
                Some(Ok(kept)) if *source == SourceId::Journal => revocations.recall(kept),
                Some(outcome) => {
                    let sentence = outcome.err().unwrap_or_else(|| {
                        format!("only the journal of this node recalls what it has kept of {subject}")
                    });
                    refused.write(safety::Refused::once(Code::NotAuthorized, *source, sentence));
                    continue;
                }
            },
            _ => continue,
        }
        revoked.write_batch(revocations.apply(&mut people.0).into_iter().map(KeyRevoked));
    }
}

/// No program approves: from the tick on in which a node is trusted, its key counts for nothing as that of a person, whoever was
/// enrolled with it. It was in the hands of a program, so it stays so until the list of people is read anew.
pub(crate) fn revoke_keys_of_nodes(
    trust: Res<Trust>,
    mut people: ResMut<People>,
    mut revoked: MessageWriter<KeyRevoked>,
    mut refused: MessageWriter<safety::Refused>,
) {
    if !(trust.is_changed() || people.is_changed()) {
        return;
    }
    let is_node = |person: &&Operator| !person.revoked && trust.believes(&NodeId::of_public_key(&person.key));
    let found: Vec<(OperatorId, String)> =
        people.0.iter().filter(is_node).map(|person| (person.id, person.name.clone())).collect();
    for (id, name) in found {
        let sentence = format!(
            "{name} is enrolled with the key of a node that is trusted here, and no program approves; the key counts for nothing, \
             make one for the person"
        );
        refused.write(safety::Refused::once(Code::NotAuthorized, SourceId::Runner, sentence));
        // Whoever is on the list can be revoked.
        let _ = people.0.revoke(&id);
        revoked.write(KeyRevoked(id));
    }
}

/// Takes what was asked of this node or passed on to it, and passes on what is news. It counts in this tick already.
pub(crate) fn heed_revocations(
    (tick, settings, wall): (Res<Tick>, Res<Settings>, Res<WallClock>),
    mut heard: MessageReader<RevocationHeard>,
    mut people: ResMut<People>,
    mut revocations: ResMut<Revocations>,
    mut keeping: ResMut<Keeping>,
    mut frames: MessageWriter<FrameDue>,
    mut revoked: MessageWriter<KeyRevoked>,
    mut refused: MessageWriter<safety::Refused>,
) {
    for RevocationHeard { from, bytes, is_asked } in heard.read() {
        let judged = revocation::open(bytes, settings.mesh()).and_then(|said| {
            revocation::may_revoke(&said.by, &said.key, &people.0)?;
            revocations.has_room(&said.key, &people.0)?;
            Ok(said)
        });
        let said = match judged {
            Ok(said) => said,
            Err(no) => {
                refused.write(in_the_book(&no, from));
                continue;
            }
        };
        let key = said.key;
        let is_news = revocations.add(said, wall.at(*tick, &settings));
        if is_news {
            keeping.keep(revocations::SUBJECT, canonical::encode(&*revocations));
            revoked.write_batch(revocations.apply(&mut people.0).into_iter().map(KeyRevoked));
        }
        if is_news || *is_asked {
            frames.write(FrameDue(Frame::Revocation(PassedOn { key, request: bytes.clone() })));
        }
    }
}

fn in_the_book(no: &Refused, from: &str) -> safety::Refused {
    let refusal: Refusal = no.given_to(from);
    safety::Refused { refusal, count: 1 }
}
