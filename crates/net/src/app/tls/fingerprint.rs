//! JA3, JA3S (github.com/salesforce/ja3) and JA4 (github.com/FoxIO-LLC/ja4, the TLS client part).

use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::hello::{ClientHello, ServerHello};

/// Values reserved so that peers must ignore them (RFC 8701); fingerprints leave them out.
#[must_use]
pub fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

fn dashed(values: impl Iterator<Item = u16>) -> String {
    let mut out = String::new();
    for value in values.filter(|v| !is_grease(*v)) {
        if !out.is_empty() {
            out.push('-');
        }
        out.push_str(&value.to_string());
    }
    out
}

pub(in crate::app) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |n: u8| DIGITS.get(usize::from(n)).copied().unwrap_or('0');
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

pub(super) fn client(hello: &mut ClientHello) {
    hello.ja3 = format!(
        "{},{},{},{},{}",
        hello.version,
        dashed(hello.ciphers.iter().copied()),
        dashed(hello.extensions.iter().copied()),
        dashed(hello.groups.iter().copied()),
        dashed(hello.point_formats.iter().map(|b| u16::from(*b))),
    );
    hello.ja3_hash = hex(&Md5::digest(hello.ja3.as_bytes()));
    hello.ja4 = ja4(hello);
}

pub(super) fn server(hello: &mut ServerHello) {
    hello.ja3s =
        format!("{},{},{}", hello.version, hello.cipher, dashed(hello.extensions.iter().copied()),);
    hello.ja3s_hash = hex(&Md5::digest(hello.ja3s.as_bytes()));
}

fn ja4(hello: &ClientHello) -> String {
    let real = |values: &[u16]| -> Vec<u16> {
        values.iter().copied().filter(|v| !is_grease(*v)).collect()
    };
    let ciphers = real(&hello.ciphers);
    let extensions = real(&hello.extensions);
    let version = real(&hello.versions).into_iter().max().unwrap_or(hello.version);
    let version = match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    };
    let name = if hello.sni.is_some() { 'd' } else { 'i' };
    let (a, b) = alpn_ends(hello.alpn.first().map(Vec::as_slice));
    let mut sorted_ciphers = ciphers.clone();
    sorted_ciphers.sort_unstable();
    // Server name and application protocol are in the first part already.
    let mut sorted: Vec<u16> =
        extensions.iter().copied().filter(|e| !matches!(e, 0 | 16)).collect();
    sorted.sort_unstable();
    let mut third = hex_list(&sorted);
    let signatures = real(&hello.signature_algorithms);
    if !signatures.is_empty() {
        third.push('_');
        third.push_str(&hex_list(&signatures));
    }
    format!(
        "t{version}{name}{:02}{:02}{a}{b}_{}_{}",
        ciphers.len().min(99),
        extensions.len().min(99),
        short_hash(&hex_list(&sorted_ciphers), ciphers.is_empty()),
        short_hash(&third, sorted.is_empty()),
    )
}

/// First and last character of the first application protocol; of its hex form when not a letter
/// or digit.
fn alpn_ends(alpn: Option<&[u8]>) -> (char, char) {
    let Some((first, last)) = alpn.and_then(|name| Some((*name.first()?, *name.last()?))) else {
        return ('0', '0');
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return (char::from(first), char::from(last));
    }
    let (a, b) = (hex(&[first]), hex(&[last]));
    (a.chars().next().unwrap_or('0'), b.chars().last().unwrap_or('0'))
}

fn hex_list(values: &[u16]) -> String {
    let mut out = String::new();
    for value in values {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(&hex(&value.to_be_bytes()));
    }
    out
}

fn short_hash(text: &str, empty: bool) -> String {
    if empty {
        return "000000000000".to_owned();
    }
    let digest = Sha256::digest(text.as_bytes());
    hex(digest.get(..6).unwrap_or_default())
}
