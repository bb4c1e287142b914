//! `dataset` and `datarep`: named sets of values, read from files when rules are loaded.
//!
//! Files are opened by the caller of the loader; here their content is understood. What rules add and take away
//! at run time is kept in [`crate::Tables`].

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::{
    check::{
        builder::{Builder, text},
        number,
        rule::{DatasetOp, DatasetTest, Item},
    },
    error::RuleError,
};

/// Most bytes of one file of values.
const MAX_FILE: u64 = 256 << 20;
/// Most values of one set.
const MAX_VALUES: usize = 4_000_000;
/// Most sets.
const MAX_SETS: usize = 4_096;

/// What the values of a set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Text,
    Md5,
    Sha1,
    Sha256,
    /// Addresses of both versions, kept as IPv6.
    Ip,
    Ipv4,
}

impl Kind {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::Text,
            "md5" => Self::Md5,
            "sha256" => Self::Sha256,
            "ip" => Self::Ip,
            "ipv4" => Self::Ipv4,
            _ => return None,
        })
    }

    /// Bytes of traffic as the set keeps them; `None` when they cannot be in it.
    pub(crate) fn key(self, bytes: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
        let fits = match self {
            Self::Text => !bytes.is_empty(),
            Self::Sha1 => bytes.len() == 20,
            Self::Sha256 => bytes.len() == 32,
            Self::Ipv4 => bytes.len() == 4,
            Self::Ip if bytes.len() == 4 => {
                let mapped = [&[0_u8; 10], [0xff_u8, 0xff].as_slice(), bytes].concat();
                return Some(mapped.into());
            }
            Self::Md5 | Self::Ip => bytes.len() == 16,
        };
        fits.then_some(bytes.into())
    }

    /// A value as files have it: base64, hex or an address; `plain` text stands in JSON.
    fn value(self, text: &str, plain: bool) -> Option<Box<[u8]>> {
        match self {
            Self::Text if plain => Some(text.as_bytes().into()),
            Self::Text => {
                let mut out = Vec::new();
                let mode = crate::check::rule::Base64Mode::Strict;
                crate::scan::decode_base64(text.as_bytes(), mode, &mut out).then(|| out.into())
            }
            Self::Md5 | Self::Sha1 | Self::Sha256 => {
                let bytes = hex(text)?;
                self.key(&bytes).map(|key| key.as_ref().into())
            }
            Self::Ip | Self::Ipv4 => {
                let octets: Vec<u8> = match text.parse::<IpAddr>().ok()? {
                    IpAddr::V4(v4) => v4.octets().into(),
                    IpAddr::V6(v6) => v6.octets().into(),
                };
                self.key(&octets).map(|key| key.as_ref().into())
            }
        }
    }
}

impl Kind {
    /// A value as files have it.
    fn shown(self, value: &[u8]) -> String {
        use base64::Engine as _;
        match self {
            Self::Text => base64::engine::general_purpose::STANDARD.encode(value),
            Self::Md5 | Self::Sha1 | Self::Sha256 => {
                value.iter().map(|byte| format!("{byte:02x}")).collect()
            }
            Self::Ip | Self::Ipv4 => {
                match (<[u8; 4]>::try_from(value), <[u8; 16]>::try_from(value)) {
                    (Ok(v4), _) => IpAddr::from(v4).to_string(),
                    (_, Ok(v6)) => IpAddr::from(v6).to_string(),
                    _ => String::new(),
                }
            }
        }
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

/// A set as it is loaded.
#[derive(Debug)]
pub(crate) struct Dataset {
    pub(crate) name: Box<str>,
    pub(crate) kind: Kind,
    /// Values with their reputation or number of their context.
    pub(crate) values: HashMap<Box<[u8]>, u32, foldhash::fast::RandomState>,
    /// Under which name contexts are shown.
    pub(crate) context_key: Box<str>,
    /// JSON objects.
    pub(crate) contexts: Vec<Box<str>>,
    /// File that what was learnt is to be written to.
    pub(crate) save: Option<Box<str>>,
    /// File it was read from.
    load: Option<Box<str>>,
}

impl Dataset {
    /// The set as a file: what was loaded with the changes that rules made, in the form it is read in.
    pub(crate) fn to_file(&self, changes: &[(Box<[u8]>, bool)]) -> Vec<u8> {
        let mut values: std::collections::BTreeSet<&[u8]> =
            self.values.keys().map(AsRef::as_ref).collect();
        for (value, there) in changes {
            if *there {
                values.insert(value);
            } else {
                values.remove(value.as_ref());
            }
        }
        let mut out = Vec::new();
        for value in values {
            out.extend_from_slice(self.kind.shown(value).as_bytes());
            out.push(b'\n');
        }
        out
    }
}

/// Options of a set.
#[derive(Default)]
struct Options<'v> {
    kind: Option<Kind>,
    load: Option<&'v str>,
    save: Option<&'v str>,
    /// A file that may be missing.
    state: bool,
    format: Format,
    context_key: &'v str,
    value_key: &'v str,
    array_key: &'v str,
    remove_key: bool,
    subdomain: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Format {
    #[default]
    Lines,
    Reputation,
    Json,
    JsonLines,
}

impl Builder<'_, '_> {
    /// Handles the keywords of this module.
    pub(super) fn dataset_option(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<bool, RuleError> {
        match name {
            "dataset" => self.dataset(text(name, value)?)?,
            "datarep" => self.datarep(text(name, value)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn dataset(&mut self, given: &str) -> Result<(), RuleError> {
        let bad = |why: &str| RuleError::value("dataset", given.as_bytes(), why);
        let parts: Vec<&str> = given.split(',').map(str::trim).collect();
        let [command, name, rest @ ..] = parts.as_slice() else {
            return Err(bad("expected command,name"));
        };
        let op = match *command {
            "set" => DatasetOp::Set,
            "unset" => DatasetOp::Unset,
            "isset" => DatasetOp::IsSet,
            "isnotset" => DatasetOp::IsNotSet,
            _ => return Err(bad("unknown command")),
        };
        let options = options(rest).map_err(|why| bad(&why))?;
        if options.subdomain && (op != DatasetOp::IsSet && op != DatasetOp::IsNotSet) {
            return Err(bad("match subdomain is for isset and isnotset"));
        }
        let set = self.set("dataset", name, &options)?;
        self.add_test("dataset", DatasetTest { set, op, subdomain: options.subdomain })
    }

    fn datarep(&mut self, given: &str) -> Result<(), RuleError> {
        let bad = |why: &str| RuleError::value("datarep", given.as_bytes(), why);
        let parts: Vec<&str> = given.split(',').map(str::trim).collect();
        let [name, op, value, rest @ ..] = parts.as_slice() else {
            return Err(bad("expected name,operator,value"));
        };
        let op = if *op == "==" { "=" } else { op };
        let cmp = number::compare(&format!("{op}{value}"), 65_535)
            .filter(|_| matches!(op, "=" | "<" | ">" | "<=" | ">=" | "!="))
            .ok_or_else(|| bad("not a comparison or out of range"))?;
        let mut options = options(rest).map_err(|why| bad(&why))?;
        options.format = Format::Reputation;
        let set = self.set("datarep", name, &options)?;
        let op = DatasetOp::Reputation(cmp);
        self.add_test("datarep", DatasetTest { set, op, subdomain: false })
    }

    fn add_test(&mut self, keyword: &str, test: DatasetTest) -> Result<(), RuleError> {
        if self.current.is_none() {
            return Err(RuleError::misplaced(keyword, "must follow a buffer"));
        }
        self.push(Item::Dataset(Box::new(test)));
        Ok(())
    }

    /// Number of the list of digests in a file.
    pub(super) fn digest_list(
        &mut self,
        keyword: &str,
        file: &str,
        kind: Kind,
    ) -> Result<u32, RuleError> {
        let options = Options { kind: Some(kind), load: Some(file), ..Options::default() };
        // A name of its own, which no rule can write.
        self.set(keyword, &format!("{keyword}, {file}"), &options)
    }

    /// Number of the set of that name, read at first sight.
    fn set(&mut self, keyword: &str, name: &str, options: &Options<'_>) -> Result<u32, RuleError> {
        let bad = |why: &str| RuleError::value(keyword, name.as_bytes(), why);
        if self.checker.apart {
            self.checker.put_off = true;
            return Err(bad("the set is not known yet"));
        }
        let known = self.checker.pool.datasets.iter().position(|set| *set.name == *name);
        if let Some((at, set)) =
            known.and_then(|at| Some((at, self.checker.pool.datasets.get(at)?)))
        {
            let other_file = options.load.is_some() && options.load != set.load.as_deref();
            if options.kind.is_some_and(|kind| kind != set.kind) || other_file {
                return Err(bad("the set is defined otherwise by a rule before"));
            }
            return u32::try_from(at).map_err(|_| bad("too many sets"));
        }
        let kind = options.kind.ok_or_else(|| bad("the set needs a type"))?;
        if name.is_empty() || self.checker.pool.datasets.len() >= MAX_SETS {
            return Err(bad("no name, or too many sets"));
        }
        let mut set = Dataset {
            name: name.into(),
            kind,
            values: HashMap::default(),
            context_key: options.context_key.into(),
            contexts: Vec::new(),
            save: options.save.map(Into::into),
            load: options.load.map(Into::into),
        };
        if let Some(file) = options.load {
            match self.checker.read_file(file, MAX_FILE) {
                Ok(content) => fill(&mut set, &content, options)
                    .map_err(|why| bad(&format!("{file}: {why}")))?,
                Err(error) if options.state && error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(bad(&format!("cannot read {file}: {error}"))),
            }
        }
        self.checker.pool.datasets.push(set);
        u32::try_from(self.checker.pool.datasets.len() - 1).map_err(|_| bad("too many sets"))
    }
}

/// Options after the name.
fn options<'v>(parts: &[&'v str]) -> Result<Options<'v>, String> {
    let mut options = Options::default();
    for part in parts {
        let (word, argument) = part.split_once([' ', '\t']).unwrap_or((part, ""));
        let argument = argument.trim();
        let needed = || (!argument.is_empty()).then_some(argument).ok_or("a value is missing");
        match word {
            "type" => options.kind = Some(Kind::from_name(argument).ok_or("unknown type")?),
            "load" => options.load = Some(needed()?),
            "save" => options.save = Some(needed()?),
            "state" => {
                options.load = Some(needed()?);
                options.save = options.load;
                options.state = true;
            }
            // Room is bounded for all sets together.
            "memcap" | "hashsize" => {
                needed()?;
            }
            "format" => {
                options.format = match argument {
                    "csv" => Format::Lines,
                    "json" => Format::Json,
                    "ndjson" | "jsonline" => Format::JsonLines,
                    _ => return Err("unknown format".to_owned()),
                };
            }
            "context_key" => options.context_key = needed()?,
            "value_key" => options.value_key = needed()?,
            "array_key" => options.array_key = needed()?,
            "remove_key" if argument.is_empty() => options.remove_key = true,
            "match" if argument == "subdomain" => options.subdomain = true,
            _ => return Err(format!("unknown option {}", crate::error::shown(word.as_bytes()))),
        }
    }
    let json = matches!(options.format, Format::Json | Format::JsonLines);
    if json && (options.value_key.is_empty() || options.load.is_none()) {
        return Err("JSON needs load and value_key".to_owned());
    }
    if options.subdomain && options.kind.is_some_and(|kind| kind != Kind::Text) {
        return Err("match subdomain is for strings".to_owned());
    }
    Ok(options)
}

/// Takes in the content of a file.
fn fill(set: &mut Dataset, content: &[u8], options: &Options<'_>) -> Result<(), String> {
    match options.format {
        Format::Lines | Format::Reputation => lines(set, content, options.format),
        Format::Json => {
            let root: serde_json::Value =
                serde_json::from_slice(content).map_err(|error| format!("not JSON: {error}"))?;
            let array = at_path(&root, options.array_key)
                .and_then(serde_json::Value::as_array)
                .ok_or("no array of values")?;
            array.iter().try_for_each(|element| element_of(set, element, options))
        }
        Format::JsonLines => {
            for (number, line) in content.split(|byte| *byte == b'\n').enumerate() {
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let element: serde_json::Value = serde_json::from_slice(line)
                    .map_err(|error| format!("line {}: not JSON: {error}", number + 1))?;
                element_of(set, &element, options)?;
            }
            Ok(())
        }
    }
}

fn lines(set: &mut Dataset, content: &[u8], format: Format) -> Result<(), String> {
    for (number, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || format!("line {}: not such a value", number + 1);
        let (value, reputation) = match (line.split_once(','), format) {
            (Some((value, reputation)), Format::Reputation) => {
                (value, reputation.trim().parse::<u16>().map_err(|_| wrong())?)
            }
            (None, Format::Reputation) => return Err(wrong()),
            // Lists of digests may have a file name behind a blank.
            (None, _) if matches!(set.kind, Kind::Md5 | Kind::Sha1 | Kind::Sha256) => {
                (line.split_whitespace().next().unwrap_or(line), 0)
            }
            (split, _) => (split.map_or(line, |(value, _)| value), 0),
        };
        let value = set.kind.value(value.trim(), false).ok_or_else(wrong)?;
        insert(set, value, u32::from(reputation))?;
    }
    Ok(())
}

fn insert(set: &mut Dataset, value: Box<[u8]>, what: u32) -> Result<(), String> {
    if set.values.len() >= MAX_VALUES {
        return Err(format!("more than {MAX_VALUES} values"));
    }
    set.values.insert(value, what);
    Ok(())
}

/// The value at `a.b.c`; an empty path is the value itself.
fn at_path<'j>(root: &'j serde_json::Value, path: &str) -> Option<&'j serde_json::Value> {
    path.split('.').filter(|part| !part.is_empty()).try_fold(root, |value, part| value.get(part))
}

/// One object: elements without the key are left out, as they name no value.
fn element_of(
    set: &mut Dataset,
    element: &serde_json::Value,
    options: &Options<'_>,
) -> Result<(), String> {
    let Some(value) = at_path(element, options.value_key).and_then(serde_json::Value::as_str)
    else {
        return Ok(());
    };
    let key = set
        .kind
        .value(value, true)
        .ok_or_else(|| format!("not such a value: {}", crate::error::shown(value.as_bytes())))?;
    let mut element = element.clone();
    if options.remove_key {
        let (path, last) = options.value_key.rsplit_once('.').unwrap_or(("", options.value_key));
        let parent = path
            .split('.')
            .filter(|part| !part.is_empty())
            .try_fold(&mut element, |value, part| value.get_mut(part));
        if let Some(parent) = parent.and_then(serde_json::Value::as_object_mut) {
            parent.remove(last);
        }
    }
    let number = u32::try_from(set.contexts.len()).map_err(|_| "too many values".to_owned())?;
    set.contexts.push(element.to_string().into());
    insert(set, key, number)
}
