//! Records as the kernel sends them (netlink(7), group `AUDIT_NLGRP_READLOG`), without auditd or beside it.
//!
//! Needs CAP_AUDIT_READ. Nothing is asked of the kernel but, when that is wanted, how many records it lost. What it
//! could not put into the socket because reading was behind is counted by the kernel too; both are loss in the
//! ledger.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, sendto,
    setsockopt, socket, sockopt,
};

use super::Out;
use super::assemble::Found;
use crate::config::AuditConfig;
use crate::parse::auditd::type_name;

/// `AUDIT_NLGRP_READLOG`, as a bit.
const READ_LOG: u32 = 1;
/// Largest message: `MAX_AUDIT_MESSAGE_LENGTH` of the kernel and its head, with room.
const MAX_MESSAGE: usize = 16 * 1024;
/// Most messages taken before something else is looked at.
const BURST: usize = 1024;
/// Longest wait for a message.
const WAIT: u16 = 200;
/// Time between two looks at what was lost.
const LOOK: Duration = Duration::from_secs(1);
/// Where the kernel lists its netlink sockets.
const TABLE: &str = "/proc/net/netlink";
/// Length of the head of a message.
const HEAD: usize = 16;
/// `AUDIT_GET`, and what follows it as an answer.
const GET: u16 = 1000;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;

/// Why the kernel's records cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The kernel refuses.
    #[error(
        "cannot {action} of the audit system (CAP_AUDIT_READ is needed, in the first namespaces)"
    )]
    System {
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn system(action: &'static str) -> impl FnOnce(Errno) -> AuditError {
    move |error| AuditError::System { action, source: error.into() }
}

/// A socket that the kernel's records come by.
#[derive(Debug)]
pub(super) struct Live {
    records: OwnedFd,
    inode: u64,
    status: Option<Status>,
}

impl Live {
    /// Opens it.
    ///
    /// # Errors
    /// [`AuditError`].
    pub(super) fn open(config: &AuditConfig) -> Result<Self, AuditError> {
        let records = opened().map_err(system("open the socket"))?;
        let bytes = config.receive_megabytes.saturating_mul(1024 * 1024);
        if setsockopt(&records, sockopt::RcvBufForce, &bytes).is_err() {
            setsockopt(&records, sockopt::RcvBuf, &bytes).map_err(system("size the buffer"))?;
        }
        bind(records.as_raw_fd(), &NetlinkAddr::new(0, READ_LOG))
            .map_err(system("read the records"))?;
        let inode = nix::sys::stat::fstat(&records).map_err(system("look at the socket"))?.st_ino;
        let status = if config.kernel_lost { Status::open() } else { None };
        if status.as_ref().is_some_and(|status| !status.enabled) {
            tracing::warn!("the audit system is not enabled (auditctl -e 1); no records will come");
        }
        Ok(Self { records, inode, status })
    }

    /// Reads until it is to stop.
    pub(super) fn read(mut self, out: &mut Out) {
        let mut buffer = vec![0; MAX_MESSAGE];
        let mut looked = Duration::ZERO;
        let mut overruns = 0_u64;
        let found = Found { log: Arc::from("audit"), place: None, damaged: false };
        while !out.intake.is_stopping() {
            let drained = match self.burst(&mut buffer, &found, out) {
                Ok(drained) => drained,
                Err(Errno::ENOBUFS) => {
                    overruns = overruns.saturating_add(1);
                    false
                }
                Err(error) => {
                    out.intake.source().count_error();
                    tracing::warn!(%error, "records of the audit system could not be received");
                    std::thread::sleep(Duration::from_millis(100));
                    true
                }
            };
            let now = out.clock.monotonic();
            if drained {
                out.assembler.tick(now);
            }
            while let Some(event) = out.assembler.ready() {
                if out.give(event, Vec::new()).is_err() {
                    return;
                }
            }
            if now.saturating_sub(looked) >= LOOK {
                looked = now;
                self.look(out, overruns);
            }
            if drained {
                let mut wanted = [PollFd::new(self.records.as_fd(), PollFlags::POLLIN)];
                // Interrupted or not: what is there is taken next.
                let _ready = poll(&mut wanted, PollTimeout::from(WAIT));
            }
        }
    }

    /// Takes what is there; true when nothing more is.
    fn burst(&self, buffer: &mut [u8], found: &Found, out: &mut Out) -> Result<bool, Errno> {
        for _ in 0..BURST {
            let (length, sender) = match recvfrom::<NetlinkAddr>(self.records.as_raw_fd(), buffer) {
                Ok(received) => received,
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(true),
                Err(error) => return Err(error),
            };
            // Programs with the right to may send to this socket as well: only the kernel is believed.
            if sender.is_none_or(|sender| sender.pid() != 0) {
                out.intake.source().count_error();
                continue;
            }
            let Some(line) = line_of(buffer.get(..length).unwrap_or_default()) else {
                out.intake.source().count_error();
                continue;
            };
            let damaged = line.contains('\u{fffd}');
            out.take(line, Found { damaged, ..found.clone() });
        }
        Ok(false)
    }

    /// Tells what was lost: by this socket since it was opened, by the kernel since then.
    fn look(&mut self, out: &Out, overruns: u64) {
        let table = std::fs::read_to_string(TABLE).unwrap_or_default();
        let dropped = drops_in(&table, self.inode).unwrap_or(0);
        let lost = self.status.as_mut().map_or(0, Status::lost);
        let source = out.intake.source();
        source.set_dropped(dropped.saturating_add(lost));
        out.tell();
        for (name, count) in
            [("overruns", overruns), ("socket_dropped", dropped), ("kernel_lost", lost)]
        {
            if count > 0 {
                source.set_further(name, count);
            }
        }
    }
}

fn opened() -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkAudit)
}

/// A message as auditd would write it: its type is in the head, the rest is text.
fn line_of(message: &[u8]) -> Option<String> {
    let kind = message.get(4..6)?.first_chunk::<2>()?;
    let text = message.get(HEAD..)?;
    let end = text
        .iter()
        .rposition(|byte| !matches!(byte, 0 | b'\n'))
        .map_or(0, |at| at.saturating_add(1));
    let text = String::from_utf8_lossy(text.get(..end)?);
    text.starts_with("audit(").then(|| {
        let kind = type_name(u16::from_ne_bytes(*kind));
        format!("type={kind} msg={text}")
    })
}

/// Messages that found no room in the socket of this inode: `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode`.
fn drops_in(table: &str, inode: u64) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace().rev();
        let here = fields.next()?.parse::<u64>().ok()? == inode;
        here.then(|| fields.next()?.parse().ok()).flatten()
    })
}

/// What the kernel says of its audit system.
#[derive(Debug)]
struct Status {
    socket: OwnedFd,
    enabled: bool,
    /// Lost before this program was started, and since then.
    before: u32,
    since: u64,
}

impl Status {
    /// Asks for the first time; `None` when the kernel does not say.
    fn open() -> Option<Self> {
        let socket = opened().ok()?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0)).ok()?;
        let (enabled, lost) = match ask(&socket) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "what the kernel's audit system loses is not known: CAP_AUDIT_CONTROL is needed");
                return None;
            }
        };
        Some(Self { socket, enabled, before: lost, since: 0 })
    }

    /// Lost since the start; what was known last when the kernel does not answer.
    fn lost(&mut self) -> u64 {
        if let Ok((_, lost)) = ask(&self.socket) {
            // Somebody may have set it back.
            let more = lost.checked_sub(self.before).unwrap_or(lost);
            self.since = self.since.saturating_add(u64::from(more));
            self.before = lost;
        }
        self.since
    }
}

/// Whether auditing is enabled, and how many records are lost (`struct audit_status`).
fn ask(socket: &OwnedFd) -> Result<(bool, u32), Errno> {
    let mut request = [0_u8; HEAD];
    let length = u32::try_from(HEAD).unwrap_or(0).to_ne_bytes();
    let (kind, flags) = (GET.to_ne_bytes(), REQUEST.to_ne_bytes());
    let parts = length.iter().chain(&kind).chain(&flags);
    request.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
    sendto(socket.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut buffer = [0; 1024];
    for _ in 0..8 {
        let mut wanted = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        poll(&mut wanted, PollTimeout::from(WAIT))?;
        let (length, _) = recvfrom::<NetlinkAddr>(socket.as_raw_fd(), &mut buffer)?;
        if let Some(answer) = status(buffer.get(..length).unwrap_or_default()) {
            return answer;
        }
    }
    Err(Errno::EAGAIN)
}

/// The answer in a message; `None` when it is another message.
fn status(message: &[u8]) -> Option<Result<(bool, u32), Errno>> {
    let kind = u16::from_ne_bytes(*message.get(4..)?.first_chunk()?);
    let number = |at: usize| {
        let at = HEAD.checked_add(at.checked_mul(4)?)?;
        message.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
    };
    match kind {
        // NLMSG_ERROR: minus the error first; 0 says that the request was taken.
        2 => {
            let error = i32::from_ne_bytes(number(0)?.to_ne_bytes());
            (error != 0).then(|| Err(Errno::from_raw(error.saturating_neg())))
        }
        // mask, enabled, failure, pid, rate_limit, backlog_limit, lost, ...
        GET => Some(
            number(1)
                .zip(number(6))
                .map(|(enabled, lost)| (enabled > 0, lost))
                .ok_or(Errno::EBADMSG),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, text: &[u8]) -> Vec<u8> {
        [&[0; 4][..], &kind.to_ne_bytes(), &[0; 10], text].concat()
    }

    #[test]
    fn messages_are_lines() {
        let line = |kind, text: &[u8]| line_of(&message(kind, text));
        assert_eq!(
            line(1300, b"audit(1795359845.123:77): arch=c000003e\0").as_deref(),
            Some("type=SYSCALL msg=audit(1795359845.123:77): arch=c000003e")
        );
        assert_eq!(
            line(1320, b"audit(1.0:7): \0\0").as_deref(),
            Some("type=EOE msg=audit(1.0:7): ")
        );
        assert_eq!(
            line(1999, b"audit(1.0:7): x").as_deref(),
            Some("type=UNKNOWN[1999] msg=audit(1.0:7): x")
        );
        assert_eq!((line(1300, b"other"), line(1300, b""), line_of(&[0; 7])), (None, None, None));
        for at in 0..40 {
            line_of(
                &message(1300, b"audit(1.0:7): \xff\xfe")
                    .iter()
                    .copied()
                    .take(at)
                    .collect::<Vec<_>>(),
            );
            status(&message(1000, &[1; 40]).iter().copied().take(at).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_was_lost_is_read() {
        let table = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n\
            0000000000000000 9   4711       00000001 0        0        0     2        17       21432\n\
            0000000000000000 0   1          00000000 0        0        0     2        0        2\n";
        assert_eq!(
            (drops_in(table, 21432), drops_in(table, 2), drops_in(table, 3)),
            (Some(17), Some(0), None)
        );
        let numbers: Vec<u8> =
            [0_u32, 1, 1, 0, 0, 64, 9, 0].iter().flat_map(|one| one.to_ne_bytes()).collect();
        assert_eq!(status(&message(1000, &numbers)), Some(Ok((true, 9))));
        let refused = (-1_i32).to_ne_bytes();
        assert_eq!(status(&message(2, &refused)), Some(Err(Errno::EPERM)));
        assert_eq!(status(&message(2, &[0; 4])), None);
        assert_eq!(status(&message(1000, &[0; 4])), Some(Err(Errno::EBADMSG)));
    }
}
