//! `http` objects of HTTP/2.

use net::app::http2::{Field, Frame, Http2, Kind, Side};
use serde_json::{Value, json};

use super::fields::Fields;
use super::{Object, text};

/// The `http` object of a stream or of a frame of the connection.
pub(crate) fn transaction<F: Fields>(out: &mut F, http2: &Http2) {
    out.text("version", "2");
    let (request, response) = (&http2.http.request, &http2.http.response);
    for (name, side) in
        [("request_headers", &http2.sides.to_server), ("response_headers", &http2.sides.to_client)]
    {
        if !side.fields.is_empty() {
            out.value(name, side.fields.iter().map(field).collect::<Vec<_>>().into());
        }
    }
    for (name, value) in [
        ("http_method", request.method.as_slice()),
        ("url", &request.uri_raw),
        ("hostname", &request.host_raw),
        ("http_user_agent", request.headers.get("user-agent").unwrap_or_default()),
    ] {
        if !value.is_empty() {
            out.bytes(name, value);
        }
    }
    let length =
        response.headers.get("content-length").or_else(|| request.headers.get("content-length"));
    let length = length.and_then(|value| std::str::from_utf8(value).ok()?.trim().parse().ok());
    if let Some(length) = length {
        out.number("length", length);
    }
    if let Some(status) = response.status_code() {
        out.number("status", status.into());
    }
    let mut inner = Object::new();
    inner.insert("stream_id".into(), http2.stream.into());
    inner.insert("request".into(), frames(&http2.sides.to_server).into());
    inner.insert("response".into(), frames(&http2.sides.to_client).into());
    out.value("http2", inner.into());
}

/// Whether there is anything to say of it.
pub(crate) fn is_worth_a_record(http2: &Http2) -> bool {
    [&http2.sides.to_server, &http2.sides.to_client]
        .iter()
        .any(|side| !side.fields.is_empty() || !frames(side).is_empty())
}

fn field(field: &Field) -> Value {
    match field {
        Field::Header { name, value } => json!({"name": text(name), "value": text(value)}),
        Field::SizeUpdate(size) => json!({"table_size_update": size}),
    }
}

fn frames(side: &Side) -> Object {
    let mut out = Object::new();
    let mut settings = Vec::new();
    for Frame { kind, .. } in &side.frames {
        match kind {
            Kind::Settings(pairs) => settings.extend(pairs.iter().map(
                |(name, value)| json!({"settings_id": setting(*name), "settings_value": value}),
            )),
            Kind::Error(code) => {
                out.entry("error_code").or_insert_with(|| error(*code).into());
            }
            Kind::Priority(weight) => {
                out.entry("priority").or_insert_with(|| (*weight).into());
            }
            Kind::Window(_) | Kind::Other => {}
        }
    }
    if !settings.is_empty() {
        out.insert("settings".into(), settings.into());
    }
    out
}

/// RFC 9113 section 6.5.2.
fn setting(name: u16) -> String {
    match name {
        1 => "SETTINGSHEADERTABLESIZE".to_owned(),
        2 => "SETTINGSENABLEPUSH".to_owned(),
        3 => "SETTINGSMAXCONCURRENTSTREAMS".to_owned(),
        4 => "SETTINGSINITIALWINDOWSIZE".to_owned(),
        5 => "SETTINGSMAXFRAMESIZE".to_owned(),
        6 => "SETTINGSMAXHEADERLISTSIZE".to_owned(),
        other => format!("unknown({other})"),
    }
}

/// RFC 9113 section 7.
fn error(code: u32) -> String {
    const NAMES: [&str; 14] = [
        "NOERROR",
        "PROTOCOLERROR",
        "INTERNALERROR",
        "FLOWCONTROLERROR",
        "SETTINGSTIMEOUT",
        "STREAMCLOSED",
        "FRAMESIZEERROR",
        "REFUSEDSTREAM",
        "CANCEL",
        "COMPRESSIONERROR",
        "CONNECTERROR",
        "ENHANCEYOURCALM",
        "INADEQUATESECURITY",
        "HTTP11REQUIRED",
    ];
    let name = usize::try_from(code).ok().and_then(|at| NAMES.get(at));
    name.map_or_else(|| code.to_string(), |name| (*name).to_owned())
}
