//! The newest state-lane content of each source about each subject.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clawmesh_authority::{
    Body, DESCRIPTION_SUBJECT, Frame, Hlc, NodeId, Observation, Statement, canonical, envelope,
};
use clawmesh_core::intake::{InputBody, StampedInput};
use clawmesh_core::replay::{KeptRecord, Record};
use clawmesh_core::world::BELIEFS_MAX;
use minicbor::{Decode, Encode};
use rusqlite::{Connection, params};

use super::check_of;
use crate::error::JournalError;

/// The most subjects kept of one source: as many as a world holds beliefs, and the description of the source.
pub const SUBJECTS_PER_SOURCE_MAX: usize = BELIEFS_MAX + 1;

/// The most bytes of bundles of one source that come back at a start, the newest first.
pub const BUNDLE_BYTES_PER_SOURCE_MAX: usize = 16 * 1024 * 1024;

/// Nobody's node id has this length: content of this node itself.
const OWN: &[u8] = &[];
/// How the subject of something of our own begins; no subject of an observation does.
const KEPT: &str = "kept/";

/// What decides which of two contents is later: (epoch, sequence), or hybrid time.
type Version = (u64, u64);

/// What is kept in place of a frame of a bundle: where the journal has the bundle, and what tells whether it is that one.
#[derive(Debug, Encode, Decode)]
pub struct BundleRow {
    /// The row of the journal.
    #[n(0)]
    pub sequence: u64,
    /// BLAKE3 of the envelope.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub hash: [u8; 32],
}

/// What is in the table, by source and subject, so that one source cannot fill the disk, and what of it is still to be
/// written: of what is said several times before a commit, only the last is.
#[derive(Debug, Default)]
pub struct Retained {
    versions: BTreeMap<Vec<u8>, BTreeMap<String, Version>>,
    unsaved: BTreeMap<(Vec<u8>, String), (Version, Vec<u8>)>,
    is_told: BTreeSet<Vec<u8>>,
}

struct Row {
    source: Vec<u8>,
    subject: String,
    version: Version,
    bytes: Vec<u8>,
    check: Vec<u8>,
}

impl Row {
    fn is_as_written(&self) -> bool {
        self.check == check_of_row(&self.source, &self.subject, self.version, &self.bytes)
    }
}

impl Retained {
    /// Reads the table: the counts, and the contents as inputs of a new run.
    pub fn load(conn: &Connection, path: &Path) -> Result<(Self, Vec<InputBody>), JournalError> {
        let rows =
            load_rows(conn).map_err(|source| JournalError::of("read what is retained", source, path))?;
        if !rows.iter().all(Row::is_as_written) {
            return Err(JournalError::damaged("what is kept of a node is not what was written", path));
        }
        let mut retained = Self::default();
        for row in &rows {
            retained.versions.entry(row.source.clone()).or_default().insert(row.subject.clone(), row.version);
        }
        let (own, others): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.source == OWN);
        let mut inputs = recovered(conn, others, path)?;
        for row in own {
            let recorded = canonical::decode(&row.bytes)
                .map_err(|fault| JournalError::damaged(format!("a retained input is {fault}"), path))?;
            inputs.push(recorded);
        }
        Ok((retained, inputs))
    }

    /// Keeps what `source` said if it is a frame, and later than what is kept of it about its subject: `bytes` is its
    /// envelope, or the [`BundleRow`] of it.
    pub fn keep_frame(&mut self, source: NodeId, said: &Statement, bytes: impl FnOnce() -> Vec<u8>) {
        if let Body::Frame(frame) = &said.body {
            self.keep(&source.0, frame.subject(), (said.epoch, said.sequence), bytes);
        }
    }

    /// Keeps what somebody at this node recorded. What comes later in the journal replaces what came before, also
    /// when the clock was set back in between and the hybrid time with it.
    pub fn keep_own(&mut self, body: &InputBody, observation: &Observation, hlc: Hlc) {
        let subject = Frame::Observation(observation.clone()).subject();
        self.keep(OWN, subject, (hlc.wall_ms, u64::from(hlc.logical)), || canonical::encode(body));
    }

    /// Keeps something of our own. Its subjects are places and names of this software and not many, and what programs note
    /// never takes their room.
    pub fn keep_kept(&mut self, sequence: u64, kept: &KeptRecord) {
        let body = InputBody::Recalled { subject: kept.subject.clone(), bytes: kept.bytes.clone() };
        self.keep(OWN, format!("{KEPT}{}", kept.subject), (0, sequence), || canonical::encode(&body));
    }

    fn keep(&mut self, source: &[u8], subject: String, version: Version, bytes: impl FnOnce() -> Vec<u8>) {
        let kept = self.versions.get(source).and_then(|subjects| subjects.get(&subject)).copied();
        match kept {
            Some(kept) if kept >= version && source != OWN => return,
            Some(_) => {}
            None if !self.has_place(source, &subject) => return,
            None => {}
        }
        self.versions.entry(source.to_vec()).or_default().insert(subject.clone(), version);
        self.unsaved.insert((source.to_vec(), subject), (version, bytes()));
    }

    /// Writes what is new since the last call; once for each commit.
    pub fn store(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        let mut upsert = conn.prepare_cached(
            "INSERT OR REPLACE INTO retained (source, subject, major, minor, bytes, \"check\") \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for ((source, subject), (version, bytes)) in std::mem::take(&mut self.unsaved) {
            let check = check_of_row(&source, &subject, version, &bytes);
            let (major, minor) = (version.0.cast_signed(), version.1.cast_signed());
            upsert.execute(params![source, subject, major, minor, bytes, check])?;
        }
        Ok(())
    }

    fn has_place(&mut self, source: &[u8], subject: &str) -> bool {
        if is_kept(source, subject) {
            return true;
        }
        let is_full = self.versions.get(source).is_some_and(|subjects| {
            let places = subjects.range(KEPT.to_owned()..).map(|(subject, _)| subject);
            let taken = places.take_while(|subject| is_kept(source, subject)).count();
            subjects.len() - taken >= SUBJECTS_PER_SOURCE_MAX
        });
        if is_full && self.is_told.insert(source.to_vec()) {
            tracing::warn!(
                "a source has {SUBJECTS_PER_SOURCE_MAX} subjects; what it says about others does not outlive this run"
            );
        }
        !is_full
    }
}

/// What comes back of a source.
enum Back {
    /// An envelope with one frame.
    Alone(Vec<u8>),
    /// The bundle in this row of the journal.
    Bundle(u64),
}

/// What is kept of a bundle.
struct KeptBundle {
    source: Vec<u8>,
    hash: [u8; 32],
    /// The sequences of its frames that are the newest about their subjects.
    newest: Vec<u64>,
    /// It says who its source is, without which the rest of what it said means little; one bundle of each source does.
    has_description: bool,
}

/// How much of a source may still come back.
struct Room {
    bytes: usize,
    is_over: bool,
}

/// What other nodes said, oldest first. A bundle holds several subjects and stands in its row of the journal once, so it comes
/// back once, and with it which of its frames are believed. Those of a source that has more than may come back stay away, the
/// oldest first.
fn recovered(conn: &Connection, rows: Vec<Row>, path: &Path) -> Result<Vec<InputBody>, JournalError> {
    let mut bundles: BTreeMap<u64, KeptBundle> = BTreeMap::new();
    let mut back = Vec::new();
    for Row { source, subject, version, bytes, .. } in rows {
        let Ok(BundleRow { sequence, hash }) = canonical::decode(&bytes) else {
            back.push(Back::Alone(bytes));
            continue;
        };
        let bundle = bundles.entry(sequence).or_insert_with(|| {
            back.push(Back::Bundle(sequence));
            KeptBundle { source: source.clone(), hash, newest: Vec::new(), has_description: false }
        });
        if (&bundle.source, bundle.hash) != (&source, hash) {
            return Err(damaged_bundle(sequence, path));
        }
        bundle.newest.push(version.1);
        bundle.has_description |= subject == DESCRIPTION_SUBJECT;
    }
    let mut room: BTreeMap<Vec<u8>, Room> = BTreeMap::new();
    let mut inputs = Vec::new();
    for back in back.into_iter().rev() {
        match back {
            Back::Alone(bytes) => inputs.push(InputBody::Recovered { bytes, newest: None }),
            Back::Bundle(sequence) => {
                inputs.extend(bundle_back(conn, sequence, &mut bundles, &mut room, path)?)
            }
        }
    }
    inputs.reverse();
    Ok(inputs)
}

/// The bundle in row `sequence`, if its source still has room or it says who that is.
fn bundle_back(
    conn: &Connection,
    sequence: u64,
    bundles: &mut BTreeMap<u64, KeptBundle>,
    room: &mut BTreeMap<Vec<u8>, Room>,
    path: &Path,
) -> Result<Option<InputBody>, JournalError> {
    let Some(kept) = bundles.remove(&sequence) else { return Ok(None) };
    let KeptBundle { source, hash, newest, has_description } = kept;
    let full = Room { bytes: BUNDLE_BYTES_PER_SOURCE_MAX, is_over: false };
    let room = room.entry(source.clone()).or_insert(full);
    if room.is_over && !has_description {
        return Ok(None);
    }
    let is_whole = |bytes: &Vec<u8>| {
        let signer = envelope::read_journaled(bytes).map(|opened| opened.source.0.to_vec());
        *blake3::hash(bytes).as_bytes() == hash && signer.is_ok_and(|signer| signer == source)
    };
    let bytes = bundle_in(conn, sequence).filter(is_whole).ok_or_else(|| damaged_bundle(sequence, path))?;
    if bytes.len() > room.bytes && !has_description {
        tracing::warn!(
            "a source has bundles of more than {BUNDLE_BYTES_PER_SOURCE_MAX} bytes; what it says in older ones does not \
             outlive the last run"
        );
        room.is_over = true;
        return Ok(None);
    }
    room.bytes = room.bytes.saturating_sub(bytes.len());
    Ok(Some(InputBody::Recovered { bytes, newest: Some(newest) }))
}

fn damaged_bundle(sequence: u64, path: &Path) -> JournalError {
    let why = format!("row {sequence}, which is kept of a node, does not hold the envelope that was kept");
    JournalError::damaged(why, path)
}

/// The envelope in row `sequence` of the journal.
fn bundle_in(conn: &Connection, sequence: u64) -> Option<Vec<u8>> {
    let mut select = conn.prepare_cached("SELECT record FROM journal WHERE sequence = ?1").ok()?;
    let record: Vec<u8> = select.query_row(params![sequence.cast_signed()], |row| row.get(0)).ok()?;
    match canonical::decode(&record).ok()? {
        Record::Input(StampedInput { input, .. }) => match input.body {
            InputBody::Envelope { bytes, .. } => Some(bytes),
            _ => None,
        },
        _ => None,
    }
}

fn is_kept(source: &[u8], subject: &str) -> bool {
    source == OWN && subject.starts_with(KEPT)
}

fn check_of_row(source: &[u8], subject: &str, (major, minor): Version, bytes: &[u8]) -> [u8; 32] {
    let (major, minor) = (major.to_le_bytes(), minor.to_le_bytes());
    check_of("retained", &[source, subject.as_bytes(), &major, &minor, bytes])
}

fn version_at(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Version> {
    let number = |at| row.get(at).map(i64::cast_unsigned);
    Ok((number(column)?, number(column + 1)?))
}

/// All rows, sorted as a new run wants them; SQL would compare the numbers as signed.
fn load_rows(conn: &Connection) -> rusqlite::Result<Vec<Row>> {
    let mut select = conn.prepare("SELECT source, subject, major, minor, bytes, \"check\" FROM retained")?;
    let read = |row: &rusqlite::Row<'_>| {
        let (source, subject, version) = (row.get(0)?, row.get(1)?, version_at(row, 2)?);
        Ok(Row { source, subject, version, bytes: row.get(4)?, check: row.get(5)? })
    };
    let mut rows: Vec<Row> = select.query_map([], read)?.collect::<rusqlite::Result<_>>()?;
    rows.sort_by(|a, b| (&a.source, a.version).cmp(&(&b.source, b.version)));
    Ok(rows)
}
