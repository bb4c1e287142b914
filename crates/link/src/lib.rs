//! Agent to collector: protocol, mutual TLS, acknowledgements, spool.
#![forbid(unsafe_code)]
