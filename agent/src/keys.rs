//! Keys derived from the agent's secret, each for one purpose (HKDF, RFC 5869, with SHA-256).

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

/// A key of 32 bytes; cannot be printed.
#[derive(Clone)]
pub(crate) struct Derived(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for Derived {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Derived(..)")
    }
}

impl Derived {
    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        32
    }
}

/// The key for a purpose; `None` when the library refuses.
pub(crate) fn derive(secret: &[u8; 32], salt: &[u8], purpose: &[u8]) -> Option<Derived> {
    let prk = Salt::new(HKDF_SHA256, salt).extract(secret);
    let mut bytes = Zeroizing::new([0; 32]);
    prk.expand(&[purpose], KeyLength).ok()?.fill(&mut *bytes).ok()?;
    Some(Derived(bytes))
}
