//! Evidence for a proposal: the newest signed readings of a sensor, as they came.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use clawmesh_authority::{Capability, Code, NodeId, Refusal};
use serde::{Deserialize, Serialize};

use crate::answer::Fault;
use crate::router::Shared;

/// The most sensors one question may name.
pub const SENSORS_MAX: usize = 16;
/// The most envelopes of one answer; an envelope on the shelf is no larger than one in a proposal may be.
const ENVELOPES_MAX: usize = 256;

/// What `/api/evidence` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// By sensor as asked, then by node.
    pub envelopes: Vec<SignedReading>,
}

/// The newest envelope of one node that holds a reading of one sensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReading {
    /// Who signed it.
    pub node: NodeId,
    /// The sensor.
    pub sensor: String,
    /// The bytes, in hexadecimal.
    pub envelope: String,
}

pub(crate) async fn evidence(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<Evidence>, Fault> {
    let Query(query) = query.map_err(|rejection| Fault::invalid(rejection.body_text()))?;
    let mut envelopes = Vec::new();
    for sensor in sensors_in(&query)? {
        for (node, envelope) in shared.ports.neighbours.evidence(&sensor) {
            if envelopes.len() >= ENVELOPES_MAX {
                return Err(too_many().into());
            }
            envelopes.push(SignedReading { node, sensor: sensor.to_string(), envelope: hex(&envelope) });
        }
    }
    Ok(Json(Evidence { envelopes }))
}

fn sensors_in(query: &[(String, String)]) -> Result<Vec<Capability>, Fault> {
    if !(1..=SENSORS_MAX).contains(&query.len()) {
        let count = query.len();
        return Err(Fault::invalid(format!(
            "the query takes `sensor`, a capability, 1 to {SENSORS_MAX} times, and has {count} entries"
        )));
    }
    let sensor = |(name, value): &(String, String)| {
        if name != "sensor" {
            let name: String = name.chars().take(40).collect();
            return Err(Fault::invalid(format!("the query takes `sensor` and nothing else, not {name:?}")));
        }
        Capability::new(value).map_err(|fault| Fault::invalid(format!("`sensor`: {fault}")))
    };
    query.iter().map(sensor).collect()
}

fn too_many() -> Refusal {
    let sentence = format!("more than {ENVELOPES_MAX} envelopes hold these sensors; ask for fewer at once");
    Refusal::new(Code::LimitExceeded, "evidence", sentence)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
