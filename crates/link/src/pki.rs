//! Certificates of the link: a local authority, server certificates, agent certificates.
//!
//! ECDSA P-256 throughout. The common name of an agent's certificate is its identity. Private keys
//! never leave the machine they were made on: agents send a signing request.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};

/// Days an authority lasts.
const CA_DAYS: i64 = 3650;
/// Days a server or agent certificate lasts.
const LEAF_DAYS: i64 = 397;

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// Key or certificate could not be made.
    #[error("certificate could not be made")]
    Make(#[from] rcgen::Error),
    /// Text is not the PEM it should be.
    #[error("not a PEM certificate")]
    Pem(#[source] rustls_pki_types::pem::Error),
    /// Certificate does not parse.
    #[error("certificate cannot be read: {reason}")]
    Read {
        /// What is wrong.
        reason: String,
    },
    /// A point in time outside what certificates can say.
    #[error("time {seconds} s is outside what a certificate can say")]
    Time {
        /// Seconds since the epoch.
        seconds: i64,
    },
}

/// A certificate and its private key, both PEM. The key does not print.
pub struct Identity {
    /// Certificate, followed by its authority's.
    pub chain: String,
    /// Private key, PKCS#8.
    pub key: service::Secret,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Identity(..)")
    }
}

/// The local certificate authority.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Authority(..)")
    }
}

fn dates(now_seconds: i64, days: i64) -> Result<(OffsetDateTime, OffsetDateTime), PkiError> {
    let outside = || PkiError::Time { seconds: now_seconds };
    let now = OffsetDateTime::from_unix_timestamp(now_seconds).map_err(|_| outside())?;
    // An hour back, so that a peer whose clock is a little behind accepts it.
    let from = now.checked_sub(Duration::hours(1)).ok_or_else(outside)?;
    let until = now.checked_add(Duration::days(days)).ok_or_else(outside)?;
    Ok((from, until))
}

impl Authority {
    /// Makes a new authority named `name`; `now_seconds` since the epoch.
    ///
    /// # Errors
    /// [`PkiError::Make`] or [`PkiError::Time`].
    pub fn create(name: &str, now_seconds: i64) -> Result<(Self, service::Secret), PkiError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        (params.not_before, params.not_after) = dates(now_seconds, CA_DAYS)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        let secret = service::Secret::new(key.serialize_pem());
        Ok((Self { certificate, issuer: Issuer::new(params, key) }, secret))
    }

    /// Takes an authority from its certificate and key.
    ///
    /// # Errors
    /// [`PkiError::Make`] when either does not parse.
    pub fn load(certificate: &str, key: &service::Secret) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(key.expose())?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key)?;
        Ok(Self { certificate: certificate.to_owned(), issuer })
    }

    /// The authority's own certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for a server reachable under `names` (host names and addresses).
    ///
    /// # Errors
    /// [`PkiError::Make`] when a name is not valid, [`PkiError::Time`].
    pub fn server(&self, names: &[String], now_seconds: i64) -> Result<Identity, PkiError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.to_vec())?;
        (params.not_before, params.not_after) = dates(now_seconds, LEAF_DAYS)?;
        let name = names.first().map_or("collector", String::as_str);
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&key, &self.issuer)?.pem();
        let chain = format!("{leaf}{}", self.certificate);
        Ok(Identity { chain, key: service::Secret::new(key.serialize_pem()) })
    }

    /// Signs an agent's request. Only the public key is taken from it: name, usage and validity
    /// are set here, so a request cannot ask for more than it is given.
    ///
    /// # Errors
    /// [`PkiError::Make`] when the request does not parse, [`PkiError::Time`].
    pub fn agent(&self, request: &str, agent: &str, now_seconds: i64) -> Result<String, PkiError> {
        let mut request = CertificateSigningRequestParams::from_pem(request)?;
        let mut params = CertificateParams::new(Vec::new())?;
        (params.not_before, params.not_after) = dates(now_seconds, LEAF_DAYS)?;
        params.distinguished_name.push(DnType::CommonName, agent);
        params.subject_alt_names = vec![SanType::DnsName(agent_label(agent).try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        request.params = params;
        Ok(request.signed_by(&self.issuer)?.pem())
    }
}

/// A DNS label derived from an identity; certificates want at least one name.
fn agent_label(agent: &str) -> String {
    let label = agent.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    format!("{}.agent.pikett.invalid", label.take(63).collect::<String>().trim_matches('-'))
}

/// Makes a key and a signing request for an agent: (private key, request), both PEM.
///
/// # Errors
/// [`PkiError::Make`].
pub fn agent_request() -> Result<(service::Secret, String), PkiError> {
    let key = KeyPair::generate()?;
    let request = CertificateParams::new(Vec::new())?.serialize_request(&key)?.pem()?;
    Ok((service::Secret::new(key.serialize_pem()), request))
}

/// SHA-256 of a PEM certificate's DER form.
///
/// # Errors
/// [`PkiError::Pem`].
pub fn fingerprint(certificate: &str) -> Result<[u8; 32], PkiError> {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(PkiError::Pem)?;
    Ok(digest(&der))
}

/// SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut out = [0; 32];
    out.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    out
}

/// Common name and end of validity (seconds since the epoch) of a DER certificate.
///
/// # Errors
/// [`PkiError::Read`].
pub fn subject(der: &[u8]) -> Result<(String, i64), PkiError> {
    let read = |reason: &str| PkiError::Read { reason: reason.to_owned() };
    let (_, certificate) =
        x509_parser::parse_x509_certificate(der).map_err(|error| read(&error.to_string()))?;
    let name = certificate.subject().iter_common_name().next();
    let name = name.and_then(|name| name.as_str().ok()).ok_or_else(|| read("no common name"))?;
    Ok((name.to_owned(), certificate.validity().not_after.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_359_845;

    #[test]
    fn an_agent_gets_the_name_the_authority_says() {
        let (authority, key) = Authority::create("Pikett test", NOW).unwrap();
        let again = Authority::load(authority.certificate(), &key).unwrap();
        let (_, request) = agent_request().unwrap();
        let pem = again.agent(&request, "web-1", NOW).unwrap();
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let (name, until) = subject(&der).unwrap();
        assert_eq!(name, "web-1");
        assert_eq!(until, NOW + LEAF_DAYS * 86_400);
    }

    #[test]
    fn server_chain_ends_in_the_authority() {
        let (authority, _) = Authority::create("Pikett test", NOW).unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let identity = authority.server(&names, NOW).unwrap();
        assert!(identity.chain.ends_with(authority.certificate()));
        assert_eq!(format!("{identity:?}"), "Identity(..)");
    }

    #[test]
    fn garbage_is_refused() {
        let (authority, _) = Authority::create("Pikett test", NOW).unwrap();
        assert!(authority.agent("garbage", "a", NOW).is_err());
        assert!(authority.server(&["bad name\u{e9}".to_owned()], NOW).is_err());
        assert!(fingerprint("garbage").is_err());
        assert!(subject(b"garbage").is_err());
        assert!(Authority::create("x", i64::MAX).is_err());
    }
}
