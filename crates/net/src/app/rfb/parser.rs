//! The handshake, step by step: each step waits for a message of one side.

use super::super::{AppParser, Record, TxList};
use super::{PixelFormat, Rfb, Screen, Version, progress, security};
use crate::cursor::Cursor;
use crate::flow::{Direction, PerDirection};

/// Bytes kept of messages that are not complete.
const MAX_WAITING: usize = 4096;
/// Bytes of a name or reason; longer ones end the reading.
const MAX_TEXT: u32 = 2048;

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    ServerVersion,
    ClientVersion,
    /// Version 3.3: the server decides.
    SecurityType,
    /// Later: the client chooses.
    SecurityTypes,
    Choice,
    Challenge,
    Response,
    Result,
    Reason,
    ClientInit,
    ServerInit,
    Over,
}

impl Step {
    /// Who sends it.
    const fn sender(self) -> Direction {
        match self {
            Self::ClientVersion | Self::Choice | Self::Response | Self::ClientInit => {
                Direction::ToServer
            }
            _ => Direction::ToClient,
        }
    }
}

/// Parser of one flow.
#[derive(Debug, Default)]
pub struct Parser {
    step: Step,
    waiting: PerDirection<Vec<u8>>,
    /// Minor version in force, as a number.
    minor: u32,
    tx: Option<u64>,
}

/// What reading a message comes to.
enum Read {
    Next(Step),
    More,
    /// It is none: the name of the event.
    Wrong(&'static str),
}

fn version(c: &mut Cursor<'_>) -> Option<Result<Version, ()>> {
    let line = c.take(12)?;
    let read = || -> Option<Version> {
        let rest = line.strip_prefix(b"RFB ")?;
        let (major, rest) = rest.split_first_chunk::<3>()?;
        let (minor, rest) = rest.strip_prefix(b".")?.split_first_chunk::<3>()?;
        let digits = major.iter().chain(minor).all(u8::is_ascii_digit);
        (digits && rest == b"\n").then_some((*major, *minor))
    };
    Some(read().ok_or(()))
}

fn minor_of(version: Version) -> u32 {
    version.1.iter().fold(0, |value: u32, digit| {
        value.saturating_mul(10).saturating_add(u32::from(digit.wrapping_sub(b'0')))
    })
}

/// Text with its length in four bytes before it; `Err` when it is too long.
fn text<'a>(c: &mut Cursor<'a>) -> Option<Result<&'a [u8], ()>> {
    let length = c.u32()?;
    if length > MAX_TEXT {
        return Some(Err(()));
    }
    c.take(usize::try_from(length).ok()?).map(Ok)
}

fn screen(c: &mut Cursor<'_>) -> Option<Result<Screen, ()>> {
    let (width, height) = (c.u16()?, c.u16()?);
    let (bits_per_pixel, depth) = (c.u8()?, c.u8()?);
    let (big_endian, true_color) = (c.u8()? != 0, c.u8()? != 0);
    let max = [c.u16()?, c.u16()?, c.u16()?];
    let shift = c.array()?;
    c.skip(3)?;
    let format = PixelFormat { bits_per_pixel, depth, big_endian, true_color, max, shift };
    Some(text(c)?.map(|name| Screen { width, height, format, name: name.to_vec() }))
}

impl Parser {
    fn tx_id(&mut self, txs: &mut TxList) -> u64 {
        *self.tx.get_or_insert_with(|| txs.push(Record::Rfb(Box::default())))
    }

    /// After the kind of authentication is known.
    fn authenticate(&self, kind: u32) -> Read {
        match kind {
            security::INVALID => Read::Next(Step::Reason),
            security::NONE if self.minor >= 8 => Read::Next(Step::Result),
            security::NONE => Read::Next(Step::ClientInit),
            security::VNC => Read::Next(Step::Challenge),
            _ => Read::Wrong("unimplemented_security_type"),
        }
    }

    fn read(&mut self, c: &mut Cursor<'_>, rfb: &mut Rfb) -> Read {
        self.try_read(c, rfb).unwrap_or(Read::More)
    }

    fn try_read(&mut self, c: &mut Cursor<'_>, rfb: &mut Rfb) -> Option<Read> {
        let next = match self.step {
            Step::ServerVersion => match version(c)? {
                Ok(version) => {
                    rfb.server_version = Some(version);
                    Step::ClientVersion
                }
                Err(()) => return Some(Read::Wrong("malformed_message")),
            },
            Step::ClientVersion => match version(c)? {
                Ok(version) => {
                    rfb.client_version = Some(version);
                    self.minor = minor_of(version);
                    if self.minor < 7 { Step::SecurityType } else { Step::SecurityTypes }
                }
                Err(()) => return Some(Read::Wrong("malformed_message")),
            },
            Step::SecurityType => {
                let kind = c.u32()?;
                rfb.security_type = Some(kind);
                return Some(self.authenticate(kind));
            }
            Step::SecurityTypes => {
                if c.vec8()?.is_empty() {
                    Step::Reason
                } else {
                    Step::Choice
                }
            }
            Step::Choice => {
                let kind = u32::from(c.u8()?);
                rfb.security_type = Some(kind);
                return Some(self.authenticate(kind));
            }
            Step::Challenge => {
                rfb.challenge = Some(c.array()?);
                Step::Response
            }
            Step::Response => {
                rfb.response = Some(c.array()?);
                Step::Result
            }
            Step::Result => match c.u32()? {
                0 => {
                    rfb.security_result = Some(0);
                    Step::ClientInit
                }
                result @ (1 | 2) => {
                    rfb.security_result = Some(result);
                    if self.minor >= 8 { Step::Reason } else { Step::Over }
                }
                result => {
                    rfb.security_result = Some(result);
                    return Some(Read::Wrong("unknown_security_result"));
                }
            },
            Step::Reason => match text(c)? {
                Ok(reason) => {
                    rfb.failure_reason = reason.to_vec();
                    Step::Over
                }
                Err(()) => return Some(Read::Wrong("malformed_message")),
            },
            Step::ClientInit => {
                rfb.shared = Some(c.u8()? != 0);
                Step::ServerInit
            }
            Step::ServerInit => match screen(c)? {
                Ok(screen) => {
                    rfb.screen = Some(screen);
                    Step::Over
                }
                Err(()) => return Some(Read::Wrong("malformed_message")),
            },
            Step::Over => return None,
        };
        Some(Read::Next(next))
    }

    /// Reads what is there as long as it is that side's turn.
    fn advance(&mut self, txs: &mut TxList) {
        while self.step != Step::Over {
            let dir = self.step.sender();
            let waiting = std::mem::take(self.waiting.get_mut(dir));
            let id = self.tx_id(txs);
            let Some(tx) = txs.get_mut(id) else { return };
            let Record::Rfb(rfb) = &mut tx.record else { return };
            let mut c = Cursor::new(&waiting);
            let read = self.read(&mut c, rfb);
            match read {
                Read::More => {
                    *self.waiting.get_mut(dir) = waiting;
                    return;
                }
                Read::Next(step) => {
                    self.step = step;
                    *self.waiting.get_mut(dir) = c.rest().to_vec();
                    tx.touch(dir);
                }
                Read::Wrong(event) => {
                    tx.event(dir, event);
                    self.step = Step::Over;
                }
            }
        }
        self.over(txs);
    }

    fn over(&mut self, txs: &mut TxList) {
        self.step = Step::Over;
        self.waiting = PerDirection::default();
        if let Some(tx) = self.tx.and_then(|id| txs.get_mut(id)) {
            tx.reach(Direction::ToServer, progress::DONE);
            tx.reach(Direction::ToClient, progress::DONE);
        }
    }
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        if self.step == Step::Over {
            return;
        }
        let mut left = bytes;
        while !left.is_empty() && self.step != Step::Over {
            let waiting = self.waiting.get_mut(dir);
            let room = MAX_WAITING.saturating_sub(waiting.len());
            if room == 0 {
                let id = self.tx_id(txs);
                if let Some(tx) = txs.get_mut(id) {
                    tx.event(dir, "malformed_message");
                }
                return self.over(txs);
            }
            let (now, later) = left.split_at_checked(room).unwrap_or((left, &[]));
            waiting.extend_from_slice(now);
            left = later;
            self.advance(txs);
        }
    }

    fn gap(&mut self, _dir: Direction, _missing: u64, txs: &mut TxList) {
        self.over(txs);
    }

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}
}
