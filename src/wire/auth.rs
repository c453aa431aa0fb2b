//! The text that a node signs when it connects, its signature, and what its parts may look like.
//!
//! The text does not say to whom the node connects. So whoever gets a node to sign a number of their choice could use the
//! signature elsewhere: a listener signs what a dialler chose, and the other way round. The two numbers of existing nodes
//! have different forms (a challenge is 24 bytes in base64url, the number of a dialler a UUID), and each side of ours
//! refuses to sign a number in the form of the other.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clawmesh_authority::{NodeId, NodeKey, PublicKey};

/// How far apart the clock of the signer and ours may be, in milliseconds.
pub const CLOCK_WINDOW_MS: u64 = 300_000;

/// Random bytes of a challenge.
pub const CHALLENGE_BYTES: usize = 24;

/// What is signed when a node connects, and when the other one answers.
#[derive(Debug, Clone, Copy)]
pub struct SignedText<'a> {
    /// Who signs.
    pub device_id: &'a str,
    /// When, Unix milliseconds by the clock of the signer.
    pub signed_at_ms: u64,
    /// The number the other side gave.
    pub nonce: &'a str,
    /// The mesh of the signer, if it says one.
    pub mesh_id: Option<&'a str>,
    /// The role of the signer, if it says one.
    pub role: Option<&'a str>,
}

impl SignedText<'_> {
    /// The text, seven parts between bars, an absent part empty.
    #[must_use]
    pub fn text(&self) -> String {
        let part = |text: Option<&str>| encode_uri_component(text.unwrap_or_default());
        format!(
            "mesh.connect|v2|{}|{}|{}|{}|{}",
            encode_uri_component(self.device_id),
            self.signed_at_ms,
            encode_uri_component(self.nonce),
            part(self.mesh_id),
            part(self.role),
        )
    }

    /// The signature of `key` over the text, base64url without padding.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(key.sign(self.text().as_bytes()))
    }

    /// True when `signature` is that of `key` over the text, by the strict rule.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey, signature: &str) -> bool {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(signature);
        bytes.is_ok_and(|bytes| key.verifies(self.text().as_bytes(), &bytes))
    }

    /// True when the signer's clock and ours, `unix_ms`, are at most [`CLOCK_WINDOW_MS`] apart; never while ours is not known, which
    /// is 0.
    #[must_use]
    pub fn is_of_this_time(&self, unix_ms: u64) -> bool {
        unix_ms > 0 && unix_ms.abs_diff(self.signed_at_ms) <= CLOCK_WINDOW_MS
    }
}

/// A public key as it travels: 32 bytes in base64url without padding.
#[must_use]
pub fn key_text(key: &PublicKey) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(key.raw())
}

/// Reads a public key in base64url without padding, or in PEM; `None` when it is neither.
#[must_use]
pub fn read_key(text: &str) -> Option<PublicKey> {
    if text.contains("BEGIN") {
        return PublicKey::from_pem(text);
    }
    let bytes: [u8; 32] = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    PublicKey::from_raw(&bytes)
}

/// The key in `text`, if it is the key of `node`: the id of a node is the hash of its key and nothing else.
#[must_use]
pub fn key_of_node(text: &str, node: NodeId) -> Option<PublicKey> {
    read_key(text).filter(|key| key.id() == node)
}

/// What JavaScript's function of this name makes of `text`.
#[must_use]
pub fn encode_uri_component(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => encoded.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => encoded.push(char::from(byte)),
            _ => encoded.extend(['%', digit(byte >> 4), digit(byte & 0x0f)]),
        }
    }
    encoded
}

fn digit(nibble: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(nibble)])
}

/// The text of a challenge.
#[must_use]
pub fn challenge_text(random: &[u8; CHALLENGE_BYTES]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(random)
}

/// True for a text that could be a challenge of a listener.
#[must_use]
pub fn is_challenge_shaped(text: &str) -> bool {
    BASE64_URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == CHALLENGE_BYTES)
}

/// A random UUID (version 4) of these bytes, as diallers use it and ids of requests and frames are made.
#[must_use]
pub fn uuid_text(random: &[u8; 16]) -> String {
    let mut bytes = *random;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.extend([digit(byte >> 4), digit(byte & 0x0f)].map(|digit| digit.to_ascii_lowercase()));
    }
    text
}

/// True for a text that could be the number of a dialler.
#[must_use]
pub fn is_uuid_shaped(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg";
    const DEVICE: &str = "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c";

    fn counting_key() -> NodeKey {
        NodeKey::from_secret(&std::array::from_fn(|i| u8::try_from(i).unwrap()))
    }

    fn text<'a>(device_id: &'a str, signed_at_ms: u64, nonce: &'a str) -> SignedText<'a> {
        SignedText { device_id, signed_at_ms, nonce, mesh_id: None, role: None }
    }

    #[test]
    fn key_text_and_signature_are_those_of_existing_nodes() {
        let key = counting_key();
        assert_eq!(key_text(&key.public()), KEY);
        let mesh = SignedText {
            mesh_id: Some("mesh a|b"),
            role: Some("field"),
            ..text(DEVICE, 1_730_000_000_000, "nonce-1")
        };
        assert_eq!(mesh.text(), format!("mesh.connect|v2|{DEVICE}|1730000000000|nonce-1|mesh%20a%7Cb|field"));
        let signature =
            "JwM6dZ10tLrO5tDdWBRhVL1ssl2jp7V_2JC2lWcHZv-lG4FNSAtt_Oa3MFP_2-_nQlvUaLXYftYiAGhNzknMDg";
        assert_eq!(mesh.sign(&key), signature);
        assert!(mesh.is_signed_by(&key.public(), signature));
        assert!(
            !SignedText { role: None, ..mesh }.is_signed_by(&key.public(), signature),
            "the role is signed"
        );
        assert!(!mesh.is_signed_by(&key.public(), &format!("{signature}==")), "no padding");
    }

    #[test]
    fn the_parts_of_the_text_cannot_be_moved_into_each_other() {
        assert_eq!(
            text("device-abc", 1_234_567_890, "random-nonce").text(),
            "mesh.connect|v2|device-abc|1234567890|random-nonce||"
        );
        let all = SignedText { mesh_id: Some("m"), role: Some("r"), ..text("d", 1, "n") };
        assert_eq!(all.text(), "mesh.connect|v2|d|1|n|m|r");
        let nonce = text("d", 1, "x").text();
        let mesh = SignedText { mesh_id: Some("x"), ..text("d", 1, "") }.text();
        assert_ne!(nonce, mesh);
        let bar = SignedText { mesh_id: Some("a|b"), ..text("d", 1, "n") }.text();
        let two = SignedText { mesh_id: Some("a"), role: Some("b"), ..text("d", 1, "n") }.text();
        assert_ne!(bar, two);
    }

    #[test]
    fn only_what_javascript_leaves_alone_is_left_alone() {
        let kept = "AZaz09-_.!~*'()";
        assert_eq!(encode_uri_component(kept), kept);
        assert_eq!(
            encode_uri_component(" \"#$%&+,/:;<=>?@[\\]^`{|}"),
            "%20%22%23%24%25%26%2B%2C%2F%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E%60%7B%7C%7D"
        );
        assert_eq!(encode_uri_component("é€😀\n\0"), "%C3%A9%E2%82%AC%F0%9F%98%80%0A%00");
    }

    #[test]
    fn the_clock_window_is_five_minutes_both_ways() {
        let at = text("d", 1_730_000_000_000, "n");
        for (minutes, is_taken) in [(4, true), (5, true), (6, false), (10, false)] {
            assert_eq!(at.is_of_this_time(at.signed_at_ms + minutes * 60_000), is_taken, "{minutes} later");
            assert_eq!(at.is_of_this_time(at.signed_at_ms - minutes * 60_000), is_taken, "{minutes} earlier");
        }
        assert!(!at.is_of_this_time(at.signed_at_ms + CLOCK_WINDOW_MS + 1));
        assert!(!text("d", u64::MAX, "n").is_of_this_time(0));
        assert!(!text("d", 1_000, "n").is_of_this_time(0), "0 is no time, also not for who stands in 1970");
    }

    #[test]
    fn a_key_is_of_a_node_only_if_the_id_is_its_hash() {
        let node = counting_key().id();
        assert_eq!(key_of_node(KEY, node), Some(counting_key().public()));
        assert_eq!(key_of_node(&key_text(&NodeKey::from_secret(&[9; 32]).public()), node), None);
        let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n-----END PUBLIC KEY-----\n";
        assert_eq!(key_of_node(pem, node), Some(counting_key().public()));
        for bad in ["", "BEGIN", &format!("{KEY}="), &KEY[..42], &KEY.replace('_', "/")] {
            assert_eq!(read_key(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_of_the_two_sides_have_different_forms() {
        let (challenge, uuid) = (challenge_text(&[0xa7; 24]), uuid_text(&[0xa7; 16]));
        assert_eq!(uuid, "a7a7a7a7-a7a7-47a7-a7a7-a7a7a7a7a7a7");
        assert!(is_challenge_shaped(&challenge) && !is_challenge_shaped(&uuid));
        assert!(is_uuid_shaped(&uuid) && !is_uuid_shaped(&challenge));
        assert!(!is_challenge_shaped("nonce-1") && !is_uuid_shaped("nonce-1"));
    }

    proptest! {
        #[test]
        fn no_text_is_both_a_challenge_and_a_uuid(challenge: [u8; 24], uuid: [u8; 16]) {
            prop_assert!(!is_uuid_shaped(&challenge_text(&challenge)));
            prop_assert!(!is_challenge_shaped(&uuid_text(&uuid)));
        }

        #[test]
        fn no_text_panics(text in ".{0,120}") {
            let _ = (read_key(&text), is_uuid_shaped(&text), encode_uri_component(&text));
        }

        #[test]
        fn a_flipped_bit_of_a_signature_is_no_signature(at in 0_usize..512) {
            let (key, text) = (counting_key(), text("d", 1, "n"));
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(text.sign(&key)).unwrap();
            bytes[at / 8] ^= 1 << (at % 8);
            prop_assert!(!text.is_signed_by(&key.public(), &BASE64_URL_SAFE_NO_PAD.encode(bytes)));
        }
    }
}
