//! Who logs in: NTLMSSP (MS-NLMP) and Kerberos within the security blob of a session setup.

use super::record::{Identity, SessionSetup};
use super::two::utf16;
use crate::cursor::Cursor;

/// The client authenticates.
const AUTHENTICATE: u32 = 3;
/// Strings are UTF-16.
const UNICODE: u32 = 1;
/// The message names the client's version.
const VERSION: u32 = 0x0200_0000;

/// Reads the blob of a request; the event when it is wrong.
pub(super) fn read(blob: &[u8], setup: &mut SessionSetup) -> Option<&'static str> {
    // SPNEGO wraps the messages in DER; what is inside is found by its signature.
    let at = memchr::memmem::find(blob, b"NTLMSSP\0")?;
    let message = blob.get(at..)?;
    let mut c = Cursor::new(message);
    c.skip(8)?;
    match c.u32_le() {
        Some(AUTHENTICATE) => {}
        Some(1 | 2) => return None,
        _ => return Some("malformed_ntlmssp_request"),
    }
    match identity(message) {
        Some(identity) => {
            setup.identity = Some(identity);
            None
        }
        None => Some("malformed_ntlmssp_request"),
    }
}

fn identity(message: &[u8]) -> Option<Identity> {
    let mut c = Cursor::new(message);
    // Signature and type, then the answers of LM and NT.
    c.skip(28)?;
    let (domain, user, host) = (field(&mut c)?, field(&mut c)?, field(&mut c)?);
    // The session key is missing from very old clients.
    let flags = c.skip(8).and_then(|()| c.u32_le()).unwrap_or(UNICODE);
    let version = (flags & VERSION != 0)
        .then(|| {
            let (major, minor, build) = (c.u8()?, c.u8()?, c.u16_le()?);
            c.skip(3)?;
            Some((major, minor, build, c.u8()?))
        })
        .flatten();
    let text = |(length, offset): (usize, usize)| {
        let raw = message.get(offset..)?.get(..length)?;
        Some(if flags & UNICODE == 0 { raw.to_vec() } else { utf16(raw) })
    };
    Some(Identity { domain: text(domain)?, user: text(user)?, host: text(host)?, version })
}

/// Length and place of a string.
fn field(c: &mut Cursor<'_>) -> Option<(usize, usize)> {
    let length = c.u16_le()?;
    c.skip(2)?;
    Some((length.into(), usize::try_from(c.u32_le()?).ok()?))
}
