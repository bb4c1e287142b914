//! What collectors from before there was an audit log kept of it: events of kind `audit` in the store.
//! They are taken into the log once, at the first start, with their own times; the events stay.

use std::io;

use event::{Document, Timestamp};

use super::{Act, Audit, By};
use crate::search::{Cancel, Pages, SearchError, SearchRequest};
use crate::store::Store;

/// Action of the first record of every log: what is taken over stands before it.
pub(super) const BEGUN: &str = "audit log begun";
/// Most events taken over.
const MOST: usize = 1_000_000;

/// Why what there was before cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum OlderError {
    /// The events cannot be read.
    #[error("earlier audit events cannot be read")]
    Search(#[from] SearchError),
    /// The log cannot be read or written.
    #[error("the audit log cannot be written")]
    Io(#[from] io::Error),
    /// Parts of the store cannot be read.
    #[error("earlier audit events cannot all be read: {reason}")]
    Partial {
        /// What the store said.
        reason: String,
    },
}

fn text(document: &Document, name: &str) -> String {
    event::get(document, name).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

fn act(document: &Document) -> (i64, Act) {
    let time = text(document, "timestamp").parse::<Timestamp>().map_or(0, Timestamp::micros);
    let mut about = std::collections::BTreeMap::new();
    for name in ["event.id", "message"] {
        about.insert(name.to_owned(), text(document, name));
    }
    if let Some(exception) = event::get(document, "exception") {
        about.insert("exception".to_owned(), exception.to_string());
    }
    let who = text(document, "user.name");
    let (by, who) = match who.strip_prefix("token ") {
        Some(token) => (By::Program, token.to_owned()),
        None => (By::Person, who),
    };
    let action = text(document, "event.action");
    (time, Act { by, who, action, about, outcome: "done".into(), ..Act::default() })
}

/// Takes the earlier records over, once; gives how many. A kill in between loses and repeats nothing.
/// Blocks.
///
/// # Errors
/// [`OlderError`]; it is tried again at the next start.
pub fn take_over(audit: &Audit, store: &dyn Store, now: Timestamp) -> Result<usize, OlderError> {
    let begun = audit.first()?;
    if begun.done {
        return Ok(0);
    }
    let request = SearchRequest {
        query: "event_type:audit".to_owned(),
        limit: 1_000,
        budget_ms: 60_000,
        ..SearchRequest::default()
    };
    store.flush().map_err(|error| SearchError::Failed { reason: error.to_string() })?;
    let cancel = Cancel::new();
    let mut pages = Pages::new(store, &request, &cancel, now)?;
    let mut found = Vec::new();
    while let Some(hits) = pages.page()? {
        found.extend(hits.into_iter().map(|hit| act(&hit.document)));
        if pages.over() || found.len() >= MOST {
            break;
        }
    }
    if let Some(missing) = pages.missing().first() {
        return Err(OlderError::Partial { reason: missing.words.clone() });
    }
    let mut count = 0_usize;
    for (time, act) in found.into_iter().rev() {
        let id = act.about.get("event.id");
        if id.is_some_and(|id| begun.events.contains(id)) {
            continue;
        }
        audit.append_at(time, act, false)?;
        count = count.saturating_add(1);
    }
    let about = [("taken over".to_owned(), count.to_string())].into();
    let (action, outcome) = (BEGUN.to_owned(), "done".to_owned());
    audit.append(Act { by: By::Collector, action, outcome, about, ..Act::default() }, true)?;
    Ok(count)
}

/// What the beginning of the log says of taking over.
#[derive(Debug, Default)]
pub(super) struct Begun {
    /// It is done.
    done: bool,
    /// Events that are taken over already.
    events: std::collections::BTreeSet<String>,
}

impl Audit {
    fn first(&self) -> io::Result<Begun> {
        let mut begun = Begun { done: self.cut().upto.count > 0, ..Begun::default() };
        for number in self.files()? {
            if begun.done {
                break;
            }
            let found = super::scan(&self.keyring, (&self.folder, number), None)?;
            for (entry, _) in found.entries {
                begun.done |= entry.what.action == BEGUN;
                begun.events.extend(entry.what.about.get("event.id").cloned());
            }
        }
        Ok(begun)
    }
}
