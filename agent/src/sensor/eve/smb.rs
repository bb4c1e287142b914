//! `smb` objects.

use net::app::smb::{
    Create, Host, Kind, Negotiate, SessionSetup, SetInfo, ShareKind, Smb, TreeConnect,
    command_name, dialect_name, function_name, status_name,
};
use serde_json::{Value, json};

use super::fields::Fields;
use super::text;

/// The `smb` object of a transaction.
pub(crate) fn transaction<F: Fields>(out: &mut F, smb: &Smb, tx_id: u64) {
    out.number("id", tx_id.saturating_add(1));
    out.text("dialect", &dialect_name(&smb.dialect));
    out.text("command", &command_name(smb.version, smb.command));
    if let Some(status) = smb.status {
        let (name, code) = status_name(status);
        out.text("status", &name);
        out.text("status_code", &code);
    }
    out.number("session_id", smb.session);
    out.number("tree_id", smb.tree.into());
    match &smb.kind {
        Kind::Generic => {}
        Kind::Negotiate(negotiate) => negotiation(out, negotiate, smb.version),
        Kind::SessionSetup(setup) => session_setup(out, setup),
        Kind::TreeConnect(tree) => tree_connect(out, tree, smb.version),
        Kind::Create(create) => created(out, create),
        Kind::Transfer(transfer) => {
            out.bytes("filename", &transfer.name);
            out.bytes("share", &transfer.share);
            out.text("fuid", &file_id(&transfer.id));
        }
        Kind::Rename(rename) => {
            if smb.version == 2 {
                let info = json!({"class": "FILE_INFO", "info_level": "SMB2_FILE_RENAME_INFO"});
                out.value("set_info", info);
            }
            out.object("rename", |out| {
                out.bytes("from", &rename.from);
                out.bytes("to", &rename.to);
            });
            out.text("fuid", &file_id(&rename.id));
        }
        Kind::SetInfo(info) => set_info(out, info, smb.version),
        Kind::Control(code) => out.text("function", &function_name(*code)),
        Kind::Pipe(call) => out.object("dcerpc", |out| super::dcerpc::in_pipe(out, call)),
    }
}

/// The kind of a transaction, as the selection of records names it.
pub(crate) fn kind_name(smb: &Smb) -> &'static str {
    match &smb.kind {
        Kind::Generic => "generic",
        Kind::Negotiate(_) => "negotiate",
        Kind::SessionSetup(_) => "session_setup",
        Kind::TreeConnect(_) => "tree_connect",
        Kind::Create(_) => "create",
        Kind::Transfer(_) => "file",
        Kind::Rename(_) => "rename",
        Kind::SetInfo(_) => "set_file_path_info",
        Kind::Control(_) => "ioctl",
        Kind::Pipe(_) => "dcerpc",
    }
}

fn negotiation<F: Fields>(out: &mut F, negotiate: &Negotiate, version: u8) {
    let dialects: Vec<Value> = if version == 1 {
        negotiate.dialects.iter().map(|name| text(name)).collect()
    } else {
        let name = |number: &u16| dialect_name(&net::app::smb::Dialect::Two(*number)).into();
        negotiate.dialects2.iter().map(name).collect()
    };
    out.value("client_dialects", dialects.into());
    if let Some(guid) = &negotiate.client_guid {
        out.text("client_guid", &file_id(guid));
    }
    out.text("server_guid", &file_id(&negotiate.server_guid));
    for (name, size) in
        [("max_read_size", negotiate.max_read), ("max_write_size", negotiate.max_write)]
    {
        if size > 0 {
            out.number(name, size.into());
        }
    }
}

fn host<F: Fields>(out: &mut F, key: &str, host: Option<&Host>) {
    if let Some(host) = host {
        out.object(key, |out| {
            out.bytes("native_os", &host.native_os);
            out.bytes("native_lm", &host.native_lm);
        });
    }
}

fn session_setup<F: Fields>(out: &mut F, setup: &SessionSetup) {
    if let Some((realm, names)) = &setup.kerberos {
        let names: Vec<Value> = names.iter().map(|name| text(name)).collect();
        out.value("kerberos", json!({"realm": text(realm), "snames": names}));
    }
    if let Some(identity) = &setup.identity {
        out.object("ntlmssp", |out| {
            out.bytes("domain", &identity.domain);
            out.bytes("user", &identity.user);
            out.bytes("host", &identity.host);
            if let Some((major, minor, build, revision)) = identity.version {
                out.text("version", &format!("{major}.{minor} build {build} rev {revision}"));
            }
        });
    }
    host(out, "request", setup.client.as_ref());
    host(out, "response", setup.server.as_ref());
}

fn tree_connect<F: Fields>(out: &mut F, tree: &TreeConnect, version: u8) {
    let pipe = tree.kind == Some(ShareKind::Pipe);
    out.bytes(if pipe { "named_pipe" } else { "share" }, &tree.share);
    if version == 1 {
        let service = [("request", &tree.service.0), ("response", &tree.service.1)];
        if service.iter().any(|(_, name)| name.is_some()) {
            out.object("service", |out| {
                for (key, name) in service {
                    if let Some(name) = name {
                        out.bytes(key, name);
                    }
                }
            });
        }
        return;
    }
    let kind = match tree.kind {
        Some(ShareKind::Disk) => "FILE",
        Some(ShareKind::Pipe) => "PIPE",
        Some(ShareKind::Print) => "PRINT",
        Some(ShareKind::Other) | None => "UNKNOWN",
    };
    out.text("share_type", kind);
}

/// A name; the root of a share has none.
fn named<F: Fields>(out: &mut F, key: &str, name: &[u8]) {
    if name.is_empty() { out.text("filename", "<share_root>") } else { out.bytes(key, name) }
}

fn access(delete_on_close: bool) -> &'static str {
    if delete_on_close { "delete on close" } else { "normal" }
}

fn created<F: Fields>(out: &mut F, create: &Create) {
    named(out, if create.directory { "directory" } else { "filename" }, &create.name);
    let disposition = match create.disposition {
        0 => "FILE_SUPERSEDE",
        1 => "FILE_OPEN",
        2 => "FILE_CREATE",
        3 => "FILE_OPEN_IF",
        4 => "FILE_OVERWRITE",
        5 => "FILE_OVERWRITE_IF",
        _ => "UNKNOWN",
    };
    out.text("disposition", disposition);
    out.text("access", access(create.delete_on_close));
    for (key, time) in ["created", "accessed", "modified", "changed"].into_iter().zip(create.times)
    {
        out.number(key, time);
    }
    out.number("size", create.size);
    out.text("fuid", &file_id(&create.id));
}

fn set_info<F: Fields>(out: &mut F, info: &SetInfo, version: u8) {
    named(out, "filename", &info.name);
    out.text("access", access(info.delete_on_close));
    if version == 1 {
        let subcommand = if info.class == 8 { "SET_FILE_INFO" } else { "SET_PATH_INFO" };
        out.text("subcmd", subcommand);
        out.text("level_of_interest", "Set File Disposition Information");
    } else {
        let set = json!({"class": "FILE_INFO", "info_level": "SMB2_FILE_DISPOSITION_INFO"});
        out.value("set_info", set);
    }
    out.text("fuid", &file_id(&info.id));
}

/// Identifier of a file, or GUID: numbers of four and two bytes, little endian.
fn file_id(id: &[u8]) -> String {
    let hex = |order: &[usize]| {
        order.iter().fold(String::new(), |text, at| {
            format!("{text}{:02x}", id.get(*at).copied().unwrap_or(0))
        })
    };
    match id.len() {
        16 => [&[3, 2, 1, 0][..], &[5, 4], &[7, 6], &[9, 8], &[11, 10, 15, 14, 13, 12]]
            .map(hex)
            .join("-"),
        2 => hex(&[1, 0]),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Object;
    use super::*;

    #[test]
    fn identifiers_of_files() {
        let id: Vec<u8> = (0..16).collect();
        assert_eq!(file_id(&id), "03020100-0504-0706-0908-0b0a0f0e0d0c");
        assert_eq!(file_id(&[0x34, 0x12]), "1234");
        assert_eq!(file_id(&[]), "");
    }

    #[test]
    fn the_root_of_a_share_has_no_name() {
        let smb =
            Smb { version: 2, command: 5, kind: Kind::Create(Create::default()), ..Smb::default() };
        let mut record = Object::new();
        transaction(&mut record, &smb, 0);
        assert_eq!(record["filename"], "<share_root>");
        assert_eq!(record["command"], "SMB2_COMMAND_CREATE");
        assert_eq!(record["dialect"], "unknown");
        assert_eq!(record["id"], 1);
    }
}
