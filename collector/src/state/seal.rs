//! Sealing of records and hashing of their identities.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac::{self, HMAC_SHA256};

use super::{Record, StateError};
use crate::keyring::hex;
use crate::keys::{KeyBytes, random};

/// What seals the records of one database.
pub(super) struct Sealer {
    key: LessSafeKey,
    ids: hmac::Key,
    sums: hmac::Key,
}

/// Enough of a hash to tell a record.
pub(super) fn short(hash: &[u8]) -> String {
    hex(hash.get(..8).unwrap_or(hash))
}

impl Sealer {
    pub(super) fn new(secret: &KeyBytes) -> Result<Self, StateError> {
        let key = UnboundKey::new(&AES_256_GCM, &**secret).map_err(|_| StateError::Crypto)?;
        let root = hmac::Key::new(HMAC_SHA256, &**secret);
        let derived = |usage: &[u8]| hmac::Key::new(HMAC_SHA256, hmac::sign(&root, usage).as_ref());
        Ok(Self {
            key: LessSafeKey::new(key),
            ids: derived(b"pikett state identities 1"),
            sums: derived(b"pikett state sums 1"),
        })
    }

    /// What stands for an identity.
    pub(super) fn hash(&self, kind: &str, id: &str) -> Vec<u8> {
        hmac::sign(&self.ids, format!("{kind}\0{id}").as_bytes()).as_ref().to_vec()
    }

    /// What a record counts for in a sum.
    pub(super) fn weigh(&self, kind: &str, hash: &[u8], content: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.sums);
        for part in [kind.as_bytes(), &[0], hash, content] {
            context.update(part);
        }
        context.sign().as_ref().first_chunk().copied().unwrap_or_default()
    }

    pub(super) fn seal_bytes(
        &self,
        associated: &[u8],
        mut content: Vec<u8>,
    ) -> Result<Vec<u8>, StateError> {
        let nonce = random::<12>().map_err(|_| StateError::Crypto)?;
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(unique, Aad::from(associated), &mut content)
            .map_err(|_| StateError::Crypto)?;
        Ok([&nonce[..], &content].concat())
    }

    pub(super) fn open_bytes(&self, associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, content) = sealed.split_first_chunk::<12>()?;
        let mut content = content.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.key.open_in_place(nonce, Aad::from(associated), &mut content).ok()?.len();
        content.truncate(plain);
        Some(content)
    }

    pub(super) fn seal<R: Record>(&self, hash: &[u8], record: &R) -> Result<Vec<u8>, StateError> {
        let content = serde_json::to_vec(record).map_err(|source| StateError::Content {
            kind: R::KIND,
            id: record.id().to_owned(),
            source,
        })?;
        self.seal_bytes(&associated(R::KIND, hash), content)
    }

    /// Opens a record, named `id` in errors; what it holds must be the identity of its hash.
    pub(super) fn unseal<R: Record>(
        &self,
        id: &str,
        hash: &[u8],
        sealed: &[u8],
    ) -> Result<R, StateError> {
        let damaged = || StateError::Sealed { kind: R::KIND.to_owned(), id: id.to_owned() };
        let plain = self.open_bytes(&associated(R::KIND, hash), sealed).ok_or_else(damaged)?;
        let record: R = serde_json::from_slice(&plain).map_err(|source| StateError::Content {
            kind: R::KIND,
            id: id.to_owned(),
            source,
        })?;
        if self.hash(R::KIND, record.id()) == hash { Ok(record) } else { Err(damaged()) }
    }
}

/// What a record is bound to.
pub(super) fn associated(kind: &str, hash: &[u8]) -> Vec<u8> {
    [kind.as_bytes(), &[0], hash].concat()
}
