//! SMB 1 to 3 (MS-CIFS, MS-SMB, MS-SMB2) over NetBIOS session messages (RFC 1002) or straight TCP.
//!
//! A transaction is a request with its response, or a file whose content goes over many of them, or a
//! DCERPC call in a named pipe. Encrypted messages (MS-SMB2 section 2.2.41) are skipped. What is kept is
//! bounded: messages that are no file content up to [`MAX_MESSAGE`], names and trees up to
//! [`MAX_NAMES`], open transactions by the limit of the list.

mod auth;
mod frame;
mod handle;
mod names;
mod one;
mod parser;
mod pipe;
mod record;
mod transfer;
mod two;

#[cfg(test)]
mod tests;

pub use names::{command_name, dialect_name, function_name, status_name};
pub use parser::Parser;
pub use record::{
    Create, Dialect, Host, Identity, Kind, Negotiate, Rename, SessionSetup, SetInfo, ShareKind,
    Smb, Status, TransferOf, TreeConnect,
};

/// Bytes of a message that is not the content of a file.
pub const MAX_MESSAGE: usize = 1 << 20;
/// Files, pipes, trees and requests remembered of a flow, of each kind.
pub const MAX_NAMES: usize = 1024;
/// Bytes of a name, path or share.
const MAX_NAME: usize = 4096;

/// Whether bytes at the beginning of a stream are a session message with SMB in it, and whether it was
/// sent by a server.
pub(super) fn looks_like(bytes: &[u8]) -> Option<bool> {
    match bytes.get(..4)? {
        [0, ..] => frame::is_response(bytes.get(4..)?),
        _ => None,
    }
}
