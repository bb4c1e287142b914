//! Bytes to packets, flows, streams and transactions; no IO, no clock, no threads.
#![forbid(unsafe_code)]
