//! Samples of foreign programs, by the mapping table. They prove who relayed, not who measured: tier T1.

use std::sync::Arc;

use clawmesh_authority::{Refusal, Tier};
use clawmesh_core::intake::{Input, InputBody, Sample as CoreSample, SourceId, StreamKey};
use zenoh::bytes::ZBytes;
use zenoh::sample::Sample;

use crate::edge::Edge;
use crate::mapping::Mapping;

/// Takes the samples of one row of the table.
pub struct SamplesIn {
    edge: Arc<Edge>,
    mapping: Mapping,
}

impl SamplesIn {
    /// Takes samples as `mapping` says.
    pub fn new(edge: Arc<Edge>, mapping: Mapping) -> Self {
        Self { edge, mapping }
    }

    /// The key expression to subscribe to.
    pub fn key_expr(&self) -> &str {
        &self.mapping.key_expr
    }

    /// Decodes one sample and offers it, or counts why not.
    pub fn take(&self, sample: &Sample) {
        match self.decode(sample.key_expr().as_str(), sample.payload()) {
            Ok(value) => self.offer(value),
            Err(refusal) => self.edge.refuse(refusal),
        }
    }

    fn decode(&self, key: &str, payload: &ZBytes) -> Result<f64, Refusal> {
        self.mapping.judge_size(key, payload.len(), self.edge.limits.sample_bytes_max)?;
        self.mapping.decode(key, &payload.to_bytes())
    }

    fn offer(&self, value: f64) {
        let sensor = self.mapping.sensor.clone();
        let key = StreamKey { source: SourceId::Bridge, what: sensor.to_string() };
        let origin_ms = self.edge.wall_ms();
        let sample = CoreSample { sensor, value, unit: self.mapping.unit, origin_ms, tier: Tier::T1 };
        let sequence = self.edge.inbox.next_sequence();
        let body = InputBody::Sampled(vec![sample]);
        self.edge.inbox.offer_stream(key, Input { source: SourceId::Bridge, sequence, body });
    }
}
