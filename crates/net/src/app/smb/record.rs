//! What a transaction of SMB says.

use std::sync::Arc;

use super::super::dcerpc::Call;
use crate::flow::Direction;

/// Dialect of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Not negotiated, or not seen.
    #[default]
    Unknown,
    /// One of SMB 1, by its name.
    One(Arc<[u8]>),
    /// One of SMB 2 or 3, by its number.
    Two(u16),
}

/// Result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// NTSTATUS (MS-ERREF section 2.3).
    Nt(u32),
    /// Error class and code (MS-CIFS section 2.2.2.4).
    Dos(u8, u16),
}

/// Operating system and LAN manager of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Operating system.
    pub native_os: Vec<u8>,
    /// LAN manager.
    pub native_lm: Vec<u8>,
}

/// Who authenticates with NTLMSSP (MS-NLMP section 2.2.1.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Domain.
    pub domain: Vec<u8>,
    /// User.
    pub user: Vec<u8>,
    /// Workstation.
    pub host: Vec<u8>,
    /// Major, minor, build and revision of the client.
    pub version: Option<(u8, u8, u16, u8)>,
}

/// Negotiation of the dialect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Negotiate {
    /// Dialects of SMB 1 by name.
    pub dialects: Vec<Vec<u8>>,
    /// Dialects of SMB 2 and 3 by number.
    pub dialects2: Vec<u16>,
    /// GUID of the client; SMB 2.
    pub client_guid: Option<[u8; 16]>,
    /// GUID of the server.
    pub server_guid: [u8; 16],
    /// Most bytes of a read; 0 when not told.
    pub max_read: u32,
    /// Most bytes of a write; 0 when not told.
    pub max_write: u32,
}

/// A login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionSetup {
    /// Who it is, with NTLMSSP.
    pub identity: Option<Identity>,
    /// Realm and names of the service, with Kerberos.
    pub kerberos: Option<(Vec<u8>, Vec<Vec<u8>>)>,
    /// What the client says of itself; SMB 1.
    pub client: Option<Host>,
    /// What the server says of itself; SMB 1.
    pub server: Option<Host>,
}

/// What a share is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareKind {
    /// Files.
    Disk,
    /// Named pipes.
    Pipe,
    /// A printer.
    Print,
    /// Something else.
    Other,
}

/// Connection to a share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeConnect {
    /// Path of the share.
    pub share: Vec<u8>,
    /// What it is, once the server has said so.
    pub kind: Option<ShareKind>,
    /// Service asked for and service given; SMB 1.
    pub service: (Option<Vec<u8>>, Option<Vec<u8>>),
}

/// Creation or opening of a file, directory or pipe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Create {
    /// Name.
    pub name: Vec<u8>,
    /// What to do when it exists or not (MS-SMB2 section 2.2.13).
    pub disposition: u32,
    /// It is deleted when it is closed.
    pub delete_on_close: bool,
    /// It has to be a directory.
    pub directory: bool,
    /// Creation, access, write and change, in seconds since 1970.
    pub times: [u64; 4],
    /// Size in bytes.
    pub size: u64,
    /// Its identifier.
    pub id: Vec<u8>,
}

/// Content of a file in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferOf {
    /// Its identifier.
    pub id: Vec<u8>,
    /// Its name.
    pub name: Vec<u8>,
    /// The share it is in.
    pub share: Vec<u8>,
    /// Which way.
    pub dir: Direction,
}

/// A file gets another name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rename {
    /// Its identifier.
    pub id: Vec<u8>,
    /// Old name.
    pub from: Vec<u8>,
    /// New name.
    pub to: Vec<u8>,
}

/// Information on a file or path is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetInfo {
    /// Its identifier; empty for paths.
    pub id: Vec<u8>,
    /// Its name.
    pub name: Vec<u8>,
    /// Class (SMB 2) or subcommand (SMB 1).
    pub class: u16,
    /// Level of information.
    pub level: u16,
    /// It is to be deleted when it is closed.
    pub delete_on_close: bool,
}

/// What a transaction is about.
#[derive(Clone, Debug, Default)]
pub enum Kind {
    /// Anything without a description of its own.
    #[default]
    Generic,
    /// Negotiation.
    Negotiate(Negotiate),
    /// Login.
    SessionSetup(SessionSetup),
    /// Connection to a share.
    TreeConnect(TreeConnect),
    /// Creation or opening.
    Create(Create),
    /// Content of a file.
    Transfer(TransferOf),
    /// Renaming.
    Rename(Rename),
    /// Setting of information.
    SetInfo(SetInfo),
    /// A control function by its code.
    Control(u32),
    /// A DCERPC call in a pipe.
    Pipe(Box<Call>),
}

/// A transaction of SMB.
#[derive(Clone, Debug, Default)]
pub struct Smb {
    /// 1 or 2 (which 3 is a dialect of).
    pub version: u8,
    /// Its command.
    pub command: u16,
    /// Its result; the last one for a file.
    pub status: Option<Status>,
    /// Session; the user id in SMB 1.
    pub session: u64,
    /// Tree.
    pub tree: u32,
    /// Dialect of the connection.
    pub dialect: Dialect,
    /// What it is about.
    pub kind: Kind,
}

impl Smb {
    /// The DCERPC call it carries.
    #[must_use]
    pub fn call(&self) -> Option<&Call> {
        match &self.kind {
            Kind::Pipe(call) => Some(call),
            _ => None,
        }
    }
}
