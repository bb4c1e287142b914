//! What is told of a rule beside its logic.

use std::sync::Arc;

use event::{Severity, Technique};
use rsigma_parser::{CorrelationRule, Level, LogSource, SigmaRule};

/// Longest text of a rule told in a detection, bytes.
const MAX_TEXT: usize = 16 << 10;

/// Where a document was read, and what stands there.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) file: String,
    pub(crate) text: Arc<str>,
}

/// Metadata of a rule or correlation.
#[derive(Clone, Debug)]
pub struct Meta {
    /// Identity: `id`, else `name`, else the title.
    pub id: String,
    /// `name`, by which correlations may refer to it.
    pub name: Option<String>,
    /// Title.
    pub title: String,
    /// Level; `medium` when the rule has none.
    pub level: Severity,
    /// Author, as the rule licence wants it shown; empty when not given.
    pub author: String,
    /// Description; empty when not given.
    pub description: String,
    /// ATT&CK techniques and tactics, from the tags.
    pub attack: Vec<Technique>,
    /// Tags as written.
    pub tags: Vec<String>,
    /// Known false positives, in the author's words.
    pub false_positives: Vec<String>,
    /// Log source in one text, `product/category/service`.
    pub category: String,
    /// Date of the last change as written; empty when not given.
    pub revision: String,
    /// File it was read from.
    pub file: String,
    /// The document as it was written.
    pub text: Arc<str>,
}

impl Meta {
    pub(crate) fn of_rule(rule: &SigmaRule, written: Written) -> Self {
        Self {
            id: identity(rule.id.as_ref(), rule.name.as_ref(), &rule.title),
            name: rule.name.clone(),
            title: rule.title.clone(),
            level: severity(rule.level),
            author: rule.author.clone().unwrap_or_default(),
            description: rule.description.clone().unwrap_or_default(),
            attack: attack(&rule.tags),
            tags: rule.tags.clone(),
            false_positives: rule.falsepositives.clone(),
            category: category(&rule.logsource),
            revision: rule.modified.clone().or_else(|| rule.date.clone()).unwrap_or_default(),
            file: written.file,
            text: written.text,
        }
    }

    pub(crate) fn of_correlation(rule: &CorrelationRule, written: Written) -> Self {
        Self {
            id: identity(rule.id.as_ref(), rule.name.as_ref(), &rule.title),
            name: rule.name.clone(),
            title: rule.title.clone(),
            level: severity(rule.level),
            author: rule.author.clone().unwrap_or_default(),
            description: rule.description.clone().unwrap_or_default(),
            attack: attack(&rule.tags),
            tags: rule.tags.clone(),
            false_positives: rule.falsepositives.clone(),
            category: rule.correlation_type.as_str().to_owned(),
            revision: rule.modified.clone().or_else(|| rule.date.clone()).unwrap_or_default(),
            file: written.file,
            text: written.text,
        }
    }

    /// The text for a detection: whole, or its beginning and a line that says so.
    pub(crate) fn told(&self) -> String {
        if self.text.len() <= MAX_TEXT {
            return self.text.trim().to_owned();
        }
        let end = (0..=MAX_TEXT).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        let head = self.text.get(..end).unwrap_or_default();
        format!("{}\n# cut here: the rule has {} bytes", head.trim(), self.text.len())
    }

    /// Whether a reference of a correlation or filter means this rule.
    pub(crate) fn is_called(&self, reference: &str) -> bool {
        self.id == reference || self.name.as_deref() == Some(reference)
    }
}

fn identity(id: Option<&String>, name: Option<&String>, title: &str) -> String {
    id.or(name).cloned().unwrap_or_else(|| title.to_owned())
}

fn severity(level: Option<Level>) -> Severity {
    level.and_then(|level| Severity::from_name(level.as_str())).unwrap_or(Severity::Medium)
}

/// `attack.t1059.001` and `attack.execution`; other name spaces (`cve.`, `car.` ...) are no ATT&CK.
fn attack(tags: &[String]) -> Vec<Technique> {
    tags.iter()
        .filter_map(|tag| tag.strip_prefix("attack."))
        .map(|name| {
            let mut chars = name.chars();
            let coded = chars.next().is_some_and(|first| matches!(first, 't' | 's' | 'g' | 'T'))
                && chars.next().is_some_and(|second| second.is_ascii_digit() || second == 'a');
            let digits = name.bytes().any(|byte| byte.is_ascii_digit());
            Technique(if coded && digits { name.to_ascii_uppercase() } else { name.to_owned() })
        })
        .collect()
}

pub(crate) fn category(source: &LogSource) -> String {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    format!("{}/{}/{}", part(&source.product), part(&source.category), part(&source.service))
}
