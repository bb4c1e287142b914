//! What rules see of SSH.

use net::app::ssh::{Ssh, progress};
use signature::{Buffer, View};

use super::non_empty;

/// A buffer of the side that sends in that direction, which has got to `step`.
pub(super) fn buffer(
    ssh: &Ssh,
    buffer: Buffer,
    at: u32,
    (dir, step): (net::Direction, u8),
) -> View<'_> {
    if at > 0 {
        return View::Absent;
    }
    let side = ssh.side(dir);
    let banner = |bytes| if step >= progress::BANNER { non_empty(bytes) } else { View::Pending };
    let hassh = side.hassh.as_ref();
    let missing = if step >= progress::KEX { View::Absent } else { View::Pending };
    match buffer {
        Buffer::SshProto => banner(side.protocol.as_slice()),
        Buffer::SshSoftware => banner(side.software.as_slice()),
        Buffer::SshHassh | Buffer::SshHasshServer => {
            hassh.map_or(missing, |hassh| non_empty(hassh.hash.as_bytes()))
        }
        Buffer::SshHasshString | Buffer::SshHasshServerString => {
            hassh.map_or(missing, |hassh| non_empty(&hassh.text))
        }
        _ => View::Absent,
    }
}
