//! Signed links in pages, with which an alert is acknowledged without a login.
//!
//! `PAGE.EXPIRY.MAC`: HMAC-SHA256 over page, person and expiry. A link opens a page with one
//! button; only pressing it acknowledges, because mail scanners follow links.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use event::Timestamp;

use crate::keys::KeyBytes;

/// Seconds a link works.
const LASTS: i64 = 24 * 3600;

/// Makes and checks links.
pub struct Signer(hmac::Key);

impl std::fmt::Debug for Signer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Signer(..)")
    }
}

fn content(page: &str, who: &str, expiry: i64) -> Vec<u8> {
    format!("acknowledge\0{page}\0{who}\0{expiry}").into_bytes()
}

impl Signer {
    /// A signer with this key.
    #[must_use]
    pub fn new(key: &KeyBytes) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &**key))
    }

    /// The token for `who` and `page`, made at `now`.
    #[must_use]
    pub fn sign(&self, page: &str, who: &str, now: Timestamp) -> String {
        let expiry = now.seconds().saturating_add(LASTS);
        let mac = hmac::sign(&self.0, &content(page, who, expiry));
        format!("{page}.{expiry}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    /// The page a token names; nothing is known about the signature yet.
    #[must_use]
    pub fn page(token: &str) -> &str {
        token.split('.').next().unwrap_or("")
    }

    /// Whether the token is good for `who` at `now`.
    #[must_use]
    pub fn verify(&self, token: &str, who: &str, now: Timestamp) -> bool {
        let mut parts = token.splitn(3, '.');
        let (Some(page), Some(expiry), Some(mac)) = (parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        let (Ok(expiry), Ok(mac)) = (expiry.parse::<i64>(), URL_SAFE_NO_PAD.decode(mac)) else {
            return false;
        };
        expiry > now.seconds() && hmac::verify(&self.0, &content(page, who, expiry), &mac).is_ok()
    }

    /// Signature of a webhook's body, hexadecimal.
    #[must_use]
    pub fn body(key: &str, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    #[test]
    fn a_link_is_good_for_its_page_person_and_day() {
        let signer = Signer::new(&Zeroizing::new([1; 32]));
        let now = Timestamp::from_seconds(1_000);
        let token = signer.sign("p1", "alice", now);
        assert_eq!(Signer::page(&token), "p1");
        assert!(signer.verify(&token, "alice", now));
        assert!(!signer.verify(&token, "bob", now));
        assert!(!signer.verify(&token.replace("p1", "p2"), "alice", now));
        assert!(!signer.verify(&token, "alice", now.plus_seconds(LASTS)));
        assert!(!Signer::new(&Zeroizing::new([2; 32])).verify(&token, "alice", now));
        let longer = token.replacen("87400", "97400", 1);
        assert!(longer != token && !signer.verify(&longer, "alice", now));
        for text in ["", ".", "a.b.c", "p1.99999999999", "p1.x.AAAA"] {
            assert!(!signer.verify(text, "alice", now), "{text}");
        }
    }

    #[test]
    fn body_signature_is_hmac_sha256() {
        // RFC 4231 section 4.3, test case 2.
        assert_eq!(
            Signer::body("Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_link_ends_exactly_after_a_day_and_survives_a_clock_set_back() {
        let signer = Signer::new(&Zeroizing::new([1; 32]));
        let now = Timestamp::from_seconds(1_000_000);
        let token = signer.sign("p1", "alice", now);
        for (seconds, good) in [(-86_400, true), (0, true), (LASTS - 1, true), (LASTS, false)] {
            assert_eq!(
                signer.verify(&token, "alice", now.plus_seconds(seconds)),
                good,
                "{seconds}"
            );
        }
        let last = Timestamp::from_seconds(i64::MAX / 1_000_000);
        assert!(signer.verify(&signer.sign("p1", "alice", last), "alice", last));
    }

    #[test]
    fn parts_of_a_link_do_not_run_together() {
        let signer = Signer::new(&Zeroizing::new([1; 32]));
        let now = Timestamp::from_seconds(1_000);
        let token = signer.sign("page", "alice", now);
        let (_, rest) = token.split_once('.').unwrap();
        for (page, who) in
            [("pag", "ealice"), ("page\0alice", ""), ("", "alice"), ("page", "Alice")]
        {
            assert!(!signer.verify(&format!("{page}.{rest}"), who, now), "{page:?} {who:?}");
        }
        // The signature of a webhook's body is made with another key and opens no link.
        assert_ne!(Signer::body("k", b"x"), Signer::body("k2", b"x"));
    }

    proptest::proptest! {
        #[test]
        fn no_changed_character_is_accepted(at in 0..100_usize, with in "[ -~]") {
            let signer = Signer::new(&Zeroizing::new([1; 32]));
            let now = Timestamp::from_seconds(1_000);
            let token = signer.sign("0123456789abcdef0123", "alice", now);
            let at = at % token.len();
            let mut changed = token.clone();
            changed.replace_range(at..=at, &with);
            proptest::prop_assert_eq!(signer.verify(&changed, "alice", now), changed == token);
        }

        #[test]
        fn any_text_is_refused(text in ".{0,80}") {
            let signer = Signer::new(&Zeroizing::new([1; 32]));
            proptest::prop_assert!(!signer.verify(&text, "alice", Timestamp::EPOCH));
        }
    }
}
