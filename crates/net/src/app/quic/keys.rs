//! Keys of Initial packets (RFC 9001 section 5.2): derived from what the first packet has in clear.

use aws_lc_rs::aead::quic::{AES_128 as HEADER, HeaderProtectionKey};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

use super::VERSION_2;
use super::packet::Packet;
use crate::flow::Direction;

const SALT_1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad,
    0xcc, 0xbb, 0x7f, 0x0a,
];
const SALT_2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb,
    0xf9, 0xbd, 0x2e, 0xd9,
];
/// Drafts 29 to 32.
const SALT_DRAFT_29: [u8; 20] = [
    0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0,
    0x43, 0x90, 0xa8, 0x99,
];
/// Drafts 23 to 28.
const SALT_DRAFT_23: [u8; 20] = [
    0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65,
    0xbe, 0xf9, 0xf5, 0x02,
];

/// Keys of one direction.
struct Side {
    packet: LessSafeKey,
    iv: [u8; NONCE_LEN],
    header: HeaderProtectionKey,
}

/// Keys of both directions.
pub(super) struct Keys {
    client: Side,
    server: Side,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

/// A length that is asked for.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label of TLS 1.3 (RFC 8446 section 7.1) with an empty context.
fn expand<const N: usize>(secret: &Prk, label: &str) -> Option<[u8; N]> {
    let size = u16::try_from(N).ok()?.to_be_bytes();
    let label_length = u8::try_from(label.len()).ok()?.saturating_add(6);
    let info: [&[u8]; 5] = [&size, &[label_length], b"tls13 ", label.as_bytes(), &[0]];
    let mut out = [0; N];
    secret.expand(&info, Length(N)).ok()?.fill(&mut out).ok()?;
    Some(out)
}

impl Side {
    fn new(initial: &Prk, label: &str, version: u32) -> Option<Self> {
        let secret: [u8; 32] = expand(initial, label)?;
        let secret = Prk::new_less_safe(HKDF_SHA256, &secret);
        let [key, iv, header] = match version {
            VERSION_2 => ["quicv2 key", "quicv2 iv", "quicv2 hp"],
            _ => ["quic key", "quic iv", "quic hp"],
        };
        let key: [u8; 16] = expand(&secret, key)?;
        let header: [u8; 16] = expand(&secret, header)?;
        Some(Self {
            packet: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?),
            iv: expand(&secret, iv)?,
            header: HeaderProtectionKey::new(&HEADER, &header).ok()?,
        })
    }

    /// Takes the protection off a packet (RFC 9001 section 5): its payload.
    fn open(&self, packet: &Packet<'_>) -> Option<Vec<u8>> {
        let sample_at = packet.number_at.checked_add(4)?;
        let sample = packet.whole.get(sample_at..sample_at.checked_add(16)?)?;
        let mask = self.header.new_mask(sample).ok()?;
        let (first_mask, number_mask) = mask.split_first()?;
        let first = packet.whole.first()? ^ (first_mask & 0x0f);
        let length = usize::from(first & 3).checked_add(1)?;
        let payload_at = packet.number_at.checked_add(length)?;
        let mut header = packet.whole.get(..payload_at)?.to_vec();
        *header.first_mut()? = first;
        let mut number = 0_u64;
        for (byte, mask) in header.get_mut(packet.number_at..)?.iter_mut().zip(number_mask) {
            *byte ^= mask;
            number = number << 8 | u64::from(*byte);
        }
        let mut nonce = self.iv;
        for (byte, part) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
            *byte ^= part;
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        let mut payload = packet.whole.get(payload_at..)?.to_vec();
        let length = self.packet.open_in_place(nonce, Aad::from(&header), &mut payload).ok()?.len();
        payload.truncate(length);
        Some(payload)
    }
}

impl Keys {
    /// Keys of a connection, from the identifier that the client chose for the server.
    pub(super) fn initial(version: u32, id: &[u8]) -> Option<Self> {
        let salt = match version {
            VERSION_2 => &SALT_2,
            0xff00_0017..=0xff00_001c => &SALT_DRAFT_23,
            0xff00_001d..=0xff00_0020 => &SALT_DRAFT_29,
            _ => &SALT_1,
        };
        let initial = Salt::new(HKDF_SHA256, salt).extract(id);
        Some(Self {
            client: Side::new(&initial, "client in", version)?,
            server: Side::new(&initial, "server in", version)?,
        })
    }

    /// The payload of a packet that went that way; `None` when it was protected with other keys.
    pub(super) fn open(&self, dir: Direction, packet: &Packet<'_>) -> Option<Vec<u8>> {
        match dir {
            Direction::ToServer => self.client.open(packet),
            Direction::ToClient => self.server.open(packet),
        }
    }

    /// Protects a packet of the client, for tests.
    #[cfg(test)]
    pub(super) fn seal(&self, header: &[u8], number: u8, payload: &[u8]) -> Vec<u8> {
        let side = &self.client;
        let mut nonce = side.iv;
        nonce[NONCE_LEN - 1] ^= number;
        let mut sealed = payload.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        side.packet.seal_in_place_append_tag(nonce, Aad::from(header), &mut sealed).unwrap();
        let mut packet = [header, &sealed].concat();
        let number_at = header.len() - 1;
        let mask = side.header.new_mask(&packet[number_at + 4..number_at + 20]).unwrap();
        packet[0] ^= mask[0] & 0x0f;
        packet[number_at] ^= mask[1];
        packet
    }
}
