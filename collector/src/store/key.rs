//! The store's secret and the keys derived from it.
//!
//! Every sealed file has its own AES-256-GCM key: HKDF-SHA-256 over the secret with the file's
//! random salt, bound to the purpose and name of the file. Where the secret itself comes from
//! (a file, a key service) is the caller's business.

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

use super::StoreError;

/// Bytes of a file's salt.
pub const SALT: usize = 32;

/// 32 secret bytes; wiped on drop, never shown.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// Takes 32 secret bytes of full entropy.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The key of one file: `purpose` and `name` are bound into it, `salt` is the file's own.
    pub(crate) fn derive(
        &self,
        salt: &[u8; SALT],
        purpose: &str,
        name: &str,
    ) -> Result<LessSafeKey, StoreError> {
        let failed = |_| StoreError::Crypto { action: "derive a file key" };
        let info = [purpose.as_bytes(), &[0], name.as_bytes()];
        let extracted = Salt::new(HKDF_SHA256, salt).extract(self.0.as_slice());
        let expanded = extracted.expand(&info, &AES_256_GCM).map_err(failed)?;
        Ok(LessSafeKey::new(UnboundKey::from(expanded)))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Key(secret)")
    }
}

/// Fills a new array with random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| StoreError::Crypto { action: "draw random bytes" })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::aead::{Aad, Nonce};

    fn seal(key: &LessSafeKey) -> Vec<u8> {
        let mut data = b"text".to_vec();
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        key.seal_in_place_append_tag(nonce, Aad::empty(), &mut data).unwrap();
        data
    }

    #[test]
    fn keys_differ_by_secret_salt_purpose_and_name() {
        let key = Key::new([1; 32]);
        let sealed: std::collections::BTreeSet<Vec<u8>> = [
            seal(&key.derive(&[0; SALT], "log", "a").unwrap()),
            seal(&key.derive(&[1; SALT], "log", "a").unwrap()),
            seal(&key.derive(&[0; SALT], "index", "a").unwrap()),
            seal(&key.derive(&[0; SALT], "log", "b").unwrap()),
            seal(&Key::new([2; 32]).derive(&[0; SALT], "log", "a").unwrap()),
        ]
        .into();
        assert_eq!(sealed.len(), 5);
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Key::new([7; 32])), "Key(secret)");
    }
}
