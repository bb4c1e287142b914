//! DCERPC in named pipes.

use super::super::dcerpc::{Session, header};
use super::super::{Record, TxList};
use super::record::Kind;
use super::transfer::{Head, Wire};
use crate::flow::{Direction, PerDirection};

/// What one pipe carries.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    session: Session,
    /// A fragment that is not complete: at most 64 KiB, as its length has 16 bits.
    partial: PerDirection<Vec<u8>>,
}

impl Pipe {
    /// Data written or read: the transaction of the last call in them. What is not DCERPC is let go.
    pub(super) fn data(
        &mut self,
        wire: &mut Wire,
        head: &Head,
        (dir, data): (Direction, &[u8]),
        txs: &mut TxList,
    ) -> Option<u64> {
        let mut held = std::mem::take(self.partial.get_mut(dir));
        held.extend_from_slice(data);
        let mut rest = held.as_slice();
        let mut last = None;
        while !rest.is_empty() {
            let sound = header(rest).filter(|head| head.version.0 == 5 && head.length >= 16);
            let Some(pdu) = sound else {
                // The header itself may be cut.
                if rest.len() >= 16 || rest.first() != Some(&5) {
                    rest = &[];
                }
                break;
            };
            let Some((bytes, tail)) = rest.split_at_checked(usize::from(pdu.length)) else { break };
            last = self.fragment(wire, head, (dir, bytes), txs).or(last);
            rest = tail;
        }
        let left = rest.len();
        held.drain(..held.len().saturating_sub(left));
        *self.partial.get_mut(dir) = held;
        last
    }

    fn fragment(
        &mut self,
        wire: &mut Wire,
        head: &Head,
        (dir, bytes): (Direction, &[u8]),
        txs: &mut TxList,
    ) -> Option<u64> {
        let pdu = header(bytes)?;
        let id = match self.session.continued(dir, &pdu) {
            Some(id) => id,
            // An answer without a question is not worth a transaction here: its request is unknown.
            None if dir == Direction::ToServer && Session::begins(dir, &pdu) => {
                let id = wire.begin(head, Kind::Pipe(Box::default()), txs);
                self.session.opened(id, dir, &pdu);
                id
            }
            None => return None,
        };
        let tx = txs.get_mut(id)?;
        let Record::Smb(smb) = &mut tx.record else { return None };
        if dir == Direction::ToClient {
            smb.status = head.status;
        }
        let Kind::Pipe(call) = &mut smb.kind else { return None };
        match self.session.fragment((id, call), dir, bytes) {
            Some(true) => tx.reach(dir, 1),
            Some(false) => tx.touch(dir),
            None => {
                tx.event(dir, "malformed_data");
                tx.reach(dir, 1);
            }
        }
        Some(id)
    }
}
