//! The index schema and how a document becomes index fields.
//!
//! Keyword, text, address and date fields of the dictionary have a column and postings of their
//! own; numbers, truths and everything outside the dictionary live by name in one dynamic field,
//! which keeps integer, float and text values of one name apart. The document itself is kept as
//! it came. `timestamp` is the required time column.

use std::ops::Bound;

use event::{Field as Known, FieldType, Timestamp};
use hashbrown::HashMap;
use tantivy::schema::{
    DateOptions, DateTimePrecision, FAST, Field, IndexRecordOption, IpAddrOptions,
    JsonObjectOptions, NumericOptions, OwnedValue, STORED, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer, TokenizerManager};
use tantivy::{DateTime, IndexSettings};
use tantivy::{Document as _, TantivyDocument};

use crate::search::value::{self, Number, Value};
use crate::search::words::{Words, words};
use crate::store::SourceKey;

/// Name of the dynamic field.
pub const DYNAMIC: &str = "_x";
/// Name of the field of bare terms.
pub const BARE: &str = "_bare";
/// Name of the field naming those present that have no column.
pub const PRESENT: &str = "_present";
/// Name of the tie-breaker.
pub const TIE: &str = "_tie";
/// Name of the stored document.
pub const SOURCE: &str = "_source";
/// Separates bare terms.
const SEPARATOR: char = '\u{1f}';

/// Texts too long and too different to be worth a column: they cannot be grouped by.
const NO_COLUMN: [&str; 4] = ["message", "event.original", "detection.explanation", "event.id"];

/// The fields of an index.
#[derive(Clone, Debug)]
pub struct Fields {
    /// Fields of the dictionary, by canonical name.
    pub known: HashMap<String, Field>,
    /// See [`DYNAMIC`].
    pub dynamic: Field,
    /// See [`BARE`].
    pub bare: Field,
    /// See [`PRESENT`].
    pub present: Field,
    /// See [`TIE`].
    pub tie: Field,
    /// See [`SOURCE`].
    pub source: Field,
    /// Time of the event.
    pub time: Field,
}

/// Whether a field of the dictionary has a place of its own in the index.
#[must_use]
pub const fn placed(kind: FieldType) -> bool {
    matches!(kind, FieldType::Keyword | FieldType::Text | FieldType::Ip | FieldType::Date)
}

/// Whether a field has a column.
#[must_use]
pub fn has_column(name: &str) -> bool {
    !NO_COLUMN.contains(&name)
}

fn text_options(tokenizer: &str, record: IndexRecordOption, column: bool) -> TextOptions {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(tokenizer)
        .set_fieldnorms(false)
        .set_index_option(record);
    let options = TextOptions::default().set_indexing_options(indexing);
    if column { options.set_fast("raw") } else { options }
}

/// The schema of new partitions.
#[must_use]
pub fn schema() -> Schema {
    let mut builder = Schema::builder();
    for field in event::FIELDS.iter().filter(|field| placed(field.kind)) {
        let column = has_column(field.name);
        match field.kind {
            FieldType::Text => {
                let record = IndexRecordOption::WithFreqsAndPositions;
                builder.add_text_field(field.name, text_options("words", record, column));
            }
            FieldType::Ip => {
                builder.add_ip_addr_field(
                    field.name,
                    IpAddrOptions::default().set_indexed().set_fast(),
                );
            }
            FieldType::Date => {
                let options = DateOptions::default()
                    .set_fast()
                    .set_precision(DateTimePrecision::Microseconds);
                builder.add_date_field(field.name, options);
            }
            FieldType::Keyword | FieldType::Number | FieldType::Bool => {
                let record = IndexRecordOption::Basic;
                builder.add_text_field(field.name, text_options("raw", record, column));
            }
        }
    }
    let raw = TextFieldIndexing::default()
        .set_tokenizer("raw")
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::Basic);
    let dynamic = JsonObjectOptions::default()
        .set_indexing_options(raw)
        .set_fast("raw")
        .set_expand_dots_enabled();
    builder.add_json_field(DYNAMIC, dynamic);
    builder.add_text_field(BARE, text_options("bare", IndexRecordOption::Basic, false));
    builder.add_text_field(PRESENT, text_options("raw", IndexRecordOption::Basic, false));
    builder.add_u64_field(TIE, NumericOptions::default() | FAST);
    builder.add_bytes_field(SOURCE, STORED);
    builder.build()
}

/// How documents are kept. Larger blocks compress better and cost more to read one of.
#[must_use]
pub fn settings() -> IndexSettings {
    IndexSettings {
        docstore_compression: Compressor::Zstd(ZstdCompressor { compression_level: Some(3) }),
        docstore_blocksize: 128 << 10,
        ..IndexSettings::default()
    }
}

/// The tokenizers the schema names.
#[must_use]
pub fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::default();
    manager.register("words", WordTokenizer { whole: false, token: Token::default() });
    manager.register("bare", WordTokenizer { whole: true, token: Token::default() });
    manager
}

impl Fields {
    /// Finds the fields in a schema; the message names the one that is absent.
    ///
    /// # Errors
    /// The index library's.
    pub fn of(schema: &Schema) -> tantivy::Result<Self> {
        let known = event::FIELDS
            .iter()
            .filter(|field| placed(field.kind))
            .filter_map(|field| Some((field.name.to_owned(), schema.get_field(field.name).ok()?)));
        Ok(Self {
            known: known.collect(),
            dynamic: schema.get_field(DYNAMIC)?,
            bare: schema.get_field(BARE)?,
            present: schema.get_field(PRESENT)?,
            tie: schema.get_field(TIE)?,
            source: schema.get_field(SOURCE)?,
            time: schema.get_field("timestamp")?,
        })
    }

    /// The index document of an event, and how many of its values were left out.
    #[must_use]
    pub fn document(&self, event: &Indexable<'_>) -> (TantivyDocument, u32) {
        let mut out = TantivyDocument::default();
        let mut dynamic: Vec<(String, OwnedValue)> = Vec::new();
        let mut bare = String::new();
        let left_out = value::visit(event.document, &mut |name, known, value| {
            value::bare_terms(name, &value, &mut |term| {
                bare.push_str(term);
                bare.push(SEPARATOR);
            });
            if name == "timestamp" {
                return;
            }
            if let Some(value) = self.place(&mut out, name, known, value) {
                dynamic.push((name.to_owned(), value));
            }
        });
        out.add_date(self.time, date(event.time));
        out.add_u64(self.tie, event.tie);
        out.add_text(self.bare, bare);
        if !dynamic.is_empty() {
            out.add_field_value(self.dynamic, &OwnedValue::Object(dynamic));
        }
        out.add_bytes(self.source, event.json);
        (out, left_out)
    }

    /// Adds a value to its own field; gives it back when it belongs to the dynamic one.
    fn place(
        &self,
        out: &mut TantivyDocument,
        name: &str,
        known: Option<&'static Known>,
        value: Value<'_>,
    ) -> Option<OwnedValue> {
        let own = known
            .filter(|field| placed(field.kind) && value::fits(field.kind, &value))
            .and_then(|_| self.known.get(name));
        if let Some(&field) = own {
            if !has_column(name) {
                out.add_text(self.present, name);
            }
            match value {
                Value::Keyword(text) | Value::Text(text) => out.add_text(field, text),
                Value::Ip(address) => out.add_ip_addr(field, address),
                Value::Date(micros) => out.add_date(field, date(micros)),
                Value::Number(_) | Value::Bool(_) => {}
            }
            return None;
        }
        Some(match value {
            Value::Keyword(text) | Value::Text(text) => OwnedValue::Str(text.into_owned()),
            Value::Number(Number::Int(int)) => OwnedValue::I64(int),
            Value::Number(Number::Big(big)) => OwnedValue::U64(big),
            Value::Number(Number::Float(float)) => OwnedValue::F64(float),
            Value::Bool(truth) => OwnedValue::Bool(truth),
            Value::Ip(address) => OwnedValue::Str(address.to_canonical().to_string()),
            Value::Date(micros) => OwnedValue::Str(Timestamp::from_micros(micros).to_string()),
        })
    }
}

/// A time as the index has it.
#[must_use]
pub const fn date(micros: i64) -> DateTime {
    DateTime::from_timestamp_micros(micros)
}

/// An event on its way into the index.
#[derive(Clone, Copy, Debug)]
pub struct Indexable<'a> {
    /// The event.
    pub document: &'a event::Document,
    /// When it happened: [`event_time`].
    pub time: i64,
    /// [`Ties::of`].
    pub tie: u64,
    /// The event as it is kept.
    pub json: &'a [u8],
}

/// When an event happened, microseconds: its `timestamp`, or when it was received.
#[must_use]
pub fn event_time(document: &event::Document, received: Timestamp) -> i64 {
    let stamp = document.get("timestamp").and_then(|value| value.as_str());
    let parsed = stamp.and_then(|stamp| stamp.parse::<Timestamp>().ok());
    value::clamp(parsed.unwrap_or(received).micros())
}

/// Breaks ties of the time order: by source, then sequence. Two events of one microsecond share
/// it only when the CRCs of their sources collide and their sequences are equal modulo 2^32.
#[derive(Clone, Copy, Debug)]
pub struct Ties(u64);

impl Ties {
    /// Those of a source.
    #[must_use]
    pub fn new(source: &SourceKey) -> Self {
        let mut crc = crc32fast::Hasher::new();
        crc.update(source.agent.as_str().as_bytes());
        crc.update(&source.boot.to_le_bytes());
        Self(u64::from(crc.finalize()) << 32)
    }

    /// That of a sequence.
    #[must_use]
    pub const fn of(self, seq: u64) -> u64 {
        self.0 | (seq & 0xffff_ffff)
    }
}

/// Bounds mapped through a function.
pub fn map_bound<T, U>(bound: &Bound<T>, map: impl FnOnce(&T) -> U) -> Bound<U> {
    match bound {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Included(value) => Bound::Included(map(value)),
        Bound::Excluded(value) => Bound::Excluded(map(value)),
    }
}

/// Tantivy's view of [`words`], or of separated bare terms.
#[derive(Clone)]
struct WordTokenizer {
    whole: bool,
    token: Token,
}

struct WordStream<'a> {
    words: Words<'a>,
    bare: Option<std::str::Split<'a, char>>,
    token: &'a mut Token,
}

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        let bare = self.whole.then(|| text.split(SEPARATOR));
        WordStream { words: words(text), bare, token: &mut self.token }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        self.token.position = self.token.position.wrapping_add(1);
        if let Some(bare) = &mut self.bare {
            let Some(term) = bare.find(|term| !term.is_empty()) else { return false };
            self.token.text.clear();
            self.token.text.push_str(term);
            return true;
        }
        match self.words.next_into(&mut self.token.text) {
            Some((from, to)) => {
                self.token.offset_from = from;
                self.token.offset_to = to;
                true
            }
            None => false,
        }
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

/// The stored document of an index document.
#[must_use]
pub fn source_of(fields: &Fields, document: &TantivyDocument) -> Option<event::Document> {
    let (_, value) =
        document.iter_fields_and_values().find(|(field, _)| *field == fields.source)?;
    serde_json::from_slice(tantivy::schema::Value::as_bytes(&value)?).ok()
}
