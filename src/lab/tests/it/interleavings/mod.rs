//! Whatever happens in whatever order: nothing is driven without a yes that is valid, alive and unused, and everything else that
//! is driven leads towards the safe state. A farm, a recording driver, and an oracle that knows only what it did itself.

mod event;
mod oracle;
mod world;

use std::collections::BTreeMap;

use clawmesh_authority::Code;
use clawmesh_lab::CardMemory;

use event::Event;
use world::World;

/// Of so many steps each; what happens in all of them together is a million events.
const EPISODES: u64 = 125;
const STEPS: u64 = 2_700;

/// How often everything was reached.
#[derive(Default)]
pub struct Counts {
    events: BTreeMap<Event, u64>,
    codes: BTreeMap<Code, u64>,
    commands: u64,
    safings: u64,
    completed: u64,
}

/// Refusals that the events must have led to, or the rules behind them were never asked.
const CODES: [Code; 19] = [
    Code::ApprovalExpired,
    Code::ApprovalMismatch,
    Code::ApprovalReplayed,
    Code::AuthorityHeld,
    Code::BadSignature,
    Code::CardStale,
    Code::Duplicate,
    Code::EvidenceStale,
    Code::EvidenceUnresolved,
    Code::InsufficientTrustTier,
    Code::InterlockOpen,
    Code::LimitExceeded,
    Code::LocalControl,
    Code::NotAuthorized,
    Code::OperatorRevoked,
    Code::OutOfService,
    Code::SelfApproval,
    Code::StopLatched,
    Code::TwoPersonRequired,
];

/// Runs the episodes from `first_seed` on, each from its own seed.
///
/// # Panics
/// With the seed, the step and what the oracle found.
fn run(first_seed: u64) {
    let (mut counts, cards) = (Counts::default(), CardMemory::default());
    for seed in first_seed..first_seed + EPISODES {
        let mut world = World::begin(seed, &cards);
        for step in 0..STEPS {
            let event = world.step(&mut counts);
            if let Some(found) = world.found() {
                panic!("seed {seed}, step {step}, after {event:?}: {found}\n{}", world.history());
            }
        }
        world.end(&mut counts);
    }
    report(&counts);
    let missed: Vec<_> = Event::ALL.iter().filter(|event| !counts.events.contains_key(event)).collect();
    assert!(missed.is_empty(), "these never happened: {missed:?}");
    let missed: Vec<_> = CODES.iter().filter(|code| !counts.codes.contains_key(code)).collect();
    assert!(missed.is_empty(), "nothing was refused as {missed:?}");
    assert!(counts.commands > 1_000 && counts.safings > 1_000 && counts.completed > 100, "too little moved");
}

/// What was reached.
#[expect(clippy::print_stdout, reason = "for whoever looks at the output of the test")]
fn report(counts: &Counts) {
    let steps: u64 = counts.events.values().sum();
    println!(
        "{steps} steps, {} commands, {} safings, {} completed",
        counts.commands, counts.safings, counts.completed
    );
    counts.events.iter().for_each(|(event, count)| println!("{count:>8} {event:?}"));
    counts.codes.iter().for_each(|(code, count)| println!("{count:>8} refused as {code}"));
}

#[test]
fn nothing_is_driven_without_a_valid_live_unused_yes_whatever_happens_1() {
    run(1_000);
}

#[test]
fn nothing_is_driven_without_a_valid_live_unused_yes_whatever_happens_2() {
    run(2_000);
}

#[test]
fn nothing_is_driven_without_a_valid_live_unused_yes_whatever_happens_3() {
    run(3_000);
}

#[test]
fn nothing_is_driven_without_a_valid_live_unused_yes_whatever_happens_4() {
    run(4_000);
}
