//! `ssh` objects.

use net::app::ssh::{Side, Ssh};
use serde_json::json;

use super::{Object, text};

/// The `ssh` object of a connection.
pub(crate) fn connection(ssh: &Ssh) -> Object {
    let mut out = Object::new();
    for (name, side) in [("client", &ssh.sides.to_server), ("server", &ssh.sides.to_client)] {
        let side = one(side);
        if !side.is_empty() {
            out.insert(name.into(), side.into());
        }
    }
    out
}

fn one(side: &Side) -> Object {
    let mut out = Object::new();
    if !side.protocol.is_empty() {
        out.insert("proto_version".into(), text(&side.protocol));
    }
    if !side.software.is_empty() {
        out.insert("software_version".into(), text(&side.software));
    }
    if let Some(hassh) = &side.hassh {
        out.insert("hassh".into(), json!({"hash": hassh.hash, "string": text(&hassh.text)}));
    }
    out
}
