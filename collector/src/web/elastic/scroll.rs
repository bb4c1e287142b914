//! Scrolling: the id holds all that the next page needs, so nothing is kept between pages and an id
//! never expires.
//!
//! An id is the search itself with the place to go on from, packed. It gives no right: it is read as any
//! search of who sends it. Hits come newest first, so events that arrive meanwhile do not appear among
//! later pages, but for those that come late; oldest first pages end with what was the newest event at
//! the beginning, which the id holds, too.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use event::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Wrong;
use crate::search::Cursor;

/// Longest id, characters.
const MAX_ID: usize = 64 * 1024;
/// Longest search in an id, bytes.
const MAX_SEARCH: u64 = 1024 * 1024;

/// The search behind an id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scroll {
    /// Names of indices.
    pub index: String,
    /// Body of the search.
    pub body: Value,
    /// Parameters of the search.
    pub parameters: super::request::Parameters,
    /// What `now` means, microseconds.
    pub now: i64,
    /// Last hit given.
    pub after: Option<Cursor>,
    /// Time of the newest event there was at the beginning, microseconds: later ones are no part of it.
    #[serde(default)]
    pub until: Option<i64>,
    /// Whether there are no more.
    pub done: bool,
}

impl Scroll {
    /// The id.
    ///
    /// # Errors
    /// [`Wrong`] when the search is too long for one.
    pub(super) fn id(&self) -> Result<String, Wrong> {
        let json = serde_json::to_vec(self).map_err(|_| Wrong::argument("cannot be scrolled"))?;
        let mut packer =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        let packed = packer.write_all(&json).and_then(|()| packer.finish());
        let packed = packed.map_err(|_| Wrong::argument("cannot be scrolled"))?;
        let id = URL_SAFE_NO_PAD.encode(packed);
        if id.len() > MAX_ID || json.len() as u64 > MAX_SEARCH {
            return Err(Wrong::argument("the search is too long to be scrolled; use search_after"));
        }
        Ok(id)
    }

    /// The search of an id.
    ///
    /// # Errors
    /// [`Wrong`] when it is none of ours.
    pub(super) fn read(id: &str) -> Result<Self, Wrong> {
        let wrong = || Wrong {
            status: 404,
            kind: "search_context_missing_exception",
            reason: "no such scroll id".to_owned(),
        };
        if id.len() > MAX_ID {
            return Err(wrong());
        }
        let packed = URL_SAFE_NO_PAD.decode(id).map_err(|_| wrong())?;
        let mut json = Vec::new();
        flate2::read::DeflateDecoder::new(packed.as_slice())
            .take(MAX_SEARCH)
            .read_to_end(&mut json)
            .map_err(|_| wrong())?;
        serde_json::from_slice(&json).map_err(|_| wrong())
    }

    /// When the search began.
    pub(super) const fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now)
    }
}
