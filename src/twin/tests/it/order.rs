//! A card is a function of what was asked: not of the order of its rollouts, of threads, or of luck.

use clawmesh_twin::card::{Card, Rule, Verdict};
use clawmesh_twin::rollout::{Fork, Outcome};
use clawmesh_twin::seed::seed_of;
use clawmesh_twin::trial::Trial;

use crate::farm::{drive, forest, fork, trial};

fn small(mut trial: Trial) -> Trial {
    trial.horizon.rollouts = 8;
    trial
}

/// Rollouts made on so many threads, in whatever order they end.
fn on_threads(fork: &Fork, threads: u32) -> Vec<Outcome> {
    std::thread::scope(|scope| {
        let share =
            |first| (first..=8).rev().step_by(1).filter(move |index| index % threads == first % threads);
        let workers: Vec<_> = (0..threads)
            .map(|first| {
                scope.spawn(move || share(first).map(|index| fork.rollout(index)).collect::<Vec<_>>())
            })
            .collect();
        workers.into_iter().rev().flat_map(|worker| worker.join().expect("no rollout panics")).collect()
    })
}

#[test]
fn equal_cards_come_from_any_order_and_any_number_of_threads() {
    for steps in [forest(), vec![drive(25.0, 40.0)]] {
        let fork = fork(small(trial(steps)));
        let in_order = fork.card();
        for threads in 1..=4 {
            let outcomes = on_threads(&fork, threads);
            assert_eq!(outcomes.len(), 9);
            assert_eq!(fork.reduce(&outcomes).hash(), in_order.hash(), "{threads} threads");
        }
    }
}

#[test]
fn a_fork_of_a_fresh_model_gives_the_same_card() {
    for steps in [forest(), vec![drive(25.0, 40.0)]] {
        let hash = |steps: &Vec<_>| fork(small(trial(steps.clone()))).card().hash();
        assert_eq!(hash(&steps), hash(&steps));
    }
}

#[test]
fn a_prefix_says_how_far_it_reached_and_what_is_behind_a_gap_does_not_count() {
    let fork = fork(small(trial(forest())));
    let mut outcomes = fork.rollouts();
    let whole = fork.reduce(&outcomes);
    assert_eq!((whole.rollouts_asked, whole.rollouts_reached), (9, 9));
    let five = fork.reduce(&outcomes[..5]);
    assert_eq!((five.rollouts_asked, five.rollouts_reached), (9, 5));
    assert!(five.confidence < whole.confidence);
    outcomes.remove(5);
    assert_eq!(fork.reduce(&outcomes).hash(), five.hash());
}

#[test]
fn without_a_nominal_rollout_nothing_was_simulated() {
    let fork = fork(small(trial(forest())));
    let card: Card = fork.reduce(&fork.rollouts()[1..]);
    assert_eq!((card.verdict, card.reasons[0].rule), (Verdict::Veto, Rule::NothingSimulated));
    assert_eq!((card.rollouts_reached, card.confidence), (0, 0.0));
}

#[test]
fn another_nonce_perturbs_otherwise_and_leaves_the_nominal_rollout_as_it_is() {
    let with = |nonce: u8| fork(Trial { seed: seed_of(&[1; 32], &[nonce; 32]), ..small(trial(forest())) });
    let (one, other) = (with(1), with(2));
    assert_eq!(one.rollout(0), other.rollout(0));
    for index in 1..4 {
        assert_ne!(one.rollout(index), other.rollout(index));
        assert_ne!(one.rollout(index).litres, one.rollout(index + 1).litres);
    }
    assert_ne!(one.card().hash(), other.card().hash());
}

#[test]
fn a_fork_can_be_sent_to_other_threads_and_asked_from_many() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Fork>();
    is_shared::<clawmesh_twin::rollout::Model>();
}
