//! `context.sync`: who connects asks for the frames it has missed.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::code::{Code, Refusal, quoted};
use crate::context::{ContextFrame, FrameKind, NAME_BYTES_MAX};
use crate::fields::Fields;
use crate::log::{Told, newest_in_turns};
use crate::trust::Word as _;

/// How many frames an answer has when nothing else is asked for.
pub const LIMIT_DEFAULT: u64 = 100;
/// The most frames of an answer.
pub const LIMIT_MAX: u64 = 500;
/// The most bytes of the frames of an answer; the message around them has to fit as well.
pub const ANSWER_BYTES_MAX: usize = 768 * 1_024;
/// How many frames we ask for.
pub const ASKED_LIMIT: u64 = 50;
/// How far back we ask at most, in milliseconds.
pub const LOOK_BACK_MS_MAX: u64 = 3_600_000;
/// How much we ask for again, because clocks differ, in milliseconds.
pub const OVERLAP_MS: u64 = 60_000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncParams {
    /// Frames made after this time, Unix milliseconds.
    pub since_ms: u64,
    /// The most frames; never more than [`LIMIT_MAX`] are given.
    pub limit: u64,
    /// Of this kind only.
    pub kind: Option<FrameKind>,
    /// About this zone only.
    pub zone: Option<String>,
}

/// What is asked for, as we write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SyncQuestion {
    /// Frames made after this time, Unix milliseconds.
    pub since: u64,
    /// The most frames.
    pub limit: u64,
}

/// What is answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncAnswer<'a> {
    /// The newest frames that fit, oldest first.
    pub frames: Vec<&'a ContextFrame>,
    /// Our time, Unix milliseconds.
    pub peer_timestamp: u64,
    /// How many frames fit the question, also those that are not in the answer.
    pub total_available: usize,
}

/// What came back, read.
#[derive(Debug)]
pub struct Synced {
    /// The frames that are well-formed, in the order they came.
    pub frames: Vec<ContextFrame>,
    /// Why others were refused, one for each.
    pub refused: Vec<Refusal>,
    /// The time of the other side, if it says so, Unix milliseconds.
    pub peer_ms: Option<u64>,
}

impl SyncParams {
    /// Reads the parameters of `context.sync`; none at all means all defaults.
    ///
    /// # Errors
    /// `INVALID_PARAMS`, naming the field.
    pub fn read(params: Option<&RawValue>) -> Result<Self, Refusal> {
        let Some(params) = params else { return Ok(Self::default()) };
        let fields = Fields::read(params, "context.sync", Code::InvalidParams)?;
        let kind = fields.text("kind", NAME_BYTES_MAX)?;
        let kind = kind.map(|text| {
            let unknown = || fields.wrong("kind", format_args!("is none we know: {}", quoted(&text)));
            FrameKind::of_text(&text).ok_or_else(unknown)
        });
        Ok(Self {
            since_ms: fields.whole_number("since")?.unwrap_or(0),
            limit: fields.whole_number("limit")?.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX),
            kind: kind.transpose()?,
            zone: fields.text("zone", NAME_BYTES_MAX)?.map(|zone| zone.into_owned()),
        })
    }

    fn fits(&self, frame: &ContextFrame) -> bool {
        frame.timestamp_ms > self.since_ms
            && self.kind.is_none_or(|kind| kind == frame.kind)
            && self.zone.as_ref().is_none_or(|zone| frame.zone.as_ref() == Some(zone))
    }
}

impl Default for SyncParams {
    fn default() -> Self {
        Self { since_ms: 0, limit: LIMIT_DEFAULT, kind: None, zone: None }
    }
}

/// Answers a question from all `frames` there are; `unix_ms` is now.
///
/// The answer always fits into a message: when frames are large, fewer are given, and the newest, of each teller in turns.
pub fn answer<'a>(
    params: &SyncParams,
    frames: impl Iterator<Item = &'a Told>,
    unix_ms: u64,
) -> SyncAnswer<'a> {
    let fitting: Vec<&Told> = frames.filter(|told| params.fits(&told.frame)).collect();
    let total_available = fitting.len();
    let limit = usize::try_from(params.limit).unwrap_or(usize::MAX);
    let frames = within(newest_in_turns(fitting.into_iter(), limit), ANSWER_BYTES_MAX);
    let frames = frames.into_iter().map(|told| &told.frame).collect();
    SyncAnswer { frames, peer_timestamp: unix_ms, total_available }
}

/// The newest of these frames, which come oldest first, that fit into so many bytes; oldest first.
#[must_use]
pub fn within(chosen: Vec<&Told>, bytes_max: usize) -> Vec<&Told> {
    let mut bytes = 0;
    let fits = |told: &&Told| {
        let with_it = bytes + told.frame.written_bytes();
        let fits = with_it <= bytes_max;
        bytes = if fits { with_it } else { bytes };
        fits
    };
    let mut given: Vec<&Told> = chosen.into_iter().rev().filter(fits).collect();
    given.reverse();
    given
}

/// What to ask a node we have just connected to; `newest_ms` is when the newest frame it has told us was made, as far
/// as that can be believed ([`Told::made_ms`]): what others told, and stamps from the future, hide nothing that we missed.
#[must_use]
pub fn question(newest_ms: Option<u64>, unix_ms: u64) -> SyncQuestion {
    let an_hour_ago = unix_ms.saturating_sub(LOOK_BACK_MS_MAX);
    let since = newest_ms
        .map_or(an_hour_ago, |newest| newest.min(unix_ms).saturating_sub(OVERLAP_MS).max(an_hour_ago));
    SyncQuestion { since, limit: ASKED_LIMIT }
}

/// Reads an answer to [`question`]; `unix_ms` is now. A frame that is no good spoils no other.
///
/// # Errors
/// `INVALID_PARAMS` when there is no list of frames at all.
pub fn read_answer(payload: Option<&RawValue>, unix_ms: u64) -> Result<Synced, Refusal> {
    let fields = Fields::of_params(payload, "the answer to context.sync")?;
    let wrong = || fields.wrong("frames", "must be a list");
    let raw = fields.raw("frames").ok_or_else(wrong)?;
    let list: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    let mut synced =
        Synced { frames: Vec::new(), refused: Vec::new(), peer_ms: fields.whole_number("peerTimestamp")? };
    // Somebody who sends more than was asked for is not listened to any longer than that.
    for raw in list.into_iter().take(usize::try_from(ASKED_LIMIT).unwrap_or(usize::MAX)) {
        match ContextFrame::read(Some(raw), unix_ms) {
            Ok(frame) => synced.frames.push(frame),
            Err(refusal) => synced.refused.push(refusal),
        }
    }
    Ok(synced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::{NOW_MS, frame, good};
    use crate::frame::{MESSAGE_BYTES_MAX, encode_response};
    use clawmesh_authority::NodeId;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(value: &Value) -> Result<SyncParams, Refusal> {
        SyncParams::read(Some(&serde_json::value::to_raw_value(value).unwrap()))
    }

    /// Frames that one node has told when they were made.
    fn told(frames: Vec<ContextFrame>) -> Vec<Told> {
        let of = |frame: ContextFrame| {
            let received_ms = frame.timestamp_ms;
            Told::new(frame, NodeId([7; 32]), received_ms)
        };
        frames.into_iter().map(of).collect()
    }

    fn ids(answer: &SyncAnswer<'_>) -> Vec<String> {
        answer.frames.iter().map(|frame| frame.frame_id.clone()).collect()
    }

    #[test]
    fn params_have_defaults_and_bounds_and_name_what_is_wrong() {
        assert_eq!(SyncParams::read(None).unwrap(), SyncParams::default());
        assert_eq!(read(&json!({"limit": 9_999})).unwrap().limit, LIMIT_MAX);
        let all = read(&json!({"since": 5, "limit": 7, "kind": "event", "zone": "z"})).unwrap();
        assert_eq!(
            all,
            SyncParams { since_ms: 5, limit: 7, kind: Some(FrameKind::Event), zone: Some("z".into()) }
        );
        for (wrong, named) in [
            (json!({"since": -1}), "`since`"),
            (json!({"limit": "all"}), "`limit`"),
            (json!({"kind": "rumour"}), "`kind`"),
            (json!({"zone": 1}), "`zone`"),
        ] {
            let refusal = read(&wrong).unwrap_err();
            assert!(refusal.code == Code::InvalidParams && refusal.message.contains(named), "{refusal}");
        }
    }

    #[test]
    fn the_newest_frames_after_the_time_are_given_oldest_first() {
        let frames = told((0..10).map(|n| frame("s", &n.to_string(), "m", NOW_MS + n)).collect());
        let params = SyncParams { since_ms: NOW_MS + 2, limit: 3, ..SyncParams::default() };
        let given = answer(&params, frames.iter(), NOW_MS);
        assert_eq!((ids(&given), given.total_available), (vec!["7".into(), "8".into(), "9".into()], 7));
        let text = serde_json::to_value(&given).unwrap();
        assert_eq!((&text["peerTimestamp"], &text["totalAvailable"]), (&json!(NOW_MS), &json!(7)));
        let elsewhere = SyncParams { zone: Some("y".into()), ..SyncParams::default() };
        assert_eq!(answer(&elsewhere, frames.iter(), NOW_MS).total_available, 0);
        let events = SyncParams { kind: Some(FrameKind::Event), ..SyncParams::default() };
        assert_eq!(answer(&events, frames.iter(), NOW_MS).total_available, 0);
    }

    #[test]
    fn no_answer_has_more_than_five_hundred_frames_and_no_node_is_believed_to_have_more_than_we_asked_for() {
        let frames = told((0..600).map(|n| frame("s", &n.to_string(), "m", NOW_MS + n)).collect());
        let given = answer(&SyncParams { limit: LIMIT_MAX, ..SyncParams::default() }, frames.iter(), NOW_MS);
        assert_eq!((given.frames.len(), given.total_available, &*ids(&given)[0]), (500, 600, "100"));
        let raw = serde_json::value::to_raw_value(&given).unwrap();
        assert_eq!(read_answer(Some(&raw), NOW_MS).unwrap().frames.len() as u64, ASKED_LIMIT);
    }

    #[test]
    fn an_answer_fits_into_a_message_however_large_the_frames_are() {
        let data = RawValue::from_string(format!(r#"{{"x":"{}"}}"#, "x".repeat(300_000))).unwrap();
        let large =
            |n: u64| ContextFrame { data: data.clone(), ..frame("s", &n.to_string(), "m", NOW_MS + n) };
        let frames = told((0..9).map(large).collect());
        let given = answer(&SyncParams::default(), frames.iter(), NOW_MS);
        assert_eq!((ids(&given), given.total_available), (vec!["7".into(), "8".into()], 9));
        assert!(encode_response("1", &given).unwrap().len() <= MESSAGE_BYTES_MAX);
    }

    #[test]
    fn we_ask_for_an_hour_at_most_and_a_minute_again() {
        let since = |newest| NOW_MS - question(newest, NOW_MS).since;
        assert_eq!(since(None), LOOK_BACK_MS_MAX);
        assert_eq!(since(Some(NOW_MS)), OVERLAP_MS);
        assert_eq!(since(Some(NOW_MS - 86_400_000)), LOOK_BACK_MS_MAX);
        assert_eq!(since(Some(NOW_MS + 600_000)), OVERLAP_MS, "a stamp from the future hides nothing");
        assert_eq!(question(None, 5).since, 0);
    }

    #[test]
    fn one_bad_frame_spoils_no_other() {
        let mut bad = good();
        bad["data"] = Value::Null;
        let payload = json!({"frames": [good(), bad, 5, good()], "peerTimestamp": 7, "totalAvailable": 4});
        let synced = read_answer(Some(&serde_json::value::to_raw_value(&payload).unwrap()), NOW_MS).unwrap();
        assert_eq!((synced.frames.len(), synced.refused.len(), synced.peer_ms), (2, 2, Some(7)));
        for wrong in [json!({}), json!({"frames": {}}), json!([])] {
            assert!(read_answer(Some(&serde_json::value::to_raw_value(&wrong).unwrap()), NOW_MS).is_err());
        }
        assert!(read_answer(None, NOW_MS).is_err());
    }

    proptest! {
        #[test]
        fn no_params_panic(name in "(since|limit|kind|zone)", number: f64, text in ".{0,20}") {
            for value in [json!(number), json!(text), json!([]), json!(null)] {
                let _ = read(&json!({&name: value}));
            }
        }
    }
}
