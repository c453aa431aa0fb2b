//! Latest wins, in any order, and what comes back is what a node would have known without the restart.

use std::collections::BTreeMap;

use clawmesh_authority::envelope::{Receipt, seal};
use clawmesh_authority::{
    Body, Frame, Hlc, LaneMark, MeshId, NodeDescription, NodeKey, Observation, ReadingBatch, Statement, Tier,
    Value,
};
use clawmesh_core::intake::{Input, SourceId, StampedInput};
use clawmesh_core::replay::Record;
use proptest::prelude::*;

use super::*;
use crate::schema;

fn table() -> Connection {
    let mut conn = Connection::open_in_memory().unwrap();
    schema::migrate(&mut conn, Path::new("memory")).unwrap();
    conn
}

fn reloaded(conn: &Connection) -> Vec<InputBody> {
    Memory::load(conn, Path::new("memory")).unwrap().1.inputs
}

fn remember_all(conn: &Connection, bodies: &[InputBody]) {
    let (mut memory, _) = Memory::load(conn, Path::new("memory")).unwrap();
    for body in bodies {
        memory.remember(0, body);
    }
    memory.store(conn).unwrap();
}

fn observation(subject: u8) -> Observation {
    Observation {
        key: format!("zone-{subject}/gate"),
        value: Value::Flag(true),
        unit: None,
        origin_ms: 0,
        tier: Tier::T1,
    }
}

fn key(source: u8) -> NodeKey {
    NodeKey::from_secret(&[source; 32])
}

/// Who says it, in which run and place, about what.
type Said = (u8, u64, u64, u8);

fn envelope(said: Said) -> InputBody {
    let (source, epoch, sequence, what) = said;
    let body = match what {
        0 => Body::Readings(ReadingBatch(Vec::new())),
        1 => Body::Receipt(Receipt { source: key(source).id(), epoch: 1, sequence: 1 }),
        subject => Body::Frame(Frame::Observation(observation(subject))),
    };
    let statement = Statement { mesh: MeshId::of_name("barn"), epoch, sequence, hlc: Hlc::default(), body };
    InputBody::Envelope { lane: statement.lane(), bytes: seal(&key(source), &statement) }
}

fn recorded(subject: u8, wall_ms: u64, logical: u32) -> InputBody {
    InputBody::Recorded { observation: observation(subject), hlc: Some(Hlc { wall_ms, logical }) }
}

fn expected_marks(said: &[Said]) -> Vec<InputBody> {
    let mut marks = BTreeMap::<NodeId, [LaneMark; 2]>::new();
    for (source, epoch, sequence, what) in said {
        let lanes = marks.entry(key(*source).id()).or_default();
        let _ = lanes[usize::from(*what == 0)].admit(*epoch, *sequence);
    }
    // A mark that was never moved is not worth a row.
    marks.retain(|_, lanes| *lanes != [LaneMark::default(); 2]);
    marks.into_iter().map(|(node, [state, stream])| InputBody::MarkRestored { node, state, stream }).collect()
}

fn expected_frames(said: &[Said]) -> Vec<InputBody> {
    let mut newest = BTreeMap::new();
    for (source, epoch, sequence, what) in said.iter().filter(|(.., what)| *what > 1) {
        let kept = newest.entry((key(*source).id(), *what)).or_insert((*epoch, *sequence, *source));
        *kept = (*kept).max((*epoch, *sequence, *source));
    }
    let mut kept: Vec<_> = newest.into_iter().map(|((node, what), kept)| (node, kept, what)).collect();
    kept.sort_by_key(|(node, (epoch, sequence, _), what)| (*node, *epoch, *sequence, *what));
    let recovered = |(_, (epoch, sequence, source), what)| match envelope((source, epoch, sequence, what)) {
        InputBody::Envelope { bytes, .. } => InputBody::Recovered { bytes, newest: None },
        other => other,
    };
    kept.into_iter().map(recovered).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_newest_of_each_source_and_subject_is_kept_and_every_mark(
        said in prop::collection::vec((1_u8..4, 1_u64..4, 0_u64..30, 0_u8..5), 0..40),
        restart_at in 0_usize..40,
    ) {
        // One (source, epoch, sequence) is one statement.
        let said: Vec<Said> =
            said.into_iter().map(|(source, epoch, sequence, what)| (source, epoch, sequence * 5 + u64::from(what), what)).collect();
        let bodies: Vec<InputBody> = said.iter().copied().map(envelope).collect();
        let conn = table();
        let (before, after) = bodies.split_at(restart_at.min(bodies.len()));
        remember_all(&conn, before);
        remember_all(&conn, after);
        let expected: Vec<InputBody> = expected_marks(&said).into_iter().chain(expected_frames(&said)).collect();
        prop_assert_eq!(reloaded(&conn), expected);
    }

    #[test]
    fn what_was_recorded_last_about_a_key_comes_back_in_hybrid_time(
        seen in prop::collection::vec((0_u8..4, 0_u64..20, 0_u32..3), 0..30),
    ) {
        let bodies: Vec<InputBody> = seen.iter().map(|(key, wall, logical)| recorded(*key, *wall, *logical)).collect();
        let conn = table();
        remember_all(&conn, &bodies);
        // The clock may be set back in between: what was said later holds all the same.
        let newest: BTreeMap<u8, (u64, u32)> =
            seen.into_iter().map(|(key, wall, logical)| (key, (wall, logical))).collect();
        let times: Vec<Hlc> = reloaded(&conn).iter().map(hlc_of).collect();
        prop_assert!(times.is_sorted());
        let mut back = reloaded(&conn);
        back.sort_by_key(|body| format!("{body:?}"));
        let mut expected: Vec<InputBody> =
            newest.into_iter().map(|(key, (wall, logical))| recorded(key, wall, logical)).collect();
        expected.sort_by_key(|body| format!("{body:?}"));
        prop_assert_eq!(back, expected);
    }
}

fn hlc_of(body: &InputBody) -> Hlc {
    match body {
        InputBody::Recorded { hlc: Some(hlc), .. } => *hlc,
        other => panic!("{other:?} was recorded by nobody"),
    }
}

#[test]
fn feeding_back_what_was_recovered_changes_nothing() {
    let conn = table();
    remember_all(&conn, &[envelope((1, 1, 0, 2)), envelope((2, 9, 4, 0)), recorded(3, 5, 0)]);
    let first = reloaded(&conn);
    assert_eq!(first.len(), 4);
    remember_all(&conn, &first);
    assert_eq!(reloaded(&conn), first);
    let stale = InputBody::MarkRestored {
        node: key(1).id(),
        state: LaneMark { epoch: 99, next: 99, skipped: 99 },
        stream: LaneMark::default(),
    };
    remember_all(&conn, &[stale]);
    assert_eq!(reloaded(&conn), first);
}

/// A bundle of frames about these subjects, the first with the sequence `first`.
fn bundle(first: u64, subjects: &[u8]) -> InputBody {
    let said = |(sequence, subject): (u64, &u8)| {
        let frame = Frame::Observation(observation(*subject));
        envelope::Said { sequence, hlc: Hlc::default(), frame }
    };
    let frames = (first..).zip(subjects).map(said).collect();
    let statement = Statement::of_frames(MeshId::of_name("barn"), 1, None, frames);
    InputBody::Envelope { lane: Lane::State, bytes: seal(&key(1), &statement) }
}

/// Writes a row as the journal has it, and remembers it.
fn journaled(conn: &Connection, memory: &mut Memory, sequence: u64, body: &InputBody) {
    let input = Input { source: SourceId::Node(key(1).id()), sequence: 0, body: body.clone() };
    let record = Record::Input(StampedInput { journal_sequence: sequence, tick: 1, input });
    let insert = "INSERT INTO journal (sequence, tick, lane, kind, source, record, chain) VALUES (?1, 1, 0, 'x', 'x', ?2, ?3)";
    let chain = [0_u8; 32];
    conn.execute(insert, rusqlite::params![sequence.cast_signed(), canonical::encode(&record), chain])
        .unwrap();
    memory.remember(sequence, body);
}

#[test]
fn a_bundle_comes_back_once_before_what_was_said_later_until_nothing_of_it_holds() {
    let conn = table();
    let (mut memory, _) = Memory::load(&conn, Path::new("memory")).unwrap();
    let (first, alone) = (bundle(1, &[2, 3, 4]), envelope((1, 1, 7, 3)));
    journaled(&conn, &mut memory, 1, &first);
    journaled(&conn, &mut memory, 2, &alone);
    memory.store(&conn).unwrap();
    let recovered = |body: &InputBody, newest: Option<&[u64]>| match body {
        InputBody::Envelope { bytes, .. } => {
            InputBody::Recovered { bytes: bytes.clone(), newest: newest.map(<[u64]>::to_vec) }
        }
        other => other.clone(),
    };
    let back = reloaded(&conn);
    assert!(matches!(back[0], InputBody::MarkRestored { state: LaneMark { next: 8, .. }, .. }));
    assert_eq!(back[1..], [recovered(&first, Some(&[1, 3])), recovered(&alone, None)]);
    let newer = bundle(8, &[2, 4]);
    journaled(&conn, &mut memory, 3, &newer);
    memory.store(&conn).unwrap();
    assert_eq!(reloaded(&conn)[1..], [recovered(&alone, None), recovered(&newer, Some(&[8, 9]))]);
    for damage in [
        "UPDATE journal SET record = x'00' WHERE sequence = 3",
        "UPDATE journal SET record = (SELECT record FROM journal WHERE sequence = 1) WHERE sequence = 3",
    ] {
        conn.execute(damage, []).unwrap();
        let error = Memory::load(&conn, Path::new("memory")).unwrap_err().to_string();
        assert!(error.contains("row 3, which is kept of a node"), "{damage}: {error}");
    }
}

#[test]
fn of_a_bundle_that_begins_with_what_was_heard_the_rest_is_kept_and_moves_the_mark() {
    let conn = table();
    let (mut memory, _) = Memory::load(&conn, Path::new("memory")).unwrap();
    let (head, whole) = (bundle(1, &[2, 3]), bundle(1, &[2, 3, 4, 5]));
    journaled(&conn, &mut memory, 1, &head);
    journaled(&conn, &mut memory, 2, &whole);
    memory.store(&conn).unwrap();
    let back = reloaded(&conn);
    assert!(matches!(back[0], InputBody::MarkRestored { state: LaneMark { next: 5, .. }, .. }));
    let newest = |body: &InputBody| match body {
        InputBody::Recovered { newest, .. } => newest.clone(),
        _ => None,
    };
    assert_eq!(back.iter().filter_map(newest).collect::<Vec<_>>(), [vec![1, 2], vec![3, 4]]);
}

#[test]
fn what_found_no_place_does_not_come_back_with_the_rest_of_a_bundle() {
    let conn = table();
    let (mut memory, _) = Memory::load(&conn, Path::new("memory")).unwrap();
    let source = key(1).id();
    for at in 0..SUBJECTS_PER_SOURCE_MAX - 1 {
        let said = Statement {
            mesh: MeshId::of_name("barn"),
            epoch: 0,
            sequence: at as u64,
            hlc: Hlc::default(),
            body: Body::Frame(Frame::Observation(Observation { key: format!("key-{at}"), ..observation(0) })),
        };
        memory.retained.keep_frame(source, &said, Vec::new);
    }
    // Only the first of the two has a place, and nothing later about the second one ever will.
    journaled(&conn, &mut memory, 1, &bundle(1, &[2, 3]));
    conn.execute_batch("BEGIN").unwrap();
    memory.store(&conn).unwrap();
    conn.execute_batch("COMMIT").unwrap();
    let believed: Vec<_> = reloaded(&conn)
        .into_iter()
        .filter_map(|body| match body {
            InputBody::Recovered { newest, .. } => newest,
            _ => None,
        })
        .collect();
    assert_eq!(believed, [vec![1]]);
}

#[test]
fn bundles_that_come_back_are_bounded_and_the_oldest_stay_away() {
    let conn = table();
    let (mut memory, _) = Memory::load(&conn, Path::new("memory")).unwrap();
    let long = |first: u64| {
        let said = |at: u64| {
            if (first, at) == (100, 0) {
                let frame = Frame::Description(NodeDescription {
                    name: "pump".to_owned(),
                    role: "field".to_owned(),
                    version: "1".to_owned(),
                    sensors: Vec::new(),
                });
                return envelope::Said { sequence: first, hlc: Hlc::default(), frame };
            }
            let key = format!("zone-{first}/{at}");
            let value = Value::Text("x".repeat(450));
            let frame = Frame::Observation(Observation { key, value, ..observation(0) });
            envelope::Said { sequence: first + at, hlc: Hlc::default(), frame }
        };
        let statement = Statement::of_frames(MeshId::of_name("barn"), 1, None, (0..30).map(said).collect());
        InputBody::Envelope { lane: Lane::State, bytes: seal(&key(1), &statement) }
    };
    conn.execute_batch("BEGIN").unwrap();
    for at in 1..=1_200 {
        journaled(&conn, &mut memory, at, &long(at * 100));
    }
    memory.store(&conn).unwrap();
    conn.execute_batch("COMMIT").unwrap();
    let back = reloaded(&conn);
    let bytes: usize = back.iter().map(|body| canonical::encode(body).len()).sum();
    assert!(
        (1_000..1_200).contains(&back.len()) && bytes < 17 * 1024 * 1024,
        "{} of {bytes} bytes",
        back.len()
    );
    let InputBody::Envelope { bytes: last, .. } = long(120_000) else { unreachable!() };
    assert!(matches!(back.last(), Some(InputBody::Recovered { bytes, .. }) if *bytes == last));
    let InputBody::Envelope { bytes: oldest, .. } = long(100) else { unreachable!() };
    let is_oldest = |body: &InputBody| matches!(body, InputBody::Recovered { bytes, .. } if *bytes == oldest);
    assert!(is_oldest(&back[1]), "it says who the node is");
}

#[test]
fn damage_to_what_a_start_believes_is_found() {
    for damage in [
        "UPDATE mark SET next = next - 1",
        "UPDATE mark SET epoch = epoch + 1",
        "UPDATE mark SET lane = 1 - lane",
        "UPDATE retained SET subject = subject || 'x'",
        "UPDATE retained SET minor = minor + 1 WHERE source = x''",
        "UPDATE retained SET bytes = cast(substr(bytes, 1, length(bytes) - 1) || x'77' AS BLOB)",
        "UPDATE retained SET \"check\" = x''",
    ] {
        let conn = table();
        remember_all(&conn, &[envelope((1, 7, 4, 2)), recorded(3, 5, 0)]);
        assert_ne!(conn.execute(damage, []).unwrap(), 0, "{damage}");
        let error = Memory::load(&conn, Path::new("memory")).unwrap_err().to_string();
        assert!(error.contains("is not what was written"), "{damage}: {error}");
    }
}

#[test]
fn numbers_beyond_the_signed_range_keep_their_order() {
    let conn = table();
    let late = envelope((1, u64::MAX, u64::MAX - 1, 2));
    remember_all(
        &conn,
        &[envelope((1, 1, 1, 2)), late.clone(), envelope((1, 2, 2, 2)), envelope((1, 3, 0, 3))],
    );
    let back = reloaded(&conn);
    let InputBody::Envelope { bytes, .. } = late else { unreachable!() };
    assert_eq!(back.last(), Some(&InputBody::Recovered { bytes, newest: None }));
    assert!(matches!(back[0], InputBody::MarkRestored { state: LaneMark { epoch: u64::MAX, .. }, .. }));
}

#[test]
fn one_source_cannot_fill_the_disk() {
    let conn = table();
    let (mut memory, _) = Memory::load(&conn, Path::new("memory")).unwrap();
    let about = |at: usize, wall_ms| InputBody::Recorded {
        observation: Observation { key: format!("key-{at}"), ..observation(0) },
        hlc: Some(Hlc { wall_ms, logical: 0 }),
    };
    conn.execute_batch("BEGIN").unwrap();
    for at in 0..=SUBJECTS_PER_SOURCE_MAX {
        memory.remember(0, &about(at, 1));
    }
    memory.remember(0, &about(0, 2));
    memory.store(&conn).unwrap();
    conn.execute_batch("COMMIT").unwrap();
    let back = reloaded(&conn);
    assert_eq!(back.len(), SUBJECTS_PER_SOURCE_MAX);
    assert_eq!(back.last(), Some(&about(0, 2)), "what is kept already can still be replaced");
    let (mut memory, _) = Memory::load(&conn, Path::new("memory")).unwrap();
    memory.remember(0, &about(SUBJECTS_PER_SOURCE_MAX + 1, 1));
    memory.store(&conn).unwrap();
    assert_eq!(reloaded(&conn).len(), SUBJECTS_PER_SOURCE_MAX, "the bound outlives a restart");
}

#[test]
fn what_programs_note_takes_no_room_from_what_the_node_keeps_of_its_own() {
    let conn = table();
    let (mut memory, _) = Memory::load(&conn, Path::new("memory")).unwrap();
    let noted = |at: usize| InputBody::Recorded {
        observation: Observation { key: format!("key-{at}"), ..observation(0) },
        hlc: Some(Hlc { wall_ms: 1, logical: 0 }),
    };
    conn.execute_batch("BEGIN").unwrap();
    for at in 0..=SUBJECTS_PER_SOURCE_MAX {
        memory.remember(0, &noted(at));
    }
    let kept = KeptRecord { tick: 1, subject: "spending".to_owned(), bytes: vec![1] };
    memory.keep(7, &kept);
    memory.store(&conn).unwrap();
    conn.execute_batch("COMMIT").unwrap();
    let back = reloaded(&conn);
    assert_eq!(back.len(), SUBJECTS_PER_SOURCE_MAX + 1);
    assert!(back.contains(&InputBody::Recalled { subject: kept.subject, bytes: kept.bytes }));
    let (mut memory, _) = Memory::load(&conn, Path::new("memory")).unwrap();
    memory.remember(0, &noted(SUBJECTS_PER_SOURCE_MAX + 1));
    memory.store(&conn).unwrap();
    assert_eq!(reloaded(&conn).len(), SUBJECTS_PER_SOURCE_MAX + 1, "what is kept takes no room from notes");
}

#[test]
fn what_cannot_be_read_is_left_to_the_core_to_refuse() {
    let conn = table();
    let noise = |lane| InputBody::Envelope { lane, bytes: b"noise".to_vec() };
    remember_all(&conn, &[noise(Lane::State), noise(Lane::Stream)]);
    assert_eq!(reloaded(&conn), []);
}
