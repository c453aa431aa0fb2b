//! What could not be made safe, and when it is tried again. Pure.

use std::collections::BTreeMap;

use clawmesh_authority::Capability;
use clawmesh_core::intake::SafeBecause;

/// How long after an answer that it could not be made safe it is asked for again, milliseconds; twice as long each time.
const ASK_AGAIN_MS: u64 = 3_000;
/// The longest time between two such questions, milliseconds: an existing node takes a hundred messages a minute.
const ASK_AGAIN_MS_MAX: u64 = 30_000;

/// What could not be made safe.
#[derive(Debug, Clone)]
struct Debt {
    /// Why it should be.
    because: SafeBecause,
    /// It is not tried again before.
    not_before_ms: u64,
    /// How long it was waited after the last answer, milliseconds.
    pause_ms: u64,
}

/// Everything that could not be made safe.
#[derive(Debug, Default)]
pub struct Owed(BTreeMap<Capability, Debt>);

impl Owed {
    /// It was asked at `now_ms` at the latest, and is not safe: the first times it is asked again soon, then ever later.
    pub fn asked_in_vain(&mut self, actuator: &Capability, because: SafeBecause, now_ms: u64) {
        let before_ms = self.0.get(actuator).map_or(0, |debt| debt.pause_ms);
        let pause_ms = (2 * before_ms).clamp(ASK_AGAIN_MS, ASK_AGAIN_MS_MAX);
        let not_before_ms = now_ms.saturating_add(pause_ms);
        self.0.insert(actuator.clone(), Debt { because, not_before_ms, pause_ms });
    }

    /// It could not be asked: as soon as it can, it is.
    pub fn not_asked(&mut self, actuator: &Capability, because: SafeBecause) {
        self.0.insert(actuator.clone(), Debt { because, not_before_ms: 0, pause_ms: 0 });
    }

    /// What it said before counts no longer: it has gone, or somebody wants it anew.
    pub fn begin_anew(&mut self, actuator: &Capability) {
        if let Some(debt) = self.0.get_mut(actuator) {
            (debt.not_before_ms, debt.pause_ms) = (0, 0);
        }
    }

    /// Nothing is owed any more; says why it was.
    pub fn paid(&mut self, actuator: &Capability) -> Option<SafeBecause> {
        self.0.remove(actuator).map(|debt| debt.because)
    }

    /// Everything that is owed.
    pub fn actuators(&self) -> Vec<Capability> {
        self.0.keys().cloned().collect()
    }

    /// Why an actuator should be safe, if it is to be tried again now.
    pub fn due(&self, actuator: &Capability, now_ms: u64) -> Option<SafeBecause> {
        let debt = self.0.get(actuator).filter(|debt| debt.not_before_ms <= now_ms)?;
        Some(debt.because.clone())
    }
}
