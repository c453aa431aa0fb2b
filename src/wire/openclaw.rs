//! The protocol of OpenClaw gateways, which existing nodes could connect to, version 3: as much of it as a node needs to be let in.
//! Its frames are those of [`crate::frame`]; what is signed is another text.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clawmesh_authority::NodeKey;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::code::{Code, Refusal};
use crate::fields::Fields;

/// The version of the protocol.
pub const PROTOCOL: u32 = 3;
/// The event with which a gateway begins.
pub const CHALLENGE: &str = "connect.challenge";
/// The method that is called in answer to it.
pub const CONNECT: &str = "connect";
/// The longest number that is signed, in bytes.
pub const NONCE_BYTES_MAX: usize = 128;

const CLIENT: &str = "node-host";
const MODE: &str = "node";

/// Who wants to be let in, and with what.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// What it is for.
    pub role: &'a str,
    /// What it wants to be allowed.
    pub scopes: &'a [String],
    /// What people call it.
    pub display_name: &'a str,
    /// The version of its software.
    pub version: &'a str,
    /// The token of the gateway.
    pub token: Option<&'a str>,
    /// The password of the gateway.
    pub password: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Client<'a> {
    id: &'static str,
    mode: &'static str,
    #[serde(rename = "displayName")]
    display_name: &'a str,
    version: &'a str,
    platform: &'static str,
}

#[derive(Serialize)]
struct Auth<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    id: String,
    public_key: String,
    signature: String,
    signed_at: u64,
    nonce: String,
}

/// The parameters of `connect`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectParams<'a> {
    min_protocol: u32,
    max_protocol: u32,
    client: Client<'a>,
    role: &'a str,
    scopes: &'a [String],
    auth: Auth<'a>,
    device: Device,
}

impl<'a> Login<'a> {
    /// What is signed: nine parts between bars, an absent part empty.
    #[must_use]
    pub fn signed_text(&self, device_id: &str, signed_at_ms: u64, nonce: &str) -> String {
        let (role, scopes) = (self.role, self.scopes.join(","));
        let token = self.token.unwrap_or_default();
        format!("v2|{device_id}|{CLIENT}|{MODE}|{role}|{scopes}|{signed_at_ms}|{token}|{nonce}")
    }

    /// The parameters of `connect`, signed over the number of the gateway.
    #[must_use]
    pub fn params(&self, key: &NodeKey, signed_at_ms: u64, nonce: &str) -> ConnectParams<'a> {
        let id = key.id().to_string();
        let signature = key.sign(self.signed_text(&id, signed_at_ms, nonce).as_bytes());
        ConnectParams {
            min_protocol: PROTOCOL,
            max_protocol: PROTOCOL,
            client: Client {
                id: CLIENT,
                mode: MODE,
                display_name: self.display_name,
                version: self.version,
                platform: std::env::consts::OS,
            },
            role: self.role,
            scopes: self.scopes,
            auth: Auth { token: self.token, password: self.password },
            device: Device {
                id,
                public_key: BASE64_URL_SAFE_NO_PAD.encode(key.public().raw()),
                signature: BASE64_URL_SAFE_NO_PAD.encode(signature),
                signed_at: signed_at_ms,
                nonce: nonce.to_owned(),
            },
        }
    }
}

/// Reads the number out of a challenge. It is one part of what is signed, so it must not reach into another one.
///
/// # Errors
/// `INVALID_PARAMS`, naming what is wrong.
pub fn nonce_of(payload: Option<&RawValue>) -> Result<String, Refusal> {
    let missing = || Refusal::new(Code::InvalidParams, "connect.challenge: the payload is missing");
    let fields = Fields::read(payload.ok_or_else(missing)?, CHALLENGE, Code::InvalidParams)?;
    let nonce = fields.required_text("nonce", NONCE_BYTES_MAX)?;
    if nonce.chars().any(|c| c == '|' || c.is_control()) {
        return Err(fields.wrong("nonce", "must have no bars and no control characters"));
    }
    Ok(nonce.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn login<'a>(scopes: &'a [String], token: Option<&'a str>) -> Login<'a> {
        Login { role: "node", scopes, display_name: "barn", version: "0.1.0", token, password: None }
    }

    #[test]
    fn what_is_signed_has_nine_parts_and_an_absent_one_is_empty() {
        let scopes = ["a".to_owned(), "b".to_owned()];
        assert_eq!(
            login(&scopes, Some("t")).signed_text("id", 7, "n"),
            "v2|id|node-host|node|node|a,b|7|t|n"
        );
        assert_eq!(login(&[], None).signed_text("id", 7, "n"), "v2|id|node-host|node|node||7||n");
    }

    #[test]
    fn the_parameters_are_signed_by_the_key_they_name() {
        let key = NodeKey::from_secret(&[7; 32]);
        let params = serde_json::to_value(login(&[], Some("t")).params(&key, 7, "n")).unwrap();
        let text = |pointer: &str| params.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        assert_eq!((params["minProtocol"].clone(), params["maxProtocol"].clone()), (json!(3), json!(3)));
        assert_eq!((text("/device/id"), text("/client/id")), (key.id().to_string(), "node-host".to_owned()));
        assert_eq!(params["auth"], json!({"token": "t"}));
        let signature = BASE64_URL_SAFE_NO_PAD.decode(text("/device/signature")).unwrap();
        let signed = format!("v2|{}|node-host|node|node||7|t|n", key.id());
        assert!(key.public().verifies(signed.as_bytes(), &signature));
    }

    #[test]
    fn a_number_that_could_reach_into_another_part_is_refused() {
        let read = |value: Value| nonce_of(Some(&serde_json::value::to_raw_value(&value).unwrap()));
        assert_eq!(read(json!({"nonce": "n-1", "ts": 7})).unwrap(), "n-1");
        for wrong in [
            json!({}),
            json!({"nonce": ""}),
            json!({"nonce": "a|b"}),
            json!({"nonce": "x".repeat(129)}),
            json!([]),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
        assert!(nonce_of(None).is_err());
    }
}
