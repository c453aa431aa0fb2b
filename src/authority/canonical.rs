//! One value, one encoding: CBOR that does not come back byte for byte is refused.
//!
//! CBOR allows many encodings of one value and trailing bytes. A signature over bytes that two readers
//! could understand differently is worth nothing, so decoding re-encodes and compares.

use minicbor::{Decode, Encode};

/// Encodes `value`; the same value always gives the same bytes.
#[must_use]
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    // A Vec takes every write; the error type is `Infallible` and cannot be built.
    let _: Result<(), minicbor::encode::Error<std::convert::Infallible>> =
        minicbor::encode(value, &mut bytes);
    bytes
}

/// Why bytes were not the canonical encoding of the expected value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    /// The bytes are no CBOR of the expected shape.
    #[error("not the expected CBOR: {0}")]
    Shape(String),
    /// The value can be read, but this is not how we write it.
    #[error("readable, but not in canonical form")]
    NotCanonical,
}

/// Decodes exactly one value from all of `bytes`.
pub fn decode<'b, T: Decode<'b, ()> + Encode<()>>(bytes: &'b [u8]) -> Result<T, DecodeFault> {
    let value: T = minicbor::decode(bytes).map_err(|fault| DecodeFault::Shape(fault.to_string()))?;
    if encode(&value) == bytes { Ok(value) } else { Err(DecodeFault::NotCanonical) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_longer_encoding_of_the_same_number_is_refused() {
        assert_eq!(decode::<u64>(&[0x05]), Ok(5));
        assert_eq!(decode::<u64>(&[0x18, 0x05]), Err(DecodeFault::NotCanonical));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        assert_eq!(decode::<u64>(&[0x05, 0x00]), Err(DecodeFault::NotCanonical));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = decode::<Vec<String>>(&bytes);
        }
    }
}
