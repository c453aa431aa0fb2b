//! What people answer, and what dies without an answer.

use bevy::prelude::*;
use clawmesh_authority::answer::name_of_asked;
use clawmesh_authority::approval::{self, SignedApproval};
use clawmesh_authority::gate;
use clawmesh_authority::judgement::{self, Standing, Wanted};
use clawmesh_authority::reading::bounded;
use clawmesh_authority::transition::{Event, State};
use clawmesh_authority::{Answer, AskKind, Code, Decision, Proposal, Refused};

use super::now::Now;
use super::shared::{Here, Mover};
use crate::intake::{InputBody, TickBatch};
use crate::proposals::components::{Granted, Life, ProposalIndex, Proposed};
use crate::safety::StopState;
use crate::site::PolicyInForce;

/// Takes the approvals and rejections of this tick, in order.
pub fn take_approvals(
    batch: Res<TickBatch>,
    index: Res<ProposalIndex>,
    now: Res<Now>,
    mut cases: Query<(&Proposed, &mut Life)>,
    mut mover: Mover,
    mut commands: Commands,
) {
    for stamped in batch.iter() {
        let InputBody::Asked { kind: AskKind::Approval, bytes } = &stamped.input.body else { continue };
        let from = stamped.input.source.to_string();
        let outcome = approval::open(bytes).and_then(|signed| {
            mover.here.knows_the_time()?;
            let entity = index.0.get(&signed.approval().proposal).copied().ok_or_else(|| unknown(&signed))?;
            let (proposed, mut life) = cases.get_mut(entity).map_err(|_| unknown(&signed))?;
            if let (Decision::Approve, Some((_, policy))) = (signed.approval().decision, mover.here.files()) {
                // It waits, and so does the offer: nobody has to be asked anew when it is released in time.
                gate::may_be_answered(&proposed.proposal, policy, &now.live)?;
            }
            let (answer, granted) = take(&signed, proposed, &mut life, &mut mover)?;
            if let Some(granted) = granted {
                commands.entity(entity).insert(granted);
            }
            Ok(answer)
        });
        mover.answer(name_of_asked(bytes), &from, outcome);
    }
}

fn unknown(signed: &SignedApproval) -> Refused {
    let sentence = format!("{} is no proposal of this node; list them", signed.approval().proposal.short());
    Refused::new(Code::ApprovalMismatch, "approval.proposal", sentence)
}

fn take(
    signed: &SignedApproval,
    proposed: &Proposed,
    life: &mut Life,
    mover: &mut Mover,
) -> Result<(Answer, Option<Granted>), Refused> {
    let Proposed { id, proposal, .. } = proposed;
    let now_ms = mover.here.elapsed_ms();
    let wanted = wanted(proposal, &mover.here);
    let roster = mover.here.people();
    let standing = judgement::answer(&mut mover.desk.0, signed, roster, &wanted, now_ms)?;
    let name = roster.get(&signed.operator()).map_or_else(String::new, |person| person.name.clone());
    let why = signed.approval().reason.clone();
    let State::AwaitingApproval { round } = life.state else {
        let sentence = format!("{} is {} and waits for no approval", id.short(), life.state);
        return Err(Refused::new(Code::ApprovalMismatch, "approval.proposal", sentence));
    };
    let taken = |words: String| Answer::Taken { proposal: Some(*id), words };
    match standing {
        Standing::NeedsOneMore => {
            life.tell(mover.here.wall_ms(), format!("{name} approves; one more person has to"), None);
            Ok((taken("your approval counts; one more person has to approve".to_owned()), None))
        }
        Standing::Rejected => {
            let words =
                format!("{name} says no{}", why.as_ref().map(|why| format!(": {why}")).unwrap_or_default());
            let event = Event::Rejected { round, by: signed.operator(), why };
            mover.feed((*id, proposal), life, &event, bounded(words), None);
            Ok((taken(format!("{} is rejected", id.short())), None))
        }
        Standing::Complete(grant) => {
            mover.feed((*id, proposal), life, &Event::Approved { round }, format!("{name} approves"), None);
            Ok((
                taken(format!("{} is approved and on its way to the gate", id.short())),
                Some(Granted(grant)),
            ))
        }
    }
}

/// Who may say yes to it by the policy. Without one nobody is asked.
fn wanted<'a>(proposal: &'a Proposal, here: &'a Here) -> Wanted<'a> {
    let policy = here.files().map(|(_, policy)| policy);
    Wanted {
        proposer: proposal.maker.mind.person(),
        four_eyes: policy.is_none_or(|policy| policy.wants_others(&proposal.steps)),
        approvers: policy.map(|policy| policy.approvers_of(&proposal.steps)).unwrap_or_default(),
    }
}

/// What people were asked, or have approved, under another policy than the one that holds now is simulated and asked anew.
pub fn ask_by_new_policy(
    in_force: Res<PolicyInForce>,
    mut cases: Query<(&Proposed, &mut Life)>,
    mut mover: Mover,
) {
    if in_force.since_tick != mover.here.tick.0 {
        return;
    }
    let is_waiting = |life: &Life| !life.state.is_final() && !life.state.is_running();
    let mut rows: Vec<_> = cases.iter_mut().filter(|(_, life)| is_waiting(life)).collect();
    rows.sort_by_key(|(proposed, _)| proposed.slot);
    for (proposed, life) in &mut rows {
        let words = "the policy of this owner has changed; it is judged by the new one";
        let of = (proposed.id, &proposed.proposal);
        mover.feed(of, life, &Event::DriftedPastTolerance, words, Some(Code::CardStale));
    }
}

/// Offers that nobody answered in time die.
pub fn expire_offers(index: Res<ProposalIndex>, mut cases: Query<(&Proposed, &mut Life)>, mut mover: Mover) {
    let now_ms = mover.here.elapsed_ms();
    if mover.desk.0.iter().all(|live| !live.is_expired(now_ms)) {
        return;
    }
    for id in mover.book().expire(now_ms) {
        let Some((proposed, mut life)) = index.0.get(&id).and_then(|entity| cases.get_mut(*entity).ok())
        else {
            continue;
        };
        let Some(round) = life.state.round() else { continue };
        mover.feed(
            (id, &proposed.proposal),
            &mut life,
            &Event::OfferExpired { round },
            "nobody answered in time",
            None,
        );
    }
}

/// What has waited for as long as a proposal may ends, however often it was simulated and offered, and through restarts too.
pub fn expire_proposals(mut cases: Query<(&Proposed, &mut Life)>, mut mover: Mover) {
    let Some((_, policy)) = mover.here.files() else { return };
    let waits_ms = u64::from(policy.proposal_expires_s) * 1_000;
    let elapsed_ms = mover.here.elapsed_ms();
    let has_waited = |life: &Life| {
        let is_waiting = !life.state.is_final() && !life.state.is_running();
        is_waiting && life.waited_ms(elapsed_ms) > waits_ms
    };
    let mut rows: Vec<_> = cases.iter_mut().filter(|(_, life)| has_waited(life)).collect();
    rows.sort_by_key(|(proposed, _)| proposed.slot);
    for (proposed, life) in &mut rows {
        let words = format!("it has waited for {} minutes, and that is as long as it may", waits_ms / 60_000);
        mover.feed((proposed.id, &proposed.proposal), life, &Event::WaitedTooLong, words, None);
    }
}

/// A stop voids every offer and every approval, and ends what runs; also one that somebody ended within the same tick.
pub fn call_off(
    batch: Res<TickBatch>,
    stop: Res<StopState>,
    mut cases: Query<(&Proposed, &mut Life)>,
    mut mover: Mover,
) {
    let latched = batch.iter().find_map(|stamped| match &stamped.input.body {
        InputBody::StopLatched { reason, .. } => Some(reason),
        _ => None,
    });
    let Some(reason) = stop.reason.as_ref().or(latched) else { return };
    if mover.desk.0.is_in_use() {
        mover.book().stop();
    }
    let mut rows: Vec<_> = cases.iter_mut().filter(|(_, life)| !life.state.is_final()).collect();
    rows.sort_by_key(|(proposed, _)| proposed.slot);
    for (proposed, life) in &mut rows {
        let of = (proposed.id, &proposed.proposal);
        mover.feed(of, life, &Event::Stopped, format!("the stop came: {reason}"), Some(Code::StopLatched));
    }
}
