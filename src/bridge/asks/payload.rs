//! What a question on `rpc/ask` carries: one byte for the kind, the canonical CBOR of it, then the signed bytes.

use clawmesh_authority::request::REQUEST_BYTES_MAX;
use clawmesh_authority::{AskKind, canonical};

/// The largest payload; a request is larger than an approval.
pub const PAYLOAD_BYTES_MAX: usize = REQUEST_BYTES_MAX + 1;

/// Puts the kind before the signed bytes.
pub fn write(kind: AskKind, bytes: &[u8]) -> Vec<u8> {
    let mut payload = canonical::encode(&kind);
    payload.extend_from_slice(bytes);
    payload
}

/// The kind and the signed bytes; `None` when it begins with no kind.
pub fn read(payload: &[u8]) -> Option<(AskKind, &[u8])> {
    let (kind, bytes) = payload.split_at_checked(1)?;
    canonical::decode(kind).ok().map(|kind| (kind, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_one_byte_before_the_bytes() {
        assert_eq!(write(AskKind::Request, b"x"), [0, b'x']);
        assert_eq!(write(AskKind::Approval, b"x"), [1, b'x']);
        for kind in [AskKind::Request, AskKind::Approval] {
            assert_eq!(read(&write(kind, b"open")), Some((kind, &b"open"[..])));
            assert_eq!(read(&write(kind, b"")), Some((kind, &b""[..])));
        }
        for no_kind in [&b""[..], &[2], &[0x84], &[0x18, 0]] {
            assert_eq!(read(no_kind), None, "{no_kind:?}");
        }
    }
}
