//! Connection-oriented DCERPC over TCP: fragments out of the stream.

use super::super::{Record, TxList};
use super::{Call, Session, header};
use crate::flow::{Direction, PerDirection};

/// PDUs of both directions of a connection.
#[derive(Debug)]
pub(super) struct Stream {
    session: Session,
    sides: PerDirection<Side>,
}

#[derive(Debug, Default)]
struct Side {
    /// A fragment that is not complete: at most 64 KiB, as its length has 16 bits.
    partial: Vec<u8>,
    /// Where the next fragment begins is not known (any more).
    lost: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Self { session: Session::over_tcp(), sides: PerDirection::default() }
    }
}

impl Stream {
    pub(super) fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        let side = self.sides.get_mut(dir);
        if side.lost {
            // A segment may begin with a fragment again.
            match header(bytes) {
                Some(head) if is_sound(&head) => side.lost = false,
                _ => return,
            }
        }
        if side.partial.is_empty() {
            let rest = self.fragments(dir, bytes, txs);
            self.sides.get_mut(dir).partial.extend_from_slice(rest);
            return;
        }
        let mut held = std::mem::take(&mut side.partial);
        held.extend_from_slice(bytes);
        let left = self.fragments(dir, &held, txs).len();
        held.drain(..held.len().saturating_sub(left));
        self.sides.get_mut(dir).partial = held;
    }

    /// Takes in whole fragments; what is left is the beginning of one.
    fn fragments<'a>(&mut self, dir: Direction, bytes: &'a [u8], txs: &mut TxList) -> &'a [u8] {
        let mut rest = bytes;
        while rest.len() >= super::pdu::HEADER {
            let Some(head) = header(rest).filter(is_sound) else {
                self.sides.get_mut(dir).lost = true;
                if let Some(tx) = self.session.unanswered().and_then(|tx| txs.get_mut(tx)) {
                    tx.event(dir, "malformed_data");
                }
                return &[];
            };
            let Some((pdu, tail)) = rest.split_at_checked(usize::from(head.length)) else { break };
            self.pdu(dir, pdu, txs);
            rest = tail;
        }
        rest
    }

    fn pdu(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        let Some(head) = header(bytes) else { return };
        let id = match self.session.continued(dir, &head) {
            Some(id) => id,
            None if Session::begins(dir, &head) => {
                let id = txs.push(Record::Dcerpc(Box::default()));
                self.session.opened(id, dir, &head);
                if let Some(tx) = txs.get_mut(id)
                    && dir == Direction::ToClient
                {
                    // The request was never seen.
                    tx.close_silently(Direction::ToServer, 1);
                }
                id
            }
            None => return,
        };
        let Some(tx) = txs.get_mut(id) else { return };
        let Record::Dcerpc(call) = &mut tx.record else { return };
        let call: &mut Call = call;
        match self.session.fragment((id, call), dir, bytes) {
            Some(true) => tx.reach(dir, 1),
            Some(false) => tx.touch(dir),
            None => {
                tx.event(dir, "malformed_data");
                tx.reach(dir, 1);
            }
        }
    }

    pub(super) fn gap(&mut self, dir: Direction, _missing: u64) {
        let side = self.sides.get_mut(dir);
        side.partial.clear();
        side.lost = true;
    }
}

fn is_sound(head: &super::Header) -> bool {
    head.version.0 == 5 && usize::from(head.length) >= super::pdu::HEADER
}
