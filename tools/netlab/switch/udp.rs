//! Which UDP port a frame is for.

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const UDP: u8 = 17;
const IPV6_HEADER_BYTES: usize = 40;

/// The destination port of an Ethernet frame that carries UDP over IP. None for everything else: later fragments, which name
/// no port, extension headers of IPv6, VLAN tags.
#[must_use]
pub fn destination_port(frame: &[u8]) -> Option<u16> {
    let (ethernet, packet) = frame.split_at_checked(14)?;
    let datagram = match [ethernet[12], ethernet[13]] {
        IPV4 => {
            // Behind the three flags stands how far into the datagram this fragment begins.
            let begins_at = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x1fff;
            (*packet.get(9)? == UDP && begins_at == 0).then_some(())?;
            packet.get(usize::from(packet[0] & 0x0f) * 4..)?
        }
        IPV6 => {
            (*packet.get(6)? == UDP).then_some(())?;
            packet.get(IPV6_HEADER_BYTES..)?
        }
        _ => return None,
    };
    Some(u16::from_be_bytes(*datagram.get(2..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ethernet(kind: [u8; 2], packet: &[u8]) -> Vec<u8> {
        [&[0xff; 12][..], &kind, packet].concat()
    }

    /// A header of `words` words, and a datagram for port 5353.
    fn v4(words: u8, protocol: u8, fragment: [u8; 2]) -> Vec<u8> {
        let mut packet = vec![0; usize::from(words) * 4];
        (packet[0], packet[9]) = (0x40 | words, protocol);
        packet[6..8].copy_from_slice(&fragment);
        packet.extend([0, 1, 0x14, 0xe9, 0, 8, 0, 0]);
        ethernet(IPV4, &packet)
    }

    fn v6(next: u8) -> Vec<u8> {
        let mut packet = vec![0; IPV6_HEADER_BYTES];
        (packet[0], packet[6]) = (0x60, next);
        packet.extend([0, 1, 0x14, 0xe9, 0, 8, 0, 0]);
        ethernet(IPV6, &packet)
    }

    #[test]
    fn the_port_is_found_behind_every_header_and_nowhere_else() {
        for (frame, port) in [
            (v4(5, UDP, [0, 0]), Some(5_353)),
            (v4(6, UDP, [0x40, 0]), Some(5_353)),
            (v4(5, UDP, [0x20, 0]), Some(5_353)),
            (v4(5, UDP, [0, 9]), None),
            (v4(5, 6, [0, 0]), None),
            (v6(UDP), Some(5_353)),
            (v6(6), None),
            (ethernet([0x08, 0x06], &[0; 46]), None),
        ] {
            assert_eq!(destination_port(&frame), port, "{frame:02x?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, is_v4: bool) {
            let _ = destination_port(&bytes);
            let _ = destination_port(&ethernet(if is_v4 { IPV4 } else { IPV6 }, &bytes));
        }
    }
}
