//! `websocket` objects.

use net::app::websocket::Frame;

use super::Object;

/// The object of a frame.
pub(crate) fn frame(frame: &Frame) -> Object {
    let mut out = Object::new();
    out.insert("fin".into(), frame.fin.into());
    if let Some(mask) = frame.mask {
        out.insert("mask".into(), mask.into());
    }
    let opcode = match frame.opcode {
        0 => "continuation".to_owned(),
        1 => "text".to_owned(),
        2 => "binary".to_owned(),
        8 => "connection_close".to_owned(),
        9 => "ping".to_owned(),
        10 => "pong".to_owned(),
        other => format!("unknown-{other}"),
    };
    out.insert("opcode".into(), opcode.into());
    out
}
