//! What rules see of QUIC.

use net::app::quic::Quic;
use signature::{Buffer, View};

use super::{TxView, non_empty};

impl<'a> TxView<'a> {
    pub(super) fn quic(&'a self, quic: &'a Quic, buffer: Buffer, at: u32) -> View<'a> {
        if at > 0 {
            return View::Absent;
        }
        let text = |text: Option<&'a str>| text.map_or(View::Absent, |t| non_empty(t.as_bytes()));
        let google = quic.google.as_ref();
        match buffer {
            Buffer::QuicVersion => {
                View::whole(self.version.get_or_init(|| quic.version.to_be_bytes()))
            }
            Buffer::QuicSni => quic.sni().map_or(View::Absent, View::whole),
            Buffer::QuicUa => {
                google.and_then(|g| g.user_agent.as_deref()).map_or(View::Absent, View::whole)
            }
            Buffer::QuicCyuHash => text(google.map(|g| g.cyu_hash.as_str())),
            Buffer::QuicCyuString => text(google.map(|g| g.cyu.as_str())),
            Buffer::Ja3Hash => text(quic.client.as_ref().map(|c| c.ja3_hash.as_str())),
            Buffer::Ja3String => text(quic.client.as_ref().map(|c| c.ja3.as_str())),
            Buffer::Ja3sHash => text(quic.server.as_ref().map(|s| s.ja3s_hash.as_str())),
            Buffer::Ja3sString => text(quic.server.as_ref().map(|s| s.ja3s.as_str())),
            Buffer::Ja4Hash => {
                text(Some(self.address.get_or_init(|| quic.ja4().unwrap_or_default())))
            }
            _ => View::Absent,
        }
    }
}
