//! What two nodes say to each other in `mesh.connect`, read field by field.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::code::{Code, Refusal};
use crate::fields::Fields;

/// The version of the handshake.
pub const VERSION: u64 = 2;
/// The longest display name, in characters.
pub const DISPLAY_NAME_CHARACTERS_MAX: usize = 128;
/// The most capabilities a node may have.
pub const CAPABILITIES_MAX: usize = 256;
/// The longest capability, in bytes.
pub const CAPABILITY_BYTES_MAX: usize = 128;
/// The longest number of either side, in bytes.
pub const NONCE_BYTES_MAX: usize = 128;
/// The longest id of a node or a mesh, in bytes.
pub const ID_BYTES_MAX: usize = 128;
/// The longest public key or signature, in bytes: room for PEM.
pub const KEY_BYTES_MAX: usize = 512;
/// The longest role, in bytes.
pub const ROLE_BYTES_MAX: usize = 64;

/// What a dialler says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectParams {
    /// The version of the handshake; it has no other than [`VERSION`].
    pub version: u64,
    /// Who it says it is.
    pub device_id: String,
    /// Its public key, base64url or PEM.
    pub public_key: String,
    /// Its signature, over the number of the listener.
    pub signature: String,
    /// When it signed, Unix milliseconds by its own clock.
    pub signed_at_ms: u64,
    /// The number of the listener; `None` when it has asked for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The number the listener has to sign; not covered by the signature.
    pub client_nonce: String,
    /// What the dialler says of itself.
    #[serde(flatten)]
    pub about: About,
}

/// What a listener answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectAnswer {
    /// Who it says it is.
    pub device_id: String,
    /// Its public key, base64url or PEM.
    pub public_key: String,
    /// Its signature, over the number of the dialler.
    pub signature: String,
    /// When it signed, Unix milliseconds by its own clock.
    pub signed_at_ms: u64,
    /// The number of the dialler, repeated.
    pub nonce: String,
    /// What the listener says of itself.
    #[serde(flatten)]
    pub about: About,
}

/// What a node says of itself. Mesh and role are covered by its signature, name and capabilities are not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What it can do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Its mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh_id: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

impl ConnectParams {
    /// Reads parameters of `mesh.connect`. A missing number of the listener is no fault here: it has a code of its own.
    ///
    /// # Errors
    /// `INVALID_PARAMS`, naming the first field that is missing, of another type, or too large.
    pub fn read(params: Option<&RawValue>) -> Result<Self, Refusal> {
        let fields = Fields::of_params(params, "mesh.connect")?;
        let (device_id, public_key, signature, signed_at_ms) = signer(&fields)?;
        let client_nonce = fields.required_text("clientNonce", NONCE_BYTES_MAX)?.into_owned();
        let nonce = fields.text("nonce", NONCE_BYTES_MAX)?.filter(|nonce| !nonce.is_empty());
        let version = fields.whole_number("version")?.unwrap_or(VERSION);
        if version != VERSION {
            return Err(fields.wrong("version", format_args!("must be {VERSION}, not {version}")));
        }
        Ok(Self {
            version,
            device_id,
            public_key,
            signature,
            signed_at_ms,
            nonce: nonce.map(|nonce| nonce.into_owned()),
            client_nonce,
            about: About::read(&fields)?,
        })
    }
}

impl ConnectAnswer {
    /// Reads the answer to `mesh.connect`.
    ///
    /// # Errors
    /// `INVALID_PARAMS`, naming the first field that is missing, of another type, or too large.
    pub fn read(payload: Option<&RawValue>) -> Result<Self, Refusal> {
        let missing = || Refusal::new(Code::InvalidParams, "the answer to mesh.connect is empty");
        let fields =
            Fields::read(payload.ok_or_else(missing)?, "the answer to mesh.connect", Code::InvalidParams)?;
        let (device_id, public_key, signature, signed_at_ms) = signer(&fields)?;
        let nonce = fields.required_text("nonce", NONCE_BYTES_MAX)?.into_owned();
        let about = About::read(&fields)?;
        Ok(Self { device_id, public_key, signature, signed_at_ms, nonce, about })
    }
}

impl About {
    fn read(fields: &Fields<'_>) -> Result<Self, Refusal> {
        let text = |name, bytes_max| -> Result<Option<String>, Refusal> {
            let text = fields.text(name, bytes_max)?.filter(|text| !text.is_empty());
            Ok(text.map(|text| text.into_owned()))
        };
        Ok(Self {
            display_name: fields.name("displayName", DISPLAY_NAME_CHARACTERS_MAX)?,
            capabilities: fields
                .texts("capabilities", CAPABILITIES_MAX, CAPABILITY_BYTES_MAX)?
                .unwrap_or_default(),
            mesh_id: text("meshId", ID_BYTES_MAX)?,
            role: text("role", ROLE_BYTES_MAX)?,
        })
    }
}

fn signer(fields: &Fields<'_>) -> Result<(String, String, String, u64), Refusal> {
    let text = |name, bytes_max| fields.required_text(name, bytes_max).map(|text| text.into_owned());
    Ok((
        text("deviceId", ID_BYTES_MAX)?,
        text("publicKey", KEY_BYTES_MAX)?,
        text("signature", KEY_BYTES_MAX)?,
        fields.required_whole_number("signedAtMs")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn good() -> Value {
        json!({
            "version": 2, "deviceId": "d", "publicKey": "k", "signature": "s", "signedAtMs": 5, "nonce": "n",
            "clientNonce": "c", "displayName": "North field", "capabilities": ["sensor:soil"], "meshId": "m",
            "role": "field",
        })
    }

    fn read(value: &Value) -> Result<ConnectParams, Refusal> {
        let raw = serde_json::value::to_raw_value(value).unwrap();
        ConnectParams::read(Some(&raw))
    }

    fn with(name: &str, value: Value) -> Value {
        let mut changed = good();
        changed[name] = value;
        changed
    }

    #[test]
    fn what_we_write_is_what_we_read_and_absent_fields_are_not_written() {
        let params = read(&good()).unwrap();
        assert_eq!(params.about.capabilities, ["sensor:soil"]);
        assert_eq!(serde_json::to_value(&params).unwrap(), good());
        let bare = ConnectParams { nonce: None, about: About::default(), ..params };
        let text = serde_json::to_string(&bare).unwrap();
        assert_eq!(
            text,
            r#"{"version":2,"deviceId":"d","publicKey":"k","signature":"s","signedAtMs":5,"clientNonce":"c"}"#
        );
    }

    #[test]
    fn each_needed_field_is_named_when_it_is_missing_or_of_another_type() {
        for name in ["deviceId", "publicKey", "signature", "signedAtMs", "clientNonce"] {
            for value in [Value::Null, json!([]), json!("")] {
                let refusal = read(&with(name, value.clone())).unwrap_err();
                assert_eq!(refusal.code, Code::InvalidParams, "{name} {value}");
                assert!(refusal.message.contains(&format!("`{name}`")), "{refusal}");
            }
        }
        assert_eq!(read(&with("nonce", Value::Null)).unwrap().nonce, None);
        assert_eq!(read(&with("nonce", json!(""))).unwrap().nonce, None);
        assert!(read(&with("version", Value::Null)).is_ok());
        assert!(ConnectParams::read(None).is_err());
    }

    #[test]
    fn nothing_is_taken_beyond_its_bound() {
        for (name, largest, too_large) in [
            ("displayName", json!("é".repeat(128)), json!("é".repeat(129))),
            ("displayName", json!("a b"), json!("a\u{7}b")),
            ("capabilities", json!(vec!["x".repeat(128); 256]), json!(vec!["x"; 257])),
            ("capabilities", json!([]), json!(["x".repeat(129)])),
            ("capabilities", json!(["*"]), json!([1])),
            ("nonce", json!("n".repeat(128)), json!("n".repeat(129))),
            ("clientNonce", json!("n".repeat(128)), json!("n".repeat(129))),
            ("meshId", json!("m".repeat(128)), json!("m".repeat(129))),
            ("role", json!("anything"), json!("r".repeat(65))),
            ("signedAtMs", json!(0), json!(-1)),
            ("version", json!(2), json!(3)),
        ] {
            assert!(read(&with(name, largest)).is_ok(), "{name}");
            let refusal = read(&with(name, too_large)).unwrap_err();
            assert!(refusal.message.contains(&format!("`{name}`")), "{refusal}");
        }
    }

    #[test]
    fn the_answer_is_read_by_the_same_rules() {
        let raw = serde_json::value::to_raw_value(&good()).unwrap();
        let answer = ConnectAnswer::read(Some(&raw)).unwrap();
        assert_eq!((&*answer.nonce, answer.about.role.as_deref()), ("n", Some("field")));
        let raw = serde_json::value::to_raw_value(&with("nonce", Value::Null)).unwrap();
        assert!(ConnectAnswer::read(Some(&raw)).unwrap_err().message.contains("`nonce`"));
        assert!(ConnectAnswer::read(None).is_err());
    }

    proptest! {
        #[test]
        fn no_value_in_any_field_panics(name in "[a-zA-Z]{1,12}", at in 0_usize..6) {
            let value = [json!(null), json!(1e300), json!({}), json!([[]]), json!(true), json!("x")][at].clone();
            let _ = read(&with(&name, value));
        }
    }
}
