//! NetFlow and IPFIX of exporters near the agent: listeners, and templates that outlive a restart.

use std::sync::Arc;
use std::time::Duration;

use logs::config::{NetflowConfig, Quiet};
use logs::netflow::Templates;
use logs::source::Intake;
use logs::source::netflow::{Listener, NetflowError};
use service::Clock;

use crate::memory::Memory;

/// Name under which templates are kept.
const NAME: &str = "netflow";
/// Time between two savings.
const KEEP: Duration = Duration::from_secs(60);

/// Open listeners, not yet served.
#[derive(Debug)]
pub(crate) struct Exporters {
    listeners: Vec<Listener>,
    /// Silence of each after which an alarm is wanted.
    quiet: Vec<Option<Quiet>>,
    templates: Arc<Templates>,
    memory: Memory,
}

impl Exporters {
    /// Opens the sockets; templates are those that `memory` has.
    ///
    /// # Errors
    /// [`NetflowError`].
    pub(crate) fn open(configs: &[NetflowConfig], memory: &Memory) -> Result<Self, NetflowError> {
        let kept = if configs.is_empty() { None } else { memory.load(NAME) };
        let templates = match kept.map(|bytes| Templates::restore(&bytes)) {
            Some(Ok(templates)) => templates,
            Some(Err(error)) => {
                memory.set_aside(NAME, &error.to_string());
                Templates::default()
            }
            None => Templates::default(),
        };
        let templates = Arc::new(templates);
        let open = |config| Listener::open(config, Arc::clone(&templates));
        let listeners = configs.iter().map(open).collect::<Result<_, _>>()?;
        let quiet = configs.iter().map(|config| config.quiet_after).collect();
        Ok(Self { listeners, quiet, templates, memory: memory.clone() })
    }

    /// Serves until the intake stops. To be called within the runtime.
    pub(crate) fn start(self, intake: &Intake, clock: &Clock) {
        let Self { listeners, quiet, templates, memory } = self;
        if listeners.is_empty() {
            return;
        }
        for (listener, quiet) in listeners.into_iter().zip(quiet) {
            let name = listener.address().map_or_else(|_| "?".to_owned(), |one| one.to_string());
            let intake = intake.of(&format!("netflow udp {name}")).quiet(quiet);
            tokio::spawn(listener.serve(intake, clock.clone()));
        }
        let stop = intake.shutdown().clone();
        tokio::spawn(async move {
            loop {
                let stopping = tokio::select! {
                    () = tokio::time::sleep(KEEP) => false,
                    () = stop.wait() => true,
                };
                keep(&templates, &memory).await;
                if stopping {
                    return;
                }
            }
        });
    }
}

/// Keeps what is new since the last time.
async fn keep(templates: &Arc<Templates>, memory: &Memory) {
    let (templates, memory) = (Arc::clone(templates), memory.clone());
    let kept = tokio::task::spawn_blocking(move || match templates.snapshot() {
        Some(bytes) => memory.save(NAME, &bytes),
        None => Ok(()),
    });
    if !matches!(kept.await, Ok(Ok(()))) {
        tracing::error!("templates of exporters could not be kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryKey;
    use logs::source::Counters;
    use service::Shutdown;

    fn memory(folder: &std::path::Path) -> Memory {
        Memory::new(folder.to_owned(), MemoryKey::derive(&[7; 32]).unwrap())
    }

    /// Serves, sends `datagrams`, waits for `flows`, stops.
    async fn run(folder: &std::path::Path, datagrams: &[Vec<u8>], flows: usize) -> usize {
        let mut config = NetflowConfig::new("127.0.0.1:0");
        config.from = vec!["127.0.0.0/8".parse().unwrap()];
        let exporters = Exporters::open(&[config], &memory(folder)).unwrap();
        let address = exporters.listeners[0].address().unwrap();
        let (queue, items) = crossbeam_channel::bounded(16);
        let shutdown = Shutdown::new();
        let intake = Intake::new(queue, Arc::new(Counters::default()), shutdown.clone());
        let templates = Arc::clone(&exporters.templates);
        exporters.start(&intake, &Clock::manual(0));
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for bytes in datagrams {
            socket.send_to(bytes, address).unwrap();
        }
        for _ in 0..1_000 {
            if items.len() >= flows && !templates.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        shutdown.trigger();
        for _ in 0..1_000 {
            if folder.join("netflow.memory").exists() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        items.len()
    }

    #[tokio::test]
    async fn templates_outlive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let head = || {
            let mut datagram = vec![0, 9, 0, 1];
            datagram.resize(20, 0);
            datagram
        };
        let template = [head(), vec![0, 0, 0, 12, 1, 0, 0, 1, 0, 8, 0, 4]].concat();
        let flow = [head(), vec![1, 0, 0, 8, 192, 0, 2, 7]].concat();
        assert_eq!(run(folder.path(), &[template], 0).await, 0);
        assert_eq!(run(folder.path(), &[flow], 1).await, 1);
    }
}
