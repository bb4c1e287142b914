//! Searches that people keep: a name, a query, a range of time; their own, or shared with all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event::Timestamp;
use serde::{Deserialize, Serialize};
use service::Clock;

use crate::keys::{KeyError, random};
use crate::search::{SearchError, pipe, timespan};
use crate::state::{Record, State, StateError};

/// Longest name, characters.
const MAX_NAME: usize = 100;
/// Most searches of one person.
const MAX_OWN: usize = 200;

/// A kept search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSearch {
    /// Identity.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Query, with stages if it has some.
    pub query: String,
    /// Earliest time, as in a search.
    #[serde(default)]
    pub from: Option<String>,
    /// Latest time.
    #[serde(default)]
    pub to: Option<String>,
    /// Whose it is.
    pub owner: String,
    /// Whether all see it.
    pub shared: bool,
    /// When it was saved last.
    pub saved: Timestamp,
}

impl Record for SavedSearch {
    const KIND: &'static str = "saved-search";
    fn id(&self) -> &str {
        &self.id
    }
}

/// What is to be kept.
#[derive(Clone, Debug)]
pub struct New {
    /// Identity, when a kept one is changed.
    pub id: Option<String>,
    /// As in [`SavedSearch`].
    pub name: String,
    /// As in [`SavedSearch`].
    pub query: String,
    /// As in [`SavedSearch`].
    pub from: Option<String>,
    /// As in [`SavedSearch`].
    pub to: Option<String>,
    /// As in [`SavedSearch`].
    pub shared: bool,
}

/// Why a search is not kept or removed.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// Its name is empty or too long.
    #[error("a name has 1 to {MAX_NAME} characters")]
    Name,
    /// Its query or times are wrong.
    #[error(transparent)]
    Query(#[from] SearchError),
    /// The person has too many.
    #[error("{MAX_OWN} searches are kept already; remove one first")]
    TooMany,
    /// There is none of this identity that the person sees.
    #[error("no such search")]
    Unknown,
    /// It is another's.
    #[error("only {owner} or an administrator may change it")]
    Foreign {
        /// Whose it is.
        owner: String,
    },
    /// No identity could be drawn.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The state refuses.
    #[error(transparent)]
    State(#[from] StateError),
}

/// All kept searches. Cheap to clone.
#[derive(Clone)]
pub struct Searches {
    state: Arc<State>,
    clock: Clock,
    all: Arc<Mutex<BTreeMap<String, SavedSearch>>>,
}

impl std::fmt::Debug for Searches {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Searches(..)")
    }
}

impl Searches {
    /// Reads all from the state.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn load(state: Arc<State>, clock: Clock) -> Result<Self, StateError> {
        let all = state.list::<SavedSearch>()?.into_iter().map(|one| (one.id.clone(), one));
        let all = Arc::new(Mutex::new(all.collect()));
        Ok(Self { state, clock, all })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, SavedSearch>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that `who` sees, by name: their own and shared ones; nobody in particular sees shared ones.
    #[must_use]
    pub fn list(&self, who: Option<&str>) -> Vec<SavedSearch> {
        let seen = |one: &&SavedSearch| one.shared || Some(one.owner.as_str()) == who;
        let mut list: Vec<SavedSearch> = self.lock().values().filter(seen).cloned().collect();
        list.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        list
    }

    /// Keeps a search of `owner`, or changes one of theirs.
    ///
    /// # Errors
    /// [`SavedError`].
    pub fn save(&self, new: New, owner: &str) -> Result<SavedSearch, SavedError> {
        let name = new.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > MAX_NAME || name.contains(char::is_control) {
            return Err(SavedError::Name);
        }
        let now = Timestamp::from_micros(self.clock.now_micros());
        pipe::compile(&new.query, now)?;
        for (which, text) in [("from", &new.from), ("to", &new.to)] {
            let point = text.as_ref().map(|text| timespan::point(text, now)).transpose();
            point.map_err(|source| SearchError::Time { which, source })?;
        }
        let mut all = self.lock();
        let id = match new.id {
            Some(id) => {
                let known = all.get(&id).ok_or(SavedError::Unknown)?;
                if known.owner != owner {
                    return Err(foreign(known));
                }
                id
            }
            None => {
                if all.values().filter(|one| one.owner == owner).count() >= MAX_OWN {
                    return Err(SavedError::TooMany);
                }
                let drawn = random::<8>()?;
                drawn.iter().map(|byte| format!("{byte:02x}")).collect()
            }
        };
        let owner = owner.to_owned();
        let New { query, from, to, shared, .. } = new;
        let saved = SavedSearch { id, name, query, from, to, owner, shared, saved: now };
        self.state.put(&saved)?;
        all.insert(saved.id.clone(), saved.clone());
        Ok(saved)
    }

    /// Removes a search; an administrator may remove those of others that are shared.
    ///
    /// # Errors
    /// [`SavedError`].
    pub fn remove(&self, id: &str, who: &str, admin: bool) -> Result<(), SavedError> {
        let mut all = self.lock();
        let known = all.get(id).ok_or(SavedError::Unknown)?;
        if known.owner != who && !(admin && known.shared) {
            return Err(foreign(known));
        }
        self.state.remove::<SavedSearch>(id)?;
        all.remove(id);
        Ok(())
    }
}

/// What is not shared is not there for others.
fn foreign(known: &SavedSearch) -> SavedError {
    if known.shared {
        return SavedError::Foreign { owner: known.owner.clone() };
    }
    SavedError::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, state};

    fn new(name: &str, query: &str, shared: bool) -> New {
        New { id: None, name: name.into(), query: query.into(), from: None, to: None, shared }
    }

    #[test]
    fn own_and_shared_searches_and_who_may_change_them() {
        let (_folder, state) = state();
        let load = || Searches::load(Arc::clone(&state), Clock::manual(START)).unwrap();
        let searches = load();
        let own = searches.save(new(" mine ", "a | stats count()", false), "ann").unwrap();
        let shared = searches.save(new("ours", "b", true), "ann").unwrap();
        assert_eq!(own.name, "mine");
        let names = |searches: &Searches, who: Option<&str>| {
            let names = searches.list(who).into_iter().map(|one| one.name);
            names.collect::<Vec<_>>().join(" ")
        };
        // A restart changes nothing.
        let searches = load();
        assert_eq!(names(&searches, Some("ann")), "mine ours");
        assert_eq!(
            (names(&searches, Some("bob")), names(&searches, None)),
            ("ours".into(), "ours".into())
        );
        let change = |id: &str, who: &str| {
            searches
                .save(New { id: Some(id.into()), ..new("x", "c", true) }, who)
                .map_err(|e| e.to_string())
        };
        let refused = "only ann or an administrator may change it";
        assert_eq!(change(&shared.id, "bob").unwrap_err(), refused);
        assert_eq!(change(&own.id, "bob").unwrap_err(), "no such search");
        assert_eq!(change(&own.id, "ann").unwrap().query, "c");
        let remove =
            |id: &str, who: &str, admin| searches.remove(id, who, admin).map_err(|e| e.to_string());
        assert_eq!(remove(&shared.id, "bob", false).unwrap_err(), refused);
        remove(&shared.id, "root", true).unwrap();
        assert_eq!(names(&searches, Some("bob")), "x");
        remove(&own.id, "ann", false).unwrap();
        assert_eq!(remove(&own.id, "ann", false).unwrap_err(), "no such search");
        assert_eq!(names(&load(), Some("ann")), "");
    }

    #[test]
    fn what_cannot_be_run_is_not_kept() {
        let (_folder, state) = state();
        let searches = Searches::load(state, Clock::manual(START)).unwrap();
        let error = |new: New| searches.save(new, "ann").unwrap_err().to_string();
        assert_eq!(error(new("  ", "a", false)), "a name has 1 to 100 characters");
        assert_eq!(error(new(&"x".repeat(101), "a", false)), "a name has 1 to 100 characters");
        assert!(error(new("n", "a | nope", false)).contains("there is no stage nope"));
        let times = New { from: Some("soon".into()), ..new("n", "a", false) };
        assert!(error(times).starts_with("from: not a time"));
        for n in 0..MAX_OWN {
            searches.save(new(&n.to_string(), "a", false), "ann").unwrap();
        }
        assert!(error(new("n", "a", false)).contains("200 searches"));
    }
}
