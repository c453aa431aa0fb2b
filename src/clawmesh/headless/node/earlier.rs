//! What earlier runs left, told to the tick of this one.

use std::collections::BTreeMap;

use super::start::Start;
use clawmesh_authority::{LaneMark, NodeId, envelope};
use clawmesh_core::Settings;
use clawmesh_core::intake::{InboxHandle, InputBody, SourceId};

/// Tells the tick what earlier runs left, before anything else comes.
pub(super) fn feed_earlier(
    inbox: &InboxHandle,
    recovered: Vec<InputBody>,
    start: &Start,
) -> anyhow::Result<()> {
    let stop = start.latch.why().map(|reason| InputBody::StopLatched { reason, stops: 0 });
    let restored = start.restored.as_ref().map(|record| record.at_unix_ms);
    let restored = restored.map(|at_unix_ms| InputBody::Restored { at_unix_ms });
    let recovered = recovered.into_iter().map(|body| recheck(body, &start.settings));
    for body in recovered.chain(restored).chain(stop) {
        inbox.offer_own(SourceId::Journal, body, None).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    }
    Ok(())
}

/// What is kept beside the journal's chain is believed only if its signature still holds.
fn recheck(body: InputBody, settings: &Settings) -> InputBody {
    let InputBody::Recovered { bytes, .. } = &body else { return body };
    match envelope::open(bytes, settings.mesh()) {
        Ok(_) => body,
        Err(refusal) => InputBody::Refused { refusal, count: 1 },
    }
}

pub(super) fn marks_in(recovered: &[InputBody]) -> BTreeMap<NodeId, (LaneMark, LaneMark)> {
    let marks = recovered.iter().filter_map(|body| match body {
        InputBody::MarkRestored { node, state, stream } => Some((*node, (*state, *stream))),
        _ => None,
    });
    marks.collect()
}
