//! Vectors 1 and 21: what is signed, who somebody is, which mesh it is.

use clawmesh_authority::{MeshId, NodeKey};
use clawmesh_wire::auth::{SignedText, key_of_node, key_text};

use super::NOW_MS;

const DEVICE: &str = "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c";

fn counting_key() -> NodeKey {
    NodeKey::from_secret(&std::array::from_fn(|i| u8::try_from(i).unwrap()))
}

fn text<'a>(
    device_id: &'a str,
    signed_at_ms: u64,
    nonce: &'a str,
    mesh_id: &'a str,
    role: &'a str,
) -> SignedText<'a> {
    let part = |text: &'a str| (!text.is_empty()).then_some(text);
    SignedText { device_id, signed_at_ms, nonce, mesh_id: part(mesh_id), role: part(role) }
}

#[test]
fn c01_the_signed_text_has_seven_parts_that_cannot_run_into_each_other() {
    let bare = text("device-abc", 1_234_567_890, "random-nonce", "", "");
    assert_eq!(bare.text(), "mesh.connect|v2|device-abc|1234567890|random-nonce||");
    assert_eq!(text("d", 1, "n", "m", "r").text(), "mesh.connect|v2|d|1|n|m|r");
    assert_ne!(text("d", 1, "x", "", "").text(), text("d", 1, "", "x", "").text());
    assert_ne!(text("d", 1, "n", "a|b", "").text(), text("d", 1, "n", "a", "b").text());
}

#[test]
fn c01_text_and_signature_are_the_reference_ones() {
    let signed = text(DEVICE, NOW_MS, "nonce-1", "mesh a|b", "field");
    assert_eq!(signed.text(), format!("mesh.connect|v2|{DEVICE}|{NOW_MS}|nonce-1|mesh%20a%7Cb|field"));
    let signature = "JwM6dZ10tLrO5tDdWBRhVL1ssl2jp7V_2JC2lWcHZv-lG4FNSAtt_Oa3MFP_2-_nQlvUaLXYftYiAGhNzknMDg";
    assert_eq!(signed.sign(&counting_key()), signature);
    assert!(signed.is_signed_by(&counting_key().public(), signature));
}

#[test]
fn c01_a_signature_counts_for_five_minutes_either_way() {
    let signed = text("d", NOW_MS, "n", "", "");
    for (minutes, is_taken) in [(4, true), (6, false), (10, false)] {
        assert_eq!(signed.is_of_this_time(NOW_MS + minutes * 60_000), is_taken, "{minutes}");
        assert_eq!(signed.is_of_this_time(NOW_MS - minutes * 60_000), is_taken, "-{minutes}");
    }
}

#[test]
fn c21_a_node_is_the_hash_of_its_key() {
    let key = counting_key();
    assert_eq!(key.id().to_string(), DEVICE);
    assert_eq!(key_text(&key.public()), "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg");
    let other = NodeKey::from_secret(&[9; 32]);
    assert_eq!(key_of_node(&key_text(&other.public()), key.id()), None);
}

#[test]
fn c21_a_mesh_is_the_hash_of_its_name() {
    for (name, id) in [
        ("bhoomi", "6542bfab0b293edfbd4b308cfaa5cecfacf5b509416bf8d46d6b1055c8832e5b"),
        ("bhoomi-main", "8b2b21daa19aea8e7a9b659ec583f6e13fa6d817a11208ee00df93488e7e4022"),
        ("localmesh", "b1363ec9153d0c8a1908041fae652b6499ff1b3c3f3bd9af7861b8e2a3b91cee"),
    ] {
        assert_eq!(MeshId::of_name(name).to_string(), id, "{name}");
    }
}
