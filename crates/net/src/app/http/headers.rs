//! Header fields of one message: in order, repeats joined, folded lines unfolded.

/// Header fields kept per message.
const MAX_FIELDS: usize = 1024;
/// Bytes kept of all header fields of a message.
const MAX_BYTES: usize = 256 << 10;

#[derive(Clone, Debug)]
struct Field {
    name: Vec<u8>,
    value: Vec<u8>,
}

/// The header fields of a message.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    fields: Vec<Field>,
    raw: Vec<u8>,
    block: Vec<u8>,
    bytes: usize,
}

/// What adding a line had to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::app) struct Added {
    pub(in crate::app) repeated: bool,
    pub(in crate::app) too_many: bool,
    /// Another length than before.
    pub(in crate::app) ambiguous: bool,
}

impl Headers {
    /// Number of distinct fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// True without fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Name and value of every field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|f| (f.name.as_slice(), f.value.as_slice()))
    }

    /// The value of a field; the name in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let wanted = name.as_bytes();
        let field = self.fields.iter().find(|f| f.name.eq_ignore_ascii_case(wanted))?;
        Some(&field.value)
    }

    /// The value of a field as clients understand it: zero bytes in name and value do not count.
    #[must_use]
    pub fn understood(&self, name: &str) -> Option<Vec<u8>> {
        let wanted = name.as_bytes();
        let is_it = |field: &&Field| {
            let spelled = field.name.iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase);
            spelled.eq(wanted.iter().copied())
        };
        let field = self.fields.iter().find(is_it)?;
        Some(field.value.iter().copied().filter(|byte| *byte != 0).collect())
    }

    /// The header block as sent, with the empty line that ends it.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// `Name: value\r\n` for every field but cookies, as the `http.header` keyword sees it.
    #[must_use]
    pub fn block(&self) -> &[u8] {
        &self.block
    }

    /// The names as the `http.header_names` keyword sees them: `\r\nHost\r\nUser-Agent\r\n\r\n`.
    #[must_use]
    pub fn names(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.fields.len().saturating_mul(16).saturating_add(4));
        if self.fields.is_empty() {
            return out;
        }
        out.extend_from_slice(b"\r\n");
        for field in &self.fields {
            out.extend_from_slice(&field.name);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    /// Adds a line as sent; false when there is no room for it.
    pub(in crate::app) fn push_raw(&mut self, line: &[u8]) -> bool {
        let fits = self.raw.len().saturating_add(line.len()) <= MAX_BYTES;
        if fits {
            self.raw.extend_from_slice(line);
        }
        fits
    }

    /// Adds a field; a name that is there already gets the value after a comma.
    pub(in crate::app) fn add(&mut self, name: &[u8], value: &[u8]) -> Added {
        let more = name.len().saturating_add(value.len());
        if self.fields.len() >= MAX_FIELDS || self.bytes.saturating_add(more) > MAX_BYTES {
            return Added { too_many: true, ..Added::default() };
        }
        self.bytes = self.bytes.saturating_add(more);
        if let Some(field) = self.fields.iter_mut().find(|f| f.name.eq_ignore_ascii_case(name)) {
            if name.eq_ignore_ascii_case(b"content-length") {
                // Two lengths are no longer one: the first stands.
                let ambiguous = field.value.trim_ascii() != value.trim_ascii();
                return Added { repeated: true, ambiguous, ..Added::default() };
            }
            field.value.extend_from_slice(b", ");
            field.value.extend_from_slice(value);
            return Added { repeated: true, ..Added::default() };
        }
        self.fields.push(Field { name: name.to_vec(), value: value.to_vec() });
        Added::default()
    }

    /// All headers are there: writes the block.
    pub(in crate::app) fn complete(&mut self, skip: &[u8]) {
        self.block.clear();
        for field in &self.fields {
            if field.name.eq_ignore_ascii_case(skip) {
                continue;
            }
            self.block.extend_from_slice(&field.name);
            self.block.extend_from_slice(b": ");
            self.block.extend_from_slice(&field.value);
            self.block.extend_from_slice(b"\r\n");
        }
    }
}
