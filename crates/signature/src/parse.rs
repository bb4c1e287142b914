//! Text of rule files to raw rules: shape and positions, no meaning.
//!
//! Input is bytes from outside (feeds, hand-written files): any byte string gives raw rules and located
//! errors, never a panic. Meaning is given in [`crate::check`].
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod content;
mod file;
mod header;
mod option;

pub(crate) use content::{decode as decode_content, unquote};
pub(crate) use file::{Line, lines, lines_in, position, rule_start};
pub(crate) use header::RawHeader;
pub(crate) use option::RawOption;

use crate::error::{Located, RuleError};

/// A rule split into header fields and options; borrows from the rule's text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawRule<'a> {
    pub(crate) header: RawHeader<'a>,
    pub(crate) options: Vec<RawOption<'a>>,
}

/// Most bytes of one rule; the longest of published sets has about 3,000, one of blocked addresses may have many more.
pub(crate) const MAX_RULE: usize = 4 << 20;

/// Splits one rule (line continuations already replaced by blanks).
pub(crate) fn rule(text: &[u8]) -> Result<RawRule<'_>, Located> {
    if text.len() > MAX_RULE {
        return Err(RuleError::conflict(format!("more than {MAX_RULE} bytes in one rule")).at(0));
    }
    let open = memchr::memchr(b'(', text)
        .ok_or_else(|| RuleError::header("no \"(\" before the options").at(text.len()))?;
    let close = memchr::memrchr(b')', text)
        .filter(|close| *close > open)
        .ok_or_else(|| RuleError::header("no \")\" after the options").at(text.len()))?;
    let tail = text.get(close.saturating_add(1)..).unwrap_or_default();
    if !tail.trim_ascii().is_empty() {
        return Err(RuleError::header("text after the closing \")\"").at(close.saturating_add(1)));
    }
    let header = header::parse(text.get(..open).unwrap_or_default())?;
    let start = open.saturating_add(1);
    let options = option::split(text.get(start..close).unwrap_or_default(), start)?;
    Ok(RawRule { header, options })
}

#[cfg(test)]
mod tests;
