//! Runs a journal again and compares: the world must be what it was, at every digest.

use std::collections::VecDeque;

use clawmesh_authority::envelope;
use serde::Serialize;

use super::journal::{DigestRecord, KeptRecord, Record};
use super::resimulate::Again;
use crate::intake::{InputBody, StampedInput};
use crate::node::Core;
use crate::proposals::SimulatorPort;
use crate::settings::Settings;

/// Inputs remembered to name the last ones before a difference.
const LAST_INPUTS: usize = 5;

/// Where a replay first differed from the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The journal row of the recorded digest.
    pub sequence: u64,
    /// The tick of the digest that differs.
    pub tick: u64,
    /// The tick of the last digest that was equal; the worlds parted after it.
    pub equal_until_tick: u64,
    /// The component types whose digests differ.
    pub types: Vec<String>,
    /// The last inputs before the difference, newest last.
    pub last_inputs: Vec<String>,
}

/// What came of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ReplayReport {
    /// Runs of the node in the journal.
    pub runs: u64,
    /// Ticks run again.
    pub ticks: u64,
    /// Inputs fed again.
    pub inputs: u64,
    /// Cards made again and compared; 0 unless that was asked for.
    pub cards_compared: u64,
    /// Digests compared.
    pub digests_compared: u64,
    /// Inputs that came after the last digest of their run, as a run leaves them that was killed or still runs: nothing
    /// shows that they are as they were.
    pub inputs_after_last_digest: u64,
    /// The last tick.
    pub last_tick: u64,
    /// A digest over all totals; equal journals replay to equal ones on every machine.
    pub total_digest: String,
    /// The first difference, if there is one.
    pub difference: Option<Difference>,
}

/// Takes the records of a journal in order. It has no edge: nothing but the journal feeds the world.
#[derive(Default)]
pub struct Replayer {
    resimulates: bool,
    run: Option<Run>,
    report: ReplayReport,
    totals: blake3::Hasher,
    last_inputs: VecDeque<String>,
}

struct Run {
    core: Core,
    again: Option<Again>,
    waiting: Vec<StampedInput>,
    equal_until_tick: u64,
    settings: Settings,
    inputs_after_digest: u64,
    /// The tick of a digest we took and the journal has not shown yet.
    owed: Option<u64>,
    /// What we kept in the last tick and the journal has not shown yet.
    kept_owed: VecDeque<KeptRecord>,
}

impl Replayer {
    /// One that also runs every simulation again and compares the cards.
    #[must_use]
    pub fn resimulating() -> Self {
        Self { resimulates: true, ..Self::default() }
    }

    /// Takes one record. After a difference there is nothing left to compare, and records are ignored.
    ///
    /// # Errors
    /// A sentence when the record cannot stand where it stands.
    pub fn take(&mut self, sequence: u64, record: Record) -> Result<(), String> {
        if self.report.difference.is_some() {
            return Ok(());
        }
        match record {
            Record::RunStarted(settings) => {
                self.finish_run();
                self.start_run(sequence, &settings);
                Ok(())
            }
            Record::Input(stamped) => self.take_input(sequence, stamped),
            Record::Digest(recorded) => self.compare(sequence, &recorded),
            Record::Kept(kept) => self.compare_kept(sequence, &kept),
        }
    }

    /// Runs what is left and reports.
    #[must_use]
    pub fn finish(mut self) -> ReplayReport {
        self.finish_run();
        let mut total = [0; 8];
        self.totals.finalize_xof().fill(&mut total);
        self.report.total_digest = format!("{:016x}", u64::from_le_bytes(total));
        self.report
    }

    fn start_run(&mut self, sequence: u64, settings: &Settings) {
        self.report.runs += 1;
        let mut core = Core::replaying(settings.clone(), sequence + 1);
        let again = Again::of(settings).filter(|_| self.resimulates).map(|(again, port)| {
            core.world_mut().insert_resource(SimulatorPort(Box::new(port)));
            again
        });
        self.run = Some(Run {
            core,
            again,
            waiting: Vec::new(),
            equal_until_tick: settings.tick_before,
            settings: settings.clone(),
            inputs_after_digest: 0,
            owed: None,
            kept_owed: VecDeque::new(),
        });
    }

    fn take_input(&mut self, sequence: u64, stamped: StampedInput) -> Result<(), String> {
        self.run_until(stamped.tick.saturating_sub(1))?;
        let run = self.run.as_mut().ok_or("an input stands before the first run")?;
        run.owes_nothing()?;
        if stamped.tick <= run.core.tick_number() || stamped.journal_sequence != sequence {
            return Err(format!("the input at sequence {sequence} stands at the wrong place"));
        }
        check_signature(&stamped, &run.settings)?;
        if let Some(found) = run.card_differs(&stamped, &mut self.report.cards_compared) {
            self.report.difference = Some(Difference {
                sequence,
                tick: stamped.tick,
                equal_until_tick: run.equal_until_tick,
                types: vec![found],
                last_inputs: self.last_inputs.iter().cloned().collect(),
            });
            return Ok(());
        }
        self.report.inputs += 1;
        self.report.inputs_after_last_digest += 1;
        run.inputs_after_digest += 1;
        if self.last_inputs.len() == LAST_INPUTS {
            self.last_inputs.pop_front();
        }
        self.last_inputs.push_back(name(&stamped));
        run.waiting.push(stamped);
        Ok(())
    }

    fn compare(&mut self, sequence: u64, recorded: &DigestRecord) -> Result<(), String> {
        self.run_until(recorded.tick)?;
        let run = self.run.as_mut().ok_or("a digest stands before the first run")?;
        if !run.kept_owed.is_empty() {
            run.owes_nothing()?;
        }
        // At its end a run takes one that was not due.
        let ours = run.core.digest();
        run.owed = None;
        self.report.inputs_after_last_digest -= std::mem::take(&mut run.inputs_after_digest);
        self.report.digests_compared += 1;
        self.totals.update(&ours.total.to_le_bytes());
        if ours == *recorded {
            run.equal_until_tick = recorded.tick;
            return Ok(());
        }
        self.report.difference = Some(Difference {
            sequence,
            tick: recorded.tick,
            equal_until_tick: run.equal_until_tick,
            types: differing_types(&ours, recorded),
            last_inputs: self.last_inputs.iter().cloned().collect(),
        });
        Ok(())
    }

    /// What a node has kept follows from its inputs, so we must have kept the same.
    fn compare_kept(&mut self, sequence: u64, recorded: &KeptRecord) -> Result<(), String> {
        self.run_until(recorded.tick)?;
        let run = self.run.as_mut().ok_or("something kept stands before the first run")?;
        if run.core.tick_number() != recorded.tick {
            return Err(format!("what is kept at sequence {sequence} stands at the wrong place"));
        }
        if run.kept_owed.pop_front().as_ref() == Some(recorded) {
            return Ok(());
        }
        self.report.difference = Some(Difference {
            sequence,
            tick: recorded.tick,
            equal_until_tick: run.equal_until_tick,
            types: vec![format!("kept {}", recorded.subject)],
            last_inputs: self.last_inputs.iter().cloned().collect(),
        });
        Ok(())
    }

    /// Runs the ticks up to and with `tick`; inputs that wait belong to the next one.
    fn run_until(&mut self, tick: u64) -> Result<(), String> {
        let run = self.run.as_mut().ok_or("the journal does not begin with a run")?;
        while run.core.tick_number() < tick {
            run.owes_nothing()?;
            run.tick();
            self.report.ticks += 1;
        }
        Ok(())
    }

    fn finish_run(&mut self) {
        let Some(mut run) = self.run.take() else { return };
        if !run.waiting.is_empty() {
            run.tick();
            self.report.ticks += 1;
        }
        self.report.last_tick = run.core.tick_number();
    }
}

impl Run {
    /// How a recorded card is not the one that the same question gives again.
    fn card_differs(&self, stamped: &StampedInput, compared: &mut u64) -> Option<String> {
        let InputBody::Simulated { proposal, round, outcome } = &stamped.input.body else { return None };
        let again = self.again.as_ref()?.outcome(*proposal, *round);
        *compared += 1;
        match again {
            Some(again) if again == *outcome => None,
            Some(_) => Some(format!("card {} of {}", round.0, proposal.short())),
            None => Some(format!("card {} of {}, which nobody ordered", round.0, proposal.short())),
        }
    }

    fn tick(&mut self) {
        self.core.feed(std::mem::take(&mut self.waiting));
        self.core.tick();
        let tick = self.core.tick_number();
        self.kept_owed = self.core.kept().iter().cloned().collect();
        self.owed = self.core.last_digest().filter(|digest| digest.tick == tick).map(|_| tick);
    }

    /// A journal may end before a digest that was due, as kill -9 leaves it; it never goes on without one.
    fn owes_nothing(&self) -> Result<(), String> {
        if let Some(kept) = self.kept_owed.front() {
            let KeptRecord { tick, subject, .. } = kept;
            return Err(format!("what tick {tick} kept of {subject} is missing; somebody took it out"));
        }
        match self.owed {
            Some(tick) => Err(format!("the digest of tick {tick} is missing; somebody took it out")),
            None => Ok(()),
        }
    }
}

/// What other nodes said carries their signatures, and nobody who alters a recording can make those.
fn check_signature(stamped: &StampedInput, settings: &Settings) -> Result<(), String> {
    let (InputBody::Envelope { bytes, .. } | InputBody::Recovered { bytes, .. }) = &stamped.input.body else {
        return Ok(());
    };
    let sequence = stamped.journal_sequence;
    match envelope::open(bytes, settings.mesh()) {
        Ok(_) => Ok(()),
        Err(refusal) => {
            Err(format!("the statement at sequence {sequence} is not what was signed: {refusal}"))
        }
    }
}

fn name(stamped: &StampedInput) -> String {
    let StampedInput { journal_sequence, tick, input } = stamped;
    let detail = match &input.body {
        InputBody::Sampled(samples) => {
            samples.iter().map(|sample| format!(" {}={}", sample.sensor, sample.value)).collect()
        }
        _ => String::new(),
    };
    format!("sequence {journal_sequence} tick {tick} {} from {}{detail}", input.body.kind(), input.source)
}

fn differing_types(ours: &DigestRecord, recorded: &DigestRecord) -> Vec<String> {
    let digest_in = |record: &DigestRecord, name: &str| {
        record.types.iter().find(|(other, _)| other == name).map(|(_, digest)| *digest)
    };
    let names = ours.types.iter().chain(&recorded.types).map(|(name, _)| name);
    let mut differing: Vec<String> =
        names.filter(|name| digest_in(ours, name) != digest_in(recorded, name)).cloned().collect();
    differing.sort();
    differing.dedup();
    differing
}
