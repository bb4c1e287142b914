//! What a flow speaks after `101 Switching Protocols` (RFC 9110 section 7.8) and after `CONNECT`.

use super::super::{AppConfig, Protocol, Switch, http2, websocket};
use super::Http;

/// The protocol that follows a response that ends HTTP/1: by the `Upgrade` field of a 101, looked for
/// in the tunnel of a `CONNECT`. `None` when it is not known or switched off.
pub(super) fn after(http: &Http, config: &AppConfig) -> Option<Switch> {
    if http.request.method == b"CONNECT" {
        return Some(Switch::default());
    }
    let wanted = http.response.headers.get("upgrade")?;
    let named = |name: &[u8]| {
        wanted.split(|b| *b == b',').any(|word| word.trim_ascii().eq_ignore_ascii_case(name))
    };
    let switch = if named(b"h2c") {
        let parser = http2::Parser::upgraded(config, &http.request);
        Switch { to: Some(Protocol::Http2), parser: Some(Box::new(parser)), ..Switch::default() }
    } else if named(b"websocket") {
        let extensions = http.response.headers.get("sec-websocket-extensions").unwrap_or_default();
        let parser = websocket::Parser::new(extensions);
        Switch {
            to: Some(Protocol::Websocket),
            parser: Some(Box::new(parser)),
            ..Switch::default()
        }
    } else {
        return None;
    };
    switch.to.filter(|protocol| config.is_enabled(*protocol)).map(|_| switch)
}
