//! `http` objects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use net::app::http::{Headers, Http};
use serde_json::json;

use super::fields::Fields;
use super::text;
use crate::sensor::settings::RecordOptions;

/// Stands for the URI of a request that was not seen.
pub(super) const UNASKED: &str = "/libhtp::request_uri_not_seen";

/// Whether there is a response to a request that was not seen.
pub(super) fn is_unasked(http: &Http) -> bool {
    http.request.line.is_empty()
}

/// The `http` object of a transaction, as far as it has come.
pub(crate) fn transaction<F: Fields>(out: &mut F, http: &Http, options: &RecordOptions) {
    let (request, response) = (&http.request, &http.response);
    if !request.host.is_empty() {
        out.bytes("hostname", &request.host);
    }
    if let Some(port) = request.port {
        out.number("http_port", port.into());
    }
    if !request.uri_raw.is_empty() {
        out.bytes("url", &request.uri_raw);
    } else if options.stand_ins && is_unasked(http) {
        out.text("url", UNASKED);
    }
    header(out, "http_user_agent", request.headers.get("user-agent"));
    header(out, "xff", request.headers.get("x-forwarded-for"));
    if let Some(value) = response.headers.get("content-type") {
        // Without parameters.
        let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
        out.bytes("http_content_type", value.get(..end).unwrap_or(value));
    }
    if let Some(value) = response.headers.get("content-range") {
        out.value("content_range", json!({"raw": text(value)}));
    }
    if options.http_extended {
        header(out, "http_refer", request.headers.get("referer"));
        if !request.method.is_empty() {
            out.bytes("http_method", &request.method);
        }
        if !request.protocol.is_empty() {
            out.bytes("protocol", &request.protocol);
        }
        if let Some(status) = response.status_code() {
            out.number("status", status.into());
        } else if !response.status.is_empty() {
            out.bytes("status_string", &response.status);
        }
        header(out, "redirect", response.headers.get("location"));
        out.number("length", response.body.message_len());
    }
    let [of_request, of_response] = options.all_headers;
    if of_request {
        all(out, "request_headers", &request.headers);
    }
    if of_response {
        all(out, "response_headers", &response.headers);
    }
}

/// Bodies inside an alert: base64, printable, as far as they were kept.
pub(crate) fn bodies<F: Fields>(out: &mut F, http: &Http, options: &RecordOptions) {
    let [encoded, printable] = options.alert_bodies;
    for (body, name) in
        [(&http.request.body, "http_request_body"), (&http.response.body, "http_response_body")]
    {
        if body.data().is_empty() {
            continue;
        }
        if printable {
            out.text(&format!("{name}_printable"), &super::alert::printable(body.data()));
        }
        if encoded {
            out.text(name, &STANDARD.encode(body.data()));
        }
    }
}

fn header<F: Fields>(out: &mut F, name: &str, value: Option<&[u8]>) {
    if let Some(value) = value {
        out.bytes(name, value);
    }
}

fn all<F: Fields>(out: &mut F, key: &str, headers: &Headers) {
    out.objects(key, headers.iter(), |header, (name, value)| {
        header.bytes("name", name);
        header.bytes("value", value);
    });
}
