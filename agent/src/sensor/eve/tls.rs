//! `tls` objects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use net::app::tls::{Certificate, ClientHello, Tls, is_grease, version_name};
use serde_json::{Value, json};

use super::fields::{Fields, Text};
use super::timestamp;
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

/// Whether a field is wanted: one of those that were chosen, else of a short or a long record.
fn wants(field: &str, options: &RecordOptions) -> bool {
    if !options.tls_custom.is_empty() {
        return CHOICES.iter().any(|(name, choice)| *name == field && is_chosen(choice, options));
    }
    match field {
        "subject" | "issuerdn" | "session_resumed" => true,
        "certificate" | "chain" | "client_handshake" | "server_handshake" => false,
        _ => options.tls_extended,
    }
}

fn is_chosen(word: &str, options: &RecordOptions) -> bool {
    options.tls_custom.iter().any(|wanted| wanted == word)
}

/// The fields of the `tls` object of a session.
pub(crate) fn session<F: Fields>(out: &mut F, tls: &Tls, options: &RecordOptions) {
    let wants = |field: &str| wants(field, options);
    if let Some(of_server) = &tls.certificate {
        certificate(out, of_server, wants);
        encoded(out, &tls.certificates, ["certificate", "chain"].map(wants));
    }
    if tls.resumed && wants("session_resumed") {
        out.boolean("session_resumed", true);
    }
    if let Some(sni) = tls.sni().filter(|_| wants("sni")) {
        out.bytes("sni", sni);
    }
    if wants("version") {
        out.text("version", &version_name(tls.version()));
    }
    if let Some(client) = &tls.client {
        hello(out, client, options);
    }
    if let Some(server) = &tls.server {
        if options.ja3 && wants("ja3s") {
            out.object("ja3s", |ja3s| {
                ja3s.text("hash", &server.ja3s_hash);
                ja3s.text("string", &server.ja3s);
            });
        }
        if let Some(alpn) = server.alpn.as_ref().filter(|_| wants("server_alpn")) {
            out.bytes("server_alpn", alpn);
        }
        if wants("server_handshake") {
            let version = server.selected_version.unwrap_or(server.version);
            let parameters = json!({
                "version": version_name(version), "cipher": server.cipher, "exts": server.extensions,
            });
            out.value("server_handshake", parameters);
        }
    }
    if let Some(client) = tls.client_certificate.as_ref().filter(|_| wants("client")) {
        out.object("client", |out| {
            certificate(out, client, |_| true);
            let wanted =
                ["client_certificate", "client_chain"].map(|word| is_chosen(word, options));
            encoded(out, &tls.client_certificates, wanted);
        });
    }
}

/// What the client says of itself.
fn hello<F: Fields>(out: &mut F, client: &ClientHello, options: &RecordOptions) {
    let wants = |field: &str| wants(field, options);
    if options.ja3 && wants("ja3") {
        out.object("ja3", |ja3| {
            ja3.text("hash", &client.ja3_hash);
            ja3.text("string", &client.ja3);
        });
    }
    if (options.ja4 || is_chosen("ja4", options)) && wants("ja4") {
        out.text("ja4", &client.ja4);
    }
    if !client.alpn.is_empty() && wants("client_alpns") {
        out.texts("client_alpns", client.alpn.iter().map(|name| Text::Bytes(name)));
    }
    if wants("client_handshake") {
        out.value("client_handshake", client_handshake(client));
    }
}

fn client_handshake(client: &ClientHello) -> Value {
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
    parameters
}

/// The first certificate, and all of them, in base64.
fn encoded<F: Fields>(out: &mut F, chain: &[Vec<u8>], [first, all]: [bool; 2]) {
    if let Some(certificate) = chain.first().filter(|_| first) {
        out.ascii("certificate", &STANDARD.encode(certificate));
    }
    if all && !chain.is_empty() {
        let list: Vec<String> = chain.iter().map(|der| STANDARD.encode(der)).collect();
        out.value("chain", list.into());
    }
}

fn certificate<F: Fields>(out: &mut F, certificate: &Certificate, wants: impl Fn(&str) -> bool) {
    for (name, value) in [
        ("subject", &certificate.subject),
        ("issuerdn", &certificate.issuer),
        ("serial", &certificate.serial),
        ("fingerprint", &certificate.fingerprint),
    ] {
        if wants(name) {
            out.text(name, value);
        }
    }
    for (name, seconds) in
        [("notbefore", certificate.not_before), ("notafter", certificate.not_after)]
    {
        if wants(name) {
            // Seconds are enough for a validity.
            let time = timestamp(seconds.saturating_mul(1_000_000));
            out.text(name, time.get(..19).unwrap_or_default());
        }
    }
    if !certificate.names.is_empty() && wants("subjectaltname") {
        let names = certificate.names.iter().map(|name| Text::Bytes(name.as_bytes()));
        out.texts("subjectaltname", names);
    }
}
