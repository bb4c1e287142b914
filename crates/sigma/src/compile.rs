//! From the parsed rule to an expression over interned predicates.
//!
//! Takes the parser's tree; gives every test and field a number. What the tree says and we do not
//! evaluate is refused here.

use hashbrown::HashMap;
use rsigma_parser::{
    ConditionExpr, Detection, DetectionItem, Detections, LogSource, Quantifier, SelectorPattern,
};

use crate::{
    RuleError,
    expression::{ANY_FIELD, Expression, FieldId, Predicate, PredicateId},
    load::Options,
    modifiers,
    pattern::Pattern,
    test::Test,
};

/// Collects the predicates and fields of all rules.
#[derive(Debug, Default)]
pub(crate) struct Compiler {
    options: Options,
    pub(crate) predicates: Vec<Predicate>,
    /// Names of each field, by preference.
    pub(crate) fields: Vec<Vec<String>>,
    known: HashMap<String, PredicateId>,
    known_fields: HashMap<Vec<String>, FieldId>,
}

impl Compiler {
    pub(crate) fn new(options: Options) -> Self {
        Self { options, ..Self::default() }
    }

    /// The whole condition of a detection section.
    pub(crate) fn detections(
        &mut self,
        detections: &Detections,
        source: &LogSource,
    ) -> Result<Expression, RuleError> {
        if let Some(timeframe) = &detections.timeframe {
            return Err(RuleError::Ignored { part: format!("detection.timeframe {timeframe:?}") });
        }
        let mut names: Vec<&str> = detections.named.keys().map(String::as_str).collect();
        names.sort_unstable();
        let mut named = HashMap::new();
        for name in names {
            if let Some(detection) = detections.named.get(name) {
                named.insert(name.to_owned(), self.detection(detection, source)?);
            }
        }
        if detections.conditions.is_empty() {
            return Err(RuleError::Unknown { name: String::new() });
        }
        let parts = detections.conditions.iter().map(|condition| resolve(condition, &named));
        Ok(Expression::any(parts.collect::<Result<_, _>>()?))
    }

    fn detection(
        &mut self,
        detection: &Detection,
        source: &LogSource,
    ) -> Result<Expression, RuleError> {
        let mut several = |parts: &[Detection]| {
            parts.iter().map(|part| self.detection(part, source)).collect::<Result<Vec<_>, _>>()
        };
        match detection {
            Detection::AllOf(items) if items.is_empty() => {
                Err(RuleError::Ignored { part: "an empty detection".to_owned() })
            }
            Detection::AllOf(items) => {
                let parts = items.iter().map(|item| self.item(item, source));
                Ok(Expression::all(parts.collect::<Result<_, _>>()?))
            }
            Detection::AnyOf(parts) => Ok(Expression::any(several(parts)?)),
            Detection::And(parts) => Ok(Expression::all(several(parts)?)),
            Detection::Keywords(values) => self.item(
                &DetectionItem {
                    field: rsigma_parser::FieldSpec::new(None, Vec::new()),
                    values: values.clone(),
                },
                source,
            ),
            Detection::ArrayMatch { field, .. } => {
                Err(RuleError::Ignored { part: format!("array selector of {field:?}") })
            }
            Detection::Conditional { .. } => {
                Err(RuleError::Ignored { part: "a condition inside a detection".to_owned() })
            }
        }
    }

    fn item(&mut self, item: &DetectionItem, source: &LogSource) -> Result<Expression, RuleError> {
        let tests = modifiers::compile(item, &self.options.placeholders)?;
        let field = match &item.field.name {
            None => ANY_FIELD,
            Some(name) => self.field(name, source),
        };
        let mut values = Vec::with_capacity(tests.tests.len());
        for alternatives in tests.tests {
            let parts = alternatives
                .into_iter()
                .map(|test| Expression::Is(self.predicate(field, test, source)))
                .collect();
            values.push(Expression::any(parts));
        }
        let whole = if tests.all { Expression::all(values) } else { Expression::any(values) };
        if !tests.negated {
            return Ok(whole);
        }
        // `neq` compares, as `gt` does: there must be a value that is another one.
        let any = Test::Text { pattern: Pattern::Any, cased: false };
        let present = Expression::Is(self.predicate(field, any, source));
        Ok(Expression::All(Box::new([present, Expression::Not(Box::new(whole))])))
    }

    /// The number of a field as rules of this log source name it.
    pub(crate) fn field(&mut self, name: &str, source: &LogSource) -> FieldId {
        let name = rsigma_parser::fieldpath::unescape_brackets(name);
        let names = self.options.mappings.names(source, &name);
        if let Some(&known) = self.known_fields.get(&names) {
            return known;
        }
        let field = number(self.fields.len());
        self.fields.push(names.clone());
        self.known_fields.insert(names, field);
        field
    }

    fn predicate(&mut self, field: FieldId, test: Test, source: &LogSource) -> PredicateId {
        let other = match &test {
            Test::Field { other, .. } => Some(self.field(other, source)),
            _ => None,
        };
        let key = format!("{field} {other:?} {test:?}");
        if let Some(&known) = self.known.get(&key) {
            return known;
        }
        let predicate = number(self.predicates.len());
        self.predicates.push(Predicate { field, test, other });
        self.known.insert(key, predicate);
        predicate
    }
}

/// Numbers of predicates, fields and rules; more than 2^32 cannot be held in memory.
pub(crate) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn resolve(
    condition: &ConditionExpr,
    named: &HashMap<String, Expression>,
) -> Result<Expression, RuleError> {
    let several = |parts: &[ConditionExpr]| {
        parts.iter().map(|part| resolve(part, named)).collect::<Result<Vec<_>, _>>()
    };
    match condition {
        ConditionExpr::And(parts) => Ok(Expression::all(several(parts)?)),
        ConditionExpr::Or(parts) => Ok(Expression::any(several(parts)?)),
        ConditionExpr::Not(part) => Ok(Expression::Not(Box::new(resolve(part, named)?))),
        ConditionExpr::Identifier(name) => {
            named.get(name).cloned().ok_or_else(|| RuleError::Unknown { name: name.clone() })
        }
        ConditionExpr::Selector { quantifier, pattern } => select(quantifier, pattern, named),
    }
}

fn select(
    quantifier: &Quantifier,
    pattern: &SelectorPattern,
    named: &HashMap<String, Expression>,
) -> Result<Expression, RuleError> {
    let mut names: Vec<&String> =
        named.keys().filter(|name| pattern.matches_detection_name(name)).collect();
    names.sort_unstable();
    let parts: Vec<Expression> =
        names.iter().filter_map(|name| named.get(*name).cloned()).collect();
    let unknown = || RuleError::Unknown { name: pattern.to_string() };
    match quantifier {
        _ if parts.is_empty() => Err(unknown()),
        Quantifier::Any => Ok(Expression::any(parts)),
        Quantifier::All => Ok(Expression::all(parts)),
        Quantifier::Count(wanted) if usize::try_from(*wanted).is_ok_and(|n| n <= parts.len()) => {
            Ok(Expression::AtLeast(*wanted, parts.into_boxed_slice()))
        }
        Quantifier::Count(_) => Err(unknown()),
    }
}
