//! `tls` objects.

use net::app::tls::{Certificate, Tls, version_name};
use serde_json::json;

use super::{Object, text, timestamp};
use crate::sensor::settings::RecordOptions;

/// True when there is enough of a handshake for a record: a certificate, a resumed session, or
/// TLS 1.3, which encrypts its certificates.
pub(crate) fn is_worth_a_record(tls: &Tls) -> bool {
    let named =
        tls.certificate.as_ref().is_some_and(|c| !c.subject.is_empty() && !c.issuer.is_empty());
    let is_13 = tls.server.is_some() && tls.version() >= 0x0304;
    named || tls.resumed || is_13
}

/// The `tls` object of a session.
pub(crate) fn session(tls: &Tls, options: &RecordOptions) -> Object {
    let mut out = Object::new();
    if let Some(certificate) = &tls.certificate {
        out.extend(self::certificate(certificate));
    }
    if tls.resumed {
        out.insert("session_resumed".into(), true.into());
    }
    if !options.tls_extended {
        out.retain(|name, _| matches!(name.as_str(), "subject" | "issuerdn" | "session_resumed"));
        return out;
    }
    if let Some(sni) = tls.sni() {
        out.insert("sni".into(), text(sni));
    }
    out.insert("version".into(), version_name(tls.version()).into());
    if let Some(client) = &tls.client {
        if options.ja3 {
            out.insert("ja3".into(), json!({"hash": client.ja3_hash, "string": client.ja3}));
        }
        if options.ja4 {
            out.insert("ja4".into(), client.ja4.clone().into());
        }
        if !client.alpn.is_empty() {
            let names: Vec<_> = client.alpn.iter().map(|name| text(name)).collect();
            out.insert("client_alpns".into(), names.into());
        }
    }
    if let Some(server) = &tls.server {
        if options.ja3 {
            out.insert("ja3s".into(), json!({"hash": server.ja3s_hash, "string": server.ja3s}));
        }
        if let Some(alpn) = &server.alpn {
            out.insert("server_alpn".into(), text(alpn));
        }
    }
    if let Some(client) = &tls.client_certificate {
        out.insert("client".into(), certificate(client).into());
    }
    out
}

fn certificate(certificate: &Certificate) -> Object {
    let mut out = Object::new();
    out.insert("subject".into(), certificate.subject.clone().into());
    out.insert("issuerdn".into(), certificate.issuer.clone().into());
    out.insert("serial".into(), certificate.serial.clone().into());
    out.insert("fingerprint".into(), certificate.fingerprint.clone().into());
    for (name, seconds) in
        [("notbefore", certificate.not_before), ("notafter", certificate.not_after)]
    {
        // Seconds are enough for a validity.
        let time = timestamp(seconds.saturating_mul(1_000_000));
        out.insert(name.into(), time.get(..19).unwrap_or_default().into());
    }
    if !certificate.names.is_empty() {
        out.insert("subjectaltname".into(), json!(certificate.names));
    }
    out
}
