//! Changes of CBOR at its items: elements dropped, doubled, of another type, huge, deep; lengths that lie; longer ways to write.
//!
//! A byte string that is signed, or CBOR itself, is changed as that.

use clawmesh_authority::signed::{Purpose, Signed};
use clawmesh_lab::SplitMix64;

use super::{bytes, signed};
use crate::pool::index;

/// What nests deeper is changed as bytes.
const DEPTH_MAX: usize = 64;
/// More items than this are changed as bytes: a list of a million numbers has nothing to find.
const ITEMS_MAX: usize = 20_000;

/// Numbers that readers turn at. The times are around the one that every target takes for now.
const NUMBERS: [u64; 20] = [
    0,
    1,
    2,
    23,
    24,
    63,
    64,
    255,
    256,
    65_535,
    65_536,
    u32::MAX as u64,
    1 << 53,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
    1_800_000_000_000,
    1_800_000_000_501,
    1_799_999_699_999,
    1_800_000_300_001,
];

const FLOATS: [f64; 10] =
    [0.0, -0.0, 1.0, -1.0, 1e300, -1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE];

#[derive(Clone)]
enum Item {
    /// Major type 0 or 1.
    Number(u8, u64),
    Bytes(Vec<u8>),
    Text(Vec<u8>),
    List(Vec<Item>),
    /// Keys and values in turns.
    Map(Vec<Item>),
    Tag(u64, Box<Item>),
    /// As it stands: floats, simple values, and everything that is wrong.
    Raw(Vec<u8>),
}

/// Changes `input` once; `None` when it is no CBOR.
pub fn changed(input: &[u8], donor: &[u8], rng: &mut SplitMix64) -> Option<Vec<u8>> {
    let mut item = parse(input)?;
    let donor = parse(donor);
    let mut at = index(rng, item.count());
    let mut gift = donor.as_ref().map(|donor| donor.nth(&mut index(rng, donor.count())).clone());
    item.change(&mut at, &mut |node| node.alter(gift.take(), rng));
    let mut out = Vec::with_capacity(input.len() + 16);
    item.write(&mut out);
    Some(out)
}

impl Item {
    fn children(&self) -> &[Self] {
        match self {
            Self::List(items) | Self::Map(items) => items,
            Self::Tag(_, item) => std::slice::from_ref(item),
            Self::Number(..) | Self::Bytes(_) | Self::Text(_) | Self::Raw(_) => &[],
        }
    }

    fn count(&self) -> usize {
        1 + self.children().iter().map(Self::count).sum::<usize>()
    }

    fn nth(&self, at: &mut usize) -> &Self {
        if *at == 0 {
            return self;
        }
        *at -= 1;
        for child in self.children() {
            let count = child.count();
            if *at < count {
                return child.nth(at);
            }
            *at -= count;
        }
        self
    }

    fn change(&mut self, at: &mut usize, change: &mut dyn FnMut(&mut Self)) -> bool {
        if *at == 0 {
            change(self);
            return true;
        }
        *at -= 1;
        match self {
            Self::List(items) | Self::Map(items) => items.iter_mut().any(|item| item.change(at, change)),
            Self::Tag(_, item) => item.change(at, change),
            Self::Number(..) | Self::Bytes(_) | Self::Text(_) | Self::Raw(_) => false,
        }
    }

    fn alter(&mut self, gift: Option<Self>, rng: &mut SplitMix64) {
        match rng.below(20) {
            0 => *self = Self::Number(0, NUMBERS[index(rng, NUMBERS.len())]),
            1 => *self = Self::Raw([&[0xfb][..], &FLOATS[index(rng, FLOATS.len())].to_be_bytes()].concat()),
            2 => *self = Self::Raw(vec![[0xf4, 0xf5, 0xf6, 0xf7, 0xff, 0x1c][index(rng, 6)]]),
            3 => *self = self.lying(rng),
            4 => *self = self.nested(rng),
            5 => *self = Self::List(vec![self.clone()]),
            6 | 7 if gift.is_some() => *self = gift.unwrap_or_else(|| Self::List(Vec::new())),
            _ => self.alter_inside(gift, rng),
        }
    }

    fn alter_inside(&mut self, gift: Option<Self>, rng: &mut SplitMix64) {
        match self {
            Self::Number(major, number) => match rng.below(5) {
                4 => *number = 0,
                0 => *number = NUMBERS[index(rng, NUMBERS.len())],
                1 => *major ^= 1,
                2 => *number = number.wrapping_add(1),
                _ => *number = number.wrapping_sub(1),
            },
            Self::Bytes(held) => *held = altered_bytes(held, rng),
            Self::Text(held) => *held = altered_text(held, rng),
            Self::List(items) | Self::Map(items) => alter_items(items, gift, rng),
            Self::Tag(tag, _) => *tag = NUMBERS[index(rng, NUMBERS.len())],
            Self::Raw(held) => *held = bytes::changed(held, &[], rng),
        }
    }

    /// A head that claims more than there is, or is written longer than it has to be.
    fn lying(&self, rng: &mut SplitMix64) -> Self {
        let mut honest = Vec::new();
        self.write(&mut honest);
        let major = honest.first().map_or(0, |first| first & 0xe0);
        let length = NUMBERS[index(rng, NUMBERS.len())];
        let body = honest.get(1..).unwrap_or_default();
        let claimed = [&[major | 0x1b][..], &length.to_be_bytes()].concat();
        match rng.below(4) {
            0 => Self::Raw([claimed, body.to_vec()].concat()),
            1 => Self::Raw(claimed),
            2 => Self::Raw([&[major | 0x1f][..], body, &[0xff]].concat()),
            _ => Self::Raw(
                [&[major | 0x18, honest.first().map_or(0, |first| first & 0x1f)][..], body].concat(),
            ),
        }
    }

    fn nested(&self, rng: &mut SplitMix64) -> Self {
        let deep = [2, 60, 300, 10_000][index(rng, 4)];
        let mut raw = [0x81_u8, 0xc6, 0x9f][index(rng, 3)..][..1].repeat(deep);
        self.write(&mut raw);
        Self::Raw(raw)
    }

    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Number(major, number) => head(to, *major, *number),
            Self::Bytes(held) => {
                head(to, 2, held.len() as u64);
                to.extend_from_slice(held);
            }
            Self::Text(held) => {
                head(to, 3, held.len() as u64);
                to.extend_from_slice(held);
            }
            Self::List(items) => {
                head(to, 4, items.len() as u64);
                items.iter().for_each(|item| item.write(to));
            }
            Self::Map(items) => {
                head(to, 5, items.len() as u64 / 2);
                items.iter().for_each(|item| item.write(to));
            }
            Self::Tag(tag, item) => {
                head(to, 6, *tag);
                item.write(to);
            }
            Self::Raw(held) => to.extend_from_slice(held),
        }
    }
}

fn alter_items(items: &mut Vec<Item>, gift: Option<Item>, rng: &mut SplitMix64) {
    if items.is_empty() {
        items.extend(gift);
        return;
    }
    let (at, other) = (index(rng, items.len()), index(rng, items.len()));
    match rng.below(7) {
        0 => drop(items.remove(at)),
        1 => items.swap(at, other),
        2 => items.insert(other, items[at].clone()),
        3 => {
            let times = [1, 2, 20, 70, 300][index(rng, 5)];
            items.splice(at..at, vec![items[at].clone(); times]).for_each(drop);
        }
        4 => items.truncate(at),
        5 => items.push(Item::Number(0, 0)),
        _ => items.splice(at..at, gift).for_each(drop),
    }
}

fn altered_bytes(held: &[u8], rng: &mut SplitMix64) -> Vec<u8> {
    if let Ok(sealed) = Signed::parse(held)
        && sealed.payload().is_some()
        && let Some(again) = signed::changed(held, held, Purpose::ENVELOPE, rng)
    {
        return again;
    }
    match changed(held, held, rng) {
        Some(inner) if held.len() > 32 && rng.chance(60) => inner,
        _ => bytes::changed(held, held, rng),
    }
}

fn altered_text(held: &[u8], rng: &mut SplitMix64) -> Vec<u8> {
    match rng.below(8) {
        0 => Vec::new(),
        1 => [held, b" "].concat(),
        2 => held.to_ascii_uppercase(),
        3 => [held, &[0xff]].concat(),
        4 => [b"\0\x1b[2J", held].concat(),
        5 => "é".repeat([1, 64, 256, 513, 40_000][index(rng, 5)]).into_bytes(),
        6 => super::json::changed(held, held, rng).unwrap_or_else(|| bytes::changed(held, held, rng)),
        _ => bytes::changed(held, held, rng),
    }
}

fn head(to: &mut Vec<u8>, major: u8, number: u64) {
    let major = major << 5;
    let bytes = number.to_be_bytes();
    match number {
        0..=23 => to.push(major | bytes[7]),
        24..=0xff => to.extend_from_slice(&[major | 0x18, bytes[7]]),
        0x100..=0xffff => to.extend([&[major | 0x19][..], &bytes[6..]].concat()),
        0x1_0000..=0xffff_ffff => to.extend([&[major | 0x1a][..], &bytes[4..]].concat()),
        _ => to.extend([&[major | 0x1b][..], &bytes].concat()),
    }
}

fn parse(input: &[u8]) -> Option<Item> {
    let (mut rest, mut left) = (input, ITEMS_MAX);
    let item = read(&mut rest, 0, &mut left)?;
    rest.is_empty().then_some(item)
}

fn read(rest: &mut &[u8], depth: usize, left: &mut usize) -> Option<Item> {
    *left = left.checked_sub(1)?;
    if depth > DEPTH_MAX {
        return None;
    }
    let whole = *rest;
    let (first, behind) = whole.split_first()?;
    let (major, short) = (first >> 5, first & 0x1f);
    let bytes = match short {
        0..=23 => 0,
        24..=27 => 1_usize << (short - 24),
        _ => return None,
    };
    let (number, behind) = behind.split_at_checked(bytes)?;
    *rest = behind;
    let number = match bytes {
        0 => u64::from(short),
        _ => number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
    };
    let length = usize::try_from(number).ok()?;
    Some(match major {
        0 | 1 => Item::Number(major, number),
        2 => Item::Bytes(taken(rest, length)?),
        3 => Item::Text(taken(rest, length)?),
        4 => Item::List(items(rest, length, depth, left)?),
        5 => Item::Map(items(rest, length.checked_mul(2)?, depth, left)?),
        6 => Item::Tag(number, Box::new(read(rest, depth + 1, left)?)),
        _ => Item::Raw(whole[..whole.len() - rest.len()].to_vec()),
    })
}

fn taken(rest: &mut &[u8], length: usize) -> Option<Vec<u8>> {
    let (held, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(held.to_vec())
}

fn items(rest: &mut &[u8], count: usize, depth: usize, left: &mut usize) -> Option<Vec<Item>> {
    (0..count).map(|_| read(rest, depth + 1, left)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_as_it_was() {
        for bytes in [
            &[0x83, 0x01, 0x42, 0xff, 0x00, 0xf6][..],
            &[0xa1, 0x61, 0x61, 0xfb, 0x40, 0x09, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18],
            &[0xc1, 0x1b, 0, 0, 0x01, 0xa3, 0x18, 0x5c, 0x58, 0x00],
            &[0x39, 0x01, 0x00],
        ] {
            let mut written = Vec::new();
            parse(bytes).expect("it is CBOR").write(&mut written);
            assert_eq!(written, bytes);
        }
        for no in [
            &[][..],
            &[0x82, 0x01],
            &[0x01, 0x01],
            &[0x9f, 0xff],
            &[0x5b, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        ] {
            assert!(parse(no).is_none(), "{no:?}");
        }
    }
}
