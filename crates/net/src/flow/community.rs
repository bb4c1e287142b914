//! Community ID version 1 (github.com/corelight/community-id-spec): one string per flow that other
//! tools compute alike.

use base64::Engine as _;
use sha1::{Digest as _, Sha1};

use std::net::IpAddr;

type End = (IpAddr, u16);

/// Of two ends in the order that the specification asks for: by address, then by port; as sent
/// when nothing answers.
pub(super) fn community_id(proto: u8, (a, b): (End, End), seed: u16) -> String {
    let mut hash = Sha1::new();
    hash.update(seed.to_be_bytes());
    address(&mut hash, a.0);
    address(&mut hash, b.0);
    hash.update([proto, 0]);
    if matches!(proto, 1 | 6 | 17 | 58 | 132) {
        hash.update(a.1.to_be_bytes());
        hash.update(b.1.to_be_bytes());
    }
    format!("1:{}", base64::engine::general_purpose::STANDARD.encode(hash.finalize()))
}

fn address(hash: &mut Sha1, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => hash.update(v4.octets()),
        IpAddr::V6(v6) => hash.update(v6.octets()),
    }
}
