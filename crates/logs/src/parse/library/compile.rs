//! A parser file checked and compiled; everything that is wrong with it is reported at once, with its line.

use std::collections::BTreeMap;
use std::sync::Arc;

use event::Object;
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};
use service::config::{self, ConfigError, Problem};

use super::file::{self, File, Room};
use super::map::{self, Rule, Tables, Target};
use super::raw;
use super::template::{Captures, Template};
use super::{Description, LibraryError};
use crate::parse::entry::{self, Path};

/// Memory of one compiled regular expression, bytes.
const MAX_REGEX: usize = 1 << 20;

/// One parser, ready.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) title: String,
    pub(super) programs: Vec<String>,
    pub(super) begins: Vec<String>,
    pub(super) order: i64,
    pub(super) room: Room,
    pub(super) needs: Vec<Test>,
    pub(super) pairs: file::Pairs,
    pub(super) columns: file::Columns,
    pub(super) head: Option<Template>,
    pub(super) switch: Option<Box<str>>,
    pub(super) absent: Vec<String>,
    pub(super) keep: Option<Path>,
    /// Constants, the module among them.
    pub(super) set: Object,
    pub(super) map: Vec<Rule>,
    pub(super) patterns: Vec<Pattern>,
    pub(super) choice: Choice,
    pub(super) parts: Vec<Part>,
    pub(super) when: Vec<When>,
    /// Whether anything looks at captured texts once they are values.
    pub(super) reads_texts: bool,
}

/// A field that is taken apart further.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) names: Vec<Box<str>>,
    pub(super) templates: Vec<Template>,
}

/// One shape of text.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) shape: Expression,
    /// Constants, those of the parser among them.
    pub(super) set: Object,
    text: String,
}

/// What a text is held against.
#[derive(Debug)]
pub(super) enum Expression {
    Template(Template),
    Regex(Box<Regex>, Vec<Target>, Vec<Option<usize>>),
}

impl Expression {
    pub(super) fn targets(&self) -> &[Target] {
        match self {
            Self::Template(template) => &template.targets,
            Self::Regex(_, targets, _) => targets,
        }
    }

    /// Whether the whole text fits; captures are added.
    pub(super) fn matches<'a>(&self, text: &'a str, out: &mut Captures<'a>) -> bool {
        match self {
            Self::Template(template) => template.matches(text, out),
            Self::Regex(regex, _, groups) => {
                let Some(found) = regex.captures(text) else { return false };
                for (group, target) in groups.iter().enumerate() {
                    if let (Some(found), Some(target)) = (found.get(group), target) {
                        out.push((*target, found.as_str().into()));
                    }
                }
                true
            }
        }
    }
}

/// Which patterns may fit a text: by its first byte, or by the value of the head's switch.
#[derive(Debug, Default)]
pub(super) struct Choice {
    by_byte: BTreeMap<u8, Vec<usize>>,
    by_case: BTreeMap<Box<str>, Vec<usize>>,
    rest: Vec<usize>,
}

impl Choice {
    /// Patterns to try, in the order of the file.
    pub(super) fn of(&self, case: Option<&str>, text: &str) -> &[usize] {
        let found = match case {
            Some(case) => self.by_case.get(case),
            None => text.as_bytes().first().and_then(|first| self.by_byte.get(first)),
        };
        found.unwrap_or(&self.rest)
    }

    fn new(patterns: &[(Pattern, Vec<String>)]) -> Self {
        let head = |pattern: &Pattern| match &pattern.shape {
            Expression::Template(template) => template.head().as_bytes().first().copied(),
            Expression::Regex(..) => None,
        };
        let mut choice = Self::default();
        for (pattern, cases) in patterns {
            if let Some(first) = head(pattern) {
                choice.by_byte.entry(first).or_default();
            }
            for case in cases {
                choice.by_case.entry(case.as_str().into()).or_default();
            }
        }
        for (number, (pattern, cases)) in patterns.iter().enumerate() {
            let first = head(pattern);
            for (byte, list) in &mut choice.by_byte {
                if first.is_none_or(|first| first == *byte) {
                    list.push(number);
                }
            }
            for (case, list) in &mut choice.by_case {
                if cases.is_empty() || cases.iter().any(|known| **known == **case) {
                    list.push(number);
                }
            }
            if cases.is_empty() && first.is_none() || cases.is_empty() && !choice.by_case.is_empty()
            {
                choice.rest.push(number);
            }
        }
        choice
    }
}

/// What else is set when tests hold.
#[derive(Debug)]
pub(super) struct When {
    pub(super) tests: Vec<Test>,
    pub(super) set: Vec<(Path, Value)>,
    pub(super) map: Vec<Rule>,
}

/// A condition on one field.
#[derive(Debug)]
pub(super) struct Test {
    names: Vec<Box<str>>,
    wanted: Wanted,
}

#[derive(Debug)]
enum Wanted {
    There(bool),
    OneOf(Vec<String>),
}

impl Test {
    fn new(name: &str, value: &Value, under: &[String]) -> Option<Self> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let wanted = match value {
            Value::Bool(there) => Wanted::There(*there),
            Value::Array(all) => Wanted::OneOf(all.iter().map(text).collect::<Option<_>>()?),
            one => Wanted::OneOf(vec![text(one)?]),
        };
        Some(Self { names: map::below(name, under), wanted })
    }

    /// Names of which an object has one at its top when this holds; `None` when nothing can be said.
    pub(super) fn tops(&self) -> Option<Vec<&str>> {
        if matches!(self.wanted, Wanted::There(false)) {
            return None;
        }
        // Whole or nested, a name begins with its first part.
        Some(self.names.iter().map(|name| name.split('.').next().unwrap_or(name)).collect())
    }

    /// Whether it holds for an object.
    pub(super) fn holds(&self, object: &Object) -> bool {
        let find = |name| event::get(object, name);
        self.decide(self.names.iter().find_map(|name| find(name)).map(raw::scalar))
    }

    /// Whether it holds for raw fields.
    pub(super) fn holds_for(&self, values: raw::Values<'_, '_>) -> bool {
        let there = self.names.iter().find(|name| values.has(name));
        self.decide(there.map(|name| values.text(name)))
    }

    fn decide(&self, found: Option<Option<std::borrow::Cow<'_, str>>>) -> bool {
        match &self.wanted {
            Wanted::There(wanted) => found.is_some() == *wanted,
            Wanted::OneOf(all) => {
                let Some(Some(text)) = found else { return false };
                all.iter().any(|one| match one.strip_suffix('*') {
                    Some(head) => text.starts_with(head),
                    None => **one == *text,
                })
            }
        }
    }
}

impl Compiled {
    /// Reads and compiles a file; `path` is where it came from, empty when built in.
    pub(super) fn read(name: &str, path: &str, text: &str) -> Result<Self, LibraryError> {
        let shown = if path.is_empty() { format!("{name}.toml") } else { path.to_owned() };
        let file: File = config::parse(&shown, text).map_err(|error| match error {
            ConfigError::Invalid { name, problems } => LibraryError::Invalid { name, problems },
            other => LibraryError::Invalid {
                name: shown.clone(),
                problems: vec![Problem { line: 0, key: String::new(), message: other.to_string() }],
            },
        })?;
        let mut compiler = Compiler { text, problems: Vec::new(), tables: Tables::new() };
        let parser = compiler.file(name, path, file);
        if compiler.problems.is_empty() {
            return Ok(parser);
        }
        compiler.problems.sort_by_key(|problem| problem.line);
        Err(LibraryError::Invalid { name: shown, problems: compiler.problems })
    }

    pub(super) fn is_json(&self) -> bool {
        self.room == Room::Json
    }

    pub(super) fn describe(&self) -> Description {
        Description {
            name: self.name.clone(),
            title: self.title.clone(),
            programs: self.programs.clone(),
            patterns: self.patterns.len(),
            file: self.file.clone(),
        }
    }

    pub(super) fn pattern_texts(&self) -> Vec<&str> {
        self.patterns.iter().map(|pattern| pattern.text.as_str()).collect()
    }
}

/// Adds constants, in which dotted keys are nested tables.
fn add(set: &mut Object, constants: &Map<String, Value>) {
    for (name, value) in map::leaves(constants) {
        entry::put(set, name.split('.'), value.clone());
    }
}

struct Compiler<'a> {
    text: &'a str,
    problems: Vec<Problem>,
    tables: Tables,
}

impl Compiler<'_> {
    fn problem(&mut self, keys: &[&str], message: impl Into<String>) {
        let line = config::line_of_key(self.text, keys);
        self.problems.push(Problem { line, key: keys.join("."), message: message.into() });
    }

    fn file(&mut self, name: &str, path: &str, file: File) -> Compiled {
        self.check(name, &file);
        self.tables = file.table.into_iter().map(|(name, table)| (name, Arc::new(table))).collect();
        let head = file.head.as_deref().and_then(|head| self.template(head, &["head"]));
        let module = if file.module.is_empty() { name.to_owned() } else { file.module };
        let mut set = Object::new();
        entry::put(&mut set, ["event", "module"].into_iter(), Value::String(module));
        add(&mut set, &file.set);
        let patterns = self.patterns(&file.pattern, file.switch.is_some(), &set);
        let choice = Choice::new(&patterns);
        let reads_texts = file.room != Room::Text
            || file.head.is_some()
            || !(file.map.is_empty() && file.part.is_empty() && file.when.is_empty());
        Compiled {
            name: name.to_owned(),
            file: path.to_owned(),
            title: file.title,
            programs: file.program,
            begins: file.begins,
            order: file.order,
            room: file.room,
            needs: self.tests(&file.needs, &file.under, &["needs"]),
            pairs: file.pairs,
            columns: file.columns,
            head,
            switch: file.switch.map(String::into_boxed_str),
            absent: file.absent,
            keep: file.keep.as_deref().map(entry::path),
            set,
            map: self.map(&file.map, &file.under, &["map"]),
            patterns: patterns.into_iter().map(|(pattern, _)| pattern).collect(),
            choice,
            parts: self.parts(&file.part, &file.under),
            when: self.when(&file.when, &file.under),
            reads_texts,
        }
    }

    /// What the schema cannot say.
    fn check(&mut self, name: &str, file: &File) {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || !name.bytes().all(plain) {
            self.problem(&[], "the file's name must be of a-z, 0-9 and _");
        }
        if file.title.is_empty() {
            self.problem(&["title"], "is required and missing");
        }
        if file.room == Room::Text && file.pattern.is_empty() {
            self.problem(&[], "needs patterns or a room");
        }
        if file.room == Room::Csv && file.columns.names.is_empty() && !file.columns.head {
            self.problem(&["columns"], "needs names of columns");
        }
        if file.columns.separator.len() > 1 {
            self.problem(&["columns", "separator"], "must be one byte");
        }
        if file.pairs.equals.is_empty() || file.pairs.between.is_empty() {
            self.problem(&["pairs"], "needs texts that are not empty");
        }
        let inner = file.head.as_deref().unwrap_or_default();
        if let Some(switch) = &file.switch
            && !inner.contains(&format!("%{{{switch}"))
        {
            self.problem(&["switch"], format!("the head has no field {switch:?}"));
        }
        for head in file.begins.iter().filter(|head| head.is_empty()) {
            self.problem(&["begins"], format!("{head:?} would fit every text"));
        }
    }

    fn template(&mut self, text: &str, keys: &[&str]) -> Option<Template> {
        let tables = &self.tables;
        let found = Template::new(text, &mut |spec| Target::new(spec, tables));
        found.map_err(|error| self.problem(keys, error)).ok()
    }

    fn patterns(
        &mut self,
        all: &[file::Pattern],
        switch: bool,
        common: &Object,
    ) -> Vec<(Pattern, Vec<String>)> {
        let mut out = Vec::new();
        for (number, pattern) in all.iter().enumerate() {
            let at = number.to_string();
            let shape = match (&pattern.line, &pattern.regex) {
                (Some(line), None) => {
                    self.template(line, &["pattern", &at, "line"]).map(Expression::Template)
                }
                (None, Some(regex)) => self.regex(regex, &pattern.convert, &at),
                _ => {
                    self.problem(&["pattern", &at], "needs one of `line` and `regex`");
                    None
                }
            };
            if !pattern.case.is_empty() && !switch {
                self.problem(&["pattern", &at, "case"], "needs a `switch` of the file");
            }
            let text = pattern.line.as_ref().or(pattern.regex.as_ref());
            let text = text.cloned().unwrap_or_default();
            if let Some(shape) = shape {
                let mut set = common.clone();
                add(&mut set, &pattern.set);
                out.push((Pattern { shape, set, text }, pattern.case.clone()));
            }
        }
        out
    }

    fn regex(&mut self, text: &str, types: &Map<String, Value>, at: &str) -> Option<Expression> {
        let keys = ["pattern", at, "regex"];
        let built = RegexBuilder::new(text).size_limit(MAX_REGEX).dfa_size_limit(MAX_REGEX).build();
        let regex = match built {
            Ok(regex) => regex,
            Err(error) => {
                self.problem(&keys, format!("no regular expression: {error}"));
                return None;
            }
        };
        let types = map::leaves(types);
        let (mut targets, mut groups) = (Vec::new(), Vec::new());
        for group in regex.capture_names() {
            let Some(name) = group else {
                groups.push(None);
                continue;
            };
            let kind = types.iter().find(|(known, _)| known == name);
            let kind = kind.and_then(|(_, kind)| kind.as_str());
            let spec = kind.map_or_else(|| name.to_owned(), |kind| format!("{name}:{kind}"));
            match Target::new(&spec, &self.tables) {
                Ok(target) => {
                    groups.push(Some(targets.len()));
                    targets.push(target);
                }
                Err(error) => self.problem(&keys, error),
            }
        }
        Some(Expression::Regex(Box::new(regex), targets, groups))
    }

    fn map(&mut self, table: &Map<String, Value>, under: &[String], keys: &[&str]) -> Vec<Rule> {
        let found = map::rules(table, under, &self.tables);
        found.unwrap_or_else(|errors| {
            for (name, error) in errors {
                let path: Vec<&str> = keys.iter().copied().chain(name.split('.')).collect();
                self.problem(&path, error);
            }
            Vec::new()
        })
    }

    fn tests(&mut self, table: &Map<String, Value>, under: &[String], keys: &[&str]) -> Vec<Test> {
        let mut out = Vec::new();
        for (name, value) in map::leaves(table) {
            match Test::new(&name, value, under) {
                Some(test) => out.push(test),
                None => {
                    let path: Vec<&str> = keys.iter().copied().chain(name.split('.')).collect();
                    self.problem(&path, "is no text, list of texts, true or false");
                }
            }
        }
        out
    }

    fn parts(&mut self, all: &[file::Part], under: &[String]) -> Vec<Part> {
        let mut out = Vec::new();
        for (number, part) in all.iter().enumerate() {
            let at = number.to_string();
            let mut templates = Vec::new();
            for line in &part.line {
                templates.extend(self.template(line, &["part", &at, "line"]));
            }
            out.push(Part { names: map::below(&part.of, under), templates });
        }
        out
    }

    fn when(&mut self, all: &[file::When], under: &[String]) -> Vec<When> {
        let mut out = Vec::new();
        for (number, when) in all.iter().enumerate() {
            let at = number.to_string();
            if when.test.is_empty() {
                self.problem(&["when", &at, "if"], "is required and missing");
            }
            let tests = self.tests(&when.test, under, &["when", &at, "if"]);
            let map = self.map(&when.map, under, &["when", &at, "map"]);
            out.push(When { tests, set: map::constants(&when.set), map });
        }
        out
    }
}
