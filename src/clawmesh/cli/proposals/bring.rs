//! Bringing what a person signed to the owner, and telling what it answered.

use std::process::ExitCode;

use clawmesh_authority::request::{self, Request};
use clawmesh_authority::{Answer, AskKind, ProposalId};
use serde_json::{Value, json};

use super::args::Signer;
use super::person::Person;
use crate::cli::client::{Client, No};
use crate::cli::key_place::Found;
use crate::cli::table::plain;
use crate::cli::terminal::{say, say_json};

/// What an owner took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The proposal it is about, if it is about one.
    pub proposal: Option<ProposalId>,
    /// How things stand now, in the words of the owner.
    pub words: String,
}

/// What an owner said.
pub type Answered = Result<Taken, No>;

/// Whoever acts, with their key.
///
/// # Errors
/// A sentence with the repair, when there is no key or it cannot be used.
pub fn person_of(signer: Signer) -> anyhow::Result<Person> {
    Person::unlocked(Found::at(signer.key)?)
}

/// Signs a request and brings it to its owner, by way of the node that is asked.
///
/// # Errors
/// A sentence, when it makes no sense, or no answer came back.
pub async fn bring_request(client: &Client, person: &Person, request: &Request) -> anyhow::Result<Answered> {
    if let Some(fault) = request.fault() {
        return Err(anyhow::Error::msg(fault));
    }
    let signed = person.sign(request::unsigned(person.public(), request))?;
    bring(client, AskKind::Request, signed).await
}

/// Brings signed bytes to their owner, by way of the node that is asked.
///
/// # Errors
/// A sentence, when no answer came back.
pub async fn bring(client: &Client, kind: AskKind, signed: Vec<u8>) -> anyhow::Result<Answered> {
    let path = match kind {
        AskKind::Request => "/api/requests",
        AskKind::Approval => "/api/approvals",
    };
    let answer: Result<Answer, No> = client.post(path, "application/cbor", signed).await?;
    Ok(answer.and_then(|answer| match answer {
        Answer::Taken { proposal, words } => Ok(Taken { proposal, words }),
        Answer::Refused { code, rule, sentence } => {
            Err(No { code: code.as_str().to_owned(), rule: Some(rule), sentence })
        }
    }))
}

/// What was answered, as programs read it.
pub fn document(answered: &Answered) -> Value {
    match answered {
        Ok(Taken { proposal, words }) => json!({"outcome": "taken", "proposal": proposal, "words": words}),
        Err(No { code, rule, sentence }) => {
            json!({"outcome": "refused", "code": code, "rule": rule, "sentence": sentence})
        }
    }
}

/// Tells what was answered: to programs all of it, to people its words.
///
/// # Errors
/// The refusal, as `CODE by rule: sentence`.
pub fn tell(answered: &Answered, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        say_json(&document(answered))?;
    }
    match answered {
        Err(no) => return Err(anyhow::Error::msg(no.to_string())),
        Ok(taken) if !json => say(&plain(&taken.words)),
        Ok(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}
