//! Which addresses are on the public internet (IANA's special-purpose registries).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is somebody's on the public internet. What carries an IPv4 address inside (mapped, compatible,
/// NAT64, 6to4) is judged by that one too.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        // this network, private, loopback, link-local
        (0 | 10 | 127, ..) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _)
        // shared by providers and their customers; protocol assignments, documentation
        | (100, 64..=127, _) | (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113)
        // relays of 6to4, benchmarks; multicast, reserved, broadcast
        | (192, 88, 99) | (198, 18 | 19, _) | (224.., ..)
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        // ::, ::1, IPv4-compatible: none of them is anybody's.
        [0, 0, 0, 0, 0, 0, _, _] => false,
        // IPv4-mapped and the well-known NAT64 prefix lead to the IPv4 address inside.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        // 6to4 leads to the IPv4 address behind its prefix.
        [0x2002, high, low, ..] => v4(high, low),
        // NAT64 of one's own network; Teredo, ORCHID, benchmarks and the like; documentation.
        [0x64, 0xff9b, 1, ..] | [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Only 2000::/3 is handed out; unique-local, link-local, site-local and multicast lie outside.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}
