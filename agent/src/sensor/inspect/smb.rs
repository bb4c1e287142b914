//! What rules see of SMB.

use net::Direction;
use net::app::smb::{Kind, ShareKind, Smb};
use signature::{Buffer, Inspect, Number, View};

use super::{TxView, dcerpc, non_empty};

pub(super) fn buffer<'a>(
    view: &TxView<'_>,
    smb: &'a Smb,
    (buffer, at): (Buffer, u32),
    dir: signature::Direction,
) -> View<'a> {
    match (&smb.kind, buffer) {
        (Kind::Pipe(call), _) => dcerpc::buffer(view, call, (buffer, at), dir),
        _ if at > 0 => View::Absent,
        (Kind::TreeConnect(tree), Buffer::SmbNamedPipe | Buffer::SmbShare) => {
            if !view.is_complete(dir) {
                return View::Pending;
            }
            let pipe = tree.kind == Some(ShareKind::Pipe);
            let wanted = pipe == (buffer == Buffer::SmbNamedPipe);
            non_empty(if wanted { &tree.share } else { &[] })
        }
        (Kind::SessionSetup(setup), _) => match (&setup.identity, buffer) {
            (Some(identity), Buffer::SmbNtlmsspUser) => non_empty(&identity.user),
            (Some(identity), Buffer::SmbNtlmsspDomain) => non_empty(&identity.domain),
            _ => View::Absent,
        },
        _ => View::Absent,
    }
}

pub(super) fn number(smb: &Smb, number: Number, dir: Direction) -> Option<u64> {
    match number {
        Number::SmbVersion => Some(u64::from(smb.version)),
        _ => smb.call().and_then(|call| dcerpc::number(call, number, dir)),
    }
}
