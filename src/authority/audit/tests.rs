//! A whole bundle, and every way in which a node could lie with one.

use std::collections::BTreeMap;

use super::bundle::{AskedFor, Bundle, Files, open, seal};
use super::check::{Finding, Outcome, Readers, check};
use super::entry::RefusedBy;
use super::{Happened, Line, Logged, Part};
use crate::approval::{self, Approval, Decision};
use crate::envelope::{self, Body, Statement};
use crate::operator::tests::{key_of, person, roster};
use crate::request::{self, Request, RequestBody};
use crate::{
    AskKind, Capability, Code, ContentHash, Hlc, Level, Maker, MeshId, Mind, NodeId, NodeKey, Offer, Policy,
    Proposal, Reading, ReadingBatch, Role, Step, Tier, Unit, Value,
};

const CARD: &[u8] = b"the twin says pass";
const SITE: &str = "a farm";

fn node(secret: u8) -> NodeKey {
    NodeKey::from_secret(&[secret; 32])
}

fn actuator(name: &str) -> Capability {
    Capability::new(name).unwrap()
}

fn policy() -> Policy {
    let text = include_str!("../../../assets/sites/farm.policy.ron");
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    options.from_str(text).unwrap()
}

fn policy_text(policy: &Policy) -> String {
    serde_json::to_string(policy).unwrap()
}

/// Everything that goes into a bundle, to be changed before it is put together.
struct Case {
    maker: Maker,
    /// Who signs the request.
    asks: NodeKey,
    evidence: Vec<u8>,
    policy: Policy,
    /// Who says yes, by the secrets of their keys.
    yes: Vec<u8>,
    decision: Decision,
    change_offer: fn(&mut Offer),
    /// The lines, given the names of the request and of the approvals.
    change_lines: fn(&mut Vec<Happened>),
    change: fn(&mut Bundle),
    signer: NodeKey,
}

impl Case {
    fn in_order() -> Self {
        let readings = ReadingBatch(vec![Reading {
            sensor: actuator("sensor:soil-moisture:food-forest"),
            value: 14.0,
            unit: Unit::Percent,
            origin_ms: 900,
            sequence: 1,
            tier: Tier::T2,
        }]);
        let body = Body::Readings(readings);
        let hlc = Hlc { wall_ms: 900, logical: 0 };
        let statement = Statement { mesh: MeshId::of_name("farm"), epoch: 1, sequence: 1, hlc, body };
        Self {
            maker: Maker {
                node: node(2).id(),
                mind: Mind::Utility { name: "dryness".to_owned() },
                term: None,
            },
            asks: node(2),
            evidence: envelope::seal(&node(3), &statement),
            policy: policy(),
            yes: vec![1],
            decision: Decision::Approve,
            change_offer: |_| {},
            change_lines: |_| {},
            change: |_| {},
            signer: node(1),
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::in_order();
        change(&mut case);
        case
    }

    fn proposal(&self) -> Proposal {
        let step = |name: &str, operation: &str| Step {
            actuator: actuator(name),
            operation: operation.to_owned(),
            parameters: BTreeMap::from([("for_s".to_owned(), Value::Number(20.0))]),
        };
        Proposal {
            mesh: MeshId::of_name("farm"),
            owner: node(1).id(),
            site: ContentHash::of_site(SITE),
            maker: self.maker.clone(),
            steps: vec![
                step("actuator:valve:valve-food-forest", "open"),
                step("actuator:pump:pump-main-01", "start"),
            ],
            reason: "the food forest is dry".to_owned(),
            evidence: vec![self.evidence.clone().into()],
            made: Hlc { wall_ms: 1_000, logical: 0 },
        }
    }

    fn asked(&self, proposal: &Proposal) -> Vec<AskedFor> {
        let request = Request {
            mesh: proposal.mesh,
            owner: proposal.owner,
            body: RequestBody::Propose(proposal.clone()),
            made: proposal.made,
        };
        let bytes = request::seal(&self.asks, &request).into();
        let mut asked = vec![AskedFor { kind: AskKind::Request, bytes }];
        let mut offer = Offer {
            mesh: proposal.mesh,
            owner: proposal.owner,
            site: proposal.site,
            policy: ContentHash::of_policy(&policy_text(&self.policy)),
            proposal: proposal.id(),
            card: ContentHash::of("card", CARD),
            nonce: [4; 32],
            level: self.policy.level_of(&proposal.steps),
            steps: proposal.steps.clone(),
            expires_after_ms: 300_000,
        };
        (self.change_offer)(&mut offer);
        for secret in &self.yes {
            let approval = Approval::answering(&offer, self.decision, None, 1_500);
            let bytes = approval::seal(&key_of(*secret), &approval).into();
            asked.push(AskedFor { kind: AskKind::Approval, bytes });
        }
        asked
    }

    fn bundle(&self) -> Bundle {
        let proposal = self.proposal();
        let (id, asked) = (proposal.id(), self.asked(&proposal));
        let answered = |asked: &AskedFor| Happened::Answered {
            asked: asked.name(),
            proposal: Some(id),
            refused: None,
            words: "taken".to_owned(),
        };
        let ordered = |(step, ordered): (usize, &Step)| Happened::Ordered {
            proposal: id,
            step,
            actuator: ordered.actuator.clone(),
            setpoint: "on".to_owned(),
            run_for_ms: Some(20_000),
        };
        let mut lines: Vec<Happened> = asked.iter().map(answered).collect();
        // Something else went on in between.
        lines.insert(
            1,
            Happened::Refused { code: Code::Busy, from: "x".to_owned(), count: 1, sentence: String::new() },
        );
        let (state, words) = ("dispatched".to_owned(), "the gate lets it through".to_owned());
        lines.push(Happened::Became { proposal: id, state, words, code: None });
        lines.extend(proposal.steps.iter().enumerate().map(ordered));
        (self.change_lines)(&mut lines);
        let mut logged = Logged::default();
        for happened in lines {
            logged.push(1, 1_000, happened);
        }
        let line = |entry: super::Entry| match entry.happened {
            Happened::Refused { .. } => Line::hidden(&entry),
            _ => Line::Shown(entry),
        };
        let people = [(1, "Ann", Role::Approver), (5, "Ben", Role::Approver), (6, "Cid", Role::Operator)];
        let people = roster(people.map(|(secret, name, role)| person(secret, name, role)));
        let files =
            Files { since: 0, site: Some(SITE.to_owned()), policy: Some(policy_text(&self.policy)), people };
        let mut bundle = Bundle {
            mesh: proposal.mesh,
            node: node(1).id(),
            node_name: "field".to_owned(),
            made_ms: 9_000,
            proposal,
            asked,
            cards: vec![CARD.to_vec().into()],
            files: vec![files],
            log: Part { before: logged.before, lines: logged.entries.into_iter().map(line).collect() },
        };
        (self.change)(&mut bundle);
        bundle
    }

    /// What a stranger finds who is given the bytes.
    fn findings(&self) -> Vec<Finding> {
        let (signer, bundle) = open(&seal(&self.signer, &self.bundle())).unwrap();
        let card = |bytes: &[u8]| match bytes.starts_with(b"the twin") {
            true => Ok((ContentHash::of("card", bytes), "says pass".to_owned())),
            false => Err("no card".to_owned()),
        };
        let policy = |text: &str| serde_json::from_str(text).map_err(|_| "no policy".to_owned());
        check(&signer, &bundle, Readers { card: &card, policy: &policy })
    }

    fn failures(&self) -> Vec<(&'static str, String)> {
        let fails = self.findings().into_iter().filter(|finding| finding.outcome == Outcome::Fails);
        fails.map(|finding| (finding.of, finding.words)).collect()
    }
}

#[test]
fn in_a_bundle_in_order_everything_holds() {
    let findings = Case::in_order().findings();
    let looked_at: Vec<_> = findings.iter().map(|finding| finding.of).collect();
    let all = ["signature", "log", "request", "evidence", "card", "approval", "order", "order"];
    assert_eq!(looked_at, all);
    assert!(findings.iter().all(|finding| finding.outcome == Outcome::Holds), "{findings:#?}");
    let last = &findings[7].words;
    assert_eq!(last, "line 6: actuator:pump:pump-main-01 on, after the yes of Ann");
}

#[test]
fn a_person_who_asks_and_a_second_one_who_says_yes_are_told_by_name() {
    let case = Case::with(|case| {
        case.maker = Maker::person(node(1).id(), key_of(6).id());
        case.change = |bundle| {
            let body = RequestBody::Propose(bundle.proposal.clone());
            let Proposal { mesh, owner, made, .. } = bundle.proposal;
            bundle.asked[0].bytes = request::seal(&key_of(6), &Request { mesh, owner, body, made }).into();
            let name = bundle.asked[0].name();
            let Line::Shown(entry) = &mut bundle.log.lines[0] else { panic!("it is shown") };
            let Happened::Answered { asked, .. } = &mut entry.happened else { panic!("it is an answer") };
            *asked = name;
        };
    });
    let findings = case.findings();
    assert!(findings.iter().all(|finding| finding.outcome == Outcome::Holds), "{findings:#?}");
    assert!(
        findings[2].words.starts_with("Cid has signed the request to propose it (line 1)"),
        "{findings:#?}"
    );
}

/// What is changed, what is looked at, and what is found.
type Row = (fn(&mut Case), &'static str, &'static str);

fn each_is_found(table: &[Row]) {
    for (at, (change, of, words)) in table.iter().enumerate() {
        let failures = Case::with(change).failures();
        let is_it = |(found, said): &(&str, String)| found == of && said.contains(words);
        assert!(failures.iter().any(is_it), "row {at}, {of} {words:?}: {failures:#?}");
    }
}

/// A line is shown by its hash alone.
fn hide(bundle: &mut Bundle, at: usize) {
    let Line::Shown(entry) = &bundle.log.lines[at] else { panic!("it is shown") };
    bundle.log.lines[at] = Line::hidden(entry);
}

fn started() -> Happened {
    let people = super::hash_of_people(&Default::default());
    Happened::Started { version: "0".to_owned(), epoch: 2, site: None, policy: None, people }
}

#[test]
fn what_was_refused_first_and_taken_when_it_was_brought_again_was_taken() {
    let case = Case::with(|case| {
        case.change_lines = |lines| {
            let mut refused = lines[2].clone();
            let Happened::Answered { refused: by, .. } = &mut refused else { panic!("it is an answer") };
            *by = Some(RefusedBy { code: Code::ClockUntrusted, rule: "clock.known".to_owned() });
            lines.insert(2, refused);
        };
    });
    assert_eq!(case.failures(), []);
}

#[test]
fn a_policy_that_changes_while_it_runs_is_no_lie() {
    let case = Case::with(|case| {
        case.change_lines = |lines| {
            lines.insert(5, Happened::Policy { policy: ContentHash::of_policy(&policy_text(&policy())) });
        };
        case.change = |bundle| {
            let files = Files { since: 6, ..bundle.files[0].clone() };
            bundle.files.push(files);
        };
    });
    assert_eq!(case.failures(), []);
}

#[test]
fn whatever_a_node_alters_is_found() {
    each_is_found(&[
        (|case| case.signer = node(7), "signature", "has signed it"),
        (|case| case.change = |bundle| bundle.proposal.owner = NodeId([7; 32]), "signature", "not the owner"),
        (|case| case.change = |bundle| drop(bundle.log.lines.remove(0)), "log", "comes line 2"),
        (|case| case.change = |bundle| drop(bundle.log.lines.remove(1)), "log", "comes line 3"),
        (|case| case.change = |bundle| bundle.log.lines.clear(), "log", "no line of it is about"),
        (|case| case.change = |bundle| hide(bundle, 2), "log", "line 3 belongs to it and is not shown"),
        (
            |case| {
                case.change_lines = |lines| lines.push(Happened::Stopped { reason: "x".to_owned() });
                case.change = |bundle| hide(bundle, 6);
            },
            "log",
            "line 7 belongs to it and is not shown",
        ),
        (
            |case| case.change_lines = |lines| lines.push(Happened::People { people: ContentHash([1; 32]) }),
            "files",
            "line 7 says that it was judged by",
        ),
        (|case| case.asks = node(7), "request", "no request in it proposes this"),
        (
            |case| case.change = |bundle| drop(bundle.asked.remove(0)),
            "request",
            "no request in it proposes this",
        ),
        (|case| case.maker = Maker::person(node(1).id(), key_of(1).id()), "request", "no request in it"),
        (|case| case.change = |bundle| bundle.proposal.reason.push('!'), "request", "about something else"),
        (|case| case.evidence[60] ^= 1, "evidence", ""),
        (|case| case.change = |bundle| bundle.cards[0] = b"x".to_vec().into(), "card", "no card"),
    ]);
}

#[test]
fn a_yes_to_something_else_or_of_somebody_who_may_not_is_found() {
    each_is_found(&[
        (|case| case.change = |bundle| bundle.cards.clear(), "approval", "which is not in it"),
        (
            |case| case.change_offer = |offer| offer.card = ContentHash([1; 32]),
            "approval",
            "which is not in it",
        ),
        (
            |case| case.change_offer = |offer| offer.policy = ContentHash([1; 32]),
            "approval",
            "the policy that was",
        ),
        (
            |case| case.change_offer = |offer| offer.site = ContentHash([1; 32]),
            "approval",
            "the site that was",
        ),
        (
            |case| case.change = |bundle| bundle.files[0].policy = None,
            "approval",
            "the policy that was approved",
        ),
        (|case| case.change = |bundle| bundle.files[0].site = None, "approval", "the site that was approved"),
        (|case| case.change_offer = |offer| offer.steps.truncate(1), "approval", "about something else"),
        (
            |case| case.change_offer = |offer| offer.owner = NodeId([1; 32]),
            "approval",
            "about something else",
        ),
        (|case| case.change_offer = |offer| offer.mesh = MeshId([1; 32]), "approval", "about something else"),
        (|case| case.change_offer = |offer| offer.level = Level::L1, "approval", "the policy wants"),
        (|case| case.yes = vec![6], "approval", "Cid said yes, and may not"),
        (|case| case.yes = vec![7], "approval", "somebody unknown"),
        (
            |case| {
                case.change = |bundle| {
                    bundle.files[0].people.revoke(&key_of(1).id()).unwrap();
                }
            },
            "approval",
            "Ann said yes, and may not",
        ),
    ]);
}

#[test]
fn an_order_without_enough_people_before_it_after_a_stop_or_for_something_else_is_found() {
    each_is_found(&[
        (|case| case.change = |bundle| bundle.asked[1].bytes[100] ^= 1, "order", "nobody had said yes"),
        (|case| case.yes.clear(), "order", "nobody had said yes"),
        (|case| case.decision = Decision::Reject, "order", "nobody had said yes"),
        (|case| case.change_lines = |lines| lines.swap(2, 4), "order", "nobody had said yes"),
        (
            |case| {
                case.change_lines = |lines| {
                    let Happened::Answered { refused, .. } = &mut lines[2] else { panic!("it is an answer") };
                    *refused = Some(RefusedBy { code: Code::ApprovalExpired, rule: "x".to_owned() });
                }
            },
            "order",
            "nobody had said yes",
        ),
        (
            |case| case.change_lines = |lines| lines.insert(3, Happened::Stopped { reason: "x".to_owned() }),
            "order",
            "although the stop had come",
        ),
        (|case| case.change_lines = |lines| lines.push(lines[4].clone()), "order", "was ordered twice"),
        (
            |case| {
                case.change_lines = |lines| {
                    let Happened::Ordered { actuator: ordered, .. } = &mut lines[5] else {
                        panic!("an order")
                    };
                    *ordered = actuator("actuator:pump:another");
                }
            },
            "order",
            "is no step 1",
        ),
    ]);
}

#[test]
fn an_order_for_another_time_or_state_or_after_an_end_is_found() {
    each_is_found(&[
        (
            |case| {
                case.change_lines = |lines| {
                    let Happened::Ordered { run_for_ms, .. } = &mut lines[4] else { panic!("an order") };
                    *run_for_ms = Some(36_000_000);
                }
            },
            "order",
            "and on for 20000 ms was approved",
        ),
        (
            |case| {
                case.change_lines = |lines| {
                    let Happened::Ordered { setpoint, .. } = &mut lines[4] else { panic!("an order") };
                    "off".clone_into(setpoint);
                }
            },
            "order",
            "and on for 20000 ms was approved",
        ),
        (
            |case| {
                case.change_lines = |lines| {
                    let Happened::Became { state, .. } = &mut lines[3] else { panic!("a state") };
                    "cancelled".clone_into(state);
                }
            },
            "order",
            "although it was cancelled",
        ),
        (
            |case| case.change_lines = |lines| drop(lines.remove(3)),
            "order",
            "does not say that it was dispatched",
        ),
        (
            |case| case.change_lines = |lines| lines.insert(3, started()),
            "order",
            "although the node had started anew",
        ),
        (
            |case| {
                case.change_lines =
                    |lines| lines.insert(3, Happened::Policy { policy: ContentHash::of_policy("other") });
            },
            "order",
            "although another policy was in force",
        ),
        (|case| case.change_offer = |offer| offer.level = Level::L3, "order", "1 of 2 who have to say yes"),
        (
            |case| {
                case.yes = vec![1, 1];
                case.change_offer = |offer| offer.level = Level::L3;
            },
            "order",
            "1 of 2 who have to say yes",
        ),
    ]);
}

#[test]
fn two_people_are_enough_where_two_have_to_say_yes() {
    let case = Case::with(|case| {
        case.yes = vec![1, 5];
        case.change_offer = |offer| offer.level = Level::L3;
    });
    assert_eq!(case.failures(), []);
    assert!(case.findings().last().unwrap().words.ends_with("after the yes of Ann and Ben"));
}

#[test]
fn a_proposer_does_not_say_yes_to_their_own_where_the_policy_wants_somebody_else() {
    let own = |four_eyes| {
        Case::with(|case| {
            case.maker.mind = Mind::Model { name: "m".to_owned(), session_of: Some(key_of(1).id()) };
            case.policy.actuators.iter_mut().for_each(|rules| rules.four_eyes = four_eyes);
        })
    };
    assert_eq!(own(false).failures(), []);
    let failures = own(true).failures();
    assert!(failures[0].1.contains("said yes to what they asked for"), "{failures:#?}");
}

#[test]
fn what_a_node_signs_for_something_else_is_no_bundle() {
    let bundle = Case::in_order().bundle();
    let bytes =
        crate::signed::seal(&node(1), crate::signed::Purpose::ANSWER, crate::canonical::encode(&bundle));
    assert_eq!(open(&bytes).unwrap_err().rule, "audit.signature");
    let mut longer = seal(&node(1), &bundle);
    longer.push(0);
    assert_eq!(open(&longer).unwrap_err().rule, "audit.form");
}
