//! Data sets at run time: what was loaded, and over it what rules have added and taken away.

use crate::{
    check::{
        dataset::Dataset,
        rule::{DatasetOp, DatasetTest, Digest, Entropy, FileTest},
    },
    scan::{queue::Note, tables::Tables},
    view::FileFacts,
};

/// Most bytes of one value that a rule adds.
const MAX_VALUE: usize = 4_096;
/// Most labels that are taken off a name.
const MAX_LABELS: usize = 128;

/// What data sets answer to bytes of traffic: whether the test holds, and the context found.
pub(super) fn holds(
    sets: &[Dataset],
    tables: &Tables,
    test: &DatasetTest,
    bytes: &[u8],
) -> (bool, Option<Note>) {
    let Some(set) = sets.get(test.set as usize) else { return (false, None) };
    let key = set.kind.key(bytes);
    match test.op {
        DatasetOp::IsSet | DatasetOp::IsNotSet => {
            let found = key.and_then(|key| find(set, tables, &key, test.subdomain));
            let wanted = test.op == DatasetOp::IsSet;
            let note = found
                .filter(|_| wanted && !set.contexts.is_empty())
                .map(|context| Note::Context { set: test.set, context });
            (found.is_some() == wanted && !bytes.is_empty(), note)
        }
        DatasetOp::Reputation(cmp) => {
            let found = key.and_then(|key| set.values.get(key.as_ref()));
            (found.is_some_and(|value| cmp.holds(u64::from(*value))), None)
        }
        DatasetOp::Set | DatasetOp::Unset => {
            let Some(key) = key.filter(|key| key.len() <= MAX_VALUE) else { return (false, None) };
            let add = test.op == DatasetOp::Set;
            let there = find(set, tables, &key, false).is_some();
            (there != add && tables.change_value(&set.name, key, add), None)
        }
    }
}

/// The number kept with a value that is in the set.
fn find(set: &Dataset, tables: &Tables, key: &[u8], subdomain: bool) -> Option<u32> {
    let one = |key: &[u8]| match tables.value(&set.name, key) {
        Some(true) => Some(set.values.get(key).copied().unwrap_or(u32::MAX)),
        Some(false) => None,
        None => set.values.get(key).copied(),
    };
    one(key).or_else(|| {
        let dots = memchr::memchr_iter(b'.', key).take(if subdomain { MAX_LABELS } else { 0 });
        dots.flat_map(|dot| [dot, dot + 1])
            .filter_map(|from| key.get(from..))
            .filter(|suffix| !suffix.is_empty())
            .find_map(one)
    })
}

/// Whether a file fulfils a test; `None` while that is open.
pub(super) fn file_holds(sets: &[Dataset], test: &FileTest, file: &FileFacts<'_>) -> Option<bool> {
    match test {
        FileTest::Any => Some(true),
        FileTest::Size(cmp) => size_holds(*cmp, file),
        FileTest::Name { .. } if file.name.is_empty() => Some(false),
        FileTest::Name { part, extension: true, negated } => {
            let name = file.name.to_ascii_lowercase();
            let found = name.strip_suffix(part.as_ref()).is_some_and(|rest| rest.ends_with(b"."));
            Some(found != *negated)
        }
        FileTest::Name { part, extension: false, negated } => {
            let name = file.name.to_ascii_lowercase();
            Some(memchr::memmem::find(&name, part).is_some() != *negated)
        }
        FileTest::Magic { part, negated } => {
            let magic = file.magic?.to_ascii_lowercase();
            Some(memchr::memmem::find(magic.as_bytes(), part).is_some() != *negated)
        }
        FileTest::Listed { digest, set, negated } => {
            let set = sets.get(*set as usize)?;
            let digest: Option<&[u8]> = match digest {
                Digest::Md5 => file.md5.as_ref().map(<[u8; 16]>::as_slice),
                Digest::Sha1 => file.sha1.as_ref().map(<[u8; 20]>::as_slice),
                Digest::Sha256 => file.sha256.as_ref().map(<[u8; 32]>::as_slice),
            };
            match digest {
                Some(digest) => Some(set.values.contains_key(digest) != *negated),
                // A file that is not whole has no digest.
                None => (file.complete || file.truncated).then_some(false),
            }
        }
    }
}

fn size_holds(cmp: crate::check::rule::Cmp, file: &FileFacts<'_>) -> Option<bool> {
    use crate::check::rule::Cmp;
    if file.complete && !file.truncated {
        return Some(cmp.holds(file.size));
    }
    match cmp {
        // A file beyond a lower bound stays beyond it.
        Cmp::Gt(_) | Cmp::Ge(_) if cmp.holds(file.size) => Some(true),
        _ => file.truncated.then_some(false),
    }
}

/// Whether the bits of information per byte fulfil a comparison, and how many there are.
#[expect(clippy::cast_precision_loss, reason = "counts of bytes in a buffer are far below 2^52")]
pub(super) fn entropy(entropy: &Entropy, bytes: &[u8]) -> (bool, f64) {
    let part = bytes.get(entropy.offset as usize..).unwrap_or_default();
    let most = entropy.bytes.map_or(part.len(), |most| part.len().min(most as usize));
    let part = part.get(..most).unwrap_or_default();
    if part.is_empty() {
        return (false, 0.0);
    }
    let mut counts = [0_u32; 256];
    for byte in part {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let total = part.len() as f64;
    let bits = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / total)
        .map(|share| -share * share.log2())
        .sum::<f64>();
    (entropy.cmp.holds(bits), bits)
}
