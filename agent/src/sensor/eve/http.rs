//! `http` objects.

use net::app::http::{Headers, Http};
use serde_json::{Value, json};

use super::{Object, text};
use crate::sensor::settings::RecordOptions;

/// The `http` object of a transaction, as far as it has come.
pub(crate) fn transaction(http: &Http, options: &RecordOptions) -> Object {
    let (request, response) = (&http.request, &http.response);
    let mut out = Object::new();
    if !request.host.is_empty() {
        out.insert("hostname".into(), text(&request.host));
    }
    if let Some(port) = request.port {
        out.insert("http_port".into(), port.into());
    }
    if !request.uri_raw.is_empty() {
        out.insert("url".into(), text(&request.uri_raw));
    }
    header(&mut out, "http_user_agent", request.headers.get("user-agent"));
    header(&mut out, "xff", request.headers.get("x-forwarded-for"));
    if let Some(value) = response.headers.get("content-type") {
        // Without parameters.
        let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
        out.insert("http_content_type".into(), text(value.get(..end).unwrap_or(value)));
    }
    if let Some(value) = response.headers.get("content-range") {
        out.insert("content_range".into(), json!({"raw": text(value)}));
    }
    if options.http_extended {
        header(&mut out, "http_refer", request.headers.get("referer"));
        if !request.method.is_empty() {
            out.insert("http_method".into(), text(&request.method));
        }
        if !request.protocol.is_empty() {
            out.insert("protocol".into(), text(&request.protocol));
        }
        if let Some(status) = response.status_code() {
            out.insert("status".into(), status.into());
        }
        header(&mut out, "redirect", response.headers.get("location"));
        out.insert("length".into(), response.body.message_len().into());
    }
    let [of_request, of_response] = options.all_headers;
    if of_request {
        out.insert("request_headers".into(), all(&request.headers));
    }
    if of_response {
        out.insert("response_headers".into(), all(&response.headers));
    }
    out
}

fn header(out: &mut Object, name: &str, value: Option<&[u8]>) {
    if let Some(value) = value {
        out.insert(name.to_owned(), text(value));
    }
}

fn all(headers: &Headers) -> Value {
    headers.iter().map(|(n, v)| json!({"name": text(n), "value": text(v)})).collect()
}
