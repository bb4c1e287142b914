//! Google's versions Q039 to Q046, from before QUIC was a standard: the tags of a client's hello.
//!
//! After "QUIC Wire Layout Specification" and "QUIC Crypto" (docs.google.com, 2016).

use md5::{Digest as _, Md5};

use super::Google;
use super::packet::long;
use crate::app::tls::hex;
use crate::cursor::Cursor;

/// Tags of a hello.
const MAX_TAGS: usize = 128;
/// Bytes of the checksum of a packet before there are keys.
const CHECKSUM: usize = 12;

/// The version of a packet with a public header, when it has one.
pub(super) fn public_version(bytes: &[u8]) -> Option<u32> {
    let mut c = Cursor::new(bytes);
    // Version and connection identifier are there, it is no reset.
    if c.u8()? & 0xcb != 0x09 {
        return None;
    }
    c.skip(8)?;
    c.u32()
}

/// Reads the frames of a packet for the hello of a client.
pub(super) fn client_hello(bytes: &[u8]) -> Option<(u32, Google)> {
    let (version, mut c) = match long(bytes) {
        Some((version, mut c)) => {
            // Lengths of both identifiers in one byte: 0, or three less than they are.
            let lengths = c.u8()?;
            for length in [lengths >> 4, lengths & 0x0f] {
                if length > 0 {
                    c.skip(usize::from(length).checked_add(3)?)?;
                }
            }
            c.skip(usize::from(bytes.first()? & 3).checked_add(1)?)?;
            (version, c)
        }
        None => {
            let version = public_version(bytes)?;
            let mut c = Cursor::new(bytes);
            let flags = c.u8()?;
            c.skip(12)?;
            c.skip(match flags >> 4 & 3 {
                0 => 1,
                1 => 2,
                2 => 4,
                _ => 6,
            })?;
            (version, c)
        }
    };
    c.skip(CHECKSUM)?;
    while let Some(kind) = c.u8() {
        match kind {
            // A frame of a stream.
            kind if kind & 0x80 != 0 => {
                c.skip(usize::from(kind & 3).checked_add(1)?)?;
                let offset = usize::from(kind >> 2 & 7);
                c.skip(if offset > 0 { offset.checked_add(1)? } else { 0 })?;
                let data = if kind & 0x20 != 0 { c.vec16()? } else { c.rest() };
                return hello(version, data).map(|hello| (version, hello));
            }
            // Padding, ping.
            0 | 7 => {}
            _ => return None,
        }
    }
    None
}

/// `CHLO`, a count, names with where their values end, values.
fn hello(version: u32, data: &[u8]) -> Option<Google> {
    let mut c = Cursor::new(data);
    if c.take(4)? != b"CHLO" {
        return None;
    }
    let count = usize::from(c.u16_le()?);
    c.skip(2)?;
    let mut tags = Vec::new();
    for _ in 0..count.min(MAX_TAGS) {
        tags.push((c.take(4)?, usize::try_from(c.u32_le()?).ok()?));
    }
    let values = c.rest();
    let (mut from, mut google) = (0, Google::default());
    let mut names: Vec<String> = Vec::new();
    for (tag, end) in tags {
        let name: String = tag
            .iter()
            .filter(|byte| byte.is_ascii_graphic())
            .map(|byte| char::from(*byte))
            .collect();
        let value = values.get(from..end);
        match name.as_str() {
            "SNI" => google.sni = value.map(<[u8]>::to_vec),
            "UAID" => google.user_agent = value.map(<[u8]>::to_vec),
            _ => {}
        }
        names.push(name);
        from = end;
    }
    let [_, _, tens, ones] = version.to_be_bytes();
    google.cyu = format!("{}{},{}", char::from(tens), char::from(ones), names.join("-"));
    google.cyu_hash = hex(&Md5::digest(google.cyu.as_bytes()));
    Some(google)
}
