//! Passwords: the policy, and argon2id (RFC 9106).

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use service::Secret;

use super::AuthError;

/// Why a new password does not do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordProblem {
    /// Shorter than 12 characters.
    #[error("a password needs at least 12 characters")]
    Short,
    /// Longer than 256 characters.
    #[error("a password has at most 256 characters")]
    Long,
    /// Fewer than five different characters.
    #[error("a password needs at least five different characters")]
    Monotonous,
    /// Holds the user's name.
    #[error("a password must not contain the user name")]
    Name,
    /// One that everybody tries first.
    #[error("this password is too common")]
    Common,
    /// The same as before.
    #[error("the new password is the old one")]
    Same,
}

/// Words that must not make up the better part of a password.
const COMMON: [&str; 12] = [
    "password", "passwort", "123456", "qwert", "letmein", "welcome", "admin", "pikett", "changeme",
    "iloveyou", "monkey", "dragon",
];

/// Length counts, composition does not (NIST SP 800-63B section 5.1.1.2).
///
/// # Errors
/// [`PasswordProblem`], the first that applies.
pub fn check_policy(password: &str, name: &str) -> Result<(), PasswordProblem> {
    let length = password.chars().count();
    if length < 12 {
        return Err(PasswordProblem::Short);
    }
    if length > 256 {
        return Err(PasswordProblem::Long);
    }
    let mut different: Vec<char> = password.chars().collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < 5 {
        return Err(PasswordProblem::Monotonous);
    }
    let lower = password.to_lowercase();
    if name.len() >= 3 && lower.contains(name) {
        return Err(PasswordProblem::Name);
    }
    let mut rest = lower;
    for word in COMMON {
        rest = rest.replace(word, "");
    }
    if rest.chars().filter(|c| !c.is_ascii_digit()).count() < 5 {
        Err(PasswordProblem::Common)
    } else {
        Ok(())
    }
}

/// argon2id with the crate's parameters (19 MiB, two passes), random salt, PHC form.
pub(super) fn hash(password: &str) -> Result<String, AuthError> {
    let hashed = Argon2::default().hash_password(password.as_bytes());
    hashed.map(|hash| hash.to_string()).map_err(|_| AuthError::Crypto)
}

/// Whether a password fits a hash in PHC form.
pub(super) fn verify(password: &Secret, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok()
}

/// Takes the time of a verification, so that an unknown name is not told by its speed.
pub(super) fn waste(password: &Secret) {
    let mut out = [0; 32];
    let outcome = Argon2::default().hash_password_into(
        password.expose().as_bytes(),
        b"pikett-no-user",
        &mut out,
    );
    if outcome.is_err() {
        tracing::debug!("password of an unknown user could not be hashed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy() {
        for (password, problem) in [
            ("short", PasswordProblem::Short),
            ("aaaaaaaaaaaaaaaa", PasswordProblem::Monotonous),
            ("xx-alice-yy-zzz", PasswordProblem::Name),
            ("Password123456!", PasswordProblem::Common),
            ("qwertqwert123456", PasswordProblem::Common),
        ] {
            assert_eq!(check_policy(password, "alice"), Err(problem), "{password}");
        }
        assert_eq!(check_policy(&"long enough ".repeat(40), "a"), Err(PasswordProblem::Long));
        assert_eq!(check_policy("correct horse battery", "alice"), Ok(()));
    }

    #[test]
    fn hashes_are_argon2id_salted_and_verify() {
        let first = hash("correct horse").unwrap();
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
        assert_ne!(first, hash("correct horse").unwrap());
        assert!(verify(&Secret::new("correct horse".into()), &first));
        assert!(!verify(&Secret::new("wrong horse".into()), &first));
        assert!(!verify(&Secret::new("x".into()), "garbage"));
    }
}
