//! The shape of a parser file, as `rules/FORMAT.md` describes it. Data only; meaning is given by `compile`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// One parser.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// What it reads, in a few words.
    pub title: String,
    /// `event.module` of what it reads; the name of the file when absent.
    pub module: String,
    /// Programs whose syslog records are read with it.
    pub program: Vec<String>,
    /// Beginnings of a text by which it is recognised, whatever wrote it.
    pub begins: Vec<String>,
    /// Asked before those with a lower number.
    pub order: i64,
    /// How raw fields are made of the text.
    pub room: Room,
    /// Raw fields without which a record is not this parser's, all of them: a text or a list of texts (`*` at the
    /// end stands for any), or `true` for being there. JSON objects are recognised by it.
    pub needs: Map<String, Value>,
    /// For `kv`: how pairs are written.
    pub pairs: Pairs,
    /// For `csv`: names of the columns.
    pub columns: Columns,
    /// A template for what stands before; patterns and room read what follows, or what it captures as `@text`.
    pub head: Option<String>,
    /// The field of the head that chooses among patterns by their `case`.
    pub switch: Option<String>,
    /// Values that mean that there is none.
    pub absent: Vec<String>,
    /// Prefixes under which the names of raw fields are looked for, in order.
    pub under: Vec<String>,
    /// Name below which all raw fields are kept.
    pub keep: Option<String>,
    /// Fields that are always set.
    pub set: Map<String, Value>,
    /// Fields by the raw fields they are made from.
    pub map: Map<String, Value>,
    /// Look-up tables, by name.
    pub table: BTreeMap<String, BTreeMap<String, Value>>,
    /// Shapes of text, the first that fits is taken.
    pub pattern: Vec<Pattern>,
    /// Fields that are taken apart further.
    pub part: Vec<Part>,
    /// What else is set when fields have certain values; all that hold are taken.
    pub when: Vec<When>,
}

/// How raw fields are made of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Room {
    /// By patterns alone.
    #[default]
    Text,
    /// `key=value` pairs.
    Kv,
    /// ArcSight Common Event Format.
    Cef,
    /// IBM Log Event Extended Format.
    Leef,
    /// Values between separators.
    Csv,
    /// A JSON object.
    Json,
    /// Structured data of RFC 5424.
    Data,
}

/// How `key=value` pairs are written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pairs {
    /// Between pairs.
    pub between: String,
    /// Between key and value.
    pub equals: String,
}

impl Default for Pairs {
    fn default() -> Self {
        Self { between: " ".to_owned(), equals: "=".to_owned() }
    }
}

/// Columns of separated values.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    /// Separator, one byte; a comma when absent, `\t` for tabulators.
    pub separator: String,
    /// Number of the column, from 1, whose value chooses the list of names; the number of columns when absent.
    pub switch: Option<usize>,
    /// Whether a file names its columns itself, in a line `#Fields:` (W3C extended log file format); the lists are
    /// then for files without one, and the separator is that of the names when none is given.
    pub head: bool,
    /// Lists of names by that value; `*` for all others. An empty name is a column that is not kept.
    pub names: BTreeMap<String, Vec<String>>,
}

/// One shape of text.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pattern {
    /// Template of the whole text.
    pub line: Option<String>,
    /// Instead of a template: a regular expression whose named groups are fields.
    pub regex: Option<String>,
    /// Types of the groups of the expression, by name.
    pub convert: Map<String, Value>,
    /// Values of the head's `switch` for which it is tried.
    pub case: Vec<String>,
    /// Fields that are set.
    pub set: Map<String, Value>,
}

/// A field that is taken apart further.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Which: one of the text, of the room or of the map.
    pub of: String,
    /// Templates of its whole text, the first that fits is taken.
    pub line: Vec<String>,
}

/// What else is set when fields have certain values.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Fields with one of these values: a text, a list of texts (`*` at the end stands for any), or `true` and
    /// `false` for being there or not. All of them.
    #[serde(rename = "if")]
    pub test: Map<String, Value>,
    /// Fields that are set.
    pub set: Map<String, Value>,
    /// Fields by the raw fields they are made from.
    pub map: Map<String, Value>,
}
