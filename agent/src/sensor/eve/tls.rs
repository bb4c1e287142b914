//! `tls` objects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use net::app::tls::{Certificate, ClientHello, Tls, is_grease, version_name};
use serde_json::json;

use super::{Object, text, timestamp};
use crate::sensor::settings::RecordOptions;

/// True when there is enough of a handshake for a record: a certificate, a resumed session, or
/// TLS 1.3, which encrypts its certificates; at the end of the flow that somebody `asked` for one.
pub(crate) fn is_worth_a_record(tls: &Tls, asked: bool) -> bool {
    let named =
        tls.certificate.as_ref().is_some_and(|c| !c.subject.is_empty() && !c.issuer.is_empty());
    let is_13 = tls.server.is_some() && tls.version() >= 0x0304;
    named || tls.resumed || is_13 || asked && tls.client.is_some() && tls.server.is_none()
}

/// Fields of a `tls` object that can be chosen, and the name each has when it is chosen.
const CHOICES: &[(&str, &str)] = &[
    ("subject", "subject"),
    ("issuerdn", "issuer"),
    ("serial", "serial"),
    ("fingerprint", "fingerprint"),
    ("notbefore", "not_before"),
    ("notafter", "not_after"),
    ("subjectaltname", "subjectaltname"),
    ("session_resumed", "session_resumed"),
    ("sni", "sni"),
    ("version", "version"),
    ("ja3", "ja3"),
    ("ja3s", "ja3s"),
    ("ja4", "ja4"),
    ("client_alpns", "client_alpns"),
    ("server_alpn", "server_alpn"),
    ("certificate", "certificate"),
    ("chain", "chain"),
    ("client", "client"),
    ("client_handshake", "client_handshake"),
    ("server_handshake", "server_handshake"),
];

/// Whether a word names a field that can be chosen.
pub(crate) fn is_choice(word: &str) -> bool {
    matches!(word, "client_certificate" | "client_chain")
        || CHOICES.iter().any(|(_, choice)| *choice == word)
}

/// The `tls` object of a session.
pub(crate) fn session(tls: &Tls, options: &RecordOptions) -> Object {
    let mut out = whole(tls, options);
    if !options.tls_custom.is_empty() {
        let chosen = |word: &str| options.tls_custom.iter().any(|wanted| wanted == word);
        out.retain(|name, _| CHOICES.iter().any(|(field, choice)| field == name && chosen(choice)));
        return out;
    }
    let plain = |name: &str| matches!(name, "subject" | "issuerdn" | "session_resumed");
    let bulky = |name: &str| {
        matches!(name, "certificate" | "chain" | "client_handshake" | "server_handshake")
    };
    out.retain(|name, _| if options.tls_extended { !bulky(name) } else { plain(name) });
    out
}

/// Everything there is to say of a session.
fn whole(tls: &Tls, options: &RecordOptions) -> Object {
    let mut out = Object::new();
    let custom = |word: &str| options.tls_custom.iter().any(|wanted| wanted == word);
    if let Some(certificate) = &tls.certificate {
        out.extend(self::certificate(certificate));
        if custom("certificate") || custom("chain") {
            out.extend(encoded(&tls.certificates, [custom("certificate"), custom("chain")]));
        }
    }
    if tls.resumed {
        out.insert("session_resumed".into(), true.into());
    }
    if let Some(sni) = tls.sni() {
        out.insert("sni".into(), text(sni));
    }
    out.insert("version".into(), version_name(tls.version()).into());
    if let Some(client) = &tls.client {
        hello(&mut out, client, options);
    }
    if let Some(server) = &tls.server {
        if options.ja3 {
            out.insert("ja3s".into(), json!({"hash": server.ja3s_hash, "string": server.ja3s}));
        }
        if let Some(alpn) = &server.alpn {
            out.insert("server_alpn".into(), text(alpn));
        }
        let version = server.selected_version.unwrap_or(server.version);
        let parameters = json!({
            "version": version_name(version), "cipher": server.cipher, "exts": server.extensions,
        });
        out.insert("server_handshake".into(), parameters);
    }
    if let Some(client) = &tls.client_certificate {
        let mut object = certificate(client);
        let wanted = [custom("client_certificate"), custom("client_chain")];
        object.extend(encoded(&tls.client_certificates, wanted));
        out.insert("client".into(), object.into());
    }
    out
}

/// What the client says of itself.
fn hello(out: &mut Object, client: &ClientHello, options: &RecordOptions) {
    if options.ja3 {
        out.insert("ja3".into(), json!({"hash": client.ja3_hash, "string": client.ja3}));
    }
    if options.ja4 || options.tls_custom.iter().any(|wanted| wanted == "ja4") {
        out.insert("ja4".into(), client.ja4.clone().into());
    }
    if !client.alpn.is_empty() {
        let names: Vec<_> = client.alpn.iter().map(|name| text(name)).collect();
        out.insert("client_alpns".into(), names.into());
    }
    let real = |values: &[u16]| -> Vec<u16> {
        values.iter().copied().filter(|value| !is_grease(*value)).collect()
    };
    let version = real(&client.versions).into_iter().max().unwrap_or(client.version);
    let mut parameters = json!({
        "version": version_name(version),
        "ciphers": real(&client.ciphers),
        "exts": real(&client.extensions),
    });
    if !client.signature_algorithms.is_empty() {
        parameters["sig_algs"] = real(&client.signature_algorithms).into();
    }
    out.insert("client_handshake".into(), parameters);
}

/// The first certificate, and all of them, in base64.
fn encoded(chain: &[Vec<u8>], [first, all]: [bool; 2]) -> Object {
    let mut out = Object::new();
    if let Some(certificate) = chain.first().filter(|_| first) {
        out.insert("certificate".into(), STANDARD.encode(certificate).into());
    }
    if all && !chain.is_empty() {
        let list: Vec<String> = chain.iter().map(|der| STANDARD.encode(der)).collect();
        out.insert("chain".into(), list.into());
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
