//! What a bundle shows, worked out anew by somebody who has nothing but public keys.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::bundle::{AskedFor, Bundle, Files};
use super::entry::{Entry, Happened, Label, hash_of_people};
use crate::answer::AskKind;
use crate::approval::{self, Approval, Decision, SignedApproval};
use crate::canonical;
use crate::envelope::{self, Body};
use crate::ids::{ContentHash, NodeId, ProposalId};
use crate::keys::PublicKey;
use crate::operator::Roster;
use crate::policy::{FOR_S, Policy};
use crate::proposal::{Mind, Proposal, STEPS_MAX, Step};
use crate::reading::{ReadingBatch, Value};
use crate::request::{self, RequestBody};
use crate::setpoint::Setpoint;

/// What was looked at, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in one word.
    pub of: &'static str,
    /// What came out.
    pub outcome: Outcome,
    /// What was found, for people.
    pub words: String,
}

/// What came out of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is as it has to be.
    Holds,
    /// It is not: somebody altered something, or the node did what it must not.
    Fails,
}

/// How to read what belongs to others.
#[derive(Clone, Copy)]
pub struct Readers<'a> {
    /// The hash of a card, and what it says in short.
    pub card: &'a dyn Fn(&[u8]) -> Result<(ContentHash, String), String>,
    /// The policy in its canonical text.
    pub policy: &'a dyn Fn(&str) -> Result<Policy, String>,
}

/// The most requests and approvals of one bundle.
pub const ASKED_MAX: usize = 256;
/// The longest words of a finding, in bytes: what a bundle says has no end.
const WORDS_BYTES_MAX: usize = 4_096;
/// The most readings of one envelope that are told.
const READINGS_TOLD: usize = 8;

/// Looks at everything in a bundle that `signer` has signed.
#[must_use]
pub fn check(signer: &PublicKey, bundle: &Bundle, read: Readers<'_>) -> Vec<Finding> {
    let id = bundle.proposal.id();
    let mut look = Look { bundle, id, read, asked: Vec::new(), findings: Vec::new() };
    if bundle.asked.len() > ASKED_MAX {
        look.find(
            "request",
            Err(format!("{} requests and approvals; at most {ASKED_MAX} are looked at", bundle.asked.len())),
        );
        return look.findings;
    }
    look.signer(signer.id());
    look.log();
    look.asked();
    look.evidence();
    let cards = look.cards();
    look.approvals(&cards);
    look.orders();
    look.files();
    look.findings
}

struct Look<'a> {
    bundle: &'a Bundle,
    id: ProposalId,
    read: Readers<'a>,
    /// The approvals that were taken, each with the number of the line that says so.
    asked: Vec<(u64, SignedApproval)>,
    findings: Vec<Finding>,
}

impl Look<'_> {
    fn find(&mut self, of: &'static str, found: Result<String, String>) {
        let (outcome, words) = match found {
            Ok(words) => (Outcome::Holds, words),
            Err(words) => (Outcome::Fails, words),
        };
        let words = words[..words.floor_char_boundary(WORDS_BYTES_MAX)].to_owned();
        self.findings.push(Finding { of, outcome, words });
    }

    fn signer(&mut self, signer: NodeId) {
        let Bundle { node, node_name, proposal, .. } = self.bundle;
        let found = if signer != *node {
            Err(format!("it names node {node}, and {signer} has signed it"))
        } else if proposal.owner != *node || proposal.mesh != self.bundle.mesh {
            Err(format!("{node_name} is not the owner of what was proposed"))
        } else {
            Ok(format!("node {node_name} has signed all of it; compare its id with the one you know: {node}"))
        };
        self.find("signature", found);
    }

    fn log(&mut self) {
        let log = &self.bundle.log;
        let found = log.head().and_then(|head| {
            let about = Label::of(self.id);
            if let Some(label) = log.hidden().find(|label| label.is_about_all || label.about == Some(about)) {
                return Err(format!("line {} belongs to it and is not shown", label.number));
            }
            let told = log.shown().filter(|entry| entry.happened.proposal() == Some(self.id)).count();
            if told == 0 {
                return Err(format!("no line of it is about {}", self.id.short()));
            }
            let (first, last) = (log.before.number.saturating_add(1), head.number);
            Ok(format!("lines {first} to {last} hang together, {} of them are shown", log.shown().count()))
        });
        self.find("log", found);
    }

    /// The lines that answer something, by the name of what was asked: their numbers, and whether it was taken.
    fn answers(&self) -> BTreeMap<ContentHash, (u64, bool)> {
        let mut answers = BTreeMap::new();
        for entry in self.bundle.log.shown() {
            let Happened::Answered { asked, refused, .. } = &entry.happened else { continue };
            let answer = (entry.number, refused.is_none());
            let known = answers.entry(*asked).or_insert(answer);
            // What was refused may be brought again; what was taken is used, so the first time counts.
            if answer.1 && !known.1 {
                *known = answer;
            }
        }
        answers
    }

    fn asked(&mut self) {
        let (mut is_proposed, answers) = (false, self.answers());
        for asked in &self.bundle.asked {
            let answered = answers.get(&asked.name()).copied();
            match asked.kind {
                AskKind::Approval => self.asked_approval(asked, answered),
                AskKind::Request => {
                    let found = request::open(&asked.bytes).map_err(|refused| refused.sentence);
                    let found = found.and_then(|signed| {
                        let people = self.people_at(answered.map_or(u64::MAX, |(line, _)| line));
                        let by = match signed.person(people) {
                            Some(person) => person.name.clone(),
                            None => format!("node {}", signed.signer().id()),
                        };
                        let what = match &signed.request().body {
                            RequestBody::Propose(proposal) | RequestBody::Supersede { proposal, .. }
                                if proposal.id() == self.id =>
                            {
                                is_proposed |= is_made_by(proposal, signed.signer())
                                    && answered.is_some_and(|(_, is_taken)| is_taken);
                                "to propose it"
                            }
                            RequestBody::Withdraw { proposal, .. } if *proposal == self.id => {
                                "to withdraw it"
                            }
                            RequestBody::Supersede { instead_of, .. } if *instead_of == self.id => {
                                "to put another in its place"
                            }
                            _ => return Err("a request in it is about something else".to_owned()),
                        };
                        Ok(format!("{by} has signed the request {what}{}", outcome(answered)))
                    });
                    self.find("request", found);
                }
            }
        }
        if !is_proposed {
            let words = "no request in it proposes this, signed by whoever is said to propose it and taken"
                .to_owned();
            self.find("request", Err(words));
        }
    }

    fn asked_approval(&mut self, asked: &AskedFor, answered: Option<(u64, bool)>) {
        match (approval::open(&asked.bytes), answered) {
            (Err(refused), Some((_, true))) => self.find("approval", Err(refused.sentence)),
            (Err(refused), _) => {
                self.find("approval", Ok(format!("one was refused, and rightly: {}", refused.sentence)));
            }
            (Ok(signed), Some((line, true))) => self.asked.push((line, signed)),
            (Ok(signed), _) => {
                let name = self.name_of(&signed, u64::MAX);
                self.find("approval", Ok(format!("what {name} has signed was not taken")));
            }
        }
    }

    fn evidence(&mut self) {
        let Bundle { proposal, mesh, .. } = self.bundle;
        for bytes in &proposal.evidence {
            let found = envelope::open(bytes, *mesh).map_err(|refusal| refusal.sentence).map(|opened| {
                let readings = match &opened.statement.body {
                    Body::Readings(batch) => in_words(batch),
                    _ => "no reading".to_owned(),
                };
                format!("node {} has signed {readings}", opened.source.short())
            });
            self.find("evidence", found);
        }
    }

    fn cards(&mut self) -> BTreeSet<ContentHash> {
        let read: Vec<_> = self.bundle.cards.iter().map(|bytes| (self.read.card)(bytes)).collect();
        let hashes = read.iter().flatten().map(|(hash, _)| *hash).collect();
        for card in read {
            self.find("card", card.map(|(hash, words)| format!("{} {words}", hash.short())));
        }
        hashes
    }

    fn approvals(&mut self, cards: &BTreeSet<ContentHash>) {
        let asked = std::mem::take(&mut self.asked);
        for (line, signed) in &asked {
            let found = self.approval(*line, signed, cards);
            self.find("approval", found);
        }
        self.asked = asked;
    }

    fn approval(
        &self,
        line: u64,
        signed: &SignedApproval,
        cards: &BTreeSet<ContentHash>,
    ) -> Result<String, String> {
        let (approval, name) = (signed.approval(), self.name_of(signed, line));
        let is_of_it = approval.proposal == self.id
            && (approval.owner, approval.mesh) == (self.bundle.node, self.bundle.mesh)
            && canonical::encode(&approval.steps) == canonical::encode(&self.bundle.proposal.steps);
        if !is_of_it {
            return Err(format!("what {name} has signed is about something else, and was taken"));
        }
        if approval.decision == Decision::Reject {
            return Ok(format!("{name} said no (line {line})"));
        }
        let people = self.people_at(line);
        people
            .may_approve(&signed.operator())
            .map_err(|refused| format!("{name} said yes, and may not: {}", refused.sentence))?;
        if !cards.contains(&approval.card) {
            return Err(format!("{name} said yes to card {}, which is not in it", approval.card.short()));
        }
        let policy = self.policy_of(approval)?;
        let wanted = policy.level_of(&approval.steps);
        if approval.level < wanted {
            return Err(format!("{name} said yes at {}, and the policy wants {wanted}", approval.level));
        }
        if !people.is_on_all(&signed.operator(), &policy.approvers_of(&approval.steps)) {
            return Err(format!("{name} said yes, and is not among those whom the policy names"));
        }
        let asker = self.bundle.proposal.maker.mind.person();
        let is_own = asker.is_some_and(|asker| people.is_same_person(&asker, &signed.operator()));
        if is_own && policy.wants_others(&approval.steps) {
            return Err(format!(
                "{name} said yes to what they asked for, and the policy wants somebody else"
            ));
        }
        Ok(format!(
            "{name} said yes to these steps, card {}, at {} (line {line})",
            approval.card.short(),
            approval.level
        ))
    }

    /// What the person who said yes had in front of them is in the bundle.
    fn policy_of(&self, approval: &Approval) -> Result<Policy, String> {
        let is_site = |files: &&Files| {
            files.site.as_deref().is_some_and(|text| ContentHash::of_site(text) == approval.site)
        };
        let missing =
            |what, hash: ContentHash| format!("the {what} that was approved, {}, is not in it", hash.short());
        let files = &self.bundle.files;
        if !files.iter().any(|files| is_site(&files)) {
            return Err(missing("site", approval.site));
        }
        let mut policies = files.iter().filter_map(|files| files.policy.as_deref());
        let text = policies.find(|text| ContentHash::of_policy(text) == approval.policy);
        let text = text.ok_or_else(|| missing("policy", approval.policy))?;
        (self.read.policy)(text)
    }

    fn orders(&mut self) {
        let is_order = |happened: &Happened| matches!(happened, Happened::Ordered { .. });
        // One more than there can be is one that is ordered twice, or is no step.
        let orders = self.lines(is_order).into_iter().take(STEPS_MAX + 1);
        let found: Vec<_> = orders.map(|order| self.order(order)).collect();
        for found in found {
            self.find("order", found);
        }
    }

    fn order(&self, order: &Entry) -> Result<String, String> {
        let Happened::Ordered { step, actuator, setpoint, run_for_ms, .. } = &order.happened else {
            return Ok(String::new());
        };
        let line = order.number;
        let what = format!("line {line}: {actuator} {setpoint}");
        let asked = self.bundle.proposal.steps.get(*step).filter(|asked| asked.actuator == *actuator);
        let Some(asked) = asked else {
            return Err(format!("{what} was ordered, and it is no step {step} of what was proposed"));
        };
        let is_again = |happened: &Happened| matches!(happened, Happened::Ordered { step: before, .. } if before == step);
        if self.lines(is_again).iter().any(|entry| entry.number < line) {
            return Err(format!("{what} was ordered twice"));
        }
        let yes: Vec<_> = self
            .asked
            .iter()
            .filter(|(at, signed)| *at < line && signed.approval().decision == Decision::Approve)
            .collect();
        let Some((_, newest)) = yes.last() else {
            return Err(format!("{what} was ordered, and nobody had said yes"));
        };
        let approval = newest.approval();
        let same = yes.iter().filter(|(_, signed)| signed.approval().nonce == approval.nonce);
        let same: Vec<&(u64, SignedApproval)> = same.copied().collect();
        let by = self.people_of(&same, line);
        let needed = approval.level.approvals_needed().max(1);
        if by.len() < needed {
            return Err(format!("{what} was ordered with {} of {needed} who have to say yes", by.len()));
        }
        let said = same.iter().map(|(at, _)| *at).max().unwrap_or_default();
        self.stood_until(said, order, *step).map_err(|why| format!("{what} was ordered although {why}"))?;
        let wanted = self.wanted(asked, approval)?;
        if wanted != (setpoint.clone(), *run_for_ms) {
            let (setpoint, run_for_ms) = wanted;
            let for_ms = run_for_ms.map(|ms| format!(" for {ms} ms")).unwrap_or_default();
            return Err(format!(
                "{what} for {} ms was ordered, and {setpoint}{for_ms} was approved",
                order_ms(order)
            ));
        }
        let names: Vec<String> = by.iter().map(|signed| self.name_of(signed, line)).collect();
        Ok(format!("{what}, after the yes of {}", names.join(" and ")))
    }

    /// The different people who have said yes, and might.
    fn people_of<'s>(&self, same: &[&'s (u64, SignedApproval)], line: u64) -> Vec<&'s SignedApproval> {
        let people = self.people_at(line);
        let mut by: Vec<&SignedApproval> = Vec::new();
        for (_, signed) in same {
            let is_known =
                by.iter().any(|other| people.is_same_person(&other.operator(), &signed.operator()));
            if !is_known && people.may_approve(&signed.operator()).is_ok() {
                by.push(signed);
            }
        }
        by
    }

    /// The yes was still worth something: nothing came between it and the order that ends it, and the proposal was under way.
    fn stood_until(&self, said: u64, order: &Entry, step: usize) -> Result<(), String> {
        let line = order.number;
        for entry in self.lines(|_| true).into_iter().filter(|entry| (said..line).contains(&entry.number)) {
            match &entry.happened {
                Happened::Stopped { .. } => return Err("the stop had come after the yes".to_owned()),
                Happened::Started { .. } => return Err("the node had started anew after the yes".to_owned()),
                // What runs is judged by the new policy, and asked for no more.
                Happened::Policy { .. } if step == 0 => {
                    return Err("another policy was in force after the yes".to_owned());
                }
                _ => {}
            }
        }
        let became = self.lines(|happened| matches!(happened, Happened::Became { .. }));
        let last = became.iter().rev().find(|entry| entry.number < line).map(|entry| &entry.happened);
        match last {
            Some(Happened::Became { state, .. }) if state == "dispatched" || state == "executing" => Ok(()),
            Some(Happened::Became { state, .. }) => Err(format!("it was {state}")),
            _ => Err("the log does not say that it was dispatched".to_owned()),
        }
    }

    /// What the approved step is, by the policy it was approved under: the state it brings, and for how long.
    fn wanted(&self, asked: &Step, approval: &Approval) -> Result<(String, Option<u64>), String> {
        let policy = self.policy_of(approval)?;
        let (_, operation) =
            policy.known(&asked.actuator, &asked.operation).map_err(|refused| refused.sentence)?;
        let for_ms = match asked.parameters.get(FOR_S) {
            Some(Value::Number(seconds)) if operation.brings == Setpoint::On => {
                Some((seconds * 1_000.0) as u64)
            }
            _ => None,
        };
        Ok((operation.brings.to_string(), for_ms))
    }

    /// What it was judged by is what the log says it was judged by.
    fn files(&mut self) {
        let mut found = Vec::new();
        for entry in self.lines(Happened::is_about_all) {
            let of = self.bundle.files.iter().find(|files| files.since == entry.number);
            let site = || of.and_then(|files| files.site.as_deref()).map(ContentHash::of_site);
            let policy = || of.and_then(|files| files.policy.as_deref()).map(ContentHash::of_policy);
            let people = || of.map(|files| hash_of_people(&files.people));
            let is_so = match &entry.happened {
                Happened::Started { site: a, policy: b, people: c, .. } => {
                    (site(), policy(), people()) == (*a, *b, Some(*c))
                }
                Happened::Policy { policy: told } => policy() == Some(*told),
                Happened::People { people: told } => people() == Some(*told),
                Happened::Revoked { key } => of.is_some_and(|files| files.people.is_revoked(key)),
                _ => continue,
            };
            if !is_so {
                found.push(format!(
                    "what line {} says that it was judged by from then on is not in it",
                    entry.number
                ));
            }
        }
        for words in found {
            self.find("files", Err(words));
        }
    }

    /// The lines that are shown, about this proposal or about all of them.
    fn lines(&self, is_meant: impl Fn(&Happened) -> bool) -> Vec<&Entry> {
        let of = |entry: &&Entry| {
            let happened = &entry.happened;
            (happened.proposal() == Some(self.id) || happened.is_about_all()) && is_meant(happened)
        };
        self.bundle.log.shown().filter(of).collect()
    }

    fn people_at(&self, line: u64) -> &Roster {
        static NOBODY: std::sync::LazyLock<Roster> = std::sync::LazyLock::new(Roster::default);
        let files = self.bundle.files.iter().rev().find(|files| files.since <= line);
        files.map_or(&NOBODY, |files| &files.people)
    }

    fn name_of(&self, signed: &SignedApproval, line: u64) -> String {
        let known = self.people_at(line).get(&signed.operator());
        known
            .map_or_else(|| format!("somebody unknown ({})", signed.operator()), |person| person.name.clone())
    }
}

fn order_ms(order: &Entry) -> u64 {
    match &order.happened {
        Happened::Ordered { run_for_ms, .. } => run_for_ms.unwrap_or_default(),
        _ => 0,
    }
}

fn in_words(readings: &ReadingBatch) -> String {
    let told = readings.0.iter().take(READINGS_TOLD);
    let told: Vec<String> =
        told.map(|reading| format!("{} = {} {}", reading.sensor, reading.value, reading.unit)).collect();
    let more = match readings.0.len() - told.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", told.join(", "))
}

fn is_made_by(proposal: &Proposal, signer: &PublicKey) -> bool {
    match &proposal.maker.mind {
        Mind::Operator(person) => signer.operator_id() == *person,
        Mind::Utility { .. } | Mind::Model { .. } => signer.id() == proposal.maker.node,
    }
}

fn outcome(answered: Option<(u64, bool)>) -> String {
    match answered {
        Some((line, true)) => format!(" (line {line})"),
        Some((line, false)) => format!(", which was refused (line {line})"),
        None => ", and the log does not say what became of it".to_owned(),
    }
}
