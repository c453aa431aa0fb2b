//! What the tick says to others: let out only when the journal holds its cause.

use std::sync::Mutex;
use std::time::Duration;

use clawmesh_authority::envelope::{ENVELOPE_BYTES_MAX, Said};
use clawmesh_authority::{Body, Code, Refusal};
use clawmesh_core::publish::{OutboxReader, Outgoing};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use tokio::sync::watch;
use zenoh::pubsub::Publisher;
use zenoh::qos::CongestionControl;
use zenoh::sample::Locality;
use zenoh::{Session, Wait};

use crate::edge::{Edge, lock};
use crate::keys;
use crate::parcel::{Bounds, Run, is_too_large, pack};
use crate::replies::STOP_POLL;
use crate::retained::{KeptFrame, Retained};

/// How long one look at the journal lasts before we look whether we should stop.
const COMMIT_PATIENCE: Duration = Duration::from_millis(100);

/// Frames for the couriers, and a bell that rings when one more is there.
pub struct Shelf {
    frames: Mutex<Retained>,
    bell: watch::Sender<u64>,
}

impl Shelf {
    /// An empty shelf for `frames_max` frames.
    pub fn new(frames_max: usize) -> Self {
        Self { frames: Mutex::new(Retained::new(frames_max)), bell: watch::Sender::new(0) }
    }

    /// What goes out in one delivery after `sequence`, or from the first frame on; and the sequence of the newest frame.
    pub fn pack(&self, sequence: Option<u64>, bounds: Bounds, wall_ms: u64) -> (Vec<Run>, Option<u64>) {
        let frames = lock(&self.frames);
        (pack(sequence, frames.after(sequence), bounds, wall_ms), frames.newest())
    }

    /// Rings for every frame.
    pub fn bell(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    fn put(&self, subject: Option<String>, frame: KeptFrame) -> Option<u64> {
        let dropped = lock(&self.frames).keep(subject, frame);
        self.bell.send_modify(|rung| *rung = rung.wrapping_add(1));
        dropped
    }
}

/// Puts frames on the shelf, until the bridge stops.
pub fn shelve_frames(edge: &Edge, outbox: &OutboxReader, shelf: &Shelf) {
    while let Some(outgoing) = next(edge, &outbox.state, || false) {
        let said = outgoing.statement;
        // The tick says nothing else on this lane.
        let Body::Frame(frame) = said.body else { continue };
        let frame = KeptFrame::new(Said { sequence: said.sequence, hlc: said.hlc, frame });
        // No peer would take it, and it would keep back every frame after it.
        if is_too_large(&frame) {
            edge.refuse(too_large_to_say(outgoing.subject.as_deref(), frame.bytes));
            continue;
        }
        if let Some(dropped) = shelf.put(outgoing.subject, frame) {
            edge.refuse(shelf_full(dropped, edge.limits.frames_retained_max));
        }
    }
}

/// Seals batches of readings and says them to whoever listens, until the bridge stops or the session ends.
pub fn say_readings(edge: &Edge, outbox: &OutboxReader, session: &Session) {
    let publisher = match publisher(edge, session) {
        Ok(publisher) => publisher,
        Err(_) if session.is_closed() => return,
        Err(fault) => return tracing::error!(%fault, "readings cannot be published"),
    };
    while let Some(outgoing) = next(edge, &outbox.stream, || session.is_closed()) {
        let bytes = edge.seal(&outgoing.statement);
        edge.evidence.put(edge.own, &outgoing.statement, &bytes);
        if let Err(fault) = publisher.put(bytes).wait() {
            tracing::debug!(%fault, "a batch of readings did not leave; listeners see the gap");
        } else if outgoing.statement.body == Body::Leave {
            // Once in a run; whoever waits for it waits once.
            let _ = edge.has_left.try_send(());
        }
    }
}

fn publisher(edge: &Edge, session: &Session) -> zenoh::Result<Publisher<'static>> {
    session
        .declare_publisher(keys::reading_batch(edge.mesh, edge.own))
        .congestion_control(CongestionControl::Drop)
        .allowed_destination(Locality::Remote)
        .wait()
}

/// The next statement whose cause the journal holds; nothing when the bridge stops, or nobody can say it any more.
fn next(edge: &Edge, statements: &Receiver<Outgoing>, is_over: impl Fn() -> bool) -> Option<Outgoing> {
    while !edge.is_stopping() && !is_over() {
        let outgoing = match statements.recv_timeout(STOP_POLL) {
            Ok(outgoing) => outgoing,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        match is_committed(edge, outgoing.cause) {
            Some(true) => return Some(outgoing),
            Some(false) => edge.refuse(never_committed()),
            None => return None,
        }
    }
    None
}

/// Waits until the journal holds `cause`, or never will, or the bridge stops.
fn is_committed(edge: &Edge, cause: u64) -> Option<bool> {
    while !edge.is_stopping() {
        if edge.commits.wait_for(cause, COMMIT_PATIENCE) {
            return Some(true);
        }
        if edge.commits.failure().is_some() {
            return Some(false);
        }
    }
    None
}

fn never_committed() -> Refusal {
    let sentence = "a statement of ours was not sent, because the journal cannot hold its cause; \
                    see what the journal says";
    Refusal::new(Code::JournalUnavailable, "outbox", sentence)
}

fn too_large_to_say(subject: Option<&str>, bytes: usize) -> Refusal {
    let sentence = format!(
        "the frame about {} has {bytes} bytes, nodes take at most {ENVELOPE_BYTES_MAX}; nobody hears it until it is \
         shorter, as with fewer sensors or shorter texts in site.ron",
        subject.unwrap_or("nothing")
    );
    Refusal::new(Code::TooLarge, "outbox", sentence)
}

fn shelf_full(sequence: u64, frames_max: usize) -> Refusal {
    let sentence = format!(
        "frame {sequence} was dropped, because {frames_max} newer ones are kept for peers; \
         record fewer different keys"
    );
    Refusal::new(Code::LimitExceeded, "outbox", sentence)
}
