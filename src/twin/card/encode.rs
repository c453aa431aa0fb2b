//! How names and points stand in the bytes of a card.

use minicbor::data::Type;
use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::site::{Name, Point};

impl<C> Encode<C> for Name {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.str(self.as_str())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Name {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        Self::new(d.str()?).map_err(DecodeError::message)
    }
}

impl<C> Encode<C> for Point {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.array(2)?.f64(self.0)?.f64(self.1)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Point {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        if d.array()? != Some(2) {
            return Err(DecodeError::message("a point is an array of two numbers"));
        }
        Ok(Self(d.f64()?, d.f64()?))
    }
}

/// True if some number in the bytes of a card is infinite or no number.
#[must_use]
pub fn holds_no_number(bytes: &[u8]) -> bool {
    let mut decoder = Decoder::new(bytes);
    // Of an array or a map only the head is taken, so that what is in it comes next.
    while let Ok(kind) = decoder.datatype() {
        let taken = match kind {
            Type::Array => decoder.array().map(drop),
            Type::Map => decoder.map().map(drop),
            Type::F64 => match decoder.f64() {
                Ok(number) if !number.is_finite() => return true,
                other => other.map(drop),
            },
            _ => decoder.skip(),
        };
        if taken.is_err() {
            return false;
        }
    }
    false
}
