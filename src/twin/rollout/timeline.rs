//! Which valve is open and which pump runs when: what was read back, what is under way, what the steps do.

use super::Inner;
use crate::site::SwitchState;
use crate::trial::{Act, Step, Trial};

/// The switches over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    commands: Vec<Command>,
    /// As read back; `None` where nobody knows.
    now: Vec<Option<bool>>,
    /// For as long every step of the proposal is in effect.
    pub in_effect_s: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Command {
    node: usize,
    is_on: bool,
    until_s: f64,
}

impl Timeline {
    /// The switches of a trial.
    #[must_use]
    pub fn new(inner: &Inner, trial: &Trial) -> Self {
        let command = |step: &Step| {
            let Act::Switch { state, for_s } = step.act else { return None };
            let node = inner.network.index(&step.of)?;
            Some(Command { node, is_on: state == SwitchState::On, until_s: for_s })
        };
        let steps: Vec<Command> = trial.steps.iter().filter_map(command).collect();
        // A new command of a thing takes the place of the one that is under way.
        let is_kept = |running: &Command| !steps.iter().any(|step| step.node == running.node);
        let running = trial.snapshot.running.iter().filter_map(command).filter(is_kept);
        let in_effect_s = steps.iter().map(|command| command.until_s).fold(f64::INFINITY, f64::min);
        let read = |index: usize| trial.snapshot.switched.get(&inner.network.nodes[index].name);
        let now = |index| read(index).map(|state| *state == SwitchState::On);
        Self {
            commands: running.chain(steps.iter().copied()).collect(),
            now: (0..inner.network.nodes.len()).map(now).collect(),
            in_effect_s: if steps.is_empty() { 0.0 } else { in_effect_s },
        }
    }

    /// The beginnings and ends of the steps of time up to `length_s`: every `step_s`, and wherever a command ends, so
    /// that no litre is counted for a second too long.
    #[must_use]
    pub fn spans(&self, length_s: f64, step_s: f64) -> Vec<(f64, f64)> {
        let steps = (length_s / step_s).ceil() as u64;
        let mut cuts: Vec<f64> = (0..steps).map(|step| step as f64 * step_s).collect();
        cuts.extend(self.commands.iter().map(|command| command.until_s));
        cuts.retain(|cut| *cut < length_s);
        cuts.push(length_s);
        cuts.sort_by(f64::total_cmp);
        cuts.dedup();
        cuts.windows(2).map(|pair| (pair[0], pair[1])).collect()
    }

    /// Which nodes are on at a time. `unknown` says it for those of which nobody knows, `safe` for those whose command
    /// has ended.
    pub fn states(&self, time_s: f64, unknown: &[bool], safe: &[bool], is_on: &mut [bool]) {
        for (index, on) in is_on.iter_mut().enumerate() {
            *on = self.now[index].unwrap_or(unknown[index]);
        }
        for command in &self.commands {
            is_on[command.node] = safe[command.node];
        }
        for command in self.commands.iter().filter(|command| time_s < command.until_s) {
            is_on[command.node] = command.is_on;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(commands: &[(bool, f64)]) -> Timeline {
        let command = |(is_on, until_s): &(bool, f64)| Command { node: 0, is_on: *is_on, until_s: *until_s };
        let commands: Vec<Command> = commands.iter().map(command).collect();
        Timeline { commands, now: vec![Some(false)], in_effect_s: 0.0 }
    }

    fn at(timeline: &Timeline, time_s: f64) -> bool {
        let mut is_on = [false];
        timeline.states(time_s, &[false], &[false], &mut is_on);
        is_on[0]
    }

    #[test]
    fn a_span_ends_where_a_command_ends() {
        let spans = timeline(&[(true, 25.0)]).spans(40.0, 10.0);
        assert_eq!(spans, [(0.0, 10.0), (10.0, 20.0), (20.0, 25.0), (25.0, 30.0), (30.0, 40.0)]);
        let uneven = timeline(&[(true, 100.0)]).spans(25.0, 10.0);
        assert_eq!(uneven, [(0.0, 10.0), (10.0, 20.0), (20.0, 25.0)]);
    }

    #[test]
    fn a_command_holds_to_its_end_and_then_the_safe_state() {
        let opened = timeline(&[(true, 10.0)]);
        assert!(at(&opened, 0.0) && at(&opened, 9.9) && !at(&opened, 10.0));
        let mut was_open = timeline(&[]);
        was_open.now = vec![Some(true)];
        assert!(at(&was_open, 1e6), "nobody commands it");
        let mut is_on = [false];
        Timeline { now: vec![None], ..was_open }.states(0.0, &[true], &[false], &mut is_on);
        assert!(is_on[0], "nobody knows, and this rollout drew that it is on");
    }
}
