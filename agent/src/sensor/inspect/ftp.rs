//! What rules see of FTP and its data channels.

use std::net::IpAddr;

use net::app::ftp::{Command, Ftp, Transfer};
use signature::{Buffer, Direction, Number, View};

use super::non_empty;

pub(super) fn buffer(ftp: &Ftp, buffer: Buffer, at: u32, complete: bool) -> View<'_> {
    let index = usize::try_from(at).unwrap_or(usize::MAX);
    match buffer {
        Buffer::FtpCommand if at == 0 => {
            ftp.command.map_or(View::Absent, |command| View::whole(command.name().as_bytes()))
        }
        Buffer::FtpCommandData if at == 0 => non_empty(&ftp.argument),
        // The whole answer is looked at at once.
        Buffer::FtpReply | Buffer::FtpCompletionCode if !complete => View::Pending,
        Buffer::FtpReply => {
            ftp.replies.get(index).map_or(View::Absent, |reply| View::whole(&reply.text))
        }
        Buffer::FtpCompletionCode => {
            ftp.replies.get(index).map_or(View::Absent, |reply| View::whole(&reply.code))
        }
        _ => View::Absent,
    }
}

/// A number of a command from `client`.
pub(super) fn number(
    ftp: &Ftp,
    number: Number,
    dir: Direction,
    complete: bool,
    client: IpAddr,
) -> Option<u64> {
    match number {
        Number::FtpMode => match ftp.command? {
            Command::Port | Command::Eprt | Command::Pasv | Command::Epsv if complete => {
                Some(u64::from(ftp.active))
            }
            _ => None,
        },
        Number::FtpDynamicPort => ftp.port.map(u64::from),
        Number::FtpReplyReceived if dir == Direction::ToClient && ftp.command.is_some() => {
            (complete || ftp.answered).then_some(u64::from(ftp.answered))
        }
        Number::FtpBounce if dir == Direction::ToServer => {
            ftp.address.map(|address| u64::from(address != client))
        }
        _ => None,
    }
}

/// A number of a data channel.
pub(super) fn data_number(transfer: &Transfer, number: Number) -> Option<u64> {
    match (number, transfer.command) {
        (Number::FtpDataCommand, Command::Retr) => Some(1),
        (Number::FtpDataCommand, Command::Stor) => Some(2),
        _ => None,
    }
}
