//! Declarative parsers: one TOML file each, the built-in ones of `rules/parsers` and those of further folders.
//!
//! A parser says which records it is for, how their text is taken apart (by patterns, or by a room in Rust that
//! gives raw fields) and what the parts are called. [`Library`] holds all of them, checked and compiled, and finds
//! those for a record without asking each. It reads no log and knows no source.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use event::{Object, Timestamp};
use serde_json::Value;
use service::config::Problem;

use super::entry::{By, Entry};
use super::separated::Head as Columns;
use super::times::Zone;
use compile::Compiled;
use run::Input;

mod compile;
mod convert;
mod embedded;
pub mod file;
mod map;
pub(crate) mod raw;
mod run;
mod template;
#[cfg(test)]
mod tests;

/// Largest parser file read, bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// Most parsers of one library.
const MAX_PARSERS: usize = 4096;

/// What every record brings along.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// Zone of times that name none.
    pub(crate) zone: &'a Zone,
    /// When the record was read.
    pub(crate) now: Timestamp,
    /// What the head of its file says of columns.
    pub(crate) columns: Option<&'a Columns>,
}

/// Why a library was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A folder or file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is no parser; everything that is wrong with it, each with its line.
    #[error("{}", listing(name, problems))]
    Invalid {
        /// File.
        name: String,
        /// At least one.
        problems: Vec<Problem>,
    },
    /// Too many or too large files.
    #[error("{name}: {reason}")]
    Limit {
        /// File or folder.
        name: String,
        /// What there is too much of.
        reason: &'static str,
    },
}

fn listing(name: &str, problems: &[Problem]) -> String {
    let line = |problem: &Problem| {
        let key = if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
        format!("{name}:{}: {key}{}", problem.line, problem.message)
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// All parsers that records are read with.
#[derive(Debug, Default)]
pub struct Library {
    parsers: Vec<Compiled>,
    by_name: HashMap<Box<str>, usize>,
    by_program: HashMap<Box<str>, Vec<usize>>,
    /// Literal heads by their first byte.
    by_head: HashMap<u8, Vec<(Box<str>, usize)>>,
    /// Parsers of JSON objects that are worth a look when an object has a name at its top.
    json_by_name: HashMap<Box<str>, Vec<usize>>,
    /// Those that no name at the top can tell.
    json_always: Vec<usize>,
    json_shapes: Shapes,
}

/// First bytes and lengths of names: most names that are none of them are told without a search.
#[derive(Debug)]
struct Shapes([u64; 256]);

impl Default for Shapes {
    fn default() -> Self {
        Self([0; 256])
    }
}

impl Shapes {
    fn place(name: &str) -> (usize, u64) {
        let first = name.as_bytes().first().copied().unwrap_or_default();
        (usize::from(first), 1_u64 << name.len().min(63))
    }

    fn add(&mut self, name: &str) {
        let (first, length) = Self::place(name);
        if let Some(lengths) = self.0.get_mut(first) {
            *lengths |= length;
        }
    }

    fn may_have(&self, name: &str) -> bool {
        let (first, length) = Self::place(name);
        self.0.get(first).is_some_and(|lengths| lengths & length != 0)
    }
}

/// What is known of a parser, for listings.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Description {
    /// Name; a source may be configured with it as its format.
    pub name: String,
    /// What it reads.
    pub title: String,
    /// Programs whose syslog records it is asked for.
    pub programs: Vec<String>,
    /// Number of patterns.
    pub patterns: usize,
    /// File it came from; empty when built in.
    pub file: String,
}

static BUILT_IN: LazyLock<Arc<Library>> = LazyLock::new(|| {
    // Tests hold every built-in file valid: what is not loaded here was never shipped.
    let files = embedded::parsers().map(|(name, text)| Compiled::read(&name, "", &text));
    Arc::new(Library::of(files.filter_map(Result::ok).collect()))
});

impl Library {
    /// The parsers that come with the product.
    #[must_use]
    pub fn built_in() -> Arc<Self> {
        Arc::clone(&BUILT_IN)
    }

    /// The built-in parsers and those of `folders` (`NAME.toml`), of which one replaces an earlier one of the
    /// same name.
    ///
    /// # Errors
    /// [`LibraryError`], one for each file or folder that cannot be used.
    pub fn load(folders: &[impl AsRef<Path>]) -> Result<Arc<Self>, Vec<LibraryError>> {
        if folders.is_empty() {
            return Ok(Self::built_in());
        }
        let mut errors = Vec::new();
        let mut parsers = Vec::new();
        let mut add =
            |read: Result<Compiled, LibraryError>, errors: &mut Vec<LibraryError>| match read {
                Ok(parser) => {
                    parsers.retain(|known: &Compiled| known.name != parser.name);
                    parsers.push(parser);
                }
                Err(error) => errors.push(error),
            };
        for (name, text) in embedded::parsers() {
            add(Compiled::read(&name, "", &text), &mut errors);
        }
        for folder in folders {
            match files(folder.as_ref()) {
                Ok(files) => files.into_iter().for_each(|(name, file, text)| {
                    add(Compiled::read(&name, &file, &text), &mut errors);
                }),
                Err(error) => errors.push(error),
            }
        }
        if parsers.len() > MAX_PARSERS {
            let name = "parsers".to_owned();
            errors.push(LibraryError::Limit { name, reason: "more than 4096 files" });
        }
        if errors.is_empty() { Ok(Arc::new(Self::of(parsers))) } else { Err(errors) }
    }

    /// One parser alone, from the text of its file.
    ///
    /// # Errors
    /// [`LibraryError::Invalid`] with everything that is wrong with it.
    pub fn check(name: &str, text: &str) -> Result<Arc<Self>, LibraryError> {
        Ok(Arc::new(Self::of(vec![Compiled::read(name, "", text)?])))
    }

    fn of(mut parsers: Vec<Compiled>) -> Self {
        parsers.sort_by(|a, b| b.order.cmp(&a.order).then_with(|| a.name.cmp(&b.name)));
        let mut library = Self { parsers, ..Self::default() };
        for (number, parser) in library.parsers.iter().enumerate() {
            library.by_name.insert(parser.name.as_str().into(), number);
            for program in &parser.programs {
                library.by_program.entry(program.as_str().into()).or_default().push(number);
            }
            for head in &parser.begins {
                let Some(first) = head.as_bytes().first() else { continue };
                let heads = library.by_head.entry(*first).or_default();
                heads.push((head.as_str().into(), number));
            }
            let Some(first) = parser.needs.first().filter(|_| parser.is_json()) else { continue };
            match first.tops() {
                None => library.json_always.push(number),
                Some(tops) => {
                    for top in tops {
                        library.json_shapes.add(top);
                        let there = library.json_by_name.entry(top.into()).or_default();
                        if there.last() != Some(&number) {
                            there.push(number);
                        }
                    }
                }
            }
        }
        library
    }

    /// All parsers, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Description> {
        let mut all: Vec<_> = self.parsers.iter().map(Compiled::describe).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Names of all parsers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parsers.iter().map(|parser| parser.name.as_str())
    }

    /// The number of the parser of this name.
    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Whether the parser of this number reads JSON objects.
    pub(crate) fn reads_json(&self, number: usize) -> bool {
        self.parsers.get(number).is_some_and(Compiled::is_json)
    }

    /// Whether files of the parser of this number name their columns.
    pub(crate) fn wants_head(&self, number: usize) -> bool {
        self.parsers.get(number).is_some_and(|parser| parser.columns.head)
    }

    /// Reads a text with one parser; false when it does not understand it.
    pub(crate) fn text(&self, number: usize, text: &str, cx: Context<'_>, out: &mut Entry) -> bool {
        let Some(parser) = self.parsers.get(number) else { return false };
        let Some(pattern) = run::read(parser, Input::Text(text), cx, out) else { return false };
        out.by = Some(By { parser: number, pattern });
        true
    }

    /// Reads the message of a syslog record: by its program, else by how it begins.
    pub(crate) fn message(
        &self,
        program: &str,
        text: &str,
        cx: Context<'_>,
        out: &mut Entry,
    ) -> bool {
        // `postfix/smtpd` is asked for whole, then as `postfix`; `/usr/sbin/cron` as `cron`.
        let last = program.rsplit('/').next().unwrap_or(program);
        let first = program.split('/').next().unwrap_or(program);
        let names = [program, first, last];
        for (at, name) in names.iter().enumerate() {
            if name.is_empty() || names.iter().take(at).any(|before| before == name) {
                continue;
            }
            let found = self.by_program.get(*name).into_iter().flatten();
            for number in found {
                if self.text(*number, text, cx, out) {
                    return true;
                }
            }
        }
        self.begin(text, cx, out)
    }

    /// Reads a text by how it begins, whatever wrote it.
    pub(crate) fn begin(&self, text: &str, cx: Context<'_>, out: &mut Entry) -> bool {
        let Some(first) = text.as_bytes().first() else { return false };
        let heads = self.by_head.get(first).into_iter().flatten();
        heads
            .filter(|(head, _)| text.starts_with(&**head))
            .any(|(_, number)| self.text(*number, text, cx, out))
    }

    /// Adds what a parser knows of the JSON object that `out` holds, the one that is named or that fits.
    pub(crate) fn object(&self, named: Option<usize>, cx: Context<'_>, out: &mut Entry) -> bool {
        let found = named.or_else(|| self.of_object(&out.fields));
        let Some((number, parser)) = found.and_then(|at| Some((at, self.parsers.get(at)?))) else {
            return false;
        };
        let Some(pattern) = run::read(parser, Input::Object, cx, out) else { return false };
        out.by = Some(By { parser: number, pattern });
        true
    }

    /// The first parser whose needs an object has. Most objects are nobody's: their names at the top tell.
    fn of_object(&self, object: &Object) -> Option<usize> {
        let mut maybe: Vec<usize> = self.json_always.clone();
        for name in object.keys() {
            let top = name.split('.').next().unwrap_or(name);
            if self.json_shapes.may_have(top) {
                maybe.extend(self.json_by_name.get(top).into_iter().flatten());
            }
        }
        maybe.sort_unstable();
        maybe.dedup();
        maybe.into_iter().find(|number| {
            let parser = self.parsers.get(*number);
            parser.is_some_and(|parser| parser.needs.iter().all(|test| test.holds(object)))
        })
    }

    /// Reads the structured data of an RFC 5424 record by its program.
    pub(crate) fn data(
        &self,
        program: &str,
        data: &Value,
        cx: Context<'_>,
        out: &mut Entry,
    ) -> bool {
        let found = self.by_program.get(program).into_iter().flatten();
        for number in found {
            let Some(parser) = self.parsers.get(*number) else { continue };
            if let Some(pattern) = run::read(parser, Input::Data(data), cx, out) {
                out.by = Some(By { parser: *number, pattern });
                return true;
            }
        }
        false
    }

    /// The name of the parser of this number.
    pub(crate) fn name(&self, number: usize) -> Option<&str> {
        self.parsers.get(number).map(|parser| parser.name.as_str())
    }

    /// Number and text of every pattern of a parser.
    pub fn patterns(&self, name: &str) -> impl Iterator<Item = (usize, &str)> {
        let parser = self.number(name).and_then(|number| self.parsers.get(number));
        parser.into_iter().flat_map(Compiled::pattern_texts).enumerate()
    }
}

/// Name, path and text of every parser file of a folder, by name.
fn files(folder: &Path) -> Result<Vec<(String, String, String)>, LibraryError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| LibraryError::Read { path, source }
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        if path.extension().is_none_or(|known| known != "toml") {
            continue;
        }
        let file = path.display().to_string();
        if std::fs::metadata(&path).map_err(failed(&path))?.len() > MAX_FILE {
            return Err(LibraryError::Limit { name: file, reason: "larger than 1 MiB" });
        }
        let text = std::fs::read_to_string(&path).map_err(failed(&path))?;
        found.push((name.to_owned(), file, text));
    }
    found.sort();
    Ok(found)
}
