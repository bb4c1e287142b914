//! Exceptions of the collector: what a rule finds and nobody wants to hear of, kept as state.
//!
//! Each names one rule, conditions on fields, a reason, an author and an end. They are applied to every
//! detection that arrives, whoever made it (signatures and rules of agents, alerts of other sensors,
//! correlations here), before an alert is made of it: the event is stored and says `suppressed.*`. Where
//! rules are evaluated here they also keep matches out of correlations. They hold from the moment they are
//! made. Those from files are loaded and applied where rules are ([`crate::correlate`], the agent) and only
//! told of here. What is proposed is in [`propose`], what it would have done in [`preview`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event::{Detection, Document, Engine, Timestamp};
use service::Clock;
use sigma::{Conditions, RuleError};

use crate::keys::random;
use crate::state::{State, StateError};

pub mod due;
mod model;
pub mod preview;
pub mod propose;
#[cfg(test)]
mod tests;

pub use model::{
    Exception, ExceptionError, FromFile, Hits, Listed, MAX_DAYS, New, Standing, USUAL_DAYS,
};
use model::{MAX_TEXT, check, unused};

/// Most exceptions that hold at the same time.
const MAX_ACTIVE: usize = 2_000;
/// Most exceptions kept, those that are over among them; the oldest of these leave first.
const MAX_KEPT: usize = 10_000;

/// What holds now, compiled; places are those of `ids`.
#[derive(Default)]
struct Active {
    ids: Vec<(String, Timestamp)>,
    by_rule: BTreeMap<Engine, BTreeMap<String, Vec<usize>>>,
    conditions: Conditions,
}

impl Active {
    fn new<'a>(all: impl Iterator<Item = &'a Exception> + Clone) -> Result<Self, RuleError> {
        let lists = all.clone().map(|one| (one.id.as_str(), one.conditions.as_slice()));
        let mut out = Self { conditions: Conditions::new(lists)?, ..Self::default() };
        for (place, one) in all.enumerate() {
            out.ids.push((one.id.clone(), one.expires));
            let rules = out.by_rule.entry(one.engine).or_default();
            rules.entry(one.rule_id.clone()).or_default().push(place);
        }
        Ok(out)
    }

    fn holding(
        &mut self,
        (engine, rule): (Engine, &str),
        document: &Document,
        now: Timestamp,
    ) -> Option<&str> {
        let meant = self.by_rule.get(&engine)?.get(rule)?;
        let holding = self.conditions.holding(&sigma::Record::new(document));
        let mut found = holding.into_iter().filter(|place| meant.contains(place));
        let ids = &self.ids;
        found.find_map(|place| {
            let (id, expires) = ids.get(place)?;
            (now < *expires).then_some(id.as_str())
        })
    }
}

#[derive(Default)]
struct Held {
    all: BTreeMap<String, Exception>,
    files: BTreeMap<String, sigma::Exception>,
    hits: BTreeMap<String, Hits>,
    /// Exceptions whose hits are not written yet.
    dirty: BTreeSet<String>,
    /// What of the ends of those from files was told.
    told: BTreeMap<String, due::FileTold>,
    active: Active,
}

impl Held {
    fn hit(&mut self, id: &str, count: u64, now: Timestamp) {
        let hits = self.hits.entry(id.to_owned()).or_default();
        id.clone_into(&mut hits.id);
        hits.count = hits.count.saturating_add(count);
        hits.last = Some(hits.last.map_or(now, |last| last.max(now)));
        self.dirty.insert(id.to_owned());
    }

    fn compiled(all: &BTreeMap<String, Exception>, now: Timestamp) -> Result<Active, RuleError> {
        Active::new(all.values().filter(move |one| one.standing(now) == Standing::Active))
    }
}

/// Detections of some documents that an exception suppresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marked {
    /// Places of the documents.
    pub places: BTreeSet<usize>,
    /// How many each exception suppresses.
    pub counts: BTreeMap<String, u64>,
}

/// All exceptions. Cheap to clone.
#[derive(Clone)]
pub struct Exceptions {
    state: Arc<State>,
    clock: Clock,
    held: Arc<Mutex<Held>>,
}

impl std::fmt::Debug for Exceptions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Exceptions(..)")
    }
}

impl Exceptions {
    /// Reads all exceptions from the state. One whose conditions cannot be evaluated any more (a newer
    /// version refuses what an older one took) is told and has no effect.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn load(state: Arc<State>, clock: Clock) -> Result<Self, StateError> {
        let mut held = Held::default();
        for one in state.list::<Exception>()? {
            if let Err(error) = Active::new(std::iter::once(&one)) {
                tracing::error!(id = one.id, %error, "exception has no effect");
                continue;
            }
            held.all.insert(one.id.clone(), one);
        }
        held.hits = state.list::<Hits>()?.into_iter().map(|one| (one.id.clone(), one)).collect();
        let told = state.list::<due::FileTold>()?.into_iter();
        held.told = told.map(|one| (one.id.clone(), one)).collect();
        let now = Timestamp::from_micros(clock.now_micros());
        match Held::compiled(&held.all, now) {
            Ok(active) => held.active = active,
            Err(error) => tracing::error!(%error, "exceptions have no effect"),
        }
        Ok(Self { state, clock, held: Arc::new(Mutex::new(held)) })
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now_micros())
    }

    /// The exception that holds for a match of this rule in an event, if one does. Counts nothing.
    #[must_use]
    pub fn holding(&self, rule: (Engine, &str), document: &Document) -> Option<String> {
        let now = self.now();
        self.lock().active.holding(rule, document, now).map(str::to_owned)
    }

    /// Looks at documents that are about to be stored: detections that an exception suppresses get
    /// `suppressed.rule_id` and `suppressed.exception`. Counts nothing: whether they are new is known later.
    #[must_use]
    pub fn mark(&self, documents: &mut [Document]) -> Marked {
        let mut marked = Marked::default();
        if !documents.iter().any(|document| document.contains_key("detection")) {
            return marked;
        }
        let now = self.now();
        let mut held = self.lock();
        if held.active.ids.is_empty() {
            return marked;
        }
        for (place, document) in documents.iter_mut().enumerate() {
            let Some(detection) = Detection::from_document(document) else { continue };
            let rule = (detection.engine, detection.rule_id.as_str());
            let Some(id) = held.active.holding(rule, document, now) else { continue };
            let id = id.to_owned();
            for (name, value) in
                [("suppressed.rule_id", &detection.rule_id), ("suppressed.exception", &id)]
            {
                event::set(document, name, vec![value.as_str()].into());
            }
            marked.places.insert(place);
            let count = marked.counts.entry(id).or_default();
            *count = count.saturating_add(1);
        }
        marked
    }

    /// Counts suppressions; they are written with the next [`Self::flush`].
    pub fn count(&self, counts: &BTreeMap<String, u64>) {
        if counts.is_empty() {
            return;
        }
        let now = self.now();
        let mut held = self.lock();
        for (id, count) in counts {
            held.hit(id, *count, now);
        }
    }

    /// Is told of the exceptions from files, and of what they suppressed since the last time.
    pub fn files<'a>(&self, all: impl Iterator<Item = (&'a sigma::Exception, u64)>) {
        let now = self.now();
        let mut held = self.lock();
        for (one, count) in all {
            if count > 0 {
                held.hit(&one.id, count, now);
            }
            if !held.files.contains_key(&one.id) {
                held.files.insert(one.id.clone(), one.clone());
            }
        }
    }

    /// Writes what was counted. Blocks.
    ///
    /// # Errors
    /// [`StateError`]; then it is written the next time.
    pub fn flush(&self) -> Result<(), StateError> {
        let (ids, hits): (BTreeSet<String>, Vec<Hits>) = {
            let mut held = self.lock();
            let ids = std::mem::take(&mut held.dirty);
            let hits = ids.iter().filter_map(|id| held.hits.get(id).cloned()).collect();
            (ids, hits)
        };
        if hits.is_empty() {
            return Ok(());
        }
        let written = self.state.write(|batch| hits.iter().try_for_each(|one| batch.put(one)));
        if written.is_err() {
            self.lock().dirty.extend(ids);
        }
        written
    }

    /// Makes an exception; it holds from now on. What it would hide is the caller's to test.
    ///
    /// # Errors
    /// [`ExceptionError`]; then nothing is changed.
    pub fn add(&self, new: New) -> Result<Exception, ExceptionError> {
        let now = self.now();
        check(&new)?;
        let id = random::<8>()?.iter().fold(String::new(), |id, byte| id + &format!("{byte:02x}"));
        let title = if new.title.trim().is_empty() { new.rule_id.clone() } else { new.title };
        let mut one = Exception {
            id: id.clone(),
            title,
            engine: new.engine,
            rule_id: new.rule_id,
            conditions: new.conditions,
            reason: new.reason.trim().to_owned(),
            author: new.author,
            made: now,
            expires: now.plus_seconds(i64::from(new.days) * 86_400),
            alert: new.alert,
            ended: None,
            overridden: new.overridden,
            history: Vec::new(),
            told: due::Told::default(),
        };
        let author = one.author.clone();
        one.note(now, &author, format!("made for {} days: {}", new.days, one.reason));
        if !one.overridden.is_empty() {
            let names = one.overridden.join(", ");
            one.note(now, &author, format!("put aside the true positives {names}"));
        }
        let mut held = self.lock();
        let mut all = held.all.clone();
        all.insert(id, one.clone());
        let active = Held::compiled(&all, now)?;
        if active.ids.len() > MAX_ACTIVE {
            return Err(ExceptionError::Wrong(format!("{MAX_ACTIVE} exceptions hold already")));
        }
        let surplus = surplus(&all, now);
        self.state.write(|batch| {
            batch.put(&one)?;
            surplus.iter().try_for_each(|id| {
                batch.remove::<Exception>(id)?;
                batch.remove::<Hits>(id).map(|_| ())
            })
        })?;
        for id in surplus {
            all.remove(&id);
            held.hits.remove(&id);
        }
        held.all = all;
        held.active = active;
        Ok(one)
    }

    /// Ends an exception now.
    ///
    /// # Errors
    /// [`ExceptionError`].
    pub fn end(&self, id: &str, who: &str, why: &str) -> Result<Exception, ExceptionError> {
        let now = self.now();
        let mut held = self.lock();
        let unknown = || ExceptionError::Unknown { id: id.to_owned() };
        let mut one = held.all.get(id).cloned().ok_or_else(unknown)?;
        match one.standing(now) {
            Standing::Active => {}
            Standing::Ended => return Err(ExceptionError::Over { standing: "ended" }),
            Standing::Expired => return Err(ExceptionError::Over { standing: "expired" }),
        }
        one.ended = Some(now);
        let why: String = why.trim().chars().take(MAX_TEXT).collect();
        one.note(
            now,
            who,
            if why.is_empty() { "ended".to_owned() } else { format!("ended: {why}") },
        );
        self.state.put(&one)?;
        held.all.insert(id.to_owned(), one.clone());
        held.active = Held::compiled(&held.all, now)?;
        Ok(one)
    }

    /// One exception with what it has done.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Listed> {
        let now = self.now();
        let held = self.lock();
        held.all.get(id).map(|one| listed(one, &held, now))
    }

    /// All of them: those that hold first, then by when they were made, the newest first; and those from
    /// files.
    #[must_use]
    pub fn list(&self) -> (Vec<Listed>, Vec<FromFile>) {
        let now = self.now();
        let held = self.lock();
        let mut all: Vec<Listed> = held.all.values().map(|one| listed(one, &held, now)).collect();
        all.sort_by_key(|one| {
            (one.standing != Standing::Active, std::cmp::Reverse(one.exception.made))
        });
        let files = held.files.values().map(|one| {
            let hits = held.hits.get(&one.id);
            FromFile {
                id: one.id.clone(),
                title: one.title.clone(),
                file: one.file.clone(),
                rules: one.rules.clone(),
                reason: one.reason.clone(),
                author: one.author.clone(),
                expires: one.expires,
                standing: if one.expires <= now { Standing::Expired } else { Standing::Active },
                hits: hits.map_or(0, |hits| hits.count),
                last_hit: hits.and_then(|hits| hits.last),
            }
        });
        let files = files.collect();
        (all, files)
    }
}

fn listed(one: &Exception, held: &Held, now: Timestamp) -> Listed {
    let hits = held.hits.get(&one.id);
    let standing = one.standing(now);
    let last_hit = hits.and_then(|hits| hits.last);
    Listed {
        exception: one.clone(),
        standing,
        unused: standing == Standing::Active && unused(now, one.made, last_hit),
        hits: hits.map_or(0, |hits| hits.count),
        last_hit,
    }
}

/// Exceptions that are over and leave because there are too many: the oldest.
fn surplus(all: &BTreeMap<String, Exception>, now: Timestamp) -> Vec<String> {
    let over = all.values().filter(|one| one.standing(now) != Standing::Active);
    let mut over: Vec<(Timestamp, &String)> = over.map(|one| (one.made, &one.id)).collect();
    over.sort_unstable();
    let count = all.len().saturating_sub(MAX_KEPT);
    over.into_iter().take(count).map(|(_, id)| id.clone()).collect()
}
