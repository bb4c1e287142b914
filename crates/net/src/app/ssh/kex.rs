//! The offer of a side in the key exchange (RFC 4253 section 7.1) and its fingerprint.

use md5::{Digest, Md5};

use crate::cursor::Cursor;
use crate::flow::Direction;

/// HASSH: algorithms for key exchange, encryption, authentication and compression that a side offers
/// for what it sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hassh {
    /// The four lists, `;` between them.
    pub text: Vec<u8>,
    /// MD5 of it, lower-case hex.
    pub hash: String,
}

/// Reads the body of KEXINIT after its message number, as sent in a direction.
pub(super) fn hassh(body: &[u8], dir: Direction) -> Option<Hassh> {
    let mut c = Cursor::new(body);
    c.skip(16)?;
    let mut lists = [&b""[..]; 8];
    for list in &mut lists {
        let length = usize::try_from(c.u32()?).ok()?;
        *list = c.take(length)?;
    }
    let [kex, _, cipher_cs, cipher_sc, mac_cs, mac_sc, pack_cs, pack_sc] = lists;
    let chosen = match dir {
        Direction::ToServer => [kex, cipher_cs, mac_cs, pack_cs],
        Direction::ToClient => [kex, cipher_sc, mac_sc, pack_sc],
    };
    let text = chosen.join(&b';');
    let hash = Md5::digest(&text).iter().fold(String::new(), |mut hex, byte| {
        for nibble in [byte >> 4, byte & 15] {
            hex.extend(char::from_digit(u32::from(nibble), 16));
        }
        hex
    });
    Some(Hassh { text, hash })
}
