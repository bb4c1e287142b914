//! Signed statements: JSON with an Ed25519 signature that anybody can check with the public key.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::keyring::hex;
use crate::keys::KeyError;

/// A SHA-256 digest, hexadecimal in JSON.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link(pub [u8; 32]);

impl Link {
    /// The digest the cryptography library gives.
    #[must_use]
    pub fn of(digest: &aws_lc_rs::digest::Digest) -> Self {
        Self(digest.as_ref().first_chunk().copied().unwrap_or_default())
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = unhex(text)?;
        bytes.try_into().ok().map(Self)
    }
}

impl std::fmt::Display for Link {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&hex(&self.0))
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{self}")
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("is no SHA-256 digest"))
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| {
        let [high, low] = pair else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        u8::try_from((digit(*high)? << 4) | digit(*low)?).ok()
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

/// How far something has come: how many steps, and a digest over all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Steps so far.
    pub count: u64,
    /// Digest over them.
    pub digest: Link,
}

/// A statement and who signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// JSON, exactly as it was signed.
    pub statement: String,
    /// Ed25519 (RFC 8032), hexadecimal.
    pub signature: String,
    /// Public key, hexadecimal.
    pub public_key: String,
}

impl Signed {
    /// The statement, when its signature is of `public_key`.
    #[must_use]
    pub fn check<T: DeserializeOwned>(&self, public_key: &str) -> Option<T> {
        let (key, signature) = (unhex(public_key)?, unhex(&self.signature)?);
        let key = UnparsedPublicKey::new(&ED25519, key);
        key.verify(self.statement.as_bytes(), &signature).ok()?;
        serde_json::from_str(&self.statement).ok()
    }
}

/// The signing key of a collector.
pub struct Signer(Ed25519KeyPair);

impl std::fmt::Debug for Signer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Signer({})", self.public())
    }
}

impl Signer {
    /// From a secret seed.
    ///
    /// # Errors
    /// [`KeyError::Crypto`].
    pub fn new(seed: &[u8; 32]) -> Result<Self, KeyError> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|_| KeyError::Crypto)
    }

    /// The public key, hexadecimal: it may be given to anybody.
    #[must_use]
    pub fn public(&self) -> String {
        hex(self.0.public_key().as_ref())
    }

    /// Signs a statement.
    ///
    /// # Errors
    /// [`KeyError::Crypto`].
    pub fn sign(&self, statement: &impl Serialize) -> Result<Signed, KeyError> {
        let statement = serde_json::to_string(statement).map_err(|_| KeyError::Crypto)?;
        let signature = self.0.try_sign(statement.as_bytes()).map_err(|_| KeyError::Crypto)?;
        Ok(Signed { statement, signature: hex(signature.as_ref()), public_key: self.public() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_hold_for_their_text_and_key_alone() {
        let (one, two) = (Signer::new(&[1; 32]).unwrap(), Signer::new(&[2; 32]).unwrap());
        let signed = one.sign(&Head { count: 7, digest: Link([9; 32]) }).unwrap();
        assert_eq!(signed.check::<Head>(&one.public()).map(|head| head.count), Some(7));
        assert_eq!(signed.check::<Head>(&two.public()), None);
        let changed = Signed { statement: signed.statement.replace('7', "8"), ..signed.clone() };
        assert_eq!(changed.check::<Head>(&one.public()), None);
        for bad in ["", "xyz", "00", "é"] {
            assert_eq!(
                Signed { signature: bad.into(), ..signed.clone() }.check::<Head>(&one.public()),
                None
            );
            assert_eq!(signed.check::<Head>(bad), None);
        }
        // RFC 8032, section 7.1, test 1: the public key of this seed.
        let seed = Link::parse("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        assert_eq!(
            Signer::new(&seed.unwrap().0).unwrap().public(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
    }
}
