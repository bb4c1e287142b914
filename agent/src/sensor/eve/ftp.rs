//! `ftp` and `ftp_data` objects.

use net::app::ftp::{Command, Ftp, Transfer};
use serde_json::Value;

use super::{Object, text};

/// The `ftp` object of a command and its replies.
pub(crate) fn command(ftp: &Ftp) -> Object {
    let mut out = Object::new();
    if let Some(command) = ftp.command {
        out.insert("command".into(), command.name().into());
    }
    if !ftp.argument.is_empty() {
        out.insert("command_data".into(), text(&ftp.argument));
    }
    if ftp.command.is_some() {
        out.insert("command_truncated".into(), ftp.cut.into());
    }
    let codes: Vec<Value> =
        ftp.replies.iter().filter(|r| !r.code.is_empty()).map(|r| text(&r.code)).collect();
    if !codes.is_empty() {
        out.insert("completion_code".into(), codes.into());
    }
    let replies: Vec<Value> =
        ftp.replies.iter().filter(|r| !r.text.is_empty()).map(|r| text(&r.text)).collect();
    if !replies.is_empty() {
        out.insert("reply".into(), replies.into());
    }
    if let Some(port) = ftp.port {
        out.insert("dynamic_port".into(), port.into());
    }
    if let Some(Command::Port | Command::Eprt | Command::Pasv | Command::Epsv) = ftp.command {
        out.insert("mode".into(), if ftp.active { "active" } else { "passive" }.into());
    }
    out.insert("reply_received".into(), if ftp.answered { "yes" } else { "no" }.into());
    out.insert("reply_truncated".into(), ftp.replies.iter().any(|reply| reply.cut).into());
    out
}

/// The `ftp_data` object of a data channel.
pub(crate) fn data(transfer: &Transfer) -> Value {
    let mut out = Object::new();
    if !transfer.name.is_empty() {
        out.insert("filename".into(), text(&transfer.name));
    }
    out.insert("command".into(), transfer.command.name().into());
    out.into()
}
