//! What somebody asks for: a proposal, its withdrawal, the stop, its end.

mod control;
mod held;
mod revoke;
mod room;

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use clawmesh_authority::answer::name_of_asked;
use clawmesh_authority::gate::{self, Moment};
use clawmesh_authority::reading::bounded;
use clawmesh_authority::request::{self, Request, RequestBody, SignedRequest};
use clawmesh_authority::revocation::may_revoke;
use clawmesh_authority::transition::{self, By, Event, Transition};
use clawmesh_authority::{
    Answer, AskKind, Capability, Code, KeyId as _, Maker, Mind, NodeId, OperatorId, Policy, Proposal,
    ProposalId, Refused, Role, canonical,
};

use super::now::Now;
use super::shared::{Mover, in_short};
use crate::intake::{InputBody, TickBatch};
use crate::leadership::Lead;
use crate::people::{RevocationHeard, Revocations};
use crate::proposals::components::{Asked, Life, ProposalIndex, Proposed, Spending};
use crate::proposals::control::Control;
use crate::proposals::holds::Holds;
use crate::proposals::kept;
use crate::proposals::tags::Tags;
use crate::replay::{DomainId, Keeping};
use crate::safety::StopState;

/// What requests are judged by and change.
#[derive(SystemParam)]
pub struct Office<'w, 's> {
    mover: Mover<'w>,
    now: ResMut<'w, Now>,
    tags: ResMut<'w, Tags>,
    holds: ResMut<'w, Holds>,
    control: ResMut<'w, Control>,
    spending: Res<'w, Spending>,
    asked: ResMut<'w, Asked>,
    stop: ResMut<'w, StopState>,
    revocations: Res<'w, Revocations>,
    revocations_heard: MessageWriter<'w, RevocationHeard>,
    index: ResMut<'w, ProposalIndex>,
    keeping: ResMut<'w, Keeping>,
    lead: Res<'w, Lead>,
    cases: Query<'w, 's, (&'static Proposed, &'static mut Life)>,
    commands: Commands<'w, 's>,
}

/// Takes the requests of this tick, in order.
pub fn take_requests(batch: Res<TickBatch>, mut office: Office) {
    let mut new: Vec<(Proposed, Life)> = Vec::new();
    for stamped in batch.iter() {
        let InputBody::Asked { kind: AskKind::Request, bytes } = &stamped.input.body else { continue };
        let from = stamped.input.source.to_string();
        let outcome = request::open(bytes).and_then(|signed| office.take(&signed, (&from, bytes), &mut new));
        office.mover.answer(name_of_asked(bytes), &from, outcome);
    }
    for (proposed, life) in new {
        let id = proposed.id;
        let entity = office.commands.spawn((DomainId::of("proposal", &[&id.0]), proposed, life)).id();
        office.index.0.insert(id, entity);
    }
}

/// Who signed a request, if it is anybody who may ask.
#[derive(PartialEq)]
enum Asker {
    Person(OperatorId),
    Node(NodeId),
}

impl Office<'_, '_> {
    fn take(
        &mut self,
        signed: &SignedRequest,
        (from, bytes): (&str, &[u8]),
        new: &mut Vec<(Proposed, Life)>,
    ) -> Result<Answer, Refused> {
        let settings = &self.mover.here.settings;
        signed.is_for(settings.mesh(), settings.node)?;
        let asker = self.asker(signed)?;
        let Request { body, made, .. } = signed.request();
        self.may_ask(&asker, body)?;
        if !matches!(body, RequestBody::Stop { .. }) {
            self.mover.here.knows_the_time()?;
        }
        self.asked.0.admit(signed, self.mover.here.wall_ms())?;
        let outcome = match body {
            RequestBody::Propose(proposal) => self.propose(proposal, None, new),
            RequestBody::Supersede { proposal, instead_of } => {
                self.supersede(proposal, *instead_of, &asker, new)
            }
            RequestBody::Withdraw { proposal, why } => self.withdraw(*proposal, &asker, why),
            RequestBody::Stop { why } => Ok(self.latch(why)),
            RequestBody::Rearm { .. } => self.rearm(made.wall_ms),
            RequestBody::Tag { actuator, .. } => self.tag(actuator, &asker),
            RequestBody::Untag { actuator, .. } => self.untag(actuator, &asker, made.wall_ms),
            RequestBody::Hold { what, why } => self.hold(what, &asker, why),
            RequestBody::Release { what, why } => self.release(what, &asker, (made.wall_ms, why)),
            RequestBody::TakeControl { actuator, for_s, is_forced, why } => {
                self.take_control(actuator, &asker, (*for_s, *is_forced, why))
            }
            RequestBody::GrantControl { actuator, to, .. } => self.grant_control(actuator, &asker, to),
            RequestBody::ReleaseControl { actuator, .. } => self.release_control(actuator, &asker),
            RequestBody::Revoke { key, .. } => self.revoke(key, from, bytes),
        };
        // Whatever came of it, it was heard.
        self.keeping.keep(kept::ASKED, canonical::encode(&self.asked.0));
        outcome
    }

    /// A person whom this node knows, or a node that is trusted here.
    fn asker(&self, signed: &SignedRequest) -> Result<Asker, Refused> {
        let person = signed.signer().operator_id();
        if self.mover.here.people().get(&person).is_some() {
            return Ok(Asker::Person(person));
        }
        let node = NodeId::of_public_key(signed.signer().raw());
        if self.mover.here.trust.believes(&node) {
            return Ok(Asker::Node(node));
        }
        let sentence = format!(
            "the key of {} is neither a person enrolled here nor a node trusted here; enroll or trust it first",
            node.short()
        );
        Err(Refused::new(Code::NotAuthorized, "request.signer", sentence))
    }

    fn may_ask(&self, asker: &Asker, body: &RequestBody) -> Result<(), Refused> {
        let roster = self.mover.here.people();
        match (asker, body) {
            // Whoever is known may stop, and take out of service, whatever their role.
            (Asker::Person(person), RequestBody::Stop { .. } | RequestBody::Tag { .. }) => {
                roster.may(person, Role::Observer).map(drop)
            }
            // Under the name of a program they could approve what they asked for where somebody else must.
            (
                Asker::Person(person),
                RequestBody::Propose(proposal) | RequestBody::Supersede { proposal, .. },
            ) if proposal.maker.mind != Mind::Operator(*person) => {
                let sentence = "a person proposes in their own name; name the person who signs as its maker";
                Err(Refused::new(Code::NotAuthorized, "request.maker", sentence))
            }
            (Asker::Person(person), RequestBody::Rearm { .. }) => {
                let policy = self.mover.here.files().map(|(_, policy)| policy);
                roster.may(person, policy.map_or(Role::Operator, Policy::rearmed_by)).map(drop)
            }
            (Asker::Person(person), RequestBody::Revoke { key, .. }) => may_revoke(person, key, roster),
            (Asker::Person(person), _) => roster.may(person, Role::Operator).map(drop),
            // The hash of its key could be that of a person whom nobody knows.
            (Asker::Node(_), RequestBody::Propose(proposal) | RequestBody::Supersede { proposal, .. })
                if proposal.maker.mind.is_person() =>
            {
                let sentence = "a node proposes for its programs and never as a person; a person signs with an enrolled key";
                Err(Refused::new(Code::NotAuthorized, "request.person", sentence))
            }
            (
                Asker::Node(_),
                RequestBody::Rearm { .. }
                | RequestBody::Untag { .. }
                | RequestBody::Hold { .. }
                | RequestBody::Release { .. }
                | RequestBody::TakeControl { .. }
                | RequestBody::GrantControl { .. }
                | RequestBody::ReleaseControl { .. }
                | RequestBody::Revoke { .. },
            ) => {
                let sentence = "only a person ends a stop, puts something back into service, holds, releases, takes control and \
                                revokes; sign it with the key of one";
                Err(Refused::new(Code::NotAuthorized, "request.person", sentence))
            }
            (Asker::Node(_), _) => Ok(()),
        }
    }

    fn propose(
        &mut self,
        proposal: &Proposal,
        instead_of: Option<ProposalId>,
        new: &mut Vec<(Proposed, Life)>,
    ) -> Result<Answer, Refused> {
        let id = proposal.id();
        self.has_room(proposal, (id, instead_of), new)?;
        self.is_in_term(&proposal.maker)?;
        let Some((site, policy)) = self.mover.here.files() else {
            let sentence = "this node has no site with a policy, so it owns no actuator; ask its owner";
            return Err(Refused::new(Code::AmbiguousOwner, clawmesh_authority::Rule::OneOwner, sentence));
        };
        session_is_known(proposal, policy)?;
        let evidence = self.mover.here.evidence(proposal, &site.home)?;
        gate::judge(proposal, &evidence, Moment::Proposing, &site.home, policy, &self.now.live)?;
        let slot = self.free_slot(new)?;
        let mut life = Life::begin(self.now.live.now_ms(), self.mover.here.elapsed_ms());
        let words = format!("{} proposes: {}", maker(&proposal.maker.mind), in_short(proposal));
        self.mover.feed((id, proposal), &mut life, &Event::Admitted, words, None);
        new.push((Proposed { id, slot, proposal: proposal.clone() }, life));
        let words = format!("{} is taken and being simulated", id.short());
        Ok(Answer::Taken { proposal: Some(id), words })
    }

    /// A program proposes for whoever leads the planning, and only the newest leader that was heard is taken here.
    fn is_in_term(&self, maker: &Maker) -> Result<(), Refused> {
        let refused = |code, sentence| Err(Refused::new(code, "proposal.term", sentence));
        if matches!(maker.mind, Mind::Operator(_)) {
            return Ok(());
        }
        let Some(claim) = maker.claim() else {
            let sentence = "a program proposes in the term in which its node leads the planning, and this one names none";
            return refused(Code::StaleTerm, sentence.to_owned());
        };
        self.lead.admit(claim).or_else(|refusal| refused(refusal.code, refusal.sentence))
    }

    /// Takes a proposal in the place of one that waits: either both happen or nothing.
    fn supersede(
        &mut self,
        proposal: &Proposal,
        instead_of: ProposalId,
        asker: &Asker,
        new: &mut Vec<(Proposed, Life)>,
    ) -> Result<Answer, Refused> {
        let (entity, by) = self.of_asker(instead_of, asker)?;
        let event = Event::Withdrawn { by };
        let waits = |(_, life): (&Proposed, &Life)| {
            matches!(transition::step(&life.state, &event), Transition::Moved { .. })
        };
        if !self.cases.get(entity).is_ok_and(waits) {
            let sentence = format!("{} does not wait any more; propose without it", instead_of.short());
            return Err(Refused::new(Code::InvalidParams, "proposal.waits", sentence));
        }
        let answer = self.propose(proposal, Some(instead_of), new)?;
        if let Ok((old, mut life)) = self.cases.get_mut(entity) {
            let words = format!("{} is asked for in its place", proposal.id().short());
            self.mover.feed((instead_of, &old.proposal), &mut life, &event, words, None);
        }
        Ok(answer)
    }

    /// A proposal that whoever asks may take back, and in whose name.
    fn of_asker(&self, id: ProposalId, asker: &Asker) -> Result<(Entity, By), Refused> {
        let unknown = || {
            let sentence = format!("{} is no proposal of this node; list them", id.short());
            Refused::new(Code::InvalidParams, "proposal.known", sentence)
        };
        let entity = self.index.0.get(&id).copied().ok_or_else(unknown)?;
        let (proposed, _) = self.cases.get(entity).map_err(|_| unknown())?;
        match asker {
            Asker::Person(person) => Ok((entity, By::Person(*person))),
            Asker::Node(node) if proposed.proposal.maker.node == *node => Ok((entity, By::Node(*node))),
            Asker::Node(_) => {
                let sentence = "a node takes back only what was made on it";
                Err(Refused::new(Code::NotAuthorized, "proposal.maker", sentence))
            }
        }
    }

    fn withdraw(&mut self, id: ProposalId, asker: &Asker, why: &str) -> Result<Answer, Refused> {
        let (entity, by) = self.of_asker(id, asker)?;
        // A person ends what runs too; a program only takes back what does not run yet.
        let event = match by {
            By::Person(_) => Event::Cancelled { by },
            _ => Event::Withdrawn { by },
        };
        let words = format!("called off: {why}");
        let Ok((proposed, mut life)) = self.cases.get_mut(entity) else {
            let sentence = format!("{} is no proposal of this node; list them", id.short());
            return Err(Refused::new(Code::InvalidParams, "proposal.known", sentence));
        };
        if !self.mover.feed((id, &proposed.proposal), &mut life, &event, words, None) {
            let sentence = format!("{} is {} and cannot be called off", id.short(), life.state);
            return Err(Refused::new(Code::InvalidParams, "proposal.open", sentence));
        }
        Ok(Answer::Taken { proposal: Some(id), words: format!("{} is called off", id.short()) })
    }

    /// The edge that brought it has set the latch already; if none has, the tick stops by itself.
    fn latch(&mut self, why: &str) -> Answer {
        self.stop.latch(why, self.mover.here.wall_ms());
        let actuators = self.mover.here.files().map(|(site, _)| site.home.actuators.clone());
        self.mover.due.safe.push((actuators.unwrap_or_default(), format!("stop: {why}")));
        Answer::Taken { proposal: None, words: "the stop is latched".to_owned() }
    }

    fn name_of(&self, person: &OperatorId) -> String {
        let known = self.mover.here.people().get(person);
        known.map_or_else(|| person.short(), |known| known.name.clone())
    }

    fn is_ours(&self, actuator: &Capability) -> Result<(), Refused> {
        let is_ours = self.mover.here.files().is_some_and(|(site, _)| site.home.actuators.contains(actuator));
        if is_ours {
            return Ok(());
        }
        let sentence = format!("the site gives {actuator} to no actuator of this node; ask its owner");
        Err(Refused::new(Code::AmbiguousOwner, clawmesh_authority::Rule::OneOwner, sentence))
    }

    fn rearm(&mut self, made_ms: u64) -> Result<Answer, Refused> {
        if self.stop.reason.is_none() {
            let sentence = "no stop is latched here, so there is nothing to re-arm";
            return Err(Refused::new(Code::InvalidParams, "stop.latched", sentence));
        }
        // Whoever signed it did not know of that stop, whenever it is brought here.
        if made_ms < self.stop.since_ms {
            let sentence = format!(
                "it was signed {} s before the newest stop; see why somebody stopped, then re-arm again (or set the clock \
                 of the machine you sign on)",
                (self.stop.since_ms - made_ms).div_ceil(1_000)
            );
            return Err(Refused::new(Code::StopLatched, "stop.newest", sentence));
        }
        self.mover.due.rearm = true;
        self.asked.0.rearmed(made_ms);
        let words = "the stop ends as soon as this is written down; nothing resumes by itself".to_owned();
        Ok(Answer::Taken { proposal: None, words })
    }
}

/// Adds to the story of whatever waits and is about something that has changed.
fn tell_waiting(
    cases: &mut Query<(&'static Proposed, &'static mut Life)>,
    wall_ms: u64,
    words: &str,
    is_about: impl Fn(&Proposed) -> bool,
) {
    for (proposed, mut life) in cases {
        if !life.state.is_final() && !life.state.is_running() && is_about(proposed) {
            life.tell(wall_ms, bounded(words.to_owned()), None);
        }
    }
}

/// The person who asks; what only people may ask was refused to others before.
fn person_of(asker: &Asker) -> Result<OperatorId, Refused> {
    match asker {
        Asker::Person(person) => Ok(*person),
        Asker::Node(_) => {
            let sentence = "only a person asks for this; sign it with the key of one";
            Err(Refused::new(Code::NotAuthorized, "request.person", sentence))
        }
    }
}

/// Where somebody else than the proposer has to approve, it must be known whose session a model proposes in.
fn session_is_known(proposal: &Proposal, policy: &Policy) -> Result<(), Refused> {
    let is_nobodys = matches!(proposal.maker.mind, Mind::Model { session_of: None, .. });
    if !(is_nobodys && policy.wants_others(&proposal.steps)) {
        return Ok(());
    }
    let sentence = "somebody else than the proposer has to approve this, and nobody knows whose session the model proposes \
                    in; name the person whose session it is";
    Err(Refused::new(Code::NotAuthorized, "proposal.session", sentence))
}

fn maker(mind: &Mind) -> String {
    match mind {
        Mind::Utility { name } => format!("the planner {name}"),
        Mind::Model { name, .. } => format!("the model {name}"),
        Mind::Operator(person) => format!("the person {}", person.short()),
    }
}
