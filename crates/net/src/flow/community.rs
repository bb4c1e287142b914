//! Community ID version 1 (github.com/corelight/community-id-spec): one string per flow that other
//! tools compute alike.

use base64::Engine as _;
use sha1::{Digest as _, Sha1};

use std::net::IpAddr;

type End = (IpAddr, u16);

/// Of two ends in the order that the specification asks for: by address, then by port; as sent
/// when nothing answers.
pub(super) fn community_id(proto: u8, (a, b): (End, End), seed: u16) -> String {
    // What is hashed, in one piece: two, four or sixteen bytes at a time cost more than the hash.
    let mut bytes = [0_u8; 2 + 2 * 16 + 2 + 4];
    let mut room = bytes.iter_mut();
    let mut length = 0_usize;
    let mut add = |part: &[u8]| {
        length = length.saturating_add(part.len());
        part.iter().zip(&mut room).for_each(|(from, to)| *to = *from);
    };
    add(&seed.to_be_bytes());
    for end in [a.0, b.0] {
        match end {
            IpAddr::V4(v4) => add(&v4.octets()),
            IpAddr::V6(v6) => add(&v6.octets()),
        }
    }
    add(&[proto, 0]);
    if matches!(proto, 1 | 6 | 17 | 58 | 132) {
        add(&a.1.to_be_bytes());
        add(&b.1.to_be_bytes());
    }
    let hash = Sha1::digest(bytes.get(..length).unwrap_or_default());
    let mut id = String::with_capacity(30);
    id.push_str("1:");
    base64::engine::general_purpose::STANDARD.encode_string(hash, &mut id);
    id
}
