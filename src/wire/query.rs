//! `mesh.world.query`: what somebody wants to see of what is known.

use serde_json::value::RawValue;

use crate::code::{Code, Refusal, quoted};
use crate::context::{ContextFrame, FrameKind, NAME_BYTES_MAX};
use crate::fields::Fields;
use crate::trust::Word as _;

/// How many frames an answer has when nothing else is asked for.
pub const LIMIT_DEFAULT: usize = 50;
/// The most frames of an answer.
pub const LIMIT_MAX: usize = 200;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldQuery {
    /// The most frames; 1 to [`LIMIT_MAX`].
    pub limit: usize,
    /// Of this kind only.
    pub kind: Option<FrameKind>,
    /// Of this source only, as frames name it.
    pub source_device_id: Option<String>,
}

impl WorldQuery {
    /// Reads the parameters; none at all means all defaults.
    ///
    /// # Errors
    /// `INVALID_PARAMS`, naming the field.
    pub fn read(params: Option<&RawValue>) -> Result<Self, Refusal> {
        let all = Self { limit: LIMIT_DEFAULT, kind: None, source_device_id: None };
        let Some(params) = params else { return Ok(all) };
        let fields = Fields::read(params, "mesh.world.query", Code::InvalidParams)?;
        let kind = fields.text("kind", NAME_BYTES_MAX)?;
        let kind = kind.map(|text| {
            let unknown = || fields.wrong("kind", format_args!("is none we know: {}", quoted(&text)));
            FrameKind::of_text(&text).ok_or_else(unknown)
        });
        let limit = fields.whole_number("limit")?.map(|limit| usize::try_from(limit).unwrap_or(LIMIT_MAX));
        Ok(Self {
            limit: limit.unwrap_or(all.limit).clamp(1, LIMIT_MAX),
            kind: kind.transpose()?,
            source_device_id: fields.text("sourceDeviceId", NAME_BYTES_MAX)?.map(|id| id.into_owned()),
        })
    }

    /// Whether a frame is asked for.
    #[must_use]
    pub fn fits(&self, frame: &ContextFrame) -> bool {
        self.kind.is_none_or(|kind| kind == frame.kind)
            && self.source_device_id.as_ref().is_none_or(|id| *id == frame.source_device_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::frame;
    use serde_json::{Value, json};

    fn read(params: &Value) -> Result<WorldQuery, Refusal> {
        WorldQuery::read(Some(&serde_json::value::to_raw_value(params).unwrap()))
    }

    #[test]
    fn what_is_not_said_has_its_default_and_a_limit_stays_within_its_bounds() {
        assert_eq!(WorldQuery::read(None), read(&json!({})));
        for (limit, expected) in [(json!(null), 50), (json!(0), 1), (json!(7), 7), (json!(9_999), 200)] {
            assert_eq!(read(&json!({"limit": limit})).unwrap().limit, expected, "{limit}");
        }
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (params, named) in [
            (json!({"limit": "7"}), "`limit`"),
            (json!({"kind": "rumour"}), "`kind`"),
            (json!({"sourceDeviceId": 7}), "`sourceDeviceId`"),
            (json!([]), "object"),
        ] {
            let refusal = read(&params).unwrap_err();
            assert!(refusal.code == Code::InvalidParams && refusal.message.contains(named), "{refusal}");
        }
    }

    #[test]
    fn frames_are_chosen_by_kind_and_source() {
        let frame = frame("s", "f-1", "m", 7);
        for (params, expected) in [
            (json!({}), true),
            (json!({"kind": "observation", "sourceDeviceId": "s"}), true),
            (json!({"kind": "event"}), false),
            (json!({"sourceDeviceId": "t"}), false),
        ] {
            assert_eq!(read(&params).unwrap().fits(&frame), expected, "{params}");
        }
    }
}
