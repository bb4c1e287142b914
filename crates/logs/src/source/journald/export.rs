//! The journal's export format (systemd: "Journal Export Formats"): fields as `NAME=text`, or as
//! `NAME`, a length of eight bytes and so many bytes; an empty line ends a record.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

/// Most bytes kept of one field; the rest is cut and counted.
const MAX_VALUE: u64 = 64 * 1024;
/// Most bytes of a field's name.
const MAX_NAME: u64 = 256;
/// Most fields kept of one record.
const MAX_FIELDS: usize = 512;

/// One record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    fields: BTreeMap<String, Vec<u8>>,
    /// Bytes of all fields.
    pub(super) bytes: u64,
    /// Bytes that were cut off.
    pub(super) cut: u64,
}

impl Record {
    /// A field as text; bytes that are no UTF-8 are replaced.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.fields.get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    fn insert(&mut self, name: String, value: Vec<u8>, length: u64) {
        self.bytes = self.bytes.saturating_add(length);
        let kept = u64::try_from(value.len()).unwrap_or(u64::MAX);
        self.cut = self.cut.saturating_add(length.saturating_sub(kept));
        // Of a field that is there several times the first one counts.
        if self.fields.len() < MAX_FIELDS {
            self.fields.entry(name).or_insert(value);
        }
    }
}

/// Up to a line feed or the most bytes: those kept, how many there were, whether a line feed came.
fn line(reader: &mut impl BufRead, most: u64) -> io::Result<(Vec<u8>, u64, bool)> {
    let mut kept = Vec::new();
    reader.by_ref().take(most).read_until(b'\n', &mut kept)?;
    let mut length = u64::try_from(kept.len()).unwrap_or(u64::MAX);
    if kept.last() == Some(&b'\n') {
        kept.pop();
        return Ok((kept, length.saturating_sub(1), true));
    }
    loop {
        let available = reader.fill_buf()?;
        if available.is_empty() {
            return Ok((kept, length, false));
        }
        let end = memchr::memchr(b'\n', available);
        let count = end.unwrap_or(available.len());
        length = length.saturating_add(u64::try_from(count).unwrap_or(0));
        reader.consume(count.saturating_add(usize::from(end.is_some())));
        if end.is_some() {
            return Ok((kept, length, true));
        }
    }
}

/// A value with its length before it.
fn binary(reader: &mut impl BufRead) -> io::Result<(Vec<u8>, u64)> {
    let mut length = [0; 8];
    reader.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let mut kept = Vec::new();
    reader.by_ref().take(length.min(MAX_VALUE)).read_to_end(&mut kept)?;
    let rest = length.saturating_sub(MAX_VALUE);
    let skipped = io::copy(&mut reader.by_ref().take(rest), &mut io::sink())?;
    let mut feed = [0];
    reader.read_exact(&mut feed)?;
    if skipped < rest || feed != [b'\n'] {
        return Err(io::Error::other("a field of the journal does not end where it should"));
    }
    Ok((kept, length))
}

/// The next record; `None` at the end of the stream. One that is not complete is none.
///
/// # Errors
/// When the stream cannot be read, or is not in this format.
pub(super) fn next(reader: &mut impl BufRead) -> io::Result<Option<Record>> {
    let mut record = Record::default();
    loop {
        let (bytes, length, ended) = line(reader, MAX_NAME.saturating_add(MAX_VALUE))?;
        if !ended {
            return Ok(None);
        }
        if bytes.is_empty() {
            if record.fields.is_empty() {
                continue;
            }
            return Ok(Some(record));
        }
        let split = memchr::memchr(b'=', &bytes);
        let name = bytes.get(..split.unwrap_or(bytes.len())).unwrap_or_default();
        let plain = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_';
        if name.len() > 256 || !name.iter().all(plain) {
            return Err(io::Error::other("this is not the journal's export format"));
        }
        let name = String::from_utf8_lossy(name).into_owned();
        match split {
            Some(at) => {
                let value = bytes.get(at.saturating_add(1)..).unwrap_or_default();
                let before = u64::try_from(at.saturating_add(1)).unwrap_or(0);
                let most = usize::try_from(MAX_VALUE).unwrap_or(usize::MAX).min(value.len());
                let kept = value.get(..most).unwrap_or_default().to_vec();
                record.insert(name, kept, length.saturating_sub(before));
            }
            None => {
                let (value, length) = binary(reader)?;
                record.insert(name, value, length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(mut bytes: &[u8]) -> (Vec<Record>, Option<String>) {
        let mut out = Vec::new();
        loop {
            match next(&mut bytes) {
                Ok(Some(record)) => out.push(record),
                Ok(None) => return (out, None),
                Err(error) => return (out, Some(error.to_string())),
            }
        }
    }

    fn binary(name: &str, value: &[u8]) -> Vec<u8> {
        let length = (value.len() as u64).to_le_bytes();
        [name.as_bytes(), b"\n", &length, value, b"\n"].concat()
    }

    #[test]
    fn records() {
        let bytes = [
            b"__CURSOR=s=1;i=2\nMESSAGE=one = 1\n\n\nMESSAGE=two\nMESSAGE=again\n".to_vec(),
            binary("DATA", b"a\n\n\xff\0=b"),
            b"\nMESSAGE=cut".to_vec(),
        ];
        let (found, error) = read(&bytes.concat());
        assert_eq!((found.len(), error), (2, None));
        assert_eq!(found[0].text("__CURSOR").unwrap(), "s=1;i=2");
        assert_eq!(found[0].text("MESSAGE").unwrap(), "one = 1");
        assert_eq!(found[1].text("MESSAGE").unwrap(), "two");
        assert_eq!(found[1].text("DATA").unwrap(), "a\n\n\u{fffd}\0=b");
        assert_eq!((found[1].bytes, found[1].cut), (15, 0));
    }

    #[test]
    fn long_fields_are_cut_and_the_next_record_is_whole() {
        for field in [
            [b"MESSAGE=".to_vec(), vec![b'x'; 1_000_000], b"\n".to_vec()].concat(),
            binary("MESSAGE", &[b'x'; 1_000_000]),
        ] {
            let (found, error) = read(&[field, b"\nMESSAGE=next\n\n".to_vec()].concat());
            assert_eq!((found.len(), error), (2, None));
            assert_eq!((found[0].bytes, found[0].cut), (1_000_000, 1_000_000 - 65_536));
            assert_eq!(found[1].text("MESSAGE").unwrap(), "next");
        }
    }

    #[test]
    fn what_is_none_is_an_error() {
        for bytes in [
            &b"{\"MESSAGE\":1}\n"[..],
            b"A\n\x01\0\0\0\0\0\0\0xyz\n",
            b"A\n\xff\xff\xff\xff\xff\xff\xff\xffx",
        ] {
            assert!(read(bytes).1.is_some(), "{bytes:?}");
        }
        let many: String = (0..10_000).map(|n| format!("F{n}=x\n")).collect();
        assert_eq!(read(format!("{many}\n").as_bytes()).0[0].fields.len(), MAX_FIELDS);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let (found, _) = read(&bytes);
            let kept: usize = found.iter().flat_map(|one| one.fields.values()).map(Vec::len).sum();
            prop_assert!(kept <= bytes.len());
        }
    }
}
