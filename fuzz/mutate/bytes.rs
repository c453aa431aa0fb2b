//! Changes of mere bytes: flipped, cut, doubled, moved, put together with another input.

use clawmesh_lab::SplitMix64;

use crate::pool::index;

/// Bytes at which readers of numbers, lengths and texts turn.
const TURNS: [u8; 18] =
    [0, 1, 0x17, 0x18, 0x1b, 0x3b, 0x5b, 0x5f, 0x7f, 0x80, 0x9b, 0x9f, 0xbf, 0xc0, 0xed, 0xf7, 0xfb, 0xff];

/// Changes `input` once.
pub fn changed(input: &[u8], donor: &[u8], rng: &mut SplitMix64) -> Vec<u8> {
    let mut out = input.to_vec();
    if out.is_empty() {
        return donor.to_vec();
    }
    let at = index(rng, out.len());
    let part = at..at + 1 + index(rng, (out.len() - at).min(64));
    let part = part.start..part.end.min(out.len());
    match rng.below(9) {
        0 => out[at] ^= 1 << rng.below(8),
        1 => out[at] = TURNS[index(rng, TURNS.len())],
        2 => out.truncate(at),
        3 => drop(out.drain(part)),
        4 => {
            let piece = out[part.clone()].to_vec();
            let most = if rng.chance(5) { 10_000 / piece.len().max(1) } else { 4 };
            let times = 1 + index(rng, most);
            out.splice(part.end..part.end, piece.repeat(times));
        }
        5 => drop(out.splice(at..at, [TURNS[index(rng, TURNS.len())]])),
        6 => out.rotate_left(at),
        7 => {
            let number = [0, 1, u64::from(u32::MAX), 1 << 53, u64::MAX >> 1, u64::MAX][index(rng, 6)];
            for (place, byte) in out[at..].iter_mut().zip(number.to_be_bytes()) {
                *place = byte;
            }
        }
        _ => {
            let from = index(rng, donor.len());
            out.truncate(at);
            out.extend_from_slice(donor.get(from..).unwrap_or_default());
        }
    }
    out
}
