//! What records and rules ask of an X.509 certificate (RFC 5280).

use sha1::{Digest as _, Sha1};
use x509_parser::error::X509Error;
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate, X509Name};

use super::fingerprint::hex;

/// Names of a certificate at most listed.
const MAX_NAMES: usize = 256;

/// A certificate, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Subject in one line, `CN=..., O=...` in the certificate's order.
    pub subject: String,
    /// Issuer, alike.
    pub issuer: String,
    /// Serial number, bytes in hexadecimal with colons.
    pub serial: String,
    /// SHA-1 of the DER bytes, in hexadecimal with colons.
    pub fingerprint: String,
    /// Beginning of validity, seconds since the epoch.
    pub not_before: i64,
    /// End of validity, seconds since the epoch.
    pub not_after: i64,
    /// Subject alternative names: DNS names and addresses.
    pub names: Vec<String>,
}

fn colons(bytes: &[u8], upper: bool) -> String {
    let parts: Vec<String> = bytes
        .iter()
        .map(|b| if upper { hex(&[*b]).to_ascii_uppercase() } else { hex(&[*b]) })
        .collect();
    parts.join(":")
}

/// SHA-1 of DER bytes as rules write it.
#[must_use]
pub(super) fn fingerprint(der: &[u8]) -> String {
    colons(&Sha1::digest(der), false)
}

/// What is wrong with a certificate that cannot be read, as the event for it is named.
fn event_of(error: &x509_parser::nom::Err<X509Error>) -> &'static str {
    use x509_parser::nom::Err;
    match error {
        Err::Incomplete(_) => "certificate_invalid_length",
        Err::Error(error) | Err::Failure(error) => match error {
            X509Error::InvalidVersion => "certificate_invalid_version",
            X509Error::InvalidSerial => "certificate_invalid_serial",
            X509Error::InvalidAlgorithmIdentifier => "certificate_invalid_algorithmidentifier",
            X509Error::InvalidX509Name => "certificate_invalid_x509name",
            X509Error::InvalidDate => "certificate_invalid_date",
            X509Error::InvalidExtensions => "certificate_invalid_extensions",
            X509Error::Der(_) => "certificate_invalid_der",
            _ => "invalid_certificate",
        },
    }
}

/// Reads a certificate.
///
/// # Errors
/// The name of the event that says what is wrong with it.
pub(super) fn read(der: &[u8]) -> Result<Certificate, &'static str> {
    let (_, x509) = X509Certificate::from_der(der).map_err(|error| event_of(&error))?;
    let mut names = Vec::new();
    for extension in x509.extensions() {
        let ParsedExtension::SubjectAlternativeName(alternative) = extension.parsed_extension()
        else {
            continue;
        };
        for name in alternative.general_names.iter().take(MAX_NAMES) {
            match name {
                GeneralName::DNSName(dns) => names.push((*dns).to_owned()),
                GeneralName::IPAddress(octets) => names.extend(address(octets)),
                GeneralName::RFC822Name(mail) => names.push((*mail).to_owned()),
                GeneralName::URI(uri) => names.push((*uri).to_owned()),
                _ => {}
            }
        }
    }
    Ok(Certificate {
        subject: one_line(x509.subject()),
        issuer: one_line(x509.issuer()),
        serial: colons(x509.raw_serial(), true),
        fingerprint: fingerprint(der),
        not_before: x509.validity().not_before.timestamp(),
        not_after: x509.validity().not_after.timestamp(),
        names,
    })
}

fn address(octets: &[u8]) -> Option<String> {
    if let Ok(v4) = <[u8; 4]>::try_from(octets) {
        return Some(std::net::Ipv4Addr::from(v4).to_string());
    }
    let v6 = <[u8; 16]>::try_from(octets).ok()?;
    Some(std::net::Ipv6Addr::from(v6).to_string())
}

/// Attributes in order, `C=US, O=Example, CN=example.com`.
fn one_line(name: &X509Name<'_>) -> String {
    let mut out = String::new();
    for attribute in name.iter_attributes() {
        if !out.is_empty() {
            out.push_str(", ");
        }
        let oid = attribute.attr_type().to_id_string();
        out.push_str(short_name(&oid));
        out.push('=');
        match attribute.as_str() {
            Ok(text) => out.push_str(text),
            Err(_) => out.push_str(&latin1(attribute.as_slice())),
        }
    }
    out
}

/// String types without a decoder (T61, BMP): their printable bytes.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().filter(|b| **b != 0).map(|b| char::from(*b)).collect()
}

fn short_name(oid: &str) -> &str {
    match oid {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.13" => "description",
        "2.5.4.15" => "businessCategory",
        "2.5.4.17" => "postalCode",
        "2.5.4.41" => "name",
        "2.5.4.42" => "GN",
        "2.5.4.46" => "dnQualifier",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "Email",
        "1.2.840.113549.1.9.2" => "unstructuredName",
        "1.3.6.1.4.1.311.60.2.1.1" => "jurisdictionL",
        "1.3.6.1.4.1.311.60.2.1.2" => "jurisdictionST",
        "1.3.6.1.4.1.311.60.2.1.3" => "jurisdictionC",
        other => other,
    }
}
