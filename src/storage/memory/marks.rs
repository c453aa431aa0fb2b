//! How far each source has been heard on each lane.

use std::collections::BTreeMap;
use std::path::Path;

use clawmesh_authority::{Admission, Lane, LaneMark, NodeId};
use clawmesh_core::intake::InputBody;
use rusqlite::{Connection, params};

use super::check_of;
use crate::error::JournalError;
use crate::row;

/// The most nodes whose marks are kept. A mesh is far smaller, and only pinned nodes get this far.
pub const SOURCES_MAX: usize = 4_096;

#[derive(Debug, Default)]
struct Held {
    /// By the number of the lane.
    lanes: [LaneMark; 2],
    is_unsaved: [bool; 2],
}

/// The marks of all sources, in memory; the table follows at each commit.
#[derive(Debug, Default)]
pub struct Marks {
    held: BTreeMap<NodeId, Held>,
    has_unsaved: bool,
}

impl Marks {
    /// Reads the table.
    pub fn load(conn: &Connection, path: &Path) -> Result<Self, JournalError> {
        let fault = |source| JournalError::of("read the marks", source, path);
        let mut marks = Self::default();
        let mut select =
            conn.prepare("SELECT source, lane, epoch, next, skipped, \"check\" FROM mark").map_err(fault)?;
        let mut rows = select.query([]).map_err(fault)?;
        while let Some(found) = rows.next().map_err(fault)? {
            let source: Vec<u8> = found.get(0).map_err(fault)?;
            let lane: u8 = found.get(1).map_err(fault)?;
            let number = |column| found.get(column).map(i64::cast_unsigned).map_err(fault);
            let mark = LaneMark { epoch: number(2)?, next: number(3)?, skipped: number(4)? };
            let (Ok(source), Some(lane)) = (<[u8; 32]>::try_from(source), row::lane_of_number(lane)) else {
                return Err(JournalError::damaged("a mark names no node or no lane", path));
            };
            let check: Vec<u8> = found.get(5).map_err(fault)?;
            if check != check_of_mark(NodeId(source), lane, mark) {
                return Err(JournalError::damaged("a mark is not what was written", path));
            }
            marks.held.entry(NodeId(source)).or_default().lanes[place(lane)] = mark;
        }
        Ok(marks)
    }

    /// Moves the mark of `source` past (epoch, sequence), unless that was heard before; says so.
    pub fn admit(&mut self, source: NodeId, lane: Lane, epoch: u64, sequence: u64) -> Admission {
        if self.held.len() >= SOURCES_MAX && !self.held.contains_key(&source) {
            tracing::warn!(%source, "no mark is kept: there are marks of {SOURCES_MAX} nodes already");
            return Admission::Next;
        }
        let held = self.held.entry(source).or_default();
        let admission = held.lanes[place(lane)].admit(epoch, sequence);
        if admission != Admission::Replayed {
            held.is_unsaved[place(lane)] = true;
            self.has_unsaved = true;
        }
        admission
    }

    /// Writes the marks that moved.
    pub fn store(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        if !std::mem::take(&mut self.has_unsaved) {
            return Ok(());
        }
        let mut upsert = conn.prepare_cached(
            "INSERT OR REPLACE INTO mark (source, lane, epoch, next, skipped, \"check\") \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for (source, held) in &mut self.held {
            for lane in [Lane::State, Lane::Stream] {
                if std::mem::take(&mut held.is_unsaved[place(lane)]) {
                    let mark = held.lanes[place(lane)];
                    let LaneMark { epoch, next, skipped } = mark;
                    upsert.execute(params![
                        source.0,
                        row::lane_number(lane),
                        epoch.cast_signed(),
                        next.cast_signed(),
                        skipped.cast_signed(),
                        check_of_mark(*source, lane, mark)
                    ])?;
                }
            }
        }
        Ok(())
    }

    /// The marks as inputs of a new run, by node.
    pub fn restored(&self) -> Vec<InputBody> {
        let restore = |(node, held): (&NodeId, &Held)| InputBody::MarkRestored {
            node: *node,
            state: held.lanes[place(Lane::State)],
            stream: held.lanes[place(Lane::Stream)],
        };
        self.held.iter().map(restore).collect()
    }
}

fn check_of_mark(source: NodeId, lane: Lane, mark: LaneMark) -> [u8; 32] {
    let LaneMark { epoch, next, skipped } = mark;
    let numbers = [epoch, next, skipped].map(u64::to_le_bytes);
    let [epoch, next, skipped] = numbers.each_ref().map(<[u8; 8]>::as_slice);
    check_of("mark", &[&source.0, &[row::lane_number(lane)], epoch, next, skipped])
}

fn place(lane: Lane) -> usize {
    usize::from(row::lane_number(lane))
}
