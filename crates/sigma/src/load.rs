//! From rule texts to one immutable set, and the report of what was refused.
//!
//! A rule is accepted when its whole meaning will be evaluated; otherwise it is refused with the
//! reason. Nothing is read from disk here: callers bring names and texts.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use rsigma_parser::{
    CorrelationRule, FilterRule, FilterRuleTarget, LogSource, SigmaCollection, SigmaRule,
};
use serde::Serialize;

use crate::{
    Mappings, Placeholders, RuleError, check,
    compile::{Compiler, number},
    correlation,
    expression::{Expression, FieldId, Predicate},
    index::Index,
    rule::{Meta, Written},
};

/// How rules are loaded.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Values for the modifier `expand`.
    pub placeholders: Placeholders,
    /// Names of fields beside those we ship.
    pub mappings: Mappings,
}

/// A refused document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Name of the source.
    pub file: String,
    /// Identity of the rule, as far as it is known.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// A sound rule that cannot fire as things are configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inert {
    /// Identity of the rule.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// What became of the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Rules, filters and correlations that will be evaluated with their full meaning.
    pub accepted: usize,
    /// Refused documents.
    pub rejected: Vec<Rejected>,
    /// Rules that cannot fire.
    pub inert: Vec<Inert>,
}

/// A compiled rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) meta: Meta,
    pub(crate) expression: Expression,
    /// Names of the detections, for explanations.
    pub(crate) conditions: Vec<String>,
    pub(crate) silent: bool,
    pub(crate) source: LogSource,
}

/// All rules, compiled. Immutable: share it in an `Arc` between threads, each with its own `Scratch`.
#[derive(Debug, Default)]
pub struct RuleSet {
    pub(crate) identity: Arc<()>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) predicates: Vec<Predicate>,
    pub(crate) fields: Vec<Vec<String>>,
    pub(crate) names: HashMap<Box<str>, Box<[(FieldId, u16)]>>,
    pub(crate) index: Index,
    /// Each log source of a rule, in the order of the index's classes.
    pub(crate) sources: Vec<LogSource>,
    pub(crate) correlations: Vec<correlation::Plan>,
}

/// What was read and not yet compiled.
#[derive(Default)]
struct Reading {
    rules: Vec<(SigmaRule, Written)>,
    filters: Vec<(FilterRule, Written)>,
    correlations: Vec<(CorrelationRule, Written)>,
    report: Report,
}

impl Reading {
    fn refuse(&mut self, file: &str, id: impl Into<String>, error: &RuleError) {
        // Parsers answer in several lines; a reason is one.
        let reason = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        self.report.rejected.push(Rejected { file: file.to_owned(), id: id.into(), reason });
    }

    fn file(&mut self, name: &str, text: &str) {
        if text.len() > check::MAX_BYTES {
            let reason = format!("larger than {} bytes", check::MAX_BYTES);
            self.refuse(name, "", &RuleError::Yaml { reason });
            return;
        }
        for part in check::documents(text) {
            self.document(name, part);
        }
    }

    fn document(&mut self, file: &str, text: &str) {
        let values = match check::read(text) {
            Ok(values) => values,
            Err(error) => return self.refuse(file, "", &error),
        };
        let id = values.first().map(check::identity).unwrap_or_default();
        if let Some(error) = values.iter().find_map(|value| check::check(value).err()) {
            return self.refuse(file, id, &error);
        }
        let parsed = rsigma_parser::parse_sigma_yaml(text)
            .map_err(|error| vec![error.to_string()])
            .and_then(SigmaCollection::into_result);
        match parsed {
            Ok(collection) => {
                let text: Arc<str> = text.into();
                let name = || Written { file: file.to_owned(), text: Arc::clone(&text) };
                self.rules.extend(collection.rules.into_iter().map(|rule| (rule, name())));
                self.filters.extend(collection.filters.into_iter().map(|rule| (rule, name())));
                let found = collection.correlations.into_iter();
                self.correlations.extend(found.map(|rule| (rule, name())));
            }
            Err(reasons) => {
                self.refuse(file, id, &RuleError::Parse { reason: reasons.join("; ") });
            }
        }
    }
}

impl RuleSet {
    /// Compiles the rules of all sources, each a name and a YAML text (one or more documents).
    pub fn load<N, T>(sources: impl Iterator<Item = (N, T)>, options: &Options) -> (Self, Report)
    where
        N: AsRef<str>,
        T: AsRef<str>,
    {
        let mut reading = Reading::default();
        for (name, text) in sources {
            reading.file(name.as_ref(), text.as_ref());
        }
        let mut compiler = Compiler::new(options.clone());
        let mut set = Self::default();
        let mut logsources = Vec::new();
        set.compile_rules(&mut reading, &mut compiler, &mut logsources);
        set.apply_filters(&mut reading, &mut compiler, &logsources);
        set.compile_correlations(&mut reading, &options.mappings);
        set.finish(compiler, &logsources);
        (set, reading.report)
    }

    /// Compiles rules that were read already, each with the name of its source.
    pub(crate) fn of_parsed(rules: Vec<(SigmaRule, String)>, options: &Options) -> (Self, Report) {
        let mut reading = Reading::default();
        let written = |file| Written { file, text: Arc::from("") };
        reading.rules = rules.into_iter().map(|(rule, file)| (rule, written(file))).collect();
        let mut compiler = Compiler::new(options.clone());
        let mut set = Self::default();
        let mut logsources = Vec::new();
        set.compile_rules(&mut reading, &mut compiler, &mut logsources);
        set.finish(compiler, &logsources);
        (set, reading.report)
    }

    fn compile_rules(
        &mut self,
        reading: &mut Reading,
        compiler: &mut Compiler,
        logsources: &mut Vec<LogSource>,
    ) {
        let mut seen = HashSet::new();
        for (rule, written) in std::mem::take(&mut reading.rules) {
            let meta = Meta::of_rule(&rule, written);
            if !seen.insert(meta.id.clone()) {
                let id = meta.id.clone();
                reading.refuse(&meta.file, meta.id, &RuleError::Duplicate { id });
                continue;
            }
            match compiler.detections(&rule.detection, &rule.logsource) {
                Ok(expression) => {
                    let conditions = rule.detection.condition_strings;
                    let source = rule.logsource;
                    logsources.push(source.clone());
                    self.rules.push(Rule { meta, expression, conditions, silent: false, source });
                    reading.report.accepted += 1;
                }
                Err(error @ RuleError::Inert { .. }) => {
                    reading.report.inert.push(Inert { id: meta.id, reason: error.to_string() });
                }
                Err(error) => reading.refuse(&meta.file, meta.id, &error),
            }
        }
    }

    /// A filter's condition is added (with `and`) to the rules it names, or to all of its log source.
    fn apply_filters(
        &mut self,
        reading: &mut Reading,
        compiler: &mut Compiler,
        logsources: &[LogSource],
    ) {
        for (filter, written) in std::mem::take(&mut reading.filters) {
            let id = filter.id.clone().unwrap_or_else(|| filter.title.clone());
            match self.apply(&filter, compiler, logsources) {
                Ok(()) => reading.report.accepted += 1,
                Err(error) => reading.refuse(&written.file, id, &error),
            }
        }
    }

    fn apply(
        &mut self,
        filter: &FilterRule,
        compiler: &mut Compiler,
        logsources: &[LogSource],
    ) -> Result<(), RuleError> {
        let source = filter.logsource.clone().unwrap_or_default();
        let within = |rule: &LogSource| {
            let part = |wanted: &Option<String>, given: &Option<String>| {
                wanted.as_ref().is_none_or(|wanted| given.as_ref() == Some(wanted))
            };
            part(&source.product, &rule.product)
                && part(&source.category, &rule.category)
                && part(&source.service, &rule.service)
        };
        let wanted: Vec<usize> = match &filter.rules {
            FilterRuleTarget::Any => {
                (0..self.rules.len()).filter(|&at| logsources.get(at).is_some_and(within)).collect()
            }
            FilterRuleTarget::Specific(names) => {
                let mut found = Vec::new();
                for name in names {
                    let at = self.position(name)?;
                    if !logsources.get(at).is_some_and(within) {
                        return Err(RuleError::Ignored {
                            part: format!("the filter for {name:?}, of another log source,"),
                        });
                    }
                    found.push(at);
                }
                found
            }
        };
        for at in wanted {
            let of_rule = logsources.get(at).unwrap_or(&source);
            let more = compiler.detections(&filter.detection, of_rule)?;
            if let Some(rule) = self.rules.get_mut(at) {
                let before = std::mem::replace(&mut rule.expression, Expression::all(Vec::new()));
                rule.expression = Expression::all(vec![before, more]);
                rule.conditions.push(format!("filter {}", filter.title));
            }
        }
        Ok(())
    }

    fn position(&self, reference: &str) -> Result<usize, RuleError> {
        self.rules
            .iter()
            .position(|rule| rule.meta.is_called(reference))
            .ok_or_else(|| RuleError::Reference { name: reference.to_owned() })
    }

    /// Correlations may refer to rules and to correlations, in any order.
    fn compile_correlations(&mut self, reading: &mut Reading, mappings: &Mappings) {
        let mut waiting = std::mem::take(&mut reading.correlations);
        loop {
            let before = waiting.len();
            let mut later = Vec::new();
            for (rule, written) in waiting {
                let meta = Meta::of_correlation(&rule, written.clone());
                let id = meta.id.clone();
                if self.identities().any(|known| known.id == id) {
                    let error = RuleError::Duplicate { id: id.clone() };
                    reading.refuse(&written.file, id, &error);
                    continue;
                }
                let known = (self.rules.as_slice(), self.correlations.as_slice());
                match correlation::Plan::new(&rule, meta, known, mappings) {
                    Ok(plan) => {
                        self.silence(&plan);
                        self.correlations.push(plan);
                        reading.report.accepted += 1;
                    }
                    Err(RuleError::Reference { name }) => later.push((rule, written, id, name)),
                    Err(error) => reading.refuse(&written.file, id, &error),
                }
            }
            if later.is_empty() || later.len() == before {
                for (_, written, id, name) in later {
                    reading.refuse(&written.file, id, &RuleError::Reference { name });
                }
                return;
            }
            waiting = later.into_iter().map(|(rule, written, ..)| (rule, written)).collect();
        }
    }

    /// What is told of each rule and correlation.
    fn identities(&self) -> impl Iterator<Item = &Meta> {
        let rules = self.rules.iter().map(|rule| &rule.meta);
        rules.chain(self.correlations.iter().map(|plan| &plan.meta))
    }

    /// Rules a correlation uses do not speak for themselves, unless it says `generate: true`.
    fn silence(&mut self, plan: &correlation::Plan) {
        if plan.generate {
            return;
        }
        for rule in plan.rules() {
            if let Some(rule) = self.rules.get_mut(rule) {
                rule.silent = true;
            }
        }
    }

    fn finish(&mut self, compiler: Compiler, logsources: &[LogSource]) {
        let mut names: HashMap<Box<str>, Vec<(FieldId, u16)>> = HashMap::new();
        for (field, all) in compiler.fields.iter().enumerate() {
            for (preference, name) in all.iter().enumerate() {
                let preference = u16::try_from(preference).unwrap_or(u16::MAX);
                let entry = names.entry(name.as_str().into()).or_default();
                entry.push((number(field), preference));
            }
        }
        self.names = names.into_iter().map(|(name, all)| (name, all.into())).collect();
        let mut classes: Vec<Vec<(u32, &Expression)>> = Vec::new();
        for (at, (rule, source)) in self.rules.iter().zip(logsources).enumerate() {
            let source = LogSource { definition: None, ..source.clone() };
            let known = self.sources.iter().position(|known| *known == source);
            let class = known.unwrap_or_else(|| {
                self.sources.push(source);
                classes.push(Vec::new());
                classes.len() - 1
            });
            if let Some(class) = classes.get_mut(class) {
                class.push((number(at), &rule.expression));
            }
        }
        self.index = Index::build(&classes, &compiler.predicates);
        self.predicates = compiler.predicates;
        self.fields = compiler.fields;
    }

    /// How many rules are evaluated, correlations not counted.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many correlations there are.
    #[must_use]
    pub const fn correlations(&self) -> usize {
        self.correlations.len()
    }

    /// How many distinct predicates the rules have.
    #[must_use]
    pub const fn predicates(&self) -> usize {
        self.predicates.len()
    }

    /// Bytes held by the searches of the index.
    #[must_use]
    pub fn index_bytes(&self) -> usize {
        self.index.memory()
    }

    /// What is told of a rule.
    #[must_use]
    pub fn meta(&self, rule: crate::RuleIndex) -> Option<&Meta> {
        self.rules.get(rule.0 as usize).map(|rule| &rule.meta)
    }

    /// What is told of the correlation with this identity.
    #[must_use]
    pub fn correlation_meta(&self, id: &str) -> Option<&Meta> {
        self.correlations.iter().map(|plan| &plan.meta).find(|meta| meta.id == id)
    }

    /// What is told of the rules and correlations that make detections of their own.
    pub(crate) fn speaking(&self) -> impl Iterator<Item = &Meta> {
        let silent = self.correlations.iter().filter(|plan| !plan.generate);
        let fed: Vec<usize> = silent.flat_map(correlation::Plan::correlations).collect();
        let correlations = self.correlations.iter().enumerate();
        let correlations = correlations.filter(move |(at, _)| !fed.contains(at));
        let rules = self.rules.iter().filter(|rule| !rule.silent).map(|rule| &rule.meta);
        rules.chain(correlations.map(|(_, plan)| &plan.meta))
    }

    /// Whether matches of a rule are detections of their own: not when it only feeds a correlation.
    #[must_use]
    pub fn speaks(&self, rule: crate::RuleIndex) -> bool {
        self.rules.get(rule.0 as usize).is_some_and(|rule| !rule.silent)
    }
}
