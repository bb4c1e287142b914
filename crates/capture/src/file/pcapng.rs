//! Blocks of a pcapng section (draft-ietf-opsawg-pcapng).

use super::{Fields, Found, Order};

/// Interfaces kept per section; a file with more is damaged.
const MAX_INTERFACES: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: u16,
    /// Bytes kept of a packet, for blocks that do not say it.
    snaplen: usize,
    /// Units of a timestamp per second.
    per_second: u64,
    /// Seconds added to every timestamp.
    offset: i64,
}

/// A section: its byte order and the interfaces described so far.
#[derive(Debug)]
pub(super) struct Section {
    order: Order,
    interfaces: Vec<Interface>,
    /// Timestamp of the newest packet, for blocks that have none.
    last: i64,
}

impl Default for Section {
    fn default() -> Self {
        Self::new(Order::Little)
    }
}

impl Section {
    pub(super) fn new(order: Order) -> Self {
        Self { order, interfaces: Vec::new(), last: 0 }
    }

    pub(super) fn order(&self) -> Order {
        self.order
    }

    /// Takes in a block's body; where its packet is, when it has one.
    pub(super) fn block(&mut self, kind: u32, body: &[u8]) -> Result<Option<Found>, &'static str> {
        let mut fields = Fields { rest: body, order: self.order };
        match kind {
            1 => {
                self.interface(&mut fields).ok_or("interface description")?;
                Ok(None)
            }
            2 => {
                let interface = fields.u16().ok_or("packet block")?;
                fields.u16().ok_or("packet block")?;
                self.packet(u32::from(interface), fields, 20).map(Some)
            }
            3 => self.simple(fields).map(Some),
            6 => {
                let interface = fields.u32().ok_or("packet block")?;
                self.packet(interface, fields, 20).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn interface(&mut self, fields: &mut Fields<'_>) -> Option<()> {
        if self.interfaces.len() >= MAX_INTERFACES {
            return None;
        }
        let link = fields.u16()?;
        fields.take(2)?;
        let snaplen = match usize::try_from(fields.u32()?).unwrap_or(usize::MAX) {
            0 => usize::MAX,
            limit => limit,
        };
        let mut interface = Interface { link, snaplen, per_second: 1_000_000, offset: 0 };
        while let (Some(code), Some(length)) = (fields.u16(), fields.u16()) {
            let padded = usize::from(length).next_multiple_of(4);
            let Some(value) = fields.take(padded) else { break };
            match (code, value) {
                (0, _) => break,
                (9, [resolution, ..]) => {
                    let exponent = u32::from(resolution & 0x7f);
                    let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
                    interface.per_second = base.checked_pow(exponent)?.max(1);
                }
                (14, [a, b, c, d, e, f, g, h]) => {
                    let bytes = [*a, *b, *c, *d, *e, *f, *g, *h];
                    interface.offset = match self.order {
                        Order::Little => i64::from_le_bytes(bytes),
                        Order::Big => i64::from_be_bytes(bytes),
                    };
                }
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Some(())
    }

    fn packet(
        &mut self,
        interface: u32,
        mut fields: Fields<'_>,
        start: usize,
    ) -> Result<Found, &'static str> {
        let index = usize::try_from(interface).unwrap_or(usize::MAX);
        let described = *self.interfaces.get(index).ok_or("interface number")?;
        let (Some(high), Some(low), Some(length), Some(wire_len)) =
            (fields.u32(), fields.u32(), fields.u32(), fields.u32())
        else {
            return Err("packet block");
        };
        let len = usize::try_from(length).unwrap_or(usize::MAX);
        fields.take(len).ok_or("packet length")?;
        let units = u128::from(high) << 32 | u128::from(low);
        let micros = units
            .saturating_mul(1_000_000)
            .checked_div(u128::from(described.per_second))
            .and_then(|t| i64::try_from(t).ok())
            .ok_or("timestamp")?;
        let ts = micros.saturating_add(described.offset.saturating_mul(1_000_000));
        self.last = ts;
        Ok(Found { ts, interface, wire_len, link: described.link, start, len })
    }

    fn simple(&mut self, mut fields: Fields<'_>) -> Result<Found, &'static str> {
        let described = *self.interfaces.first().ok_or("interface number")?;
        let wire_len = fields.u32().ok_or("packet block")?;
        let room = fields.rest.len();
        let wire = usize::try_from(wire_len).unwrap_or(usize::MAX);
        // More than the snap length is padding.
        let len = wire.min(described.snaplen).min(room);
        Ok(Found { ts: self.last, interface: 0, wire_len, link: described.link, start: 4, len })
    }
}
