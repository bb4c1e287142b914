//! The end of exceptions: told some days before and when it has come, once each, as alerts of the product.
//!
//! What was told is kept with the exception, so that a restart does not tell it again. Those that somebody
//! ended tell nothing.

use event::{Detection, Engine, Entity, Severity, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Exceptions, Standing};
use crate::state::{Record, StateError};

/// Days before the end at which it is told, or a quarter of its time when that is less.
const DAYS_BEFORE: i64 = 7;

/// What of an exception's end was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// That it comes.
    pub coming: bool,
    /// That it has come.
    pub come: bool,
}

/// What of the end of an exception from a file was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileTold {
    /// Identity of the exception.
    pub id: String,
    /// The end that is meant: a file may be given a later one.
    pub expires: Timestamp,
    /// What was told.
    pub told: Told,
}

impl Record for FileTold {
    const KIND: &'static str = "exception_file_told";
    fn id(&self) -> &str {
        &self.id
    }
}

/// An end that is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Identity of the exception.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its rules in words.
    pub rule: String,
    /// Who made it.
    pub author: String,
    /// The end.
    pub expires: Timestamp,
    /// Whether it has come.
    pub come: bool,
    /// The file it is from.
    file: Option<String>,
}

impl Due {
    /// The alert that tells it.
    #[must_use]
    pub fn detection(&self) -> Detection {
        let Self { title, rule, author, expires, .. } = self;
        let (name, severity, said, advice) = if self.come {
            let advice =
                "What it suppressed raises alerts again. Make a new one if it is still wanted.";
            ("expired", Severity::Medium, "has come to its end on", advice)
        } else {
            let advice =
                "Look whether it is still needed. Without doing anything it ends by itself.";
            ("ending", Severity::Low, "comes to its end on", advice)
        };
        let place = self.file.as_ref().map(|file| format!(", from {file}")).unwrap_or_default();
        Detection {
            engine: Engine::Health,
            rule_id: format!("pikett-exception-{name}"),
            rule_rev: "1".to_owned(),
            title: if self.come { "Exception has expired" } else { "Exception is about to expire" }
                .to_owned(),
            severity,
            category: "health".to_owned(),
            entity: Entity { field: "suppressed.exception".to_owned(), value: self.id.clone() },
            explanation: format!(
                "the exception {title:?} from {rule}, by {author}{place}, {said} {expires}"
            ),
            advice: advice.to_owned(),
            evidence: Vec::new(),
            attack: Vec::new(),
            rule_text: String::new(),
        }
    }
}

/// What is to be told of an end, given what was told.
fn ask(
    now: Timestamp,
    (made, expires): (Option<Timestamp>, Timestamp),
    told: Told,
) -> Option<bool> {
    if expires <= now {
        return (!told.come).then_some(true);
    }
    let week = DAYS_BEFORE * 86_400_000_000;
    let ahead = made.map_or(week, |made| week.min(expires.micros_since(made) / 4));
    (!told.coming && expires.micros_since(now) <= ahead).then_some(false)
}

impl Exceptions {
    /// Ends that are to be told now.
    #[must_use]
    pub fn due(&self) -> Vec<Due> {
        let now = self.now();
        let held = self.lock();
        let mut out = Vec::new();
        for one in held.all.values().filter(|one| one.standing(now) != Standing::Ended) {
            let Some(come) = ask(now, (Some(one.made), one.expires), one.told) else { continue };
            out.push(Due {
                id: one.id.clone(),
                title: one.title.clone(),
                rule: format!("rule {}", one.rule_id),
                author: one.author.clone(),
                expires: one.expires,
                come,
                file: None,
            });
        }
        for one in held.files.values() {
            let told = held.told.get(&one.id).filter(|told| told.expires == one.expires);
            let told = told.map(|told| told.told).unwrap_or_default();
            let Some(come) = ask(now, (None, one.expires), told) else { continue };
            let rules = if one.rules.is_empty() { "any".to_owned() } else { one.rules.join(", ") };
            out.push(Due {
                id: one.id.clone(),
                title: one.title.clone(),
                rule: format!("rules {rules}"),
                author: one.author.clone(),
                expires: one.expires,
                come,
                file: Some(one.file.clone()),
            });
        }
        out
    }

    /// Keeps that an end was told.
    ///
    /// # Errors
    /// [`StateError`]; then it will be told again.
    pub fn told(&self, due: &Due) -> Result<(), StateError> {
        let mut held = self.lock();
        // An end that has come makes its announcement needless.
        let add = |told: Told| Told { coming: true, come: told.come || due.come };
        if due.file.is_some() {
            let before = held.told.get(&due.id).filter(|told| told.expires == due.expires);
            let told = add(before.map(|told| told.told).unwrap_or_default());
            let told = FileTold { id: due.id.clone(), expires: due.expires, told };
            self.state.put(&told)?;
            held.told.insert(due.id.clone(), told);
        } else if let Some(mut one) = held.all.get(&due.id).cloned() {
            one.told = add(one.told);
            if due.come {
                one.note(due.expires, crate::alert::PRODUCT, "expired");
            }
            self.state.put(&one)?;
            held.all.insert(due.id.clone(), one);
        }
        Ok(())
    }
}
