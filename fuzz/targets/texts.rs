//! Short texts that people and other nodes write: ways to peers, ids, capabilities, units, keys.

use clawmesh_authority::pattern::{Health, matches, parts, score};
use clawmesh_authority::route::{Ability, Owner, Reach, Way, owner, rank};
use clawmesh_authority::{Capability, MeshId, NodeId, NodeKey, NodeRole, PublicKey, Unit};
use clawmesh_core::safety::{STOP_REPORT_BYTES_MAX, StopReport};
use clawmesh_lab::Lab;
use clawmesh_wire::auth::{
    encode_uri_component, is_challenge_shaped, is_uuid_shaped, key_of_node, key_text, read_key,
};
use clawmesh_wire::peer_spec::{PeerSpec, PeerUrl, Posture, leaves_the_site, normal_fingerprint};

use super::{MIB, Seed, Target, is_brief, promised};
use crate::mutate::{Shape, key};

pub(super) const TARGET: Target = Target {
    name: "texts",
    promise: "what is read is written as the same; a way that leaves the site is dialled only encrypted to a pinned certificate",
    shapes: &[Shape::Text, Shape::Bytes],
    seeds,
    check,
    memory_bytes_max: MIB,
    memory_per_byte: 256,
};

const SENTENCE_BYTES_MAX: usize = 1_024;

fn seeds() -> Vec<Seed> {
    let id = Lab::id_of(2).to_string();
    let pin = "ab".repeat(32);
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n\
                  -----END PUBLIC KEY-----\n";
    let report = StopReport { safe: vec!["actuator:pump:a".to_owned()], ..StopReport::default() };
    let list = [
        ("spec", format!("{id}=ws://192.168.1.20:18789")),
        ("spec-pinned", format!("{id}@wss://[fd00::2]:443/mesh?x=1|{pin}|relay")),
        ("url", "https://farm.example:8443/clawmesh".to_owned()),
        ("id", id),
        ("capability", "sensor:soil-moisture:zone-1".to_owned()),
        ("pattern", "sensor:*:zone-1".to_owned()),
        ("unit", "%".to_owned()),
        ("key", key_text(&key(1).public())),
        ("public-key", public.to_owned()),
        ("secret-key", key(1).to_pem().unwrap_or_default()),
        ("uuid", "00000000-0000-4000-8000-000000000000".to_owned()),
        ("stop", report.to_text()),
    ];
    list.map(|(name, text)| (name, text.into_bytes())).into()
}

fn check(input: &[u8]) -> Result<String, String> {
    let Ok(text) = std::str::from_utf8(input) else { return Ok("not UTF-8".to_owned()) };
    Ok([spec(text)?, url(text)?, names(text)?, keys(text)?, stop(text)?].join(" "))
}

fn spec(text: &str) -> Result<String, String> {
    let spec = match PeerSpec::read(text) {
        Ok(spec) => spec,
        Err(fault) => {
            is_brief(&fault.to_string(), SENTENCE_BYTES_MAX)?;
            return Ok(fault.to_string());
        }
    };
    let pin = spec.fingerprint.as_deref().unwrap_or_default();
    let label = spec.label.as_deref().unwrap_or_default();
    let again = PeerSpec::read(&format!("{}={}|{pin}|{label}", spec.node, spec.url));
    promised(again.as_ref() == Ok(&spec), || format!("a way is written as another one: {again:?}"))?;
    let is_pinned = spec.url.is_tls && spec.fingerprint.is_some();
    promised(!spec.leaves_the_site() || is_pinned == spec.may_dial().is_ok(), || {
        format!("{:?} leaves the site {:?}", spec.posture(), spec.may_dial())
    })?;
    promised((spec.posture() == Posture::TlsPinned) == is_pinned, || "another posture".to_owned())?;
    promised(normal_fingerprint(pin) == pin, || "a pin is not normal".to_owned())?;
    Ok(format!("spec {:?} {}", spec.posture(), leaves_the_site(spec.label.as_deref())))
}

fn url(text: &str) -> Result<String, String> {
    let Ok(url) = PeerUrl::read(text) else { return Ok(String::new()) };
    let again = PeerUrl::read(&url.to_string());
    promised(again.as_ref() == Ok(&url), || format!("{url:?} is written as {again:?}"))?;
    Ok(format!("url {} {}", url.is_tls, url.port.is_some()))
}

fn names(text: &str) -> Result<String, String> {
    let id = text.parse::<NodeId>();
    if let Ok(id) = id {
        promised(id.to_string() == text, || "an id has two texts".to_owned())?;
    }
    let capability = Capability::new(text);
    if let Ok(capability) = &capability {
        promised(capability.as_str() == text && matches(text, text), || {
            "a capability is not itself".to_owned()
        })?;
        let of = parts(text);
        promised(!format!("{of:?}").is_empty(), || "no parts".to_owned())?;
    }
    let (one, other) = text.split_once(' ').unwrap_or((text, "sensor:*"));
    let points = score(one, other, Health::Healthy);
    promised(points.is_some() == matches(one, other), || "what does not match has points".to_owned())?;
    let (node, health, way) = (Lab::id_of(2), Health::Healthy, Way::default());
    let ability = Ability { node, role: NodeRole::Field, capability: one, reach: Reach::Alive, health, way };
    promised(rank([ability], other).len() == usize::from(points.is_some()), || {
        "the only one that matches is not the best".to_owned()
    })?;
    let owner = owner([ability], other);
    promised(owner == Owner::Nobody || other.starts_with(one), || {
        "an actuator belongs to whoever offers another one".to_owned()
    })?;
    let unit = text.parse::<Unit>();
    let _ = (MeshId::of_name(text), NodeRole::of_name(text).as_str());
    Ok(format!("{} {} {:?} {}", id.is_ok(), capability.is_ok(), points, unit.is_ok()))
}

fn keys(text: &str) -> Result<String, String> {
    let read = read_key(text);
    if let Some(key) = &read {
        promised(read_key(&key_text(key)).as_ref() == Some(key), || {
            "a key is written as another".to_owned()
        })?;
        promised(key_of_node(text, key.id()).is_some(), || "a key is not its own".to_owned())?;
    }
    let (secret, public) = (NodeKey::from_pem(text).is_some(), PublicKey::from_pem(text).is_some());
    promised(!(secret && public), || "one text is a secret and a public key".to_owned())?;
    let both = is_uuid_shaped(text) && is_challenge_shaped(text);
    promised(!both, || "a text is a number of both sides".to_owned())?;
    let encoded = encode_uri_component(text);
    promised(encoded.len() <= 3 * text.len() && encoded.is_ascii(), || "encoded at length".to_owned())?;
    Ok(format!("{} {secret} {public} {}", read.is_some(), is_uuid_shaped(text)))
}

fn stop(text: &str) -> Result<String, String> {
    let Some(report) = StopReport::from_text(text) else { return Ok(String::new()) };
    let again = report.to_text();
    promised(StopReport::from_text(&again).is_some(), || "a report cannot be read again".to_owned())?;
    let is_short =
        again.len() <= STOP_REPORT_BYTES_MAX || (report.safe.is_empty() && report.not_safe.is_empty());
    promised(is_short, || format!("a report of {} bytes", again.len()))?;
    Ok(format!("stop {}", report.not_safe.is_empty()))
}
