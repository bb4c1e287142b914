//! What the index knows of fields: their names, how many events have them, their values by prefix.
//!
//! For suggestions and lists, never for answers: deleted events may still be counted, and of very many
//! values only the first in order are looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use event::FieldType;
use hashbrown::HashMap;
use tantivy::columnar::{ColumnIndex, ColumnType, ColumnarReader};
use tantivy::index::{SegmentComponent, SegmentId};
use tantivy::schema::Field;
use tantivy::{SegmentReader, Term};

use crate::search::plan::FieldRef;
use crate::search::{FieldSeen, SearchError, ValueSeen};
use crate::store::index::partition::Partition;
use crate::store::index::schema::{
    BARE, DYNAMIC, Fields, PRESENT, SOURCE, TIE, has_column, placed,
};

/// Most terms of one segment looked at for values.
const MAX_TERMS: usize = 2_000;
/// Most names kept: an attacker may invent fields without end.
const MAX_FIELDS: usize = 10_000;
/// What stands between the parts of a name in columns of the dynamic field.
const PATH: char = '\u{1}';

/// Names, kinds of values and number of events of one segment.
type Names = BTreeMap<String, (BTreeSet<&'static str>, u64)>;

/// Remembers the fields of segments, which never change.
#[derive(Debug, Default)]
pub struct Known(Mutex<HashMap<SegmentId, Arc<Names>>>);

impl Known {
    /// The fields of all partitions, by name.
    ///
    /// # Errors
    /// [`SearchError::Failed`].
    pub fn fields(&self, partitions: &[Arc<Partition>]) -> Result<Vec<FieldSeen>, SearchError> {
        self.gather(partitions).map_err(|error| failed(&error))
    }

    fn gather(&self, partitions: &[Arc<Partition>]) -> tantivy::Result<Vec<FieldSeen>> {
        let (mut all, mut fresh) = (Names::new(), HashMap::new());
        for partition in partitions {
            for reader in partition.reader.searcher().segment_readers() {
                let names = self.segment(reader, &partition.fields)?;
                for (name, (kinds, events)) in names.iter() {
                    if all.len() >= MAX_FIELDS && !all.contains_key(name) {
                        continue;
                    }
                    let slot = all.entry(name.clone()).or_default();
                    slot.0.extend(kinds);
                    slot.1 = slot.1.saturating_add(*events);
                }
                fresh.insert(reader.segment_id(), names);
            }
        }
        // Segments that have been merged away are forgotten.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        let seen = all.into_iter().map(|(name, (kinds, events))| FieldSeen {
            name,
            kinds: kinds.into_iter().map(str::to_owned).collect(),
            events,
        });
        Ok(seen.collect())
    }

    fn segment(&self, reader: &SegmentReader, fields: &Fields) -> tantivy::Result<Arc<Names>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(names) = known.get(&reader.segment_id()) {
            return Ok(Arc::clone(names));
        }
        drop(known);
        Ok(Arc::new(names(reader, fields)?))
    }
}

fn failed(error: &tantivy::TantivyError) -> SearchError {
    SearchError::Failed { reason: error.to_string() }
}

fn names(reader: &SegmentReader, fields: &Fields) -> tantivy::Result<Names> {
    let mut out = Names::new();
    let dynamic = format!("{DYNAMIC}{PATH}");
    let columns = ColumnarReader::open(reader.open_read(SegmentComponent::FastFields)?)?;
    for (column, handle) in columns.list_columns()? {
        let own = ![DYNAMIC, BARE, PRESENT, TIE, SOURCE].contains(&column.as_str());
        let name = match column.strip_prefix(&dynamic) {
            Some(path) => path.replace(PATH, "."),
            None if own => column,
            None => continue,
        };
        let events = match handle.open()?.column_index() {
            ColumnIndex::Empty { .. } => 0,
            ColumnIndex::Full => u64::from(reader.max_doc()),
            ColumnIndex::Optional(index) => u64::from(index.num_non_nulls()),
            ColumnIndex::Multivalued(index) => {
                index.iter_non_null_docs().fold(0_u64, |count, _| count.saturating_add(1))
            }
        };
        add(&mut out, &name, kind(handle.column_type()), events);
    }
    let present = reader.inverted_index(fields.present)?;
    for known in event::FIELDS.iter().filter(|known| placed(known.kind) && !has_column(known.name))
    {
        let events = present.doc_freq(&Term::from_field_text(fields.present, known.name))?;
        add(&mut out, known.name, "text", u64::from(events));
    }
    Ok(out)
}

fn add(names: &mut Names, name: &str, kind: &'static str, events: u64) {
    if events > 0 && (names.len() < MAX_FIELDS || names.contains_key(name)) {
        let slot = names.entry(name.to_owned()).or_default();
        slot.0.insert(kind);
        slot.1 = slot.1.saturating_add(events);
    }
}

const fn kind(column: ColumnType) -> &'static str {
    match column {
        ColumnType::I64 | ColumnType::U64 | ColumnType::F64 => "number",
        ColumnType::Bool => "bool",
        ColumnType::IpAddr => "ip",
        ColumnType::DateTime => "date",
        ColumnType::Bytes | ColumnType::Str => "text",
    }
}

/// The most frequent values of a field that begin with `prefix`, from the newest partitions.
///
/// # Errors
/// [`SearchError::Failed`].
pub fn values(
    partitions: &[Arc<Partition>],
    field: &FieldRef,
    prefix: &str,
    count: usize,
) -> Result<Vec<ValueSeen>, SearchError> {
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for partition in partitions.iter().rev() {
        for reader in partition.reader.searcher().segment_readers() {
            segment_values(reader, (field, &partition.fields), prefix, &mut found)
                .map_err(|error| failed(&error))?;
        }
        if found.len() >= count.saturating_mul(4) {
            break;
        }
    }
    let mut seen: Vec<ValueSeen> =
        found.into_iter().map(|(value, events)| ValueSeen { value, events }).collect();
    seen.sort_by(|a, b| b.events.cmp(&a.events).then_with(|| a.value.cmp(&b.value)));
    seen.truncate(count);
    Ok(seen)
}

fn segment_values(
    reader: &SegmentReader,
    (field, fields): (&FieldRef, &Fields),
    prefix: &str,
    found: &mut BTreeMap<String, u64>,
) -> tantivy::Result<()> {
    let own = field.kind().filter(|kind| placed(*kind));
    let place = own.and_then(|kind| Some((kind, *fields.known.get(&field.name)?)));
    match place {
        Some((FieldType::Keyword, own)) => terms(reader, (own, b""), prefix, found),
        Some((FieldType::Text, own)) => terms(reader, (own, b""), &prefix.to_lowercase(), found),
        Some((FieldType::Ip, own)) => addresses(reader, own, prefix, found),
        Some(_) => Ok(()),
        None => {
            let mut path = Term::from_field_json_path(fields.dynamic, &field.name, true);
            path.append_type_and_str("");
            terms(reader, (fields.dynamic, path.serialized_value_bytes()), prefix, found)
        }
    }
}

fn terms(
    reader: &SegmentReader,
    (field, head): (Field, &[u8]),
    prefix: &str,
    found: &mut BTreeMap<String, u64>,
) -> tantivy::Result<()> {
    let low = [head, prefix.as_bytes()].concat();
    let index = reader.inverted_index(field)?;
    let mut stream = index.terms().range().ge(&low).into_stream()?;
    for _ in 0..MAX_TERMS {
        if !stream.advance() || !stream.key().starts_with(&low) {
            break;
        }
        let value = stream.key().get(head.len()..).map(String::from_utf8_lossy);
        if let Some(value) = value {
            let slot = found.entry(value.into_owned()).or_default();
            *slot = slot.saturating_add(u64::from(stream.value().doc_freq));
        }
    }
    Ok(())
}

/// Addresses lie in the dictionary as 16 bytes; those of IPv4 are found by whole numbers before dots.
fn addresses(
    reader: &SegmentReader,
    field: Field,
    prefix: &str,
    found: &mut BTreeMap<String, u64>,
) -> tantivy::Result<()> {
    let octets: Vec<u8> = prefix
        .rsplit_once('.')
        .map_or("", |(whole, _)| whole)
        .split('.')
        .map_while(|octet| octet.parse().ok())
        .collect();
    let mut low = Vec::new();
    if !octets.is_empty() {
        low.extend([0; 10]);
        low.extend([0xff, 0xff]);
        low.extend(octets.iter().take(4));
    }
    let index = reader.inverted_index(field)?;
    let mut stream = index.terms().range().ge(&low).into_stream()?;
    for _ in 0..MAX_TERMS {
        if !stream.advance() || !stream.key().starts_with(&low) {
            break;
        }
        let Ok(bytes) = <[u8; 16]>::try_from(stream.key()) else { continue };
        let text = std::net::Ipv6Addr::from(bytes).to_canonical().to_string();
        if text.starts_with(prefix) {
            let slot = found.entry(text).or_default();
            *slot = slot.saturating_add(u64::from(stream.value().doc_freq));
        }
    }
    Ok(())
}
