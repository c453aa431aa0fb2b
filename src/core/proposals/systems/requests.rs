//! What somebody asks for: a proposal, its withdrawal, the stop, its end.

mod control;

use std::collections::BTreeSet;

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use clawmesh_authority::answer::name_of_asked;
use clawmesh_authority::gate::{self, Moment};
use clawmesh_authority::hold::Held;
use clawmesh_authority::reading::bounded;
use clawmesh_authority::report::SLOTS;
use clawmesh_authority::request::{self, Request, RequestBody, SignedRequest};
use clawmesh_authority::transition::{By, Event, State};
use clawmesh_authority::{
    Answer, AskKind, Capability, Code, KeyId as _, Maker, Mind, NodeId, OperatorId, Policy, Proposal,
    ProposalId, Refused, Role, Step, canonical,
};

use super::now::Now;
use super::shared::{Mover, in_short};
use super::tags::set_now;
use crate::intake::{InputBody, TickBatch};
use crate::leadership::Lead;
use crate::proposals::components::{Asked, Life, OPEN_MAX, ProposalIndex, Proposed, Spending};
use crate::proposals::control::Control;
use crate::proposals::holds::{Hold, Holds};
use crate::proposals::kept;
use crate::proposals::ledger::seconds_asked;
use crate::proposals::tags::Tags;
use crate::replay::{DomainId, Keeping};
use crate::safety::StopState;

/// The most proposals that one maker may bring within a minute.
const PER_MINUTE_MAX: usize = 12;
/// The most open proposals of one maker, so that nobody takes the places of all others.
const OPEN_OF_ONE_MAX: usize = 12;
/// For how long a veto stands against the same, milliseconds.
const VETO_STANDS_MS: u64 = 3_600_000;

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
        let outcome = request::open(bytes).and_then(|signed| office.take(&signed, &mut new));
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
    fn take(&mut self, signed: &SignedRequest, new: &mut Vec<(Proposed, Life)>) -> Result<Answer, Refused> {
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
            RequestBody::Propose(proposal) => self.propose(proposal, new),
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
            (Asker::Person(person), RequestBody::Propose(proposal))
                if proposal.maker.mind != Mind::Operator(*person) =>
            {
                let sentence = "a person proposes in their own name; name the person who signs as its maker";
                Err(Refused::new(Code::NotAuthorized, "request.maker", sentence))
            }
            (Asker::Person(person), RequestBody::Rearm { .. }) => {
                let policy = self.mover.here.files().map(|(_, policy)| policy);
                roster.may(person, policy.map_or(Role::Operator, Policy::rearmed_by)).map(drop)
            }
            (Asker::Person(person), _) => roster.may(person, Role::Operator).map(drop),
            // The hash of its key could be that of a person whom nobody knows.
            (
                Asker::Node(_),
                RequestBody::Propose(Proposal { maker: Maker { mind: Mind::Operator(_), .. }, .. }),
            ) => {
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
                | RequestBody::ReleaseControl { .. },
            ) => {
                let sentence = "only a person ends a stop, puts something back into service, holds, releases and takes control; \
                                sign it with the key of one";
                Err(Refused::new(Code::NotAuthorized, "request.person", sentence))
            }
            (Asker::Node(_), _) => Ok(()),
        }
    }

    fn propose(&mut self, proposal: &Proposal, new: &mut Vec<(Proposed, Life)>) -> Result<Answer, Refused> {
        let id = proposal.id();
        self.has_room(proposal, id, new)?;
        self.is_in_term(&proposal.maker)?;
        let Some((site, policy)) = self.mover.here.files() else {
            let sentence = "this node has no site with a policy, so it owns no actuator; ask its owner";
            return Err(Refused::new(Code::AmbiguousOwner, clawmesh_authority::Rule::OneOwner, sentence));
        };
        session_is_known(proposal, policy)?;
        let evidence = self.mover.here.evidence(proposal, &site.home)?;
        gate::judge(proposal, &evidence, Moment::Proposing, &site.home, policy, &self.now.live)?;
        let slot = self.free_slot(new)?;
        let mut life = Life::begin(self.mover.here.wall_ms(), self.mover.here.elapsed_ms());
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

    fn has_room(&self, proposal: &Proposal, id: ProposalId, new: &[(Proposed, Life)]) -> Result<(), Refused> {
        let refuse = |code, rule, sentence: String| Err(Refused::new(code, rule, sentence));
        let all = || self.cases.iter().chain(new.iter().map(|(proposed, life)| (proposed, life)));
        if let Some((known, _)) = all().find(|(known, _)| known.id == id) {
            return refuse(Code::Duplicate, "proposal.once", format!("{} is here already", known.id.short()));
        }
        let open = || all().filter(|(_, life)| !life.state.is_final());
        if let Some((same, _)) = open().find(|(known, _)| known.proposal.steps == proposal.steps) {
            let sentence =
                format!("{} asks for the same and has not ended; look at that one", same.id.short());
            return refuse(Code::Duplicate, "proposal.same_steps", sentence);
        }
        if open().count() >= OPEN_MAX {
            let sentence = format!("{OPEN_MAX} proposals are open; answer some of them, then propose again");
            return refuse(Code::Busy, "proposal.bound", sentence);
        }
        let since_ms = self.mover.here.wall_ms().saturating_sub(60_000);
        let is_lately = |life: &Life| life.story.first().is_some_and(|entry| entry.at_ms >= since_ms);
        let of = signer(&proposal.maker);
        let lately = all().filter(|(known, life)| signer(&known.proposal.maker) == of && is_lately(life));
        if lately.count() >= PER_MINUTE_MAX {
            let sentence = format!("{PER_MINUTE_MAX} proposals of one maker within a minute; wait a minute");
            return refuse(Code::RateLimited, "proposal.rate", sentence);
        }
        if open().filter(|(known, _)| signer(&known.proposal.maker) == of).count() >= OPEN_OF_ONE_MAX {
            let sentence = format!(
                "{OPEN_OF_ONE_MAX} proposals of this maker are open, and the other places are for others; answer or call off some \
                 of them"
            );
            return refuse(Code::Busy, "proposal.share", sentence);
        }
        self.was_not_vetoed(proposal, all())
    }

    /// What the twin has said no to is not asked for again and again until it says yes: each proposal draws a seed of its own.
    fn was_not_vetoed<'a>(
        &self,
        proposal: &Proposal,
        mut all: impl Iterator<Item = (&'a Proposed, &'a Life)>,
    ) -> Result<(), Refused> {
        let now_ms = self.mover.here.wall_ms();
        let is_vetoed = |(known, life): &(&Proposed, &Life)| {
            let lately = life.story.last().is_some_and(|entry| now_ms < entry.at_ms + VETO_STANDS_MS);
            life.state == State::Vetoed && lately && asks_for_no_less(proposal, &known.proposal)
        };
        let Some((vetoed, _)) = all.find(is_vetoed) else { return Ok(()) };
        let sentence = format!(
            "the twin has said no to the same, {}, within {} minutes; ask for at most nine tenths of its time, or for something else",
            vetoed.id.short(),
            VETO_STANDS_MS / 60_000
        );
        Err(Refused::new(Code::CardVeto, "proposal.vetoed", sentence))
    }

    /// The lowest place that is free, or the one of the proposal that ended longest ago.
    fn free_slot(&mut self, new: &[(Proposed, Life)]) -> Result<u8, Refused> {
        let taken: BTreeSet<u8> = self
            .cases
            .iter()
            .map(|(known, _)| known.slot)
            .chain(new.iter().map(|(known, _)| known.slot))
            .collect();
        if let Some(free) = (0..SLOTS).find(|slot| !taken.contains(slot)) {
            return Ok(free);
        }
        let ended = self.cases.iter().filter(|(known, life)| {
            life.state.is_final() && !new.iter().any(|(other, _)| other.slot == known.slot)
        });
        let last_ms = |life: &Life| life.story.last().map_or(0, |entry| entry.at_ms);
        let oldest = ended.map(|(known, life)| (last_ms(life), known.slot, known.id)).min();
        let Some((_, slot, id)) = oldest else {
            let sentence = "every place is taken by a proposal that is open; answer some of them";
            return Err(Refused::new(Code::Busy, "proposal.bound", sentence));
        };
        if let Some(entity) = self.index.0.remove(&id) {
            self.commands.entity(entity).despawn();
        }
        Ok(slot)
    }

    fn withdraw(&mut self, id: ProposalId, asker: &Asker, why: &str) -> Result<Answer, Refused> {
        let unknown = || {
            let sentence = format!("{} is no proposal of this node; list them", id.short());
            Refused::new(Code::InvalidParams, "proposal.known", sentence)
        };
        let entity = self.index.0.get(&id).ok_or_else(unknown)?;
        let (proposed, mut life) = self.cases.get_mut(*entity).map_err(|_| unknown())?;
        let by = match asker {
            Asker::Person(person) => By::Person(*person),
            Asker::Node(node) if proposed.proposal.maker.node == *node => By::Node(*node),
            Asker::Node(_) => {
                let sentence = "a node takes back only what was made on it";
                return Err(Refused::new(Code::NotAuthorized, "proposal.maker", sentence));
            }
        };
        // A person ends what runs too; a program only takes back what does not run yet.
        let event = match by {
            By::Person(_) => Event::Cancelled { by },
            _ => Event::Withdrawn { by },
        };
        let words = format!("called off: {why}");
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

    fn tag(&mut self, actuator: &Capability, asker: &Asker) -> Result<Answer, Refused> {
        self.is_ours(actuator)?;
        let by = match asker {
            Asker::Person(person) => Some(*person),
            Asker::Node(_) => None,
        };
        self.tags.set(actuator, by, self.mover.here.wall_ms());
        set_now(&mut self.now, actuator);
        self.keeping.keep(kept::TAGS, canonical::encode(&*self.tags));
        Ok(Answer::Taken { proposal: None, words: format!("{actuator} is out of service") })
    }

    /// Whoever has signed for a tag takes it off, or a supervisor does.
    fn untag(&mut self, actuator: &Capability, asker: &Asker, made_ms: u64) -> Result<Answer, Refused> {
        self.is_ours(actuator)?;
        let restored_ms = self.asked.0.restored_ms();
        if !self.tags.is_on(actuator, restored_ms) {
            let sentence = format!("{actuator} is in service, so there is nothing to take off");
            return Err(Refused::new(Code::InvalidParams, "tag.on", sentence));
        }
        if self.tags.is_newer(actuator, made_ms) {
            let sentence = format!(
                "somebody took {actuator} out of service when this was signed, or later; see why, then sign again"
            );
            return Err(Refused::new(Code::OutOfService, "tag.newest", sentence));
        }
        let roster = self.mover.here.people();
        if let (Some(owner), Asker::Person(person)) = (self.tags.owner_of(actuator), asker)
            && !roster.is_same_person(&owner, person)
        {
            roster.may(person, Role::Supervisor).map_err(|refused| {
                let name = roster.get(&owner).map_or_else(|| owner.short(), |owner| owner.name.clone());
                let sentence = format!("{name} has tagged {actuator}, and takes it off or a supervisor does");
                Refused::new(refused.code, "tag.owner", sentence)
            })?;
        }
        self.tags.take_off(actuator, self.mover.here.wall_ms());
        self.keeping.keep(kept::TAGS, canonical::encode(&*self.tags));
        Ok(Answer::Taken { proposal: None, words: format!("{actuator} is in service again") })
    }

    fn hold(&mut self, what: &Held, asker: &Asker, why: &str) -> Result<Answer, Refused> {
        let person = person_of(asker)?;
        self.is_here(what)?;
        let since_ms = self.mover.here.wall_ms();
        let hold = Hold { by: person, since_ms, why: bounded(why.to_owned()) };
        let words = hold.in_words(what, self.mover.here.people());
        let open = self.cases.iter().filter(|(_, life)| !life.state.is_final());
        let open: BTreeSet<ProposalId> = open.map(|(proposed, _)| proposed.id).collect();
        self.holds.forget_ended(|id| open.contains(id));
        self.holds.set(what, hold)?;
        self.holds_are(what, &words);
        Ok(Answer::Taken { proposal: None, words: format!("{what} is on hold") })
    }

    fn release(
        &mut self,
        what: &Held,
        asker: &Asker,
        (made_ms, why): (u64, &str),
    ) -> Result<Answer, Refused> {
        let person = person_of(asker)?;
        let roster = self.mover.here.people();
        self.holds.release(what, &person, made_ms, roster)?;
        let name = roster.get(&person).map_or_else(|| person.short(), |person| person.name.clone());
        let words = format!("{name} releases {what}: {why}");
        self.holds_are(what, &words);
        Ok(Answer::Taken { proposal: None, words: format!("{what} is not on hold any more") })
    }

    /// What is on hold has changed: it counts from this tick on, is kept, and stands in the story of whatever waits and it is about.
    fn holds_are(&mut self, what: &Held, words: &str) {
        self.now.live.on_hold = self.holds.in_words(self.mover.here.people()).collect();
        self.keeping.keep(kept::HOLDS, canonical::encode(&*self.holds));
        let wall_ms = self.mover.here.wall_ms();
        let Some((_, policy)) = self.mover.here.files() else { return };
        for (proposed, mut life) in &mut self.cases {
            let waits = !life.state.is_final() && !life.state.is_running();
            if waits && what.covers(&proposed.proposal, proposed.id, policy) {
                life.tell(wall_ms, bounded(words.to_owned()), None);
            }
        }
    }

    /// What is to be held is known here.
    fn is_here(&self, what: &Held) -> Result<(), Refused> {
        match what {
            Held::Programs | Held::Class(_) => Ok(()),
            Held::Actuator(actuator) => self.is_ours(actuator),
            Held::Proposal(id) => {
                let entity = self.index.0.get(id).copied();
                let life = entity.and_then(|entity| self.cases.get(entity).ok()).map(|(_, life)| life);
                if life.is_some_and(|life| !life.state.is_final()) {
                    return Ok(());
                }
                let sentence = format!("{} is no open proposal of this node; list them", id.short());
                Err(Refused::new(Code::InvalidParams, "proposal.known", sentence))
            }
        }
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

/// Whose key signs what this maker makes; names of programs and the nodes people write down are quickly made up.
fn signer(maker: &Maker) -> Asker {
    match maker.mind {
        Mind::Operator(person) => Asker::Person(person),
        Mind::Utility { .. } | Mind::Model { .. } => Asker::Node(maker.node),
    }
}

/// True for the same operations of the same actuators, none of them for clearly less time.
fn asks_for_no_less(asked: &Proposal, vetoed: &Proposal) -> bool {
    let is_same = |(now, then): (&Step, &Step)| {
        (&now.actuator, &now.operation) == (&then.actuator, &then.operation)
            && seconds_asked(now) >= 0.9 * seconds_asked(then)
    };
    asked.steps.len() == vetoed.steps.len() && asked.steps.iter().zip(&vetoed.steps).all(is_same)
}

fn maker(mind: &Mind) -> String {
    match mind {
        Mind::Utility { name } => format!("the planner {name}"),
        Mind::Model { name, .. } => format!("the model {name}"),
        Mind::Operator(person) => format!("the person {}", person.short()),
    }
}
