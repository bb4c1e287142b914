//! Small sealed files replaced as a whole: the deduplication state, the index position, the key
//! check.
//!
//! Magic, salt, nonce, sealed content; the file's name is bound into its key. Replaced by writing
//! beside and renaming.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use aws_lc_rs::aead::{Aad, Nonce};

use super::segment::sync_directory;
use crate::store::StoreError;
use crate::store::key::{Key, SALT, random};

const MAGIC: [u8; 8] = *b"PKTSEAL\x01";
const PURPOSE: &str = "pikett sealed file 1";

/// What reading found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is no such file.
    Nothing,
    /// The content.
    Content(Vec<u8>),
    /// It does not open: damaged, moved, or sealed with another key.
    Damaged,
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Replaces the content of a file; with `durable`, only returns when it would survive a power cut.
///
/// # Errors
/// [`StoreError::Full`], [`StoreError::Io`], [`StoreError::Crypto`].
pub fn write(path: &Path, key: &Key, content: &[u8], durable: bool) -> Result<(), StoreError> {
    let salt: [u8; SALT] = random()?;
    let nonce: [u8; 12] = random()?;
    let file_key = key.derive(&salt, PURPOSE, &name(path))?;
    let mut sealed = content.to_vec();
    file_key
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
        .map_err(|_| StoreError::Crypto { action: "seal a file" })?;
    let fresh = path.with_extension("new");
    let put = || {
        let mut file = File::create(&fresh)?;
        file.write_all(&[&MAGIC[..], &salt, &nonce, &sealed].concat())?;
        if durable { file.sync_all() } else { Ok(()) }
    };
    put().map_err(|source| StoreError::io("write", &fresh, source))?;
    std::fs::rename(&fresh, path).map_err(|source| StoreError::io("rename", &fresh, source))?;
    match path.parent() {
        Some(directory) if durable => sync_directory(directory),
        _ => Ok(()),
    }
}

/// Reads a file back.
///
/// # Errors
/// [`StoreError::Io`], [`StoreError::Crypto`].
pub fn read(path: &Path, key: &Key) -> Result<Found, StoreError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(StoreError::io("read", path, error)),
    };
    let parts =
        bytes.split_at_checked(8).filter(|(magic, _)| *magic == MAGIC).and_then(|(_, rest)| {
            let (salt, rest) = rest.split_first_chunk::<SALT>()?;
            let (nonce, sealed) = rest.split_first_chunk::<12>()?;
            Some((salt, nonce, sealed.to_vec()))
        });
    let Some((salt, nonce, mut sealed)) = parts else { return Ok(Found::Damaged) };
    let file_key = key.derive(salt, PURPOSE, &name(path))?;
    let opened =
        file_key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut sealed);
    Ok(opened.map_or(Found::Damaged, |content| Found::Content(content.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_every_flipped_bit_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let key = Key::new([3; 32]);
        assert_eq!(read(&path, &key).unwrap(), Found::Nothing);
        write(&path, &key, b"content", true).unwrap();
        assert_eq!(read(&path, &key).unwrap(), Found::Content(b"content".to_vec()));
        assert_eq!(read(&path, &Key::new([4; 32])).unwrap(), Found::Damaged);
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            assert_eq!(read(&path, &key).unwrap(), Found::Damaged, "byte {at}");
            std::fs::write(&path, &good[..at]).unwrap();
            assert_eq!(read(&path, &key).unwrap(), Found::Damaged, "cut at {at}");
        }
        let moved = directory.path().join("other");
        std::fs::write(&moved, &good).unwrap();
        assert_eq!(read(&moved, &key).unwrap(), Found::Damaged);
    }
}
