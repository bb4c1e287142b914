//! Banners and packets.

use super::super::lines::Lines;
use super::super::{AppParser, Record, TxList};
use super::{MAX_BANNER, MAX_KEX, MAX_PRELUDE, Ssh, kex, progress};
use crate::cursor::Cursor;
use crate::flow::{Direction, PerDirection};

const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;

/// What comes next from a side.
#[derive(Debug)]
enum Next {
    Banner {
        lines: Lines,
        seen: u32,
    },
    /// The rest of a banner that is too long.
    Tail,
    /// The head of a packet, or an offer that is not complete.
    Packet(Vec<u8>),
    /// That many bytes of a packet that does not matter.
    Skip(u32),
    /// Encrypted, or nothing that can be read.
    Over,
}

impl Default for Next {
    fn default() -> Self {
        Self::Banner { lines: Lines::new(MAX_BANNER), seen: 0 }
    }
}

/// Parser of one flow.
#[derive(Debug, Default)]
pub struct Parser {
    next: PerDirection<Next>,
    tx: Option<u64>,
    ended: PerDirection<bool>,
}

impl Parser {
    fn with(&mut self, txs: &mut TxList, act: impl FnOnce(&mut Ssh)) -> u64 {
        let id = *self.tx.get_or_insert_with(|| txs.push(Record::Ssh(Box::default())));
        if let Some(tx) = txs.get_mut(id)
            && let Record::Ssh(ssh) = &mut tx.record
        {
            act(ssh);
        }
        id
    }

    fn event(&mut self, dir: Direction, name: &'static str, txs: &mut TxList) {
        let id = self.with(txs, |_| {});
        if let Some(tx) = txs.get_mut(id) {
            tx.event(dir, name);
        }
    }

    fn reach(&mut self, dir: Direction, step: u8, txs: &mut TxList) {
        let id = self.with(txs, |_| {});
        if let Some(tx) = txs.get_mut(id) {
            tx.reach(dir, step);
        }
    }

    /// One step of a side: takes what it can of the input and says what comes next, and whether to go on.
    fn step(
        &mut self,
        dir: Direction,
        next: Next,
        input: &mut &[u8],
        txs: &mut TxList,
    ) -> (Next, bool) {
        match next {
            Next::Banner { mut lines, seen } => {
                let Some(line) = lines.next(input) else {
                    return (Next::Banner { lines, seen }, false);
                };
                if line.cut {
                    self.event(dir, "long_banner", txs);
                }
                if self.banner(dir, line.bytes, txs) {
                    let next =
                        if lines.is_inside() { Next::Tail } else { Next::Packet(Vec::new()) };
                    return (next, true);
                }
                let seen = seen.saturating_add(1);
                if line.bytes.starts_with(b"SSH-")
                    || seen > MAX_PRELUDE
                    || dir == Direction::ToServer
                {
                    self.event(dir, "invalid_banner", txs);
                    return (Next::Over, false);
                }
                (Next::Banner { lines, seen }, true)
            }
            Next::Tail => {
                let end = memchr::memchr(b'\n', input).map(|at| at.saturating_add(1));
                *input = end.and_then(|at| input.get(at..)).unwrap_or_default();
                (if end.is_some() { Next::Packet(Vec::new()) } else { Next::Tail }, end.is_some())
            }
            Next::Packet(mut buffer) => {
                buffer.extend_from_slice(input);
                *input = &[];
                self.packets(dir, buffer, txs)
            }
            Next::Skip(left) => {
                let room = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                *input = input.get(room..).unwrap_or_default();
                let left = left.saturating_sub(u32::try_from(room).unwrap_or(u32::MAX));
                match left {
                    0 => (Next::Packet(Vec::new()), !input.is_empty()),
                    _ => (Next::Skip(left), false),
                }
            }
            Next::Over => (Next::Over, false),
        }
    }

    /// `SSH-version-software comments`. False when the line is something else.
    fn banner(&mut self, dir: Direction, line: &[u8], txs: &mut TxList) -> bool {
        let Some(rest) = line.strip_prefix(b"SSH-") else { return false };
        let Some(dash) = memchr::memchr(b'-', rest) else { return false };
        let (version, software) = rest.split_at_checked(dash).unwrap_or((rest, &[]));
        let software = software.get(1..).unwrap_or_default();
        let end = software.iter().position(|b| matches!(b, b' ' | b'\r')).unwrap_or(software.len());
        let software = software.get(..end).unwrap_or(software);
        if version.is_empty() {
            return false;
        }
        self.with(txs, |ssh| {
            let side = ssh.sides.get_mut(dir);
            side.protocol = version.to_vec();
            side.software = software.to_vec();
        });
        self.reach(dir, progress::BANNER, txs);
        true
    }

    /// Packets in a buffer, as far as they are complete.
    fn packets(&mut self, dir: Direction, buffer: Vec<u8>, txs: &mut TxList) -> (Next, bool) {
        let mut c = Cursor::new(&buffer);
        loop {
            let before = c;
            let (Some(length), Some(padding), Some(kind)) = (c.u32(), c.u8(), c.u8()) else {
                c = before;
                break;
            };
            let Some(left) = length.checked_sub(2).filter(|_| length < 1 << 24) else {
                self.event(dir, "invalid_record", txs);
                return (Next::Over, false);
            };
            if kind == NEWKEYS {
                self.new_keys(dir, txs);
                return (Next::Over, false);
            }
            let too_long = kind == KEXINIT && length > MAX_KEX;
            if too_long {
                self.event(dir, "long_kex_record", txs);
            }
            let body = c.take(usize::try_from(left).unwrap_or(usize::MAX));
            match (kind, body) {
                (KEXINIT, Some(body)) if !too_long => {
                    let content = body.len().saturating_sub(usize::from(padding));
                    self.offer(dir, body.get(..content).unwrap_or(body), txs);
                }
                (KEXINIT, None) if !too_long => {
                    c = before;
                    break;
                }
                (_, None) => {
                    let here = u32::try_from(c.remaining()).unwrap_or(u32::MAX);
                    return (Next::Skip(left.saturating_sub(here)), false);
                }
                (_, Some(_)) => {}
            }
        }
        let done = c.position();
        let mut rest = buffer;
        rest.drain(..done);
        (Next::Packet(rest), false)
    }

    fn offer(&mut self, dir: Direction, body: &[u8], txs: &mut TxList) {
        let Some(hassh) = kex::hassh(body, dir) else {
            return self.event(dir, "invalid_record", txs);
        };
        self.with(txs, |ssh| ssh.sides.get_mut(dir).hassh = Some(hassh));
        self.reach(dir, progress::KEX, txs);
    }

    fn new_keys(&mut self, dir: Direction, txs: &mut TxList) {
        self.reach(dir, progress::DONE, txs);
        let id = self.with(txs, |_| {});
        if let Some(tx) = txs.get_mut(id)
            && tx.progress(dir.reverse()) >= progress::DONE
            && let Record::Ssh(ssh) = &mut tx.record
        {
            ssh.encrypted = true;
        }
    }
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        let mut input = bytes;
        let mut next = std::mem::replace(self.next.get_mut(dir), Next::Over);
        let mut more = true;
        while more {
            (next, more) = self.step(dir, next, &mut input, txs);
        }
        *self.next.get_mut(dir) = next;
    }

    fn gap(&mut self, dir: Direction, missing: u64, _txs: &mut TxList) {
        // Packets have no marks to find the next one by, unless the gap is within one.
        let next = self.next.get_mut(dir);
        *next = match next {
            Next::Skip(left) if u64::from(*left) > missing => {
                Next::Skip(left.saturating_sub(u32::try_from(missing).unwrap_or(u32::MAX)))
            }
            _ => Next::Over,
        };
    }

    fn end(&mut self, dir: Direction, txs: &mut TxList) {
        *self.ended.get_mut(dir) = true;
        if self.ended.to_server && self.ended.to_client {
            txs.complete_all();
        }
    }
}
