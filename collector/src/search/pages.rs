//! All events of a search, newest or oldest first, page after page.
//!
//! Each page begins behind the last event of the one before, so that what comes in or goes away
//! meanwhile repeats and shifts nothing.

use event::Timestamp;

use super::answer::{Missing, Reason, fixed, unreadable};
use super::{Cancel, Cursor, Hit, HitOrder, PartitionFailure, SearchError, SearchRequest, Skipped};
use crate::store::Store;

/// A search that is read page by page.
#[derive(Debug)]
pub struct Pages<'a> {
    store: &'a dyn Store,
    cancel: &'a Cancel,
    page: SearchRequest,
    begun: bool,
    over: bool,
    /// Events of all pages.
    pub total: u64,
    /// Partitions searched by the first page.
    pub partitions: usize,
    /// Partitions that the first page did not look at because they cannot hold a hit.
    pub skipped: Skipped,
    /// Partitions that could not be read.
    pub failures: Vec<PartitionFailure>,
    /// Whether a page ran out of time.
    pub partial: bool,
    /// Events given.
    pub given: u64,
}

impl<'a> Pages<'a> {
    /// Begins; `limit` of the request is the size of a page, its budget that of each page.
    ///
    /// # Errors
    /// [`SearchError::Time`].
    pub fn new(
        store: &'a dyn Store,
        request: &SearchRequest,
        cancel: &'a Cancel,
        now: Timestamp,
    ) -> Result<Self, SearchError> {
        Ok(Self {
            store,
            cancel,
            page: fixed(request, now)?,
            begun: false,
            over: false,
            total: 0,
            partitions: 0,
            skipped: Skipped::default(),
            failures: Vec::new(),
            partial: false,
            given: 0,
        })
    }

    /// The next page, while there is one. Blocks.
    ///
    /// # Errors
    /// [`SearchError`].
    pub fn page(&mut self) -> Result<Option<Vec<Hit>>, SearchError> {
        if self.over {
            return Ok(None);
        }
        let found = self.store.search(&self.page, self.cancel)?;
        if !self.begun {
            self.total = found.total;
            self.partitions = found.partitions;
            self.skipped = found.skipped;
            self.begun = true;
        }
        self.partial |= found.partial;
        for failure in found.failures {
            if !self.failures.iter().any(|one| one.partition == failure.partition) {
                self.failures.push(failure);
            }
        }
        match found.next.filter(|_| !found.partial) {
            Some(next) => {
                narrow(&mut self.page, next);
                self.page.after = Some(next);
            }
            None => self.over = true,
        }
        let count = u64::try_from(found.hits.len()).unwrap_or(u64::MAX);
        self.given = self.given.saturating_add(count);
        Ok((count > 0).then_some(found.hits))
    }

    /// Whether there is no further page.
    #[must_use]
    pub const fn over(&self) -> bool {
        self.over
    }

    /// What the pages until now do not have although it was asked for.
    #[must_use]
    pub fn missing(&self) -> Vec<Missing> {
        let mut out = Vec::new();
        if self.partial {
            let left = self.total.saturating_sub(self.given);
            let words = "the search ran out of time; narrow the time range or the query".to_owned();
            out.push(Missing { reason: Reason::Time, count: Some(left), words });
        }
        out.extend(unreadable(&self.failures));
        out
    }
}

/// Narrows the range to where everything behind a cursor lies, so that the store need not look at what
/// it has given already.
fn narrow(page: &mut SearchRequest, cursor: Cursor) {
    let given = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
    match page.order {
        HitOrder::Newest => {
            let end = Timestamp::from_micros(cursor.time.saturating_add(1));
            let end = given(&page.to).map_or(end, |to: Timestamp| to.min(end));
            page.to = Some(end.to_string());
        }
        HitOrder::Oldest => {
            let begin = Timestamp::from_micros(cursor.time);
            let begin = given(&page.from).map_or(begin, |from: Timestamp| from.max(begin));
            page.from = Some(begin.to_string());
        }
    }
}
