//! `fileinfo` objects: files in transit.

use net::app::file::{File, FileState};
use net::app::{Record, Transaction};

use super::fields::Fields;
use super::http;
use crate::sensor::settings::RecordOptions;

/// A file of a transaction.
pub(crate) fn of<F: Fields>(out: &mut F, file: &File, tx: &Transaction, options: &RecordOptions) {
    if !file.name.is_empty() {
        out.bytes("filename", &file.name);
    } else if options.stand_ins {
        match &tx.record {
            Record::Http(of) if http::is_unasked(of) => out.text("filename", http::UNASKED),
            Record::Smb(_) => out.text("filename", "<unknown>"),
            _ => {}
        }
    }
    out.boolean("gaps", file.has_gaps());
    let state = match file.state() {
        FileState::Closed => "CLOSED",
        FileState::Truncated => "TRUNCATED",
        FileState::Open => "UNKNOWN",
    };
    out.text("state", state);
    let digests = file.digests();
    if let Some(md5) = digests.md5 {
        out.text("md5", &hex(&md5));
    }
    if let Some(sha1) = digests.sha1 {
        out.text("sha1", &hex(&sha1));
    }
    if let Some(sha256) = digests.sha256 {
        out.text("sha256", &hex(&sha256));
    }
    out.boolean("stored", false);
    out.number("size", file.size());
    out.number("tx_id", tx.id);
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(nibble), 16));
        }
        text
    })
}
