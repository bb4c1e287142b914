//! One signal that tells every task to stop, and waits for none of them.
//!
//! The order in which a daemon stops is its own; this only says that it is time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// Tells tasks and threads to stop. Cheap to clone; once triggered it stays so.
#[derive(Clone, Debug)]
pub struct Shutdown {
    flag: Arc<AtomicBool>,
    sender: Arc<watch::Sender<bool>>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// Not yet triggered.
    #[must_use]
    pub fn new() -> Self {
        Self { flag: Arc::new(AtomicBool::new(false)), sender: Arc::new(watch::Sender::new(false)) }
    }

    /// Tells everybody to stop.
    pub fn trigger(&self) {
        self.flag.store(true, Ordering::SeqCst);
        self.sender.send_replace(true);
    }

    /// Whether it is time to stop; for threads that cannot wait.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    /// Resolves when it is time to stop.
    pub async fn wait(&self) {
        let mut receiver = self.sender.subscribe();
        // The sender lives in self, so this cannot fail before the value is true.
        if receiver.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Triggers on SIGINT or SIGTERM.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn on_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let this = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => tracing::info!("interrupted, stopping"),
                _ = terminate.recv() => tracing::info!("asked to terminate, stopping"),
            }
            this.trigger();
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_ends_with_the_trigger_and_not_before() {
        let shutdown = Shutdown::default();
        let soon = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, shutdown.wait()).await.is_err());
        let mut waiting = Vec::new();
        for _ in 0..50 {
            let one = shutdown.clone();
            waiting.push(tokio::spawn(async move { one.wait().await }));
        }
        shutdown.clone().trigger();
        shutdown.trigger();
        for one in waiting {
            one.await.unwrap();
        }
        assert!(shutdown.is_triggered());
    }

    #[tokio::test]
    async fn everybody_hears_it_also_afterwards() {
        let shutdown = Shutdown::new();
        let waiting = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.wait().await }
        });
        assert!(!shutdown.is_triggered());
        shutdown.trigger();
        waiting.await.unwrap();
        shutdown.wait().await;
        assert!(shutdown.is_triggered());
    }
}
