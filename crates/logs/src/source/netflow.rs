//! A listener for NetFlow and IPFIX over UDP.
//!
//! Datagrams from networks that are not named are not decoded but counted. Others wait in the
//! kernel's buffer while there is no room; the source's report has what the kernel dropped, what could not be decoded, and
//! what was lost on the way as exporters number it.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use event::Timestamp;
use ipnet::IpNet;
use service::Clock;

use super::{Intake, Item, Stopped, datagrams};
use crate::config::NetflowConfig;
use crate::netflow::{Decoder, Templates, TemplatesError};

/// Why a listener cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum NetflowError {
    /// The address cannot be listened on.
    #[error("cannot listen for NetFlow on {address}")]
    Listen {
        /// As configured.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The decoder cannot be made.
    #[error(transparent)]
    Decoder(#[from] TemplatesError),
}

/// An open listener; opened before privileges are dropped, served afterwards.
#[derive(Debug)]
pub struct Listener {
    socket: UdpSocket,
    from: Vec<IpNet>,
    decoder: Decoder,
    strangers: u64,
}

impl Listener {
    /// Opens the socket of `config`; goes on with `templates`.
    ///
    /// # Errors
    /// [`NetflowError`].
    pub fn open(config: &NetflowConfig, templates: Arc<Templates>) -> Result<Self, NetflowError> {
        let socket = datagrams::open(&config.listen, config.receive_megabytes);
        let failed = |source| NetflowError::Listen { address: config.listen.clone(), source };
        Ok(Self {
            socket: socket.map_err(failed)?,
            from: config.from.clone(),
            decoder: Decoder::new(templates)?,
            strangers: 0,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `intake` stops.
    pub async fn serve(self, intake: Intake, clock: Clock) {
        let Self { socket, from, mut decoder, mut strangers } = self;
        let stop = intake.shutdown().clone();
        let take = |bytes: &[u8], exporter: SocketAddr| {
            let known = from.iter().any(|network| network.contains(&exporter.ip().to_canonical()));
            if !known {
                if strangers == 0 {
                    tracing::warn!(%exporter, "NetFlow from a network that is not named");
                }
                strangers = strangers.saturating_add(1);
                intake.source().set_further("strangers", strangers);
                return Ok(());
            }
            let now = Timestamp::from_micros(clock.now_micros());
            flows(&mut decoder, (exporter, bytes), now, &intake)
        };
        tokio::select! {
            outcome = datagrams::serve(socket, &intake, take) => if let Err(error) = outcome {
                tracing::error!(%error, "NetFlow listener failed");
            },
            () = stop.wait() => {}
        }
    }
}

/// Passes the flows of a datagram on.
fn flows(
    decoder: &mut Decoder,
    (exporter, bytes): (SocketAddr, &[u8]),
    now: Timestamp,
    intake: &Intake,
) -> Result<(), Stopped> {
    let before = decoder.figures();
    let events = decoder.datagram(exporter, bytes, now);
    let each = bytes.len().checked_div(events.len()).unwrap_or(0);
    for event in events {
        intake.offer(Item::new(event), true, each)?;
    }
    let after = decoder.figures();
    if after != before {
        let source = intake.source();
        source.set_further("malformed", after.malformed);
        source.set_further("without_template", after.without_template);
        source.set_further("lost_before_us", after.lost);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Counters;
    use event::SourceReport;
    use service::Shutdown;

    /// NetFlow 5 with one flow.
    fn datagram() -> Vec<u8> {
        let mut out = vec![0, 5, 0, 1];
        out.resize(24 + 48, 0);
        out[24 + 38] = 17;
        out
    }

    async fn send(from: &str) -> (usize, SourceReport) {
        let mut config = NetflowConfig::new("127.0.0.1:0");
        config.from = vec![from.parse().unwrap()];
        let listener = Listener::open(&config, Arc::default()).unwrap();
        let address = listener.address().unwrap();
        let (queue, items) = crossbeam_channel::bounded(16);
        let counters = Arc::new(Counters::default());
        let intake = Intake::new(queue, Arc::clone(&counters), Shutdown::new()).of("netflow");
        tokio::spawn(listener.serve(intake, Clock::manual(0)));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for bytes in [&datagram()[..], b"\x00\x05", &datagram()] {
            socket.send_to(bytes, address).unwrap();
        }
        let report = || counters.sources()[0].report();
        for _ in 0..1_000 {
            let further = report().further;
            if items.len() == 2 && further.contains_key("malformed")
                || further.get("strangers") == Some(&3)
            {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        (items.len(), report())
    }

    #[tokio::test]
    async fn flows_come_from_named_networks_only() {
        let (flows, report) = send("127.0.0.0/8").await;
        assert_eq!((flows, report.lines), (2, 2));
        // The second begins anew at 0, which is no loss.
        let further = [("lost_before_us", 0), ("malformed", 1), ("without_template", 0)];
        assert_eq!(report.further, further.map(|(name, n)| (name.to_owned(), n)).into());
        let (flows, report) = send("192.0.2.0/24").await;
        assert_eq!((flows, report.lines), (0, 0));
        assert_eq!(report.further, [("strangers".to_owned(), 3)].into());
    }

    #[test]
    fn a_taken_address_is_named() {
        let config = NetflowConfig::new("127.0.0.1:0");
        let first = Listener::open(&config, Arc::default()).unwrap();
        let taken = NetflowConfig::new(&first.address().unwrap().to_string());
        let error = Listener::open(&taken, Arc::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen for NetFlow on {}", taken.listen));
    }
}
