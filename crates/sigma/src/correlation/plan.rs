//! A correlation rule, checked and resolved against the rules it refers to.

use rsigma_parser::{
    ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType,
    LogSource, Quantifier,
};

use super::Correlated;
use crate::{
    Mappings, RuleError,
    load::Rule,
    record::{Record, Scalar},
    rule::Meta,
};

/// Highest threshold of a count: so many events are kept of a group at most.
pub(super) const MAX_ITEMS: usize = 16_384;

/// What a target refers to, by its place in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A rule.
    Rule(usize),
    /// A correlation.
    Correlation(usize),
}

/// One of the rules a correlation is made of.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) input: Input,
    /// As the correlation calls it.
    pub(super) reference: String,
    pub(super) title: String,
    /// Names of each group-by field in the events of this rule, by preference.
    group: Vec<Vec<String>>,
    /// Names of each field of the value.
    fields: Vec<Vec<String>>,
}

/// What an event adds to a window beside itself.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Amount {
    /// Nothing.
    One,
    /// A value to be counted once.
    Text(String),
    /// A number.
    Number(f64),
}

/// A correlation ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) meta: Meta,
    pub(super) kind: CorrelationType,
    pub(super) targets: Vec<Target>,
    pub(super) group_by: Vec<String>,
    /// Time span, microseconds.
    pub(super) span: i64,
    pub(super) limits: Vec<(ConditionOperator, u64)>,
    pub(super) percentile: u64,
    pub(super) extended: Option<ConditionExpr>,
    pub(crate) generate: bool,
}

fn wrong(what: impl Into<String>) -> RuleError {
    RuleError::Correlation { what: what.into() }
}

impl Plan {
    pub(crate) fn new(
        rule: &CorrelationRule,
        meta: Meta,
        known: (&[Rule], &[Self]),
        mappings: &Mappings,
    ) -> Result<Self, RuleError> {
        let seconds = i64::try_from(rule.timespan.seconds).unwrap_or(i64::MAX);
        let span = seconds.checked_mul(1_000_000).filter(|span| *span > 0);
        let span = span.ok_or_else(|| wrong("a time span of nothing, or too long"))?;
        if rule.rules.is_empty() {
            return Err(wrong("no rules"));
        }
        let temporal = matches!(
            rule.correlation_type,
            CorrelationType::Temporal | CorrelationType::TemporalOrdered
        );
        let (limits, fields, percentile, extended) = match &rule.condition {
            CorrelationCondition::Threshold { predicates, field, percentile } => {
                (predicates.clone(), field.clone().unwrap_or_default(), *percentile, None)
            }
            CorrelationCondition::Extended(expression) => {
                (Vec::new(), Vec::new(), None, Some(expression.clone()))
            }
        };
        check_condition(rule, temporal, &limits, &fields, percentile)?;
        for alias in &rule.aliases {
            if !rule.group_by.contains(&alias.alias) && !fields.contains(&alias.alias) {
                return Err(RuleError::Ignored { part: format!("the alias {:?}", alias.alias) });
            }
            if let Some(name) = alias.mapping.keys().find(|name| !rule.rules.contains(*name)) {
                return Err(RuleError::Ignored { part: format!("the alias for rule {name:?}") });
            }
        }
        let resolve = |reference: &String| target((rule, reference), &fields, known, mappings);
        let targets = rule.rules.iter().map(resolve).collect::<Result<Vec<_>, _>>()?;
        if let Some(expression) = &extended {
            check_expression(expression, &rule.rules)?;
        }
        Ok(Self {
            meta,
            kind: rule.correlation_type,
            targets,
            group_by: rule.group_by.clone(),
            span,
            limits,
            percentile: percentile.unwrap_or(50),
            extended,
            generate: rule.generate,
        })
    }

    /// Places of the rules it is made of.
    pub(crate) fn rules(&self) -> impl Iterator<Item = usize> {
        self.targets.iter().filter_map(|target| match target.input {
            Input::Rule(at) => Some(at),
            Input::Correlation(_) => None,
        })
    }

    /// Places of the correlations it is made of.
    pub(crate) fn correlations(&self) -> impl Iterator<Item = usize> {
        self.targets.iter().filter_map(|target| match target.input {
            Input::Correlation(at) => Some(at),
            Input::Rule(_) => None,
        })
    }

    /// The group of an event; `None` when it lacks one of the fields.
    pub(super) fn key(
        &self,
        target: &Target,
        record: &Record<'_>,
        from: Option<&Correlated>,
    ) -> Option<Vec<String>> {
        let given = |name: &String| {
            let group = from.map_or(&[][..], |finding| finding.group.as_slice());
            group.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        target
            .group
            .iter()
            .map(|names| names.iter().find_map(given).or_else(|| first(record, names)))
            .collect()
    }

    /// What an event adds; `None` when it lacks the field.
    pub(super) fn value(&self, target: &Target, record: &Record<'_>) -> Option<Amount> {
        match self.kind {
            CorrelationType::ValueCount => {
                let parts: Option<Vec<String>> =
                    target.fields.iter().map(|names| first(record, names)).collect();
                Some(Amount::Text(parts?.join("\u{1f}")))
            }
            CorrelationType::ValueSum
            | CorrelationType::ValueAvg
            | CorrelationType::ValuePercentile
            | CorrelationType::ValueMedian => {
                let names = target.fields.first()?;
                let number = names.iter().find_map(|name| record.get(name)?.number())?;
                number.is_finite().then_some(Amount::Number(number))
            }
            CorrelationType::EventCount
            | CorrelationType::Temporal
            | CorrelationType::TemporalOrdered => Some(Amount::One),
        }
    }

    /// The condition in words.
    pub(super) fn threshold(&self) -> String {
        if let Some(expression) = &self.extended {
            return expression.to_string();
        }
        if matches!(self.kind, CorrelationType::Temporal | CorrelationType::TemporalOrdered) {
            return format!("all {} rules", self.targets.len());
        }
        let parts: Vec<String> = self
            .limits
            .iter()
            .map(|(order, limit)| {
                let sign = match order {
                    ConditionOperator::Lt => "<",
                    ConditionOperator::Lte => "<=",
                    ConditionOperator::Gt => ">",
                    ConditionOperator::Gte => ">=",
                    ConditionOperator::Eq => "=",
                    ConditionOperator::Neq => "not",
                };
                format!("{sign} {limit}")
            })
            .collect();
        parts.join(" and ")
    }
}

fn first(record: &Record<'_>, names: &[String]) -> Option<String> {
    names
        .iter()
        .find_map(|name| record.get(name).filter(|value| value.is_value()))
        .and_then(Scalar::text)
        .map(std::borrow::Cow::into_owned)
}

fn check_condition(
    rule: &CorrelationRule,
    temporal: bool,
    limits: &[(ConditionOperator, u64)],
    fields: &[String],
    percentile: Option<u64>,
) -> Result<(), RuleError> {
    use ConditionOperator as O;
    let kind = rule.correlation_type;
    let extended = matches!(rule.condition, CorrelationCondition::Extended(_));
    if extended && kind != CorrelationType::Temporal {
        return Err(wrong("a condition over rules belongs to the type temporal"));
    }
    if temporal && !extended && limits != [(O::Gte, 1)] {
        return Err(wrong("the types temporal and temporal_ordered take no number"));
    }
    if temporal && !fields.is_empty() {
        return Err(wrong("a field has no meaning for this type"));
    }
    let counts = matches!(kind, CorrelationType::EventCount | CorrelationType::ValueCount);
    let lower = limits.iter().any(|(order, limit)| match order {
        O::Gt => true,
        O::Gte | O::Eq => *limit > 0,
        O::Lt | O::Lte | O::Neq => false,
    });
    if counts && !lower {
        return Err(wrong(
            "an upper bound alone can only be judged when the time span is over, which is not done",
        ));
    }
    let most = u64::try_from(MAX_ITEMS).unwrap_or(u64::MAX);
    if counts && limits.iter().any(|(_, limit)| *limit >= most) {
        return Err(wrong(format!("a threshold of {MAX_ITEMS} or more")));
    }
    match kind {
        CorrelationType::EventCount if !fields.is_empty() => {
            Err(wrong("a field has no meaning for this type"))
        }
        CorrelationType::ValueCount if fields.is_empty() => Err(wrong("this type needs a field")),
        CorrelationType::ValueSum
        | CorrelationType::ValueAvg
        | CorrelationType::ValueMedian
        | CorrelationType::ValuePercentile
            if fields.len() != 1 =>
        {
            Err(wrong("this type needs one field"))
        }
        _ if percentile.is_some_and(|rank| rank > 100) => Err(wrong("a percentile above 100")),
        CorrelationType::ValuePercentile => Ok(()),
        _ if percentile.is_some() => Err(wrong("a percentile has no meaning for this type")),
        _ => Ok(()),
    }
}

/// A condition over rules may name only the rules of the correlation.
fn check_expression(expression: &ConditionExpr, rules: &[String]) -> Result<(), RuleError> {
    match expression {
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => {
            parts.iter().try_for_each(|part| check_expression(part, rules))
        }
        ConditionExpr::Not(part) => check_expression(part, rules),
        ConditionExpr::Identifier(name) if rules.contains(name) => Ok(()),
        ConditionExpr::Identifier(name) => Err(RuleError::Unknown { name: name.clone() }),
        ConditionExpr::Selector { quantifier, pattern } => {
            let count = rules.iter().filter(|rule| pattern.matches_detection_name(rule)).count();
            let wanted = match quantifier {
                Quantifier::Any | Quantifier::All => 1,
                Quantifier::Count(wanted) => usize::try_from(*wanted).unwrap_or(usize::MAX),
            };
            if count < wanted {
                return Err(RuleError::Unknown { name: pattern.to_string() });
            }
            Ok(())
        }
    }
}

fn target(
    (rule, reference): (&CorrelationRule, &String),
    fields: &[String],
    (rules, correlations): (&[Rule], &[Plan]),
    mappings: &Mappings,
) -> Result<Target, RuleError> {
    let own = LogSource::default();
    let found = rules.iter().position(|rule| rule.meta.is_called(reference));
    let (input, title, source) = if let Some(at) = found
        && let Some(rule) = rules.get(at)
    {
        (Input::Rule(at), rule.meta.title.clone(), &rule.source)
    } else {
        let at = correlations.iter().position(|plan| plan.meta.is_called(reference));
        let at = at.ok_or_else(|| RuleError::Reference { name: reference.clone() })?;
        let title = correlations.get(at).map_or_else(String::new, |plan| plan.meta.title.clone());
        (Input::Correlation(at), title, &own)
    };
    let names = |field: &String| {
        let alias = rule.aliases.iter().find(|alias| alias.alias == *field);
        let mapped = alias.and_then(|alias| alias.mapping.get(reference)).unwrap_or(field);
        mappings.names(source, mapped)
    };
    Ok(Target {
        input,
        reference: reference.clone(),
        title,
        group: rule.group_by.iter().map(names).collect(),
        fields: fields.iter().map(names).collect(),
    })
}
