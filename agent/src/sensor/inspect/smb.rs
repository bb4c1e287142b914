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
        // What the client asks for: whether it holds files or pipes is known with the answer only.
        (Kind::TreeConnect(tree), Buffer::SmbShare) => non_empty(&tree.share),
        (Kind::TreeConnect(tree), Buffer::SmbNamedPipe) => {
            if !view.is_complete(dir) {
                return View::Pending;
            }
            let pipe = tree.kind == Some(ShareKind::Pipe);
            non_empty(if pipe { &tree.share } else { &[] })
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
