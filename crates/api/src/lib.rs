//! HTTP API types and client.
#![forbid(unsafe_code)]
