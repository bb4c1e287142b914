//! `quic` objects.

use net::app::quic::{Quic, version_name};
use net::app::tls::ClientHello;
use serde_json::{Value, json};

use super::fields::Fields;
use super::text;
use crate::sensor::settings::RecordOptions;

/// The `quic` object of a hello.
pub(crate) fn hello<F: Fields>(out: &mut F, quic: &Quic, options: &RecordOptions) {
    out.text("version", &version_name(quic.version));
    if let Some(sni) = quic.sni() {
        out.bytes("sni", sni);
    }
    if let Some(google) = &quic.google {
        if let Some(agent) = &google.user_agent {
            out.bytes("ua", agent);
        }
        out.value("cyu", json!([{"hash": google.cyu_hash, "string": google.cyu}]));
    }
    if let Some(client) = &quic.client {
        if options.ja3 {
            out.value("ja3", json!({"hash": client.ja3_hash, "string": client.ja3}));
        }
        if let Some(ja4) = quic.ja4().filter(|_| options.ja4) {
            out.text("ja4", &ja4);
        }
        let list: Vec<Value> =
            client.extensions.iter().map(|kind| extension(*kind, client)).collect();
        out.value("extensions", list.into());
    }
    if let Some(server) = &quic.server {
        if options.ja3 {
            out.value("ja3s", json!({"hash": server.ja3s_hash, "string": server.ja3s}));
        }
        let list: Vec<Value> = server.extensions.iter().map(|kind| named(*kind)).collect();
        out.value("extensions", list.into());
    }
}

fn named(kind: u16) -> Value {
    match name(kind) {
        Some(name) => json!({"name": name, "type": kind}),
        None => json!({"type": kind}),
    }
}

/// An extension with its values, where they are names.
fn extension(kind: u16, client: &ClientHello) -> Value {
    let mut object = named(kind);
    let values: Vec<Value> = match kind {
        0 => client.sni.iter().map(|name| text(name)).collect(),
        16 => client.alpn.iter().map(|name| text(name)).collect(),
        _ => Vec::new(),
    };
    if !values.is_empty() {
        object["values"] = values.into();
    }
    object
}

/// Names of extensions (IANA, TLS ExtensionType Values).
fn name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        0 => "server_name",
        1 => "max_fragment_length",
        5 => "status_request",
        10 => "supported_groups",
        11 => "ec_point_formats",
        13 => "signature_algorithms",
        14 => "use_srtp",
        15 => "heartbeat",
        16 => "alpn",
        18 => "signed_certificate_timestamp",
        19 => "client_certificate_type",
        20 => "server_certificate_type",
        21 => "padding",
        22 => "encrypt_then_mac",
        23 => "extended_master_secret",
        24 => "token_binding",
        27 => "compress_certificate",
        28 => "record_size_limit",
        35 => "session_ticket",
        41 => "pre_shared_key",
        42 => "early_data",
        43 => "supported_versions",
        44 => "cookie",
        45 => "psk_key_exchange_modes",
        47 => "certificate_authorities",
        48 => "oid_filters",
        49 => "post_handshake_auth",
        50 => "signature_algorithms_cert",
        51 => "key_share",
        57 => "quic_transport_parameters",
        0xff01 => "renegotiation_info",
        _ => return None,
    })
}
