//! Keys of 32 bytes as people keep them: in a file of their own, raw or as text.
//!
//! Not here: what a key is for, and keys that a program makes itself.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Most bytes a file with a key may have.
const MOST: u64 = 4096;

/// 32 secret bytes; cannot be printed, wiped when dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeyBytes(Zeroizing<[u8; 32]>);

impl KeyBytes {
    /// Takes 32 secret bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl std::fmt::Debug for KeyBytes {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("KeyBytes(..)")
    }
}

impl std::ops::Deref for KeyBytes {
    type Target = [u8; 32];

    fn deref(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::ops::DerefMut for KeyBytes {
    fn deref_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }
}

/// Why a file gives no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("cannot read the key file {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others may read it.
    #[error("key file {} can be read by others; run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
    },
    /// It holds no key.
    #[error("key file {} holds no key: 32 bytes, or them as hex or base64, are wanted", path.display())]
    Form {
        /// Which.
        path: PathBuf,
    },
}

/// Reads the key in a file that only its owner may read.
///
/// # Errors
/// [`KeyFileError`], naming the file.
pub fn read(path: &Path) -> Result<KeyBytes, KeyFileError> {
    let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
    let found = std::fs::metadata(path).map_err(failed)?;
    if found.permissions().mode() & 0o077 != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned() });
    }
    let form = || KeyFileError::Form { path: path.to_owned() };
    if found.len() > MOST {
        return Err(form());
    }
    let bytes = Zeroizing::new(std::fs::read(path).map_err(failed)?);
    parse(&bytes).map(KeyBytes::new).ok_or_else(form)
}

/// 32 bytes as they are, as 64 hexadecimal digits or as base64; white space around the text forms
/// does not count.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<[u8; 32]> {
    if let Ok(raw) = <[u8; 32]>::try_from(bytes) {
        return Some(raw);
    }
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let decoded = match text.len() {
        64 => Zeroizing::new(unhex(text)?),
        44 => Zeroizing::new(STANDARD.decode(text).ok()?),
        _ => return None,
    };
    <[u8; 32]>::try_from(decoded.as_slice()).ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut pairs = text.as_bytes().iter();
    let mut out = Vec::with_capacity(text.len() / 2);
    while let Some(high) = pairs.next() {
        out.push((digit(*high)? << 4) | digit(*pairs.next()?)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_of_a_key_and_what_is_none() {
        let key: Vec<u8> = (0..32).collect();
        let hex: String = key.iter().map(|byte| format!("{byte:02X}")).collect();
        let base64 = STANDARD.encode(&key);
        for (bytes, good) in [
            (key.clone(), true),
            (hex.clone().into_bytes(), true),
            (format!(" {hex}\r\n").into_bytes(), true),
            (format!("{base64}\n").into_bytes(), true),
            (key[..31].to_vec(), false),
            ([key.clone(), vec![0]].concat(), false),
            (hex.as_bytes()[..63].to_vec(), false),
            (hex.replace('0', "g").into_bytes(), false),
            (base64.replace('A', "*").into_bytes(), false),
            (Vec::new(), false),
        ] {
            assert_eq!(parse(&bytes).map(|found| found.to_vec() == key), good.then_some(true));
        }
    }

    #[test]
    fn a_file_must_be_private_and_hold_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        let words = |mode: u32, content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let found = read(&path).map(|key| key.to_vec());
            found.map_err(|error| error.to_string().replace(&path.display().to_string(), "F"))
        };
        assert_eq!(words(0o600, &[9; 32]), Ok(vec![9; 32]));
        assert_eq!(words(0o400, "09".repeat(32).as_bytes()), Ok(vec![9; 32]));
        let exposed = "key file F can be read by others; run: chmod 600 F";
        assert_eq!(words(0o640, &[9; 32]), Err(exposed.to_owned()));
        let form = "key file F holds no key: 32 bytes, or them as hex or base64, are wanted";
        assert_eq!(words(0o600, b"secret"), Err(form.to_owned()));
        assert_eq!(words(0o600, &[b'0'; 5000]), Err(form.to_owned()));
        let missing = read(&folder.path().join("none")).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read the key file "), "{missing}");
        assert_eq!(format!("{:?}", KeyBytes::new([1; 32])), "KeyBytes(..)");
    }
}
