//! Transforms of sticky buffers: `to_md5`, `from_base64`, `subslice`, `pcrexform`, ...

use crate::{
    check::{
        builder::{Builder, none, text},
        number, pcre,
        rule::{Base64Mode, Transform},
    },
    error::RuleError,
};

/// Bytes that `gunzip` and `zlib_deflate` give when the rule sets no limit.
const INFLATED: u32 = 1_024;
/// The largest limit a rule may set for them.
const MAX_INFLATED: u32 = 1 << 20;
/// Longest key of `xor`.
const MAX_KEY: usize = 255;

impl Builder<'_, '_> {
    /// Handles the keywords of this module.
    pub(super) fn transform_option(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<bool, RuleError> {
        let transform = match name {
            "dotprefix" => plain(name, value, Transform::DotPrefix)?,
            "to_lowercase" => plain(name, value, Transform::Lowercase)?,
            "to_uppercase" => plain(name, value, Transform::Uppercase)?,
            "strip_whitespace" => plain(name, value, Transform::StripWhitespace)?,
            "compress_whitespace" => plain(name, value, Transform::CompressWhitespace)?,
            "strip_pseudo_headers" => plain(name, value, Transform::StripPseudoHeaders)?,
            "header_lowercase" => plain(name, value, Transform::HeaderLowercase)?,
            "url_decode" => plain(name, value, Transform::UrlDecode)?,
            "to_md5" => plain(name, value, Transform::Md5)?,
            "to_sha1" => plain(name, value, Transform::Sha1)?,
            "to_sha256" => plain(name, value, Transform::Sha256)?,
            "xor" => self.xor(text(name, value)?)?,
            "from_base64" => from_base64(value)?,
            "subslice" => subslice(text(name, value)?)?,
            "gunzip" => Transform::Gunzip(max_size(name, value)?),
            "zlib_deflate" => Transform::Inflate(max_size(name, value)?),
            "pcrexform" => self.pcrexform(value)?,
            "domain" | "tld" => {
                return Err(RuleError::unsupported(name, "needs the list of public suffixes"));
            }
            "luaxform" => return Err(RuleError::unsupported(name, "Lua is not run")),
            _ => return Ok(false),
        };
        self.add_transform(name, transform)?;
        Ok(true)
    }

    fn add_transform(&mut self, name: &str, transform: Transform) -> Result<(), RuleError> {
        let block = self
            .current
            .and_then(|at| self.blocks.get_mut(at))
            .ok_or_else(|| RuleError::misplaced(name, "must follow a buffer"))?;
        if block.items.is_empty() {
            block.transforms.push(transform);
            return Ok(());
        }
        // What was written before stays untransformed; what follows is a block of its own.
        let (buffer, transforms) = (block.buffer, block.transforms.clone());
        let at = self.push_block(buffer);
        self.current = Some(at);
        if let Some(block) = self.blocks.get_mut(at) {
            block.transforms = transforms;
            block.transforms.push(transform);
        }
        Ok(())
    }

    fn xor(&mut self, given: &str) -> Result<Transform, RuleError> {
        let given = given.trim_matches('"').trim();
        let bad = |why: &str| RuleError::value("xor", given.as_bytes(), why);
        if given.contains("extract") {
            return extracted(given).ok_or_else(|| bad("expected offset N, extract BYTES FROM"));
        }
        let digits = given.as_bytes();
        let pairs = digits.chunks(2).map(|pair| {
            let pair = str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        });
        let key: Vec<u8> = pairs
            .collect::<Option<_>>()
            .filter(|key: &Vec<u8>| !key.is_empty())
            .ok_or_else(|| bad("expected hex"))?;
        if key.len() > MAX_KEY {
            return Err(bad("the key is longer than 255 bytes"));
        }
        Ok(Transform::Xor(self.checker.pool.pattern(&key)))
    }

    fn pcrexform(&mut self, value: Option<&[u8]>) -> Result<Transform, RuleError> {
        let given = value.unwrap_or_default();
        let (_, inner) = crate::parse::unquote(given)
            .map_err(|why| RuleError::value("pcrexform", given, why))?;
        let expression = pcre::capture(inner)?;
        Ok(Transform::Capture(self.checker.pool.expressions.number(expression)))
    }
}

fn plain(name: &str, value: Option<&[u8]>, transform: Transform) -> Result<Transform, RuleError> {
    none(name, value).map(|()| transform)
}

/// `xor: offset 4, extract 2 0`: the key stands in the buffer itself.
fn extracted(given: &str) -> Option<Transform> {
    let (mut offset, mut key) = (None, None);
    for part in given.split(',').map(str::trim) {
        let mut words = part.split_whitespace();
        let mut number = |most: u16| words.next()?.parse::<u16>().ok().filter(|n| *n <= most);
        let name = part.split_whitespace().next()?;
        let before = match (name, number(0)) {
            ("offset", None) => offset.replace(number(u16::MAX)?).is_some(),
            ("extract", None) => {
                let bytes = u8::try_from(number(255)?).ok().filter(|bytes| *bytes > 0)?;
                key.replace((bytes, number(u16::MAX)?)).is_some()
            }
            _ => return None,
        };
        if before || words.next().is_some() {
            return None;
        }
    }
    let (bytes, from) = key?;
    Some(Transform::XorExtract { offset: offset.unwrap_or(0), bytes, from })
}

/// `from_base64: bytes N, offset N, mode strict`.
fn from_base64(value: Option<&[u8]>) -> Result<Transform, RuleError> {
    let (mut bytes, mut offset, mut mode) = (None, None, None);
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        let given = text("from_base64", Some(value))?;
        let bad = || {
            RuleError::value(
                "from_base64",
                value,
                "expected bytes N, offset N, mode NAME, once each",
            )
        };
        for part in given.split(',').map(str::trim) {
            let (word, argument) = part.split_once([' ', '\t']).unwrap_or((part, ""));
            let number = || number::parse(argument).and_then(|n| u16::try_from(n).ok());
            let before = match word {
                "bytes" => {
                    bytes.replace(number().filter(|bytes| *bytes > 0).ok_or_else(bad)?).is_some()
                }
                "offset" => offset.replace(number().ok_or_else(bad)?).is_some(),
                "mode" => mode
                    .replace(match argument.trim().to_ascii_lowercase().as_str() {
                        "rfc4648" => Base64Mode::Rfc4648,
                        "rfc2045" => Base64Mode::Rfc2045,
                        "strict" => Base64Mode::Strict,
                        _ => return Err(bad()),
                    })
                    .is_some(),
                _ => true,
            };
            if before {
                return Err(bad());
            }
        }
    }
    Ok(Transform::FromBase64 {
        bytes,
        offset: offset.unwrap_or(0),
        mode: mode.unwrap_or(Base64Mode::Rfc4648),
    })
}

/// `subslice: offset[, bytes][, truncate]`; what is negative counts from the end.
fn subslice(given: &str) -> Result<Transform, RuleError> {
    let bad =
        || RuleError::value("subslice", given.as_bytes(), "expected offset[, bytes][, truncate]");
    let mut parts = given.split(',').map(str::trim);
    let number = |part: &str| {
        number::signed(part).and_then(|n| i32::try_from(n).ok()).filter(|n| n.abs() <= 65_535)
    };
    let offset = parts.next().and_then(number).ok_or_else(bad)?;
    let (mut bytes, mut truncate) = (None, false);
    for part in parts {
        match (part, number(part)) {
            ("truncate", _) if !truncate => truncate = true,
            (_, Some(count)) if bytes.is_none() && !truncate && count != 0 => bytes = Some(count),
            _ => return Err(bad()),
        }
    }
    Ok(Transform::Subslice { offset, bytes, truncate })
}

/// `max-size 2048` or nothing.
fn max_size(name: &str, value: Option<&[u8]>) -> Result<u32, RuleError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(INFLATED) };
    text(name, Some(value))?
        .trim()
        .strip_prefix("max-size")
        .and_then(|size| size.trim().parse().ok())
        .filter(|size| (1..=MAX_INFLATED).contains(size))
        .ok_or_else(|| RuleError::value(name, value, "expected max-size, 1 to 1048576"))
}
