//! `fileinfo` objects: files in transit.

use net::app::file::{File, FileState};
use net::app::{Record, Transaction};

use super::fields::Fields;
use super::http;
use crate::sensor::settings::RecordOptions;
use crate::sensor::store::Fate;

/// The word that stands for a file's name which was not seen.
pub(crate) fn stand_in(tx: &Transaction, options: &RecordOptions) -> Option<&'static str> {
    match &tx.record {
        _ if !options.stand_ins => None,
        Record::Http(of) if http::is_unasked(of) => Some(http::UNASKED),
        Record::Smb(_) => Some("<unknown>"),
        _ => None,
    }
}

/// A file of a transaction, and what became of it in the store.
pub(crate) fn of<F: Fields>(
    out: &mut F,
    file: &File,
    (tx_id, fate): (u64, &Fate),
    stand_in: Option<&'static str>,
) {
    match stand_in {
        _ if !file.name.is_empty() => out.bytes("filename", &file.name),
        Some(word) => out.word("filename", word),
        None => {}
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
    match (digests.sha256, fate) {
        (Some(sha256), _) => out.text("sha256", &hex(&sha256)),
        // Of one that was cut off, that of what there is.
        (None, Fate::Stored(name)) => out.text("sha256", name),
        (None, _) => {}
    }
    out.boolean("stored", matches!(fate, Fate::Stored(_)));
    match fate {
        Fate::Storing => out.boolean("storing", true),
        Fate::Refused(why) => out.text("not_stored", why),
        Fate::Unwanted | Fate::Stored(_) => {}
    }
    out.number("size", file.size());
    out.number("tx_id", tx_id);
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
