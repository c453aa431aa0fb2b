//! `clawmesh approve` and `clawmesh reject`: a person answers an offer, with their own key.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clawmesh_authority::{Approval, AskKind, Decision, Offer, OperatorKey, approval};
use clawmesh_core::publish::ProposalView;
use clawmesh_gateway::Status;

use super::args::{ApproveArgs, RejectArgs};
use super::bring::{Answered, bring, person_of, tell};
use super::find::{called, known_to};
use super::offer::{CardRead, card_asked_about, is_as_seen, living};
use super::page::Look;
use super::person::Person;
use crate::cli::args::Target;
use crate::cli::client::{Client, block_on};
use crate::cli::key_place::Found;
use crate::cli::table::plain;
use crate::cli::terminal::{ask, complain, is_attended};
use crate::moments::unix_ms;

/// The only word that is a yes.
const YES: &str = "yes";

/// Says yes to what was seen, and typed at a terminal.
pub fn approve(state_dir: Option<PathBuf>, args: ApproveArgs) -> anyhow::Result<ExitCode> {
    let id = &args.id;
    if !is_attended() {
        bail!(
            "nobody is at a terminal to be asked, and no program approves; nothing was signed, \
             type `clawmesh approve {id}` at a terminal"
        );
    }
    let client = Client::new(state_dir, &args.target)?;
    let known = block_on(known_to(&client))?;
    let view = called(&known, id)?;
    let offer = living(view)?;
    let card = card_asked_about(&view.report, offer)?;
    if let Some(seen) = &args.card {
        is_as_seen(&card, seen, &view.report)?;
    }
    let found = Found::at(args.signer.key)?;
    if !is_confirmed(&client, view, &card, known.snapshot_age_ms)? {
        bail!("nothing was signed: only {YES:?} is a yes");
    }
    let person = Person::unlocked(found)?;
    tell(&answer(&client, &person, offer, Decision::Approve, args.why)?, args.target.json)
}

/// The yes of the person that `clawmesh demo --approve` plays: with a key which the demo made for itself, for an owner that it
/// made too. What the owner said, in its words.
pub fn approve_in_demo(center: &Path, key: OperatorKey, id: &str, card: &str) -> anyhow::Result<String> {
    let client = Client::new(Some(center.to_owned()), &Target::default())?;
    let known = block_on(known_to(&client))?;
    let view = called(&known, id)?;
    let offer = living(view)?;
    is_as_seen(&card_asked_about(&view.report, offer)?, card, &view.report)?;
    match answer(&client, &Person::with(key), offer, Decision::Approve, None)? {
        Ok(taken) => Ok(plain(&taken.words)),
        Err(no) => Err(anyhow::Error::msg(no.to_string())),
    }
}

/// Shows a person what they are asked, and asks.
fn is_confirmed(
    client: &Client,
    view: &ProposalView,
    card: &CardRead,
    snapshot_age_ms: u64,
) -> anyhow::Result<bool> {
    let status: Status = block_on(client.get("/api/status"))?;
    let look = Look {
        view,
        card: Some(card),
        node: &status.node,
        people: &status.people,
        snapshot_age_ms,
        now_ms: unix_ms(),
    };
    complain(&look.question());
    Ok(is_yes(&ask(&format!("\nShall it be done? Type {YES} to sign, anything else not to:"))))
}

fn is_yes(typed: &str) -> bool {
    typed == YES
}

/// Says no. What nobody should do needs no look at its card.
pub fn reject(state_dir: Option<PathBuf>, args: RejectArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, &args.target)?;
    let known = block_on(known_to(&client))?;
    let offer = living(called(&known, &args.id)?)?;
    let person = person_of(args.signer)?;
    tell(&answer(&client, &person, offer, Decision::Reject, Some(args.why))?, args.target.json)
}

fn answer(
    client: &Client,
    person: &Person,
    offer: &Offer,
    decision: Decision,
    why: Option<String>,
) -> anyhow::Result<Answered> {
    let approval = Approval::answering(offer, decision, why, unix_ms());
    if let Some(fault) = approval.fault() {
        return Err(anyhow::Error::msg(fault));
    }
    let signed = person.sign(approval::unsigned(person.public(), &approval))?;
    block_on(bring(client, AskKind::Approval, signed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_word_is_a_yes() {
        assert!(is_yes("yes"));
        for typed in ["", "y", "Yes", "YES", "yes please", "no", "yes\u{200b}"] {
            assert!(!is_yes(typed), "{typed:?}");
        }
    }
}
