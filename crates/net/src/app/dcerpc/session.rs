//! What a connection remembers: bound interfaces and open calls.

use super::pdu::Pdu;
use super::{Call, Header, Interface, MAX_INTERFACES, header, kind};
use crate::flow::Direction;

/// Calls that may wait for more fragments or a response.
const MAX_OPEN: usize = 256;

/// A call that is not complete.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// Its transaction.
    tx: u64,
    call_id: u32,
    /// Kind of the request.
    asked: Option<u8>,
    /// More fragments of the request are to come.
    asking: bool,
}

/// One connection or pipe.
#[derive(Clone, Debug, Default)]
pub struct Session {
    bound: Vec<Interface>,
    /// Context numbers of the last bind, in its order.
    asked: Vec<u16>,
    open: Vec<Open>,
    /// Results begin right behind the common header: so rules see them over TCP, not in pipes.
    whole_results: bool,
}

impl Session {
    /// For a TCP connection; a pipe has the default.
    #[must_use]
    pub fn over_tcp() -> Self {
        Self { whole_results: true, ..Self::default() }
    }

    /// The interface that a context number stands for.
    #[must_use]
    pub fn interface(&self, context: u16) -> Option<&Interface> {
        self.bound.iter().find(|interface| interface.context == context)
    }

    /// The transaction that a PDU continues.
    #[must_use]
    pub fn continued(&self, dir: Direction, head: &Header) -> Option<u64> {
        let of_call = self.open.iter().rev().filter(|open| open.call_id == head.call_id);
        let fits = |open: &&Open| match dir {
            Direction::ToServer => open.asking && !head.is_first() && open.asked == Some(head.kind),
            Direction::ToClient => match head.kind {
                kind::BIND_ACK | kind::BIND_NAK => open.asked == Some(kind::BIND),
                kind::ALTER_CONTEXT_RESPONSE => open.asked == Some(kind::ALTER_CONTEXT),
                _ => open.asked.is_none_or(|asked| asked == kind::REQUEST),
            },
        };
        of_call.filter(fits).map(|open| open.tx).next()
    }

    /// Whether a PDU makes a transaction when it continues none.
    #[must_use]
    pub fn begins(dir: Direction, head: &Header) -> bool {
        match dir {
            Direction::ToServer => {
                matches!(head.kind, kind::REQUEST | kind::BIND | kind::ALTER_CONTEXT)
            }
            Direction::ToClient => matches!(
                head.kind,
                kind::RESPONSE
                    | kind::FAULT
                    | kind::BIND_ACK
                    | kind::BIND_NAK
                    | kind::ALTER_CONTEXT_RESPONSE
            ),
        }
    }

    /// Remembers a call that was made for a PDU.
    pub fn opened(&mut self, tx: u64, dir: Direction, head: &Header) {
        if self.open.len() >= MAX_OPEN {
            self.open.remove(0);
        }
        let asked = (dir == Direction::ToServer).then_some(head.kind);
        self.open.push(Open { tx, call_id: head.call_id, asked, asking: false });
    }

    /// The transaction of the newest call that waits for its answer.
    #[must_use]
    pub fn unanswered(&self) -> Option<u64> {
        self.open.last().map(|open| open.tx)
    }

    /// Takes a whole fragment into the call of transaction `tx`; whether the direction is complete,
    /// or `None` when the fragment is malformed.
    pub fn fragment(
        &mut self,
        (tx, call): (u64, &mut Call),
        dir: Direction,
        bytes: &[u8],
    ) -> Option<bool> {
        let head = header(bytes)?;
        let pdu = Pdu::new(head, bytes);
        call.version = head.version;
        call.call_id = head.call_id;
        let half = call.halves.get_mut(dir);
        half.kind = Some(head.kind);
        half.little = head.little;
        let read = match dir {
            Direction::ToServer => self.asked(call, &pdu),
            Direction::ToClient => self.answered(call, &pdu),
        };
        let binds = !matches!(head.kind, kind::REQUEST | kind::RESPONSE);
        let whole = read.is_none() || head.is_last() || binds;
        match dir {
            Direction::ToServer => {
                for open in self.open.iter_mut().filter(|open| open.tx == tx) {
                    open.asking = !whole;
                }
            }
            Direction::ToClient if whole => self.open.retain(|open| open.tx != tx),
            Direction::ToClient => {}
        }
        read.map(|()| whole)
    }

    fn asked(&mut self, call: &mut Call, pdu: &Pdu<'_>) -> Option<()> {
        let half = &mut call.halves.to_server;
        if pdu.head.kind == kind::REQUEST {
            let (context, opnum, stub) = pdu.request()?;
            call.opnum = Some(opnum);
            half.add(stub);
            call.interfaces = self.interface(context).copied().into_iter().collect();
            return Some(());
        }
        half.fragments = half.fragments.saturating_add(1);
        if !matches!(pdu.head.kind, kind::BIND | kind::ALTER_CONTEXT) {
            return Some(());
        }
        let interfaces = pdu.interfaces()?;
        self.asked = interfaces.iter().map(|interface| interface.context).collect();
        for interface in &interfaces {
            self.bound.retain(|bound| bound.context != interface.context);
            if self.bound.len() < MAX_INTERFACES {
                self.bound.push(*interface);
            }
        }
        call.interfaces = interfaces;
        Some(())
    }

    fn answered(&mut self, call: &mut Call, pdu: &Pdu<'_>) -> Option<()> {
        let half = &mut call.halves.to_client;
        match pdu.head.kind {
            kind::RESPONSE | kind::FAULT => {
                half.add(pdu.response(self.whole_results)?);
            }
            kind::BIND_ACK | kind::ALTER_CONTEXT_RESPONSE => {
                half.fragments = half.fragments.saturating_add(1);
                for (at, result) in pdu.results()?.into_iter().enumerate() {
                    if let Some(interface) = call.interfaces.get_mut(at) {
                        interface.answer = Some(result);
                    }
                    let context = self.asked.get(at);
                    let bound = self.bound.iter_mut().find(|one| Some(&one.context) == context);
                    if let Some(bound) = bound {
                        bound.answer = Some(result);
                    }
                }
            }
            _ => half.fragments = half.fragments.saturating_add(1),
        }
        Some(())
    }
}
