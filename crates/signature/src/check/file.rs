//! Keywords on files in transfer: `filesize`, `filename`, `fileext`, `filemagic`, `filemd5`, `filestore`, ...

use crate::{
    Buffer, Direction,
    check::{
        builder::{Builder, none, text},
        content::compare,
        dataset::Kind,
        number,
        rule::{Cmp, Digest, FileStore, FileStoreScope, FileTest},
    },
    error::RuleError,
};

/// Most tests of files in one rule.
const MAX_TESTS: usize = 16;

impl Builder<'_, '_> {
    /// Handles the keywords of this module.
    pub(super) fn file_option(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<bool, RuleError> {
        let test = match name {
            "filesize" => FileTest::Size(size(value)?),
            // Without a value it is the sticky buffer of that name.
            "filename" if value.is_some_and(|value| !value.is_empty()) => {
                let (part, negated) = quoted(name, value)?;
                FileTest::Name { part, extension: false, negated }
            }
            "fileext" => {
                let (part, negated) = quoted(name, value)?;
                FileTest::Name { part, extension: true, negated }
            }
            "filemagic" => {
                let (part, negated) = quoted(name, value)?;
                let asked = String::from_utf8_lossy(&part).into_owned();
                let known = self.checker.support.file_magic;
                if !known.iter().any(|known| known.to_ascii_lowercase().contains(&asked)) {
                    let what = "a type of file that is not told by its content";
                    return Err(RuleError::unsupported(name, what));
                }
                FileTest::Magic { part, negated }
            }
            "filemd5" => self.listed(name, value, Digest::Md5)?,
            "filesha1" => self.listed(name, value, Digest::Sha1)?,
            "filesha256" => self.listed(name, value, Digest::Sha256)?,
            "filestore" => {
                let asked = store(value)?;
                self.file_store = Some(asked);
                if asked.scope != FileStoreScope::File {
                    // The rule is about the transaction; files may come later.
                    self.usable(Buffer::FileData)?;
                    return Ok(true);
                }
                FileTest::Any
            }
            _ => return Ok(false),
        };
        self.usable(Buffer::FileData)?;
        if self.files.len() >= MAX_TESTS {
            return Err(RuleError::misplaced(name, "too many tests of files in one rule"));
        }
        self.files.push(test);
        Ok(true)
    }

    /// `filemd5:[!]list.txt`.
    fn listed(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
        digest: Digest,
    ) -> Result<FileTest, RuleError> {
        let given = text(name, value)?;
        let (negated, file) = match given.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, given.trim()),
        };
        let kind = match digest {
            Digest::Md5 => Kind::Md5,
            Digest::Sha1 => Kind::Sha1,
            Digest::Sha256 => Kind::Sha256,
        };
        let set = self.digest_list(name, file, kind)?;
        Ok(FileTest::Listed { digest, set, negated })
    }
}

/// Text in quotes, lowercase: file names and types are compared without case.
fn quoted(name: &str, value: Option<&[u8]>) -> Result<(Box<[u8]>, bool), RuleError> {
    let value = value.unwrap_or_default();
    let bad = |why: &str| RuleError::value(name, value, why);
    let (negated, inner) = crate::parse::unquote(value).map_err(bad)?;
    let decoded = crate::parse::decode_content(inner).map_err(bad)?;
    Ok((decoded.to_ascii_lowercase().into(), negated))
}

/// A comparison with units: `>10KB`, `1MB<>2MB`.
fn size(value: Option<&[u8]>) -> Result<Cmp, RuleError> {
    let given = text("filesize", value)?;
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10), ("GB", 30), ("MB", 20), ("KB", 10)];
    let Some((unit, shift)) = units
        .iter()
        .find(|(unit, _)| given.to_ascii_lowercase().contains(&unit.to_ascii_lowercase()))
    else {
        return compare("filesize", value, u64::MAX);
    };
    let bad = || RuleError::value("filesize", given.as_bytes(), "not a comparison or out of range");
    let scaled = |part: &str| -> Option<String> {
        let part = part.trim();
        let at = part.find(|c: char| c.is_ascii_digit())?;
        let (sign, digits) = part.split_at_checked(at)?;
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let (digits, unit_here) = digits.split_at_checked(end)?;
        let value = number::parse(digits)?;
        let value = match unit_here.trim() {
            "" => value,
            other if other.eq_ignore_ascii_case(unit) => value.checked_mul(1 << shift)?,
            _ => return None,
        };
        Some(format!("{sign}{value}"))
    };
    let plain = match given.split_once("<>") {
        Some((low, high)) => {
            scaled(low).zip(scaled(high)).map(|(low, high)| format!("{low}<>{high}"))
        }
        None => scaled(given),
    };
    number::compare(&plain.ok_or_else(bad)?, u64::MAX).ok_or_else(bad)
}

/// `filestore`, `filestore:to_server,tx`.
fn store(value: Option<&[u8]>) -> Result<FileStore, RuleError> {
    let mut store = FileStore { direction: None, scope: FileStoreScope::File };
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return none("filestore", None).map(|()| store);
    };
    let given = text("filestore", Some(value))?;
    let (direction, scope) = given.split_once(',').unwrap_or((given, "file"));
    store.direction = match direction.trim() {
        "request" | "to_server" => Some(Direction::ToServer),
        "response" | "to_client" => Some(Direction::ToClient),
        "both" => None,
        _ => return Err(RuleError::value("filestore", value, "unknown direction")),
    };
    store.scope = match scope.trim() {
        "file" => FileStoreScope::File,
        "tx" => FileStoreScope::Transaction,
        "ssn" | "flow" => FileStoreScope::Flow,
        _ => return Err(RuleError::value("filestore", value, "unknown scope")),
    };
    Ok(store)
}
