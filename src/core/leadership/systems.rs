//! Systems that follow who leads.

use std::collections::BTreeMap;

use bevy::prelude::*;
use clawmesh_authority::leadership::Say;
use clawmesh_authority::node_role::NodeRole;
use clawmesh_authority::{Code, Frame, canonical};

use super::components::Lead;
use super::kept;
use super::messages::LeadershipSaid;
use crate::clock::{Tick, WallClock};
use crate::intake::{InputBody, SourceId, TickBatch};
use crate::mesh::{Liveness, Node, NodeProfile, OwnNode, Trusted};
use crate::publish::FrameDue;
use crate::replay::Keeping;
use crate::safety::Refused;
use crate::settings::Settings;

/// How often it is looked who is there and whose time is over, milliseconds; what is said is heard at once.
const LOOK_EVERY_MS: u64 = 100;

/// Takes over the terms that an earlier run has seen.
pub(super) fn recall_terms(
    batch: Res<TickBatch>,
    mut lead: ResMut<Lead>,
    mut refused: MessageWriter<Refused>,
) {
    for stamped in batch.iter() {
        let InputBody::Recalled { subject, bytes } = &stamped.input.body else { continue };
        let Some(read) = kept::read(subject, bytes) else { continue };
        let (code, sentence) = match read {
            Ok(_) if stamped.input.source != SourceId::Journal => {
                (Code::NotAuthorized, format!("only the journal of this node recalls {subject}"))
            }
            Ok(terms) => {
                if lead.recall(terms) {
                    continue;
                }
                (Code::Duplicate, format!("{subject} is known already"))
            }
            Err(sentence) => (Code::MalformedEnvelope, sentence),
        };
        refused.write(Refused::once(code, stamped.input.source, sentence));
    }
}

type Other = (&'static Node, &'static Liveness, Option<&'static NodeProfile>);

/// Hears what others say, sees who is there, and claims, renews or stands down.
pub(super) fn follow_leader(
    tick: Res<Tick>,
    settings: Res<Settings>,
    wall: Res<WallClock>,
    nodes: Query<Other, (With<Trusted>, Without<OwnNode>)>,
    mut said: MessageReader<LeadershipSaid>,
    mut lead: ResMut<Lead>,
    mut keeping: ResMut<Keeping>,
    mut frames: MessageWriter<FrameDue>,
    mut refused: MessageWriter<Refused>,
) {
    if wall.at(*tick, &settings) == 0 {
        let before = lead.terms();
        // Terms that came back from the journal stay: whoever has an older one is refused later.
        for LeadershipSaid { by, say, .. } in said.read().filter(|said| !said.is_live) {
            let profile = nodes.iter().find(|(node, ..)| node.0 == *by).and_then(|(.., profile)| profile);
            if let Err(refusal) = lead.remember_before_it_begins(&settings, *by, role_of(profile), *say) {
                refused.write(Refused { refusal, count: 1 });
            }
        }
        if lead.terms() != before {
            keeping.keep(kept::SUBJECT, canonical::encode(&lead.terms()));
        }
        return;
    }
    let is_due = tick.0.is_multiple_of(settings.ticks_of_ms(LOOK_EVERY_MS).max(1));
    if !is_due && said.is_empty() {
        return;
    }
    let now_ms = wall.elapsed_ms(*tick, &settings);
    lead.begin(&settings, now_ms);
    let before = lead.terms();
    let there: BTreeMap<_, _> = nodes
        .iter()
        .filter(|(_, liveness, _)| liveness.may_be_there())
        .map(|(node, _, profile)| (node.0, role_of(profile)))
        .collect();
    let mut refusals = lead.meet(&there);
    let mut to_say: Vec<Say> = Vec::new();
    for LeadershipSaid { by, say, is_live } in said.read() {
        let heard = if *is_live {
            // A token may be later than what its node says; that says it again in a moment.
            if !there.contains_key(by) {
                continue;
            }
            lead.hear(*by, *say, now_ms)
        } else {
            let profile = nodes.iter().find(|(node, ..)| node.0 == *by).and_then(|(.., profile)| profile);
            lead.remember(*by, role_of(profile), *say).map(|()| None)
        };
        match heard {
            Ok(answer) => to_say.extend(answer),
            Err(refusal) => refusals.push(refusal),
        }
    }
    to_say.extend(lead.pass(now_ms));
    to_say.extend(lead.take_back(now_ms));
    lead.note(tick.0, now_ms);
    frames.write_batch(to_say.into_iter().map(|say| FrameDue(Frame::Leadership(say))));
    refused.write_batch(refusals.into_iter().map(|refusal| Refused { refusal, count: 1 }));
    if lead.terms() != before {
        keeping.keep(kept::SUBJECT, canonical::encode(&lead.terms()));
    }
}

fn role_of(profile: Option<&NodeProfile>) -> NodeRole {
    profile.map(|profile| NodeRole::of_name(&profile.role)).unwrap_or_default()
}
