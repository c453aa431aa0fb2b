//! The columns of a row, as its record dictates them. Pure.

use std::fmt::Write as _;

use clawmesh_authority::Lane;
use clawmesh_core::intake::SourceId;
use clawmesh_core::replay::Record;

/// The source column of records that the core itself makes.
const CORE: &str = "core";

/// The tick a record belongs to.
#[must_use]
pub fn tick(record: &Record) -> u64 {
    match record {
        Record::RunStarted(settings) => settings.tick_before,
        Record::Input(stamped) => stamped.tick,
        Record::Digest(digest) => digest.tick,
        Record::Kept(kept) => kept.tick,
    }
}

/// The promise under which a record is kept: everything but samples and digests is committed at once.
#[must_use]
pub fn lane(record: &Record) -> Lane {
    match record {
        Record::RunStarted(_) | Record::Kept(_) => Lane::State,
        Record::Input(stamped) => stamped.input.lane(),
        Record::Digest(_) => Lane::Stream,
    }
}

/// The number of a lane in the file.
#[must_use]
pub fn lane_number(lane: Lane) -> u8 {
    match lane {
        Lane::State => 0,
        Lane::Stream => 1,
    }
}

/// The lane with this number in the file.
#[must_use]
pub fn lane_of_number(number: u8) -> Option<Lane> {
    match number {
        0 => Some(Lane::State),
        1 => Some(Lane::Stream),
        _ => None,
    }
}

/// The name of a record's kind.
#[must_use]
pub fn kind(record: &Record) -> &'static str {
    match record {
        Record::RunStarted(_) => RUN_STARTED,
        Record::Input(stamped) => stamped.input.body.kind(),
        Record::Digest(_) => "digest",
        Record::Kept(_) => "kept",
    }
}

/// The kind of the record a run begins with.
pub const RUN_STARTED: &str = "run_started";

/// The kind of a sample of the clocks.
pub const CLOCK_SAMPLED: &str = "clock_sampled";

/// The sequence a record itself claims to have.
#[must_use]
pub fn claimed_sequence(record: &Record) -> Option<u64> {
    match record {
        Record::Input(stamped) => Some(stamped.journal_sequence),
        Record::RunStarted(_) | Record::Digest(_) | Record::Kept(_) => None,
    }
}

/// The text of the source column. Many rows in a row have the same source, so the last text is kept.
#[derive(Debug, Default)]
pub struct SourceText {
    of: Option<SourceId>,
    text: String,
}

impl SourceText {
    /// The source of `record` as text.
    pub fn of(&mut self, record: &Record) -> &str {
        let Record::Input(stamped) = record else { return CORE };
        if self.of != Some(stamped.input.source) {
            self.text.clear();
            // Writing to a String cannot fail.
            let _ = write!(self.text, "{}", stamped.input.source);
            self.of = Some(stamped.input.source);
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_authority::NodeId;
    use clawmesh_core::intake::{Input, InputBody, StampedInput};

    #[test]
    fn the_text_of_a_source_follows_the_source() {
        let from = |source| {
            let input = Input { source, sequence: 0, body: InputBody::ClockSampled { unix_ms: 0, up_ms: 0 } };
            Record::Input(StampedInput { journal_sequence: 1, tick: 1, input })
        };
        let (mut text, node) = (SourceText::default(), NodeId([3; 32]));
        for source in [SourceId::Clock, SourceId::Node(node), SourceId::Node(node), SourceId::Gateway] {
            assert_eq!(text.of(&from(source)), source.to_string());
        }
    }

    #[test]
    fn every_lane_has_a_number_of_its_own() {
        for lane in [Lane::State, Lane::Stream] {
            assert_eq!(lane_of_number(lane_number(lane)), Some(lane));
        }
        assert_eq!(lane_of_number(2), None);
    }
}
