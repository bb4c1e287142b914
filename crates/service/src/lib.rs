//! What every daemon needs: configuration, telemetry, shutdown, clock.
#![forbid(unsafe_code)]
