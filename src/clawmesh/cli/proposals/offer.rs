//! The card of a proposal and the offer that people are asked to answer, held against each other.

use anyhow::{Context as _, bail};
use clawmesh_authority::{ContentHash, Offer, ProposalReport, canonical};
use clawmesh_core::publish::ProposalView;
use clawmesh_twin::card::Card;
use serde::Serialize;

use super::find::beginning;

/// A card, read from its own bytes.
#[derive(Debug, Serialize)]
pub struct CardRead {
    /// What names it, made anew from the bytes; nobody's word for it is taken.
    pub hash: ContentHash,
    /// The card.
    pub card: Card,
}

/// The card of a report, if it has one.
///
/// # Errors
/// A sentence, when its bytes are no card.
pub fn card_of(report: &ProposalReport) -> anyhow::Result<Option<CardRead>> {
    let Some(bytes) = &report.card else { return Ok(None) };
    let card = Card::from_bytes(bytes).map_err(anyhow::Error::msg);
    let card = card.with_context(|| format!("the card of {} cannot be read", report.id.short()))?;
    Ok(Some(CardRead { hash: ContentHash(card.hash()), card }))
}

/// The offer that can be answered now.
///
/// # Errors
/// A sentence, when nobody is asked, or the offer is for something else than the report says.
pub fn living(view: &ProposalView) -> anyhow::Result<&Offer> {
    let report = &view.report;
    let short = report.id.short();
    let Some(offer) = &report.offer else {
        bail!("nobody is asked about {short}, it is {}; see `clawmesh show {short}`", report.state);
    };
    let is_of_report = offer.proposal == report.id
        && offer.owner == view.home
        && canonical::encode(&offer.steps) == canonical::encode(&report.steps);
    if !is_of_report {
        bail!(
            "the offer that is shown for {short} is for something else, so nothing was signed; ask its owner with --url"
        );
    }
    Ok(offer)
}

/// The card that `offer` asks about.
///
/// # Errors
/// A sentence, when the report has none, or another one.
pub fn card_asked_about(report: &ProposalReport, offer: &Offer) -> anyhow::Result<CardRead> {
    let short = report.id.short();
    let Some(read) = card_of(report)? else {
        bail!(
            "the offer for {short} came without its card, so nobody can have seen it; ask its owner with --url"
        );
    };
    if read.hash != offer.card {
        bail!(
            "the card that is shown for {short} is {}, the offer is about {}, so nothing was signed; \
             ask its owner with --url",
            read.hash.short(),
            offer.card.short()
        );
    }
    Ok(read)
}

/// Judges whether the card is the one a person says they have seen.
///
/// # Errors
/// A sentence, when it is another.
pub fn is_as_seen(read: &CardRead, seen: &str, report: &ProposalReport) -> anyhow::Result<()> {
    let short = report.id.short();
    let begins = beginning(seen, "a card", &format!("clawmesh show {short}"))?;
    if read.hash.to_string().starts_with(&begins) {
        return Ok(());
    }
    bail!(
        "the card of {short} is {}, not {}, so nothing was signed; look at it with `clawmesh show {short}`",
        read.hash.short(),
        begins
    )
}
