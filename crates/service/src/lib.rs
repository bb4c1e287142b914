//! What every program needs and nothing else: configuration, secrets, sealed streams, telemetry, shutdown, clock.
//!
//! Knows nothing of packets, events or the collector.
#![forbid(unsafe_code)]

mod advice;
mod causes;
mod clock;
pub mod config;
pub mod files;
pub mod key;
pub mod pieces;
mod secret;
mod shutdown;
mod telemetry;

pub use advice::Disk;
pub use causes::causes;
pub use clock::Clock;
pub use secret::{Secret, SecretError, SecretSource};
pub use shutdown::Shutdown;
pub use telemetry::{LogFormat, Telemetry, init_logging};
