//! A writer of event logs for tests: whole files with plain elements, without templates.

/// When the record of id 0 was written: 2026-11-22T15:04:05Z in units of 100 ns since 1601.
const BEGIN: u64 = 134_398_334_450_000_000;
/// Most records of a chunk.
pub(crate) const EACH: usize = 20;

fn text(value: &str) -> Vec<u8> {
    let units: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let count = u16::try_from(units.len() / 2).unwrap();
    [&count.to_le_bytes()[..], &units].concat()
}

/// Binary XML on its way into a chunk.
struct Xml {
    bytes: Vec<u8>,
    /// Offset of its first byte in the chunk.
    at: usize,
}

impl Xml {
    fn name(&mut self, name: &str) {
        let here = u32::try_from(self.at + self.bytes.len() + 4).unwrap();
        self.bytes.extend(here.to_le_bytes());
        self.bytes.extend([0; 6]);
        self.bytes.extend(text(name));
        self.bytes.extend([0; 2]);
    }

    fn open(&mut self, name: &str, attribute: Option<(&str, &str)>) {
        self.bytes.push(if attribute.is_some() { 0x41 } else { 0x01 });
        self.bytes.extend([0; 4]);
        self.name(name);
        if let Some((name, value)) = attribute {
            self.bytes.extend([0; 4]);
            self.bytes.push(0x06);
            self.name(name);
            self.value(value);
        }
        self.bytes.push(0x02);
    }

    fn value(&mut self, value: &str) {
        self.bytes.extend([0x05, 0x01]);
        self.bytes.extend(text(value));
    }

    fn close(&mut self) {
        self.bytes.push(0x04);
    }

    fn element(&mut self, name: &str, attribute: Option<(&str, &str)>, value: &str) {
        self.open(name, attribute);
        if !value.is_empty() {
            self.value(value);
        }
        self.close();
    }
}

fn content(id: u64, user: &str, at: usize) -> Vec<u8> {
    let mut xml = Xml { bytes: vec![0x0f, 1, 1, 0], at };
    xml.open("Event", None);
    xml.open("System", None);
    xml.element("Provider", Some(("Name", "Microsoft-Windows-Security-Auditing")), "");
    xml.element("EventID", None, "4625");
    xml.element("EventRecordID", None, &id.to_string());
    xml.element("Channel", None, "Security");
    xml.element("Computer", None, "pc1.example.org");
    xml.close();
    xml.open("EventData", None);
    xml.element("Data", Some(("Name", "TargetUserName")), user);
    xml.element("Data", Some(("Name", "IpAddress")), "192.0.2.7");
    xml.close();
    xml.close();
    xml.bytes.push(0);
    xml.bytes
}

/// A chunk with records of these ids; `user` tells logs apart.
pub(crate) fn chunk(ids: &[u64], user: &str) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    let mut last = 0;
    for &id in ids {
        last = bytes.len();
        let content = content(id, user, last + 24);
        let size = u32::try_from(content.len() + 28).unwrap().to_le_bytes();
        let time = BEGIN + id * 10_000_000;
        bytes.extend(b"**\0\0");
        bytes.extend(size);
        bytes.extend(id.to_le_bytes());
        bytes.extend(time.to_le_bytes());
        bytes.extend(content);
        bytes.extend(size);
    }
    let free = bytes.len();
    let first = ids.first().copied().unwrap_or(u64::MAX).to_le_bytes();
    let end = ids.last().copied().unwrap_or(u64::MAX).to_le_bytes();
    let sum = crc32fast::hash(&bytes[512..]);
    bytes.resize(super::CHUNK, 0);
    bytes[..8].copy_from_slice(b"ElfChnk\0");
    for (at, value) in [(8, first), (16, end), (24, first), (32, end)] {
        bytes[at..at + 8].copy_from_slice(&value);
    }
    for (at, value) in [(40, 128), (44, last), (48, free)] {
        bytes[at..at + 4].copy_from_slice(&u32::try_from(value).unwrap().to_le_bytes());
    }
    bytes[52..56].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// A file of chunks; its header says nothing of them, as that of a log in use may.
pub(crate) fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    bytes[..8].copy_from_slice(b"ElfFile\0");
    bytes[32..36].copy_from_slice(&128_u32.to_le_bytes());
    bytes[36..38].copy_from_slice(&1_u16.to_le_bytes());
    bytes[38..40].copy_from_slice(&3_u16.to_le_bytes());
    bytes[40..42].copy_from_slice(&4096_u16.to_le_bytes());
    bytes[120] = 1;
    [bytes, chunks.concat()].concat()
}

/// A file with records of these ids, [`EACH`] in a chunk.
pub(crate) fn log(ids: std::ops::RangeInclusive<u64>, user: &str) -> Vec<u8> {
    let ids: Vec<u64> = ids.collect();
    file(&ids.chunks(EACH).map(|ids| chunk(ids, user)).collect::<Vec<_>>())
}
