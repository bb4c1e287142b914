//! What every daemon needs and nothing else: configuration, secrets, telemetry, shutdown, clock.
//!
//! Knows nothing of packets, events or the collector.
#![forbid(unsafe_code)]

mod causes;
mod clock;
pub mod config;
pub mod files;
mod secret;
mod shutdown;
mod telemetry;

pub use causes::causes;
pub use clock::Clock;
pub use secret::{Secret, SecretError, SecretSource};
pub use shutdown::Shutdown;
pub use telemetry::{LogFormat, Telemetry, init_logging};
